"""An app as the workspace sees it: what its Slack manifest says, and the ids that Slack would
give it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.workspace.request_urls import RequestUrls


@dataclass(frozen=True)
class Command:
    """A slash command of an app."""

    command: str
    description: str
    usage_hint: str


@dataclass(frozen=True)
class Shortcut:
    """A shortcut of an app; `type` is "global" or "message"."""

    callback_id: str
    name: str
    description: str
    type: str


@dataclass(frozen=True)
class InstalledApp:
    """One installed app.

    `events` are the event types that it has subscribed to, with their scopes in `scopes`;
    `request_urls` is None for an app in Socket Mode.
    """

    app_id: str
    bot_id: str
    bot_user_id: str
    name: str
    bot_name: str
    commands: tuple[Command, ...]
    scopes: tuple[str, ...]
    events: frozenset[str]
    shortcuts: tuple[Shortcut, ...]
    has_home: bool
    has_messages_tab: bool
    is_interactive: bool
    request_urls: RequestUrls | None

    @classmethod
    def all_of(cls, manifests: Sequence[Mapping[str, Any]]) -> tuple[InstalledApp, ...]:
        """The apps that these manifests (Slack's schema, as dicts) describe, each with ids of its
        own.

        Raises:
            ManifestRefused: an app without Socket Mode has a request URL that cannot be used.
        """
        apps: list[InstalledApp] = []
        for manifest in manifests:
            apps.append(cls._of(manifest, len(apps), {app.app_id for app in apps}))
        return tuple(apps)

    @classmethod
    def _of(cls, manifest: Mapping[str, Any], index: int, taken: set[str]) -> InstalledApp:
        name = manifest["display_information"]["name"]
        features = manifest.get("features", {})
        settings = manifest.get("settings", {})
        word = (re.findall(r"[a-z0-9]+", name.lower()) or ["app"])[0].upper()
        while f"A0{word}" in taken:
            word += "X"
        return cls(
            app_id=f"A0{word}",
            bot_id=f"B0{word}",
            bot_user_id=f"U0{word}BOT" if index else "U0BOT",
            name=name,
            bot_name=features.get("bot_user", {}).get("display_name", name),
            commands=tuple(_command(c) for c in features.get("slash_commands", [])),
            scopes=tuple(manifest.get("oauth_config", {}).get("scopes", {}).get("bot", [])),
            events=frozenset(settings.get("event_subscriptions", {}).get("bot_events", [])),
            shortcuts=tuple(_shortcut(s) for s in features.get("shortcuts", [])),
            has_home=bool(features.get("app_home", {}).get("home_tab_enabled", False)),
            has_messages_tab=bool(features.get("app_home", {}).get("messages_tab_enabled", True)),
            is_interactive=bool(settings.get("interactivity", {}).get("is_enabled", False)),
            request_urls=RequestUrls.of(manifest),
        )

    def command(self, word: str) -> Command | None:
        """The command of this name ("/x"), if the app has it."""
        return next((c for c in self.commands if c.command == word), None)


def _shortcut(entry: Mapping[str, Any]) -> Shortcut:
    return Shortcut(
        callback_id=entry["callback_id"],
        name=entry["name"],
        description=entry.get("description", ""),
        type=entry["type"],
    )


def _command(entry: Mapping[str, Any]) -> Command:
    return Command(
        command=entry["command"],
        description=entry.get("description", ""),
        usage_hint=entry.get("usage_hint", ""),
    )
