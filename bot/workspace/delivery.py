"""What becomes of a payload that is sent to an app, whatever way it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

COMMANDS = "slash_commands"
INTERACTIVE = "interactive"
EVENTS = "events_api"

# What a person reads when it fails.
DISPATCH_FAILED = "dispatch_failed"
OPERATION_TIMEOUT = "operation_timeout"
HTTP_CLIENT_ERROR = "http_client_error"
HTTP_SERVICE_ERROR = "http_service_error"
INVALID_COMMAND_RESPONSE = "invalid_command_response"

# How retries say it.
CONNECTION_FAILED = "connection_failed"

SUGGESTION = "block_suggestion"
ANSWERED_INTERACTIONS = frozenset({"view_submission", SUGGESTION})


@dataclass(frozen=True)
class Parcel:
    """A payload on its way: `kind` is slash_commands, interactive or events_api.

    `retry` counts the attempts before this one, `retry_reason` says why the last of them failed;
    only events are sent again.
    """

    kind: str
    payload: Mapping[str, Any]
    retry: int = 0
    retry_reason: str = ""

    @property
    def detail(self) -> str:
        """What it is about: the command, the type of the interaction or of the event."""
        if self.kind == COMMANDS:
            return str(self.payload["command"])
        about = self.payload["event"] if self.kind == EVENTS else self.payload
        return str(about["type"])

    @property
    def accepts_reply(self) -> bool:
        """Whether the acknowledgement may carry an answer; what others carry is ignored."""
        if self.kind == INTERACTIVE:
            return self.payload.get("type") in ANSWERED_INTERACTIONS
        return self.kind == COMMANDS


@dataclass(frozen=True)
class Delivery:
    """What became of a parcel: `error` is "" when the app acknowledged it, with `reply`.

    `reason` is why it failed, as retries say it; without `may_retry` the app wants none. `status`
    is of HTTP.
    """

    error: str = ""
    reply: Any = None
    reason: str = ""
    may_retry: bool = True
    status: int | None = None


class Transport(Protocol):
    """A way to an app: Socket Mode or signed HTTP."""

    @property
    def name(self) -> str:
        """ "socket" or "http"."""
        ...

    @property
    def is_connected(self) -> bool:
        """Whether something is there to take a parcel, as far as is known."""
        ...

    async def send(self, parcel: Parcel) -> Delivery:
        """Sends a parcel once and waits for its acknowledgement."""
        ...

    @property
    def connections(self) -> int:
        """How many ways to the app are open now."""
        ...

    @property
    def timeout_reason(self) -> str:
        """How retries call an acknowledgement that did not come in time."""
        ...

    async def lose_connection(self) -> bool:
        """Breaks the connection that a parcel would have taken, as a bad network would; False if
        there is no other to try.
        """
        ...

    async def close(self) -> None:
        """Says goodbye."""
        ...
