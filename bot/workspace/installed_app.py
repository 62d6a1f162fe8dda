"""An app as the workspace sees it: what its Slack manifest says, and the ids that Slack would
give it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Command:
    """A slash command of an app."""

    command: str
    description: str
    usage_hint: str


@dataclass(frozen=True)
class InstalledApp:
    """One installed app.

    `events` are the event types that it has subscribed to, with their scopes in `scopes`.
    """

    app_id: str
    bot_id: str
    bot_user_id: str
    name: str
    bot_name: str
    commands: tuple[Command, ...]
    scopes: tuple[str, ...]
    events: frozenset[str]
    has_home: bool
    is_interactive: bool

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> InstalledApp:
        """The app that this manifest (Slack's schema, as a dict) describes."""
        name = manifest["display_information"]["name"]
        features = manifest.get("features", {})
        settings = manifest.get("settings", {})
        word = (re.findall(r"[a-z0-9]+", name.lower()) or ["app"])[0].upper()
        return cls(
            app_id=f"A0{word}",
            bot_id=f"B0{word}",
            bot_user_id="U0BOT",
            name=name,
            bot_name=features.get("bot_user", {}).get("display_name", name),
            commands=tuple(_command(c) for c in features.get("slash_commands", [])),
            scopes=tuple(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])),
            events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
            has_home=bool(features.get("app_home", {}).get("home_tab_enabled", False)),
            is_interactive=bool(settings.get("interactivity", {}).get("is_enabled", False)),
        )

    def command(self, word: str) -> Command | None:
        """The command of this name ("/x"), if the app has it."""
        return next((c for c in self.commands if c.command == word), None)


def _command(entry: Mapping[str, Any]) -> Command:
    return Command(
        command=entry["command"],
        description=entry.get("description", ""),
        usage_hint=entry.get("usage_hint", ""),
    )
