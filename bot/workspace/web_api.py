"""The door of the Web API: reads a call however it came, checks its token and scopes, runs it,
remembers it.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.workspace.api_parts import Call, Json, Method, require_scope
from bot.workspace.installation import Installation
from bot.workspace.methods import METHODS
from bot.workspace.refusals import SlackError
from bot.workspace.workspace import Workspace


async def call(workspace: Workspace, request: web.Request) -> web.Response:
    """Answers one call; status 200 even for errors, as Slack does."""
    name = request.match_info["method"]
    given, unreadable = await _arguments(request)
    entry = workspace.recorder.begin("call", name, given)
    caller: Installation | None = None
    try:
        if unreadable is not None:
            raise unreadable
        method = METHODS.get(name)
        if method is None:
            workspace.recorder.unknown(name)
            raise SlackError("unknown_method", req_method=name)
        if method.tokens:
            kind, caller = _caller(workspace, request, given)
            entry.app = caller.app.app_id
            answer = _run(workspace, method, kind, Call(caller, given))
        else:
            answer = method.run(workspace, Call(None, given))
        body: Json = {"ok": True, **answer}
    except SlackError as refusal:
        body = refusal.answer()
    except sqlite3.Error:
        body = {"ok": False, "error": "fatal_error"}
    complaints = body.get("response_metadata", {}).get("messages", ())
    error = body.get("error", "")
    workspace.recorder.end(entry, error=error, status=200, answer=body, complaints=complaints)
    headers = {"X-Slack-Req-Id": secrets.token_hex(16)}
    if caller is not None:
        headers["X-OAuth-Scopes"] = ",".join(caller.app.scopes)
    return web.json_response(body, headers=headers)


def _run(workspace: Workspace, method: Method, kind: str, call: Call) -> Json:
    if kind not in method.tokens:
        raise SlackError("not_allowed_token_type")
    # Scopes of an app-level token are not in the manifest: ours has connections:write, which is
    # all there is.
    if "bot" in method.tokens:
        require_scope(call.app, *method.scopes)
    return method.run(workspace, call)


def _caller(
    workspace: Workspace, request: web.Request, given: Mapping[str, Any]
) -> tuple[str, Installation]:
    """The kind of the token that came with the call, and the app that it is of."""
    header = request.headers.get("Authorization", "")
    token = header.removeprefix("Bearer ").strip() or str(given.get("token", ""))
    if not token:
        raise SlackError("not_authed")
    for installed in workspace.apps:
        kinds = {"bot": installed.tokens.bot_token, "app": installed.tokens.app_token}
        for kind, known in kinds.items():
            if secrets.compare_digest(token.encode(), known.encode()):
                if installed.app.app_id in workspace.revoked:
                    raise SlackError("token_revoked")
                return kind, installed
    raise SlackError("invalid_auth")


async def _arguments(request: web.Request) -> tuple[dict[str, Any], SlackError | None]:
    """Query, then JSON or form, and what is wrong with it; the SDK sends auth.test as JSON with no
    body at all.
    """
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            given |= _object(await request.read())
        except SlackError as refusal:
            return given, refusal
    elif request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.post()
        given |= {name: value for name, value in form.items() if isinstance(value, str)}
    return given, None


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise SlackError("invalid_json") from error
    if not isinstance(given, dict):
        raise SlackError("json_not_object")
    return given
