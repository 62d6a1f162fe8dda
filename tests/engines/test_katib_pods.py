"""What a trial's pods say of it, from pods as Kubernetes writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bot.engines.katib_pods import (
    clean_log,
    end_from_outside,
    end_of,
    gpu_seconds,
    has_ended,
    is_primary,
    log_container,
    observation_of,
    trial_of,
)
from bot.engines.katib_wire import Pod
from bot.status import Observation

Json = dict[str, Any]
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
GPU = "nvidia.com/gpu"


def at(seconds: float) -> str:
    return f"{START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def pod(
    phase: str = "Running",
    states: Json | None = None,
    *,
    labels: Json | None = None,
    meta: Json | None = None,
    gpus: int | str = 0,
    **status: Any,
) -> Pod:
    """A pod of the trial `tune-abcdefgh`; `states` are its containers' states by their names."""
    states = {"pytorch": {"running": {"startedAt": at(0)}}} if states is None else states
    known = {
        "katib.kubeflow.org/experiment": "tune",
        "katib.kubeflow.org/trial": "tune-abcdefgh",
        "training.kubeflow.org/replica-type": "master",
    }
    limits = {"resources": {"limits": {GPU: gpus, "memory": "8Gi"}}} if gpus else {}
    body = {
        "metadata": {
            "name": "tune-abcdefgh-master-0",
            "labels": known if labels is None else labels,
            **(meta or {}),
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {"name": name, "image": "reg/trainer:1", **(limits if name == "pytorch" else {})}
                for name in states or ["pytorch"]
            ],
        },
        "status": {
            "phase": phase,
            "containerStatuses": [
                {"name": name, "restartCount": 0, "state": state, "lastState": {}}
                for name, state in states.items()
            ],
            **status,
        },
    }
    return msgspec.json.decode(json.dumps(body), type=Pod)


def ended(code: int, reason: str = "", message: str = "", since: float = 0, to: float = 60) -> Json:
    word = reason or ("Completed" if code == 0 else "Error")
    return {
        "terminated": {
            "exitCode": code, "reason": word, "message": message,
            "startedAt": at(since), "finishedAt": at(to), "containerID": "containerd://1",
        }
    }  # fmt: skip


# Whose it is


@pytest.mark.parametrize(
    ("labels", "trial"),
    [
        ({"katib.kubeflow.org/trial": "tune-a", "job-name": "tune-a"}, "tune-a"),
        ({"training.kubeflow.org/job-name": "tune-baseline"}, "tune-baseline"),
        ({"job-name": "tune-fetch"}, "tune-fetch"),
        ({"batch.kubernetes.io/job-name": "tune-fetch"}, "tune-fetch"),
        (
            {"jobset.sigs.k8s.io/jobset-name": "tune-b", "job-name": "tune-b-node-0"},
            "tune-b",
        ),
        ({"katib.kubeflow.org/suggestion": "tune"}, ""),
    ],
)
def test_a_pod_names_its_trial_or_its_job(labels: Json, trial: str) -> None:
    assert trial_of(pod(labels=labels)) == trial


def test_the_master_is_primary_and_a_worker_or_a_search_pod_is_not() -> None:
    kind = "training.kubeflow.org/replica-type"
    assert is_primary(pod(labels={kind: "master"}))
    assert is_primary(pod(labels={"job-name": "tune-baseline"}))
    assert not is_primary(pod(labels={kind: "worker"}))
    assert not is_primary(pod(labels={"katib.kubeflow.org/suggestion": "tune"}))
    assert not is_primary(pod(labels={"batch.kubernetes.io/job-completion-index": "1"}))


def test_what_prepares_a_train_jobs_data_is_not_primary() -> None:
    group = "jobset.sigs.k8s.io/replicatedjob-name"
    assert is_primary(pod(labels={group: "node", "job-name": "tune-baseline-node-0"}))
    assert not is_primary(pod(labels={group: "dataset-initializer"}))


def test_where_katib_collects_is_primary_even_in_a_job_of_workers() -> None:
    states: Json = {"pytorch": {}, "metrics-logger-and-collector": {}}
    assert is_primary(pod(states=states, labels={"training.kubeflow.org/replica-type": "worker"}))


def test_the_log_is_in_the_collector_where_there_is_one() -> None:
    assert log_container(pod(states={"pytorch": {}})) == "pytorch"
    both: Json = {"pytorch": {}, "metrics-logger-and-collector": {}}
    assert log_container(pod(states=both)) == "metrics-logger-and-collector"


def test_the_log_is_in_the_container_that_the_pod_marks() -> None:
    marked = {"annotations": {"kubectl.kubernetes.io/default-container": "pytorch"}}
    assert log_container(pod(states={"istio-proxy": {}, "pytorch": {}}, meta=marked)) == "pytorch"


# Whether it ended


def test_a_pod_has_ended_when_all_its_containers_have() -> None:
    both = {"pytorch": ended(0), "metrics-logger-and-collector": {"running": {"startedAt": at(0)}}}
    assert not has_ended(pod(states=both))
    assert has_ended(pod(states=both | {"metrics-logger-and-collector": ended(0)}))
    assert not has_ended(pod("Pending", {}))
    assert has_ended(pod("Failed", {}, reason="Evicted"))


def test_a_pod_that_is_being_deleted_has_ended() -> None:
    assert has_ended(pod(meta={"deletionTimestamp": at(5)}))


# Why it failed


def test_a_pod_that_did_not_fail_has_no_end_to_explain() -> None:
    assert end_of(pod(), "") is None
    assert end_of(pod("Pending", {}), "") is None
    assert end_of(pod("Succeeded", {"pytorch": ended(0)}), "error: none") is None


def test_a_container_out_of_memory_is_out_of_memory_whatever_it_printed() -> None:
    states = {"pytorch": ended(137, "OOMKilled"), "metrics-logger-and-collector": ended(1)}
    reason, message = end_of(pod("Failed", states), "loss=0.5\n") or ("", "")
    assert reason == "OutOfMemory"
    assert message == "The container `pytorch` ran out of memory and was killed."


@pytest.mark.parametrize(
    ("code", "reason"),
    [(2, "BadParameter"), (3, "DatasetNotFound"), (5, "Diverged"), (6, "OutOfMemory")],
)
def test_the_trainers_exit_codes_are_reasons(code: int, reason: str) -> None:
    end = end_of(pod("Failed", {"pytorch": ended(code)}), "x\nerror: r must be positive.\n")
    assert end == (reason, "r must be positive.")


def test_what_the_trainer_called_the_reason_counts_more_than_torchruns_exit_code() -> None:
    log = "error: The loss is not a number.\nreason: Diverged\nE0000 ChildFailedError\n"
    end = end_of(pod("Failed", {"pytorch": ended(1)}), log)
    assert end == ("Diverged", "The loss is not a number.")


def test_a_process_that_torchrun_saw_killed_is_named() -> None:
    log = "exitcode  : -9 (pid: 77)\ntraceback : Signal 9 (SIGKILL) received by PID 77\n====\n"
    reason, message = end_of(pod("Failed", {"pytorch": ended(1)}), log) or ("", "")
    assert reason == "Killed"
    assert message == "A process of the trial was killed by SIGKILL, most often for want of memory."


def test_a_failure_without_a_word_is_its_exit_code() -> None:
    end = end_of(pod("Failed", {"pytorch": ended(9)}), "")
    assert end == ("CodeError", "The trial ended with exit code 9.")


def test_a_full_disk_is_a_reason() -> None:
    log = "OSError: [Errno 28] No space left on device: '/output'"
    assert (end_of(pod("Failed", {"pytorch": ended(1)}), log) or ("",))[0] == "DiskFull"


def test_a_program_that_is_not_in_the_image_could_not_be_started() -> None:
    said = 'exec: "python": executable file not found in $PATH: unknown'
    end = end_of(pod("Failed", {"pytorch": ended(128, "StartError", said)}), "")
    assert end == ("StartError", f"The container `pytorch` could not be started: {said}.")


def test_an_init_container_that_failed_is_why() -> None:
    init = [{"name": "init-pytorch", "state": ended(1), "restartCount": 0}]
    waits = {"pytorch": {"waiting": {"reason": "PodInitializing"}}}
    end = end_of(pod("Failed", waits, initContainerStatuses=init), "waiting for master")
    assert end == ("CodeError", "waiting for master")


def test_a_collector_that_failed_alone_is_why() -> None:
    states = {"pytorch": ended(0), "metrics-logger-and-collector": ended(137, "OOMKilled")}
    reason, message = end_of(pod("Failed", states), "loss=0.5") or ("", "")
    assert reason == "MetricsCollectorFailed"
    assert message.endswith("metrics collector beside it failed: it ran out of memory.")


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (
            {
                "reason": "DeadlineExceeded",
                "message": "Pod was active on the node longer than the specified deadline",
            },
            ("DeadlineExceeded", "The trial ran longer than its deadline. Pod was active on the "
             "node longer than the specified deadline."),
        ),
        (
            {"reason": "Evicted", "message": "The node was low on resource: ephemeral-storage. "},
            ("Evicted", "The trial's pod was evicted from its node. The node was low on resource: "
             "ephemeral-storage."),
        ),
        (
            {"reason": "NodeLost", "message": "Node node-1 which was running pod is unresponsive"},
            ("NodeLost", "The node of the trial's pod was lost. Node node-1 which was running pod "
             "is unresponsive."),
        ),
        (
            {"reason": "UnexpectedAdmissionError", "message": "Allocate failed due to no devices"},
            ("UnexpectedAdmissionError", "Allocate failed due to no devices."),
        ),
    ],
)  # fmt: skip
def test_what_ended_the_whole_pod_comes_first(status: Json, end: tuple[str, str]) -> None:
    assert end_of(pod("Failed", {"pytorch": ended(137)}, **status), "loss=1") == end


def test_a_disruption_is_told_by_its_condition() -> None:
    condition = {
        "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
        "message": "default-scheduler: preempting to accommodate a higher priority pod",
    }  # fmt: skip
    found = pod("Failed", {"pytorch": ended(143)}, conditions=[condition])
    reason, message = end_of(found, "") or ("", "")
    assert reason == "Preempted"
    assert "higher priority pod" in message


@pytest.mark.parametrize("code", [137, 143])
def test_a_pod_that_was_deleted_did_not_fail(code: int) -> None:
    deleted = {"deletionTimestamp": at(50)}
    assert end_of(pod("Failed", {"pytorch": ended(code)}, meta=deleted), "loss=1") is None
    assert end_of(pod("Failed", {"pytorch": ended(5)}, meta=deleted), "error: no") is not None


def test_what_came_from_outside_is_told_from_what_the_program_did() -> None:
    killed, failed = ended(137, "OOMKilled"), ended(5)
    assert end_from_outside(pod("Failed", {"pytorch": killed})) == (
        "OutOfMemory",
        "The container `pytorch` ran out of memory and was killed.",
    )
    assert (end_from_outside(pod("Failed", {}, reason="Evicted")) or ("",))[0] == "Evicted"
    assert end_from_outside(pod("Failed", {"pytorch": failed})) is None
    collector = {"pytorch": ended(0), "metrics-logger-and-collector": killed}
    assert end_from_outside(pod("Failed", collector)) is None


def test_a_container_whose_end_nobody_saw_was_on_a_lost_node() -> None:
    said = "The container could not be located when the pod was terminated"
    states = {"pytorch": ended(137, "ContainerStatusUnknown", said)}
    reason, message = end_of(pod("Failed", states), "") or ("", "")
    assert (reason, message.endswith(said)) == ("NodeLost", True)
    assert end_of(pod("Failed", states, meta={"deletionTimestamp": at(9)}), "") is None


# What it held


def test_a_pod_holds_its_gpus_from_the_first_start_until_now() -> None:
    running = {"pytorch": {"running": {"startedAt": at(0)}}, "sidecar": {"running": {}}}
    held = gpu_seconds([pod(states=running, gpus=2)], GPU, START + timedelta(seconds=90))
    assert held == {"tune-abcdefgh": 180.0}


def test_a_pod_that_has_ended_held_them_until_its_last_container_ended() -> None:
    states = {"pytorch": ended(0, to=60), "metrics-logger-and-collector": ended(0, to=61)}
    held = gpu_seconds([pod("Succeeded", states, gpus="1")], GPU, START + timedelta(hours=9))
    assert held == {"tune-abcdefgh": 61.0}


def test_the_pods_of_one_trial_add_up_and_one_that_never_started_held_nothing() -> None:
    waiting = {"pytorch": {"waiting": {"reason": "ImagePullBackOff"}}}
    pods = [pod(gpus=2), pod(gpus=2), pod("Pending", waiting, gpus=2), pod("Pending", {}, gpus=2)]
    assert gpu_seconds(pods, GPU, START + timedelta(seconds=10)) == {"tune-abcdefgh": 40.0}


def test_a_pod_between_two_restarts_holds_its_gpus() -> None:
    state = {
        "name": "pytorch",
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": ended(1, since=0, to=5),
    }
    found = pod(gpus=1, containerStatuses=[state])
    assert gpu_seconds([found], GPU, START + timedelta(seconds=30)) == {"tune-abcdefgh": 30.0}


def test_pods_without_gpus_or_with_others_count_nothing() -> None:
    assert gpu_seconds([pod()], GPU, START + timedelta(seconds=30)) == {}
    assert gpu_seconds([pod(gpus=1)], "amd.com/gpu", START + timedelta(seconds=30)) == {}


# What it printed


def test_a_log_is_read_without_the_collectors_headers() -> None:
    text = (
        "I1124 13:51:24.123456      14 main.go:143] eval_loss=0.7\n"
        "I1124 13:51:25.1       7 main.go:143] \n"
        "plain I1124 line\n"
    )
    assert clean_log(text) == "eval_loss=0.7\n\nplain I1124 line\n"


def test_what_the_collector_adds_when_the_trial_failed_is_left_out() -> None:
    header = "1124 13:51:24.123456      14 main.go:"
    text = (
        f"I{header}143] ValueError: no such label\n"
        f"F{header}437] Failed to wait for worker container: Training container is failed\n"
        "goroutine 1 [running]:\nmain.main()\n"
    )
    assert clean_log(text) == "ValueError: no such label\n"
    own = f"F{header}451] Failed to report logs: rpc error\ngoroutine 1 [running]:\n"
    assert clean_log(own) == "Failed to report logs: rpc error\n"


def test_torchruns_own_headers_stay() -> None:
    text = "E1124 10:00:01.123 71 torch/distributed/elastic/multiprocessing/api.py:874] failed\n"
    assert clean_log(text) == text


def test_an_observation_is_min_max_and_latest_of_finite_numbers() -> None:
    text = (
        "2026-01-01T00:00:00Z eval_loss=0.9 accuracy=0.5\n"
        "eval_loss=0.2\neval_loss=nan\neval_loss=0.4\nother=1\nprogress 3/10\nepoch=1\n"
    )
    assert observation_of(text, ["eval_loss", "accuracy", "missing"]) == {
        "eval_loss": Observation(min=0.2, max=0.9, latest=0.4),
        "accuracy": Observation(min=0.5, max=0.5, latest=0.5),
    }
