"""What becomes of a trial's pod: the wrapped command as golden strings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.pod_environment import Places, expand
from tests.cluster.resources import Json
from tests.cluster.sidecar import Image, Refused, mutated
from tests.cluster.waiting import has

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
