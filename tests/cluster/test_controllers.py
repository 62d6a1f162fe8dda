"""The stand-ins act as Katib v0.19 and training operator v1.9 do: whole lives of Experiments."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.api import Api, ApiError
from tests.cluster.bodies import experiment, golden, pytorchjob
from tests.cluster.recordings import Failure, Line, PodFacts, Recording, metric_lines
from tests.cluster.resources import (
    CLAIMS,
    DEPLOYMENTS,
    EXPERIMENTS,
    JOBS,
    PODS,
    PYTORCHJOBS,
    SUGGESTIONS,
    TRIALS,
    Json,
)
from tests.cluster.run import Controllers
from tests.cluster.waiting import events, has, reasons, until, until_experiment

pytestmark = pytest.mark.cluster

SUCCEEDED, FAILED = has("Succeeded"), has("Failed")
ENDLESS = Recording(never_ends=True)


def scores(
    function: Callable[[float], float], last_s: float = 0.05
) -> Callable[[PodFacts], Recording]:
    """Every trial prints score=function(lr)."""

    def choose(facts: PodFacts) -> Recording:
        if facts.trial is None or facts.role == "worker":
            return Recording()
        value = function(float(facts.parameters["lr"]))
        return Recording(metric_lines(facts.trial, score=value), last_s=last_s)

    return choose


def create(api: Api, body: Json) -> Json:
    return api.create(EXPERIMENTS, body)


def trials_of(api: Api, namespace: str, name: str = "tune") -> list[Json]:
    return api.list(TRIALS, namespace, labelSelector=f"katib.kubeflow.org/experiment={name}")


def until_trial(api: Api, namespace: str, holds: Callable[[Json], bool]) -> Json:
    def probe() -> Json | None:
        found = trials_of(api, namespace)
        return next((one for one in found if holds(one.get("status", {}))), None)

    return until(probe, "a Trial in the wanted state")


def test_six_trials_played_to_the_end_give_the_optimum(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, scores(lambda lr: 1 - (lr - 0.5) ** 2))
    create(api, experiment(namespace, trial=pytorchjob(workers=1)))
    status = until_experiment(api, namespace, "tune", SUCCEEDED)["status"]
    assert reasons(status) == [
        ("Created", "True", "ExperimentCreated"),
        ("Running", "False", "ExperimentRunning"),
        ("Succeeded", "True", "ExperimentMaxTrialsReached"),
    ]
    assert (status["trials"], status["trialsSucceeded"]) == (6, 6)
    assert len(status["succeededTrialList"]) == 6
    assert status["startTime"]
    assert status["completionTime"]
    assert not {"trialsRunning", "runningTrialList", "trialsFailed"} & set(status)
    trials = trials_of(api, namespace)
    best = max(trials, key=lambda one: float(one["status"]["observation"]["metrics"][0]["max"]))
    optimum = status["currentOptimalTrial"]
    assert optimum["bestTrialName"] == best["metadata"]["name"]
    assert optimum["parameterAssignments"] == best["spec"]["parameterAssignments"]
    [metric] = optimum["observation"]["metrics"]
    assert metric["name"] == "score"
    assert metric["min"] == metric["max"] == metric["latest"]
    assert reasons(best["status"])[-1] == (
        "Succeeded",
        "True",
        "TrialSucceeded. Job reason: PyTorchJobSucceeded",
    )


def test_a_trial_bears_the_experiments_labels_and_its_job_is_deleted_at_its_end(
    api: Api, namespace: str, standins: Controllers
) -> None:
    body = experiment(namespace, maxTrialCount=1, parallelTrialCount=1)
    body["metadata"].update(labels={"team": "nlp"}, annotations={"note": "mine"})
    create(api, body)
    until_experiment(api, namespace, "tune", SUCCEEDED)
    [trial] = trials_of(api, namespace)
    name = trial["metadata"]["name"]
    assert trial["metadata"]["labels"] == {
        "team": "nlp",
        "katib.kubeflow.org/experiment": "tune",
    }
    assert trial["metadata"]["finalizers"] == ["clean-metrics-in-db"]
    assert name.startswith("tune-")
    assert len(name) == len("tune-") + 8
    suggestion = api.get(SUGGESTIONS, namespace, "tune")
    assert suggestion["metadata"]["labels"] == {"team": "nlp"}
    assert suggestion["metadata"]["annotations"] == {"note": "mine"}
    until(lambda: not api.list(PYTORCHJOBS, namespace), "the job's deletion")
    until(lambda: not api.list(PODS, namespace), "the pods' deletion")
    found = {one["reason"] for one in events(api, namespace, name)}
    assert {"JobCreated", "JobRunning", "JobSucceeded", "JobDeleted"} <= found


def test_a_retained_job_stays_with_its_pods_and_logs(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, scores(lambda lr: 0.5, last_s=0.5))
    body = experiment(namespace, trial=pytorchjob(workers=1), maxTrialCount=1, parallelTrialCount=1)
    body["spec"]["trialTemplate"]["retain"] = True
    create(api, body)
    until_experiment(api, namespace, "tune", SUCCEEDED)
    [job] = api.list(PYTORCHJOBS, namespace)
    assert reasons(job["status"]) == [
        ("Created", "True", "PyTorchJobCreated"),
        ("Running", "False", "PyTorchJobRunning"),
        ("Succeeded", "True", "PyTorchJobSucceeded"),
    ]
    pod = f"{job['metadata']['name']}-master-0"
    path = PODS.path(namespace, pod, "log")
    sidecar = "metrics-logger-and-collector"
    assert api.text(path, container=sidecar).endswith("] score=0.5\n")
    assert api.text(path, container="pytorch") == ""
    assert standins.node.log(namespace, pod, sidecar).endswith("] score=0.5\n")


def test_the_goal_ends_the_experiment_while_other_trials_run_on(
    api: Api, namespace: str, standins: Controllers
) -> None:
    seen: list[str] = []

    def choose(facts: PodFacts) -> Recording:
        if facts.trial is None:
            return Recording()
        seen.append(facts.name)
        if len(seen) == 1:
            return Recording(metric_lines(facts.trial, score=0.95), last_s=0.5)
        return Recording(metric_lines(facts.trial, score=0.99), last_s=3.0)

    standins.node.play(namespace, choose)
    body = experiment(namespace)
    body["spec"]["objective"]["goal"] = 0.9
    create(api, body)
    status = until_experiment(api, namespace, "tune", SUCCEEDED)["status"]
    assert reasons(status)[-1] == ("Succeeded", "True", "ExperimentGoalReached")
    assert status["trialsRunning"] == 1
    over = until_experiment(api, namespace, "tune", lambda now: now.get("trialsSucceeded") == 2)[
        "status"
    ]
    assert over["trials"] == 2
    assert over["currentOptimalTrial"]["observation"]["metrics"][0]["max"] == "0.99"
    assert over["completionTime"] == status["completionTime"]


def test_as_many_failures_as_allowed_end_the_experiment(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(exit_code=1))
    create(api, experiment(namespace, maxFailedTrialCount=2))
    status = until_experiment(api, namespace, "tune", FAILED)["status"]
    assert reasons(status)[-1] == ("Failed", "True", "ExperimentFailed")
    assert status["trialsFailed"] >= 2
    assert status["completionTime"]
    assert "currentOptimalTrial" not in status
    name = status["failedTrialList"][0]
    [*_, last] = api.get(TRIALS, namespace, name)["status"]["conditions"]
    assert last["reason"] == "TrialFailed. Job reason: PyTorchJobFailed"
    assert "because 1 Master replica(s) failed." in last["message"]


def test_a_log_without_the_objective_makes_the_metrics_unavailable(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording((Line("score: 0.5"),)))
    create(api, experiment(namespace, maxTrialCount=2))
    status = until_experiment(api, namespace, "tune", SUCCEEDED)["status"]
    assert (status["trials"], status["trialMetricsUnavailable"]) == (2, 2)
    assert len(status["metricsUnavailableTrialList"]) == 2
    assert "currentOptimalTrial" not in status
    trial = trials_of(api, namespace)[0]
    assert reasons(trial["status"])[-1][0] == "MetricsUnavailable"
    assert trial["status"]["observation"]["metrics"] == [
        {"name": "score", "min": "unavailable", "max": "unavailable", "latest": "unavailable"}
    ]


def test_metrics_unavailable_count_as_failures(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording())
    create(api, experiment(namespace, maxFailedTrialCount=1))
    status = until_experiment(api, namespace, "tune", FAILED)["status"]
    assert status["trialMetricsUnavailable"] >= 1


def test_a_value_that_is_no_number_is_stored_empty_and_the_trial_succeeds(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording((Line("score=nan"),)))
    create(api, experiment(namespace, maxTrialCount=3, parallelTrialCount=1))
    trial = until_trial(api, namespace, SUCCEEDED)
    [metric] = trial["status"]["observation"]["metrics"]
    assert (metric["latest"], metric["max"]) == ("", "unavailable")
    # The search service cannot take the value in: the Experiment stands still.
    complaint = until(
        lambda: [
            one for one in events(api, namespace, "tune") if one["reason"] == "ReconcileError"
        ],
        "a complaint",
    )[0]
    assert complaint["involvedObject"]["kind"] == "Suggestion"
    assert "could not convert string to float" in complaint["message"]
    assert len(trials_of(api, namespace)) == 1


def test_max_trials_raised_restarts_what_may_go_on(
    api: Api, namespace: str, standins: Controllers
) -> None:
    body = experiment(
        namespace, maxTrialCount=2, resumePolicy="LongRunning", algorithm={"algorithmName": "tpe"}
    )
    create(api, body)
    until_experiment(api, namespace, "tune", SUCCEEDED)
    api.patch(EXPERIMENTS, namespace, "tune", {"spec": {"maxTrialCount": 4}})
    status = until_experiment(
        api, namespace, "tune", lambda now: SUCCEEDED(now) and now["trials"] == 4
    )["status"]
    assert [kind for kind, _, _ in reasons(status)] == [
        "Created",
        "Restarting",
        "Running",
        "Succeeded",
    ]
    assert api.list(DEPLOYMENTS, namespace)


def test_from_volume_restarts_with_a_fresh_search_pod(
    api: Api, namespace: str, standins: Controllers
) -> None:
    create(api, experiment(namespace, maxTrialCount=2, resumePolicy="FromVolume"))
    until_experiment(api, namespace, "tune", SUCCEEDED)
    until(lambda: not api.list(DEPLOYMENTS, namespace), "the search pod's end")
    assert [one["metadata"]["name"] for one in api.list(CLAIMS, namespace)] == ["tune-random"]
    api.patch(EXPERIMENTS, namespace, "tune", {"spec": {"maxTrialCount": 3}})
    until_experiment(api, namespace, "tune", lambda now: SUCCEEDED(now) and now["trials"] == 3)


def test_a_grid_resumed_from_its_volume_never_goes_on(
    api: Api, namespace: str, standins: Controllers
) -> None:
    body = experiment(
        namespace,
        maxTrialCount=2,
        resumePolicy="FromVolume",
        algorithm={"algorithmName": "grid"},
    )
    body["spec"]["parameters"][0]["feasibleSpace"]["step"] = "0.1"
    create(api, body)
    until_experiment(api, namespace, "tune", SUCCEEDED)
    until(lambda: not api.list(DEPLOYMENTS, namespace), "the search pod's end")
    api.patch(EXPERIMENTS, namespace, "tune", {"spec": {"maxTrialCount": 3}})
    found = until(
        lambda: [one for one in events(api, namespace, "tune") if "unknown" in one["message"]],
        "the search service's complaint",
    )
    assert "An unknown trial has been passed" in found[0]["message"]
    assert len(trials_of(api, namespace)) == 2


def test_an_ended_experiment_with_policy_never_cannot_be_extended(
    api: Api, namespace: str, standins: Controllers
) -> None:
    create(api, experiment(namespace, maxTrialCount=2))
    until_experiment(api, namespace, "tune", SUCCEEDED)
    with pytest.raises(ApiError, match="Experiment can be restarted if it is in succeeded state"):
        api.patch(EXPERIMENTS, namespace, "tune", {"spec": {"maxTrialCount": 4}})
    suggestion = until(
        lambda: next(filter(_suggestion_over, api.list(SUGGESTIONS, namespace)), None),
        "the Suggestion's end",
    )
    assert reasons(suggestion["status"])[-1] == ("Succeeded", "True", "Experiment is succeeded")
    until(lambda: not api.list(DEPLOYMENTS, namespace), "the search pod's end")


def _suggestion_over(suggestion: Json) -> bool:
    return SUCCEEDED(suggestion.get("status", {}))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"maxTrialCount": 2}, "must be greater than status.trials count"),
        ({"algorithm": {"algorithmName": "tpe"}}, "are editable"),
        ({"objective": {"goal": 3}}, "are editable"),
    ],
)
def test_a_running_experiment_takes_only_its_three_counts(
    api: Api, namespace: str, standins: Controllers, change: Json, sentence: str
) -> None:
    standins.node.play(namespace, lambda facts: ENDLESS)
    create(api, experiment(namespace, maxTrialCount=3))
    until_experiment(api, namespace, "tune", lambda now: now.get("trials") == 2)
    with pytest.raises(ApiError, match=sentence) as caught:
        api.patch(EXPERIMENTS, namespace, "tune", {"spec": change})
    assert caught.value.status == 400
    api.patch(EXPERIMENTS, namespace, "tune", {"metadata": {"annotations": {"a": "b"}}})


def test_a_lower_parallelism_deletes_the_newest_running_trials(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: ENDLESS)
    create(api, experiment(namespace, parallelTrialCount=3))
    until_experiment(api, namespace, "tune", lambda now: now.get("trialsRunning") == 3)
    given = api.get(SUGGESTIONS, namespace, "tune")["status"]["suggestions"]
    api.patch(EXPERIMENTS, namespace, "tune", {"spec": {"parallelTrialCount": 1}})
    until_experiment(api, namespace, "tune", lambda now: now.get("trials") == 1)
    [left] = trials_of(api, namespace)
    assert left["metadata"]["name"] in {one["name"] for one in given}
    suggestion = api.get(SUGGESTIONS, namespace, "tune")
    assert suggestion["spec"]["requests"] == 1
    assert suggestion["status"]["suggestionCount"] == 1
    assert not FAILED(api.get(EXPERIMENTS, namespace, "tune")["status"])


def test_a_deleted_experiment_takes_all_it_owns_along(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: ENDLESS)
    create(api, experiment(namespace))
    until_experiment(api, namespace, "tune", lambda now: now.get("trialsRunning") == 2)
    stored = api.get(EXPERIMENTS, namespace, "tune")
    assert stored["metadata"]["finalizers"] == ["update-prometheus-metrics"]
    api.delete(EXPERIMENTS, namespace, "tune")
    for kind in (EXPERIMENTS, TRIALS, SUGGESTIONS, PYTORCHJOBS, PODS):
        until(lambda kind=kind: not api.list(kind, namespace), f"the end of all {kind.plural}")


def test_a_deleted_trial_leaves_no_metrics(api: Api, namespace: str, standins: Controllers) -> None:
    create(api, experiment(namespace, maxTrialCount=1, parallelTrialCount=1))
    until_experiment(api, namespace, "tune", SUCCEEDED)
    [trial] = trials_of(api, namespace)
    name = trial["metadata"]["name"]
    assert [row.name for row in standins.database.rows(name)] == ["score"]
    api.delete(TRIALS, namespace, name)
    until(lambda: not trials_of(api, namespace), "the Trial's deletion")
    assert standins.database.rows(name) == []


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


def test_a_backoff_limit_ends_a_job_that_fails_again_and_again(
    api: Api, namespace: str, standins: Controllers
) -> None:
    standins.node.play(namespace, lambda facts: Recording(exit_code=1))
    trial = pytorchjob(workers=0, runPolicy={"backoffLimit": 1})
    trial["spec"]["pytorchReplicaSpecs"]["Master"]["restartPolicy"] = "OnFailure"
    create(
        api,
        experiment(
            namespace,
            trial=trial,
            maxTrialCount=1,
            parallelTrialCount=1,
            maxFailedTrialCount=1,
        ),
    )
    until_experiment(api, namespace, "tune", FAILED)
    message = trials_of(api, namespace)[0]["status"]["conditions"][-1]["message"]
    assert message.endswith("has failed because it has reached the specified backoff limit")


def test_a_deadline_ends_a_job(api: Api, namespace: str, standins: Controllers) -> None:
    standins.node.play(namespace, lambda facts: ENDLESS)
    trial = pytorchjob(workers=0, runPolicy={"activeDeadlineSeconds": 1})
    create(
        api,
        experiment(
            namespace,
            trial=trial,
            maxTrialCount=1,
            parallelTrialCount=1,
            maxFailedTrialCount=1,
        ),
    )
    until_experiment(api, namespace, "tune", FAILED)
    message = trials_of(api, namespace)[0]["status"]["conditions"][-1]["message"]
    assert message.endswith("because it was active longer than specified deadline")
