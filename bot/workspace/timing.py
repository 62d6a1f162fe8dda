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
    # How long after a failed delivery an event is sent again.
    event_retries_after_s: tuple[float, ...] = (0.0, 60.0, 300.0)
    # Socket Mode: how long a ticket is good, how long a link lives (with debug_reconnects=true in
    # its URL: the shorter), how long before its end it is warned, how often it is pinged.
    ticket_life_s: float = 30.0
    link_life_s: float = 18060.0
    debug_link_life_s: float = 360.0
    link_warning_s: float = 10.0
    link_ping_s: float = 30.0
