"""The page's files: a person uploads one, and asks for those that blocks show."""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from bot.workspace import interactions, sharing, ui_parts
from bot.workspace.files import SIZE_LIMIT
from bot.workspace.refusals import UiRefused
from bot.workspace.ui_parts import Json
from bot.workspace.workspace import Workspace

# base64 takes a third more, and the rest of the body has room in a megabyte.
_BODY_LIMIT = SIZE_LIMIT * 4 // 3 + 1024 * 1024


async def upload(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/file"""
    try:
        body = await ui_parts.body(request.clone(client_max_size=_BODY_LIMIT))
    except web.HTTPRequestEntityTooLarge as error:
        raise UiRefused(_too_large(), status=413) from error
    person = ui_parts.person(workspace, body)
    name, content = ui_parts.text(body, "name"), _decoded(ui_parts.text(body, "content"))
    channel = ui_parts.channel(workspace, person, body) if body.get("channel") else None
    text = ui_parts.text(body, "text", required=False)
    thread_ts = ui_parts.text(body, "thread_ts", required=False)
    if channel is None and thread_ts:
        raise UiRefused("A file in a thread needs a channel.")
    file = workspace.files.begin(name, len(content), person.id)
    file = workspace.files.receive(file, content)
    file = workspace.files.complete(file, delay_s=sharing.delay_s(workspace))
    if channel is not None:
        shown = [workspace.files.in_message(file.id)]
        try:
            interactions.write(workspace, person, channel, text, thread_ts, files=shown)
        except UiRefused:
            workspace.files.delete(file)
            raise
    return {"file": workspace.files.in_message(file.id)}


def _decoded(content: str) -> bytes:
    try:
        decoded = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UiRefused("content must be base64.") from error
    if not decoded:
        raise UiRefused("The file is empty.")
    if len(decoded) > SIZE_LIMIT:
        raise UiRefused(_too_large(), status=413)
    return decoded


def _too_large() -> str:
    return f"A file may have at most {SIZE_LIMIT // 1024**2} MB."


async def files(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/files: those of the asked files that this person may see, in the order asked."""
    me = ui_parts.person(workspace, request.query)
    wanted = [workspace.files.get(i) for i in request.query.get("ids", "").split(",")]
    seen = [f for f in wanted if f is not None and f.is_complete]
    shown = [f for f in seen if sharing.person_may_see(workspace, me, f)]
    return {"files": [workspace.files.in_message(f.id) for f in shown]}
