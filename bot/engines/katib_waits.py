"""What one pod waits for, read off its status and its own events (pure)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.engines import katib_hints
from bot.engines.katib_hints import hint
from bot.engines.katib_pods import SEARCH
from bot.engines.katib_wire import Condition, ContainerStatus, Event, Pod

# Events that tell of nothing newer: nobody keeps them longer either.
EVENT_AGE = timedelta(hours=1)
# A pod may take as long for what is normal: a moment of scheduling, volumes that are let go of.
GRACE = timedelta(seconds=10)
MOUNT_GRACE = timedelta(seconds=30)
SEARCH_GRACE = timedelta(seconds=60)
# How long after its last end a container that was restarted is not trusted.
RESTART_AGE = timedelta(minutes=10)
MAX_SAID = 500

IMAGE = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
    "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
CONFIG = (
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError",
    "PostStartHookError",
)  # fmt: skip
# Of these a pod's status tells more, or they do no harm.
TOLD_ELSEWHERE = (
    "Failed", "BackOff", "FailedScheduling", "Unhealthy", "FailedToRetrieveImagePullSecret",
    "InspectFailed", "DNSConfigForming", "NodeNotReady",
)  # fmt: skip
NO_VOLUME = re.compile(
    r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim \S+ not found|"
    r'running (?:PreBind|"VolumeBinding")|binding volumes|unbound PersistentVolumeClaim'
)
# What wraps the cause of a failed pull, in containerd's, CRI-O's and Docker's words.
_PULL_WORDS = re.compile(
    r'^(?:Back-off pulling image "[^"]*"|ErrImagePull|Failed to pull image "[^"]*"|'
    r"rpc error: code = \w+ desc =|[Ff]ailed to pull and unpack image \"[^\"]*\"|"
    r"Error response from daemon|(?:initializing source|reading manifest) \S+):?\s*"
)
# Searches whose service does not know its trials after a restart, and never goes on.
FORGETFUL = ("grid", "multivariate-tpe", "cmaes", "sobol")


@dataclass(frozen=True)
class Wait:
    """One word, a sentence on what was seen, and what to do."""

    reason: str
    message: str
    hint: str


def wait_of(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    """What a pod that has not ended waits for; None while all is as it should be.

    Args:
        events: those about this pod.
    """
    looks: tuple[Callable[[Pod, Sequence[Event], datetime], Wait | None], ...] = (
        _image, _config, _restarted, _unscheduled, _not_started, _node_lost, _search_unready,
    )  # fmt: skip
    return next((wait for look in looks if (wait := look(pod, events, now))), None)


def has_started(pod: Pod) -> bool:
    """Whether any of its main containers runs or has run."""
    return any(s.state.running or s.state.terminated for s in pod.status.container_statuses or ())


def restarts(pod: Pod) -> int:
    return max((status.restart_count for status in pod.status.container_statuses or ()), default=0)


def out_of_memory(pod: Pod) -> bool:
    """Whether a container was killed for its memory, now or before it was restarted."""
    ends = [
        state.terminated.reason
        for status in pod.status.container_statuses or ()
        for state in (status.state, status.last_state)
        if state.terminated
    ]
    return "OOMKilled" in ends


def forgets(pod: Pod) -> bool:
    """Whether it is a search pod that cannot go on after a restart."""
    deployed = pod.metadata.labels.get("katib.kubeflow.org/deployment", "")
    return deployed.removeprefix(f"{pod.metadata.labels.get(SEARCH, '')}-") in FORGETFUL


def seen_at(event: Event) -> datetime | None:
    """When an event was last seen."""
    repeated = event.series.last_observed_time if event.series else None
    return (
        event.last_timestamp
        or repeated
        or event.event_time
        or event.first_timestamp
        or event.metadata.creation_timestamp
    )


def clipped(said: str) -> str:
    """The cluster's words as a sentence of bearable length."""
    said = " ".join(said.split()).rstrip(".")
    return f"{said}." if len(said) <= MAX_SAID else f"{said[: MAX_SAID - 1]}…"


# --- one look each --------------------------------------------------------------------------------


def _image(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    for status, reason, said in _waiting(pod):
        if reason not in IMAGE:
            continue
        cause = _pull_cause(said) or _pull_cause(_newest(events, "Failed to pull image"))
        message = f"The image `{status.image}` cannot be pulled" + (f": {cause}" if cause else ".")
        to_do = hint(katib_hints.IMAGE, f"{cause} {reason}", pod.metadata.namespace)
        return Wait("ImagePullBackOff", message, to_do)
    return None


def _pull_cause(said: str) -> str:
    before = None
    while said != before:
        before, said = said, _PULL_WORDS.sub("", said, count=1)
    return clipped(said) if said else ""


def _newest(events: Sequence[Event], beginning: str) -> str:
    told = [(seen, e.message) for e in events if (seen := seen_at(e))]
    return max((each for each in told if each[1].startswith(beginning)), default=(None, ""))[1]


def _config(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    for status, reason, said in _waiting(pod):
        if reason in CONFIG:
            return Wait(
                reason,
                f"The container `{status.name}` cannot be made: {clipped(said)}",
                hint(katib_hints.CONFIG, said, pod.metadata.namespace),
            )
    return None


def _restarted(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    for status in _all_statuses(pod):
        waiting, last = status.state.waiting, status.last_state.terminated
        loops = waiting is not None and waiting.reason == "CrashLoopBackOff"
        ended = last.finished_at if last else None
        recent = ended is not None and now - ended < RESTART_AGE
        if not loops and not (status.restart_count and (recent or forgets(pod))):
            continue
        many = {0: "is to be restarted", 1: "was restarted once"}
        message = f"The container `{status.name}` "
        message += many.get(status.restart_count, f"was restarted {status.restart_count} times")
        if last:
            oom = last.reason == "OOMKilled"
            how = "out of memory" if oom else f"with exit code {last.exit_code}"
            message += f"; it last ended {how}"
        message += "."
        return Wait("CrashLoopBackOff", message, katib_hints.RESTARTS)
    return None


def _unscheduled(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    found = _condition(pod, "PodScheduled")
    if found is None or found.status != "False":
        return None
    since = found.last_transition_time or pod.metadata.creation_timestamp
    if since and now - since < GRACE:
        return None
    # What comes after it is why nobody can be thrown out for it.
    said = re.split(r"\.? preemption: ", found.message)[0].strip()
    if found.reason == "SchedulingGated":
        return Wait("SchedulingGated", f"A pod is held back: {clipped(said)}", katib_hints.QUEUED)
    if NO_VOLUME.search(said):
        to_do = hint(katib_hints.VOLUME, said, pod.metadata.namespace)
        return Wait("VolumeNotBound", f"The volume is not there yet: {clipped(said)}", to_do)
    short = list(dict.fromkeys(re.findall(r"Insufficient ([\w./-]+\w)", said)))
    missing = f" for lack of {' and '.join(short)}" if short else ""
    message = f"No node can take a pod{missing}: {clipped(said)}"
    return Wait("Unschedulable", message, hint(katib_hints.NO_ROOM, said))


def _not_started(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    """On a node, but a volume, the network or the like is not there for it."""
    bound = _condition(pod, "PodScheduled")
    since = (bound and bound.last_transition_time) or pod.metadata.creation_timestamp
    if has_started(pod) or not pod.spec.node_name or (since and now - since < MOUNT_GRACE):
        return None
    told = [
        (seen, event.reason, event.message)
        for event in events
        if event.reason not in TOLD_ELSEWHERE and (seen := seen_at(event))
    ]
    if not told:
        return None
    _seen, reason, said = max(told)
    if "Multi-Attach" in said:
        reason = "MultiAttach"
    is_volume = "Mount" in reason or "Attach" in reason
    to_do = "Whoever runs the cluster has to look at the node."
    if is_volume:
        to_do = hint(katib_hints.VOLUME, said, pod.metadata.namespace)
    what = "A volume cannot be mounted" if is_volume else "A pod cannot start on its node"
    return Wait(reason, f"{what}: {clipped(said)}", to_do)


def _node_lost(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    ready = _condition(pod, "Ready")
    unready = ready is not None and ready.status != "True"
    left = unready and any(event.reason == "NodeNotReady" for event in events)
    if pod.status.reason != "NodeLost" and not left:
        return None
    message = f"The node `{pod.spec.node_name}` does not answer."
    return Wait("NodeLost", message, katib_hints.NODE_LOST)


def _search_unready(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    ready = _condition(pod, "Ready")
    if SEARCH not in pod.metadata.labels or ready is None or ready.status == "True":
        return None
    since = ready.last_transition_time or pod.metadata.creation_timestamp
    if pod.status.phase != "Running" or (since and now - since < SEARCH_GRACE):
        return None
    return Wait("NotReady", "It runs, but does not get ready.", katib_hints.SEARCH[0])


# --- status ---------------------------------------------------------------------------------------


def _all_statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))


def _waiting(pod: Pod) -> Iterator[tuple[ContainerStatus, str, str]]:
    for status in _all_statuses(pod):
        if status.state.waiting:
            yield status, status.state.waiting.reason, status.state.waiting.message


def _condition(pod: Pod, kind: str) -> Condition | None:
    return next((each for each in pod.status.conditions or () if each.type == kind), None)
