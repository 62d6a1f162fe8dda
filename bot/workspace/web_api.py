"""The door of the Web API: reads a call however it came, checks its token and scopes, runs it,
remembers it.
"""

from __future__ import annotations

import math
import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.workspace import json_text
from bot.workspace.api_content import place_of
from bot.workspace.api_parts import Call, Json, Method, require_scope
from bot.workspace.installation import Installation
from bot.workspace.limits import POST
from bot.workspace.methods import METHODS
from bot.workspace.recorder import Entry
from bot.workspace.refusals import SlackError
from bot.workspace.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """What a call is answered: a JSON object, or in Slack's worst hours a text."""

    body: Json | str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """Slack's error string, or what went wrong; "" if nothing did."""
        return self.body if isinstance(self.body, str) else str(self.body.get("error", ""))


async def call(workspace: Workspace, request: web.Request) -> web.Response:
    """Answers one call; status 200 even for errors, as Slack does, but for rate limits and Slack's
    own trouble.
    """
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
        if not method.tokens:
            answer = Answer({"ok": True, **method.run(workspace, Call(None, given))})
        else:
            kind, caller = _caller(workspace, request, given)
            entry.app = caller.app.app_id
            answer = await _answer(workspace, name, method, kind, Call(caller, given))
    except SlackError as refusal:
        answer = Answer(refusal.answer())
    headers = {"X-Slack-Req-Id": secrets.token_hex(16), **answer.headers}
    if caller is not None:
        headers["X-OAuth-Scopes"] = ",".join(caller.app.scopes)
    _record(workspace, entry, answer)
    if isinstance(answer.body, str):
        return web.Response(text=answer.body, status=answer.status, headers=headers)
    return web.json_response(answer.body, status=answer.status, headers=headers)


def _record(workspace: Workspace, entry: Entry, answer: Answer) -> None:
    metadata = {} if isinstance(answer.body, str) else answer.body.get("response_metadata", {})
    workspace.recorder.end(
        entry,
        error=answer.error,
        status=answer.status,
        answer=answer.body,
        complaints=metadata.get("messages", ()),
    )


async def _answer(workspace: Workspace, name: str, method: Method, kind: str, call: Call) -> Answer:
    """Runs the method, unless limits or faults are in the way."""
    app_id, faults = call.app.app_id, workspace.faults
    if limited := faults.take("ratelimited", name, app_id):
        return _ratelimited(math.ceil(limited.seconds))
    wait_s = workspace.limits.take(app_id, name, _channel_posted_to(workspace, name, call))
    if wait_s:
        return _ratelimited(wait_s)
    if faults.take("error", name, app_id):
        return Answer("Service Unavailable", 503)
    if faults.take("fatal_error", name, app_id):
        return Answer({"ok": False, "error": "fatal_error"})
    body = _run(workspace, method, kind, call)
    if slow := faults.take("slow", name, app_id):
        await workspace.timing.clock.sleep(slow.seconds)
    if faults.take("error_after_commit", name, app_id):
        return Answer("Internal Server Error", 500)
    return Answer(body)


def _ratelimited(wait_s: int) -> Answer:
    body = {"ok": False, "error": "ratelimited"}
    return Answer(body, 429, {"Retry-After": str(max(1, wait_s))})


def _channel_posted_to(workspace: Workspace, name: str, call: Call) -> str:
    """The id of the conversation that this call posts to, whatever it was called; "" for none."""
    wanted = call.optional("channel") if name == POST else ""
    place = place_of(workspace, call.app, wanted)
    is_unknown = place == wanted and workspace.store.channel(place) is None
    return "" if is_unknown else place


def _run(workspace: Workspace, method: Method, kind: str, call: Call) -> Json:
    try:
        return {"ok": True, **_checked(workspace, method, kind, call)}
    except SlackError as refusal:
        return refusal.answer()
    except sqlite3.Error:
        return {"ok": False, "error": "fatal_error"}


def _checked(workspace: Workspace, method: Method, kind: str, call: Call) -> Json:
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
    known = workspace.token_of(token)
    if known is None:
        raise SlackError("invalid_auth")
    if known[1].app.app_id in workspace.revoked:
        raise SlackError("token_revoked")
    return known


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
        given = json_text.read(body or b"{}")
    except ValueError as error:
        raise SlackError("invalid_json") from error
    if not isinstance(given, dict):
        raise SlackError("json_not_object")
    return given
