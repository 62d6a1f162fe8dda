"""What becomes of a payload that is sent to an app, whatever way it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

DISPATCH_FAILED = "dispatch_failed"
OPERATION_TIMEOUT = "operation_timeout"


@dataclass(frozen=True)
class Delivery:
    """What became of a payload: `error` is "" when the app acknowledged it, with `reply`."""

    error: str = ""
    reply: Any = None


class Transport(Protocol):
    """A way to an app: Socket Mode or signed HTTP."""

    @property
    def is_connected(self) -> bool:
        """Whether something is there to take a payload."""
        ...

    async def deliver(self, kind: str, payload: Mapping[str, Any]) -> Delivery:
        """Sends a payload and waits for its acknowledgement.

        `kind` is slash_commands, interactive or events_api.
        """
        ...

    async def close(self) -> None:
        """Says goodbye."""
        ...
