"""Tells open pages what has just happened: one queue for each page, by person.

Pages with an inspector also hear how far the recorder is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Container, Mapping
from typing import Any

QUEUE_LIMIT = 1000
# A page is told of what the recorder has at most so often.
SEEN_EVERY_S = 0.1


class Subscription:
    """The events of one page, as ready lines of a server-sent event stream; None means the end."""

    def __init__(self, person: str, *, inspects: bool = False) -> None:
        self.person = person
        self.inspects = inspects
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._ended = False

    def put(self, lines: str) -> None:
        """Adds an event.

        A page that does not read gets the end instead: it will connect and read anew.
        """
        if self._queue.qsize() >= QUEUE_LIMIT:
            self.end()
        if not self._ended:
            self._queue.put_nowait(lines)

    def end(self) -> None:
        """No event comes after this."""
        if not self._ended:
            self._ended = True
            self._queue.put_nowait(None)

    async def next(self) -> str | None:
        """Waits for the next event; None at the end."""
        return await self._queue.get()


class Hub:
    """Every open page."""

    def __init__(self) -> None:
        self._open: set[Subscription] = set()
        self._closed = False
        self._seen = 0
        self._seen_told_at = float("-inf")
        self._seen_timer: asyncio.TimerHandle | None = None

    def subscribe(self, person: str, *, inspects: bool = False) -> Subscription:
        """Everything that this person may see from now on; with `inspects` also how far the
        recorder is.
        """
        subscription = Subscription(person, inspects=inspects)
        self._open.add(subscription)
        if self._closed:
            subscription.end()
        return subscription

    def is_watched_by(self, person: str) -> bool:
        """Whether this person has a page open."""
        return any(subscription.person == person for subscription in self._open)

    def leave(self, subscription: Subscription) -> None:
        """The page is gone."""
        self._open.discard(subscription)

    def tell(
        self,
        event: str,
        data: Mapping[str, Any],
        *,
        only: str = "",
        among: Container[str] | None = None,
    ) -> None:
        """Sends an event to every page, or to those of one person, or of some people."""
        lines = _lines(event, data)
        for subscription in self._open:
            is_one = not only or subscription.person == only
            if is_one and (among is None or subscription.person in among):
                subscription.put(lines)

    def seen(self, n: int) -> None:
        """The recorder has `n` entries by now."""
        self._seen = n
        if self._seen_timer is None and any(each.inspects for each in self._open):
            loop = asyncio.get_running_loop()
            at = max(loop.time(), self._seen_told_at + SEEN_EVERY_S)
            self._seen_timer = loop.call_at(at, self._tell_seen)

    def _tell_seen(self) -> None:
        self._seen_timer = None
        self._seen_told_at = asyncio.get_running_loop().time()
        lines = _lines("seen", {"n": self._seen})
        for subscription in self._open:
            if subscription.inspects:
                subscription.put(lines)

    def close(self) -> None:
        """Ends every stream."""
        self._closed = True
        if self._seen_timer is not None:
            self._seen_timer.cancel()
        for subscription in self._open:
            subscription.end()


def _lines(event: str, data: Mapping[str, Any]) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"
