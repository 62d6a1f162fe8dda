"""An app that is installed: what it is, its tokens, and the ways to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.workspace.delivery import Delivery, Transport
from bot.workspace.installed_app import InstalledApp
from bot.workspace.recorder import Recorder
from bot.workspace.secrets_file import Tokens
from bot.workspace.socket_mode import Sockets


@dataclass(frozen=True)
class Installation:
    """An app in this workspace."""

    app: InstalledApp
    tokens: Tokens
    sockets: Sockets
    recorder: Recorder

    @property
    def transport(self) -> Transport:
        """The way that its payloads go."""
        return self.sockets

    async def deliver(self, kind: str, payload: Mapping[str, Any]) -> Delivery:
        """Sends it a payload and waits for the acknowledgement."""
        name = f"{kind} {_detail(kind, payload)}"
        entry = self.recorder.begin("envelope", name, payload, app=self.app.app_id)
        delivery = await self.transport.deliver(kind, payload)
        self.recorder.end(entry, error=delivery.error, answer=delivery.reply)
        return delivery


def _detail(kind: str, payload: Mapping[str, Any]) -> str:
    """What a payload is about: the command, the type of the interaction or of the event."""
    if kind == "slash_commands":
        return str(payload["command"])
    return str(payload["event"]["type"] if kind == "events_api" else payload["type"])
