"""The stand-ins act as Katib v0.19 and training operator v1.9 do: whole lives of Experiments."""

from __future__ import annotations

from functools import partial

import pytest

from tests.cluster.acts import ENDLESS, FAILED, SUCCEEDED, create, scores, trials_of, until_trial
from tests.cluster.api import Api, ApiError
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.recordings import Line, PodFacts, Recording, metric_lines
from tests.cluster.resources import (
    CLAIMS,
    DEPLOYMENTS,
    EXPERIMENTS,
    PODS,
    PYTORCHJOBS,
    SUGGESTIONS,
    TRIALS,
    Json,
    Resource,
)
from tests.cluster.run import Controllers
from tests.cluster.waiting import events, reasons, until, until_experiment

pytestmark = pytest.mark.cluster


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
        until(partial(_none_left, api, kind, namespace), f"the end of all {kind.plural}")


def _none_left(api: Api, kind: Resource, namespace: str) -> bool:
    return not api.list(kind, namespace)


def test_a_deleted_trial_leaves_no_metrics(api: Api, namespace: str, standins: Controllers) -> None:
    create(api, experiment(namespace, maxTrialCount=1, parallelTrialCount=1))
    until_experiment(api, namespace, "tune", SUCCEEDED)
    [trial] = trials_of(api, namespace)
    name = trial["metadata"]["name"]
    assert [row.name for row in standins.database.rows(name)] == ["score"]
    api.delete(TRIALS, namespace, name)
    until(lambda: not trials_of(api, namespace), "the Trial's deletion")
    assert standins.database.rows(name) == []
