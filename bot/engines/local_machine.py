"""The engine's verbs, and the loop that shares the machine among its Experiments.

One thread does everything, so that the study file has one writer and nothing needs a lock: requests
and the ends of trials come through `inbox`.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from bot.engines import local_records
from bot.engines.base import Query, taken, unknown
from bot.engines.local_check import cpus
from bot.engines.local_process import LOG_FILE, last_lines
from bot.engines.local_records import BROKEN, StudyFile, experiment_folder, explain
from bot.engines.local_search import Search
from bot.errors import EngineError, NotFoundError, TuneError
from bot.spec import TuneSpec
from bot.status import Experiment, Record, Thread, Told, TrialStatus

RETRY_S = 5.0
IDLE_S = 600.0  # an engine that has nothing to do and is asked nothing ends
DEFECTS = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
log = logging.getLogger(__name__)


class Machine:
    """All Experiments of one state folder.

    Args:
        cores, gpus: what trials may use.
        now: the clock.
    """

    def __init__(
        self, state_dir: Path, cores: int, gpus: Sequence[str], now: Callable[[], datetime]
    ) -> None:
        self._state_dir = state_dir
        self._cores = cores
        self._gpus = tuple(gpus)
        self._now = now
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._closing = False
        self._asked_at = time.monotonic()
        self._starts = 0
        self._last_start: dict[str, int] = {}
        self._trouble: dict[str, tuple[datetime, str]] = {}
        self._file = StudyFile(state_dir)
        self._searches = {name: self._search(entry) for name, entry in self._file.load().items()}

    # -- the loop

    def run(self) -> None:
        """Work until `shutdown` or `end`, or until there has been nothing to do for long."""
        while not self._closing:
            try:
                self._step()
                patience = self._patience()
            except BROKEN as error:
                log.exception("%s", explain(error, self._state_dir))
                patience = RETRY_S
            try:
                self._inbox.get(timeout=patience)()
            except queue.Empty:
                idle = time.monotonic() - self._asked_at > IDLE_S
                self._closing = self._closing or (idle and not self._active())
        self._file.close()

    def end(self) -> None:
        """Let `run` return; trials go on. From any thread."""
        self._inbox.put(self._close)

    def call(self, verb: str, arguments: Mapping[str, Any]) -> Future[Any]:
        """Have a verb done. From any thread."""
        future: Future[Any] = Future()

        def work() -> None:
            self._asked_at = time.monotonic()
            try:
                with local_records.told(self._state_dir):
                    future.set_result(_plain(VERBS[verb](self, **arguments)))
            except TuneError as error:
                future.set_exception(error)
            except DEFECTS as error:  # arguments of another version, or a defect of ours
                log.exception("%s", verb)
                future.set_exception(EngineError(f"The engine cannot do `{verb}`: {error!r}."))

        self._inbox.put(work)
        return future

    def _close(self) -> None:
        self._closing = True

    def _wake(self) -> None:
        self._inbox.put(lambda: None)

    def _patience(self) -> float:
        healthy = [s for s in self._active() if s.entry.record.name not in self._trouble]
        times = [search.next_time() for search in healthy]
        times += [at for at, _ in self._trouble.values()]
        waits = [(at - self._now()).total_seconds() for at in times if at]
        return max(0.0, min([*waits, IDLE_S]))

    def _step(self) -> None:
        for search in self._active():
            self._guarded(search, search.step)
        self._fill_slots()

    def _active(self) -> list[Search]:
        return [search for search in self._searches.values() if search.is_active]

    def _guarded(self, search: Search, work: Callable[[datetime], None]) -> None:
        """Do `work` now. If the disk refuses, the Experiment says so and it is tried again later;
        a defect (of ours, or of a sampler) ends this Experiment, not the engine.
        """
        name = search.entry.record.name
        retry_at, _ = self._trouble.get(name, (None, ""))
        if retry_at and self._now() < retry_at:
            return
        try:
            work(self._now())
            self._trouble.pop(name, None)
        except DEFECTS as error:
            log.exception("%s", name)
            sentence = f"The engine failed: {error!r}. Its log says more."
            self._guarded(search, partial(search.fail, sentence))
        except BROKEN as error:
            sentence = explain(error, self._state_dir)
            log.exception("%s: %s", name, sentence)
            self._trouble[name] = (self._now() + timedelta(seconds=RETRY_S), sentence)

    # -- slots

    def _fill_slots(self) -> None:
        """Start trials while there is room: the Experiment with the fewest, then the longest wait.

        So those that share the machine progress alike.
        """
        while waiting := [s for s in self._active() if self._has_room(s) and s.demand()]:
            search = min(
                waiting,
                key=lambda s: (len(s.trials.running), self._last_start.get(s.entry.record.name, 0)),
            )
            name = search.entry.record.name
            self._starts += 1
            self._last_start[name] = self._starts
            devices = self._free_gpus()[: search.spec.gpu]
            start = partial(search.start_trial, self._threads(search.spec), devices)
            self._guarded(search, start)
            self._guarded(search, search.step)  # a trial that cannot start may be one too many

    def _has_room(self, search: Search) -> bool:
        if search.entry.record.name in self._trouble:
            return False
        if search.spec.gpu:
            return len(self._free_gpus()) >= search.spec.gpu
        return len(self._running()) < self._cores

    def _running(self) -> list[Any]:
        return [one for search in self._active() for one in search.trials.running.values()]

    def _free_gpus(self) -> tuple[str, ...]:
        taken = {device for one in self._running() for device in one.devices}
        return tuple(device for device in self._gpus if device not in taken)

    def _threads(self, spec: TuneSpec) -> int:
        """Threads of a trial: its share of the cores, unless the spec says."""
        if spec.cpu is not None:
            return cpus(spec.cpu)
        slots = sum(len(s.trials.running) + s.demand() for s in self._active())
        return max(1, self._cores // max(1, min(slots, self._cores)))

    # -- the verbs, with arguments as they come: plain data

    def ping(self) -> None:
        """Answer."""

    def save(self, record: dict[str, Any]) -> None:
        wanted = Record.model_validate(record)
        there = self._searches.get(wanted.name)
        if there is None:
            self._searches[wanted.name] = self._search(self._file.create(wanted))
        elif there.entry.record.uid != wanted.uid:
            raise taken(wanted.name)

    def attach(self, name: str, thread: dict[str, Any]) -> None:
        search = self._find(name)
        if search.entry.record.thread is None:
            self._change(search, thread=Thread.model_validate(thread))

    def submit(self, name: str) -> Experiment:
        search = self._find(name)
        if not search.entry.record.submitted:
            self._change(search, submitted=True)
        return self._experiment(search)

    def poll(self) -> list[Experiment]:
        searches = self._searches.values()
        return [self._experiment(s) for s in searches if not s.entry.record.told.ended]

    def get(self, name: str) -> Experiment:
        return self._experiment(self._find(name))

    def find(self, query: dict[str, Any]) -> list[Experiment]:
        records = (search.entry.record for search in self._searches.values())
        found = local_records.matching(records, Query.model_validate(query))
        return [self._experiment(self._searches[record.name]) for record in found]

    def mark_told(self, name: str, told: dict[str, Any]) -> None:
        search = self._find(name)
        wanted = Told.model_validate(told)
        is_extended = search.entry.ending is None and wanted.ends > search.entry.record.told.ends
        if is_extended:  # while its end was being told: it is open
            wanted = wanted.model_copy(update={"ended": False})
        if search.entry.record.told != wanted:
            self._change(search, told=wanted)

    def stop(self, name: str, by: str) -> Experiment:
        search = self._find(name)
        search.stop(by, self._now())
        search.step(self._now())
        return self._experiment(search)

    def extend(self, name: str, max_trial_count: int, before: int, by: str) -> Experiment:
        """`before` is how many trials whoever asks knows of.

        By that the repetition of an extension that was made is told from one that is none.
        """
        search = self._find(name)
        if not before < max_trial_count == search.spec.max_trial_count:
            search.extend(max_trial_count)
            log.info("%s: max_trial_count is %s now (%s)", name, max_trial_count, by)
        return self._experiment(search)

    def set_parallel(self, name: str, parallel_trial_count: int, by: str) -> Experiment:
        search = self._find(name)
        search.set_parallel(parallel_trial_count)
        log.info("%s: parallel_trial_count is %s now (%s)", name, parallel_trial_count, by)
        return self._experiment(search)

    def retry_trial(self, name: str, trial: str, by: str) -> Experiment:
        search = self._find(name)
        search.retry(_trial(search, trial))
        log.info("%s: %s is tried again (%s)", name, trial, by)
        return self._experiment(search)

    def pause(self, name: str, by: str) -> Experiment:
        search = self._find(name)
        search.pause(by)
        return self._experiment(search)

    def resume(self, name: str, by: str) -> Experiment:
        search = self._find(name)
        search.pause(None)
        log.info("%s goes on (%s)", name, by)
        return self._experiment(search)

    def logs(self, name: str, trial: str) -> str:
        search = self._find(name)
        return last_lines(search.trials.folder(_trial(search, trial).number) / LOG_FILE)

    def shutdown(self) -> None:
        """End, running trials too, all at once: the next engine goes on with them."""
        searches = self._active()
        for search in searches:
            search.interrupt()
        for search in searches:
            search.trials.leave()
        self._closing = True

    def _find(self, name: str) -> Search:
        search = self._searches.get(name)
        if search is None:
            raise unknown(name)
        return search

    def _search(self, entry: local_records.Entry) -> Search:
        folder = experiment_folder(self._state_dir, entry.record.name)
        return Search(self._file, entry, folder, self._wake)

    def _change(self, search: Search, **changes: object) -> None:
        record = search.entry.record.model_copy(update=changes)
        self._file.write_record(search.entry, record)

    def _experiment(self, search: Search) -> Experiment:
        _, trouble = self._trouble.get(search.entry.record.name, (None, ""))
        return search.experiment(trouble)


VERBS: Mapping[str, Callable[..., Any]] = {
    verb.__name__: verb
    for verb in (
        Machine.ping,
        Machine.save,
        Machine.attach,
        Machine.submit,
        Machine.poll,
        Machine.get,
        Machine.find,
        Machine.mark_told,
        Machine.stop,
        Machine.extend,
        Machine.set_parallel,
        Machine.retry_trial,
        Machine.pause,
        Machine.resume,
        Machine.logs,
        Machine.shutdown,
    )
}


def _trial(search: Search, name: str) -> TrialStatus:
    for status in search.statuses():
        if status.name == name:
            return status
    raise NotFoundError(f"`{search.spec.name}` has no trial `{name}`.")


def _plain(value: Any) -> Any:
    """Plain data of a verb's result."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_unset=True)
    return [_plain(item) for item in value] if isinstance(value, list) else value
