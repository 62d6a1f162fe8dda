"""Experiments for these tests: small ones by keyword, and those that the official SDKs send."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tests.cluster.resources import Json

GOLDEN = Path(__file__).parents[1] / "engines" / "golden"
IMAGE = "example.com/trainer:1"


def pytorchjob(command: list[str] | None = None, workers: int = 1, **spec: Any) -> Json:
    """A trial that uses the parameter lr; a failing pod fails it."""
    words = command or ["python", "train.py", "--lr=${trialParameters.lr}"]
    pod = {"spec": {"containers": [{"name": "pytorch", "image": IMAGE, "command": words}]}}
    role = {"replicas": 1, "restartPolicy": "Never", "template": pod}
    roles: Json = {"Master": role}
    if workers:
        roles["Worker"] = {**copy.deepcopy(role), "replicas": workers}
    body = {"pytorchReplicaSpecs": roles, **spec}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "spec": body}


def experiment(namespace: str, name: str = "tune", trial: Json | None = None, **spec: Any) -> Json:
    """Six trials, two at a time, that maximise `score` over lr in 0.1..1."""
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "score"},
            "algorithm": {"algorithmName": "random"},
            "maxTrialCount": 6,
            "parallelTrialCount": 2,
            "parameters": [
                {
                    "name": "lr",
                    "parameterType": "double",
                    "feasibleSpace": {"min": "0.1", "max": "1"},
                }
            ],
            "trialTemplate": {
                "primaryContainerName": "pytorch",
                "trialParameters": [{"name": "lr", "reference": "lr"}],
                "trialSpec": trial or pytorchjob(workers=0),
            },
            **spec,
        },
    }


def golden(name: str, namespace: str) -> Json:
    """A body as an SDK sent it, in another namespace."""
    body: Json = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    body["metadata"]["namespace"] = namespace
    return body
