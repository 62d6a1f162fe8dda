"""What becomes of a trial's pod: the wrapped command as golden strings, and that it really runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.api import Api
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.pod_environment import Places, expand
from tests.cluster.recordings import PodFacts, Real, Recording, lines
from tests.cluster.resources import CLAIMS, EXPERIMENTS, PODS, SECRETS, TRIALS, Json
from tests.cluster.run import Controllers
from tests.cluster.sidecar import Image, Refused, mutated
from tests.cluster.waiting import has, until, until_experiment

pytestmark = pytest.mark.cluster

REDIRECT = "1>/var/log/katib/metrics.log 2>&1 && echo completed > /var/log/katib/$$$$.pid"
SIDECAR = "metrics-logger-and-collector"
MASTER = {"training.kubeflow.org/job-role": "master"}
FAILED = has("Failed")


def trial(kind: str = "StdOut", **spec: object) -> Json:
    return {
        "metadata": {
            "name": "tune-abcdefgh",
            "namespace": "ns",
            "labels": {"katib.kubeflow.org/experiment": "tune", "team": "nlp"},
        },
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "primaryContainerName": "pytorch",
            "primaryPodLabels": MASTER,
            "metricsCollector": {"collector": {"kind": kind}},
            **spec,
        },
    }


def pod(labels: Json | None = None, **container: object) -> Json:
    main = {"name": "pytorch", "image": "example.com/t:1", **container}
    return {"metadata": {"labels": labels or dict(MASTER)}, "spec": {"containers": [main]}}


@pytest.mark.parametrize(
    ("container", "command", "text"),
    [
        (
            {"command": ["python", "-u", "t.py"], "args": ["--lr", "0.1"]},
            ["sh", "-c"],
            f"python -u t.py --lr 0.1 {REDIRECT}",
        ),
        ({"command": ["bash", "-c"], "args": ["a; b"]}, ["bash", "-c"], f"a; b {REDIRECT}"),
        ({"command": ["sh", "-c", "a"], "args": ["b"]}, ["sh", "-c"], f"a b {REDIRECT}"),
        ({"command": ["bash", "-e"], "args": ["a"]}, ["sh", "-c"], f"bash -e a {REDIRECT}"),
        ({"args": ["--x", "1"]}, ["sh", "-c"], f"torchrun t.py --x 1 {REDIRECT}"),
        ({}, ["sh", "-c"], f"torchrun t.py --default {REDIRECT}"),
    ],
)
def test_the_command_is_joined_and_wrapped_in_a_shell(
    container: Json, command: list[str], text: str
) -> None:
    images = {"example.com/t:1": Image(("torchrun", "t.py"), ("--default",))}
    changed = mutated(pod(**container), trial(), images)
    main, sidecar = changed["spec"]["containers"]
    assert (main["command"], main["args"]) == (command, [text])
    assert sidecar["name"] == SIDECAR
    assert sidecar["args"] == [
        *["-t", "tune-abcdefgh", "-m", "loss", "-o-type", "minimize"],
        *["-s-db", "katib-db-manager.kubeflow:6789", "-path", "/var/log/katib/metrics.log"],
        *["-format", "TEXT"],
    ]
    assert changed["spec"]["shareProcessNamespace"] is True
    assert changed["metadata"]["labels"] == {
        **MASTER,
        "katib.kubeflow.org/experiment": "tune",
        "team": "nlp",
        "katib.kubeflow.org/trial": "tune-abcdefgh",
    }


def test_a_trial_with_stop_rules_asks_the_marker_before_it_fails() -> None:
    rule = {"name": "loss", "value": "0.5", "comparison": "greater", "startStep": 4}
    changed = mutated(pod(command=["a"]), trial(earlyStoppingRules=[rule]), {})
    main, sidecar = changed["spec"]["containers"]
    assert main["args"] == [
        "a 1>/var/log/katib/metrics.log 2>&1 || if test -f /var/log/katib/$$$$.pid && "
        "[ $(head -n 1 /var/log/katib/$$.pid) = early-stopped ]; then "
        "echo Training Container was Early Stopped; "
        "else echo Training Container was Failed; exit 1; fi "
        "&& echo completed > /var/log/katib/$$$$.pid"
    ]
    assert "-stop-rule" in sidecar["args"]
    assert "loss;0.5;greater;4" in sidecar["args"]


def test_a_file_collector_leaves_the_output_alone() -> None:
    source = {"fileSystemPath": {"path": "/out/m.log", "kind": "File", "format": "TEXT"}}
    collecting = {"collector": {"kind": "File"}, "source": source}
    changed = mutated(pod(command=["a"]), trial(metricsCollector=collecting), {})
    main = changed["spec"]["containers"][0]
    assert main["args"] == ["a && echo completed > /out/$$$$.pid"]
    assert main["volumeMounts"] == [{"name": "metrics-volume", "mountPath": "/out"}]


@pytest.mark.parametrize(
    ("labels", "kind"), [({"training.kubeflow.org/job-role": "other"}, "StdOut"), (MASTER, "Push")]
)
def test_other_pods_and_push_get_labels_and_the_variable_alone(labels: Json, kind: str) -> None:
    changed = mutated(pod(dict(labels), command=["a"]), trial(kind), {})
    [main] = changed["spec"]["containers"]
    assert main["command"] == ["a"]
    assert main["env"] == [
        {
            "name": "KATIB_TRIAL_NAME",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['katib.kubeflow.org/trial']"}},
        }
    ]


@pytest.mark.parametrize(
    ("container", "sentence"),
    [
        ({"image": "docker.io/kubeflow/t"}, "Failed to parse image"),
        ({"image": "kubeflow/t:1"}, "Failed to parse image"),
        ({"image": "docker.io/kubeflow/t:1"}, "Failed to get container image"),
        ({"name": "main", "command": ["a"]}, "unable to find primary container"),
    ],
)
def test_a_pod_that_cannot_be_wrapped_is_refused(container: Json, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        mutated(pod(**container), trial(), {})


def test_a_kubelet_expands_variables_and_halves_dollar_signs() -> None:
    assert expand("$(A) $(B) $$(A) $$$$ $A", {"A": "1"}) == "1 $(B) $(A) $$ $A"


def test_paths_below_a_mount_and_host_names_are_replaced_whole() -> None:
    places = Places({"/workspace": Path("/x/y")}, {"job-master-0": "127.0.0.2"})
    assert places.here('{"dir": "/workspace/model"}') == '{"dir": "/x/y/model"}'
    assert places.here("/workspace2 /a/workspace") == "/workspace2 /a/workspace"
    assert places.here("job-master-0:1 job-master-01") == "127.0.0.2:1 job-master-01"


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


def one(namespace: str, trial: Json, **spec: object) -> Json:
    """An Experiment of one trial that keeps its pods."""
    body = experiment(
        namespace,
        trial=trial,
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
