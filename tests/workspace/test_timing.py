"""The workspace's clock: it is moved, and who waits on it wakes."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from bot.workspace.timing import Clock

HOUR_S = 3600.0


def test_it_shows_the_real_time_until_it_is_moved() -> None:
    clock = Clock()
    assert abs(clock() - time.time()) < 1
    clock.advance(HOUR_S)
    assert abs(clock() - time.time() - HOUR_S) < 1
    assert clock.ahead_s == HOUR_S


def test_a_wait_ends_when_the_clock_is_moved_past_its_end() -> None:
    async def play() -> list[str]:
        clock, told = Clock(), list[str]()

        async def wait(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            told.append(name)

        waits = [asyncio.create_task(wait(n, s)) for n, s in (("day", 24 * HOUR_S), ("hour", 3600))]
        await asyncio.sleep(0)
        clock.advance(HOUR_S)
        await waits[1]
        assert told == ["hour"]
        # From another thread, as tests do it.
        threading.Thread(target=clock.advance, args=(23 * HOUR_S,)).start()
        await waits[0]
        return told

    assert asyncio.run(asyncio.wait_for(play(), 10)) == ["hour", "day"]


def test_a_wait_also_ends_by_itself() -> None:
    asyncio.run(asyncio.wait_for(Clock().sleep(0.01), 10))


def test_what_comes_within_its_time_is_given_and_what_does_not_is_ended() -> None:
    async def play() -> None:
        clock = Clock()
        assert await clock.wait_for(asyncio.sleep(0, "in time"), 3) == "in time"
        never = asyncio.get_running_loop().create_future()
        waiting = asyncio.create_task(clock.wait_for(never, HOUR_S))
        await asyncio.sleep(0)
        clock.advance(HOUR_S)
        with pytest.raises(TimeoutError):
            await waiting
        assert never.cancelled()

    asyncio.run(asyncio.wait_for(play(), 10))
