"""An engine that keeps Experiments in memory and runs nothing: tests say what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from bot.engines.base import Capability, Query, WithoutActions
from bot.errors import EngineError, NotFoundError, SpecError
from bot.spec import TuneSpec
from bot.status import Experiment, ExperimentCondition, Record, Thread, Told


class MemoryEngine(WithoutActions):
    """Hands out the same object until something changes, as an engine that watches does.

    `fails` is raised by the next polls while it is set. While `hold` is clear, a poll that has read
    what there is waits before it answers; `reading` is set as soon as one has read.
    """

    name = "memory"
    capabilities: frozenset[Capability] = frozenset({"stop", "logs"})

    def __init__(self) -> None:
        self.known: dict[str, Experiment] = {}
        self.polls = self.at_once = self.most_at_once = 0
        self.fails: Exception | None = None
        self.keeps_going = False
        self.hold, self.reading = Event(), Event()
        self.hold.set()
        self._callbacks: list[Callable[[], None]] = []

    # What tests do

    def put(self, experiment: Experiment) -> None:
        """The Experiment as it is from now on; its record stays, if there is one."""
        before = self.known.get(experiment.name)
        kept = {"record": before.record} if before else {}
        self.known[experiment.name] = experiment.model_copy(update=kept)
        self._changed()

    # The protocol

    def check(self, spec: TuneSpec, channel: str | None = None) -> tuple[SpecError, ...]:
        return ()

    def save(self, record: Record) -> None:
        raise NotImplementedError("tests `put`")

    def attach(self, name: str, thread: Thread) -> None:
        self._update(name, thread=thread)

    def submit(self, name: str) -> Experiment:
        return self._update(name, submitted=True)

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def poll(self) -> list[Experiment]:
        self.polls += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            found = [e for e in list(self.known.values()) if e.is_open]
            self.reading.set()
            if self.fails is not None:
                raise self.fails
            assert self.hold.wait(30)
            return found
        finally:
            self.at_once -= 1

    def get(self, name: str) -> Experiment:
        if name not in self.known:
            raise NotFoundError(f"There is no Experiment `{name}`.")
        return self.known[name]

    def find(self, query: Query) -> list[Experiment]:
        return [e for e in self.known.values() if query.text in e.name]

    def mark_told(self, name: str, told: Told) -> None:
        self._update(name, told=told)

    def stop(self, name: str, by: str) -> Experiment:
        if self.keeps_going:
            raise EngineError(f"`{name}` was not started here.")
        self._update(name, stopped_by=by)
        found = self.get(name)
        killed = {"condition": ExperimentCondition.KILLED, "reason": "StoppedByUser"}
        status = found.status.model_copy(update=killed)
        self.put(found.model_copy(update={"status": status}))
        return self.get(name)

    def logs(self, name: str, trial: str) -> str:
        return ""

    def close(self) -> None:
        pass

    def _update(self, name: str, **facts: object) -> Experiment:
        found = self.get(name)
        record = found.record.model_copy(update=facts)
        self.known[name] = found.model_copy(update={"record": record})
        self._changed()
        return self.known[name]

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()
