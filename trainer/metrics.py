"""The lines of text by which a running trial reports. Nothing else prints them, and rank 0 alone.

Every line starts with an RFC 3339 timestamp in UTC (milliseconds) and one space. Three kinds:

    2026-11-24T04:30:26.120Z epoch=1 step=40 eval_loss=0.6012 eval_accuracy=0.712
    2026-11-24T04:30:27.003Z progress 40/80, 95 s to go
    2026-11-24T04:30:27.003Z note 3 rows without a text or a label were left out.

A metric line is `name=value` pairs separated by spaces, `epoch` and `step` first, values finite. It
is what Katib's default filter reads, live where it stops trials early. Every evaluation is one: the
objective, and what the trial has cost so far. Progress counts optimizer steps, at most every two
seconds, and says how long the rest takes at the pace so far; it and notes hold no metric. No line
has an earlier time than the line before it, even if the clock is set back: which value is the
latest is a matter of times for Katib.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from trainer.errors import TrialError

PROGRESS_EVERY_S = 2.0


def timestamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds, in UTC: `2026-11-24T04:30:26.120Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The same metrics, to 8 significant digits; one that is NaN or infinite is `Diverged`."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise TrialError(
                "Diverged", f"{name} became {value}; try a smaller learning rate or a warm-up."
            )
    return {name: float(f"{value:.8g}") for name, value in metrics.items()}


def metric_line(moment: datetime, epoch: float, step: int, metrics: Mapping[str, float]) -> str:
    """One metric line; the values have been through `finite`."""
    pairs = [f"epoch={epoch:.4g}", f"step={step}"]
    pairs += [f"{name}={value:.8g}" for name, value in metrics.items()]
    return f"{timestamp(moment)} {' '.join(pairs)}"


def _time_to_go(step: int, total: int, first: tuple[int, float], now: float) -> str:
    """What stands behind the steps; nothing before there is a pace."""
    done = step - first[0]
    return f", {(total - step) * (now - first[1]) / done:.0f} s to go" if done > 0 else ""


class Reporter:
    """Prints the lines, on rank 0 of a distributed trial only."""

    def __init__(self, write: Callable[[str], None] | None = None, rank: int | None = None) -> None:
        self._write = write or _print
        self.speaks = (int(os.environ.get("RANK", "0")) if rank is None else rank) == 0
        self._began = datetime.now(UTC)
        self._clock = time.monotonic()
        self._told_progress_at = -math.inf
        self._first_progress: tuple[int, float] | None = None

    def now(self) -> datetime:
        """The time by a clock that nobody sets while the trial runs."""
        return self._began + timedelta(seconds=time.monotonic() - self._clock)

    def metrics(
        self, moment: datetime, epoch: float, step: int, found: Mapping[str, float]
    ) -> None:
        self._say(metric_line(moment, epoch, step, found))

    def note(self, sentence: str) -> None:
        self._say(f"{timestamp(self.now())} note {sentence}")

    def progress(self, step: int, total: int) -> None:
        now = time.monotonic()
        if self._first_progress is None:
            self._first_progress = step, now
        if now - self._told_progress_at < PROGRESS_EVERY_S:
            return
        self._told_progress_at = now
        left = _time_to_go(step, total, self._first_progress, now)
        self._say(f"{timestamp(self.now())} progress {step}/{total}{left}")

    def _say(self, line: str) -> None:
        if self.speaks:
            self._write(line)


def _print(line: str) -> None:
    print(line, flush=True)
