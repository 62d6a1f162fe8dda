"""What keeps an Experiment from getting on, from pods and events as Kubernetes writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bot.engines.katib_troubles import troubles
from bot.engines.katib_wire import Event, KatibExperiment, KatibTrial, Pod
from bot.status import Trouble

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TRIAL = "tune-abcdefgh"
IMAGE = "registry.example.com/team/trainer:v1"
NOT_FOUND = (
    "rpc error: code = NotFound desc = failed to pull and unpack image "
    f'"{IMAGE}": failed to resolve reference "{IMAGE}": {IMAGE}: not found'
)


def ago(seconds: float) -> str:
    return f"{NOW - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def pod(
    trial: str = TRIAL,
    phase: str = "Pending",
    state: Json | None = None,
    *,
    last: Json | None = None,
    restarts: int = 0,
    age_s: float = 60,
    node: str = "node-1",
    search: bool = False,
    containers: tuple[str, ...] = ("pytorch",),
    **more: Any,
) -> Pod:
    """A pod, by default one that is being created on its node."""
    labels = {"katib.kubeflow.org/experiment": "tune"}
    labels |= (
        {"katib.kubeflow.org/suggestion": "tune"} if search else {"katib.kubeflow.org/trial": trial}
    )
    state = state or {"waiting": {"reason": "ContainerCreating"}}
    status = {
        "phase": phase,
        "startTime": ago(age_s) if node else None,
        "containerStatuses": [
            {
                "name": name, "image": IMAGE, "restartCount": restarts,
                "state": state, "lastState": last or {},
            }
            for name in (containers if node else ())
        ],
        **more,
    }  # fmt: skip
    body = {
        "metadata": {
            "name": f"{trial}-master-0", "namespace": "team", "uid": f"uid-{trial}",
            "labels": labels, "creationTimestamp": ago(age_s),
        },
        "spec": {"nodeName": node, "containers": [{"name": name} for name in containers]},
        "status": status,
    }  # fmt: skip
    return msgspec.json.decode(json.dumps(body), type=Pod)


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int = 0, reason: str = "", age_s: float = 5) -> Json:
    return {
        "terminated": {
            "exitCode": code, "reason": reason or ("Error" if code else "Completed"),
            "startedAt": ago(age_s + 5), "finishedAt": ago(age_s),
        }
    }  # fmt: skip


def unscheduled(message: str, age_s: float = 20, reason: str = "Unschedulable") -> Pod:
    condition = {
        "type": "PodScheduled", "status": "False", "reason": reason, "message": message,
        "lastTransitionTime": ago(age_s), "lastProbeTime": None,
    }  # fmt: skip
    return pod(node="", age_s=age_s, conditions=[condition])


def event(
    kind: str,
    name: str,
    reason: str,
    message: str,
    *,
    age_s: float = 20,
    first_s: float | None = None,
    uid: str = "",
    **more: Any,
) -> Event:
    body = {
        "metadata": {"name": f"{name}.17a", "namespace": "team", "creationTimestamp": ago(age_s)},
        "involvedObject": {"kind": kind, "name": name, "namespace": "team", "uid": uid},
        "type": "Warning",
        "reason": reason,
        "message": message,
        "count": 3,
        "firstTimestamp": ago(age_s if first_s is None else first_s),
        "lastTimestamp": ago(age_s),
        "eventTime": None,
        **more,
    }
    return msgspec.json.decode(json.dumps(body), type=Event)


def pod_event(reason: str, message: str, age_s: float = 20, **more: Any) -> Event:
    name = f"{TRIAL}-master-0"
    return event("Pod", name, reason, message, age_s=age_s, uid=f"uid-{TRIAL}", **more)


def trial(name: str = TRIAL, *conditions: str, age_s: float = 300) -> KatibTrial:
    body = {
        "metadata": {"name": name, "creationTimestamp": ago(age_s)},
        "status": {"conditions": [{"type": each, "status": "True"} for each in conditions]},
    }
    return msgspec.json.decode(json.dumps(body), type=KatibTrial)


def experiment(age_s: float, *conditions: str) -> KatibExperiment:
    body = {
        "metadata": {"name": "tune", "namespace": "team", "creationTimestamp": ago(age_s)},
        "status": {"conditions": [{"type": each, "status": "True"} for each in conditions]},
    }
    return msgspec.json.decode(json.dumps(body), type=KatibExperiment)


def found(pods: list[Pod], events: list[Event] | None = None, **more: Any) -> list[Trouble]:
    return list(troubles("tune", pods, events or [], NOW, **more))


def only(pods: list[Pod], events: list[Event] | None = None, **more: Any) -> Trouble:
    [trouble] = found(pods, events, **more)
    return trouble


# Nothing wrong


def test_pods_that_run_have_ended_or_only_just_came_are_no_trouble() -> None:
    running = {"running": {"startedAt": ago(10)}}
    pods = [
        pod("tune-aaaaaaaa", "Running", running),
        pod("tune-bbbbbbbb", "Succeeded", ended()),
        pod("tune-cccccccc", "Failed", ended(137, "OOMKilled")),
        pod("tune-dddddddd", age_s=500),
        unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", age_s=5),
    ]
    assert found(pods) == []


# Images


def test_an_image_that_is_not_there_is_told_at_once_with_its_cause() -> None:
    trouble = only([pod(state=waiting("ErrImagePull", NOT_FOUND), age_s=1)])
    assert trouble == Trouble(
        reason="ImagePullBackOff",
        message=f"The image `{IMAGE}` cannot be pulled: {IMAGE}: not found.",
        hint="Check the image's name and tag.",
        trial=TRIAL,
    )


def test_what_a_pull_waits_for_is_found_in_the_event_where_the_state_forgets_it() -> None:
    """Kubernetes up to 1.30 says only that it backs off."""
    old = pod(state=waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"'))
    failed = pod_event("Failed", f'Failed to pull image "{IMAGE}": {NOT_FOUND}')
    alone = pod_event("Failed", "Error: ImagePullBackOff")
    assert f"{IMAGE}: not found." in only([old], [failed, alone]).message
    assert only([old]).message == f"The image `{IMAGE}` cannot be pulled: it is tried again."


def test_what_a_pull_waits_for_is_found_in_the_state_where_it_says_so() -> None:
    said = f'Back-off pulling image "{IMAGE}": ErrImagePull: {NOT_FOUND}'
    assert (
        f"pulled: {IMAGE}: not found."
        in only([pod(state=waiting("ImagePullBackOff", said))]).message
    )


@pytest.mark.parametrize(
    "said",
    [
        f"rpc error: code = Unknown desc = Error response from daemon: manifest for {IMAGE} not "
        "found: manifest unknown: manifest unknown",
        f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
        f"manifest for {IMAGE} not found: manifest unknown: manifest unknown",
        f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = NotFound desc = '
        f"manifest for {IMAGE} not found: manifest unknown: manifest unknown",
    ],
)
def test_of_a_pull_only_the_cause_is_told_whatever_the_runtime_puts_before_it(said: str) -> None:
    trouble = only([pod(state=waiting("ErrImagePull", said))])
    assert trouble.message == (
        f"The image `{IMAGE}` cannot be pulled: manifest for {IMAGE} not found: manifest unknown: "
        "manifest unknown."
    )


@pytest.mark.parametrize(
    ("cause", "hint"),
    [
        ("unexpected status from HEAD request: 401 Unauthorized", "image pull secret"),
        ("pull access denied, repository does not exist", "image pull secret"),
        ("toomanyrequests: You have reached your pull rate limit", "limits pulls"),
        ("dial tcp: lookup registry.example.com: no such host", "cannot reach the registry"),
        ("x509: certificate signed by unknown authority", "certificate"),
    ],
)
def test_what_to_do_about_an_image_depends_on_the_cause(cause: str, hint: str) -> None:
    said = f'rpc error: code = Unknown desc = failed to resolve reference "{IMAGE}": {cause}'
    assert hint in only([pod(state=waiting("ErrImagePull", said))]).hint


# Containers that cannot be made, or end again and again


def test_a_missing_secret_is_named_with_how_to_make_it() -> None:
    said = 'secret "hf-token" not found'
    trouble = only([pod(state=waiting("CreateContainerConfigError", said))])
    assert trouble.reason == "CreateContainerConfigError"
    assert trouble.message == "There is no Secret `hf-token` in the namespace `team`."
    assert "kubectl create secret generic hf-token -n team" in trouble.hint


def test_a_missing_key_of_a_secret_is_named() -> None:
    said = "couldn't find key HF_TOKEN in Secret team/hf-token"
    trouble = only([pod(state=waiting("CreateContainerConfigError", said))])
    assert trouble.message == "The Secret `hf-token` has no key `HF_TOKEN`."


def test_an_image_that_runs_as_root_is_told() -> None:
    said = 'container has runAsNonRoot and image will run as root (pod: "x", container: pytorch)'
    trouble = only([pod(state=waiting("CreateContainerConfigError", said))])
    assert "image will run as root" in trouble.message
    assert "runAsUser" in trouble.hint


def test_a_container_that_ends_again_and_again_is_told_with_its_exit() -> None:
    state = waiting("CrashLoopBackOff", "back-off 10s restarting failed container=pytorch")
    trouble = only([pod(phase="Running", state=state, last=ended(1), restarts=3)])
    assert trouble.reason == "CrashLoopBackOff"
    assert trouble.message == (
        "The container `pytorch` ends again and again, last with exit code 1."
    )


def test_a_container_that_was_started_again_is_told_until_it_has_run_a_while() -> None:
    running = {"running": {"startedAt": ago(4)}}
    again = pod(phase="Running", state=running, last=ended(137, "OOMKilled"), restarts=1)
    trouble = only([again])
    assert trouble.reason == "ContainerRestarts"
    assert trouble.message == (
        "The container `pytorch` was started again once, after running out of memory."
    )
    assert "memory" in trouble.hint
    steady = pod(phase="Running", state=running, last=ended(1, age_s=700), restarts=1)
    assert found([steady]) == []


def test_an_init_container_that_waits_for_its_image_is_told() -> None:
    init = {"name": "init-pytorch", "image": "alpine:3.10", "state": waiting("ErrImagePull", "no")}
    state = waiting("PodInitializing")
    assert "`alpine:3.10`" in only([pod(state=state, initContainerStatuses=[init])]).message


# No node


@pytest.mark.parametrize(
    "said",
    [
        "0/3 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the "
        "pod didn't tolerate, 2 Insufficient nvidia.com/gpu.",
        "0/3 nodes are available: 1 node(s) had untolerated taint {gpu: true}, 2 Insufficient "
        "nvidia.com/gpu. preemption: 0/3 nodes are available: 3 No preemption victims found for "
        "incoming pod.",
        "0/3 nodes are available: 3 Insufficient nvidia.com/gpu, 1 Insufficient nvidia.com/gpu.",
    ],
)
def test_the_resource_that_is_short_is_named(said: str) -> None:
    trouble = only([unscheduled(said)])
    assert trouble.reason == "Unschedulable"
    assert trouble.trial == TRIAL
    assert trouble.message.startswith("No node has enough `nvidia.com/gpu` free: 0/3 nodes are")
    assert "preemption:" not in trouble.message


def test_every_resource_that_is_short_is_named() -> None:
    said = "0/2 nodes are available: 1 Insufficient cpu, 2 Insufficient memory."
    assert only([unscheduled(said)]).message.startswith("No node has enough `cpu` and `memory`")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("0/1 nodes are available: 1 node(s) had taint {gpu: true}, that the pod didn't tolerate.",
         "toleration"),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: true}.", "toleration"),
        ("0/1 nodes are available: 1 node(s) didn't match node selector.", "node_selector"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity.", "node_selector"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
         "node_selector"),
        ("0/1 nodes are available: 1 Too many pods.", "nodes"),
    ],
)  # fmt: skip
def test_what_to_do_about_no_node_depends_on_the_cause(said: str, hint: str) -> None:
    trouble = only([unscheduled(said)])
    assert trouble.reason == "Unschedulable"
    assert hint in trouble.hint


def test_a_queue_that_holds_a_pod_back_is_told_after_a_minute() -> None:
    gate = "Scheduling is blocked due to non-empty scheduling gates"
    assert found([unscheduled(gate, 50, "SchedulingGated")]) == []
    trouble = only([unscheduled(gate, 70, "SchedulingGated")])
    assert (trouble.reason, trouble.message) == ("SchedulingGated", f"{gate}.")


# Volumes


@pytest.mark.parametrize(
    "said",
    [
        "0/3 nodes are available: 3 pod has unbound immediate PersistentVolumeClaims.",
        "pod has unbound immediate PersistentVolumeClaims (repeated 3 times)",
        "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
        "0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind.",
    ],
)
def test_a_volume_that_is_not_bound_is_told_after_half_a_minute(said: str) -> None:
    assert found([unscheduled(said, age_s=20)]) == []
    trouble = only([unscheduled(said, age_s=40)])
    assert trouble.reason == "VolumeNotBound"
    assert "storage_class" in trouble.hint


def test_a_volume_claim_that_is_gone_is_named() -> None:
    said = '0/1 nodes are available: persistentvolumeclaim "tune" not found.'
    trouble = only([unscheduled(said, age_s=40)])
    assert trouble.message.startswith("There is no volume claim `tune`: ")


def test_what_the_provisioner_says_is_told_at_once() -> None:
    said = 'storageclass.storage.k8s.io "fast" not found'
    refused = event("PersistentVolumeClaim", "tune", "ProvisioningFailed", said)
    waits = unscheduled("pod has unbound immediate PersistentVolumeClaims", age_s=5)
    trouble = only([waits], [refused])
    assert trouble.reason == "VolumeNotBound"
    assert trouble.message == f"The volume claim `tune` gets no volume: {said}."


def test_a_provisioners_complaint_is_settled_when_the_pod_has_a_node_or_lacks_something_else() -> (
    None
):
    refused = event("PersistentVolumeClaim", "tune", "ProvisioningFailed", "no")
    others = event("PersistentVolumeClaim", "tune-2", "ProvisioningFailed", "no")
    volume = unscheduled("pod has unbound immediate PersistentVolumeClaims", age_s=5)
    short = unscheduled("0/1 nodes are available: 1 Insufficient cpu.")
    assert found([pod()], [refused]) == []
    assert found([volume], [others]) == []
    assert only([short], [refused]).reason == "Unschedulable"


def test_a_volume_that_another_node_holds_is_told() -> None:
    said = 'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) tune-fetch-x'
    refused = pod_event("FailedAttachVolume", said)
    trouble = only([pod()], [refused])
    assert trouble.reason == "MultiAttach"
    assert "ReadWriteMany" in trouble.hint
    assert found([pod(age_s=25)], [refused]) == []


def test_a_mount_that_fails_is_told_with_the_secret_that_it_needs() -> None:
    said = 'MountVolume.SetUp failed for volume "keys" : secret "s3-keys" not found'
    trouble = only([pod()], [pod_event("FailedMount", said)])
    assert trouble.reason == "FailedMount"
    assert trouble.message == "There is no Secret `s3-keys` in the namespace `team`."
    said = "Unable to attach or mount volumes: unmounted volumes=[data]: timed out waiting"
    trouble = only([pod()], [pod_event("FailedMount", said)])
    assert trouble.message == f"A volume cannot be mounted: {said}."


def test_a_mount_that_worked_in_the_end_is_no_trouble() -> None:
    refused = pod_event("FailedMount", "timed out")
    running = pod(phase="Running", state={"running": {"startedAt": ago(2)}})
    assert found([running], [refused]) == []
    assert found([pod()], [pod_event("FailedMount", "timed out", age_s=90)]) == []
    other = event("Pod", f"{TRIAL}-master-0", "FailedMount", "timed out", uid="uid-before")
    assert found([pod()], [other]) == []


def test_an_event_of_the_newer_kind_has_its_time_in_its_series() -> None:
    times = {
        "firstTimestamp": None, "lastTimestamp": None, "count": None,
        "eventTime": "2026-01-01T10:00:00.123456Z",
        "series": {"count": 9, "lastObservedTime": "2026-01-01T11:59:50.123456Z"},
    }  # fmt: skip
    said = pod_event("FailedMount", "timed out", **times)
    assert only([pod()], [said]).reason == "FailedMount"
    assert found([pod()], [pod_event("FailedMount", "timed out", **times | {"series": None})]) == []


def test_a_sandbox_that_cannot_be_made_is_told() -> None:
    said = "Failed to create pod sandbox: rpc error: code = Unknown desc = no CNI configuration"
    assert only([pod()], [pod_event("FailedCreatePodSandBox", said)]).reason == (
        "FailedCreatePodSandBox"
    )


# Pods that are refused

QUOTA = (
    'Error creating: pods "tune-abcdefgh-master-0" is forbidden: exceeded quota: gpus, requested: '
    "requests.nvidia.com/gpu=2, used: requests.nvidia.com/gpu=7, limited: requests.nvidia.com/gpu=8"
)


def refused_pod(message: str = QUOTA, name: str = TRIAL, **more: Any) -> Event:
    return event("PyTorchJob", name, "FailedCreatePod", message, **more)


def test_a_quota_is_told_with_what_is_short() -> None:
    trouble = only([], [refused_pod()])
    assert (trouble.reason, trouble.trial) == ("QuotaExceeded", TRIAL)
    assert trouble.message == (
        "The resource quota `gpus` of the namespace `team` has no room for "
        "`pods/tune-abcdefgh-master-0`: 2 of requests.nvidia.com/gpu asked for, 7 of 8 used."
    )
    assert trouble.hint


def test_a_quota_of_a_job_of_ours_is_told_under_its_name() -> None:
    said = QUOTA.replace("tune-abcdefgh-master-0", "tune-baseline-x7k2p")
    assert only([], [event("Job", "tune-baseline", "FailedCreate", said)]).trial == "tune-baseline"
    assert only([], [event("Job", "tune-retry-2", "FailedCreate", said)]).trial == "tune-retry-2"


def test_events_that_were_put_together_are_read_too() -> None:
    said = f"(combined from similar events): {QUOTA}"
    assert only([], [refused_pod(said)]).reason == "QuotaExceeded"


def test_a_quota_that_has_only_just_been_hit_is_no_trouble_yet() -> None:
    assert found([], [refused_pod(age_s=2)]) == []
    assert only([], [refused_pod(age_s=2, first_s=15)]).reason == "QuotaExceeded"


def test_a_refusal_is_settled_by_the_pod_that_came_after_it() -> None:
    assert found([pod(age_s=20)], [refused_pod(age_s=30)]) == []
    assert only([pod(age_s=40)], [refused_pod(age_s=30)]).reason == "QuotaExceeded"


def test_a_refusal_is_settled_by_the_end_of_its_trial_and_by_time() -> None:
    assert found([], [refused_pod()], trials=[trial(TRIAL, "Failed")]) == []
    assert only([], [refused_pod()], trials=[trial(TRIAL, "Running")])
    assert found([], [refused_pod(age_s=1200)]) == []
    fetch = event("Job", "tune-fetch", "FailedCreate", QUOTA)
    assert only([], [fetch]).trial == "tune-fetch"
    assert found([], [fetch], experiment=experiment(10, "Created")) == []


def test_refusals_of_an_experiment_with_a_longer_name_are_not_ours() -> None:
    events = [
        refused_pod(name="tune-2-abcdefgh"),
        event("Experiment", "tune-2", "ReconcileError", "no"),
        event("ReplicaSet", "tune-2-random-5d4f9", "FailedCreate", QUOTA),
        event("Job", "tune-2-baseline", "FailedCreate", QUOTA),
    ]
    assert found([], events) == []
    assert len(troubles("tune-2", [], events, NOW)) == len(events)


def test_a_webhook_that_refuses_pods_is_told_at_once_in_its_own_words() -> None:
    words = 'Failed to parse image "docker.io/x": could not parse reference'
    said = (
        'Error creating: admission webhook "mutator.pod.katib.kubeflow.org" denied the request: '
        + words
    )
    trouble = only([], [refused_pod(said, age_s=0)])
    assert (trouble.reason, trouble.message) == ("WebhookRefused", f"{words}.")


def test_a_webhook_that_does_not_answer_is_told() -> None:
    said = (
        "Error creating: Internal error occurred: failed calling webhook "
        '"mutator.pod.katib.kubeflow.org": failed to call webhook: Post '
        '"https://katib-controller.kubeflow.svc:443/mutate-pod": connection refused'
    )
    trouble = only([], [refused_pod(said)])
    assert trouble.reason == "WebhookDown"
    assert "kubectl get pods -n kubeflow" in trouble.hint


@pytest.mark.parametrize(
    "rule",
    [
        'error looking up service account team/trainer: serviceaccount "trainer" not found',
        'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false',
        "no PriorityClass with name high was found",
    ],
)
def test_what_the_namespace_forbids_is_told(rule: str) -> None:
    said = f'Error creating: pods "tune-abcdefgh-master-0" is forbidden: {rule}'
    trouble = only([], [refused_pod(said)])
    assert trouble.reason == "PodForbidden"
    assert rule in trouble.message


def test_another_failure_to_make_pods_is_told_as_it_was_said() -> None:
    trouble = only([], [refused_pod("Error creating: etcdserver: request timed out")])
    assert trouble.reason == "FailedCreate"
    assert trouble.message == (
        "PyTorchJob `tune-abcdefgh` cannot make its pods: etcdserver: request timed out."
    )


# Reconciling


def test_what_katib_cannot_go_on_with_is_told_in_its_words() -> None:
    said = 'Failed to reconcile: no matches for kind "TrainJob" in version "v1alpha1"'
    trouble = only([], [event("Trial", TRIAL, "ReconcileError", said)])
    assert (trouble.reason, trouble.trial) == ("ReconcileError", TRIAL)
    assert 'this Trial: no matches for kind "TrainJob" in version' in trouble.message
    assert "install its operator" in trouble.hint


def test_what_stops_the_whole_experiment_has_no_trial() -> None:
    said = "Failed to reconcile: number of TrialAssignments: 2 does not match"
    trouble = only([], [event("Experiment", "tune", "ReconcileError", said)])
    assert (trouble.reason, trouble.trial) == ("ReconcileError", "")
    since = [pod(age_s=5)]
    assert found(since, [event("Experiment", "tune", "ReconcileError", said)]) == []


def test_a_write_that_somebody_overtook_is_no_trouble() -> None:
    said = (
        'Failed to reconcile: Operation cannot be fulfilled on trials.kubeflow.org "x": the object '
        "has been modified; please apply your changes to the latest version and try again"
    )
    assert found([], [event("Trial", TRIAL, "ReconcileError", said)]) == []


# The search


def test_a_search_pod_out_of_memory_is_told_for_the_whole_experiment() -> None:
    state = waiting("CrashLoopBackOff", "back-off")
    crashed = pod("tune-random-1", "Running", state, last=ended(137, "OOMKilled"), search=True)
    trouble = only([crashed])
    assert (trouble.reason, trouble.trial) == ("SearchNotReady", "")
    assert "no trials are made. The container `pytorch` ends again and again" in trouble.message
    assert "running out of memory" in trouble.message


def test_a_search_pod_without_its_image_is_told() -> None:
    stuck = pod("tune-random-1", state=waiting("ErrImagePull", NOT_FOUND), search=True)
    trouble = only([stuck])
    assert trouble.reason == "SearchNotReady"
    assert "cannot be pulled" in trouble.message


def test_a_search_pod_that_never_gets_ready_is_told_after_two_minutes() -> None:
    def never(age_s: float) -> Pod:
        ready = {"type": "Ready", "status": "False", "lastTransitionTime": ago(age_s)}
        running = {"running": {"startedAt": ago(age_s)}}
        return pod("tune-tpe-1", "Running", running, search=True, conditions=[ready])

    assert found([never(100)]) == []
    assert "does not answer" in only([never(130)]).message


def test_a_search_pod_that_is_being_deleted_is_no_trouble() -> None:
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": ago(300)}
    gone = pod("tune-tpe-1", "Running", {"running": {}}, search=True, conditions=[ready])
    assert found([gone]) != []
    meta = msgspec.structs.replace(gone.metadata, deletion_timestamp=NOW)
    assert found([msgspec.structs.replace(gone, metadata=meta)]) == []


def test_a_search_pod_that_is_refused_is_told() -> None:
    said = QUOTA.replace("tune-abcdefgh-master-0", "tune-multivariate-tpe-5d4f9-abcde")
    refused = event("ReplicaSet", "tune-multivariate-tpe-5d4f9", "FailedCreate", said)
    trouble = only([], [refused])
    assert (trouble.reason, trouble.trial) == ("QuotaExceeded", "")


def test_an_experiment_that_stays_created_is_told_if_nothing_else_says_why() -> None:
    assert found([], experiment=experiment(100, "Created")) == []
    trouble = only([], experiment=experiment(200, "Created"))
    assert (trouble.reason, trouble.trial) == ("NoTrials", "")
    assert "kubectl describe suggestion tune -n team" in trouble.hint
    stuck = pod("tune-random-1", state=waiting("ErrImagePull", NOT_FOUND), search=True)
    assert only([stuck], experiment=experiment(200, "Created")).reason == "SearchNotReady"
    assert found([], experiment=experiment(200, "Created", "Running")) == []
    assert found([], experiment=experiment(200, "Created"), trials=[trial()]) == []


# Metrics that never come


def test_a_trial_whose_pods_ended_well_without_a_metric_is_told_after_a_minute() -> None:
    both = ("pytorch", "metrics-logger-and-collector")
    late = pod(phase="Succeeded", state=ended(age_s=70), containers=both)
    trouble = only([late], trials=[trial(TRIAL, "Created", "Running")])
    assert (trouble.reason, trouble.trial) == ("NoMetrics", TRIAL)
    assert "name=value" in trouble.hint
    fresh = pod(phase="Succeeded", state=ended(age_s=50), containers=both)
    assert found([fresh], trials=[trial(TRIAL, "Created", "Running")]) == []
    assert found([late], trials=[trial(TRIAL, "Created", "Running", "Succeeded")]) == []
    assert found([late]) == []


def test_a_trial_without_a_collector_is_told_so() -> None:
    bare = pod(phase="Succeeded", state=ended(age_s=70))
    trouble = only([bare], trials=[trial(TRIAL, "Created", "Running")])
    assert "kubectl label namespace team" in trouble.hint


# All of them together


def test_there_is_one_trouble_for_each_reason_and_trial_in_a_fixed_order() -> None:
    said = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    master, worker = unscheduled(said), unscheduled(said)
    other = pod("tune-aaaaaaaa", state=waiting("ErrImagePull", NOT_FOUND))
    whole = event("Experiment", "tune", "ReconcileError", "Failed to reconcile: x", age_s=15)
    one = found([master, worker, other], [whole])
    keys = [(each.trial, each.reason) for each in one]
    assert keys == [
        ("", "ReconcileError"),
        ("tune-aaaaaaaa", "ImagePullBackOff"),
        (TRIAL, "Unschedulable"),
    ]
    assert one == found([other, worker, master], [whole])
