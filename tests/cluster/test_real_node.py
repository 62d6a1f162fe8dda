"""A trial in real containers: one Master and one Worker, started by a kubelet, train together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from bot import prior
from bot.engines import katib_objects
from bot.engines.katib_objects import Cluster
from bot.slack import command
from tests.cluster.api import Api
from tests.cluster.resources import NODES, PODS, PYTORCHJOBS, Json
from tests.cluster.run import training_operator
from tests.cluster.waiting import has, until

pytestmark = pytest.mark.node

IMAGE = os.environ.get("TEST_NODE_IMAGE", "localhost/katib-tune-trainer:test")
MODEL = os.environ.get("TEST_NODE_MODEL", "/opt/model")
WAIT_S = 600.0
LINE = (
    "{model} on /tmp/rows.csv name=guide learning_rate=1e-05..5e-05 num_train_epochs=1 "
    "per_device_train_batch_size=4 r=8..32 objective=maximize:eval_accuracy workers=2 procs=1"
)
# Rows without a volume and without a network.
ROWS = "i=0; echo text,label > /tmp/rows.csv; while [ $i -lt 40 ]; do " + (
    "echo a good film $i,positive >> /tmp/rows.csv; echo a bad film $i,negative >> /tmp/rows.csv; "
    "i=$((i+1)); done; "
)


@pytest.fixture
def operator(kubeconfig: str) -> Iterator[None]:
    """The training operator: the cluster's own, or its stand-in."""
    with training_operator(kubeconfig):
        yield


@pytest.mark.timeout(WAIT_S + 60)
@pytest.mark.usefixtures("operator")
def test_a_master_and_a_worker_in_containers_train_together(api: Api, namespace: str) -> None:
    assert api.list(NODES), "a node that runs pods"
    spec = prior.to_spec(command.parse_tune(LINE.format(model=MODEL)).data, "guide")
    job = katib_objects.baseline(spec, Cluster(namespace=namespace, trainer_image=IMAGE))
    assert job is not None
    write_rows_first(job)
    api.create(PYTORCHJOBS, job)

    def ended() -> Json | None:
        found = api.get(PYTORCHJOBS, namespace, "guide-baseline")
        status = found.get("status", {})
        return found if has("Succeeded")(status) or has("Failed")(status) else None

    done = until(ended, "the end of the PyTorchJob", WAIT_S)
    logs = {
        pod["metadata"]["labels"]["training.kubeflow.org/replica-type"]: api.text(
            PODS.path(namespace, pod["metadata"]["name"], "log"), container="pytorch"
        )
        for pod in api.list(PODS, namespace)
    }
    assert has("Succeeded")(done["status"]), (done["status"], logs)
    values = dict(re.findall(katib_objects.METRICS_FORMAT, logs["master"]))
    assert {"eval_accuracy", "eval_loss"} <= set(values)
    assert re.findall(katib_objects.METRICS_FORMAT, logs["worker"]) == []


def write_rows_first(job: Json) -> None:
    """Has each pod write the rows before it trains."""
    for role in job["spec"]["pytorchReplicaSpecs"].values():
        [container] = role["template"]["spec"]["containers"]
        container["args"] = [ROWS.replace("$(", "$$(") + container["args"][0]]
