"""An app loses its token, or goes: it hears of it, and its token opens nothing any more.

A new start of the workspace installs it again.
"""

from __future__ import annotations

from typing import Any

from bot.workspace import payloads
from bot.workspace.installation import Installation
from bot.workspace.workspace import Workspace


def revoke(workspace: Workspace, installed: Installation) -> None:
    """Takes the bot token back."""
    workspace.revoked.add(installed.app.app_id)
    _tell_revoked(workspace, installed)


def uninstall(workspace: Workspace, installed: Installation) -> None:
    """Takes the app out of the workspace."""
    workspace.revoked.add(installed.app.app_id)
    _tell(workspace, installed, {"type": "app_uninstalled"})
    _tell_revoked(workspace, installed)


def _tell_revoked(workspace: Workspace, installed: Installation) -> None:
    tokens = {"oauth": [], "bot": [installed.app.bot_user_id]}
    _tell(workspace, installed, {"type": "tokens_revoked", "tokens": tokens})


def _tell(workspace: Workspace, installed: Installation, inner: dict[str, Any]) -> None:
    if inner["type"] in installed.app.events:
        payload = payloads.event(installed.app, inner, workspace.timing.now())
        workspace.in_background(installed.deliver("events_api", payload))
