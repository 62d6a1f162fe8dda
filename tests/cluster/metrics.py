"""Katib's metrics path (v0.19): what the collector reads out of a log, and the database."""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.cluster.resources import Json

DEFAULT_FILTER = r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)"
UNAVAILABLE = "unavailable"
ZERO_TIME = "0001-01-01T00:00:00Z"
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


class CollectorError(Exception):
    """The collector ends with an error: nothing is stored, and its container fails."""


@dataclass(frozen=True)
class Row:
    """One stored value; `time` is RFC 3339, the value text as it was printed."""

    time: str
    name: str
    value: str


class Database:
    """The observation log. Trial names are not namespaced: equal names share rows."""

    def __init__(self) -> None:
        self._rows: dict[str, list[Row]] = defaultdict(list)
        self._lock = threading.Lock()

    def report(self, trial: str, rows: Iterable[Row]) -> None:
        with self._lock:
            self._rows[trial] += rows

    def rows(self, trial: str) -> list[Row]:
        """What was reported for a Trial, ordered by time, then by when it came in."""
        with self._lock:
            return sorted(self._rows.get(trial, ()), key=lambda row: row.time)

    def delete(self, trial: str) -> None:
        with self._lock:
            self._rows.pop(trial, None)


def metric_names(trial: Json) -> list[str]:
    """The objective first, then the additional metrics."""
    objective = trial["spec"]["objective"]
    return [objective["objectiveMetricName"], *(objective.get("additionalMetricNames") or ())]


def filters_of(collecting: Json) -> list[str]:
    source = collecting.get("source") or {}
    return (source.get("filter") or {}).get("metricsFormat") or [DEFAULT_FILTER]


def collect(lines: Sequence[str], trial: Json) -> list[Row]:
    """The rows of a finished program's log; one `unavailable` if the objective is nowhere.

    Raises CollectorError for a line that is no JSON (format JSON) and for a bad filter.
    """
    collecting, names = trial["spec"]["metricsCollector"], metric_names(trial)
    path = (collecting.get("source") or {}).get("fileSystemPath") or {}
    if path.get("format") == "JSON":
        rows = [row for line in lines for row in _json_rows(line, names)]
    else:
        rows = list(_text_rows(lines, names, filters_of(collecting)))
    if any(row.name == names[0] for row in rows):
        return rows
    return [Row(ZERO_TIME, names[0], UNAVAILABLE)]


def _text_rows(lines: Iterable[str], names: Sequence[str], filters: Sequence[str]) -> Iterator[Row]:
    try:
        patterns = [re.compile(text, re.ASCII) for text in filters]
    except re.error as error:
        raise CollectorError(f"error parsing regexp: {error}") from error
    for line in lines:
        if not any(name in line for name in names):
            continue
        first, _, _ = line.partition(" ")
        time = first if RFC3339.fullmatch(first) and " " in line else ZERO_TIME
        for pattern in patterns:
            for match in pattern.finditer(line):
                if match[1].strip() in names:
                    yield Row(time, match[1].strip(), match[2].strip())


def _json_rows(line: str, names: Sequence[str]) -> Iterator[Row]:
    """One object a line; only values that are strings count."""
    if not line.strip():
        return
    try:
        record = json.loads(line)
    except ValueError as error:
        raise CollectorError(f"Failed to parse logs as JSON: {error}") from error
    time = _json_time(record.get("timestamp"))
    for name in names:
        if isinstance(value := record.get(name), str):
            yield Row(time, name, value)


def _json_time(stamp: object) -> str:
    if isinstance(stamp, str) and RFC3339.fullmatch(stamp):
        return stamp
    if isinstance(stamp, int | float):
        return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return ZERO_TIME


def observation(rows: Sequence[Row], strategies: Sequence[Json]) -> Json | None:
    """A Trial's status.observation; None while nothing at all was reported."""
    if not rows:
        return None
    return {"metrics": [_metric(one["name"], rows) for one in strategies]}


def _metric(name: str, rows: Sequence[Row]) -> Json:
    own = [row.value for row in rows if row.name == name]
    numbers = [text for text in own if as_number(text) is not None]
    low = min(numbers, key=float, default=UNAVAILABLE)
    high = max(numbers, key=float, default=UNAVAILABLE)
    return {"name": name, "min": low, "max": high, "latest": own[-1] if own else UNAVAILABLE}


def as_number(text: str) -> float | None:
    """The number that Go's ParseFloat reads, None for "", words and the like."""
    try:
        return float(text) if text == text.strip() and "_" not in text else None
    except ValueError:
        return None


def is_available(trial: Json) -> bool:
    """Whether the objective's latest value is anything but `unavailable` ("" is a value)."""
    name = trial["spec"]["objective"]["objectiveMetricName"]
    metrics = (trial.get("status", {}).get("observation") or {}).get("metrics", ())
    return any(one["name"] == name and one["latest"] != UNAVAILABLE for one in metrics)


def objective_value(trial: Json) -> str:
    """The value that counts, by the objective's strategy; `unavailable` where there is none."""
    objective = trial["spec"]["objective"]
    name = objective["objectiveMetricName"]
    strategies = objective.get("metricStrategies") or ()
    strategy = next((one["value"] for one in strategies if one["name"] == name), "")
    for metric in (trial.get("status", {}).get("observation") or {}).get("metrics", ()):
        if metric["name"] == name and strategy:
            value: str = metric.get(strategy, UNAVAILABLE)
            return metric["latest"] if value == UNAVAILABLE else value
    return UNAVAILABLE
