"""The Katib engine: Experiments on a cluster, their records beside them, followed by watches."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bot import trial_check
from bot.engines import (
    changes,
    endings,
    katib_adopt,
    katib_command,
    katib_drive,
    katib_look,
    katib_objects,
    katib_pods,
    katib_records,
    katib_resume,
)
from bot.engines.base import Capability, Query, WithoutActions, taken, unknown
from bot.engines.katib_objects import Cluster
from bot.engines.katib_places import Places
from bot.engines.katib_site import Entry, Site
from bot.engines.katib_state import OwnTrial, State
from bot.engines.katib_template import TrialTemplate
from bot.engines.katib_wire import KatibExperiment
from bot.engines.kube import EXPERIMENTS, Kube
from bot.engines.kube_errors import ApiError
from bot.errors import EngineError, NotFoundError, SpecError
from bot.spec import NAME, TuneSpec
from bot.status import (
    Experiment,
    Record,
    Thread,
    Told,
    TrialStatus,
)

log = logging.getLogger(__name__)

# How long after a refusal of the cluster the same step is tried again.
RETRY_S = 15.0
# How often an Experiment is looked at whose pods wait, or whose own jobs run: no watch says when
# a wait has become too long.
WAITING_S = 5.0


class KatibEngine(WithoutActions):
    """Fulfils `engines.base.Engine`.

    Args:
        places: which channel's Experiments run where.
        trainer_image: image of the trials, with a tag.
        template: what every trial's pods have besides.
        connect: an API server for a kubeconfig context (None: the current one, or in a cluster).
        now: the clock.
    """

    name = "katib"
    capabilities: frozenset[Capability] = frozenset(
        {"stop", "logs", "extend", "parallel", "retry", "adopt"}
    )

    def __init__(
        self,
        places: Places,
        *,
        trainer_image: str,
        template: TrialTemplate | None = None,
        connect: Callable[[str | None], Kube] = Kube,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._places = places
        self._now = now
        self._listeners: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._polling = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._new: set[str] = set()
        self._due: dict[str, datetime] = {}
        self._shown: dict[str, Experiment] = {}
        self._kubes = {context: connect(context) for context in {p.context for p in places.all}}
        self._sites = {
            place: Site(
                self._kubes[place.context],
                Cluster(
                    namespace=place.namespace,
                    trainer_image=trainer_image,
                    template=template or TrialTemplate(),
                ),
                self._changed,
            )
            for place in places.all
        }

    # --- before it exists -------------------------------------------------------------------------

    def check(self, spec: TuneSpec, channel: str | None = None) -> tuple[SpecError, ...]:
        """What would be refused: by us, or by the cluster in a dry run of every object."""
        refused = (
            *self._places.refusal(spec, channel),
            *trial_check.problems(spec),
            *katib_command.refusals(spec),
        )
        if refused:
            return refused
        if self._found(spec.name):
            known = taken(spec.name)
            return (SpecError(known.message, hint=known.hint, field=known.field),)
        site = self._sites[self._places.of(channel)]
        return tuple(_dry_run(site, spec))

    def save(self, record: Record) -> None:
        place = self._places.of(record.channel)
        for site in self._sites.values():
            known = site.entry(record.name) if site is not self._sites[place] else None
            if known is not None and known.record.uid != record.uid:
                raise taken(record.name)
        self._sites[place].create(record, State())

    def attach(self, name: str, thread: Thread) -> None:
        def change(record: Record, state: State) -> tuple[Record, State]:
            return record.model_copy(update={"thread": record.thread or thread}), state

        self._located(name)[0].update(name, change)

    def submit(self, name: str) -> Experiment:
        site, entry = self._located(name)
        if not entry.is_open:
            return self._look(site, entry)

        def change(record: Record, state: State) -> tuple[Record, State]:
            return record.model_copy(update={"submitted": True}), state

        site.ready()
        site.update(name, change)
        return self._advance(site, name)

    # --- following --------------------------------------------------------------------------------

    def on_change(self, callback: Callable[[], None]) -> None:
        self._listeners.append(callback)

    def poll(self) -> list[Experiment]:
        """Costs what has changed since the last call; asks nothing while nothing changes."""
        with self._polling:
            now = self._now()
            with self._lock:
                new, self._new = self._new, set()
            return [
                self._polled(site, entry.record.name, new, now)
                for site in self._sites.values()
                for entry in site.ready().open_entries()
            ]

    def _polled(self, site: Site, name: str, new: set[str], now: datetime) -> Experiment:
        due, shown = self._due.get(name), self._shown.get(name)
        if shown is None or name in new or (due and due <= now):
            return self._advance(site, name)
        return shown

    def get(self, name: str) -> Experiment:
        return self._look(*self._located(name))

    def find(self, query: Query) -> list[Experiment]:
        wanted = query.text.lower()
        if NAME.fullmatch(wanted) and (found := self._found(wanted)):
            return [self._look(*found)]
        heads = [
            (head.metadata.annotations.get(katib_records.CREATED, ""), site, head.metadata)
            for site in self._sites.values()
            for head in site.headers()
        ]
        matching = []
        for _, site, meta in sorted(heads, key=lambda head: head[0], reverse=True):
            name = meta.labels.get(katib_objects.LABEL_EXPERIMENT, "")
            words = (name, *(meta.annotations.get(each, "") for each in katib_records.SEARCHED))
            matches = any(wanted in word.lower() for word in words)
            if matches and (entry := site.entry(name)):
                matching.append(self._look(site, entry))
            if len(matching) == query.limit:
                break
        return matching

    def mark_told(self, name: str, told: Told) -> None:
        def change(record: Record, state: State) -> tuple[Record, State]:
            return record.model_copy(update={"told": told}), state

        self._located(name)[0].update(name, change)
        if told.ended:
            self._shown.pop(name, None)
            self._due.pop(name, None)

    def logs(self, name: str, trial: str) -> str:
        site, entry = self._located(name)
        wanted = _trial(self._look(site, entry), trial)
        watched = site.watched(name)
        mine = [p for p in watched.pods.values() if katib_pods.trial_of(p) == wanted.name]
        primary = [pod for pod in mine if katib_pods.is_primary(pod)]
        if primary:
            try:
                return site.tail(primary[-1])
            except ApiError as error:
                if not (error.is_missing or error.is_permanent):
                    raise
        kept = site.caught_log(name, wanted.name) or entry.state.logs.get(wanted.name)
        if kept:
            return kept
        if not wanted.condition.is_final:
            raise NotFoundError(
                f"`{wanted.name}` has not printed anything yet: its pod has not started.",
                hint=f"`status {name}` says what it waits for.",
            )
        raise NotFoundError(
            f"The log of `{wanted.name}` is gone: Katib deletes a trial's pods when it ends.",
            hint="Logs of failed trials are kept; `retain_trials=true` keeps those of all.",
        )

    # --- acting -----------------------------------------------------------------------------------

    def stop(self, name: str, by: str) -> Experiment:
        site, entry = self._located(name)
        if entry.record.adopted:
            raise EngineError(
                f"`{name}` was not started here, so it is not deleted from here.",
                hint=f"kubectl delete experiment {name} -n {site.cluster.namespace}",
            )
        if self._look(site, entry).status.condition.is_final:
            return self._look(site, entry)
        ending = endings.stopped(by, self._now())
        with self._lock_of(name):
            entry = katib_drive.end(site.ready(), entry, ending, by)
        return self._look(site, entry)

    def extend(self, name: str, max_trial_count: int, by: str) -> Experiment:
        site, entry, made = self._with_experiment(name)
        katib_resume.check_extension(entry.record.spec, entry.state, made, max_trial_count)
        self._patch(site, made, {"maxTrialCount": max_trial_count})
        log.info("%s: max_trial_count is %s now (%s)", name, max_trial_count, by)

        def change(record: Record, state: State) -> tuple[Record, State]:
            spec = record.spec.model_copy(update={"max_trial_count": max_trial_count})
            told = record.told.model_copy(update={"ended": False})  # its ends stay told
            return (
                record.model_copy(update={"spec": spec, "told": told}),
                state.model_copy(update={"ending": None, "trials": ()}),
            )

        site.update(name, change)
        return self._advance(site, name)

    def set_parallel(self, name: str, parallel_trial_count: int, by: str) -> Experiment:
        site, entry, made = self._with_experiment(name)
        most = made.spec.max_trial_count
        changes.check_parallel(name, entry.state.ending, most, parallel_trial_count)
        self._patch(site, made, {"parallelTrialCount": parallel_trial_count})
        log.info("%s: parallel_trial_count is %s now (%s)", name, parallel_trial_count, by)

        def change(record: Record, state: State) -> tuple[Record, State]:
            update = {"parallel_trial_count": parallel_trial_count}
            return record.model_copy(update={"spec": record.spec.model_copy(update=update)}), state

        site.update(name, change)
        return self._advance(site, name)

    def retry_trial(self, name: str, trial: str, by: str) -> Experiment:
        site, entry, _ = self._with_experiment(name)
        wanted = _trial(self._look(site, entry), trial)
        changes.check_retry(entry.record, entry.state.ending, wanted)
        log.info("%s: %s is tried again (%s)", name, wanted.name, by)

        def change(record: Record, state: State) -> tuple[Record, State]:
            waiting = [o for o in state.own if o.retry_of == wanted.name]
            if any(own.name not in state.outcomes for own in waiting):
                return record, state  # it is being tried again already
            own = OwnTrial(
                name=f"{name}-retry-{sum(bool(o.retry_of) for o in state.own) + 1}",
                parameters=wanted.parameters,
                retry_of=wanted.name,
            )
            return record, state.model_copy(update={"own": (*state.own, own)})

        site.ready().update(name, change)
        return self._advance(site, name)

    def adopt(
        self, name: str, channel: str, requested_by: str, requested_by_name: str
    ) -> Experiment:
        if found := self._found(name):
            return self._look(*found)
        site = self._sites[self._places.of(channel)].ready()
        path = EXPERIMENTS.path(site.cluster.namespace, name)
        try:
            found = msgspec.json.decode(site.kube.get(path))
        except ApiError as error:
            if not error.is_missing:
                raise
            raise NotFoundError(
                f"There is no Experiment `{name}` in the namespace `{site.cluster.namespace}`.",
                hint=f"kubectl get experiments -n {site.cluster.namespace} lists those there are.",
            ) from error
        record = Record(
            uid=found["metadata"]["uid"], spec=katib_adopt.spec_of(found), created=self._now(),
            requested_by=requested_by, requested_by_name=requested_by_name, channel=channel,
            submitted=True, adopted=True,
        )  # fmt: skip
        # NB: the label first: without it the Experiment of a record would never be seen.
        label = {"metadata": {"labels": {katib_objects.LABEL_EXPERIMENT: name}}}
        answer = site.kube.patch(path, label)
        site.experiments.put(msgspec.json.decode(answer, type=KatibExperiment))
        site.create(record, State(fetched=True, created=True))
        return self._advance(site, name)

    def close(self) -> None:
        for site in self._sites.values():
            site.close()
        for kube in self._kubes.values():
            kube.close()

    # --- inside -----------------------------------------------------------------------------------

    def _changed(self, name: str) -> None:
        with self._lock:
            self._new.add(name)
        for callback in self._listeners:
            callback()

    def _located(self, name: str) -> tuple[Site, Entry]:
        """An Experiment's record and where it is: from memory if it is open.

        Raises:
            NotFoundError: nowhere.
        """
        if found := self._found(name):
            return found
        raise unknown(name)

    def _found(self, name: str) -> tuple[Site, Entry] | None:
        # NB: what is open is known without asking, wherever it is.
        for site in sorted(self._sites.values(), key=lambda site: not site.knows(name)):
            if entry := site.entry(name):
                return site, entry
        return None

    def _entry(self, site: Site, name: str) -> Entry:
        entry = site.entry(name)
        if entry is None:
            raise unknown(name)
        return entry

    def _lock_of(self, name: str) -> threading.Lock:
        with self._lock:
            return self._locks.setdefault(name, threading.Lock())

    def _look(self, site: Site, entry: Entry) -> Experiment:
        if entry.state.ending is None and entry.record.submitted:
            site.ready()
        return katib_look.look(site, entry, self._now())

    def _advance(self, site: Site, name: str) -> Experiment:
        """One step, one thread at a time; a refusal of the cluster is told, and tried again."""
        now = self._now()
        with self._lock_of(name):
            entry = self._entry(site, name)
            wait: float | None = None
            try:
                shown = katib_drive.advance(site, entry, now)
                if katib_look.is_waiting(site, shown):
                    wait = WAITING_S
            except EngineError as error:
                shown = katib_look.with_trouble(self._look(site, self._entry(site, name)), error)
                wait = RETRY_S
            limit = endings.deadline(shown.spec, shown.status.trials)
        times = [now + timedelta(seconds=wait)] if wait is not None else []
        times += [limit] if limit and not shown.status.condition.is_final else []
        with self._lock:
            if times:
                self._due[name] = min(times)
            else:
                self._due.pop(name, None)
            known = self._shown.get(name)
            # NB: the same object for the same facts, so that nobody looks at it twice.
            self._shown[name] = known if known == shown else shown
            return self._shown[name]

    def _with_experiment(self, name: str) -> tuple[Site, Entry, KatibExperiment]:
        site, _ = self._located(name)
        made = site.ready().experiments.get(name)
        self._advance(site, name)  # if it is over by now, its end is noted first
        entry = self._entry(site, name)
        if made is None:
            raise EngineError(
                f"`{name}` is not on the cluster (any more): what has been stopped or deleted "
                "cannot be changed.",
                hint="Start a new Experiment with the same line.",
            )
        return site, entry, made

    def _patch(self, site: Site, made: KatibExperiment, spec: Mapping[str, Any]) -> None:
        path = EXPERIMENTS.path(site.cluster.namespace, made.metadata.name)
        answer = site.kube.patch(path, {"spec": dict(spec)})
        site.experiments.put(msgspec.json.decode(answer, type=KatibExperiment))


def _dry_run(site: Site, spec: TuneSpec) -> Iterator[SpecError]:
    """What the cluster itself says to every object that would be made."""
    for body in (*katib_objects.objects(spec, site.cluster), _sample(site, spec)):
        resource = katib_drive.RESOURCES[body["kind"]]
        try:
            site.kube.post(resource.path(site.cluster.namespace), body, dryRun="All")
        except ApiError as error:
            if error.is_taken:
                yield SpecError(
                    f"{body['kind']} `{body['metadata']['name']}` is in the namespace "
                    f"`{site.cluster.namespace}` already.",
                    hint="Choose another name.",
                    field="name",
                )
                return
            if not error.is_permanent:
                raise
            yield SpecError(error.message, hint=error.hint)


def _sample(site: Site, spec: TuneSpec) -> katib_objects.Json:
    """A trial's job, for which the cluster may lack the kind."""
    values = {
        name: space.min if space.is_range else (space.list or ("",))[0]
        for name, space in spec.searched.items()
    }
    return katib_objects.own_trial(spec, site.cluster, f"{spec.name}-sample", values, role="sample")


def _trial(experiment: Experiment, trial: str) -> TrialStatus:
    for each in experiment.status.trials:
        if trial in (each.name, str(each.number)):
            return each
    raise NotFoundError(
        f"`{experiment.name}` has no trial `{trial}`.",
        hint=f"`status {experiment.name}` shows its trials.",
    )
