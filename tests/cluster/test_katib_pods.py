"""What the bot reads off pods and events that the API server itself serves."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from bot.engines import katib_pods
from bot.engines.katib_troubles import troubles
from bot.engines.katib_wire import Event, Listed, Pod
from bot.status import Observation, Trouble
from tests.cluster.acts import create, trials_of
from tests.cluster.api import Api
from tests.cluster.bodies import experiment, golden, pytorchjob
from tests.cluster.recordings import Failure, Line, Recording
from tests.cluster.resources import EVENTS, PODS, Json, Resource
from tests.cluster.run import Controllers
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

QUOTAS = Resource("v1", "ResourceQuota", "resourcequotas")
GPU = "nvidia.com/gpu"


def pods_of(api: Api, namespace: str) -> tuple[Pod, ...]:
    path = PODS.path(namespace)
    text = api.text(path, labelSelector="katib.kubeflow.org/experiment")
    return msgspec.json.decode(text, type=Listed[Pod]).items or ()


def warnings_of(api: Api, namespace: str) -> tuple[Event, ...]:
    text = api.text(EVENTS.path(namespace), fieldSelector="type=Warning")
    return msgspec.json.decode(text, type=Listed[Event]).items or ()


def until_trouble(
    api: Api, namespace: str, reason: str, name: str = "tune", later_s: float = 0
) -> Trouble:
    """The first trouble with this reason, seen `later_s` seconds from now."""

    def probe() -> Trouble | None:
        now = datetime.now(UTC) + timedelta(seconds=later_s)
        found = troubles(name, pods_of(api, namespace), warnings_of(api, namespace), now)
        return next((trouble for trouble in found if trouble.reason == reason), None)

    return until(probe, f"the trouble {reason}")


def one_trial(namespace: str, trial: Json | None = None, **spec: object) -> Json:
    counts = {"maxTrialCount": 1, "parallelTrialCount": 1, "maxFailedTrialCount": 1}
    return experiment(namespace, trial=trial, **{**counts, **spec})


def gpu_trial(workers: int = 0) -> Json:
    trial = pytorchjob(workers=workers)
    for role in trial["spec"]["pytorchReplicaSpecs"].values():
        role["template"]["spec"]["containers"][0]["resources"] = {"limits": {GPU: 1}}
    return trial


def retained(body: Json) -> Json:
    body["spec"]["trialTemplate"]["retain"] = True
    return body


@pytest.mark.parametrize(
    ("failure", "reason", "later_s", "said"),
    [
        (Failure.IMAGE_PULL, "ImagePullBackOff", 0, "`example.com/trainer:1` cannot be pulled"),
        (Failure.CONFIG, "CreateContainerConfigError", 0, 'secret "hf-token" not found'),
        (Failure.UNSCHEDULABLE, "Unschedulable", 11, "for lack of nvidia.com/gpu"),
    ],
)
def test_a_trial_whose_pod_cannot_start_says_why(
    api: Api, namespace: str, standins: Controllers, failure: Failure, reason: str, later_s: float,
    said: str,
) -> None:  # fmt: skip
    standins.node.play(namespace, lambda facts: Recording(failure=failure))
    create(api, one_trial(namespace))
    trouble = until_trouble(api, namespace, reason, later_s=later_s)
    [trial] = trials_of(api, namespace)
    assert trouble.trial == trial["metadata"]["name"]
    assert said in trouble.message


def test_the_cause_of_a_failed_pull_is_found(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.IMAGE_PULL))
    create(api, one_trial(namespace))

    def caused() -> bool:
        return "not found" in until_trouble(api, namespace, "ImagePullBackOff").message

    until(caused, "the pull's cause")
    assert "name and tag" in until_trouble(api, namespace, "ImagePullBackOff").hint


def test_a_search_pod_that_cannot_start_is_told(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play_search(namespace, Recording(failure=Failure.IMAGE_PULL))
    create(api, experiment(namespace))
    trouble = until_trouble(api, namespace, "SearchPodNotReady")
    assert trouble.trial == ""
    assert "suggestion-hyperopt:v0.19.0` cannot be pulled" in trouble.message


def test_a_pod_that_the_webhook_refuses_is_told_in_its_words(
    api: Api, namespace: str, standins: Controllers
) -> None:
    create(api, golden("llm_llama32_imdb.experiment", namespace))
    trouble = until_trouble(api, namespace, "PodRefused", "llama")
    assert "denied the request: Failed to parse image" in trouble.message
    assert "give the trial a command" in trouble.hint


def test_a_quota_is_told_and_forgotten_once_there_is_room(
    api: Api, namespace: str, standins: Controllers
) -> None:
    hard = {f"requests.{GPU}": "0"}
    quota = {"metadata": {"name": "team", "namespace": namespace}, "spec": {"hard": hard}}
    api.create(QUOTAS, quota)
    counted = {"hard": hard, "used": dict(hard)}  # what a controller counts
    api.patch(QUOTAS, namespace, "team", {"status": counted}, "status")
    create(api, one_trial(namespace, gpu_trial()))
    trouble = until_trouble(api, namespace, "QuotaExceeded")
    assert trouble.message == (
        "The quota `team` is used up: a pod asks for requests.nvidia.com/gpu=1, in use are "
        "requests.nvidia.com/gpu=0 of requests.nvidia.com/gpu=0."
    )
    api.delete(QUOTAS, namespace, "team")
    until(lambda: any(map(katib_pods.is_primary, pods_of(api, namespace))), "the pod", 90)
    found = troubles(
        "tune", pods_of(api, namespace), warnings_of(api, namespace), datetime.now(UTC)
    )
    assert "QuotaExceeded" not in [trouble.reason for trouble in found]


def ended_pods(api: Api, namespace: str) -> Mapping[str, Pod]:
    """The trial's pods by role, once all of them have ended."""

    def probe() -> dict[str, Pod] | None:
        found = [pod for pod in pods_of(api, namespace) if katib_pods.trial_of(pod)]
        roles = {"primary" if katib_pods.is_primary(pod) else "other": pod for pod in found}
        return roles if found and all(map(katib_pods.has_ended, found)) else None

    return until(probe, "the end of the trial's pods")


def log_of(api: Api, namespace: str, pod: Pod) -> str:
    path = PODS.path(namespace, pod.metadata.name, "log")
    return api.text(path, container=katib_pods.log_container(pod))


def test_a_trial_out_of_memory_says_so(api: Api, namespace: str, standins: Controllers) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.OOM_KILLED))
    create(api, retained(one_trial(namespace)))
    pod = ended_pods(api, namespace)["primary"]
    end = katib_pods.end_of(pod, log_of(api, namespace, pod))
    assert end is not None and end[0] == "OutOfMemory"


def test_a_trial_that_fails_says_its_last_words(
    api: Api, namespace: str, standins: Controllers
) -> None:
    lines = (Line("score=0.5"), Line("reason: Diverged"), Line("error: The loss is nan."))
    standins.node.play(namespace, lambda facts: Recording(lines, exit_code=1))
    create(api, retained(one_trial(namespace)))
    pod = ended_pods(api, namespace)["primary"]
    log = log_of(api, namespace, pod)
    assert katib_pods.end_of(pod, log) == ("Diverged", "The loss is nan.")
    assert katib_pods.clean_log(log).splitlines() == [line.text for line in lines]
    observed = katib_pods.observation_of(log, ("score",))
    assert observed == {"score": Observation(min=0.5, max=0.5, latest=0.5)}


def test_the_gpus_of_all_pods_of_a_trial_are_counted(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording((Line("score=1"),), last_s=2.5))
    create(api, retained(one_trial(namespace, gpu_trial(workers=1))))
    pods = ended_pods(api, namespace)
    assert set(pods) == {"primary", "other"}
    [seconds] = katib_pods.gpu_seconds(pods.values(), GPU, datetime.now(UTC)).values()
    assert 2 <= seconds <= 12  # two pods for 2.5 s each, by clocks of whole seconds
    assert troubles("tune", tuple(pods.values()), (), datetime.now(UTC)) == ()
