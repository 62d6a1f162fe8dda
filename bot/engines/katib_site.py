"""One namespace as the Katib engine sees it: mirrors of what is there, by Experiment, and records.

Reads come from watches; nothing is asked of the API server while nothing changes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from bot.engines import katib_pods, katib_records, katib_trials
from bot.engines.base import taken, unknown
from bot.engines.katib_objects import LABEL_EXPERIMENT, LABEL_KATIB_EXPERIMENT, Cluster
from bot.engines.katib_state import End, State
from bot.engines.katib_watch import Mirror
from bot.engines.katib_wire import (
    ConfigMap,
    Event,
    KatibExperiment,
    KatibTrial,
    Listed,
    Object,
    Pod,
)
from bot.engines.kube import CONFIG_MAPS, EVENTS, EXPERIMENTS, PODS, TRIALS, Kube
from bot.engines.kube_errors import ApiError
from bot.errors import EngineError
from bot.status import Record

log = logging.getLogger(__name__)

FIRST_LIST_S = 30.0
FAULT_GRACE_S = 10.0
LOG_LINES = 200
LOG_BYTES = 65536
KEPT_LOGS = 500
LOG_READERS = 4
LOG_WAIT_S = 5.0
AS_METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

Change = Callable[[Record, State], tuple[Record, State]]


@dataclass(frozen=True)
class Entry:
    """A record as it is stored."""

    record: Record
    state: State
    version: str

    @property
    def is_open(self) -> bool:
        return not self.record.told.ended


@dataclass
class Watched:
    """What is known of one Experiment's trials and pods."""

    trials: dict[str, KatibTrial] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    # Of pods that are gone: GPU seconds by pod uid, with the trial that they belonged to.
    gone: dict[str, tuple[str, float]] = field(default_factory=dict)
    ends: dict[str, End] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    # What ended a trial's Workers from outside: the Master's own words know nothing of it.
    felled: dict[str, End] = field(default_factory=dict)
    # Names of trials in the order in which they were first looked at.
    order: tuple[str, ...] = ()
    # What the Suggestion said when it failed.
    suggestion: str = ""


class Site:
    """A namespace. `changed` is told the name of an Experiment of which something is new."""

    def __init__(self, kube: Kube, cluster: Cluster, changed: Callable[[str], None]) -> None:
        self.kube = kube
        self.cluster = cluster
        self._changed = changed
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._watched: dict[str, Watched] = {}
        self._reading: dict[str, Future[None]] = {}
        self._made: set[str] = set()
        self._clean: set[str] = set()
        self._readers: ThreadPoolExecutor | None = None
        here = cluster.namespace
        self.records = Mirror(
            kube, CONFIG_MAPS.path(here), ConfigMap,
            label=f"{katib_records.LABEL_OPEN}=true", changed=self._record_changed,
        )  # fmt: skip
        self.experiments = Mirror(
            kube, EXPERIMENTS.path(here), KatibExperiment,
            label=LABEL_EXPERIMENT, changed=self._experiment_changed,
        )  # fmt: skip
        self.trials = Mirror(
            kube, TRIALS.path(here), KatibTrial,
            label=LABEL_KATIB_EXPERIMENT, changed=self._trial_changed,
        )  # fmt: skip
        self.pods = Mirror(
            kube, PODS.path(here), Pod, label=LABEL_KATIB_EXPERIMENT, changed=self._pod_changed
        )
        self.events = Mirror(
            kube, EVENTS.path(here), Event, field="type=Warning", changed=self._event_changed
        )
        self._started = False
        # Mirrors that were read once; since when they cannot be.
        self._faulty: dict[Mirror[Any], float | None] = {}

    # --- watching ---------------------------------------------------------------------------------

    @property
    def _mirrors(self) -> tuple[Mirror[Any], ...]:
        return self.records, self.experiments, self.trials, self.pods, self.events

    def ready(self) -> Site:
        """The site, with every mirror filled.

        Raises:
            EngineError: one of them cannot be read at the moment; the reason.
        """
        with self._lock:
            if not self._started:
                self._started = True
                self._readers = ThreadPoolExecutor(LOG_READERS, thread_name_prefix="katib-logs")
                for mirror in self._mirrors:
                    mirror.start()
        for mirror in self._mirrors:
            if not mirror.wait(FIRST_LIST_S) or mirror.error:
                self._tolerate(mirror)
            else:
                self._faulty[mirror] = None
        return self

    def _tolerate(self, mirror: Mirror[Any]) -> None:
        """A watch that begins anew is no trouble while it takes a moment only.

        Raises:
            EngineError: it was never read, or could not be for FAULT_GRACE_S.
        """
        error = mirror.error
        if mirror in self._faulty:
            since = self._faulty[mirror] or time.monotonic()
            self._faulty[mirror] = since
            if error is None or time.monotonic() - since < FAULT_GRACE_S:
                return
        raise error or EngineError(
            f"The namespace `{self.cluster.namespace}` could not be read within "
            f"{FIRST_LIST_S:g} seconds.",
            hint="`katib-tune doctor` says what is wrong with the cluster.",
        )

    def close(self) -> None:
        with self._lock:
            if not self._started:
                return
        for mirror in self._mirrors:
            mirror.close()
        if self._readers:
            self._readers.shutdown(cancel_futures=True)

    def watched(self, name: str, order: tuple[str, ...] = ()) -> Watched:
        """A copy of what is known of an Experiment; `order` is what is remembered of the order."""
        with self._lock:
            known = self._watched.get(name)
            if known is None:
                return Watched()
            kept = order + tuple(each for each in known.order if each not in order)
            trials = katib_trials.in_order(known.trials.values(), kept)
            known.order = tuple(trial.metadata.name for trial in trials)
            return Watched(
                trials=dict(known.trials), pods=dict(known.pods), gone=dict(known.gone),
                ends={**known.ends, **known.felled}, logs=dict(known.logs),
                order=known.order, suggestion=known.suggestion,
            )  # fmt: skip

    def note_suggestion(self, name: str, words: str) -> None:
        """Remember what a Suggestion said when it failed."""
        with self._lock:
            self._watched.setdefault(name, Watched()).suggestion = words

    def warnings(self, name: str) -> list[Event]:
        """The Warning events of an Experiment and of everything that is named after it."""
        return [
            event
            for event in self.events.values()
            if event.involved_object.name == name
            or event.involved_object.name.startswith(f"{name}-")
        ]

    def forget(self, name: str) -> None:
        """Let go of what an Experiment that is closed has left behind here."""
        with self._lock:
            if known := self._watched.get(name):
                known.gone, known.ends, known.felled, known.logs = {}, {}, {}, {}
            self._clean.discard(name)
            self._made = {each for each in self._made if not each.startswith(f"{name}-")}

    def made(self, job: str) -> bool:
        """Whether a job of ours is known to have been created; False only costs a call."""
        return job in self._made

    def note_made(self, job: str) -> None:
        self._made.add(job)

    def is_clean(self, name: str) -> bool:
        """Whether an Experiment that ended is known to have left nothing that runs."""
        return name in self._clean

    def note_clean(self, name: str) -> None:
        self._clean.add(name)

    # --- records ----------------------------------------------------------------------------------

    def open_entries(self) -> list[Entry]:
        """Every record whose end has not been told."""
        with self._lock:
            return list(self._entries.values())

    def knows(self, name: str) -> bool:
        """Whether an open record of that name is here, as far as is known without asking."""
        with self._lock:
            return name in self._entries

    def entry(self, name: str) -> Entry | None:
        """The record of that name, from memory if it is open; None if there is none."""
        with self._lock:
            if name in self._entries:
                return self._entries[name]
        return self.read(name)

    def read(self, name: str) -> Entry | None:
        """The record of that name, from the API server; None if there is none."""
        path = CONFIG_MAPS.path(self.cluster.namespace, katib_records.config_map_name(name))
        try:
            found = msgspec.json.decode(self.kube.get(path), type=ConfigMap)
        except ApiError as error:
            if error.is_missing:
                return None
            raise
        return _entry(found)

    def create(self, record: Record, state: State) -> Entry:
        """Write a new record; the same record again changes nothing.

        Raises:
            EngineError: another record has that name (field="name").
        """
        body = katib_records.to_config_map(record, state, self.cluster.namespace)
        try:
            answer = self.kube.post(CONFIG_MAPS.path(self.cluster.namespace), body)
        except ApiError as error:
            known = self.read(record.name) if error.is_taken else None
            if known is None:
                raise
            if known.record.uid != record.uid:
                raise taken(record.name) from error
            return known
        return self._written(answer)

    def update(self, name: str, change: Change) -> Entry:
        """Change a record; `change` is asked again if somebody else changed it meanwhile.

        Raises:
            NotFoundError: there is no record of that name.
        """
        entry = self.entry(name)
        while True:
            if entry is None:
                raise unknown(name)
            record, state = change(entry.record, entry.state)
            if (record, state) == (entry.record, entry.state):
                return entry
            here = self.cluster.namespace
            body = katib_records.to_config_map(record, state, here, entry.version)
            path = CONFIG_MAPS.path(here, katib_records.config_map_name(name))
            try:
                return self._written(self.kube.put(path, body))
            except ApiError as error:
                if not (error.is_conflict or error.is_missing):
                    raise
                entry = self.read(name)

    def headers(self) -> Iterable[Object]:
        """The metadata of every record, open or not, page by page."""
        follow = ""
        while True:
            answer = self.kube.get(
                CONFIG_MAPS.path(self.cluster.namespace), accept=AS_METADATA, limit=500,
                labelSelector=f"{katib_records.LABEL_RECORD}=true", **{"continue": follow},
            )  # fmt: skip
            page = msgspec.json.decode(answer, type=Listed[Object])
            yield from page.items or ()
            follow = page.metadata.continue_
            if not follow:
                return

    def _written(self, answer: bytes) -> Entry:
        written = msgspec.json.decode(answer, type=ConfigMap)
        entry = _entry(written)
        if entry.is_open:
            self.records.put(written)
        else:
            self.records.drop(written.metadata.name, written.metadata.uid)
        return entry

    # --- what the watches call --------------------------------------------------------------------

    def _record_changed(self, before: ConfigMap | None, after: ConfigMap | None) -> None:
        changed = after or before
        if changed is None:
            return
        name = changed.metadata.labels.get(LABEL_EXPERIMENT, "")
        if after is None:
            with self._lock:
                self._entries.pop(name, None)
            self.forget(name)
            self._changed(name)
            return
        try:
            entry = _entry(after)
        except EngineError as error:
            log.error("%s", error)
            return
        with self._lock:
            self._entries[name] = entry
        self._changed(name)

    def _experiment_changed(
        self, before: KatibExperiment | None, after: KatibExperiment | None
    ) -> None:
        if changed := after or before:
            self._changed(changed.metadata.name)

    def _trial_changed(self, before: KatibTrial | None, after: KatibTrial | None) -> None:
        changed = after or before
        if changed is None:
            return
        name = changed.metadata.labels.get(LABEL_KATIB_EXPERIMENT, "")
        with self._lock:
            known = self._watched.setdefault(name, Watched()).trials
            if after is not None:
                known[after.metadata.name] = after
            else:
                known.pop(changed.metadata.name, None)
        self._changed(name)

    def _pod_changed(self, before: Pod | None, after: Pod | None) -> None:
        changed = after or before
        if changed is None:
            return
        name = changed.metadata.labels.get(LABEL_KATIB_EXPERIMENT, "")
        with self._lock:
            known = self._watched.setdefault(name, Watched())
            if after is not None:
                known.pods[after.metadata.name] = after
            else:
                known.pods.pop(changed.metadata.name, None)
                self._remember_gone(known, changed)
        if after is not None:
            self._catch_log(name, after)
        self._changed(name)

    def _remember_gone(self, known: Watched, pod: Pod) -> None:
        trial = katib_pods.trial_of(pod)
        held = katib_pods.gpu_seconds([pod], self.cluster.template.gpu_resource, datetime.now(UTC))
        if trial and held.get(trial):
            known.gone[pod.metadata.uid] = (trial, held[trial])

    def _event_changed(self, before: Event | None, after: Event | None) -> None:
        if after is None:
            return
        about = after.involved_object.name
        with self._lock:
            names = [n for n in self._entries if about == n or about.startswith(f"{n}-")]
        for name in names:
            self._changed(name)

    # --- logs, while there are any ----------------------------------------------------------------

    def _catch_log(self, name: str, pod: Pod) -> None:
        """Read a pod's last lines as soon as it ends: Katib deletes it within seconds."""
        if not katib_pods.has_ended(pod):
            return
        if not katib_pods.is_primary(pod):
            self._note_felled(name, pod)
            return
        with self._lock:
            ours = name in self._entries
            if not ours or pod.metadata.uid in self._reading or self._readers is None:
                return
            self._reading[pod.metadata.uid] = self._readers.submit(self._read_end, name, pod)
            while len(self._reading) > KEPT_LOGS:
                self._reading.pop(next(iter(self._reading)))

    def _note_felled(self, name: str, pod: Pod) -> None:
        trial, end = katib_pods.trial_of(pod), katib_pods.end_from_outside(pod)
        with self._lock:
            if trial and end and name in self._entries:
                known = self._watched.setdefault(name, Watched())
                known.felled[trial] = End(reason=end[0], message=end[1])

    def _read_end(self, name: str, pod: Pod) -> None:
        trial = katib_pods.trial_of(pod)
        try:
            text = self.tail(pod)
        except EngineError as error:
            log.info("the log of %s could not be read: %s", pod.metadata.name, error)
            text = ""
        if not trial:
            return
        end = katib_pods.end_of(pod, text)
        with self._lock:
            known = self._watched.setdefault(name, Watched())
            if text:
                known.logs[trial] = text
                while len(known.logs) > KEPT_LOGS:
                    known.logs.pop(next(iter(known.logs)))
            if end:
                known.ends[trial] = End(reason=end[0], message=end[1])
        self._changed(name)

    def caught_log(self, name: str, trial: str) -> str:
        """The last lines of a trial whose pods are gone; "" if they were not caught."""
        with self._lock:
            under_way = list(self._reading.values())
        wait_for(under_way, timeout=LOG_WAIT_S)
        with self._lock:
            known = self._watched.get(name)
            return known.logs.get(trial, "") if known else ""

    def tail(self, pod: Pod, lines: int = LOG_LINES, most_bytes: int = LOG_BYTES) -> str:
        """A pod's last lines.

        Raises:
            ApiError: the pod is gone, or its container has not started.
        """
        answer = self.kube.get(
            PODS.path(self.cluster.namespace, pod.metadata.name, "log"),
            container=katib_pods.log_container(pod), tailLines=lines, limitBytes=most_bytes,
        )  # fmt: skip
        return katib_pods.clean_log(answer.decode("utf-8", "replace"))


def _entry(found: ConfigMap) -> Entry:
    record, state = katib_records.from_config_map(found)
    return Entry(record, state, found.metadata.resource_version)


def gone_seconds(gone: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """GPU seconds of pods that are gone, by trial."""
    seconds: dict[str, float] = {}
    for trial, held in gone.values():
        seconds[trial] = seconds.get(trial, 0.0) + held
    return seconds
