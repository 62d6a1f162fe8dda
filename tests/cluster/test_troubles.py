"""How trials that cannot start, fail or hang look from outside, as in Katib v0.19."""

from __future__ import annotations

import pytest

from tests.cluster.acts import ENDLESS, FAILED, SUCCEEDED, create, trials_of
from tests.cluster.api import Api, ApiError
from tests.cluster.bodies import experiment, golden, pytorchjob
from tests.cluster.recordings import Failure, Recording
from tests.cluster.resources import (
    EXPERIMENTS,
    JOBS,
    PODS,
    PYTORCHJOBS,
    SUGGESTIONS,
    Json,
)
from tests.cluster.run import Controllers
from tests.cluster.waiting import events, has, reasons, until, until_experiment

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    ("failure", "reason"),
    [(Failure.IMAGE_PULL, "ImagePullBackOff"), (Failure.CONFIG, "CreateContainerConfigError")],
)
def test_a_pod_that_cannot_start_looks_like_running(
    api: Api, namespace: str, standins: Controllers, failure: Failure, reason: str
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=failure))
    create(api, experiment(namespace, maxTrialCount=1, parallelTrialCount=1))
    until_experiment(api, namespace, "tune", lambda now: now.get("trialsRunning") == 1)

    def stuck() -> Json | None:
        for pod in api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial"):
            for one in pod["status"].get("containerStatuses", ()):
                if one["state"].get("waiting", {}).get("reason") == reason:
                    return pod
        return None

    pod = until(stuck, reason)
    assert pod["status"]["phase"] == "Pending"
    assert has("Running")(api.get(EXPERIMENTS, namespace, "tune")["status"])
    name = pod["metadata"]["name"]
    until(
        lambda: [one for one in events(api, namespace, name) if one["type"] == "Warning"],
        "a warning",
    )
    with pytest.raises(ApiError, match=f"is waiting to start: {reason}"):
        api.text(PODS.path(namespace, name, "log"), container="pytorch")


def test_a_pod_without_room_is_unschedulable_and_looks_like_running(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.UNSCHEDULABLE))
    create(api, experiment(namespace, maxTrialCount=1, parallelTrialCount=1))
    until_experiment(api, namespace, "tune", lambda now: now.get("trialsRunning") == 1)

    def waiting_pod() -> Json | None:
        for pod in api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial"):
            if has("PodScheduled", "Unschedulable", "False")(_with_reasons(pod["status"])):
                return pod
        return None

    pod = until(waiting_pod, "an unschedulable pod")
    assert pod["spec"].get("nodeName") is None
    [event] = until(
        lambda: events(api, namespace, pod["metadata"]["name"]), "the scheduler's event"
    )
    assert event["reason"] == "FailedScheduling"
    assert "Insufficient nvidia.com/gpu" in event["message"]


def _with_reasons(status: Json) -> Json:
    return {"conditions": [{"reason": "", **one} for one in status.get("conditions", ())]}


def test_a_pod_out_of_memory_fails_its_trial(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(failure=Failure.OOM_KILLED))
    body = experiment(namespace, maxTrialCount=1, parallelTrialCount=1, maxFailedTrialCount=1)
    body["spec"]["trialTemplate"]["retain"] = True
    create(api, body)
    until_experiment(api, namespace, "tune", FAILED)
    [pod] = api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial")
    states = {one["name"]: one["state"]["terminated"] for one in pod["status"]["containerStatuses"]}
    assert states["pytorch"]["reason"] == "OOMKilled"
    assert states["pytorch"]["exitCode"] == 137
    assert states["metrics-logger-and-collector"]["exitCode"] == 1


def test_wrong_settings_are_found_late_and_leave_no_completion_time(
    api: Api, namespace: str, standins: Controllers
) -> None:
    body = experiment(namespace)
    body["spec"]["algorithm"]["algorithmSettings"] = [{"name": "seed", "value": "3"}]
    create(api, body)
    status = until_experiment(api, namespace, "tune", FAILED)["status"]
    assert reasons(status) == [
        ("Created", "True", "ExperimentCreated"),
        ("Failed", "True", "ExperimentFailed"),
    ]
    assert status["conditions"][-1]["message"] == "Suggestion has failed"
    assert status.get("completionTime") is None
    suggestion = api.get(SUGGESTIONS, namespace, "tune")
    assert suggestion["status"]["conditions"][-1]["message"] == (
        "Validation failed: ValidateAlgorithmSettings Error: "
        "unknown setting seed for algorithm random"
    )


def test_a_search_pod_that_never_starts_leaves_the_experiment_created(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play_search(namespace, Recording(failure=Failure.IMAGE_PULL))
    create(api, experiment(namespace))
    suggestion = until(
        lambda: next(
            (
                one
                for one in api.list(SUGGESTIONS, namespace)
                if has("DeploymentReady", "DeploymentNotReady", "False")(one.get("status", {}))
            ),
            None,
        ),
        "a Suggestion whose pod is not ready",
    )
    assert suggestion["spec"]["requests"] == 2
    status = api.get(EXPERIMENTS, namespace, "tune")["status"]
    assert reasons(status) == [("Created", "True", "ExperimentCreated")]
    assert status.get("completionTime") is None


def test_an_assignment_without_trial_parameter_stops_at_the_first_trial(
    api: Api, namespace: str, standins: Controllers
) -> None:
    body = experiment(namespace)
    body["spec"]["parameters"].append(
        {"name": "r", "parameterType": "int", "feasibleSpace": {"min": "8", "max": "32"}}
    )
    create(api, body)
    found = until(
        lambda: [
            one for one in events(api, namespace, "tune") if "does not match" in one["message"]
        ],
        "a complaint",
    )
    assert found[0]["involvedObject"]["kind"] == "Experiment"
    assert reasons(api.get(EXPERIMENTS, namespace, "tune")["status"]) == [
        ("Created", "True", "ExperimentCreated")
    ]


def test_a_value_with_a_quote_breaks_the_document(
    api: Api, namespace: str, standins: Controllers
) -> None:
    body = experiment(namespace)
    body["spec"]["parameters"][0] = {
        "name": "lr",
        "parameterType": "categorical",
        "feasibleSpace": {"list": ['a"b']},
    }
    create(api, body)
    found = until(lambda: events(api, namespace, "tune"), "a complaint")
    assert "ConvertStringToUnstructured failed" in found[-1]["message"]


def test_the_seeds_own_example_hangs_with_its_master_refused(
    api: Api, namespace: str, standins: Controllers
) -> None:
    """katib#2587 and the strict reading of image names: no released combination finishes."""
    create(api, golden("llm_llama32_imdb.experiment", namespace))
    until_experiment(api, namespace, "llama", lambda now: now.get("trialsRunning") == 2)
    [trial, _] = trials_of(api, namespace, "llama")
    name = trial["metadata"]["name"]
    [event] = until(
        lambda: [one for one in events(api, namespace, name) if one["reason"] == "FailedCreatePod"],
        "the operator's complaint",
    )
    assert event["involvedObject"]["kind"] == "PyTorchJob"
    assert (
        'admission webhook "mutator.pod.katib.kubeflow.org" denied the request: Failed to parse '
        'image "docker.io/kubeflow/trainer-huggingface": could not parse reference'
    ) in event["message"]
    pods = api.list(PODS, namespace, labelSelector=f"katib.kubeflow.org/trial={name}")
    assert not [one for one in pods if one["metadata"]["name"].endswith("master-0")]
    assert "completionTime" not in trial["status"] or not trial["status"]["completionTime"]


@pytest.mark.parametrize(
    ("body", "kind", "name"),
    [
        ("custom_objective_job.experiment", JOBS, "tune-experiment"),
        ("custom_objective_pytorchjob.experiment", PYTORCHJOBS, "tune-dist"),
    ],
)
def test_a_custom_objective_as_the_sdk_sends_it_runs(
    api: Api, namespace: str, standins: Controllers, body: str, kind: object, name: str
) -> None:
    create(api, golden(body, namespace))
    status = until_experiment(api, namespace, name, SUCCEEDED)["status"]
    assert status["trialsSucceeded"] == status["trials"]
    assert status["currentOptimalTrial"]["observation"]["metrics"][0]["name"] == "result"


def test_a_trial_kind_that_the_cluster_does_not_have_waits_with_a_complaint(
    api: Api, namespace: str, standins: Controllers
) -> None:
    create(api, golden("optimizer_client_trainjob.experiment", namespace))
    trial = until(lambda: next(iter(trials_of(api, namespace, "w9a2469910c8")), None), "a Trial")
    found = until(lambda: events(api, namespace, trial["metadata"]["name"]), "a complaint")
    assert 'no matches for kind "TrainJob"' in found[0]["message"]
    status = api.get(EXPERIMENTS, namespace, "w9a2469910c8")["status"]
    assert status["trialsPending"] == 2


def test_a_failing_container_with_on_failure_is_restarted_and_its_job_runs_on(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(exit_code=1))
    trial = pytorchjob(workers=0)
    trial["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "OnFailure"
    create(api, experiment(namespace, trial=trial, maxTrialCount=1, parallelTrialCount=1))

    def restarted() -> Json | None:
        for pod in api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial"):
            states = pod["status"].get("containerStatuses") or [{"restartCount": 0}]
            if states[0]["restartCount"] >= 2:
                return pod
        return None

    pod = until(restarted, "two restarts")
    assert pod["status"]["phase"] == "Running"
    assert "trialsFailed" not in api.get(EXPERIMENTS, namespace, "tune")["status"]


def failed(api: Api, namespace: str, trial: Json) -> str:
    """The message with which the only trial of an Experiment failed."""
    counts = {"maxTrialCount": 1, "parallelTrialCount": 1, "maxFailedTrialCount": 1}
    create(api, experiment(namespace, trial=trial, **counts))
    until_experiment(api, namespace, "tune", FAILED)
    message: str = trials_of(api, namespace)[0]["status"]["conditions"][-1]["message"]
    return message


def test_a_backoff_limit_ends_a_job_that_fails_again_and_again(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(exit_code=1))
    trial = pytorchjob(workers=0, runPolicy={"backoffLimit": 1})
    trial["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "OnFailure"
    assert failed(api, namespace, trial).endswith(
        "has failed because it has reached the specified backoff limit"
    )


def test_a_deadline_ends_a_job(api: Api, namespace: str, standins: Controllers) -> None:
    standins.node.play(namespace, lambda facts: ENDLESS)
    trial = pytorchjob(workers=0, runPolicy={"activeDeadlineSeconds": 1})
    assert failed(api, namespace, trial).endswith(
        "because it was active longer than specified deadline"
    )
