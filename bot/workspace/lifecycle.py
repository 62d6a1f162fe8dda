"""An app loses its token, or goes: it hears of it, and its token opens nothing any more.

A new start of the workspace installs it again.
"""

from __future__ import annotations

from bot.workspace import events
from bot.workspace.installation import Installation
from bot.workspace.workspace import Workspace


def revoke(workspace: Workspace, installed: Installation) -> None:
    """Takes the bot token back."""
    workspace.revoked.add(installed.app.app_id)
    events.tokens_revoked(workspace, installed)


def uninstall(workspace: Workspace, installed: Installation) -> None:
    """Takes the app out of the workspace."""
    workspace.revoked.add(installed.app.app_id)
    events.app_uninstalled(workspace, installed)
