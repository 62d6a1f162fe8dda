"""What one pod waits for instead of running, in a sentence and what to do about it (pure).

Read from the pod's status; events only say more precisely what the status shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from bot.engines.katib_pods import ENDED
from bot.engines.katib_wire import Condition, ContainerStatus, Event, Pod, Terminated, Waiting
from bot.spec import Frozen

# A fresh pod may wait a moment: schedulers, autoscalers, provisioners and mounts take their time.
SCHEDULING_GRACE_S = 10.0
VOLUME_GRACE_S = 30.0
QUEUE_GRACE_S = 60.0
RESTART_COUNTS_S = 600.0
LONGEST_WORDS = 400
IMAGE_REASONS = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
    "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
)  # fmt: skip
CANNOT_CREATE = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
MOUNT_REASONS = ("FailedMount", "FailedAttachVolume")
SANDBOX_REASON = "FailedCreatePodSandBox"
_SHORT = re.compile(r"Insufficient ([\w./-]+?)(?=\.?(?:[,\s]|$))")
_VOLUME = re.compile(
    r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim .* not found|"
    r"volume node affinity conflict|persistent volumes to bind|enough free storage|binding volumes"
)
_NO_CLAIM = re.compile(r'persistentvolumeclaim "([^"]+)" not found')
_TAINT = re.compile(r"didn't tolerate|untolerated taint")
_SELECTOR = re.compile(r"didn't match (?:Pod's )?node (?:affinity|selector)")
_DENIED = re.compile(r"unauthorized|denied|forbidden|authentication required|no basic auth", re.I)
_NO_NETWORK = re.compile(r"timeout|no such host|connection refused|deadline exceeded", re.I)
_MISSING = re.compile(r'(secret|configmap) "([^"]+)" not found', re.I)
_NO_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (?:[^/\s]+/)?(\S+)")
_PULL_WORDS = re.compile(
    r"^(?:(?:Back-off pulling image|Failed to pull image|failed to pull and unpack image|"
    r"failed to resolve reference|failed to resolve image) \"[^\"]*\": |ErrImagePull: |"
    r"rpc error: code = \w+ desc = |Error response from daemon: )*"
)


class Wait(Frozen):
    """`reason` is one word, `message` what was seen, `hint` what to do."""

    reason: str
    message: str
    hint: str = ""


def wait_of(
    pod: Pod, events: Sequence[Event], claims: Sequence[Event], now: datetime
) -> Wait | None:
    """What a pod waits for; None if it runs, has ended, is on its way out or only just came.

    Args:
        events: the warnings about this pod.
        claims: the warnings about the volume claims that it may use.
    """
    if pod.status.phase in ENDED or pod.metadata.deletion_timestamp:
        return None
    if not pod.spec.node_name:
        return _unscheduled(pod, claims, now)
    for container in _containers(pod):
        if found := _waiting(pod, container, events):
            return found
    return _mounting(pod, events, now) or _restarted(pod, now)


def last_seen(event: Event) -> datetime | None:
    """When an event was seen last."""
    series = event.series.last_observed_time if event.series else None
    times = (series, event.last_timestamp, event.event_time, event.first_timestamp)
    return next((time for time in times if time), event.metadata.creation_timestamp)


def sentence(text: str) -> str:
    """Words of a machine as a sentence of one line, not too long."""
    words = " ".join(text.split()).rstrip(".")
    return f"{words[:LONGEST_WORDS]}{'…' if len(words) > LONGEST_WORDS else '.'}"


def _containers(pod: Pod) -> Iterator[ContainerStatus]:
    yield from pod.status.init_container_statuses or ()
    yield from pod.status.container_statuses or ()


def _has_passed(since: datetime | None, grace_s: float, now: datetime) -> bool:
    return since is None or now - since >= timedelta(seconds=grace_s)


# --- no node yet ----------------------------------------------------------------------------------


def _unscheduled(pod: Pod, claims: Sequence[Event], now: datetime) -> Wait | None:
    scheduled = next((c for c in pod.status.conditions or () if c.type == "PodScheduled"), None)
    if claims and (scheduled is None or _VOLUME.search(scheduled.message)):
        return _not_provisioned(claims)
    if scheduled is None or scheduled.status != "False":
        return None
    since = scheduled.last_transition_time or pod.metadata.creation_timestamp
    if scheduled.reason == "SchedulingGated":
        return _gated(scheduled) if _has_passed(since, QUEUE_GRACE_S, now) else None
    if _VOLUME.search(scheduled.message):
        return _not_bound(scheduled) if _has_passed(since, VOLUME_GRACE_S, now) else None
    return _no_room(scheduled) if _has_passed(since, SCHEDULING_GRACE_S, now) else None


def _gated(scheduled: Condition) -> Wait:
    return Wait(
        reason="SchedulingGated",
        message=sentence(scheduled.message or "Scheduling is blocked"),
        hint="A queue of the cluster lets it in when there is room: look at its Workloads.",
    )


def _no_room(scheduled: Condition) -> Wait:
    said = scheduled.message.partition(" preemption:")[0]
    short = list(dict.fromkeys(_SHORT.findall(said)))
    if short:
        message = f"No node has enough {' and '.join(f'`{what}`' for what in short)} free"
        hint = "Wait until others end, ask for less per trial or for fewer at a time, or add nodes."
    elif _TAINT.search(said):
        message = "The nodes keep pods away that do not tolerate their taint"
        hint = "Put the toleration into the trial template (pod_spec.tolerations)."
    elif _SELECTOR.search(said):
        message = "No node has the labels that the pod asks for"
        hint = "Check node_selector, and the labels of the nodes: kubectl get nodes --show-labels"
    else:
        message, hint = "No node can take the pod", "Look at the cluster's nodes."
    return Wait(reason="Unschedulable", message=sentence(f"{message}: {said}"), hint=hint)


def _not_bound(scheduled: Condition) -> Wait:
    said = scheduled.message.partition(" preemption:")[0]
    if found := _NO_CLAIM.search(said):
        message = f"There is no volume claim `{found[1]}`: {said}"
        return Wait(reason="VolumeNotBound", message=sentence(message), hint="Was it deleted?")
    return Wait(
        reason="VolumeNotBound",
        message=sentence(f"The volume is not there yet: {said}"),
        hint="Check storage_class and access modes: kubectl get pvc, kubectl get storageclass",
    )


def _not_provisioned(claims: Sequence[Event]) -> Wait:
    said = claims[-1]
    claim = said.involved_object.name
    return Wait(
        reason="VolumeNotBound",
        message=sentence(f"The volume claim `{claim}` gets no volume: {said.message}"),
        hint="Check storage_class, size and access modes: kubectl get storageclass",
    )


# --- containers that wait -------------------------------------------------------------------------


def _waiting(pod: Pod, container: ContainerStatus, events: Sequence[Event]) -> Wait | None:
    waiting = container.state.waiting
    if waiting is None:
        return None
    if waiting.reason in IMAGE_REASONS:
        return _no_image(container.image, waiting, events)
    if waiting.reason in CANNOT_CREATE:
        return _cannot_create(pod, waiting.reason, waiting.message)
    if waiting.reason == "CrashLoopBackOff":
        end = container.last_state.terminated
        ended = f", last with {_end(end)}" if end else ""
        return Wait(
            reason="CrashLoopBackOff",
            message=f"The container `{container.name}` ends again and again{ended}.",
            hint=_after_end(end),
        )
    return None


def _no_image(image: str, waiting: Waiting, events: Sequence[Event]) -> Wait:
    # NB: up to Kubernetes 1.30 the container's state forgets the cause while it backs off.
    told = [e.message for e in events if e.message.startswith(f'Failed to pull image "{image}"')]
    forgot = waiting.message == f'Back-off pulling image "{image}"'
    said = told[-1] if forgot and told else waiting.message
    cause = _PULL_WORDS.sub("", said).strip()
    if not cause or cause.startswith("Back-off pulling"):
        cause = "it is tried again"
    if _DENIED.search(cause):
        hint = "Check the name, or give the trials an image pull secret for that registry."
    elif "toomanyrequests" in cause:
        hint = "The registry limits pulls: use an image pull secret, or another registry."
    elif "x509" in cause:
        hint = "The nodes do not trust the registry's certificate."
    elif (
        "not found" in cause or "manifest unknown" in cause or waiting.reason == "InvalidImageName"
    ):
        hint = "Check the image's name and tag."
    elif _NO_NETWORK.search(cause):
        hint = "The nodes cannot reach the registry."
    else:
        hint = "Check the image's name and tag, and whether the nodes may pull it."
    text = sentence(f"The image `{image}` cannot be pulled: {cause}")
    return Wait(reason="ImagePullBackOff", message=text, hint=hint)


def _cannot_create(pod: Pod, reason: str, said: str) -> Wait:
    if wait := missing(said, pod.metadata.namespace):
        return wait.model_copy(update={"reason": reason})
    hint = "Check image, command and security context in the trial template."
    if "runAsNonRoot" in said:
        hint = "Use an image that runs as another user than root, or set runAsUser."
    return Wait(
        reason=reason, message=sentence(f"The container cannot be created: {said}"), hint=hint
    )


def missing(said: str, namespace: str) -> Wait | None:
    """The Secret or ConfigMap that something needs, or the key in it, if that is what was said."""
    where = f" -n {namespace}" if namespace else ""
    if found := _MISSING.search(said):
        kind = "Secret" if found[1].lower() == "secret" else "ConfigMap"
        create = "secret generic" if kind == "Secret" else "configmap"
        return Wait(
            reason=f"{kind}Missing",
            message=f"There is no {kind} `{found[2]}` in the namespace `{namespace}`.",
            hint=f"Create it, and the pods go on: kubectl create {create} {found[2]}{where} "
            "--from-literal=KEY=VALUE",
        )
    if found := _NO_KEY.search(said):
        return Wait(
            reason=f"{found[2]}Missing",
            message=f"The {found[2]} `{found[3]}` has no key `{found[1]}`.",
            hint=f"Add the key: kubectl edit {found[2].lower()} {found[3]}{where}",
        )
    return None


# --- containers not made yet, or made again -------------------------------------------------------


def _mounting(pod: Pod, events: Sequence[Event], now: datetime) -> Wait | None:
    if any(c.state.running or c.state.terminated for c in _containers(pod)):
        return None
    if not _has_passed(pod.status.start_time, VOLUME_GRACE_S, now):
        return None
    for event in reversed(events):
        if event.reason == SANDBOX_REASON:
            return Wait(
                reason=SANDBOX_REASON,
                message=sentence(f"The node cannot set up the pod: {event.message}"),
                hint="Its network or container runtime is at fault: ask who runs the cluster.",
            )
        if event.reason in MOUNT_REASONS:
            return _not_mounted(pod, event)
    return None


def _not_mounted(pod: Pod, event: Event) -> Wait:
    if "Multi-Attach" in event.message:
        return Wait(
            reason="MultiAttach",
            message=sentence(f"The volume is held by another node: {event.message}"),
            hint="Use a storage class with ReadWriteMany, or run one trial at a time.",
        )
    if wait := missing(event.message, pod.metadata.namespace):
        return wait.model_copy(update={"reason": "FailedMount"})
    return Wait(
        reason="FailedMount",
        message=sentence(f"A volume cannot be mounted: {event.message}"),
        hint="Check the volume claim and its storage class.",
    )


def _restarted(pod: Pod, now: datetime) -> Wait | None:
    for container in _containers(pod):
        end = container.last_state.terminated
        if not container.restart_count or end is None or container.state.terminated:
            continue
        if end.finished_at and now - end.finished_at > timedelta(seconds=RESTART_COUNTS_S):
            continue
        times = "once" if container.restart_count == 1 else f"{container.restart_count} times"
        return Wait(
            reason="ContainerRestarts",
            message=f"The container `{container.name}` was started again {times}, "
            f"after {_end(end)}.",
            hint=_after_end(end),
        )
    return None


def _end(end: Terminated) -> str:
    return "running out of memory" if end.reason == "OOMKilled" else f"exit code {end.exit_code}"


def _after_end(end: Terminated | None) -> str:
    if end and end.reason == "OOMKilled":
        return "Give it more memory, or use smaller batches."
    return "Its log says why."
