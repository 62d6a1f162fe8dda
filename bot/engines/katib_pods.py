"""What a trial's pods say: whose they are, how they ended, what they held and printed (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from bot.engines.katib_wire import ContainerStatus, Pod, Terminated
from bot.engines.trainer_command import MetricLine, read_line, why_failed
from bot.status import Observation

TRIAL = "katib.kubeflow.org/trial"
SUGGESTION = "katib.kubeflow.org/suggestion"
# The name of a pod's job, as the training operator, JobSet and the Job controller write it; a
# JobSet's Jobs have names of their own, so it comes before them.
JOB_NAMES = (
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "batch.kubernetes.io/job-name",
    "job-name",
)
REPLICA_TYPE = "training.kubeflow.org/replica-type"
GROUP, TRAINING_GROUP = "jobset.sigs.k8s.io/replicatedjob-name", "node"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
COLLECTORS = ("metrics-logger-and-collector", "metrics-collector")
LOGGER = COLLECTORS[0]
ENDED = ("Succeeded", "Failed")
# SIGKILL and SIGTERM, as a shell shows them: what a container that is deleted ends with.
DELETION_CODES = (137, 143)
# Of Go programs only: torchrun writes much the same, and that is the trial's own.
KLOG = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ [\w./-]+\.go:\d+\] ?")
TRIAL_FAILED = "Failed to wait for worker container"
# How a kubelet and the control plane end a whole pod: our word for each of their reasons.
POD_REASONS = {
    "DeadlineExceeded": ("DeadlineExceeded", "The trial ran longer than its deadline."),
    "Evicted": ("Evicted", "The trial's pod was evicted from its node."),
    "Preempting": ("Preempted", "The trial's pod had to make room for a more important one."),
    "Preempted": ("Preempted", "The trial's pod had to make room for a more important one."),
    "PreemptionByScheduler": (
        "Preempted",
        "The trial's pod had to make room for a more important one.",
    ),
    "EvictionByEvictionAPI": ("Evicted", "The trial's pod was evicted from its node."),
    "NodeLost": ("NodeLost", "The node of the trial's pod was lost."),
    "DeletionByTaintManager": ("NodeLost", "The node of the trial's pod was lost."),
    "DeletionByPodGC": ("NodeLost", "The node of the trial's pod was lost."),
    "NodeShutdown": ("NodeShutdown", "The node of the trial's pod was shut down."),
    "Terminated": ("NodeShutdown", "The node of the trial's pod was shut down."),
    "Shutdown": ("NodeShutdown", "The node of the trial's pod was shut down."),
    "TerminationByKubelet": ("Evicted", "The kubelet ended the trial's pod."),
}
DISRUPTION = "DisruptionTarget"
CANNOT_START = ("StartError", "ContainerCannotRun")


def trial_of(pod: Pod) -> str:
    """The trial, or the job of ours, that a pod belongs to; "" for a search pod."""
    labels = pod.metadata.labels
    return next((labels[key] for key in (TRIAL, *JOB_NAMES) if labels.get(key)), "")


def is_search(pod: Pod) -> bool:
    """Whether it is the pod of the search algorithm, not of a trial."""
    return SUGGESTION in pod.metadata.labels


def is_primary(pod: Pod) -> bool:
    """Whether it is the pod whose output is the trial's: the Master, or the first of its kind."""
    if is_search(pod):
        return False
    if any(each.name in COLLECTORS for each in pod.spec.containers or ()):
        return True
    labels = pod.metadata.labels
    return (
        labels.get(REPLICA_TYPE, "master") == "master"
        and labels.get(GROUP, TRAINING_GROUP) == TRAINING_GROUP
        and labels.get(COMPLETION_INDEX, "0") == "0"
    )


def has_ended(pod: Pod) -> bool:
    """Whether its log is complete, or will be gone in a moment.

    Not as soon as its program has ended: the metrics collector beside it may still repeat lines.
    """
    states = [each.state.terminated for each in pod.status.container_statuses or ()]
    every = bool(states) and all(states)
    return pod.status.phase in ENDED or every or pod.metadata.deletion_timestamp is not None


def log_container(pod: Pod) -> str:
    """The container whose log has the trial's output; Katib's collector repeats it in its own."""
    names = [each.name for each in pod.spec.containers or ()]
    marked = pod.metadata.annotations.get(DEFAULT_CONTAINER, "")
    return LOGGER if LOGGER in names else marked or names[0]


def clean_log(text: str) -> str:
    """A log without the headers that Katib's collector puts before the lines it repeats.

    When it gives up, because the trial failed, it adds a sentence and stack traces of its own: what
    they say of the trial is nothing.
    """
    return "".join(_clean(text.splitlines(keepends=True)))


def _clean(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        header = KLOG.match(line)
        said = line[header.end() :] if header else line
        is_last = header is not None and header[1] == "F"
        if not (is_last and said.startswith(TRIAL_FAILED)):
            yield said
        if is_last:
            return


def end_of(pod: Pod, log: str) -> tuple[str, str] | None:
    """Why a pod failed: one word and a sentence; None if it did not, or only was deleted.

    Args:
        log: its last lines, cleaned.
    """
    if outside := end_from_outside(pod):
        return outside
    failed = _failed(pod)
    programs = [end for each, end in failed if each.name not in COLLECTORS]
    for end in programs:
        if not (pod.metadata.deletion_timestamp and end.exit_code in DELETION_CODES):
            return why_failed(end.exit_code, log)
    if failed and not programs and pod.metadata.deletion_timestamp is None:
        return "MetricsCollectorFailed", _collector_failed(failed[0][1])
    return None


def end_from_outside(pod: Pod) -> tuple[str, str] | None:
    """What ended a pod that its program could not know of; None if nothing did.

    Of a trial of several pods this is the trial's end, whichever pod it was.
    """
    if whole := _end_of_pod(pod):
        return whole
    for each, end in _failed(pod):
        if each.name not in COLLECTORS and (found := _end_of_container(pod, each.name, end)):
            return found
    return None


def _failed(pod: Pod) -> list[tuple[ContainerStatus, Terminated]]:
    statuses = [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]
    ended = [(each, each.state.terminated) for each in statuses]
    return [(each, end) for each, end in ended if end is not None and end.exit_code != 0]


def _end_of_pod(pod: Pod) -> tuple[str, str] | None:
    """What ended all of it from outside, if something did."""
    status = pod.status
    disruption = next(
        (c for c in status.conditions or () if c.type == DISRUPTION and c.status == "True"), None
    )
    for reason, message in (
        (status.reason, status.message),
        (disruption.reason, disruption.message) if disruption else ("", ""),
    ):
        if reason in POD_REASONS:
            word, sentence = POD_REASONS[reason]
            return word, f"{sentence} {_sentence(message)}".strip()
    if status.phase == "Failed" and status.reason:  # UnexpectedAdmissionError, OutOfcpu, …
        said = _sentence(status.message) or "The node refused the trial's pod."
        return status.reason, said
    return None


def _end_of_container(pod: Pod, name: str, end: Terminated) -> tuple[str, str] | None:
    if end.reason == "OOMKilled":
        return "OutOfMemory", f"The container `{name}` ran out of memory and was killed."
    if end.reason in CANNOT_START:
        return (
            "StartError",
            f"The container `{name}` could not be started: {_sentence(end.message)}",
        )
    if end.reason == "ContainerStatusUnknown" and pod.metadata.deletion_timestamp is None:
        return "NodeLost", f"The end of the container `{name}` is not known. {end.message}".strip()
    return None


def _collector_failed(end: Terminated) -> str:
    why = "it ran out of memory" if end.reason == "OOMKilled" else f"exit code {end.exit_code}"
    return f"The training ended well, but Katib's metrics collector beside it failed: {why}."


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else f"{text}."


def gpu_seconds(pods: Iterable[Pod], gpu_resource: str, now: datetime) -> dict[str, float]:
    """GPUs times seconds that pods have held, by trial; one that never started held none.

    Args:
        gpu_resource: what one GPU is called in the containers' limits.
    """
    held: dict[str, float] = {}
    for pod in pods:
        containers = pod.spec.containers or ()
        gpus = sum(float(each.resources.limits.get(gpu_resource, 0)) for each in containers)
        if gpus:
            trial = trial_of(pod)
            held[trial] = held.get(trial, 0.0) + gpus * _seconds(pod, now)
    return held


def _seconds(pod: Pod, now: datetime) -> float:
    """From the first start of a container to the last end: in between, too, the GPUs are its."""
    statuses = [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]
    started = [time for each in statuses for time in _starts(each)]
    if not started:
        return 0.0
    ends = [each.state.terminated for each in statuses if each.state.terminated]
    over = pod.status.phase in ENDED or len(ends) == len(statuses)
    finished = [end.finished_at for end in ends if end.finished_at]
    until = max(finished) if over and finished else now
    return max(0.0, (until - min(started)).total_seconds())


def _starts(container: ContainerStatus) -> Iterator[datetime]:
    for state in (container.state, container.last_state):
        for each in (state.running, state.terminated):
            if each and each.started_at:
                yield each.started_at


def observation_of(text: str, names: Sequence[str]) -> dict[str, Observation]:
    """What a log says of the metrics `names`; numbers that are not finite are none."""
    seen: dict[str, list[float]] = {}
    for line in text.splitlines():
        read = read_line(line)
        if isinstance(read, MetricLine):
            for name in read.metrics.keys() & set(names):
                seen.setdefault(name, []).append(read.metrics[name])
    return {
        name: Observation(min=min(values), max=max(values), latest=values[-1])
        for name, values in seen.items()
    }
