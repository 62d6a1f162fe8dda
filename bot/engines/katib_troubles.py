"""What keeps an Experiment from getting on: its pods' waits, refused pods, a search that is not
there, metrics that never come (pure).

Katib says Running all the while. What has gone on since is no trouble any more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from bot.algorithms import ALGORITHMS
from bot.engines import katib_complaints, katib_pods, katib_waits, katib_wire
from bot.engines.katib_waits import Wait
from bot.engines.katib_wire import Event, KatibExperiment, KatibTrial, Pod
from bot.engines.kube_refusals import INJECTION_LABEL
from bot.status import TrialCondition, Trouble

# A controller tries again at least so often; what it has not said since has gone well.
RETRIES_S = 1100.0
REFUSAL_GRACE_S = 10.0
EVENTS_COUNT_S = 3600.0
NO_METRICS_AFTER_S = 60.0
SEARCH_READY_WITHIN_S = 120.0
FIRST_TRIAL_WITHIN_S = 180.0
REFUSED = ("FailedCreate", "FailedCreatePod", "FailedCreateService")
TRIAL_KINDS = ("Trial", "PyTorchJob", "Job", "TrainJob", "JobSet")
WHOLE_KINDS = ("Experiment", "Suggestion")
SEARCH_KINDS = ("ReplicaSet", "Deployment")
# Katib's trials have eight letters and digits after the Experiment's name; ours a word.
TRIAL_ENDING = re.compile(r"(?:[a-z0-9]{8}|baseline|fetch|retry-\d+)$")
JOBSET_ENDING = re.compile(r"-node-\d+$")
OVERTAKEN = "the object has been modified"


@dataclass(frozen=True)
class View:
    """What is known of one Experiment's surroundings at a moment."""

    name: str
    pods: Sequence[Pod]
    trials: Sequence[KatibTrial]
    experiment: KatibExperiment | None
    now: datetime

    @cached_property
    def pods_of(self) -> Mapping[str, Sequence[Pod]]:
        """The pods by their trial or job."""
        found: dict[str, list[Pod]] = {}
        for pod in self.pods:
            found.setdefault(katib_pods.trial_of(pod), []).append(pod)
        return found

    @cached_property
    def conditions(self) -> Mapping[str, TrialCondition]:
        """The conditions of Katib's trials, by name."""
        return {trial.metadata.name: _condition(trial) for trial in self.trials}

    def age_s(self, time: datetime | None) -> float:
        """Seconds since then; 0 if it is not known."""
        return (self.now - time).total_seconds() if time else 0.0


def troubles(
    name: str,
    pods: Sequence[Pod],
    events: Sequence[Event],
    now: datetime,
    *,
    trials: Sequence[KatibTrial] = (),
    experiment: KatibExperiment | None = None,
) -> tuple[Trouble, ...]:
    """What an Experiment waits for, one Trouble for each reason and trial, in a fixed order.

    Args:
        pods: all pods of the Experiment: its trials', its search's and ours.
        events: warnings about it and about what is named after it; those that are about others,
            out of date or settled are left out here.
        trials: Katib's Trials, without which metrics that never come are not noticed.
        experiment: without which one that stays Created is not noticed.
    """
    view = View(name, sorted(pods, key=_pod_name), trials, experiment, now)
    # NB: what is listed has no order of its own.
    ordered = sorted(events, key=lambda e: (katib_waits.last_seen(e) or now, e.metadata.name))
    found = [*_of_pods(view, ordered), *_of_events(view, ordered), *_without_metrics(view)]
    found = found or list(_without_trials(view))
    each = {(trouble.trial, trouble.reason): trouble for trouble in reversed(found)}
    return tuple(each[key] for key in sorted(each))


def _pod_name(pod: Pod) -> str:
    return pod.metadata.name


# --- pods -----------------------------------------------------------------------------------------


def _of_pods(view: View, events: Sequence[Event]) -> Iterator[Trouble]:
    about: dict[str, list[Event]] = {}
    claims = []
    for event in events:
        if event.involved_object.kind == "Pod":
            about.setdefault(event.involved_object.uid, []).append(event)
        elif event.involved_object.kind == "PersistentVolumeClaim":
            claims.append(event)
    for pod in view.pods:
        said = [e for e in about.get(pod.metadata.uid, ()) if _is_of_now(view, pod, e)]
        mine = [e for e in claims if _is_claim_of(view, pod, e) and _is_recent(view, e)]
        wait = katib_waits.wait_of(pod, said, mine, view.now)
        if katib_pods.is_search(pod):
            yield from _search(view, pod, wait)
        elif wait:
            yield _trouble(wait, katib_pods.trial_of(pod))


def _is_recent(view: View, event: Event) -> bool:
    return view.age_s(katib_waits.last_seen(event)) <= EVENTS_COUNT_S


def _is_of_now(view: View, pod: Pod, event: Event) -> bool:
    seen, since = katib_waits.last_seen(event), pod.status.start_time
    return _is_recent(view, event) and (since is None or seen is None or seen >= since)


def _is_claim_of(view: View, pod: Pod, event: Event) -> bool:
    """The volume has the Experiment's name; the search's has its algorithm's behind that."""
    claim = event.involved_object.name
    if katib_pods.is_search(pod):
        return claim.removeprefix(f"{view.name}-") in ALGORITHMS
    return claim == view.name


def _search(view: View, pod: Pod, wait: Wait | None) -> Iterator[Trouble]:
    """Without its search pod an Experiment makes no trials, and says nothing."""
    if wait is None:
        if pod.metadata.deletion_timestamp:
            return
        ready = next((c for c in pod.status.conditions or () if c.type == "Ready"), None)
        late = pod.status.phase == "Running" and ready is not None and ready.status == "False"
        since = ready.last_transition_time if ready else None
        if not late or view.age_s(since) < SEARCH_READY_WITHIN_S:
            return
        wait = Wait(reason="", message="It runs, but does not answer.", hint="Its log says why.")
    name = pod.metadata.name
    yield Trouble(
        reason="SearchNotReady",
        message=f"Katib's search pod `{name}` is not ready, so no trials are made. {wait.message}",
        hint=wait.hint,
    )


# --- events about jobs, trials and the Experiment -------------------------------------------------


def _of_events(view: View, events: Iterable[Event]) -> Iterator[Trouble]:
    # The newest first: of several refusals of one trial, the last is told.
    for event in reversed(list(events)):
        if (
            event.reason not in (*REFUSED, katib_complaints.RECONCILE_ERROR)
            or OVERTAKEN in event.message
        ):
            continue
        trial = _subject(view, event)
        if trial is None or _is_settled(view, trial, event):
            continue
        wait = katib_complaints.complaint(event)
        first = event.first_timestamp or event.event_time or event.metadata.creation_timestamp
        if wait.reason == katib_complaints.WEBHOOK_REFUSED or view.age_s(first) >= REFUSAL_GRACE_S:
            yield _trouble(wait, trial)


def _subject(view: View, event: Event) -> str | None:
    """The trial that an event is about, "" for the whole Experiment, None for another one's."""
    about, prefix = event.involved_object, f"{view.name}-"
    if about.kind in WHOLE_KINDS:
        return "" if about.name == view.name else None
    if not about.name.startswith(prefix):
        return None
    if about.kind in SEARCH_KINDS:
        rest = about.name.removeprefix(prefix)
        return "" if rest in ALGORITHMS or rest.rpartition("-")[0] in ALGORITHMS else None
    if about.kind not in TRIAL_KINDS:
        return None
    name = JOBSET_ENDING.sub("", about.name)
    if name in view.conditions:
        return name
    return name if TRIAL_ENDING.match(name.removeprefix(prefix)) else None


def _is_settled(view: View, trial: str, event: Event) -> bool:
    """Whether what was refused has been made since, or is not wanted any more."""
    seen = katib_waits.last_seen(event)
    if seen is None or view.age_s(seen) > RETRIES_S:
        return True
    if trial in view.conditions and view.conditions[trial].is_final:
        return True
    if trial == f"{view.name}-fetch" and view.experiment is not None:
        return True
    if trial:
        since = list(view.pods_of.get(trial, ()))
    else:
        search = event.involved_object.kind in SEARCH_KINDS
        since = [p for p in view.pods if not search or katib_pods.is_search(p)]
    created = [pod.metadata.creation_timestamp for pod in since]
    return any(time is not None and time >= seen for time in created)


def _condition(trial: KatibTrial) -> TrialCondition:
    newest = katib_wire.condition(trial.status.conditions, *TrialCondition)
    return TrialCondition(newest.type) if newest else TrialCondition.CREATED


# --- what should have happened by now -------------------------------------------------------------


def _without_metrics(view: View) -> Iterator[Trouble]:
    """Trials whose job ended well and which Katib still looks at: it has nothing to end them by."""
    for trial, condition in view.conditions.items():
        if condition is not TrialCondition.RUNNING:
            continue
        primary = [p for p in view.pods_of.get(trial, ()) if katib_pods.is_primary(p)]
        if not primary or any(p.status.phase != "Succeeded" for p in primary):
            continue
        ended = [end for pod in primary if (end := _finished(pod))]
        if not ended or view.age_s(max(ended)) < NO_METRICS_AFTER_S:
            continue
        yield Trouble(
            reason="NoMetrics",
            message="The training ended well, but Katib has no metric of it and waits for ever.",
            hint=_metrics_hint(primary),
            trial=trial,
        )


def _finished(pod: Pod) -> datetime | None:
    ends = [each.state.terminated for each in pod.status.container_statuses or ()]
    times = [end.finished_at for end in ends if end and end.finished_at]
    return max(times, default=None)


def _metrics_hint(pods: Sequence[Pod]) -> str:
    names = {each.name for pod in pods for each in pod.spec.containers or ()}
    if names.isdisjoint(katib_pods.COLLECTORS):
        space = pods[0].metadata.namespace
        return (
            "Its pod has no metrics collector. Label the namespace: kubectl label namespace "
            f"{space} {INJECTION_LABEL}=enabled"
        )
    return "Does the program print objective_metric_name as `name=value`, a number?"


def _without_trials(view: View) -> Iterator[Trouble]:
    experiment = view.experiment
    if experiment is None or view.trials:
        return
    meta = experiment.metadata
    if katib_wire.condition(experiment.status.conditions, "Running", "Succeeded", "Failed"):
        return
    if view.age_s(meta.creation_timestamp) >= FIRST_TRIAL_WITHIN_S:
        yield Trouble(
            reason="NoTrials",
            message="Katib has made no trial since the Experiment was created.",
            hint="Do Katib's controllers run? See: kubectl get pods -n kubeflow, and: kubectl "
            f"describe suggestion {meta.name} -n {meta.namespace}",
        )


def _trouble(wait: Wait, trial: str) -> Trouble:
    return Trouble(reason=wait.reason, message=wait.message, hint=wait.hint, trial=trial)
