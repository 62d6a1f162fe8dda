"""Puts down in the recorder what an app sends to an address of its own, without a method or a
token.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from bot.workspace import responses
from bot.workspace.workspace import Workspace


async def respond(workspace: Workspace, request: web.Request) -> web.Response:
    """Takes one answer to a response URL."""
    grant = workspace.grants.response_url(request.match_info["key"])
    entry = workspace.recorder.begin(
        "response_url",
        "response_url",
        _json_or_text(await request.read()),
        app=grant.app if grant else "",
    )
    answer = await responses.respond(workspace, request)
    error = "" if answer.status == 200 else answer.text or str(answer.status)
    workspace.recorder.end(entry, error=error, status=answer.status, answer=answer.text)
    return answer


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
