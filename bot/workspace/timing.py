"""Slack's time rules, and the clock that they run on, as values that are handed in, so that no
test has to wait.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Clock:
    """Seconds since the epoch: the real time, and how far somebody has moved it ahead.

    Whoever waits on it wakes when it is moved past the end of the wait. `advance` may be called
    from any thread.
    """

    def __init__(self, source: Callable[[], float] = time.time) -> None:
        self._source = source
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.ahead_s = 0.0

    def __call__(self) -> float:
        """What it shows."""
        return self._source() + self.ahead_s

    def advance(self, seconds: float) -> None:
        """Moves it ahead."""
        self.ahead_s += seconds
        for loop, woken in tuple(self._waiters):
            loop.call_soon_threadsafe(woken.set)

    async def sleep(self, seconds: float) -> None:
        """Waits so long, on this clock."""
        await self.sleep_until(self() + seconds)

    async def sleep_until(self, at: float) -> None:
        """Waits until it shows `at`."""
        woken = asyncio.Event()
        waiter = (asyncio.get_running_loop(), woken)
        self._waiters.add(waiter)
        try:
            while (left := at - self()) > 0:
                woken.clear()
                await _until_set(woken, left)
        finally:
            self._waiters.discard(waiter)

    async def wait_for(self, awaited: Awaitable[T], seconds: float) -> T:
        """What is awaited, if it comes within so many seconds on this clock; TimeoutError."""
        work = asyncio.ensure_future(awaited)
        timer = asyncio.ensure_future(self.sleep_until(self() + seconds))
        try:
            await asyncio.wait((work, timer), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise TimeoutError
            return work.result()
        finally:
            timer.cancel()
            work.cancel()


async def _until_set(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        pass


@dataclass(frozen=True)
class Timing:
    """Slack's limits of time, in seconds, and whether there are rate limits at the start."""

    clock: Clock = field(default_factory=Clock)
    ack_deadline_s: float = 3.0
    trigger_life_s: float = 3.0
    response_url_life_s: float = 1800.0
    event_ping_s: float = 15.0
    checkpoint_every_s: float = 5.0
    has_rate_limits: bool = True
    # From the end of an upload until the file is usable.
    file_ready_s: float = 1.0
    # How often to look whether something is due by the clock.
    tick_s: float = 0.2
    # How long after posting a message can be changed.
    edit_window_s: float = math.inf
    # How long after a failed delivery an event is sent again.
    event_retries_after_s: tuple[float, ...] = (0.0, 60.0, 300.0)
    # Socket Mode: how long a ticket is good, how long a link lives (with debug_reconnects=true in
    # its URL: the shorter), how long before its end it is warned, how often it is pinged.
    ticket_life_s: float = 30.0
    link_life_s: float = 18060.0
    debug_link_life_s: float = 360.0
    link_warning_s: float = 10.0
    link_ping_s: float = 30.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock()
