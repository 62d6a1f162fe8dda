"""An app that is installed: what it is, its tokens, and the ways to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.workspace.delivery import Delivery, Transport
from bot.workspace.dispatch import Dispatch
from bot.workspace.http_delivery import HttpTransport
from bot.workspace.installed_app import InstalledApp
from bot.workspace.secrets_file import Tokens
from bot.workspace.socket_mode import Sockets


@dataclass(frozen=True)
class Installation:
    """An app in this workspace: over Socket Mode it has `sockets`, over HTTP `http`."""

    app: InstalledApp
    tokens: Tokens
    dispatch: Dispatch

    @property
    def transport(self) -> Transport:
        """The way that its payloads go."""
        return self.dispatch.transport

    @property
    def sockets(self) -> Sockets | None:
        """Its links, if it is in Socket Mode."""
        return self.transport if isinstance(self.transport, Sockets) else None

    @property
    def http(self) -> HttpTransport | None:
        """Its request URLs, if it is not."""
        return self.transport if isinstance(self.transport, HttpTransport) else None

    async def deliver(self, kind: str, payload: Mapping[str, Any]) -> Delivery:
        """Sends it a payload and waits for the acknowledgement; of an event, for the last retry."""
        return await self.dispatch.deliver(kind, payload)
