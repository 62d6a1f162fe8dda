"""Tells open pages what has just happened: one queue for each page, by person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Container, Mapping
from typing import Any

QUEUE_LIMIT = 1000


class Subscription:
    """The events of one page, as ready lines of a server-sent event stream; None means the end."""

    def __init__(self, person: str) -> None:
        self.person = person
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

    def subscribe(self, person: str) -> Subscription:
        """Everything that this person may see from now on."""
        subscription = Subscription(person)
        self._open.add(subscription)
        if self._closed:
            subscription.end()
        return subscription

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
        lines = f"event: {event}\ndata: {json.dumps(data)}\n\n"
        for subscription in self._open:
            is_one = not only or subscription.person == only
            if is_one and (among is None or subscription.person in among):
                subscription.put(lines)

    def close(self) -> None:
        """Ends every stream."""
        self._closed = True
        for subscription in self._open:
            subscription.end()
