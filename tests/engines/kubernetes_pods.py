"""Pods and events as Kubernetes writes them, decoded as the bot reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from bot.engines.katib_wire import Event, Pod

Json = dict[str, Any]
NAME = "tune"
TRIAL = "tune-abcd1234"
GPU = "nvidia.com/gpu"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LOGGER = "metrics-logger-and-collector"


def at(seconds: float) -> datetime:
    """So long after every pod of these tests was made."""
    return START + timedelta(seconds=seconds)


def text(seconds: float) -> str:
    """The same as Kubernetes writes it."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def running(since: float = 0) -> Json:
    return {"running": {"startedAt": text(since)}}


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, reason: str = "", since: float = 0, until: float = 60, **more: Any) -> Json:
    word = reason or ("Error" if code else "Completed")
    times = {"startedAt": text(since), "finishedAt": text(until)}
    return {"terminated": {"exitCode": code, "reason": word, **times, **more}}


def condition(
    kind: str, status: str = "True", reason: str = "", message: str = "", since: float = 0
) -> Json:
    found = {"type": kind, "status": status, "lastTransitionTime": text(since)}
    return {**found, "lastProbeTime": None, "reason": reason, "message": message}


def master(trial: str = TRIAL) -> dict[str, str]:
    """The labels of a PyTorchJob's Master, as the operator and Katib's webhook write them."""
    return {
        "katib.kubeflow.org/experiment": trial.rpartition("-")[0],
        "katib.kubeflow.org/trial": trial,
        "training.kubeflow.org/job-name": trial,
        "training.kubeflow.org/job-role": "master",
        "training.kubeflow.org/operator-name": "pytorchjob-controller",
        "training.kubeflow.org/replica-index": "0",
        "training.kubeflow.org/replica-type": "master",
    }


def worker(trial: str = TRIAL) -> dict[str, str]:
    """Those of its first Worker."""
    labels = {**master(trial), "training.kubeflow.org/replica-type": "worker"}
    del labels["training.kubeflow.org/job-role"]
    return labels


def search(algorithm: str = "random") -> dict[str, str]:
    """Those of the search pod."""
    return {
        "katib.kubeflow.org/deployment": f"{NAME}-{algorithm}",
        "katib.kubeflow.org/experiment": NAME,
        "katib.kubeflow.org/suggestion": NAME,
        "pod-template-hash": "6c9d4f7b8d",
    }


def own(role: str) -> dict[str, str]:
    """Those of a Job of ours: fetch, baseline."""
    return {
        "katib.kubeflow.org/experiment": NAME,
        "katib-tune/experiment": NAME,
        "katib-tune/role": role,
        "batch.kubernetes.io/job-name": f"{NAME}-{role}",
        "job-name": f"{NAME}-{role}",
    }


def pod(
    labels: dict[str, str] | None = None,
    *,
    state: Json | None = None,
    phase: str = "",
    name: str = "",
    container: str = "pytorch",
    image: str = "example.com/trainer:1",
    gpus: int | str = 0,
    memory: str = "",
    beside: dict[str, Json] | None = None,
    init: dict[str, Json] | None = None,
    restarts: int = 0,
    last: Json | None = None,
    conditions: list[Json] | None = None,
    node: str = "node-a",
    deleted: bool = False,
    **status: Any,
) -> Pod:
    """A pod whose training container is in `state`; without one it has no status yet."""
    labels = master() if labels is None else labels
    name = name or f"{labels.get('katib.kubeflow.org/trial', 'pod')}-master-0"
    states = {container: state, **(beside or {})} if state else {}
    limits = {**({GPU: str(gpus)} if gpus else {}), **({"memory": memory} if memory else {})}
    metadata = {
        "name": name, "namespace": "team-a", "uid": f"uid-{name}",
        "creationTimestamp": text(0), "labels": labels,
    }  # fmt: skip
    if deleted:
        metadata["deletionTimestamp"] = text(50)
    known = {"phase": phase or ("Running" if state and "running" in state else "Pending")}
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "containers": [
                {"name": container, "image": image, "resources": {"limits": limits}},
                *({"name": each, "image": "side:1", "resources": {}} for each in beside or ()),
            ],
        },
        "status": {
            **known,
            "startTime": text(0),
            "qosClass": "Burstable",
            "conditions": conditions or [condition("PodScheduled")],
            "initContainerStatuses": [
                {"name": each, "image": "alpine:3.10", "ready": False, "restartCount": 0,
                 "state": found, "lastState": {}} for each, found in (init or {}).items()
            ],
            "containerStatuses": [
                {
                    "name": each, "image": image, "imageID": "", "ready": False,
                    "restartCount": restarts, "state": found, "lastState": last or {},
                }
                for each, found in states.items()
            ],
            **status,
        },
    }  # fmt: skip
    return msgspec.json.decode(json.dumps(body), type=Pod)


def event(
    reason: str,
    message: str,
    kind: str = "PyTorchJob",
    name: str = TRIAL,
    *,
    first: float = 0,
    last: float = 60,
    newer_api: bool = False,
    **more: Any,
) -> Event:
    """A Warning; in the newer API's manner it has no lastTimestamp."""
    times: Json = {"firstTimestamp": text(first), "lastTimestamp": text(last), "count": 3}
    if newer_api:
        series = {"count": 3, "lastObservedTime": f"{text(last)[:-1]}.120345Z"}
        times = {"firstTimestamp": None, "lastTimestamp": None, "series": series}
        times["eventTime"] = f"{text(first)[:-1]}.100000Z"
    body = {
        "metadata": {
            "name": f"{name}.17f3", "namespace": "team-a", "creationTimestamp": text(first),
        },
        "involvedObject": {
            "kind": kind, "name": name, "namespace": "team-a",
            "uid": f"uid-{name}", "apiVersion": "v1",
        },
        "reason": reason, "message": message, "type": "Warning",
        "source": {"component": "controller"}, **times, **more,
    }  # fmt: skip
    return msgspec.json.decode(json.dumps(body), type=Event)
