"""Tells the pages which apps are connected, whenever that changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.workspace.hub import Hub
from bot.workspace.installation import Installation


class Presence:
    """What the pages were told last. No app comes or goes without an entry in the recorder."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._apps: Sequence[Installation] = ()
        self._told: list[dict[str, Any]] = []

    def watch(self, apps: Sequence[Installation]) -> None:
        """These are installed."""
        self._apps = apps
        self._told = self._now()

    def seen(self, n: int) -> None:
        """The recorder has `n` entries by now."""
        self._hub.seen(n)
        now = self._now()
        if now != self._told:
            self._told = now
            self._hub.tell("apps", {"apps": now})

    def _now(self) -> list[dict[str, Any]]:
        return [
            {"id": known.app.app_id, "is_connected": known.transport.is_connected}
            for known in self._apps
        ]
