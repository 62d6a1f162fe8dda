"""What the inspector of the page (and a test) asks: what went on."""

from __future__ import annotations

from aiohttp import web

from bot.workspace import ui_parts
from bot.workspace.refusals import UiRefused
from bot.workspace.ui_parts import Json
from bot.workspace.workspace import Workspace


async def inspector(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/inspector: what was recorded after entry `since`, oldest first."""
    ui_parts.person(workspace, request.query)
    since = request.query.get("since", "0")
    if not since.isdecimal() or len(since) > 15:
        raise UiRefused(f"since must be the number of an entry, not {since!r}.")
    return {
        "entries": workspace.recorder.page(int(since)),
        "apps": [
            {
                "id": installed.app.app_id,
                "name": installed.app.name,
                "transport": installed.transport.name,
                "connections": installed.transport.connections,
            }
            for installed in workspace.apps
        ],
        "unknown_methods": dict(workspace.recorder.unknown_methods),
    }
