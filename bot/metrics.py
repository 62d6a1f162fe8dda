"""Counts and gauges, and the text in which Prometheus reads them (exposition format 0.0.4)."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Metric:
    """One metric as it is now: its values by the values of its `labels`."""

    kind: Literal["counter", "gauge"]
    name: str
    help: str
    values: Mapping[tuple[str, ...], float]
    labels: tuple[str, ...] = ()


def gauge(name: str, help_text: str, value: float) -> Metric:
    """A gauge without labels."""
    return Metric("gauge", name, help_text, {(): value})


class Tally:
    """A counter; safe from several threads. Its name ends in `_total`, or in a unit before that."""

    def __init__(self, name: str, help_text: str, *labels: str) -> None:
        self._name, self._help, self._labels = name, help_text, labels
        self._values: dict[tuple[str, ...], float] = {} if labels else {(): 0.0}
        self._lock = threading.Lock()

    def add(self, *values: str, by: float = 1.0) -> None:
        """Count one more (or `by`) under these values of the labels."""
        if len(values) != len(self._labels):
            raise ValueError(f"{self._name} has the labels {self._labels}; received {values}")
        with self._lock:
            self._values[values] = self._values.get(values, 0.0) + by

    def metric(self) -> Metric:
        with self._lock:
            return Metric("counter", self._name, self._help, dict(self._values), self._labels)


def text(metrics: Iterable[Metric]) -> str:
    """The page that Prometheus scrapes."""
    return "".join(f"{line}\n" for each in metrics for line in _lines(each))


def _lines(metric: Metric) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.help}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for values, value in sorted(metric.values.items()):
        pairs = zip(metric.labels, values, strict=True)
        labels = ",".join(f'{name}="{_escaped(of)}"' for name, of in pairs)
        yield (
            f"{metric.name}{{{labels}}} {float(value)}"
            if labels
            else f"{metric.name} {float(value)}"
        )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
