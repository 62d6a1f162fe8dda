"""What a bench says of the machine, and what some work costs on it: CPU seconds beside wall."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True)
class Spent:
    """Seconds: by the clock, and of CPUs in this process and its finished children."""

    wall_s: float
    cpu_s: float


def spent(act: Callable[[], object]) -> Spent:
    """What `act` costs."""
    wall, cpu = time.perf_counter(), cpu_s()
    act()
    return Spent(time.perf_counter() - wall, cpu_s() - cpu)


def cpu_s() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def headline() -> str:
    """Date, processor, cores and load, for a table's first line."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {_processor()}, {os.cpu_count()} cores, load {load}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def table(*heads: str) -> None:
    """Prints the head of a Markdown table."""
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)


def row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error; no error (0) of a single value."""
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return statistics.mean(values), error


def plus_minus(values: Sequence[float], digits: int = 3) -> str:
    """`0.712 ± 0.004`: mean and standard error."""
    mean, error = mean_and_error(values)
    return f"{mean:.{digits}f} ± {error:.{digits}f}"
