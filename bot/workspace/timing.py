"""Slack's time rules, and the clock, as values that are handed in, so that no test has to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """`now` gives seconds since the epoch."""

    now: Callable[[], float] = time.time
    ack_deadline_s: float = 3.0
    trigger_life_s: float = 3.0
    response_url_life_s: float = 1800.0
    event_ping_s: float = 15.0
    checkpoint_every_s: float = 5.0
    # From the end of an upload until the file is usable.
    file_ready_s: float = 1.0
    # How often to look whether something is due by the clock.
    tick_s: float = 0.2
