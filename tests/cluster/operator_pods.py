"""The pods and services that the training operator (v1.9) makes of a PyTorchJob."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

from tests.cluster.objects import owner
from tests.cluster.resources import Json

PREFIX = "training.kubeflow.org/"
OPERATOR = "pytorchjob-controller"
PORT_NAME, PORT = "pytorchjob-port", 23456
CONTAINER = "pytorch"
WAITER = "init-pytorch"
WAITER_IMAGE = "alpine:3.10"
POD_RESTART: Mapping[str, str] = {"ExitCode": "Never"}


def with_defaults(job: Json) -> Json:
    """The job as the operator works with it; what is stored stays as the user wrote it."""
    job = copy.deepcopy(job)
    spec = job["spec"]
    spec.setdefault("runPolicy", {}).setdefault("cleanPodPolicy", "None")
    spec.setdefault("nprocPerNode", "auto")
    named = {role.capitalize(): value for role, value in spec["pytorchReplicaSpecs"].items()}
    spec["pytorchReplicaSpecs"] = named
    for role in named.values():
        role.setdefault("replicas", 1)
        role.setdefault("restartPolicy", "OnFailure")
        for container in role["template"]["spec"]["containers"]:
            ports = container.setdefault("ports", [])
            if container["name"] == CONTAINER and not any(
                port.get("name") == PORT_NAME for port in ports
            ):
                ports.append({"name": PORT_NAME, "containerPort": PORT})
    return job


def job_labels(name: str) -> dict[str, str]:
    return {f"{PREFIX}operator-name": OPERATOR, f"{PREFIX}job-name": name}


def replica_labels(job: Json, role: str, index: int) -> dict[str, str]:
    labels = job_labels(job["metadata"]["name"])
    labels |= {f"{PREFIX}replica-type": role.lower(), f"{PREFIX}replica-index": str(index)}
    if role == "Master":
        labels[f"{PREFIX}job-role"] = "master"
    return labels


def selector(job: Json, role: str) -> str:
    """status.replicaStatuses[role].selector."""
    labels = {**job_labels(job["metadata"]["name"]), f"{PREFIX}replica-type": role.lower()}
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def replicas(job: Json) -> Iterator[tuple[str, int]]:
    """Every replica as role and index, the Master first."""
    for role in sorted(job["spec"]["pytorchReplicaSpecs"]):
        for index in range(job["spec"]["pytorchReplicaSpecs"][role]["replicas"]):
            yield role, index


def replica_name(job: Json, role: str, index: int) -> str:
    return f"{job['metadata']['name']}-{role.lower()}-{index}"


def pod(job: Json, role: str, index: int) -> Json:
    """One replica's pod, from a job with defaults."""
    spec = job["spec"]["pytorchReplicaSpecs"][role]
    template = copy.deepcopy(spec["template"])
    meta = template.get("metadata") or {}
    inner = template["spec"]
    inner["restartPolicy"] = POD_RESTART.get(spec["restartPolicy"], spec["restartPolicy"])
    variables = environment(job, role, index)
    for container in inner["containers"]:
        container["env"] = [*(container.get("env") or ()), *variables]
    if role == "Worker" and "Master" in job["spec"]["pytorchReplicaSpecs"]:
        inner.setdefault("initContainers", []).append(_waiter(job))
    return {
        "metadata": {
            "name": replica_name(job, role, index),
            "namespace": job["metadata"]["namespace"],
            "labels": {**(meta.get("labels") or {}), **replica_labels(job, role, index)},
            "annotations": meta.get("annotations") or {},
            "ownerReferences": [owner(job)],
        },
        "spec": inner,
    }


def service(job: Json, role: str, index: int) -> Json:
    """The headless service that gives a replica its name."""
    labels = replica_labels(job, role, index)
    return {
        "metadata": {
            "name": replica_name(job, role, index),
            "namespace": job["metadata"]["namespace"],
            "labels": labels,
            "ownerReferences": [owner(job)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": labels,
            "ports": [{"name": PORT_NAME, "port": PORT}],
        },
    }


def environment(job: Json, role: str, index: int) -> list[Json]:
    """What the operator tells torchrun: addresses, sizes and this replica's place."""
    specs = job["spec"]["pytorchReplicaSpecs"]
    total = sum(one["replicas"] for one in specs.values())
    processes = str(job["spec"]["nprocPerNode"])
    first = "Master" if "Master" in specs else "Worker"
    master = replica_name(job, first, 0)
    rank = index + 1 if role == "Worker" and "Master" in specs else index
    world = total * int(processes) if processes.isdecimal() else total
    values = {
        "PYTHONUNBUFFERED": "1",
        "MASTER_PORT": str(PORT),
        "PET_MASTER_PORT": str(PORT),
        "MASTER_ADDR": master,
        "PET_MASTER_ADDR": master,
        "WORLD_SIZE": str(world),
        "RANK": str(rank),
        "PET_NPROC_PER_NODE": processes,
        "PET_NODE_RANK": str(rank),
        "PET_NNODES": str(total),
    }
    return [{"name": name, "value": value} for name, value in values.items()]


def _waiter(job: Json) -> Json:
    """Workers wait until the Master's name is known: 100 tries, 2 s apart."""
    name = replica_name(job, "Master", 0)
    script = (
        f"err=1;for i in $(seq 100); do if nslookup {name}; then err=0 && break; fi;"
        "echo waiting for master; sleep 2; done; exit $err"
    )
    return {
        "name": WAITER,
        "image": WAITER_IMAGE,
        "command": ["sh", "-c", script],
        "resources": {
            "limits": {"cpu": "100m", "memory": "20Mi"},
            "requests": {"cpu": "50m", "memory": "10Mi"},
        },
    }
