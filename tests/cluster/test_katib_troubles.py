"""What is said of Experiments that wait or fail, from what pods and events really look like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import pytest

from bot.engines.katib_pods import (
    clean_log,
    end_of,
    gpu_seconds,
    has_ended,
    is_primary,
    log_container,
    observation_of,
    trial_of,
)
from bot.engines.katib_troubles import troubles
from bot.engines.katib_wire import Event, KatibExperiment, KatibTrial, Pod
from bot.status import Observation, Trouble
from tests.cluster.acts import ENDLESS, FAILED, SUCCEEDED, create, trials_of
from tests.cluster.api import Api
from tests.cluster.bodies import experiment, golden, pytorchjob
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.recordings import Failure, Recording, lines
from tests.cluster.resources import EVENTS, EXPERIMENTS, NAMESPACES, PODS, Json, Resource
from tests.cluster.run import Controllers
from tests.cluster.waiting import until, until_experiment

pytestmark = pytest.mark.cluster
QUOTAS = Resource("v1", "ResourceQuota", "resourcequotas")
T = TypeVar("T")


def typed(found: Json | list[Json], kind: type[T]) -> T:
    return msgspec.json.decode(json.dumps(found), type=kind)


def pods_of(api: Api, namespace: str, name: str = "tune") -> tuple[Pod, ...]:
    selector = f"katib.kubeflow.org/experiment={name}"
    return typed(api.list(PODS, namespace, labelSelector=selector), tuple[Pod, ...])


def seen(api: Api, namespace: str, later_s: float = 0, name: str = "tune") -> Iterator[Trouble]:
    """What keeps an Experiment waiting, as of `later_s` seconds from now."""
    warnings = api.list(EVENTS, namespace, fieldSelector="type=Warning")
    yield from troubles(
        name,
        pods_of(api, namespace, name),
        typed(warnings, tuple[Event, ...]),
        datetime.now(UTC) + timedelta(seconds=later_s),
        trials=typed(trials_of(api, namespace, name), tuple[KatibTrial, ...]),
        experiment=typed(api.get(EXPERIMENTS, namespace, name), KatibExperiment),
    )


def until_seen(api: Api, namespace: str, reason: str, **more: Any) -> Trouble:
    def probe() -> Trouble | None:
        return next((t for t in seen(api, namespace, **more) if t.reason == reason), None)

    return until(probe, f"the trouble {reason}")


def one_trial(api: Api, namespace: str, trial: Json | None = None, **spec: Any) -> None:
    counts = {"maxTrialCount": 1, "parallelTrialCount": 1, "maxFailedTrialCount": 1}
    create(api, experiment(namespace, trial=trial, **counts, **spec))


def with_gpus(gpus: int) -> Json:
    trial = pytorchjob(workers=0)
    pod = trial["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    pod["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": gpus}}
    return trial


def test_an_image_that_cannot_be_pulled_is_told_with_its_cause(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.IMAGE_PULL))
    one_trial(api, namespace)

    def backs_off() -> bool:
        return any(
            state.state.waiting and state.state.waiting.reason == "ImagePullBackOff"
            for pod in pods_of(api, namespace)
            for state in pod.status.container_statuses or ()
        )

    until(backs_off, "the back-off")
    trouble = until_seen(api, namespace, "ImagePullBackOff")
    assert "`example.com/trainer:1` cannot be pulled: not found." in trouble.message
    assert trouble.trial == trials_of(api, namespace)[0]["metadata"]["name"]


def test_a_missing_secret_is_told_by_its_name(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.CONFIG))
    one_trial(api, namespace)
    trouble = until_seen(api, namespace, "CreateContainerConfigError")
    assert trouble.message == f"There is no Secret `hf-token` in the namespace `{namespace}`."


def test_a_pod_without_room_is_told_after_a_moment_with_what_is_short(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.UNSCHEDULABLE))
    one_trial(api, namespace)
    trouble = until_seen(api, namespace, "Unschedulable", later_s=15)
    assert trouble.message.startswith("No node has enough `nvidia.com/gpu` free: 0/1 nodes are")


def test_a_quota_is_told_and_forgotten_when_there_is_room_again(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: ENDLESS)
    hard = {"requests.nvidia.com/gpu": "1"}
    quota = {"metadata": {"name": "gpus", "namespace": namespace}, "spec": {"hard": hard}}
    api.create(QUOTAS, quota)
    until(
        lambda: api.get(QUOTAS, namespace, "gpus")["status"].get("used"), "the quota to be counted"
    )
    one_trial(api, namespace, with_gpus(2))
    trouble = until_seen(api, namespace, "QuotaExceeded", later_s=15)
    assert trouble.message.startswith(f"The resource quota `gpus` of the namespace `{namespace}`")
    assert trouble.message.endswith("2 of requests.nvidia.com/gpu asked for, 0 of 1 used.")
    assert trouble.trial == trials_of(api, namespace)[0]["metadata"]["name"]
    api.delete(QUOTAS, namespace, "gpus")
    until(lambda: pods_of(api, namespace), "the pod")
    until(lambda: not list(seen(api, namespace, later_s=15)), "the end of the trouble")


def test_a_webhooks_refusal_of_pods_is_told_in_its_own_words(
    api: Api, namespace: str, standins: Controllers
) -> None:
    create(api, golden("llm_llama32_imdb.experiment", namespace))
    trouble = until_seen(api, namespace, "WebhookRefused", name="llama")
    image = "docker.io/kubeflow/trainer-huggingface"
    assert trouble.message.startswith(f'Failed to parse image "{image}": could not parse reference')


def test_a_search_pod_that_cannot_start_is_told(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play_search(namespace, Recording(failure=Failure.IMAGE_PULL))
    create(api, experiment(namespace))
    trouble = until_seen(api, namespace, "SearchNotReady")
    assert trouble.trial == ""
    assert "cannot be pulled" in trouble.message


def test_an_error_of_katibs_own_is_told(api: Api, namespace: str, standins: Controllers) -> None:
    create(api, golden("optimizer_client_trainjob.experiment", namespace))
    trouble = until_seen(api, namespace, "ReconcileError", later_s=15, name="w9a2469910c8")
    assert 'no matches for kind "TrainJob"' in trouble.message
    assert trouble.trial.startswith("w9a2469910c8-")


def test_a_trial_that_reports_nothing_is_told(
    api: Api, namespace: str, standins: Controllers
) -> None:
    """The namespace loses its label after the Experiment was checked: no collector is put in."""
    standins.node.play_search(namespace, Recording(failure=Failure.IMAGE_PULL))
    standins.node.play(namespace, lambda facts: Recording())
    trial = pytorchjob(workers=0)
    template = trial["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    # Katib's pod webhook would put it there, but does not see this pod.
    template["metadata"] = {"labels": {"katib.kubeflow.org/experiment": "tune"}}
    one_trial(api, namespace, trial)
    until_seen(api, namespace, "SearchNotReady")
    api.patch(NAMESPACES, "", namespace, {"metadata": {"labels": {INJECTION_LABEL: None}}})
    standins.node.play_search(namespace, ENDLESS)
    for pod in api.list(PODS, namespace):
        api.delete(PODS, namespace, pod["metadata"]["name"])
    trouble = until_seen(api, namespace, "NoMetrics", later_s=70)
    assert trouble.trial == trials_of(api, namespace)[0]["metadata"]["name"]
    assert f"kubectl label namespace {namespace}" in trouble.hint


def test_a_container_that_is_started_again_and_again_is_told(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(exit_code=1))
    trial = pytorchjob(workers=0)
    trial["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "OnFailure"
    one_trial(api, namespace, trial)
    trouble = until_seen(api, namespace, "CrashLoopBackOff")
    assert "last with exit code 1" in trouble.message


def test_an_experiment_that_goes_well_has_no_trouble(
    api: Api, namespace: str, standins: Controllers
) -> None:
    create(api, experiment(namespace, maxTrialCount=2, parallelTrialCount=2))
    troubled: list[Trouble] = []

    def goes_on(status: Json) -> bool:
        troubled.extend(seen(api, namespace))
        return SUCCEEDED(status)

    until_experiment(api, namespace, "tune", goes_on)
    assert troubled == []


def test_a_pod_says_how_it_ended_what_it_held_and_printed(
    api: Api, namespace: str, standins: Controllers
) -> None:
    printed = lines("score=0.5", "score=0.25", "error: The loss is not a number.")
    standins.node.play(namespace, lambda facts: Recording(printed, exit_code=5))
    body = experiment(namespace, maxTrialCount=1, parallelTrialCount=1, maxFailedTrialCount=1)
    body["spec"]["trialTemplate"] |= {"retain": True, "trialSpec": with_gpus(2)}
    create(api, body)
    until_experiment(api, namespace, "tune", FAILED)
    [pod] = (each for each in pods_of(api, namespace) if is_primary(each))
    name = trials_of(api, namespace)[0]["metadata"]["name"]
    log = api.text(PODS.path(namespace, pod.metadata.name, "log"), container=log_container(pod))
    assert clean_log(log).splitlines() == [line.text for line in printed]
    assert has_ended(pod)
    assert trial_of(pod) == name
    assert end_of(pod, clean_log(log)) == ("Diverged", "The loss is not a number.")
    assert observation_of(clean_log(log), ["score"]) == {
        "score": Observation(min=0.25, max=0.5, latest=0.25)
    }
    held = gpu_seconds([pod], "nvidia.com/gpu", datetime.now(UTC) + timedelta(hours=1))
    assert 0 <= held[name] < 60


def test_a_pod_out_of_memory_says_so(api: Api, namespace: str, standins: Controllers) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.OOM_KILLED))
    body = experiment(namespace, maxTrialCount=1, parallelTrialCount=1, maxFailedTrialCount=1)
    body["spec"]["trialTemplate"]["retain"] = True
    create(api, body)
    until_experiment(api, namespace, "tune", FAILED)
    [pod] = (each for each in pods_of(api, namespace) if is_primary(each))
    assert (end_of(pod, "") or ("",))[0] == "OutOfMemory"
    assert list(seen(api, namespace, later_s=100)) == []
