"""What keeps an Experiment from getting on, read off its pods and the events around it (pure).

Katib's own status hides it: a Trial is Running as soon as its job exists. A pod's state counts
while it lasts; an event, which tells of a moment only, while it is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from bot.algorithms import ALGORITHMS
from bot.engines import katib_hints, katib_waits
from bot.engines.katib_hints import hint
from bot.engines.katib_objects import LABEL_EXPERIMENT, LABEL_KATIB_EXPERIMENT
from bot.engines.katib_pods import SEARCH, has_ended, is_primary, role_of, trial_of
from bot.engines.katib_waits import EVENT_AGE, clipped, seen_at
from bot.engines.katib_wire import Event, Pod
from bot.status import Trouble

# How long a complaint counts after it was last repeated: those who complain wait twice as long each
# time, so it may be as long again as it has been going on.
PATIENCE = timedelta(minutes=2)
# A repeated write that lost a race: Katib's controllers complain of it and try again at once.
PASSING = re.compile(r"object has been modified|AlreadyExists|already exists|StorageError")
QUOTA = re.compile(r"exceeded quota: (\S+), requested: (.+), used: (.+), limited: (.+)")
OF_A_POD = re.compile(r'pods "([^"]+-(?:master|worker)-\d+)"')


def troubles(
    name: str, pods: Iterable[Pod], events: Iterable[Event], now: datetime
) -> tuple[Trouble, ...]:
    """What the Experiment `name` waits for: one of each reason and trial, those of all first.

    Args:
        pods: its pods, those of its own jobs and of its search among them.
        events: Warning events about anything that may be its.
    """
    mine = [pod for pod in pods if _belongs(pod, name)]
    mine.sort(key=lambda pod: (not is_primary(pod), pod.metadata.name))
    recent = [event for event in events if timedelta(0) <= _age(event, now) <= EVENT_AGE]
    found = [*_of_pods(mine, recent, now), *_of_events(name, mine, recent, now)]
    unique: dict[tuple[str, str], Trouble] = {}
    for trouble in found:
        unique.setdefault((trouble.trial, trouble.reason), trouble)
    return tuple(unique[key] for key in sorted(unique))


def _belongs(pod: Pod, name: str) -> bool:
    labels = pod.metadata.labels
    return name in (labels.get(LABEL_KATIB_EXPERIMENT, ""), labels.get(LABEL_EXPERIMENT, ""))


def _age(event: Event, now: datetime) -> timedelta:
    """Never below nothing: clocks differ."""
    seen = seen_at(event)
    return max(now - seen, timedelta(0)) if seen else EVENT_AGE * 2


# --- pods -----------------------------------------------------------------------------------------


def _of_pods(pods: Sequence[Pod], events: Sequence[Event], now: datetime) -> Iterator[Trouble]:
    for pod in pods:
        if has_ended(pod) or pod.metadata.deletion_timestamp:
            continue
        told = [e for e in events if e.involved_object.uid == pod.metadata.uid]
        wait = katib_waits.wait_of(pod, told, now)
        if wait and SEARCH in pod.metadata.labels:
            yield _search_trouble(pod, wait)
        elif wait:
            trial = "" if role_of(pod) == "fetch" else trial_of(pod)
            yield Trouble(reason=wait.reason, message=wait.message, hint=wait.hint, trial=trial)


def _search_trouble(pod: Pod, wait: katib_waits.Wait) -> Trouble:
    general, memory, forgetful = katib_hints.SEARCH
    to_do = general if wait.reason in ("CrashLoopBackOff", "NotReady") else wait.hint
    if katib_waits.out_of_memory(pod):
        to_do = memory
    if katib_waits.forgets(pod) and katib_waits.restarts(pod):
        to_do = forgetful
    return Trouble(
        reason="SearchPodNotReady", message=f"Katib's search pod: {wait.message}", hint=to_do
    )


# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Complaint:
    """What was said again and again about one object; `said` is the newest of it."""

    kind: str
    name: str
    reason: str
    first: datetime
    last: datetime
    said: str
    namespace: str

    def goes_on(self, now: datetime) -> bool:
        return now - self.last <= PATIENCE + 2 * (self.last - self.first)


def _of_events(
    name: str, pods: Sequence[Pod], events: Sequence[Event], now: datetime
) -> Iterator[Trouble]:
    for complaint in _complaints(events):
        trial = _trial(name, complaint)
        if trial is None or not complaint.goes_on(now):
            continue
        if complaint.reason.startswith("FailedCreate") and complaint.kind != "Pod":
            if not _has_pod(complaint, trial, pods):
                yield _refusal(complaint, trial)
        elif complaint.reason == "ProvisioningFailed":
            if not any(katib_waits.has_started(pod) for pod in pods if trial_of(pod)):
                said = clipped(complaint.said)
                yield Trouble(
                    reason="ProvisioningFailed",
                    message=f"The volume `{complaint.name}` cannot be made: {said}",
                    hint=hint(katib_hints.VOLUME, complaint.said, complaint.namespace),
                )
        elif complaint.reason == "ReconcileError" and not PASSING.search(complaint.said):
            yield _reconcile_error(complaint, trial)


def _complaints(events: Sequence[Event]) -> Iterator[_Complaint]:
    def key(event: Event) -> tuple[str, str, str]:
        about = event.involved_object
        return about.kind, about.name, event.reason

    warnings = [event for event in events if event.type != "Normal"]
    for (kind, about, reason), group in groupby(sorted(warnings, key=key), key):
        same = [(seen, event) for event in group if (seen := seen_at(event))]
        if not same:
            continue
        last, newest = max(same, key=lambda each: each[0])
        began = [e.first_timestamp or e.event_time or seen for seen, e in same]
        yield _Complaint(
            kind, about, reason, min(began), last, newest.message,
            newest.involved_object.namespace or newest.metadata.namespace,
        )  # fmt: skip


def _trial(name: str, complaint: _Complaint) -> str | None:
    """The trial that a complaint is about, "" if all of them, None if another Experiment's."""
    about = complaint.name
    if complaint.kind in ("Experiment", "Suggestion", "PersistentVolumeClaim") and about == name:
        return ""
    if not about.startswith(f"{name}-"):
        return None
    rest = about.removeprefix(f"{name}-")
    if complaint.kind in ("ReplicaSet", "Deployment", "PersistentVolumeClaim"):
        search = "|".join(map(re.escape, ALGORITHMS))
        return "" if re.fullmatch(rf"(?:{search})(?:-[a-z0-9]+)?", rest) else None
    if rest == "fetch":
        return ""
    # Katib's names: eight characters, of pbt a UUID. A TrainJob's Jobs have names of their own.
    whose = r"([a-z0-9]{8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|baseline|retry-\d{1,4})"
    found = re.fullmatch(whose + r"(?:-node-\d+)?", rest)
    return f"{name}-{found[1]}" if found and complaint.kind != "Experiment" else None


def _has_pod(complaint: _Complaint, trial: str, pods: Sequence[Pod]) -> bool:
    """Whether the pod that was refused is there by now, or is not needed any more."""
    if complaint.kind in ("ReplicaSet", "Deployment"):
        return any(SEARCH in pod.metadata.labels for pod in pods)
    if not trial:  # the fetch job: trials come after it
        return any(trial_of(pod) for pod in pods)
    if found := OF_A_POD.search(complaint.said):
        return any(pod.metadata.name == found[1] for pod in pods)
    return any(trial_of(pod) == trial for pod in pods if is_primary(pod))


def _refusal(complaint: _Complaint, trial: str) -> Trouble:
    said = re.sub(r"^(Error creating|Failed to reconcile): ", "", complaint.said)
    to_do = hint(katib_hints.CREATION, said)
    if quota := QUOTA.search(said):
        message = (
            f"The quota `{quota[1]}` is used up: a pod asks for {quota[2]}, in use are "
            f"{quota[3].rstrip('.')} of {quota[4].rstrip('.')}."
        )
        return Trouble(reason="QuotaExceeded", message=message, hint=to_do, trial=trial)
    if "failed calling webhook" in said:
        return Trouble(reason="WebhookDown", message=clipped(said), hint=to_do, trial=trial)
    message = f"A pod was refused: {clipped(said)}"
    return Trouble(reason="PodRefused", message=message, hint=to_do, trial=trial)


def _reconcile_error(complaint: _Complaint, trial: str) -> Trouble:
    said = complaint.said.removeprefix("Failed to reconcile: ")
    if "exceeded quota" in said or "failed calling webhook" in said:
        return _refusal(complaint, trial)
    table = katib_hints.CREATION if "no matches for kind" in said else katib_hints.RECONCILE
    return Trouble(
        reason="ReconcileError",
        message=f"Katib cannot go on: {clipped(said)}",
        hint=hint(table, said),
        trial=trial,
    )
