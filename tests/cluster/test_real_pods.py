"""Pods that really run on this machine, and their logs through the API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import Api
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.recordings import PodFacts, Real, Recording, lines
from tests.cluster.resources import CLAIMS, EXPERIMENTS, PODS, SECRETS, TRIALS, Json
from tests.cluster.run import Controllers
from tests.cluster.waiting import has, until, until_experiment

pytestmark = pytest.mark.cluster

SIDECAR = "metrics-logger-and-collector"
FAILED = has("Failed")

PROGRAM = """
import os, pathlib, sys
assert os.environ["TOKEN"] == "secret"
text = pathlib.Path("model").read_text().strip()
print(os.environ["KATIB_TRIAL_NAME"], "rank", os.environ["RANK"], text, flush=True)
print("score=" + sys.argv[1], flush=True)
"""


def real_trial(program: Path, workers: int = 1) -> Json:
    """Master and Worker share a claim that the Master's init container fills."""
    body = pytorchjob(["python", str(program), "${trialParameters.lr}"], workers)
    mount = [{"name": "workspace", "mountPath": "/workspace"}]
    for role in body["spec"]["pytorchReplicaSpecs"].values():
        inner = role["template"]["spec"]
        inner["volumes"] = [{"name": "workspace", "persistentVolumeClaim": {"claimName": "tune"}}]
        [main] = inner["containers"]
        main["volumeMounts"] = mount
        main["workingDir"] = "/workspace"
        reference = {"secretKeyRef": {"name": "hf", "key": "token"}}
        main["env"] = [{"name": "TOKEN", "valueFrom": reference}]
    fetch = ["sh", "-c", "echo fetched > /workspace/model"]
    master = body["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    master["initContainers"] = [
        {"name": "fetch", "image": "i:1", "command": fetch, "volumeMounts": mount}
    ]
    return body


def prepare(api: Api, namespace: str) -> None:
    """The Secret and the claim that the real trial asks for."""
    secret = {"metadata": {"name": "hf", "namespace": namespace}, "stringData": {"token": "secret"}}
    api.create(SECRETS, secret)
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    api.create(CLAIMS, {"metadata": {"name": "tune", "namespace": namespace}, "spec": spec})


def one(namespace: str, trial: Json, **spec: Any) -> Json:
    """An Experiment of one trial that keeps its pods."""
    body = experiment(
        namespace,
        "tune",
        trial,
        **{"maxTrialCount": 1, "parallelTrialCount": 1, "maxFailedTrialCount": 1, **spec},
    )
    body["spec"]["trialTemplate"]["retain"] = True
    return body


def test_a_trial_really_runs_with_its_command_variables_claims_and_init_container(
    api: Api, namespace: str, standins: Controllers, tmp_path: Path
) -> None:
    program = tmp_path / "train.py"
    program.write_text(PROGRAM)
    standins.node.play(namespace, lambda facts: Real())
    prepare(api, namespace)
    api.create(EXPERIMENTS, one(namespace, real_trial(program)))
    until_experiment(api, namespace, "tune", has("Succeeded"))
    [done] = api.list(TRIALS, namespace)
    name = done["metadata"]["name"]
    [assigned] = done["spec"]["parameterAssignments"]
    assert done["status"]["observation"]["metrics"][0]["latest"] == assigned["value"]
    master = standins.node.log(namespace, f"{name}-master-0", SIDECAR)
    assert f"] {name} rank 0 fetched\n" in master
    worker = f"{name}-worker-0"
    until(
        lambda: api.get(PODS, namespace, worker)["status"]["phase"] == "Succeeded",
        "the Worker's end",
    )
    log = api.text(PODS.path(namespace, worker, "log"), container="pytorch")
    assert log == f"{name} rank 1 fetched\nscore={assigned['value']}\n"


def test_a_program_that_fails_fails_its_pod_and_its_trial(
    api: Api, namespace: str, standins: Controllers, tmp_path: Path
) -> None:
    program = tmp_path / "train.py"
    program.write_text("import sys\nprint('score=1', flush=True)\nsys.exit(3)\n")
    standins.node.play(namespace, lambda facts: Real())
    prepare(api, namespace)
    api.create(EXPERIMENTS, one(namespace, real_trial(program, workers=0)))
    until_experiment(api, namespace, "tune", FAILED)
    [failed] = api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial")
    codes = {
        state["name"]: state["state"]["terminated"]["exitCode"]
        for state in failed["status"]["containerStatuses"]
    }
    assert codes == {"pytorch": 3, SIDECAR: 1}
    assert standins.database.rows(failed["metadata"]["labels"]["katib.kubeflow.org/trial"]) == []


def test_a_missing_secret_keeps_the_container_from_starting(
    api: Api, namespace: str, standins: Controllers, tmp_path: Path
) -> None:
    standins.node.play(namespace, lambda facts: Real())
    prepare(api, namespace)
    api.delete(SECRETS, namespace, "hf")
    api.create(EXPERIMENTS, one(namespace, real_trial(tmp_path / "none.py", workers=0)))

    def refused() -> Json | None:
        for pod in api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial"):
            for state in pod["status"].get("containerStatuses", ()):
                if "waiting" in state["state"]:
                    found: Json = state["state"]["waiting"]
                    return found if found["reason"] != "PodInitializing" else None
        return None

    state = until(refused, "a waiting container")
    assert state == {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}


def test_a_deleted_trial_ends_its_processes(
    api: Api, namespace: str, standins: Controllers, tmp_path: Path
) -> None:
    mark, program = tmp_path / "pid", tmp_path / "train.py"
    program.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(300)\n"
    )
    standins.node.play(namespace, lambda facts: Real())
    prepare(api, namespace)
    api.create(EXPERIMENTS, one(namespace, real_trial(program, workers=0)))
    until(lambda: mark.exists() and mark.read_text(), "the program's start")
    process = Path(f"/proc/{mark.read_text()}")
    assert process.exists()
    api.delete(EXPERIMENTS, namespace, "tune")
    until(lambda: not process.exists(), "the program's end")


def test_a_log_is_followed_while_the_pod_runs(
    api: Api, namespace: str, standins: Controllers
) -> None:
    texts = [f"score={number}" for number in range(5)]
    standins.node.play(namespace, lambda facts: Recording(lines(*texts, every_s=0.1)))
    api.create(EXPERIMENTS, one(namespace, pytorchjob(workers=0)))

    def started() -> str | None:
        for pod in api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial"):
            if pod["status"].get("phase") == "Running":
                return str(pod["metadata"]["name"])
        return None

    name = until(started, "a running pod")
    path = PODS.path(namespace, name, "log")
    followed = api.text(path, container=SIDECAR, follow="true")
    assert [line.split("] ")[1] for line in followed.splitlines()] == texts
    assert api.text(path, container=SIDECAR, tailLines=1).endswith("] score=4\n")


def test_a_trial_worse_than_the_mean_of_the_others_is_stopped_early(
    api: Api, namespace: str, standins: Controllers
) -> None:
    seen: list[str] = []

    def choose(facts: PodFacts) -> Recording:
        seen.append(facts.name)
        value = 1.0 if len(seen) <= 3 else 0.1
        return Recording(lines(*[f"score={value}"] * 6, every_s=0.01))

    standins.node.play(namespace, choose)
    body = one(namespace, pytorchjob(workers=0), maxTrialCount=4)
    body["spec"]["earlyStopping"] = {"algorithmName": "medianstop"}
    api.create(EXPERIMENTS, body)
    status = until_experiment(api, namespace, "tune", has("Succeeded"))["status"]
    assert (status["trialsSucceeded"], status["trialsEarlyStopped"]) == (3, 1)
    stopped = api.get(TRIALS, namespace, status["earlyStoppedTrialList"][0])
    assert stopped["spec"]["earlyStoppingRules"] == [
        {"name": "score", "value": "1.0", "comparison": "less", "startStep": 4}
    ]
    assert stopped["status"]["observation"]["metrics"][0]["max"] == "0.1"
