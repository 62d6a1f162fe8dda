"""What a pod says of its trial: whose it is, its log, its metrics, its end and its GPUs."""

from __future__ import annotations

from typing import Any

import pytest

from bot.engines import katib_pods
from bot.engines.katib_wire import Pod
from bot.status import Observation
from tests.engines.kubernetes_pods import (
    GPU,
    LOGGER,
    TRIAL,
    at,
    condition,
    ended,
    master,
    own,
    pod,
    running,
    search,
    waiting,
    worker,
)

NODE = {
    "katib.kubeflow.org/trial": TRIAL,
    "jobset.sigs.k8s.io/jobset-name": TRIAL,
    "jobset.sigs.k8s.io/replicatedjob-name": "node",
    "job-name": f"{TRIAL}-node-0",
}
FIRST = {**NODE, "batch.kubernetes.io/job-completion-index": "0"}
SECOND = {**NODE, "batch.kubernetes.io/job-completion-index": "1"}
INITIALISER = {**FIRST, "jobset.sigs.k8s.io/replicatedjob-name": "dataset-initializer"}
OURS = {name: value for name, value in FIRST.items() if "katib" not in name}

KLOG = """\
I1124 10:00:00.123456      14 main.go:396] Trial Name: tune-abcd1234
I1124 10:00:01.000001      14 main.go:143] 2026-11-24T10:00:01.120Z eval_loss=0.9 step=10
I1124 10:00:02.000001      14 main.go:143] 2026-11-24T10:00:02.120Z eval_loss=0.4 lr=1e-3
I1124 10:00:03.000001      14 main.go:143] eval_loss=nan
I1124 10:00:04.000001      14 main.go:143] eval_loss=0.5
I1124 10:00:05.000001      14 main.go:143]
I1124 10:00:05.000001      14 main.go:143] reason: Diverged
I1124 10:00:05.000001      14 main.go:143] error: The loss is not a number any more.
F1124 10:00:06.000001      14 main.go:437] Failed to wait for worker container: Training container is failed
goroutine 1 [running]:
main.main()
\t/go/src/github.com/kubeflow/katib/cmd/metricscollector/v1beta1/main.go:437 +0x2c5
"""  # noqa: E501


@pytest.mark.parametrize(
    ("labels", "trial", "primary"),
    [
        (master(), TRIAL, True),
        (worker(), TRIAL, False),
        (FIRST, TRIAL, True),
        (SECOND, TRIAL, False),
        (INITIALISER, TRIAL, False),
        (OURS, TRIAL, True),
        ({"katib.kubeflow.org/trial": TRIAL, "job-name": TRIAL}, TRIAL, True),
        (own("baseline"), "tune-baseline", True),
        (own("fetch"), "tune-fetch", True),
        ({"job-name": "tune-fetch"}, "tune-fetch", True),
        (search(), "", False),
        ({}, "", True),
    ],
)
def test_a_pod_is_known_by_its_labels(labels: dict[str, str], trial: str, primary: bool) -> None:
    found = pod(labels)
    assert (katib_pods.trial_of(found), katib_pods.is_primary(found)) == (trial, primary)


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_a_pod_has_ended_when_nothing_of_it_runs(phase: str) -> None:
    assert not katib_pods.has_ended(pod(phase=phase))
    assert katib_pods.has_ended(pod(phase="Succeeded")) and katib_pods.has_ended(
        pod(phase="Failed")
    )


def test_what_a_trial_prints_is_in_katibs_sidecar_if_there_is_one() -> None:
    collected = pod(beside={LOGGER: running(), "istio-proxy": running()}, state=running())
    assert katib_pods.log_container(collected) == LOGGER
    assert katib_pods.log_container(collected, collector="File") == "pytorch"
    assert katib_pods.log_container(pod()) == "pytorch"
    assert (
        katib_pods.log_container(pod(container="main", beside={"metrics-collector": {}})) == "main"
    )


def test_a_log_loses_the_sidecars_headers_and_its_stack_traces() -> None:
    lines = katib_pods.clean_log(KLOG).splitlines()
    assert lines[0] == "Trial Name: tune-abcd1234"
    assert lines[-1] == "error: The loss is not a number any more."
    assert not any("main.go" in line or "goroutine" in line for line in lines)
    assert katib_pods.clean_log(katib_pods.clean_log(KLOG)) == katib_pods.clean_log(KLOG)


def test_a_trials_own_lines_stay_as_they_are() -> None:
    log = "E1124 10:00:00.123000 14 torch/distributed/elastic/api.py:882] failed\n\n  a = 1\n"
    assert katib_pods.clean_log(log) == log
    assert katib_pods.clean_log("") == ""


def test_what_the_sidecar_itself_died_of_is_kept() -> None:
    log = (
        "F1124 10:00:06.0 14 main.go:451] Failed to report logs: rpc error\ngoroutine 1 [running]:"
    )
    assert katib_pods.clean_log(log) == "Failed to report logs: rpc error\n"


def test_metrics_are_the_finite_values_of_the_names_asked_for() -> None:
    seen = katib_pods.observation_of(KLOG, ("eval_loss", "step", "accuracy"))
    assert seen == {"eval_loss": Observation(min=0.4, max=0.9, latest=0.5)}
    assert katib_pods.observation_of("loss=inf\nloss=1e999\n", ("loss",)) == {}


# --- ends


FAILED: dict[str, Any] = {"phase": "Failed"}
EVICTED = "The node was low on resource: memory. Container pytorch was using 9Gi, request is 1Gi. "


@pytest.mark.parametrize(
    ("found", "log", "reason", "said"),
    [
        (pod(state=ended(137, "OOMKilled"), memory="4Gi", **FAILED), "step 1\n", "OutOfMemory",
         "The trial used more memory than its limit of 4Gi."),
        (pod(state=ended(137, "OOMKilled"), **FAILED), "", "OutOfMemory", "its node had left"),
        (pod(state=ended(5), beside={LOGGER: ended(1)}, **FAILED), KLOG, "Diverged",
         "The loss is not a number any more."),
        (pod(state=ended(5), **FAILED), "loss is odd\n", "Diverged", "loss is odd"),
        (pod(state=ended(1), **FAILED), "Traceback\nValueError: no\n", "CodeError",
         "ValueError: no"),
        (pod(state=ended(1), **FAILED), "", "CodeError", "The trial ended with exit code 1."),
        (pod(state=ended(1, message="said at the end"), **FAILED), "", "CodeError",
         "said at the end"),
        (pod(state=ended(1), **FAILED), "torch.OutOfMemoryError: CUDA out of memory.\n",
         "OutOfMemory", "CUDA out of memory"),
        (pod(state=ended(1), **FAILED), "OSError: [Errno 28] No space left on device\n", "DiskFull",
         "The disk is full"),
        (pod(state=ended(137), **FAILED), "step 7\n", "Killed", "The trial was killed by SIGKILL."),
        (pod(state=ended(143), **FAILED),
         "reason: Killed\nerror: The trial was stopped by SIGTERM before it finished.\n",
         "Killed", "The trial was stopped by SIGTERM before it finished."),
        (pod(reason="DeadlineExceeded", message="Pod was active on the node longer than the "
             "specified deadline", state=ended(137), **FAILED), "", "Deadline",
         "The trial ran longer than its deadline."),
        (pod(reason="Evicted", message=EVICTED, **FAILED), "", "Evicted", EVICTED.strip()),
        (pod(reason="NodeLost", message="Node node-a which was running pod x is unresponsive",
             state=running(), **FAILED), "", "NodeLost", "is unresponsive"),
        (pod(state=ended(137, "ContainerStatusUnknown"), **FAILED), "", "NodeLost", "went away"),
        (pod(reason="Terminated", message="Pod was terminated in response to imminent node "
             "shutdown.", state=ended(143), **FAILED), "", "NodeLost", "imminent node shutdown."),
        (pod(state=ended(143), conditions=[condition("DisruptionTarget",
             reason="PreemptionByScheduler", message="default-scheduler: preempting to accommodate "
             "a higher priority pod")], **FAILED), "", "Preempted", "higher priority pod"),
        (pod(state=running(), conditions=[condition("DisruptionTarget", reason="DeletionByPodGC",
             message="PodGC: node no longer exists")], **FAILED), "", "NodeLost",
         "node no longer exists"),
        (pod(reason="OutOfnvidia.com/gpu", message="Pod Node didn't have enough resource: "
             "nvidia.com/gpu", **FAILED), "", "NodeRefused", "enough resource: nvidia.com/gpu"),
        (pod(state=ended(128, "StartError", message='exec: "torchrun": executable file not '
             "found in $PATH: unknown"), **FAILED), "", "CannotStart", "executable file not found"),
        (pod(state=waiting("PodInitializing"), init={"init-pytorch": ended(1)}, **FAILED), "",
         "InitFailed", "A Worker waited for the Master's address in vain."),
        (pod(state=waiting("PodInitializing"), init={"fetch": ended(4, message="no model")},
             **FAILED), "", "InitFailed", "fetch ended with exit code 4: no model"),
        (pod(state=ended(0), beside={LOGGER: ended(137, "OOMKilled")}, **FAILED), "",
         "CollectorFailed", "used more memory"),
        (pod(state=ended(0), beside={LOGGER: ended(1)}, **FAILED),
         "F1124 10:00:06.0 14 main.go:451] Failed to report logs: rpc error\n",
         "CollectorFailed", "Failed to report logs: rpc error."),
        (pod(reason="Odd", message="It is odd.", **FAILED), "", "Odd", "It is odd."),
        (pod(**FAILED), "", "PodFailed", "does not say why"),
    ],
)  # fmt: skip
def test_why_a_pod_failed(found: Pod, log: str, reason: str, said: str) -> None:
    end = katib_pods.end_of(found, log)
    assert end is not None
    assert end[0] == reason
    assert said in end[1]


def test_a_pod_that_did_not_fail_has_no_such_end() -> None:
    assert katib_pods.end_of(pod(state=ended(0), phase="Succeeded"), "error: once\n") is None
    assert katib_pods.end_of(pod(state=running()), "error: once\n") is None
    assert katib_pods.end_of(pod(state=waiting("ContainerCreating"))) is None


def test_a_failed_container_is_an_end_while_the_sidecar_still_runs() -> None:
    found = pod(state=ended(6), beside={LOGGER: running()}, phase="Running")
    assert katib_pods.end_of(found, "") == ("OutOfMemory", "The trial ended with exit code 6.")


# --- GPUs


def held(*pods: Pod, now: float = 100) -> dict[str, float]:
    return katib_pods.gpu_seconds(pods, GPU, at(now))


def test_gpus_are_counted_while_their_containers_run() -> None:
    assert held(pod(state=running(40), gpus=2)) == {TRIAL: 120}
    assert held(pod(state=ended(0, since=10, until=60), gpus="2")) == {TRIAL: 100}


def test_the_pods_of_one_trial_add_up() -> None:
    pods = [pod(state=running(40), gpus=1), pod(worker(), state=running(50), gpus=1, name="w")]
    assert held(*pods) == {TRIAL: 110}
    assert held(*pods, pod(own("baseline"), state=running(90), gpus=1)) == {
        TRIAL: 110, "tune-baseline": 10,
    }  # fmt: skip


def test_a_pod_that_never_started_or_has_no_gpus_counts_nothing() -> None:
    assert held(pod(state=waiting("ContainerCreating"), gpus=8), pod(gpus=8)) == {TRIAL: 0}
    assert held(pod(state=running(), beside={LOGGER: running()})) == {TRIAL: 0}
    assert held(pod(search(), state=running(), gpus=1)) == {}


def test_a_restarted_container_kept_its_gpus_all_the_time() -> None:
    again = pod(state=running(90), gpus=1, restarts=3, last=ended(1, since=50, until=70))
    assert held(again) == {TRIAL: 100}
    backing_off = pod(state=waiting("CrashLoopBackOff"), gpus=1, restarts=1, last=ended(1))
    assert held(backing_off) == {TRIAL: 100}


def test_a_pod_whose_node_went_away_held_them_until_that_was_noticed() -> None:
    gone = pod(
        state=running(10), gpus=1, phase="Failed",
        conditions=[condition("PodScheduled"), condition("Ready", "False", since=70)],
    )  # fmt: skip
    assert held(gone) == {TRIAL: 60}


def test_clocks_that_differ_never_count_below_nothing() -> None:
    assert held(pod(state=running(101), gpus=4)) == {TRIAL: 0}
