"""What keeps an Experiment from getting on, and what to do about it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.engines.katib_troubles import troubles
from bot.engines.katib_wire import Event, Pod
from bot.status import Trouble
from tests.engines.kubernetes_pods import (
    NAME,
    TRIAL,
    Json,
    at,
    condition,
    ended,
    event,
    master,
    own,
    pod,
    running,
    search,
    waiting,
    worker,
)

POD = f"{TRIAL}-master-0"
IMAGE = "example.com/trainer:1"
TODAY_GPU = (
    "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/"
    "control-plane: }, 3 Insufficient nvidia.com/gpu. preemption: 0/4 nodes are available: "
    "1 Preemption is not helpful for scheduling, 3 No preemption victims found for incoming pod."
)
OLD_GPU = (
    "0/4 nodes are available: 1 node(s) had taint {node-role.kubernetes.io/master: }, that the pod "
    "didn't tolerate, 3 Insufficient nvidia.com/gpu."
)
QUOTA = (
    f'Error creating: pods "{POD}" is forbidden: exceeded quota: team, requested: '
    "requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=4"
)
WEBHOOK = (
    'Error creating: admission webhook "mutator.pod.katib.kubeflow.org" denied the request: Failed '
    'to parse image "docker.io/kubeflow/trainer": could not parse reference'
)
WEBHOOK_DOWN = (
    "Error creating: Internal error occurred: failed calling webhook "
    '"mutator.pod.katib.kubeflow.org": failed to call webhook: Post "https://katib-controller.'
    'kubeflow.svc:443/mutate-pod?timeout=10s": dial tcp 10.0.0.7:443: connect: connection refused'
)


def found(
    pods: list[Pod] | None = None, events: list[Event] | None = None, now: float = 120
) -> tuple[Trouble, ...]:
    return troubles(NAME, pods or [], events or [], at(now))


def one(*of: Pod | Event, now: float = 120) -> Trouble:
    pods = [each for each in of if isinstance(each, Pod)]
    [trouble] = found(pods, [each for each in of if isinstance(each, Event)], now)
    return trouble


def reasons(*of: Pod | Event, now: float = 120) -> list[tuple[str, str]]:
    pods = [each for each in of if isinstance(each, Pod)]
    events = [each for each in of if isinstance(each, Event)]
    return [(trouble.reason, trouble.trial) for trouble in found(pods, events, now)]


def unscheduled(message: str, reason: str = "Unschedulable", since: float = 0, **more: Any) -> Pod:
    conditions = [condition("PodScheduled", "False", reason, message, since=since)]
    return pod(conditions=conditions, node="", **more)


def about_pod(reason: str, message: str, name: str = POD, **more: Any) -> Event:
    return event(reason, message, "Pod", name, **more)


# --- images


@pytest.mark.parametrize(
    ("reason", "message", "pulled", "cause", "hint"),
    [
        ("ErrImagePull",
         f'rpc error: code = NotFound desc = failed to pull and unpack image "{IMAGE}": failed to '
         f'resolve reference "{IMAGE}": {IMAGE}: not found', "",
         f'failed to resolve reference "{IMAGE}": {IMAGE}: not found.', "name and tag"),
        ("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"',
         f'Failed to pull image "{IMAGE}": rpc error: code = Unknown desc = Error response from '
         "daemon: pull access denied for trainer, repository does not exist",
         "pull access denied for trainer, repository does not exist.", "imagePullSecrets"),
        ("ImagePullBackOff",
         f'Back-off pulling image "{IMAGE}": ErrImagePull: rpc error: code = Unknown desc = failed '
         'to pull and unpack image "x": 429 Too Many Requests - toomanyrequests', "",
         "429 Too Many Requests - toomanyrequests.", "limits pulls"),
        ("ErrImagePull", "dial tcp: lookup example.com on 10.96.0.10:53: no such host", "",
         "no such host.", "cannot reach the registry"),
        ("ErrImagePull", "no match for platform in manifest: not found", "", "platform",
         "not built for the node"),
        ("InvalidImageName", f'Failed to apply default image tag "{IMAGE}": couldn\'t parse image '
         "reference", "", "couldn't parse image reference.", "name:tag"),
        ("ErrImageNeverPull", f'Container image "{IMAGE}" is not present with pull policy of Never',
         "", "is not present with pull policy of Never.", "whether the nodes may pull it"),
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_pulled_is_told_at_once_with_its_cause(
    reason: str, message: str, pulled: str, cause: str, hint: str
) -> None:
    events = [about_pod("Failed", pulled, last=0)] if pulled else []
    trouble = one(pod(state=waiting(reason, message)), *events, now=1)
    assert (trouble.reason, trouble.trial) == ("ImagePullBackOff", TRIAL)
    assert trouble.message.startswith(f"The image `{IMAGE}` cannot be pulled")
    assert cause in trouble.message
    assert hint in trouble.hint


def test_an_image_whose_cause_is_not_known_yet_is_told_too() -> None:
    trouble = one(pod(state=waiting("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')))
    assert trouble.message == f"The image `{IMAGE}` cannot be pulled."


def test_the_image_of_an_init_container_is_named() -> None:
    stuck = pod(
        worker(), init={"init-pytorch": waiting("ImagePullBackOff")},
        state=waiting("PodInitializing"),
    )  # fmt: skip
    assert "`alpine:3.10`" in one(stuck).message


# --- configuration


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        ('secret "hf-token" not found', "in the namespace team-a"),
        ("couldn't find key HF_TOKEN in Secret team-a/hf-token", "Add that key"),
        ('configmap "code" not found', "in the namespace team-a"),
        ("container has runAsNonRoot and image will run as root", "securityContext.runAsUser"),
        ("something new", "trial template"),
    ],
)
def test_a_container_that_cannot_be_made_names_what_is_missing(message: str, hint: str) -> None:
    trouble = one(pod(state=waiting("CreateContainerConfigError", message)), now=1)
    assert trouble.reason == "CreateContainerConfigError"
    assert trouble.message == f"The container `pytorch` cannot be made: {message}."
    assert hint in trouble.hint


# --- scheduling


@pytest.mark.parametrize("message", [TODAY_GPU, OLD_GPU])
def test_a_pod_without_room_says_what_is_short_and_why(message: str) -> None:
    trouble = one(unscheduled(message))
    assert (trouble.reason, trouble.trial) == ("Unschedulable", TRIAL)
    assert trouble.message.startswith("No node can take a pod for lack of nvidia.com/gpu: 0/4 ")
    assert "preemption" not in trouble.message
    assert "parallel_trial_count" in trouble.hint


@pytest.mark.parametrize(
    ("message", "short", "hint"),
    [
        ("0/2 nodes are available: 2 Insufficient cpu, 1 Insufficient memory.",
         " for lack of cpu and memory:", "lower cpu, memory"),
        ("0/1 nodes are available: 1 node(s) had untolerated taint {gpu: only}.", " a pod:",
         "tolerate"),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", " a pod:",
         "nodeSelector"),
        ("0/1 nodes are available: 1 node(s) had volume node affinity conflict.", " a pod:",
         "parallel_trial_count=1"),
        ("pod group is not ready, 2 Pending, 3 minAvailable", " a pod:", "all pods of the trial"),
    ],
)  # fmt: skip
def test_each_way_of_having_no_room_has_its_hint(message: str, short: str, hint: str) -> None:
    trouble = one(unscheduled(message))
    assert short in trouble.message
    assert hint in trouble.hint


def test_a_moment_without_a_node_is_normal() -> None:
    assert reasons(unscheduled(TODAY_GPU, since=20), now=29) == []
    assert reasons(unscheduled(TODAY_GPU, since=20), now=30) == [("Unschedulable", TRIAL)]
    assert reasons(pod(phase="Pending", node="", conditions=[]), now=9) == []


def test_a_pod_that_waits_for_its_queue_says_so() -> None:
    held = unscheduled("Scheduling is blocked due to non-empty scheduling gates", "SchedulingGated")
    assert one(held).reason == "SchedulingGated"
    assert "queue" in one(held).hint


# --- volumes


@pytest.mark.parametrize(
    "message",
    [
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: no",
        'running "VolumeBinding" filter plugin for pod "x": pod has unbound immediate '
        "PersistentVolumeClaims",
        'persistentvolumeclaim "tune" not found',
        'running PreBind plugin "VolumeBinding": binding volumes: timed out waiting',
    ],
)
def test_a_volume_that_is_not_bound_is_not_taken_for_a_lack_of_room(message: str) -> None:
    trouble = one(unscheduled(message, labels=own("fetch"), name="tune-fetch-x1y2z"))
    assert (trouble.reason, trouble.trial) == ("VolumeNotBound", "")
    assert "preemption" not in trouble.message


def provisioning(
    message: str = 'storageclass.storage.k8s.io "fast" not found', **more: Any
) -> Event:
    return event("ProvisioningFailed", message, "PersistentVolumeClaim", NAME, **more)


def test_a_volume_that_cannot_be_made_says_why() -> None:
    trouble = one(provisioning())
    assert (trouble.reason, trouble.trial) == ("ProvisioningFailed", "")
    assert trouble.message == (
        'The volume `tune` cannot be made: storageclass.storage.k8s.io "fast" not found.'
    )
    assert "storage_class=" in trouble.hint
    modes = one(provisioning("failed: Volume capabilities MULTI_NODE_MULTI_WRITER not supported"))
    assert "storage_access_modes" in modes.hint


def test_a_volume_that_is_in_use_was_made() -> None:
    assert reasons(provisioning(), pod(own("fetch"), state=running(), name="f")) == []


@pytest.mark.parametrize(
    ("reason", "message", "word", "hint"),
    [
        ("FailedMount", 'MountVolume.SetUp failed for volume "code" : secret "code" not found',
         "FailedMount", "in the namespace team-a"),
        ("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[workspace]: timed "
         "out waiting for the condition", "FailedMount", "kubectl describe pvc -n team-a"),
        ("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is already used by '
         "pod(s) tune-wxyz6789-master-0", "MultiAttach", "ReadWriteMany"),
        ("FailedCreatePodSandBox", "failed to set up sandbox container network",
         "FailedCreatePodSandBox", "look at the node"),
    ],
)  # fmt: skip
def test_a_pod_that_cannot_start_on_its_node_says_why(
    reason: str, message: str, word: str, hint: str
) -> None:
    stuck = pod(state=waiting("ContainerCreating"))
    trouble = one(stuck, about_pod(reason, message))
    assert (trouble.reason, trouble.trial) == (word, TRIAL)
    assert message in trouble.message
    assert hint in trouble.hint


def test_a_mount_that_takes_a_moment_is_normal() -> None:
    stuck, event_of_it = (
        pod(state=waiting("ContainerCreating")),
        about_pod("FailedMount", "x", last=5),
    )
    assert reasons(stuck, event_of_it, now=29) == []
    assert reasons(stuck, event_of_it, now=31) == [("FailedMount", TRIAL)]


def test_what_was_said_of_a_pod_before_it_started_is_over() -> None:
    assert reasons(pod(state=running()), about_pod("FailedMount", "timed out")) == []


# --- refused pods


@pytest.mark.parametrize("kind", ["PyTorchJob", "Job", "JobSet"])
@pytest.mark.parametrize("reason", ["FailedCreate", "FailedCreatePod"])
def test_a_quota_that_is_used_up_says_of_what(kind: str, reason: str) -> None:
    trouble = one(event(reason, QUOTA, kind))
    assert (trouble.reason, trouble.trial) == ("QuotaExceeded", TRIAL)
    assert trouble.message == (
        "The quota `team` is used up: a pod asks for requests.nvidia.com/gpu=1, in use are "
        "requests.nvidia.com/gpu=4 of requests.nvidia.com/gpu=4."
    )
    assert "parallel_trial_count" in trouble.hint


@pytest.mark.parametrize(
    ("message", "reason", "hint"),
    [
        (WEBHOOK, "PodRefused", "give the trial a command"),
        (WEBHOOK_DOWN, "WebhookDown", "does not answer"),
        ('Error creating: pods "x" is forbidden: failed quota: team: must specify cpu for: pytorch',
         "PodRefused", "give cpu and memory"),
        ('Error creating: pods "x" is forbidden: violates PodSecurity "restricted:latest": '
         "allowPrivilegeEscalation != false", "PodRefused", "pod security standard"),
        ('Error creating: pods "x-" is forbidden: error looking up service account team-a/tuner: '
         'serviceaccount "tuner" not found', "PodRefused", "service account"),
        ('Error creating: pods "x" is forbidden: no PriorityClass with name high was found',
         "PodRefused", "priority class"),
        ('Error creating: pods "x" is forbidden: maximum memory usage per Container is 4Gi, but '
         "limit is 8Gi", "PodRefused", "limits of the namespace"),
        ("Error creating: policy says no", "PodRefused", "knows this rule"),
    ],
)  # fmt: skip
def test_a_refused_pod_is_told_in_the_clusters_own_words(
    message: str, reason: str, hint: str
) -> None:
    trouble = one(event("FailedCreate", message))
    assert trouble.reason == reason
    assert message.removeprefix("Error creating: ")[:60] in trouble.message
    assert hint in trouble.hint


def test_a_refusal_is_over_once_the_pod_is_there() -> None:
    refused, quota = event("FailedCreate", WEBHOOK), event("FailedCreatePod", QUOTA)
    first = pod(state=running(), name=POD)
    assert reasons(refused, first) == reasons(quota, first) == []
    second = pod(worker(), state=running(), name=f"{TRIAL}-worker-0")
    assert reasons(refused, second) == [("PodRefused", TRIAL)]
    assert reasons(quota, second) == [("QuotaExceeded", TRIAL)]
    short = event("FailedCreatePod", QUOTA.replace("master-0", "worker-0"))
    assert reasons(short, first) == [("QuotaExceeded", TRIAL)]
    assert reasons(short, first, second) == []


def test_a_refused_fetch_job_or_search_keeps_all_waiting() -> None:
    fetch = event("FailedCreate", QUOTA, "Job", "tune-fetch")
    assert reasons(fetch) == [("QuotaExceeded", "")]
    assert reasons(fetch, pod(own("fetch"), state=running(), name="f")) == []
    replicas = event("FailedCreate", QUOTA, "ReplicaSet", "tune-random-6c9d4f7b8d")
    assert reasons(replicas) == [("QuotaExceeded", "")]
    assert reasons(replicas, pod(search(), state=running(), name="s")) == []


# --- Katib


@pytest.mark.parametrize(
    ("kind", "name", "message", "trial", "hint"),
    [
        ("Trial", TRIAL, 'Failed to reconcile: no matches for kind "TrainJob" in version "v1"',
         TRIAL, "restart katib-controller"),
        ("Experiment", NAME, "Failed to reconcile: ConvertStringToUnstructured failed", "",
         "tries again"),
        ("Suggestion", NAME, "rpc error: code = Unknown desc = Exception calling application: An "
         "unknown trial has been passed", "", "start it again"),
        ("Trial", TRIAL, "Failed to reconcile: dial tcp 10.0.0.1:6789: connection refused", TRIAL,
         "whoever runs Katib"),
    ],
)  # fmt: skip
def test_katibs_own_complaints_are_told(
    kind: str, name: str, message: str, trial: str, hint: str
) -> None:
    trouble = one(event("ReconcileError", message, kind, name))
    assert (trouble.reason, trouble.trial) == ("ReconcileError", trial)
    assert message.removeprefix("Failed to reconcile: ") in trouble.message
    assert hint in trouble.hint


def test_a_lost_race_between_controllers_is_no_trouble() -> None:
    text = (
        'Operation cannot be fulfilled on trials "x": the object has been modified; please apply '
        "your changes to the latest version and try again"
    )
    assert reasons(event("ReconcileError", f"Failed to reconcile: {text}", "Trial")) == []


def test_a_quota_met_by_katib_is_a_quota() -> None:
    text = QUOTA.replace("Error creating", "Failed to reconcile").replace("pods", "jobs.batch")
    assert reasons(event("ReconcileError", text, "Trial")) == [("QuotaExceeded", TRIAL)]


def test_metrics_that_are_missing_are_the_trials_end_and_no_trouble() -> None:
    assert reasons(event("MetricsUnavailable", "Metrics are not available", "Trial")) == []


# --- search


@pytest.mark.parametrize(
    ("state", "last", "restarts", "said", "hint"),
    [
        (waiting("ImagePullBackOff", "not found"), None, 0, "cannot be pulled", "name and tag"),
        (waiting("CrashLoopBackOff"), ended(1, until=100), 4, "restarted 4 times; it last ended "
         "with exit code 1", "whoever runs"),
        (waiting("CrashLoopBackOff"), ended(137, "OOMKilled"), 1, "restarted once; it last ended "
         "out of memory", "runtime.suggestions"),
        (running(90), ended(137, "OOMKilled", until=80), 1, "out of memory", "runtime.suggestions"),
    ],
)  # fmt: skip
def test_a_search_pod_in_trouble_keeps_all_trials_waiting(
    state: Json, last: Json | None, restarts: int, said: str, hint: str
) -> None:
    trouble = one(pod(search(), state=state, last=last, restarts=restarts, name="s"))
    assert (trouble.reason, trouble.trial) == ("SearchPodNotReady", "")
    assert said in trouble.message
    assert hint.lower() in trouble.hint.lower()


def test_a_search_that_forgets_its_trials_is_lost_after_a_restart() -> None:
    last = ended(137, "OOMKilled", until=10)
    lost = pod(search("grid"), state=running(20), last=last, restarts=1, name="s")
    assert "start it again" in one(lost, now=36_000).hint
    remembers = pod(search("tpe"), state=running(20), last=last, restarts=1, name="s")
    assert reasons(remembers, now=36_000) == []


def test_a_search_pod_that_runs_but_never_answers_is_told_after_a_minute() -> None:
    unready = [condition("PodScheduled"), condition("Ready", "False", "ContainersNotReady")]
    silent = pod(search(), state=running(), conditions=unready, name="s")
    assert reasons(silent, now=59) == []
    assert reasons(silent, now=61) == [("SearchPodNotReady", "")]


# --- restarts and nodes


def test_a_container_that_is_restarted_again_and_again_is_told() -> None:
    looping = pod(state=waiting("CrashLoopBackOff", "back-off 10s"), last=ended(1), restarts=0)
    assert one(looping).message == (
        "The container `pytorch` is to be restarted; it last ended with exit code 1."
    )
    again = pod(state=running(90), last=ended(1, until=60), restarts=3)
    assert one(again).reason == "CrashLoopBackOff"
    assert "restarted 3 times" in one(again).message
    assert reasons(again, now=661) == []  # it has run for ten minutes since


def test_a_node_that_is_gone_is_told() -> None:
    old = pod(state=running(), reason="NodeLost", message="Node node-a is unresponsive")
    assert reasons(old) == [("NodeLost", TRIAL)]
    unready = pod(
        state=running(), conditions=[condition("PodScheduled"), condition("Ready", "False")]
    )
    assert reasons(unready) == []
    trouble = one(unready, about_pod("NodeNotReady", "Node is not ready"))
    assert trouble.message == "The node `node-a` does not answer."


# --- all of it


def test_there_is_one_trouble_of_each_reason_and_trial_those_of_all_first() -> None:
    pulling = waiting("ErrImagePull", "not found")
    pods = [
        pod(worker(), state=pulling, name="w0"),
        pod(state=pulling, name="m0"),
        pod(master("tune-aaaa1111"), state=pulling),
        unscheduled(TODAY_GPU, labels=search(), name="s"),
        unscheduled(TODAY_GPU, labels=worker(), name="w1"),
    ]
    assert reasons(*pods) == [
        ("SearchPodNotReady", ""),
        ("ImagePullBackOff", "tune-aaaa1111"),
        ("ImagePullBackOff", TRIAL),
        ("Unschedulable", TRIAL),
    ]


def test_pods_that_are_well_over_or_on_their_way_out_are_no_trouble() -> None:
    assert reasons(pod(state=running()), pod(search(), state=running(), name="s")) == []
    assert reasons(pod(state=waiting("ContainerCreating")), pod(phase="Pending", name="x")) == []
    assert reasons(pod(state=ended(137, "OOMKilled"), phase="Failed")) == []
    assert reasons(pod(state=waiting("ErrImagePull"), deleted=True)) == []


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("PyTorchJob", "tune-2-abcd1234"),
        ("PyTorchJob", "tune-two-abcd1234"),
        ("Experiment", "tune-abcd1234"),
        ("Experiment", "tune-2"),
        ("Suggestion", "tune-2"),
        ("PersistentVolumeClaim", "tune-2"),
        ("ReplicaSet", "tune-2-random-6c9d4f7b8d"),
        ("Job", "tune-2-fetch"),
        ("PyTorchJob", "other"),
    ],
)
def test_what_belongs_to_another_experiment_is_left_to_it(kind: str, name: str) -> None:
    for reason in ("FailedCreate", "ReconcileError", "ProvisioningFailed"):
        assert reasons(event(reason, QUOTA, kind, name)) == []
    stranger = pod(master("tune-2-abcd1234"), state=waiting("ErrImagePull"), name="stranger")
    assert reasons(stranger) == []


@pytest.mark.parametrize(
    ("name", "trial"),
    [
        ("tune-baseline", "tune-baseline"),
        ("tune-retry-3", "tune-retry-3"),
        ("tune-abcd1234-node-0", TRIAL),
        ("tune-0d3b9b39-0d26-4f28-8a2e-1b0ab3a4f1c7", "tune-0d3b9b39-0d26-4f28-8a2e-1b0ab3a4f1c7"),
    ],
)
def test_a_trial_is_known_by_its_jobs_name(name: str, trial: str) -> None:
    assert reasons(event("FailedCreate", WEBHOOK, "Job", name)) == [("PodRefused", trial)]


def test_a_complaint_counts_while_it_is_repeated() -> None:
    once = event("FailedCreate", QUOTA, first=0, last=0)
    assert reasons(once, now=119) and not reasons(once, now=121)
    long = event("FailedCreate", QUOTA, first=0, last=600)
    assert reasons(long, now=1900) and not reasons(long, now=1921)
    # A Job's pods have ever new names, so each complaint is a new one.
    many = [event("FailedCreate", f"{QUOTA} {n}", first=n, last=n) for n in (0, 300, 600)]
    assert reasons(*many, now=1900) == [("QuotaExceeded", TRIAL)]


def test_old_events_say_nothing() -> None:
    assert reasons(event("FailedCreate", QUOTA, first=0, last=10_000), now=13_601) == []
    stuck = pod(state=waiting("ContainerCreating"))
    assert reasons(stuck, about_pod("FailedMount", "x", last=60), now=3_661) == []


def test_events_of_the_newer_kind_are_read_too() -> None:
    assert reasons(event("FailedCreate", QUOTA, newer_api=True), now=121)
    assert not reasons(event("FailedCreate", QUOTA, newer_api=True), now=1_000)
    only_made = event("FailedCreate", QUOTA, firstTimestamp=None, lastTimestamp=None)
    assert reasons(only_made, now=60)


def test_a_clock_ahead_of_ours_hides_nothing() -> None:
    assert reasons(event("FailedCreate", QUOTA, first=100, last=130), now=120)


def test_what_the_cluster_says_is_cut_to_a_bearable_length() -> None:
    long = one(event("FailedCreate", "Error creating: " + "no " * 1000))
    assert len(long.message) < 600 and long.message.endswith("…")
