"""What a trial leaves behind: `result.json`, written once, at the end, by atomic rename."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from trainer import checkpoints
from trainer.errors import TrialError
from trainer.metrics import Reporter, finite, timestamp
from trainer.push import Pusher

FILE_NAME = "result.json"
PROBE = ".probe"
BEST = "best"  # the folder of the best weights, beside it
TEST_FILE = "test.json"  # their score on test rows, once an export has measured it
BASE_CONFIG = "base_config"  # in BEST, where the weights are an adapter's: what it belongs to
PHASES = ("import", "load", "train", "eval")


class Recorder:
    """Collects what one trial finds out, tells it through the reporter, and writes it down."""

    def __init__(
        self, output_dir: Path, objective_metric: str, objective_type: str, reporter: Reporter
    ) -> None:
        self.facts: dict[str, Any] = {}
        self.curve: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.output_dir = output_dir
        self._objective = objective_metric
        self._sign = 1.0 if objective_type == "maximize" else -1.0
        self._reporter = reporter
        self._seconds = dict.fromkeys(PHASES, 0.0)
        self._phases: list[str] = []
        self._written = False
        self._started = reporter.now()
        self._clock = self._charged = time.monotonic()
        # What earlier processes of the same trial have used.
        self._seconds_before, self._cpu_before, self._peak_before = 0.0, 0.0, 0.0
        self._process = uuid.uuid4().hex
        self.best: dict[str, Any] | None = None
        self.pusher: Pusher | None = None

    def start(self) -> None:
        """Makes the output folder and removes what an earlier trial wrote there; or OSError.

        What a trial that is to go on needs stays: its checkpoint, unless the trial has succeeded.
        """
        self._written = True  # there is nowhere to write to, unless this works
        self.output_dir.mkdir(parents=True, exist_ok=True)
        if self.speaks:
            write_atomically(self.output_dir / PROBE, "")
            (self.output_dir / PROBE).unlink()
            if mark := _succeeded(self.output_dir / FILE_NAME):
                checkpoints.remove(checkpoints.folder(self.output_dir, mark))
            (self.output_dir / FILE_NAME).unlink(missing_ok=True)
        self._written = False

    def kept(self) -> dict[str, Any]:
        """What `go_on` needs, as JSON has it."""
        return {
            "process": self._process,
            "curve": self.curve,
            "best": self.best,
            "warnings": self.warnings,
            "seconds": self._all_seconds(),
            "cpu_seconds": self._cpu_before + cpu_seconds(),
            "peak_memory_mb": max(self._peak_before, peak_memory_mb()),
            "started": timestamp(self._started),
        }

    def go_on(self, kept: Mapping[str, Any]) -> None:
        """Goes on from what an earlier process of the same trial had; tells its points again.

        Who reads this process' lines alone (Katib's collector, after a pod was replaced) has the
        whole curve then, with the times at which the points were measured.
        """
        self.forget()
        self.curve += kept["curve"]
        self.best = kept["best"]
        self.warnings = list(dict.fromkeys([*kept["warnings"], *self.warnings]))
        if kept["process"] == self._process:
            return
        for name in PHASES:
            self._seconds[name] += kept["seconds"][name]
        self._seconds_before = kept["seconds"]["total"]
        self._cpu_before = kept["cpu_seconds"]
        self._peak_before = kept["peak_memory_mb"]
        self._started = datetime.fromisoformat(kept["started"])
        for point in self.curve:
            moment = datetime.fromisoformat(point["time"])
            self._reporter.metrics(moment, point["epoch"], point["step"], point["metrics"])

    def forget(self) -> None:
        """Drops what was measured: the trial begins anew in this process."""
        self.curve.clear()
        self.best = None

    @property
    def speaks(self) -> bool:
        """Whether this is rank 0, whose numbers are the trial's."""
        return self._reporter.speaks

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the seconds inside to `name`; a phase inside another one is not counted twice."""
        self._charge()
        self._phases.append(name)
        try:
            yield
        finally:
            self._charge()
            self._phases.pop()

    def seconds(self, phase: str) -> float:
        """The seconds of a phase so far, which may be going on."""
        self._charge()
        return self._seconds[phase]

    def _charge(self) -> None:
        """Counts the time since it was last called to the innermost phase."""
        before, self._charged = self._charged, time.monotonic()
        if self._phases:
            self._seconds[self._phases[-1]] += self._charged - before

    def progress(self, step: int, total: int) -> None:
        self._reporter.progress(step, total)

    def note(self, sentence: str) -> None:
        self._reporter.note(sentence)

    def drop_checkpoints(self) -> None:
        """The trial has come to an end that nothing can follow."""
        if self.speaks and "fingerprint" in self.facts:
            checkpoints.remove(checkpoints.folder(self.output_dir, self.facts["fingerprint"]))

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)
        self._reporter.note(sentence)

    def record(
        self, epoch: float, step: int, metrics: Mapping[str, float], *, tell: bool = True
    ) -> bool:
        """Adds one point to the curve; True if it is the best so far by the objective metric."""
        found = finite(metrics)
        moment = self._reporter.now()
        point = {
            "epoch": round(epoch, 4),
            "step": step,
            "time": timestamp(moment),
            "metrics": found,
        }
        self.curve.append(point)
        if tell:
            self._reporter.metrics(moment, epoch, step, found)
        if self.pusher:
            self.pusher.push(moment, found)
        if not self._beats(found):
            return False
        self.best = {key: point[key] for key in ("step", "epoch", "metrics")}
        return True

    def _beats(self, found: Mapping[str, float]) -> bool:
        if self._objective not in found:
            return False
        if self.best is None:
            return True
        gain = found[self._objective] - self.best["metrics"][self._objective]
        return bool(self._sign * gain > 0)

    def summary(self) -> dict[str, dict[str, float]]:
        """Smallest, largest and latest value of each metric."""
        values: dict[str, list[float]] = {}
        for point in self.curve:
            for name, value in point["metrics"].items():
                values.setdefault(name, []).append(value)
        return {
            name: {"min": min(seen), "max": max(seen), "latest": seen[-1]}
            for name, seen in values.items()
        }

    def write(self, failure: TrialError | None, *, is_final: bool = True) -> None:
        """Writes the result, once and on rank 0; `failure` is None for a trial that succeeded.

        One that is not final stands there in case that the process is killed before the final one.
        """
        if self._written or not self.speaks:
            return
        document = {
            "version": 1,
            "state": "Failed" if failure else "Succeeded",
            "reason": failure.reason if failure else None,
            "message": failure.message if failure else self._success(),
            "metrics": self.summary(),
            "curve": self.curve,
            "best": self.best,
            **self.facts,
            "warnings": self.warnings,
            "seconds": self._all_seconds(),
            "cpu_seconds": round(self._cpu_before + cpu_seconds(), 2),
            "peak_memory_mb": max(self._peak_before, peak_memory_mb()),
            "started": timestamp(self._started),
            "finished": timestamp(self._reporter.now()),
        }
        write_atomically(self.output_dir / FILE_NAME, json.dumps(document, indent=1) + "\n")
        self._written = is_final

    def _success(self) -> str:
        if self.best is None:
            return "The trial finished."
        value = self.best["metrics"][self._objective]
        return f"The trial finished; best {self._objective} {value:.6g}."

    def _all_seconds(self) -> dict[str, float]:
        self._charge()
        total = self._seconds_before + time.monotonic() - self._clock
        return {name: round(s, 3) for name, s in {**self._seconds, "total": total}.items()}


def _succeeded(file: Path) -> str | None:
    """The fingerprint of the trial that has succeeded and left this result."""
    try:
        result = json.loads(file.read_text())
        return str(result["fingerprint"]) if result["state"] == "Succeeded" else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cpu_seconds() -> float:
    """User and system time of this process and of its finished children."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_memory_mb() -> float:
    """The largest resident size of this process so far, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
