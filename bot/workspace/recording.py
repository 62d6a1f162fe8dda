"""Puts down in the recorder what an app sends to an address of its own, without a method or a
token.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from bot.workspace import json_text, responses, webhooks
from bot.workspace.recorder import Entry
from bot.workspace.workspace import Workspace

Take = Callable[[Workspace, web.Request], Awaitable[web.Response]]


async def respond(workspace: Workspace, request: web.Request) -> web.Response:
    """Takes one answer to a response URL."""
    grant = workspace.grants.response_url(request.match_info["key"])
    entry = workspace.recorder.begin(
        "response_url",
        "response_url",
        _json_or_text(await request.read()),
        app=grant.app if grant else "",
    )
    return _ended(workspace, entry, await responses.respond(workspace, request))


async def upload(workspace: Workspace, take: Take, request: web.Request) -> web.Response:
    """Takes the bytes of a file, with `take`."""
    file = workspace.files.ticketed(request.match_info["ticket"])
    entry = workspace.recorder.begin(
        "upload",
        "upload",
        {"file": file.id if file else None, "bytes": request.content_length},
        app=_app_of_bot(workspace, file.owner) if file else "",
    )
    return _ended(workspace, entry, await take(workspace, request))


async def webhook(workspace: Workspace, request: web.Request) -> web.Response:
    """Takes one message to an incoming webhook."""
    installed = webhooks.owner(workspace, request.match_info["bot_id"])
    entry = workspace.recorder.begin(
        "webhook",
        "webhook",
        _json_or_text(await request.read()),
        app=installed.app.app_id if installed else "",
    )
    return _ended(workspace, entry, await webhooks.post(workspace, request))


def _app_of_bot(workspace: Workspace, bot_user_id: str) -> str:
    ids = (k.app.app_id for k in workspace.apps if k.app.bot_user_id == bot_user_id)
    return next(ids, "")


def _ended(workspace: Workspace, entry: Entry, answer: web.Response) -> web.Response:
    error = "" if answer.status == 200 else answer.text or str(answer.status)
    workspace.recorder.end(entry, error=error, status=answer.status, answer=answer.text)
    return answer


def _json_or_text(body: bytes) -> Any:
    try:
        return json_text.read(body)
    except ValueError:
        return body.decode(errors="replace")
