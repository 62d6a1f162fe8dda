"""Where an app without Socket Mode wants its payloads: the request URLs of its manifest."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bot.workspace.delivery import COMMANDS, EVENTS, SUGGESTION, Parcel
from bot.workspace.refusals import ManifestRefused

INTERACTIVITY_URL = "settings.interactivity.request_url"
OPTIONS_URL = "settings.interactivity.message_menu_options_url"
EVENTS_URL = "settings.event_subscriptions.request_url"
EXAMPLE = "http://127.0.0.1:3000/slack/events"


@dataclass(frozen=True)
class RequestUrls:
    """Addresses on this machine; "" for what the app does not take. `commands`: "/x" -> URL."""

    commands: Mapping[str, str]
    interactivity: str
    options: str
    events: str

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> RequestUrls | None:
        """What the manifest says; None for an app in Socket Mode, which needs none.

        Raises:
            ManifestRefused: a URL that is needed is missing, or is not of this machine.
        """
        settings = manifest.get("settings", {})
        if settings.get("socket_mode_enabled", False):
            return None
        found = dict(_given(manifest))
        trouble = _trouble(manifest, found)
        if trouble:
            remedy = f"use an address such as {EXAMPLE}, or set settings.socket_mode_enabled"
            raise ManifestRefused(manifest["display_information"]["name"], trouble, remedy)
        commands = [c["command"] for c in manifest.get("features", {}).get("slash_commands", [])]
        return cls(
            commands={command: found[_command(command)] for command in commands},
            interactivity=found.get(INTERACTIVITY_URL, ""),
            options=found.get(OPTIONS_URL, ""),
            events=found.get(EVENTS_URL, ""),
        )

    def of_parcel(self, parcel: Parcel) -> str:
        """Where this goes; "" if the app has no URL for it."""
        if parcel.kind == COMMANDS:
            return self.commands.get(parcel.payload["command"], "")
        if parcel.kind == EVENTS:
            return self.events
        is_suggestion = parcel.payload.get("type") == SUGGESTION
        return self.options if is_suggestion else self.interactivity


def _trouble(manifest: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The first thing that is wrong with the URLs; "" if nothing is."""
    for field, url in found.items():
        if not _is_of_this_machine(url):
            return f"{field} is {url!r}, and payloads go to this machine alone"
    missing = [field for field in _needed(manifest) if field not in found]
    return f"{missing[0]} is missing, and Socket Mode is off" if missing else ""


def _command(command: str) -> str:
    return f"features.slash_commands[{command}].url"


def _given(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    settings = manifest.get("settings", {})
    for command in manifest.get("features", {}).get("slash_commands", []):
        if command.get("url"):
            yield _command(command["command"]), command["url"]
    for field in (INTERACTIVITY_URL, OPTIONS_URL, EVENTS_URL):
        _, part, name = field.split(".")
        if settings.get(part, {}).get(name):
            yield field, settings[part][name]


def _needed(manifest: Mapping[str, Any]) -> Iterator[str]:
    settings = manifest.get("settings", {})
    for command in manifest.get("features", {}).get("slash_commands", []):
        yield _command(command["command"])
    if settings.get("interactivity", {}).get("is_enabled", False):
        yield INTERACTIVITY_URL
    if settings.get("event_subscriptions", {}).get("bot_events"):
        yield EVENTS_URL


def _is_of_this_machine(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.scheme not in ("http", "https"):
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
