"""What a pod says of its trial: whose it is, its log, its metrics, its end and its GPUs (pure)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime

from bot.engines.katib_objects import LABEL_ROLE
from bot.engines.katib_wire import Container, ContainerStatus, Pod, Resources, Terminated
from bot.engines.trainer_command import MetricLine, exit_cause, last_words, read_line
from bot.status import Observation

TRIAL = "katib.kubeflow.org/trial"
SEARCH = "katib.kubeflow.org/suggestion"
# A pod's job, by whoever made the pod; a TrainJob's pods are those of a Job in a JobSet.
_JOBS = (
    "training.kubeflow.org/job-name",
    "jobset.sigs.k8s.io/jobset-name",
    "batch.kubernetes.io/job-name",
    "job-name",
)
_REPLICA = "training.kubeflow.org/replica-type"
_MASTER = "training.kubeflow.org/job-role"
_GROUP, _GROUP_OF_NODES = "jobset.sigs.k8s.io/replicatedjob-name", "node"
_RANK = "batch.kubernetes.io/job-completion-index"
# Katib's collector of standard output prints the trial's lines; the trial's own log is empty then.
LOGGER = "metrics-logger-and-collector"
_COLLECTORS = (LOGGER, "metrics-collector")
_BESIDE = (*_COLLECTORS, "istio-proxy")

# How the sidecar repeats a line: behind the header of its logging library.
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \w+\.go:\d+\] ?")
_TRIAL_FAILED = "Failed to wait for worker container"

# Why a pod was ended by others, in the words of kubelets and controllers, old and new.
_ENDED_BY_OTHERS: Mapping[str, str] = {
    "DeadlineExceeded": "Deadline",
    "Evicted": "Evicted",
    "EvictionByEvictionAPI": "Evicted",
    "Preempting": "Preempted",
    "PreemptionByScheduler": "Preempted",
    "PreemptionByKubeScheduler": "Preempted",
    "NodeLost": "NodeLost",
    "Shutdown": "NodeLost",
    "NodeShutdown": "NodeLost",
    "Terminated": "NodeLost",
    "TerminationByKubelet": "NodeLost",
    "DeletionByTaintManager": "NodeLost",
    "DeletionByPodGC": "NodeLost",
    "NodeAffinity": "NodeRefused",
    "UnexpectedAdmissionError": "NodeRefused",
}
_SENTENCES: Mapping[str, str] = {
    "Deadline": "The trial ran longer than its deadline.",
    "Evicted": "The pod was evicted from its node.",
    "Preempted": "The pod had to make room for one of a higher priority.",
    "NodeLost": "The pod's node went away.",
    "NodeRefused": "The node would not take the pod.",
}


def trial_of(pod: Pod) -> str:
    """The trial that a pod belongs to; of our own jobs the job's name; "" for a search pod."""
    labels = pod.metadata.labels
    if SEARCH in labels:
        return ""
    return next((labels[name] for name in (TRIAL, *_JOBS) if labels.get(name)), "")


def role_of(pod: Pod) -> str:
    """fetch, baseline or retry for the pods of our own jobs, else ""."""
    return pod.metadata.labels.get(LABEL_ROLE, "")


def is_primary(pod: Pod) -> bool:
    """Whether the pod speaks for its trial: the Master, rank 0, or the only one there is."""
    labels = pod.metadata.labels
    if SEARCH in labels:
        return False
    if _REPLICA in labels or _MASTER in labels:
        return labels.get(_MASTER) == "master"
    if _GROUP in labels:
        return labels[_GROUP] == _GROUP_OF_NODES and labels.get(_RANK, "0") == "0"
    return True


def has_ended(pod: Pod) -> bool:
    """Whether nothing of it runs any more."""
    return pod.status.phase in ("Succeeded", "Failed")


# --- logs -----------------------------------------------------------------------------------------


def log_container(pod: Pod, collector: str = "StdOut") -> str:
    """The container whose log holds what the trial printed.

    `collector` is the kind of the metrics collector: only that of StdOut takes the lines away.
    """
    names = [container.name for container in pod.spec.containers or ()]
    return LOGGER if LOGGER in names and collector == "StdOut" else _main_name(pod)


def clean_log(text: str) -> str:
    """A log without the headers of Katib's sidecar, and without its words on a trial that failed.

    Once the sidecar gives up it prints stack traces of its own: they are left out.
    """
    return "".join(f"{line}\n" for line in _clean(text.splitlines()))


def _clean(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        header = _KLOG.match(line)
        rest = line[header.end() :] if header else line
        if not (header and header[1] == "F"):
            yield rest
            continue
        if not rest.startswith(_TRIAL_FAILED):
            yield rest
        return


def observation_of(text: str, names: Collection[str]) -> dict[str, Observation]:
    """What a log says of the metrics in `names`: their lowest, highest and latest finite value."""
    seen: dict[str, list[float]] = {}
    for line in _clean(text.splitlines()):
        said = read_line(line)
        if isinstance(said, MetricLine):
            for name in said.metrics.keys() & set(names):
                seen.setdefault(name, []).append(said.metrics[name])
    return {
        name: Observation(min=min(values), max=max(values), latest=values[-1])
        for name, values in seen.items()
    }


# --- ends -----------------------------------------------------------------------------------------


def end_of(pod: Pod, log: str = "") -> tuple[str, str] | None:
    """Why a pod failed, as one word and a sentence; None unless it did.

    Args:
        log: its last lines, clean or not.
    """
    if pod.status.phase == "Succeeded":
        return None
    main = _status(pod, _main_name(pod))
    ended = main.state.terminated if main else None
    if ended and ended.reason == "OOMKilled":
        return "OutOfMemory", f"The trial used more memory than {_limit(pod, _main_name(pod))}."
    if by_others := _by_others(pod):
        return by_others
    if ended and ended.exit_code:
        return _main_failed(ended, log)
    if beside := _beside_failed(pod, log):
        return beside
    if pod.status.phase == "Failed":
        said = pod.status.message or pod.status.reason or "Its pod does not say why."
        return pod.status.reason or "PodFailed", said
    return None


def _by_others(pod: Pod) -> tuple[str, str] | None:
    reason, said = pod.status.reason, pod.status.message
    if reason.startswith("OutOf"):  # OutOfcpu, OutOfnvidia.com/gpu
        reason = "UnexpectedAdmissionError"
    if reason not in _ENDED_BY_OTHERS:
        for each in pod.status.conditions or ():
            if each.type == "DisruptionTarget" and each.status == "True":
                reason, said = each.reason, each.message
    word = _ENDED_BY_OTHERS.get(reason)
    if word is None:
        return None
    return word, " ".join([_SENTENCES[word], said if word != "Deadline" else ""]).strip()


def _main_failed(ended: Terminated, log: str) -> tuple[str, str]:
    if ended.reason == "ContainerStatusUnknown":
        return "NodeLost", _SENTENCES["NodeLost"]
    if ended.reason in ("StartError", "ContainerCannotRun"):
        return "CannotStart", f"The container could not be started: {ended.message.strip()}"
    return exit_cause(ended.exit_code, clean_log(log) or ended.message)


def _beside_failed(pod: Pod, log: str) -> tuple[str, str] | None:
    """An init container, or Katib's collector of a trial that ended well."""
    for status in pod.status.init_container_statuses or ():
        if (ended := status.state.terminated) and ended.exit_code:
            return "InitFailed", _init_sentence(status.name, ended)
    for status in pod.status.container_statuses or ():
        ended = status.state.terminated
        if status.name in _COLLECTORS and ended and ended.exit_code:
            return "CollectorFailed", _collector_sentence(pod, status.name, ended, log)
    return None


def _init_sentence(name: str, ended: Terminated) -> str:
    if name == "init-pytorch":
        return "A Worker waited for the Master's address in vain."
    said = f": {ended.message.strip()}" if ended.message.strip() else "."
    return f"The init container {name} ended with exit code {ended.exit_code}{said}"


def _collector_sentence(pod: Pod, name: str, ended: Terminated, log: str) -> str:
    said = last_words(clean_log(log)) or f"exit code {ended.exit_code}"
    if ended.reason == "OOMKilled":
        said = f"it used more memory than {_limit(pod, name)}"
    return f"Katib's metrics collector failed beside the trial: {said.rstrip('.')}."


# --- GPUs -----------------------------------------------------------------------------------------


def gpu_seconds(pods: Iterable[Pod], gpu_resource: str, now: datetime) -> dict[str, float]:
    """GPUs held by the pods of each trial times how long, running ones until `now`.

    A pod whose containers never started counts 0.
    """
    held: dict[str, float] = {}
    for pod in pods:
        if trial := trial_of(pod):
            held[trial] = held.get(trial, 0.0) + sum(_held(pod, gpu_resource, now))
    return held


def _held(pod: Pod, gpu_resource: str, now: datetime) -> Iterator[float]:
    for container in pod.spec.containers or ():
        gpus = _quantity(container.resources, gpu_resource)
        status = _status(pod, container.name)
        if gpus and status:
            yield gpus * _seconds(pod, status, now)


def _seconds(pod: Pod, status: ContainerStatus, now: datetime) -> float:
    ended, running = status.state.terminated, status.state.running
    begun = ended.started_at if ended else running.started_at if running else None
    if status.restart_count:
        # Of all its starts only the last is told; the pod kept its GPUs all the time.
        begun = pod.status.start_time
    if begun is None:
        return 0.0
    over = has_ended(pod) or (ended and not status.restart_count)
    end = (ended.finished_at if ended else _last_change(pod)) if over else None
    return max(0.0, ((end or now) - begun).total_seconds())


def _last_change(pod: Pod) -> datetime | None:
    """When a pod ended whose node no longer tells."""
    times = [each.last_transition_time for each in pod.status.conditions or ()]
    return max((time for time in times if time), default=None)


def _quantity(resources: Resources, name: str) -> float:
    """Of a resource that is counted in wholes: "2" or 2."""
    return float(resources.limits.get(name, 0))


# --- containers -----------------------------------------------------------------------------------


def _main_name(pod: Pod) -> str:
    """The training container."""
    names = [each.name for each in pod.spec.containers or () if each.name not in _BESIDE]
    known = ("pytorch", "training-container", "node", "fetch")
    return next((name for name in names if name in known), names[0] if names else "")


def _status(pod: Pod, name: str) -> ContainerStatus | None:
    return next((s for s in pod.status.container_statuses or () if s.name == name), None)


def _limit(pod: Pod, name: str) -> str:
    """`its limit of 4Gi`, or what it has instead."""
    named: list[Container] = [c for c in pod.spec.containers or () if c.name == name]
    limit = named[0].resources.limits.get("memory") if named else None
    return f"its limit of {limit}" if limit else "its node had left"
