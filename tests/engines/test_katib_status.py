"""What Katib's objects say, read as our status: conditions, reasons, texts that are no numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from bot import spec
from bot.engines import local_status
from bot.engines.katib_state import End, OwnTrial, State
from bot.engines.katib_status import Seen, closed, status
from bot.engines.katib_trials import value_of
from bot.engines.katib_wire import KatibExperiment, KatibTrial
from bot.spec import Parameter, Scalar, TuneSpec
from bot.status import (
    Ending,
    ExperimentCondition,
    ExperimentStatus,
    Observation,
    Record,
    TrialCondition,
    TrialStatus,
    Trouble,
)

Json = dict[str, Any]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TRIAL, EXPERIMENT = TrialCondition, ExperimentCondition


def at(seconds: float) -> str:
    """A time after NOW, as Kubernetes writes it."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def wanted(**changes: Any) -> TuneSpec:
    data = {
        "name": "e", "objective_image": "ghcr.io/a/b:1", "objective_command": ["train"],
        "objective_metric_name": "eval_loss", "objective_type": "minimize",
        "parameters": {"lr": {"min": 1e-5, "max": 1e-3}, "epochs": 3},
    }  # fmt: skip
    return spec.read({**data, **changes})


def record(**changes: Any) -> Record:
    return Record(uid="u", spec=wanted(**changes), created=NOW, requested_by="U1", submitted=True)


def condition(kind: str, reason: str = "", message: str = "", seconds: float = 60) -> Json:
    return {
        "type": kind, "status": "True", "reason": reason or f"Trial{kind}", "message": message,
        "lastTransitionTime": at(seconds), "lastUpdateTime": at(seconds),
    }  # fmt: skip


def off(kind: str) -> Json:
    return {**condition(kind), "status": "False"}


def metric(name: str, latest: str, low: str | None = None, high: str | None = None) -> Json:
    return {"name": name, "latest": latest, "min": latest if low is None else low,
            "max": latest if high is None else high}  # fmt: skip


def trial(
    name: str, *conditions: Json, made: float = 0, values: Mapping[str, str] | None = None,
    metrics: Sequence[Json] = (), **facts: Any,
) -> KatibTrial:  # fmt: skip
    """A Trial as it comes over the wire."""
    given = {"lr": "0.0001"} if values is None else values
    body = {
        "apiVersion": "kubeflow.org/v1beta1", "kind": "Trial",
        "metadata": {"name": f"e-{name}", "namespace": "ml", "creationTimestamp": at(made)},
        "spec": {
            "parameterAssignments": [{"name": n, "value": v} for n, v in given.items()],
            "runSpec": {"kind": "Job"},
        },
        "status": {
            "startTime": at(made),
            "conditions": [condition("Created", "TrialCreated"), *conditions],
            **({"observation": {"metrics": list(metrics)}} if metrics else {}),
            **facts,
        },
    }  # fmt: skip
    return msgspec.json.decode(json.dumps(body), type=KatibTrial)


def succeeded(name: str, value: str = "0.5", made: float = 0, **facts: Any) -> KatibTrial:
    reason, message = "TrialSucceeded. Job reason: PyTorchJobSucceeded", "Trial has succeeded"
    facts.setdefault("metrics", [metric("eval_loss", value)])
    return trial(
        name, off("Running"), condition("Succeeded", reason, message), made=made,
        completionTime=at(made + 60), **facts,
    )  # fmt: skip


def running(name: str, made: float = 0) -> KatibTrial:
    return trial(name, condition("Running"), made=made)


def failed(
    name: str, reason: str = "TrialFailed. Job reason: PyTorchJobFailed",
    message: str = "Trial has failed. Job message: PyTorchJob e-a is failed.", made: float = 0,
) -> KatibTrial:  # fmt: skip
    return trial(name, off("Running"), condition("Failed", reason, message), made=made,
                 completionTime=at(made + 60))  # fmt: skip


def experiment(*conditions: Json, most: int | None = 10, **facts: Any) -> KatibExperiment:
    body = {
        "metadata": {"name": "e", "namespace": "ml", "creationTimestamp": at(0)},
        "spec": {"maxTrialCount": most, "parallelTrialCount": 2},
        "status": {
            "startTime": at(0), "completionTime": None,
            "conditions": [condition("Created", "ExperimentCreated"), *conditions], **facts,
        },
    }  # fmt: skip
    return msgspec.json.decode(json.dumps(body), type=KatibExperiment)


RUNNING = condition("Running", "ExperimentRunning", "Experiment is running")
MAX_TRIALS = condition(
    "Succeeded", "ExperimentMaxTrialsReached",
    "Experiment has succeeded because max trial count has reached", 100,
)  # fmt: skip


def shown(seen: Seen | None = None, state: State | None = None, **changes: Any) -> ExperimentStatus:
    return status(record(**changes), state or State(), seen or Seen())


def one(found: KatibTrial, ends: Mapping[str, End] | None = None, **changes: Any) -> TrialStatus:
    seen = Seen(experiment=experiment(RUNNING), trials=[found], ends=ends or {})
    (only,) = shown(seen, **changes).trials
    return only


# --- a trial --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((), TRIAL.CREATED),
        ((condition("Running"),), TRIAL.RUNNING),
        ((off("Running"), condition("Killed")), TRIAL.KILLED),
        ((off("Running"), condition("EarlyStopped", "TrialEarlyStopped")), TRIAL.EARLY_STOPPED),
        ((off("Running"), condition("Failed", "TrialFailed")), TRIAL.FAILED),
        # Nobody takes Running back: the newest counts.
        ((condition("Running"), condition("EarlyStopped")), TRIAL.EARLY_STOPPED),
        ((condition("Failed"), condition("Running")), TRIAL.RUNNING),
        # Some other controller's condition says nothing of the trial's.
        ((condition("Running"), condition("JobCreated")), TRIAL.RUNNING),
    ],
)  # fmt: skip
def test_a_trial_is_in_its_newest_true_condition(conditions: Any, expected: TrialCondition) -> None:
    assert one(trial("a", *conditions)).condition == expected


def test_a_trial_that_succeeded_has_its_values_times_and_observation() -> None:
    observed = [metric("eval_loss", "0.5", "0.4", "0.9"), metric("f1", "8.5e-01"),
                metric("eval_loss", "0.5", "0.4", "0.9")]  # fmt: skip
    ended = one(succeeded("a", metrics=observed, made=5))
    assert ended == TrialStatus(
        name="e-a",
        number=0,
        condition=TRIAL.SUCCEEDED,
        parameters={"lr": 0.0001},
        observation={
            "eval_loss": Observation(min=0.4, max=0.9, latest=0.5),
            "f1": Observation(min=0.85, max=0.85, latest=0.85),
        },
        start_time=NOW + timedelta(seconds=5),
        completion_time=NOW + timedelta(seconds=65),
    )


def test_a_trial_starts_with_its_job_and_not_with_its_object() -> None:
    assert one(trial("a")).start_time is None
    assert one(running("a", made=5)).start_time == NOW + timedelta(seconds=5)
    assert one(running("a")).completion_time is None


def test_a_trial_without_a_completion_time_ended_with_its_condition() -> None:
    stopped = one(trial("a", off("Running"), condition("EarlyStopped", seconds=70)))
    assert stopped.completion_time == NOW + timedelta(seconds=70)


@pytest.mark.parametrize("text", ["", "unavailable", "nan", "NaN", "inf", "-Inf", "1e999", "None"])
def test_a_success_without_a_finite_number_is_no_success(text: str) -> None:
    found = one(succeeded("a", metrics=[metric("eval_loss", text), metric("f1", "0.8")]))
    assert found.condition == TRIAL.METRICS_UNAVAILABLE
    assert found.reason == "MetricsUnavailable"
    assert found.message == "The trial never reported `eval_loss`; it reported f1."
    assert dict(found.observation) == {"f1": Observation(min=0.8, max=0.8, latest=0.8)}


def test_a_trial_that_diverged_in_the_end_does_not_win_by_what_was_before() -> None:
    broken = succeeded("a", metrics=[metric("eval_loss", "", "0.1", "0.9")])
    seen = Seen(experiment=experiment(RUNNING), trials=[broken, succeeded("b", "0.7", made=1)])
    assert shown(seen).optimal_trial_name == "e-b"


def test_a_missing_minimum_is_the_latest_as_in_katib() -> None:
    found = one(succeeded("a", metrics=[metric("eval_loss", "0.5", "unavailable", "")]))
    assert found.observation["eval_loss"] == Observation(min=0.5, max=0.5, latest=0.5)


def test_a_trial_without_metrics_says_so_in_our_words() -> None:
    ended = one(
        trial(
            "a", off("Running"),
            condition("MetricsUnavailable", "MetricsUnavailable. Job reason: PyTorchJobSucceeded",
                      "Metrics are not available. Job message: PyTorchJob e-a succeeded."),
            metrics=[metric("eval_loss", "unavailable", "0.3", "0.3")],
        )
    )  # fmt: skip
    assert (ended.condition, ended.reason) == (TRIAL.METRICS_UNAVAILABLE, "MetricsUnavailable")
    assert ended.message == "The trial never reported `eval_loss`; it reported nothing."


@pytest.mark.parametrize(
    ("changes", "values", "expected"),
    [
        ({}, ("0.0", "0.0", "0.0"), TRIAL.FAILED),
        ({}, ("0.5", "0", "0.7"), TRIAL.FAILED),  # the minimum counts, and it is the nan
        ({"objective_strategy": "latest"}, ("0.5", "0", "0.7"), TRIAL.SUCCEEDED),
        ({"objective_strategy": "latest"}, ("-0.0", "0.2", "0.7"), TRIAL.FAILED),
        ({}, ("1e-9", "1e-9", "1e-9"), TRIAL.SUCCEEDED),
        ({"objective_type": "maximize"}, ("0.0", "0.0", "0.0"), TRIAL.SUCCEEDED),
        ({"objective_metric_name": "errors"}, ("0.0", "0.0", "0.0"), TRIAL.SUCCEEDED),
        ({"objective_metric_name": "Train_Loss"}, ("0.0", "0.0", "0.0"), TRIAL.FAILED),
    ],
)  # fmt: skip
def test_a_loss_of_exactly_zero_is_no_optimum(
    changes: Any, values: tuple[str, str, str], expected: TrialCondition
) -> None:
    name = changes.get("objective_metric_name", "eval_loss")
    found = one(succeeded("a", metrics=[metric(name, *values)]), **changes)
    assert found.condition == expected
    if expected == TRIAL.FAILED:
        assert found.reason == "SuspiciousZero"
        assert found.message.startswith(f"`{name}` is exactly 0: ")


def test_a_trial_that_was_stopped_early_with_a_zero_loss_does_not_win_either() -> None:
    early = condition("EarlyStopped", "TrialEarlyStopped")
    zero = trial("a", off("Running"), early, metrics=[metric("eval_loss", "0.0")])
    fair = trial("b", off("Running"), early, metrics=[metric("eval_loss", "0.6")], made=1)
    seen = Seen(experiment=experiment(RUNNING), trials=[zero, fair])
    assert shown(seen).optimal_trial_name == "e-b"


@pytest.mark.parametrize(
    ("found", "end", "reason", "message"),
    [
        (failed("a"), None, "PyTorchJobFailed", "PyTorchJob e-a is failed."),
        (failed("a", "TrialFailed", "Trial has failed"), None, "TrialFailed", "Trial has failed"),
        (
            failed("a"),
            End(reason="OutOfMemory", message="CUDA out of memory."),
            "OutOfMemory",
            "CUDA out of memory.",
        ),
        # A record that grew too large kept only the word.
        (failed("a"), End(reason="Diverged", message=""), "Diverged", "PyTorchJob e-a is failed."),
        # What ended the pods of a trial that was late is of no use.
        (
            failed(
                "a",
                "TrialFailed. Job reason: DeadlineExceeded",
                "Trial has failed. Job message: Job was active longer than specified deadline",
            ),
            End(reason="Killed", message="exit code 143"),
            "DeadlineExceeded",
            "Job was active longer than specified deadline",
        ),
    ],
)
def test_a_failed_trial_says_why_in_the_best_words_there_are(
    found: KatibTrial, end: End | None, reason: str, message: str
) -> None:
    ended = one(found, {"e-a": end} if end else None)
    assert (ended.condition, ended.reason, ended.message) == (TRIAL.FAILED, reason, message)


# --- values ---------------------------------------------------------------------------------------

DOUBLE = Parameter(parameter_type="double", min=1e-5, max=1)
INT = Parameter(parameter_type="int", min=1, max=10, step=3)
DISCRETE = Parameter(parameter_type="discrete", list=(8, 0.5, 1e-5, 2.0))
MIXED = Parameter(parameter_type="categorical", list=(True, False, None, 8, "16", 0.1, "adam", ""))


@pytest.mark.parametrize(
    ("text", "space", "value"),
    [
        ("0.0001", DOUBLE, 0.0001),
        ("1", DOUBLE, 1.0),
        ("1e-05", DOUBLE, 1e-5),
        ("nan", DOUBLE, "nan"),
        ("fast", DOUBLE, "fast"),
        ("4", INT, 4),
        ("4.0", INT, 4),
        ("0", INT, 0),  # hyperopt rounds to multiples of the step, below the range
        ("9007199254740993", INT, 9007199254740993),
        ("8", DISCRETE, 8),
        ("2.0", DISCRETE, 2.0),
        ("2", DISCRETE, 2.0),
        ("0.00001", DISCRETE, 1e-5),
        ("3", DISCRETE, "3"),
        ("True", MIXED, True),
        ("False", MIXED, False),
        ("None", MIXED, None),
        ("8", MIXED, 8),
        ("16", MIXED, "16"),
        ("1", MIXED, "1"),
        ("0.1", MIXED, 0.1),
        ("adam", MIXED, "adam"),
        ("", MIXED, ""),
        ("true", MIXED, "true"),
    ],
)
def test_a_value_comes_back_with_its_type(text: str, space: Parameter, value: Scalar) -> None:
    found = value_of(text, space)
    assert (found, type(found)) == (value, type(value))


def test_fixed_and_foreign_parameters_are_no_values_of_a_trial() -> None:
    given = {"lr": "0.001", "epochs": "3", "other": "1"}
    assert one(trial("a", condition("Running"), values=given)).parameters == {"lr": 0.001}


# --- which trials, in which order -----------------------------------------------------------------

BASELINE = OwnTrial(name="e-baseline", parameters={"lr": 2e-4}, known_good=True)
RETRY = OwnTrial(name="e-retry-1", parameters={"lr": 1e-4}, retry_of="e-a")


def own(of: OwnTrial, condition: TrialCondition, value: float | None = None) -> TrialStatus:
    seen = {"eval_loss": Observation(min=value, max=value, latest=value)} if value else {}
    return TrialStatus(
        name=of.name, number=0, condition=condition, parameters=of.parameters, observation=seen,
        known_good=of.known_good, beside=True, start_time=NOW,
        completion_time=NOW + timedelta(seconds=30) if condition.is_final else None,
    )  # fmt: skip


def test_trials_are_numbered_as_they_were_made_around_our_own() -> None:
    katibs = [running("c", made=2), succeeded("b", made=1), failed("a", made=1)]
    mine = {t.name: own(t, TRIAL.RUNNING) for t in (BASELINE, RETRY)}
    seen = Seen(experiment=experiment(RUNNING), trials=katibs, own=mine)
    names = [(t.number, t.name) for t in shown(seen, State(own=(BASELINE, RETRY))).trials]
    assert names == [
        (0, "e-baseline"), (1, "e-a"), (2, "e-b"), (3, "e-c"), (4, "e-retry-1"),
    ]  # fmt: skip
    assert [(t.number, t.name) for t in shown(seen).trials] == [(0, "e-a"), (1, "e-b"), (2, "e-c")]


def test_a_number_that_was_given_is_kept_whatever_is_seen_later() -> None:
    katibs = [running("a", made=1), running("b", made=1), running("c", made=2)]
    seen = Seen(experiment=experiment(RUNNING), trials=katibs, order=("e-b",))
    assert [t.name for t in shown(seen).trials] == ["e-b", "e-a", "e-c"]


def test_a_trial_of_ours_that_has_no_job_yet_keeps_its_number() -> None:
    seen = Seen(experiment=experiment(RUNNING), trials=[running("a")])
    first, second = shown(seen, State(own=(BASELINE,))).trials
    assert (first.condition, first.known_good, second.number) == (TRIAL.CREATED, True, 1)
    assert first.parameters == {"lr": 2e-4}


def test_a_trial_of_ours_that_has_ended_is_as_it_was_noted() -> None:
    noted = own(BASELINE, TRIAL.SUCCEEDED, 0.6)
    state = State(own=(BASELINE,), outcomes={"e-baseline": noted})
    assert shown(Seen(own={"e-baseline": own(BASELINE, TRIAL.RUNNING)}), state).trials == (noted,)


def test_the_optimum_is_ours_and_the_first_of_equals() -> None:
    katibs = [succeeded("a", "0.3", made=1), succeeded("b", "0.3", made=2),
              succeeded("c", "", made=3), running("d", made=4)]  # fmt: skip
    seen = Seen(
        experiment=experiment(RUNNING), trials=katibs,
        own={"e-baseline": own(BASELINE, TRIAL.SUCCEEDED, 0.4)},
    )  # fmt: skip
    assert shown(seen, State(own=(BASELINE,))).optimal_trial_name == "e-a"
    assert shown(seen, objective_type="maximize").optimal_trial_name == "e-a"


# --- the Experiment -------------------------------------------------------------------------------


def conditions_of(seen: Seen, state: State | None = None) -> tuple[ExperimentCondition, str]:
    found = shown(seen, state)
    return found.condition, found.reason


CREATED = (EXPERIMENT.CREATED, "ExperimentCreated")
GOES_ON = (EXPERIMENT.RUNNING, "ExperimentRunning")


def test_before_anything_exists_an_experiment_is_created() -> None:
    assert conditions_of(Seen()) == CREATED
    assert shown().start_time is None and shown().trials == ()


def test_an_experiment_whose_search_never_answers_stays_created_with_its_troubles() -> None:
    trouble = Trouble(reason="SearchNotReady", message="The search pod does not start.")
    found = shown(Seen(experiment=experiment(), troubles=(trouble,)))
    assert (found.condition, found.troubles) == (EXPERIMENT.CREATED, (trouble,))


def test_an_experiment_runs_once_katib_says_so_or_a_trial_does() -> None:
    assert conditions_of(Seen(experiment=experiment(RUNNING))) == GOES_ON
    assert conditions_of(Seen(experiment=experiment(), trials=[running("a")])) == GOES_ON
    mine = Seen(experiment=experiment(), own={"e-baseline": own(BASELINE, TRIAL.RUNNING)})
    assert conditions_of(mine, State(own=(BASELINE,))) == GOES_ON


def test_an_experiment_is_restarting_only_while_nothing_is_newer() -> None:
    restarting = condition("Restarting", "ExperimentRestarting", "Experiment is restarted")
    ended = [succeeded("a")]
    now = Seen(experiment=experiment(off("Running"), restarting, trials=1), trials=ended)
    assert conditions_of(now) == (EXPERIMENT.RESTARTING, "ExperimentRestarting")
    later = Seen(experiment=experiment(restarting, RUNNING, trials=1), trials=ended)
    assert conditions_of(later) == GOES_ON
    over = experiment(restarting, off("Running"), MAX_TRIALS, most=1, trials=1)
    assert conditions_of(Seen(experiment=over, trials=ended))[0] == EXPERIMENT.SUCCEEDED


def test_an_experiment_that_was_extended_is_not_over_before_katib_notices() -> None:
    made = experiment(off("Running"), MAX_TRIALS, most=5, trials=1, trialsSucceeded=1)
    assert conditions_of(Seen(experiment=made, trials=[succeeded("a")])) == (
        EXPERIMENT.RESTARTING, "ExperimentRestarting",
    )  # fmt: skip


def test_an_experiment_has_succeeded_with_its_last_trial() -> None:
    made = experiment(off("Running"), MAX_TRIALS, most=2, trials=2, completionTime=at(100))
    late = succeeded("b", made=80)
    found = shown(Seen(experiment=made, trials=[succeeded("a"), late]))
    assert (found.condition, found.reason) == (EXPERIMENT.SUCCEEDED, "ExperimentMaxTrialsReached")
    assert found.message == "All 2 trials have ended."
    assert found.completion_time == NOW + timedelta(seconds=140)
    assert found.start_time == NOW


@pytest.mark.parametrize(
    ("facts", "trials", "state"),
    [
        ({"trialsRunning": 1, "trials": 2}, [succeeded("a"), running("b")], State()),
        ({"trialsPending": 1, "trials": 2}, [succeeded("a"), succeeded("b")], State()),
        # The Trial is seen later than the Experiment, or not at all yet.
        ({"trials": 2}, [succeeded("a"), running("b")], State()),
        ({"trials": 2}, [succeeded("a")], State()),
        # Our own trial counts for the optimum.
        ({"trials": 2}, [succeeded("a"), succeeded("b")], State(own=(BASELINE,))),
    ],
)
def test_a_success_is_not_final_while_trials_run(facts: Json, trials: Any, state: State) -> None:
    seen = Seen(experiment=experiment(off("Running"), MAX_TRIALS, most=2, **facts), trials=trials)
    found = shown(seen, state)
    assert (found.condition, found.completion_time) == (EXPERIMENT.RUNNING, None)


def test_while_the_last_trials_run_the_card_says_that_no_more_are_started() -> None:
    made = experiment(off("Running"), MAX_TRIALS, most=2, trials=2, trialsRunning=1)
    found = shown(Seen(experiment=made, trials=[succeeded("a"), running("b")]))
    assert found.message == "No more trials are started; 1 still to end."


def test_trials_of_an_adopted_experiment_may_be_gone() -> None:
    made = experiment(off("Running"), MAX_TRIALS, most=2, trials=2, completionTime=at(100))
    assert (
        status(
            record().model_copy(update={"adopted": True}), State(), Seen(experiment=made)
        ).condition
        == EXPERIMENT.SUCCEEDED
    )


def test_a_goal_that_is_reached_is_told_with_its_number() -> None:
    goal = condition("Succeeded", "ExperimentGoalReached", "Objective goal has reached", 90)
    made = experiment(off("Running"), goal, trials=1)
    found = shown(Seen(experiment=made, trials=[succeeded("a")]), objective_goal=0.6)
    assert (found.reason, found.message) == (
        "ExperimentGoalReached", "eval_loss reached the goal 0.6.",
    )  # fmt: skip


def test_an_experiment_that_failed_says_what_its_last_trial_said() -> None:
    verdict = condition("Failed", "ExperimentFailed", "max failed count has reached", 90)
    made = experiment(off("Running"), verdict, trials=2, completionTime=at(90))
    trials = [succeeded("a"), failed("b", made=1)]
    found = shown(Seen(experiment=made, trials=trials))
    assert (found.condition, found.reason) == (EXPERIMENT.FAILED, "ExperimentFailed")
    assert found.message == "1 of 2 trials failed; e-b: PyTorchJob e-a is failed."


SUGGESTION_FAILED = condition("Failed", "ExperimentFailed", "Suggestion has failed", 90)


def test_a_failed_suggestion_is_an_end_without_completion_time() -> None:
    made = experiment(SUGGESTION_FAILED)
    found = shown(Seen(experiment=made))
    assert (found.condition, found.message) == (EXPERIMENT.FAILED, "Suggestion has failed")
    assert found.completion_time == NOW + timedelta(seconds=90)
    said = "Validation failed: unknown setting seed for algorithm random"
    assert shown(Seen(experiment=made, suggestion=said)).message == f"Suggestion has failed: {said}"


def test_after_a_failure_nobody_waits_for_trial_0_but_for_katibs_trials() -> None:
    mine = {"e-baseline": own(BASELINE, TRIAL.RUNNING)}
    alone = Seen(experiment=experiment(SUGGESTION_FAILED), own=mine)
    assert shown(alone, State(own=(BASELINE,))).condition == EXPERIMENT.FAILED
    verdict = condition("Failed", "ExperimentFailed", "max failed count has reached", 90)
    made = experiment(off("Running"), verdict, trials=2, trialsRunning=1)
    both = Seen(experiment=made, trials=[failed("a"), running("b", made=1)], own=mine)
    assert shown(both, State(own=(BASELINE,))).condition == EXPERIMENT.RUNNING


def test_a_final_experiment_has_no_troubles() -> None:
    trouble = Trouble(reason="Unschedulable", message="No node has a GPU.")
    made = experiment(off("Running"), MAX_TRIALS, most=1, trials=1)
    ended = Seen(experiment=made, trials=[succeeded("a")], troubles=(trouble,))
    assert shown(ended).troubles == ()


def test_what_was_said_of_a_trial_that_has_ended_is_left_out() -> None:
    old, new = (
        Trouble(reason="QuotaExceeded", message="Used up.", trial=name) for name in ("e-a", "e-b")
    )
    seen = Seen(experiment(), trials=[succeeded("a"), running("b")], troubles=(old, new))
    assert shown(seen).troubles == (new,)


def test_gpu_hours_are_counted_where_there_are_gpus() -> None:
    state = State(gpu_seconds={"e-a": 5400, "e-baseline": 1800})
    assert shown(state=state, gpu=2).gpu_hours == 2.0
    assert shown(state=state).gpu_hours is None


# --- the end, once it is decided ------------------------------------------------------------------

STOPPED = Ending(
    condition=EXPERIMENT.KILLED, reason="StoppedByUser", message="Stopped by U1.",
    time=NOW + timedelta(seconds=200),
)  # fmt: skip


def test_an_end_that_was_decided_stays_whatever_the_cluster_says_later() -> None:
    trouble = Trouble(reason="Unschedulable", message="No node has a GPU.")
    seen = Seen(
        experiment=experiment(RUNNING), trials=[succeeded("a", "0.4"), running("b", made=1)]
    )
    summary = closed(shown(seen).trials, STOPPED)
    killed = summary[1]
    assert summary[0] == shown(seen).trials[0]
    assert (killed.condition, killed.reason, killed.message) == (
        TRIAL.KILLED, "StoppedByUser", "Stopped by U1.",
    )  # fmt: skip
    assert killed.completion_time == STOPPED.time
    later = Seen(experiment=experiment(RUNNING), trials=[running("c")], troubles=(trouble,))
    over = shown(later, State(ending=STOPPED, trials=summary, gpu_seconds={"e-a": 3600}), gpu=1)
    assert over == ExperimentStatus(
        condition=EXPERIMENT.KILLED,
        reason="StoppedByUser",
        message="Stopped by U1.",
        start_time=NOW,
        completion_time=STOPPED.time,
        trials=summary,
        optimal_trial_name="e-a",
        gpu_hours=1.0,
    )


def test_the_local_engine_says_the_same_of_the_same_facts() -> None:
    trials = [succeeded("a", made=1), failed("b", made=2), succeeded("c", "0.2", made=3)]
    made = experiment(off("Running"), MAX_TRIALS, most=3, trials=3, completionTime=at(100))
    ours = shown(Seen(experiment=made, trials=trials), max_trial_count=3)
    asked = record(max_trial_count=3)
    end = local_status.ending(asked.spec, ours.trials, NOW + timedelta(seconds=100))
    assert local_status.experiment(asked, ours.trials, end).status == ours
    two = Seen(experiment=experiment(RUNNING), trials=[succeeded("a"), running("b", made=1)])
    going = shown(two)
    assert local_status.experiment(record(), going.trials, None).status == going


def test_while_nothing_runs_yet_the_card_says_that_model_and_data_are_fetched() -> None:
    assert "are being fetched" in shown().message
    assert shown(state=State(fetched=True)).message == ""


def test_trials_beside_katibs_own_do_not_count_against_the_maximum() -> None:
    mine = {each.name: own(each, TRIAL.SUCCEEDED, 0.6) for each in (BASELINE, RETRY)}
    seen = Seen(experiment=experiment(RUNNING), trials=[succeeded("a")], own=mine)
    found = shown(seen, State(own=(BASELINE, RETRY)))
    assert [trial.beside for trial in found.trials] == [True, False, True]
    assert (found.counted, found.finished) == (1, 3)
