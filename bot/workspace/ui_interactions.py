"""The /ui endpoints with which a person acts on what apps show: suggestions, Home, shortcuts,
reactions.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from bot.workspace import suggestions, ui_parts
from bot.workspace.payloads import Query
from bot.workspace.ui_parts import Answer, Json
from bot.workspace.workspace import Workspace


async def suggest(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/suggest: the options that the app suggests for what was typed."""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    query = Query(
        block_id=ui_parts.text(body, "block_id"),
        action_id=ui_parts.text(body, "action_id"),
        value=ui_parts.text(body, "value", required=False),
    )
    if body.get("view_id"):
        view_id = ui_parts.text(body, "view_id")
        done = await suggestions.suggest_in_view(workspace, person, view_id, query)
    else:
        channel = ui_parts.channel(workspace, person, body)
        ts = ui_parts.text(body, "message_ts")
        done = await suggestions.suggest_in_message(workspace, person, channel, ts, query)
    if done.error:
        return {"delivered": False, "error": done.error, "complaints": done.complaints}
    return {"delivered": True, **done.answer}


POSTS: Mapping[str, Answer] = {
    "suggest": suggest,
}
