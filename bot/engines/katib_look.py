"""An Experiment as it is, from what the watches hold: nothing is asked, nothing is changed."""

from __future__ import annotations

from datetime import datetime

from bot.engines import katib_pods, katib_status, katib_troubles
from bot.engines.katib_site import Entry, Site, Watched, gone_seconds
from bot.engines.katib_state import OwnTrial, State
from bot.engines.katib_wire import KatibTrial, Pod
from bot.errors import EngineError
from bot.spec import TuneSpec
from bot.status import (
    Experiment,
    ExperimentCondition,
    TrialCondition,
    TrialStatus,
    Trouble,
)


def look(site: Site, entry: Entry, now: datetime) -> Experiment:
    """The Experiment as it is, from memory alone."""
    record, state = entry.record, entry.state
    if state.ending:
        status = katib_status.status(record, state, katib_status.Seen())
        return Experiment(record=record, status=status)
    watched = site.watched(record.name, state.order)
    pods = list(watched.pods.values())
    made = site.experiments.get(record.name)
    waits = katib_troubles.troubles(
        record.name, pods, site.warnings(record.name), now,
        trials=tuple(watched.trials.values()), experiment=made,
    )  # fmt: skip
    counted = state.model_copy(update={"gpu_seconds": gpu_seconds(site, entry, watched, now)})
    seen = katib_status.Seen(
        experiment=made,
        trials=tuple(watched.trials.values()),
        own=_own_trials(state, pods),
        troubles=waits,
        ends={**state.ends, **watched.ends},
        suggestion=watched.suggestion,
        order=watched.order,
    )
    return Experiment(record=record, status=katib_status.status(record, counted, seen))


def is_waiting(site: Site, shown: Experiment) -> bool:
    """Whether something is due of which no watch tells: a wait too long, the end of our jobs."""
    status = shown.status
    if status.condition.is_final or not shown.record.submitted:
        return False
    if not status.trials or status.troubles:
        return True
    pods = list(site.watched(shown.name).pods.values())
    at_work = {katib_pods.trial_of(pod) for pod in pods if pod.status.phase == "Running"}
    pending = any(pod.status.phase == "Pending" for pod in pods)
    return pending or any(
        not trial.condition.is_final and trial.name not in at_work for trial in status.trials
    )


def waiting(error: EngineError) -> Trouble:
    """An error of the cluster as what an Experiment waits for."""
    return Trouble(reason="ClusterError", message=error.message, hint=error.hint)


def with_trouble(experiment: Experiment, error: EngineError) -> Experiment:
    """The Experiment while the cluster refuses a step of ours: not over, whatever is decided."""
    status = experiment.status
    if status.condition.is_final:
        status = status.model_copy(
            update={"condition": ExperimentCondition.RUNNING, "completion_time": None}
        )
    troubles = (waiting(error), *status.troubles)
    return experiment.model_copy(
        update={"status": status.model_copy(update={"troubles": troubles})}
    )


# --- what it is made of --------------------------------------------------------------------------


def _own_trials(state: State, pods: list[Pod]) -> dict[str, TrialStatus]:
    return {
        own.name: state.outcomes.get(own.name)
        or own_status(own, [pod for pod in pods if katib_pods.trial_of(pod) == own.name])
        for own in state.own
    }


def own_status(own: OwnTrial, pods: list[Pod]) -> TrialStatus:
    """A trial of ours while its job runs; its number is given later."""
    started = [pod.status.start_time for pod in pods if pod.status.start_time]
    running = any(pod.status.phase == "Running" for pod in pods)
    return TrialStatus(
        name=own.name,
        number=0,
        condition=TrialCondition.RUNNING if running else TrialCondition.CREATED,
        parameters=own.parameters,
        known_good=own.known_good,
        start_time=min(started, default=None),
    )


def gpu_seconds(site: Site, entry: Entry, watched: Watched, now: datetime) -> dict[str, float]:
    """GPU seconds by trial: of pods that are there, of pods that were, and else as remembered.

    Of a trial whose pods nobody saw, all that lies between its start and its end.
    """
    held = katib_pods.gpu_seconds(
        list(watched.pods.values()), site.cluster.template.gpu_resource, now
    )
    gone = gone_seconds(watched.gone)
    seen = {
        trial: held.get(trial, 0.0) + gone.get(trial, 0.0) for trial in held.keys() | gone.keys()
    }
    kept = dict(entry.state.gpu_seconds)
    known = {t: max(kept.get(t, 0.0), seen.get(t, 0.0)) for t in kept.keys() | seen.keys()}
    unseen = {
        name: _held_at_most(entry.record.spec, trial)
        for name, trial in watched.trials.items()
        if name not in known
    }
    return {**known, **{name: seconds for name, seconds in unseen.items() if seconds}}


def _held_at_most(spec: TuneSpec, trial: KatibTrial) -> float:
    start, end = trial.status.start_time, trial.status.completion_time
    if start is None or end is None:
        return 0.0
    return (end - start).total_seconds() * spec.gpu * spec.num_workers
