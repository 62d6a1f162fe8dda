"""The metrics collector's sidecar: reads a trial's lines, stores rows, stops trials early."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tests.cluster.api import Api, ApiError
from tests.cluster.katib_defaults import FILE, PUSH, STDOUT
from tests.cluster.medianstop import met
from tests.cluster.metrics import CollectorError, Database, Row, collect
from tests.cluster.objects import with_condition
from tests.cluster.recordings import PodFacts, Recording
from tests.cluster.resources import TRIALS, Json, key_of
from tests.cluster.sidecar import COLLECTOR, LOGGER


class Collector:
    """One for all pods. Parsing happens once, after the program's end, except for stop rules."""

    def __init__(self, api: Api, database: Database) -> None:
        self._api = api
        self._database = database
        self._live: dict[str, list[Row]] = defaultdict(list)

    def redirects(self, trial: Json | None) -> bool:
        """Whether a trial's output goes to the metrics file instead of its log."""
        return trial is not None and _kind(trial) == STDOUT

    def stops(self, trial: Json | None, line: str) -> bool:
        """Takes a line in while it is printed; whether the Trial is to be stopped early."""
        if trial is None or not trial["spec"].get("earlyStoppingRules"):
            return False
        if _kind(trial) not in (STDOUT, FILE):
            return False
        rows = self._live[trial["metadata"]["name"]]
        rows += [row for row in collect([line], trial) if row.value != "unavailable"]
        return met(trial, rows)

    def finish(self, facts: PodFacts, recording: Recording, code: int, *, stopped: bool) -> int:
        """Stores what the main program left; returns the sidecar's exit code."""
        texts = [line.text for line in recording.lines]
        return self.store(facts, texts, code, stopped=stopped)

    def store(self, facts: PodFacts, texts: Sequence[str], code: int, *, stopped: bool) -> int:
        """A main program that failed makes the collector fail: there is no marker file."""
        trial = facts.trial
        if trial is None:
            return 0
        if _kind(trial) == PUSH:
            self._push(trial, texts)
            return 0
        names = {one["name"] for one in facts.pod["spec"]["containers"]}
        if not names & {LOGGER, COLLECTOR}:
            return 0
        if code != 0:
            return 1
        name = trial["metadata"]["name"]
        try:
            rows = self._live.pop(name) if stopped else collect(texts, trial)
        except CollectorError:
            return 1
        self._database.report(name, rows)
        if stopped:
            self._mark_stopped(trial)
        return 0

    def _push(self, trial: Json, texts: Sequence[str]) -> None:
        """What the program itself reported while it ran."""
        rows = [row for row in collect(texts, trial) if row.value != "unavailable"]
        self._database.report(trial["metadata"]["name"], rows)

    def _mark_stopped(self, trial: Json) -> None:
        """What the early-stopping service does: it appends to the conditions, and no more."""
        try:
            stored = self._api.get(TRIALS, *key_of(trial))
            conditions = with_condition(
                stored["status"]["conditions"],
                "EarlyStopped",
                "TrialEarlyStopped",
                "Trial is early stopped",
            )
            status = {"status": {"conditions": conditions}}
            self._api.patch(TRIALS, *key_of(trial), status, "status")
        except ApiError as error:
            if error.status != 404:
                raise


def _kind(trial: Json) -> str:
    kind: str = trial["spec"]["metricsCollector"]["collector"]["kind"]
    return kind
