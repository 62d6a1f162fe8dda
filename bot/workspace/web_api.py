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

from bot.workspace import api_chat, api_conversations, api_people, api_views
from bot.workspace.api_parts import Args, Json, Method, require_scope
from bot.workspace.refusals import SlackError
from bot.workspace.workspace import SeenCall, Workspace

METHODS: Mapping[str, Method] = {
    **api_people.METHODS,
    **api_chat.METHODS,
    **api_views.METHODS,
    **api_conversations.METHODS,
}


async def call(workspace: Workspace, request: web.Request) -> web.Response:
    """Answers one call; status 200 even for errors, as Slack does."""
    name = request.match_info["method"]
    try:
        given = await _arguments(request)
        body: Json = {"ok": True, **_run(workspace, name, request, given)}
    except SlackError as refusal:
        body = refusal.answer()
    except sqlite3.Error:
        body = {"ok": False, "error": "fatal_error"}
    error = body.get("error", "")
    workspace.seen.append(SeenCall(name, body["ok"], error, workspace.timing.now()))
    headers = {
        "X-OAuth-Scopes": ",".join(workspace.app.scopes),
        "X-Slack-Req-Id": secrets.token_hex(16),
    }
    return web.json_response(body, headers=headers)


def _run(workspace: Workspace, name: str, request: web.Request, given: Mapping[str, Any]) -> Json:
    method = METHODS.get(name)
    if method is None:
        raise SlackError("unknown_method", req_method=name)
    header = request.headers.get("Authorization", "")
    token = header.removeprefix("Bearer ").strip() or str(given.get("token", ""))
    if _kind_of(workspace, token) not in method.tokens:
        raise SlackError("not_allowed_token_type")
    # Scopes of an app-level token are not in the manifest: ours has connections:write, which is
    # all there is.
    if "bot" in method.tokens:
        require_scope(workspace.app, *method.scopes)
    return method.run(workspace, Args(given))


def _kind_of(workspace: Workspace, token: str) -> str:
    if not token:
        raise SlackError("not_authed")
    kinds = {"bot": workspace.tokens.bot_token, "app": workspace.tokens.app_token}
    for kind, known in kinds.items():
        if secrets.compare_digest(token.encode(), known.encode()):
            return kind
    raise SlackError("invalid_auth")


async def _arguments(request: web.Request) -> dict[str, Any]:
    """Query, then JSON or form; the SDK sends auth.test as JSON with no body at all."""
    given: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        given |= _object(await request.read())
    elif request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.post()
        given |= {name: value for name, value in form.items() if isinstance(value, str)}
    return given


def _object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise SlackError("invalid_json") from error
    if not isinstance(given, dict):
        raise SlackError("json_not_object")
    return given
