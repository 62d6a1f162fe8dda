"""The lines of text by which a running trial reports. Nothing else prints them, and rank 0 alone.

Every line starts with an RFC 3339 timestamp in UTC (milliseconds) and one space. Three kinds:

    2026-11-24T04:30:26.120Z epoch=1 step=40 eval_loss=0.6012 eval_accuracy=0.712
    2026-11-24T04:30:27.003Z progress 40/80
    2026-11-24T04:30:27.003Z note 3 rows without a text or a label were left out.

A metric line is `name=value` pairs separated by spaces, `epoch` and `step` first, values finite. It
is what Katib's default filter reads. Progress counts optimizer steps, at most every two seconds; it
and notes hold no metric.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from trainer.errors import TrialError

PROGRESS_EVERY_S = 2.0


def timestamp(moment: datetime) -> str:
    """RFC 3339 with milliseconds, in UTC: `2026-11-24T04:30:26.120Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> datetime:
    return datetime.now(UTC)


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


class Reporter:
    """Prints the lines, on rank 0 of a distributed trial only."""

    def __init__(self, write: Callable[[str], None] | None = None, rank: int | None = None) -> None:
        self._write = write or _print
        self.speaks = (int(os.environ.get("RANK", "0")) if rank is None else rank) == 0
        self._told_progress_at = -math.inf

    def metrics(
        self, moment: datetime, epoch: float, step: int, found: Mapping[str, float]
    ) -> None:
        self._say(metric_line(moment, epoch, step, found))

    def note(self, sentence: str) -> None:
        self._say(f"{timestamp(now())} note {sentence}")

    def progress(self, step: int, total: int) -> None:
        if time.monotonic() - self._told_progress_at < PROGRESS_EVERY_S:
            return
        self._told_progress_at = time.monotonic()
        self._say(f"{timestamp(now())} progress {step}/{total}")

    def _say(self, line: str) -> None:
        if self.speaks:
            self._write(line)


def _print(line: str) -> None:
    print(line, flush=True)
