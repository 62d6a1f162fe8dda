"""The only door to chat.postMessage and chat.update: budgets, and no message twice.

Slack has no idempotency key. Each message carries our key in its metadata, and before a post that
may be a repetition (the first into a thread since the start, or one whose answer got lost) the
thread is read for that key. Nothing here sleeps: what cannot be sent now is answered with None or
False, and the poller, which reads the whole state each time, comes again.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.errors import EngineError
from bot.metrics import Tally
from bot.slack.messages import Message
from bot.status import Thread

log = logging.getLogger(__name__)

EVENT_TYPE = "katib_tune"
UPDATES_PER_MINUTE = 45  # chat.update is Tier 3, 50 a minute for the whole app
CARD_INTERVAL_S = 2.0
# Slack's own trouble, told with status 200: repeating helps, as it does after nothing else.
TRANSIENT = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "ratelimited"}
)
NOT_WRITABLE = frozenset({"not_in_channel", "channel_not_found"})
NO_HISTORY = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "thread_not_found"})


class Undeliverable(EngineError):
    """Slack will never take this message; `reason` is Slack's error string."""

    def __init__(self, reason: str, channel: str) -> None:
        super().__init__(
            f"Slack does not let me write in <#{channel}> (`{reason}`).",
            hint="Invite me there: `/invite @katib-tune`, then try again."
            if reason in NOT_WRITABLE
            else "",
        )
        self.reason = reason


class Outbox:
    """Sends messages for the poller and the submission worker; safe from several threads.

    Args:
        client: without retry handlers, which would sleep here.
        clock: seconds, monotonic.
    """

    def __init__(self, client: WebClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._keys: dict[Thread, dict[str, str]] = {}
        self._limited: dict[str, float] = {}
        self._updates: deque[float] = deque()
        self._updated: dict[Thread, float] = {}
        self.sent = Tally("katib_tune_messages_sent_total", "Calls that Slack took.", "method")
        self.failed = Tally(
            "katib_tune_messages_failed_total", "Calls that Slack did not take.", "method", "reason"
        )

    def post_root(
        self, channel: str, message: Message, *, key: str, since: datetime | None = None
    ) -> str | None:
        """Post a root message; `since` says that it may be there already, posted after that time.

        Returns:
            Its ts, or None if Slack takes nothing at the moment.

        Raises:
            Undeliverable: Slack refuses it for good.
        """
        if since is not None:
            found = self._find_root(channel, key, since)
            if found:
                return found
        return self._post(channel, message, key, None)

    def post_reply(self, thread: Thread, message: Message, *, key: str) -> bool:
        """Post a reply unless the thread has it already; False if Slack takes nothing now."""
        keys = self._keys.get(thread)
        if keys is None:
            keys = self._keys[thread] = self._keys_in(thread)
        if key in keys:
            return True
        ts = self._post(thread.channel, message, key, thread.ts)
        if ts is None:
            if not self._is_limited("chat_postMessage"):
                # The answer may be lost and the message there: look again.
                self._keys.pop(thread, None)
            return False
        keys[key] = ts
        return True

    def update(self, thread: Thread, message: Message, *, urgent: bool = False) -> bool:
        """Bring the card up to date; False if its turn has not come. `urgent`: news or an end."""
        now = self._clock()
        interval = 0.0 if urgent else CARD_INTERVAL_S
        if now - self._updated.get(thread, -CARD_INTERVAL_S) < interval:
            return False
        while self._updates and now - self._updates[0] > 60:
            self._updates.popleft()
        if len(self._updates) >= UPDATES_PER_MINUTE:
            return False
        answer = self._call(
            "chat_update",
            channel=thread.channel, ts=thread.ts, text=message.text, blocks=list(message.blocks),
        )  # fmt: skip
        if answer is None:
            return False
        self._updates.append(now)
        self._updated[thread] = now
        return True

    def forget(self, thread: Thread) -> None:
        """Let go of what is remembered of a thread whose end has been told."""
        self._keys.pop(thread, None)
        self._updated.pop(thread, None)

    def forget_all(self) -> None:
        """Trust nothing remembered: somebody else may have told meanwhile."""
        self._keys.clear()

    def withdraw(self, thread: Thread) -> None:
        """Delete a root message that came second; if Slack does not take that now it stays."""
        with suppress(Undeliverable):
            self._call("chat_delete", channel=thread.channel, ts=thread.ts)

    def _post(self, channel: str, message: Message, key: str, thread_ts: str | None) -> str | None:
        answer = self._call(
            "chat_postMessage",
            channel=channel, thread_ts=thread_ts, text=message.text, blocks=list(message.blocks),
            metadata={"event_type": EVENT_TYPE, "event_payload": {"key": key}},
            unfurl_links=False, unfurl_media=False,
        )  # fmt: skip
        return str(answer["ts"]) if answer is not None else None

    def _find_root(self, channel: str, key: str, since: datetime) -> str | None:
        answer = self._history(
            "conversations_history", channel, oldest=str(since.timestamp() - 1), limit=200
        )
        return next((m["ts"] for m in answer if _key(m) == key), None)

    def _keys_in(self, thread: Thread) -> dict[str, str]:
        found = self._history("conversations_replies", thread.channel, ts=thread.ts, limit=1000)
        return {key: str(m["ts"]) for m in found if (key := _key(m))}

    def _history(self, method: str, channel: str, **arguments: Any) -> list[dict[str, Any]]:
        try:
            answer = getattr(self._client, method)(
                channel=channel, include_all_metadata=True, **arguments
            )
        except SlackApiError as error:
            reason = error.response.get("error")
            if reason in NO_HISTORY:
                return []  # without the history scopes one repetition is possible; doctor says so
            raise EngineError(f"Slack does not show <#{channel}> (`{reason}`).") from error
        except (URLError, OSError) as error:
            raise EngineError(f"Slack cannot be reached: {error}.") from error
        return list(answer["messages"])

    def _is_limited(self, method: str) -> bool:
        """Whether Slack has asked us to wait: then nothing is sent, and nothing is in doubt."""
        return self._clock() < self._limited.get(method, 0)

    def _call(self, method: str, *, channel: str, **arguments: Any) -> Any | None:
        """The answer, or None when Slack takes nothing now (limited, down, answer lost)."""
        if self._is_limited(method):
            return None
        try:
            answer = getattr(self._client, method)(channel=channel, **arguments)
        except SlackApiError as error:
            reason = str(error.response.get("error"))
            self.failed.add(method, reason)
            if error.response.status_code == 429:
                wait = float(error.response.headers.get("Retry-After", 1))
                self._limited[method] = self._clock() + wait
                log.warning("Slack limits %s for %s s", method, wait)
                return None
            if reason not in TRANSIENT and error.response.status_code < 500:
                log.error("Slack refused %s: %s %s", method, reason, error.response.data)
                raise Undeliverable(reason, channel) from error
            log.warning("Slack has trouble with %s: %s", method, reason)
        except (URLError, OSError) as error:
            self.failed.add(method, "unreachable")
            log.warning("Slack cannot be reached (%s): %s", method, error)
        else:
            self.sent.add(method)
            return answer
        return None


def _key(message: dict[str, Any]) -> str | None:
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    key = metadata.get("event_payload", {}).get("key")
    return str(key) if key else None
