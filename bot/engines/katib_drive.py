"""Brings one Experiment forward: whatever is missing next is made, whatever has ended is noted.

Level-triggered and safe to repeat, so a crash anywhere is taken up again: record, volume, fetch
job, Experiment, owner of the volume, our own trials; in the end what we stopped is deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from bot.engines import (
    endings,
    katib_objects,
    katib_pods,
    katib_status,
    katib_trials,
    katib_wire,
)
from bot.engines.katib_look import gpu_seconds, look, own_status
from bot.engines.katib_objects import Cluster, Json
from bot.engines.katib_site import Entry, Site, Watched
from bot.engines.katib_state import End, OwnTrial, State
from bot.engines.katib_wire import KatibExperiment, Pod
from bot.engines.kube import (
    CLAIMS,
    EXPERIMENTS,
    JOBS,
    PODS,
    PYTORCHJOBS,
    SUGGESTIONS,
    TRAINJOBS,
    Resource,
)
from bot.engines.kube_errors import ApiError
from bot.errors import EngineError
from bot.prior import known_good
from bot.status import (
    Ending,
    Experiment,
    ExperimentCondition,
    ExperimentStatus,
    Record,
    TrialCondition,
    TrialStatus,
)

RESOURCES: Mapping[str, Resource] = {
    each.kind: each for each in (CLAIMS, EXPERIMENTS, JOBS, PYTORCHJOBS, TRAINJOBS)
}
UID = "katib-tune/uid"
CURVE_LINES, CURVE_BYTES = 100_000, 8_000_000
READ_WRITE_MANY = "ReadWriteMany"
# The ends that are ours: Katib goes on unless we delete the Experiment.
OURS = (endings.STOPPED, endings.BUDGET_REACHED)
DELETED = "Deleted"


def advance(site: Site, entry: Entry, now: datetime) -> Experiment:
    """One step of everything that is due, and the Experiment as it is then.

    Raises:
        EngineError: the cluster refuses something, or cannot be reached; try again later.
    """
    record, state = entry.record, entry.state
    if state.ending:
        _clean(site, record, state)
    elif record.submitted:
        entry = _prepare(site, entry, now)
        if not entry.state.ending:
            return _follow(site, entry, now)
    return look(site, entry, now)


def _follow(site: Site, entry: Entry, now: datetime) -> Experiment:
    """Note what has ended: trials, and the whole."""
    _ask_suggestion(site, entry)
    shown = look(site, entry, now)
    noted = _note(site, entry, shown, now)
    if noted is not entry:
        entry, shown = noted, look(site, noted, now)
    for ending in _endings(site, entry, shown.status, now):
        return look(site, end(site, entry, ending), now)
    return shown


def end(site: Site, entry: Entry, ending: Ending, by: str | None = None) -> Entry:
    """Decide the end: its summary is saved, then what still runs is deleted.

    The first end stays.
    """
    shown = look(site, entry, ending.time).status
    trials = katib_status.closed(shown.trials, ending)
    watched = site.watched(entry.record.name, entry.state.order)
    seconds = gpu_seconds(site, entry, watched, ending.time)

    def change(record: Record, state: State) -> tuple[Record, State]:
        if state.ending:
            return record, state
        noted = {
            "ending": ending, "trials": trials, "gpu_seconds": seconds, "order": watched.order,
        }  # fmt: skip
        stopped = {"stopped_by": by} if by and not record.stopped_by else {}
        return record.model_copy(update=stopped), state.model_copy(update=noted)

    entry = site.update(entry.record.name, change)
    _clean(site, entry.record, entry.state)
    return entry


# --- making what is missing -----------------------------------------------------------------------


def _prepare(site: Site, entry: Entry, now: datetime) -> Entry:
    """Volume, fetch job, Experiment, own trials: the next of them that is not there yet."""
    if entry.record.adopted:
        return entry
    try:
        if not entry.state.fetched:
            entry = _fetch(site, entry, now)
        if entry.state.fetched and not entry.state.created and not entry.state.ending:
            entry = _create(site, entry)
        if entry.state.created and not entry.state.ending:
            entry = _make_own_trials(site, entry, now)
    except EngineError as error:
        if not _is_final(error):
            raise
        # What the cluster refuses for good ends it, in the cluster's own words.
        return end(site, entry, endings.failed(str(error), now))
    return entry


def _fetch(site: Site, entry: Entry, now: datetime) -> Entry:
    spec, name = entry.record.spec, entry.record.name
    job = katib_objects.fetch_job(spec, site.cluster)
    if job is None:
        return _changed(site, name, fetched=True)
    found = _find(site, JOBS, job["metadata"]["name"])
    if found is None:
        claim = katib_objects.volume_claim(spec, site.cluster)
        assert claim is not None, "whatever is fetched is fetched into a volume"
        _post(site, CLAIMS, claim, entry.record)
        _post(site, JOBS, job, entry.record)
        return entry
    if found.metadata.annotations.get(UID) != entry.record.uid:
        raise _taken(site, JOBS, found.metadata.name)
    conditions = found.status.conditions
    if katib_wire.condition(conditions, "Complete"):
        if READ_WRITE_MANY in katib_objects.access_modes(spec, site.cluster):
            return _changed(site, name, fetched=True)
        pods = _pods_of(site, name, found.metadata.name)
        node = next((p.spec.node_name for p in pods if p.status.phase == "Succeeded"), "")
        return _changed(site, name, fetched=True, node=node)
    if failed := katib_wire.condition(conditions, "Failed"):
        said = site.watched(name).ends.get(found.metadata.name) or _end_of(
            site, _pods_of(site, name, found.metadata.name)
        )
        words = said.message if said else failed.message
        return end(
            site, entry, endings.failed(f"Model and data could not be fetched: {words}", now)
        )
    return entry


def _create(site: Site, entry: Entry) -> Entry:
    """The Experiment, which then owns the volume; and the fetch job has done its work."""
    record, here = entry.record, site.cluster.namespace
    body = katib_objects.experiment(record.spec, _cluster(site, entry.state))
    made = msgspec.json.decode(_post(site, EXPERIMENTS, body, record), type=KatibExperiment)
    site.experiments.put(made)
    fetch = katib_objects.fetch_job(record.spec, site.cluster)
    if fetch is not None:
        owners = {"metadata": {"ownerReferences": [_owner(made)]}}
        try:
            site.kube.patch(CLAIMS.path(here, record.name), owners)
        except ApiError as error:
            if not error.is_missing:  # somebody deleted it; the pods will say what they miss
                raise
        site.kube.delete(JOBS.path(here, fetch["metadata"]["name"]))
    values = known_good(record.spec) if record.spec.known_good_trial else None
    own: tuple[OwnTrial, ...] = ()
    if values is not None:
        name = katib_objects.baseline_name(record.spec)
        own = (OwnTrial(name=name, parameters=values, known_good=True),)
    return _changed(site, record.name, created=True, own=own)


def _make_own_trials(site: Site, entry: Entry, now: datetime) -> Entry:
    record, state = entry.record, entry.state
    made = site.experiments.get(record.name)
    if made is None:
        return entry
    for own in state.own:
        if own.name in state.outcomes or site.made(own.name):
            continue
        job = katib_objects.own_trial(
            record.spec, _cluster(site, state), own.name, own.parameters,
            role="baseline" if own.known_good else "retry",
        )  # fmt: skip
        job["metadata"]["ownerReferences"] = [_owner(made)]
        try:
            _post(site, RESOURCES[job["kind"]], job, record)
        except EngineError as error:
            if not _is_final(error):
                raise
            # It has failed, and the search goes on.
            refused = own_status(own, []).model_copy(
                update={
                    "condition": TrialCondition.FAILED, "reason": "Refused",
                    "message": str(error), "completion_time": now,
                }
            )  # fmt: skip
            outcomes = {**entry.state.outcomes, own.name: refused}
            entry = _changed(site, record.name, outcomes=outcomes)
        else:
            site.note_made(own.name)
    return entry


def _cluster(site: Site, state: State) -> Cluster:
    return site.cluster.model_copy(update={"node": state.node})


def _owner(made: KatibExperiment) -> Json:
    return {
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment",
        "name": made.metadata.name, "uid": made.metadata.uid,
    }  # fmt: skip


class _Taken(EngineError):
    """Something of that name is there, and is not ours."""


def _taken(site: Site, resource: Resource, name: str) -> _Taken:
    return _Taken(
        f"{resource.kind} `{name}` in the namespace `{site.cluster.namespace}` is somebody else's.",
        hint="Choose another name.",
    )


def _is_final(error: EngineError) -> bool:
    """Whether trying again is of no use."""
    return isinstance(error, _Taken) or (isinstance(error, ApiError) and error.is_permanent)


def _post(site: Site, resource: Resource, body: Json, record: Record) -> bytes:
    """Create, or the one that we have created already.

    Raises:
        _Taken: it is somebody else's.
    """
    metadata = body["metadata"]
    metadata["annotations"] = {**metadata.get("annotations", {}), UID: record.uid}
    here = site.cluster.namespace
    try:
        return site.kube.post(resource.path(here), body)
    except ApiError as error:
        if not error.is_taken:
            raise
    there = site.kube.get(resource.path(here, metadata["name"]))
    if not _is_ours(there, record):
        raise _taken(site, resource, metadata["name"])
    return there


def _is_ours(answer: bytes, record: Record) -> bool:
    found = msgspec.json.decode(answer, type=katib_wire.Object)
    return found.metadata.annotations.get(UID) == record.uid


def _find(site: Site, resource: Resource, name: str) -> katib_wire.Job | None:
    try:
        answer = site.kube.get(resource.path(site.cluster.namespace, name))
    except ApiError as error:
        if error.is_missing:
            return None
        raise
    return msgspec.json.decode(answer, type=katib_wire.Job)


def _changed(site: Site, name: str, **noted: Any) -> Entry:
    return site.update(name, lambda record, state: (record, state.model_copy(update=noted)))


# --- noting what has ended ------------------------------------------------------------------------


def _note(site: Site, entry: Entry, shown: Experiment, now: datetime) -> Entry:
    """Remember how own trials ended, and why others failed."""
    name, state = entry.record.name, entry.state
    watched = site.watched(name)
    pods = list(watched.pods.values())
    outcomes = dict(state.outcomes)
    for own in state.own:
        mine = [pod for pod in pods if katib_pods.trial_of(pod) == own.name]
        if own.name in outcomes or not site.made(own.name):
            continue
        if mine and not any(katib_pods.has_ended(pod) for pod in mine):
            continue
        if outcome := _outcome(site, entry.record, own, mine, watched, now):
            outcomes[own.name] = outcome
    failed = {
        trial.name for trial in shown.status.trials if trial.condition == TrialCondition.FAILED
    }
    ends = {**state.ends, **{t: end for t, end in watched.ends.items() if t in failed}}
    logs = {**state.logs, **{t: text for t, text in watched.logs.items() if t in failed}}
    if (outcomes, ends, logs) == (dict(state.outcomes), dict(state.ends), dict(state.logs)):
        return entry
    return _changed(site, name, outcomes=outcomes, ends=ends, logs=logs)


def _outcome(
    site: Site, record: Record, own: OwnTrial, pods: list[Pod], watched: Watched, now: datetime
) -> TrialStatus | None:
    """How an own trial ended; None while it runs."""
    resource = RESOURCES[katib_objects.trial_kind(record.spec, site.cluster)]
    job = _find(site, resource, own.name)
    trial = own_status(own, pods)
    if job is None:
        return trial.model_copy(
            update={
                "condition": TrialCondition.KILLED,
                "reason": "Deleted",
                "message": "Its job was deleted.",
                "completion_time": now,
            }
        )
    done = katib_wire.condition(job.status.conditions, "Complete", "Succeeded", "Failed")
    if done is None:
        return None
    times = {
        "start_time": trial.start_time or job.status.start_time,
        "completion_time": job.status.completion_time or done.last_transition_time,
    }
    if done.type == "Failed":
        # NB: the job can say that it failed before the reader of its pod's log has said why.
        end = watched.ends.get(own.name) or _end_of(site, pods)
        words = {"reason": end.reason if end else done.reason,
                 "message": end.message if end else done.message}  # fmt: skip
        return trial.model_copy(update={"condition": TrialCondition.FAILED, **words, **times})
    # NB: the job may be known to have ended before its pods are known, after an outage above all.
    known = pods or _pods_of(site, record.name, own.name)
    text = _whole_log(site, known) or watched.logs.get(own.name, "")
    names = (record.spec.objective_metric_name, *record.spec.additional_metric_names)
    observed = katib_pods.observation_of(text, names)
    done_trial = trial.model_copy(update={"observation": observed, **times})
    return katib_trials.succeeded(record.spec, done_trial)


def _end_of(site: Site, pods: list[Pod]) -> End | None:
    primary = [pod for pod in pods if katib_pods.is_primary(pod)]
    found = katib_pods.end_of(primary[-1], _whole_log(site, pods)) if primary else None
    return End(reason=found[0], message=found[1]) if found else None


def _pods_of(site: Site, name: str, job: str) -> list[Pod]:
    """A job's pods, from the API server itself."""
    answer = site.kube.get(
        PODS.path(site.cluster.namespace),
        labelSelector=f"{katib_objects.LABEL_KATIB_EXPERIMENT}={name}",
    )
    pods = msgspec.json.decode(answer, type=katib_wire.Listed[Pod]).items or ()
    return [pod for pod in pods if katib_pods.trial_of(pod) == job]


def _whole_log(site: Site, pods: list[Pod]) -> str:
    """What an own trial printed, all of its curve; "" if its pod is gone."""
    primary = [pod for pod in pods if katib_pods.is_primary(pod)]
    try:
        return site.tail(primary[-1], CURVE_LINES, CURVE_BYTES) if primary else ""
    except ApiError as error:
        if error.is_missing or error.is_permanent:
            return ""
        raise


# --- the end --------------------------------------------------------------------------------------


def _endings(site: Site, entry: Entry, status: ExperimentStatus, now: datetime) -> Iterator[Ending]:
    name = entry.record.name
    if status.condition.is_final:
        yield Ending(
            condition=status.condition, reason=status.reason, message=status.message,
            time=status.completion_time or now,
        )  # fmt: skip
    elif entry.state.created and site.experiments.get(name) is None and _is_gone(site, name):
        yield Ending(
            condition=ExperimentCondition.KILLED, reason=DELETED, time=now,
            message="The Experiment was deleted on the cluster.",
        )  # fmt: skip
    elif late := endings.out_of_time(entry.record.spec, status.trials, now):
        yield late


def _ask_suggestion(site: Site, entry: Entry) -> None:
    """Why the search failed, which the Experiment itself does not say."""
    name = entry.record.name
    made = site.experiments.get(name)
    failed = katib_wire.condition(made.status.conditions, "Failed") if made else None
    if failed is None or "uggestion" not in failed.message or site.watched(name).suggestion:
        return
    try:
        answer = site.kube.get(SUGGESTIONS.path(site.cluster.namespace, name))
    except ApiError as error:
        if not error.is_missing:
            raise
        return
    found = msgspec.json.decode(answer, type=katib_wire.Job)
    if said := katib_wire.condition(found.status.conditions, "Failed"):
        site.note_suggestion(name, said.message)


def _is_gone(site: Site, name: str) -> bool:
    try:
        site.kube.get(EXPERIMENTS.path(site.cluster.namespace, name))
    except ApiError as error:
        if error.is_missing:
            return True
        raise
    return False


def _clean(site: Site, record: Record, state: State) -> None:
    """Delete what would still run or cost: everything, if the end was ours."""
    ending = state.ending
    if ending is None or record.adopted:
        return
    ended_by_us = ending.reason in OURS or not state.created
    # NB: another replica may have been about to create it when it was stopped here.
    came_late = ended_by_us and site.experiments.get(record.name) is not None
    if site.is_clean(record.name) and not came_late:
        return
    if ended_by_us:
        fetch = katib_objects.fetch_job(record.spec, site.cluster)
        if fetch is not None:
            _delete(site, JOBS, fetch["metadata"]["name"], record)
            _delete(site, CLAIMS, record.name, record)
        _delete(site, EXPERIMENTS, record.name, record)
    if ended_by_us or ending.reason == DELETED or not record.spec.retain_trials:
        resource = RESOURCES[katib_objects.trial_kind(record.spec, site.cluster)]
        for own in state.own:
            _delete(site, resource, own.name, record)
    site.note_clean(record.name)


def _delete(site: Site, resource: Resource, name: str, record: Record) -> None:
    """Delete what is there under that name, if it is what we made."""
    path = resource.path(site.cluster.namespace, name)
    try:
        answer = site.kube.get(path)
    except ApiError as error:
        if error.is_missing:
            return
        raise
    if not _is_ours(answer, record):
        return
    uid = msgspec.json.decode(answer, type=katib_wire.Object).metadata.uid
    site.kube.delete(path, uid=uid)
    if resource == EXPERIMENTS:
        site.experiments.drop(name, uid)
