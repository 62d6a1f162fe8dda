"""What ends an Experiment, how a trial ended, and what a running one has said."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import spec
from bot.engines.endings import stopped
from bot.engines.local_check import cpus, refusals
from bot.engines.local_hardware import gpus
from bot.engines.local_outcome import Remains, Verdict, can_go_on, outcome
from bot.engines.local_status import ending, experiment
from bot.engines.local_tail import READ_LIMIT, LogTail
from bot.spec import TuneSpec
from bot.status import (
    ExperimentCondition,
    Observation,
    Record,
    TrialCondition,
    TrialStatus,
)
from tests.experiments import custom
from tests.experiments import wanted as training

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def wanted(**changes: Any) -> TuneSpec:
    return custom(**{"max_trial_count": 4, "parallel_trial_count": 1, **changes})


def trials(*ends: float | TrialCondition, beside: Collection[int] = ()) -> list[TrialStatus]:
    """Trials that succeeded with a value, or are in a condition; those `beside` do not count."""
    return [
        TrialStatus(
            name=f"e-{number}",
            number=number,
            condition=end if isinstance(end, TrialCondition) else TrialCondition.SUCCEEDED,
            parameters={},
            observation={}
            if isinstance(end, TrialCondition)
            else {"result": Observation(min=end, max=end, latest=end)},
            beside=number in beside,
            message="It broke." if end == TrialCondition.FAILED else "",
            start_time=NOW - timedelta(minutes=10 - number),
            completion_time=None if end == TrialCondition.RUNNING else NOW,
        )
        for number, end in enumerate(ends)
    ]


FAILED, KILLED = TrialCondition.FAILED, TrialCondition.KILLED
GOAL, MAX_TRIALS = "ExperimentGoalReached", "ExperimentMaxTrialsReached"
FAILURE = "ExperimentFailed"
RUNNING, UNAVAILABLE = TrialCondition.RUNNING, TrialCondition.METRICS_UNAVAILABLE


@pytest.mark.parametrize(
    ("changes", "ends", "reason"),
    [
        ({}, (0.1, 0.2, 0.3), None),
        ({}, (0.1, 0.2, 0.3, RUNNING), None),
        ({}, (0.1, 0.2, KILLED, UNAVAILABLE), MAX_TRIALS),
        ({"objective_goal": 0.3}, (0.1, 0.3), GOAL),
        ({"objective_goal": 0.3, "objective_type": "minimize"}, (0.4, 0.3), GOAL),
        ({"objective_goal": 0.2, "objective_type": "minimize"}, (0.4, 0.3), None),
        ({"max_failed_trial_count": 2}, (FAILED, 0.1), None),
        ({"max_failed_trial_count": 2}, (FAILED, UNAVAILABLE), FAILURE),
        ({"max_failed_trial_count": 0}, (0.1,), None),
        ({"max_failed_trial_count": 0}, (0.1, FAILED), FAILURE),
        ({"max_trial_count": 2}, (FAILED, FAILED), FAILURE),
        # Katib's order: the goal, then failures, then the number of trials.
        ({"objective_goal": 0.3, "max_failed_trial_count": 1}, (FAILED, 0.4), GOAL),
        ({"max_failed_trial_count": 1}, (0.1, 0.2, 0.3, FAILED), FAILURE),
        ({"max_duration_seconds": 599}, (0.1,), "BudgetReached"),
        ({"max_duration_seconds": 601}, (0.1,), None),
        ({"max_duration_seconds": 599}, (), None),
    ],
)  # fmt: skip
def test_what_ends_an_experiment(changes: Any, ends: Any, reason: str | None) -> None:
    end = ending(wanted(**changes), trials(*ends), NOW)
    assert (end.reason if end else None) == reason


def test_a_failed_experiment_says_what_failed_last() -> None:
    end = ending(wanted(max_failed_trial_count=1), trials(0.1, FAILED), NOW)
    assert end and end.message == "1 of 2 trials failed; e-1: It broke."


def test_a_budget_without_any_success_is_a_failure() -> None:
    end = ending(wanted(max_duration_seconds=1), trials(RUNNING), NOW)
    assert end and end.condition == ExperimentCondition.FAILED


def test_trials_beside_the_count_count_for_nothing_but_the_optimum_and_are_waited_for() -> None:
    few = wanted(max_trial_count=2, max_failed_trial_count=1)
    assert ending(few, trials(FAILED, 0.1, beside={0}), NOW) is None
    assert ending(few, trials(0.3, 0.1, beside={0}), NOW) is None
    assert ending(few, trials(0.3, 0.1, RUNNING, beside={2}), NOW) is None
    over = ending(few, trials(0.3, 0.1, 0.2, beside={0}), NOW)
    assert over and over.reason == MAX_TRIALS
    assert over.message == "All 2 trials have ended."
    goal = ending(wanted(objective_goal=0.3), trials(0.1, 0.3, beside={1}), NOW)
    assert goal and goal.reason == GOAL


def test_an_experiment_whose_end_is_decided_runs_until_its_trials_have_ended() -> None:
    record = Record(uid="u", spec=wanted(), created=NOW, requested_by="U1")
    end = stopped("U1", NOW)
    running = experiment(record, trials(0.1, RUNNING), end).status
    over = experiment(record, trials(0.1, KILLED), end).status
    assert (running.condition, running.completion_time) == (ExperimentCondition.RUNNING, None)
    assert (over.condition, over.reason) == (ExperimentCondition.KILLED, "StoppedByUser")
    assert over.optimal_trial_name == "e-0"


# -- how a trial ended

GOOD = '{"state": "Succeeded", "metrics": {"result": {"min": 1, "max": 2, "latest": 1}}}'
STOP = Verdict(condition=KILLED, reason="StoppedByUser", message="Stopped by U1.")


def gone(code: int | None, log: str = "", **facts: Any) -> Remains:
    """A process that left no result."""
    return Remains(result=None, exit_code=code, log=log, **facts)


def wrote(result: str, code: int | None = 0) -> Remains:
    return Remains(result=result, exit_code=code)


DIVERGED = '{"state": "Failed", "reason": "Diverged"}'
SIGTERMED = '{"state": "Failed", "reason": "Killed"}'
SUCCEEDED = TrialCondition.SUCCEEDED


@pytest.mark.parametrize(
    ("remains", "verdict", "condition", "reason"),
    [
        (wrote(GOOD), None, SUCCEEDED, ""),
        (wrote(GOOD, None), None, SUCCEEDED, ""),
        (wrote(GOOD, -15), STOP, SUCCEEDED, ""),
        (wrote('{"state": "Succeeded"}'), None, UNAVAILABLE, "MetricsUnavailable"),
        (wrote(DIVERGED, 5), None, FAILED, "Diverged"),
        (wrote(SIGTERMED, 143), None, FAILED, "Killed"),
        (wrote(SIGTERMED, 143), STOP, KILLED, "StoppedByUser"),
        (wrote("{"), None, FAILED, "CorruptResult"),
        (gone(0), None, FAILED, "CorruptResult"),
        (gone(-9), None, FAILED, "Killed"),
        (gone(-9), STOP, KILLED, "StoppedByUser"),
        (gone(-9, memory_ran_out=True), None, FAILED, "OutOfMemory"),
        (gone(-11, memory_ran_out=True), None, FAILED, "Killed"),
        (gone(None), None, FAILED, "Killed"),
        (gone(1, "Traceback\nerror: Odd."), None, FAILED, "CodeError"),
        (gone(2, "error: no such flag"), None, FAILED, "BadParameter"),
        (gone(1, disk_was_full=True), None, FAILED, "DiskFull"),
        (gone(1, "sh: 1: No space left on device"), None, FAILED, "DiskFull"),
    ],
)  # fmt: skip
def test_how_a_trial_ended(
    remains: Remains, verdict: Verdict | None, condition: TrialCondition, reason: str
) -> None:
    end = outcome(wanted(), remains, verdict, NOW)
    assert (end.condition, end.reason) == (condition, reason)


@pytest.mark.parametrize("code", [None, 0, 1, 2, -9, -11])
def test_a_trial_without_a_result_says_so_in_a_sentence(code: int | None) -> None:
    assert outcome(wanted(), Remains(result=None, exit_code=code), None, NOW).message


def test_a_killed_trial_names_its_signal() -> None:
    end = outcome(wanted(), Remains(result=None, exit_code=-11), None, NOW)
    assert end.message == "The trial was killed by SIGSEGV."


# -- what a running trial has said


def test_a_log_is_read_as_it_grows(tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    tail = LogTail(log, ["result"])
    assert tail.read().observation == {}
    log.write_text("other=1\nresult=3\nresult=")
    assert tail.read().observation == {"result": Observation(min=3, max=3, latest=3)}
    with log.open("a") as file:
        file.write("1\n2026-01-01T00:00:00Z other=5\n2026-01-01T00:00:00Z progress 1/2\n")
    live = tail.read()
    assert live.observation == {
        "result": Observation(min=1, max=3, latest=1),
        "other": Observation(min=5, max=5, latest=5),
    }
    assert live.progress == 0.5


def test_of_a_log_that_grows_too_fast_the_middle_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    tail = LogTail(log, ["result"])
    much = "x" * READ_LIMIT
    log.write_text(f"result=1\n{much}\nresult=9\n{much}\nresult=2\n")
    assert tail.read().observation["result"] == Observation(min=1, max=2, latest=2)


def test_the_first_values_are_those_of_the_objective_however_long_the_log(tmp_path: Path) -> None:
    log = tmp_path / "trial.log"
    log.write_text("result=1\nother=7\nresult=2\n" + "x" * 3 * READ_LIMIT + "\nresult=3\n")
    tail = LogTail(log, ["result", "other"], keep=2)
    assert tail.read().observation["result"] == Observation(min=1, max=3, latest=3)
    assert tail.first_values == [1, 2]


def test_one_that_is_stopped_early_counts_with_what_it_has_reported() -> None:
    seen = {"result": Observation(min=1, max=3, latest=2)}
    verdict = Verdict(condition=TrialCondition.EARLY_STOPPED, reason="", message="Too bad.")
    remains = Remains(result=None, exit_code=-15, observation=seen)
    end = outcome(wanted(), remains, verdict, NOW)
    assert (end.condition, end.observation) == (TrialCondition.EARLY_STOPPED, seen)
    assert outcome(wanted(), remains, None, NOW).observation == {}


@pytest.mark.parametrize(
    ("remains", "goes_on"),
    [
        (Remains(result=None, exit_code=None), True),
        (wrote('{"state": "Failed", "reason": "Killed"}'), True),
        (wrote('{"state": "Failed", "reason": "Diverged"}'), False),
        (wrote('{"state": "Succeeded"}'), False),
        (Remains(result=None, exit_code=None, disk_was_full=True), False),
    ],
)
def test_a_training_that_died_with_its_engine_goes_on_but_no_custom_objective(
    remains: Remains, goes_on: bool
) -> None:
    assert can_go_on(training(), remains) == goes_on
    assert not can_go_on(training(checkpoints=False), remains)
    assert not can_go_on(wanted(), remains)


# -- what is refused


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"algorithm_name": "pbt"}, "algorithm_name"),
        ({"num_workers": 2}, "num_workers"),
        ({"num_procs_per_worker": 2}, "num_procs_per_worker"),
        ({"gpu": 2}, "gpu"),
        ({"cpu": "9"}, "cpu"),
        ({"memory": "10Gi"}, "memory"),
        ({"namespace": "kubeflow"}, "namespace"),
        ({"storage_class": "fast"}, "storage_class"),
        ({"metrics_collector": "File"}, "metrics_collector"),
        ({"packages_to_install": "einops"}, "packages_to_install"),
        ({"model_access_token": "hub/token"}, "model_access_token"),
        ({"dataset_access_token": "hub/token"}, "dataset_access_token"),
    ],
)
def test_what_this_engine_cannot_do_is_refused_by_field(changes: Any, field: str) -> None:
    found = list(refusals(wanted(**changes), allow_code=True, cores=8, gpus=1))
    assert [error.field for error in found] == [field]
    assert all(word in str(found[0]) for word in (str(next(iter(changes.values())))[:5],))


@pytest.mark.parametrize(
    ("name", "asked", "sentence"),
    [
        (
            "bayesianoptimization",
            {"base_estimator": "RF"},
            "`base_estimator=RF` of `bayesianoptimization` cannot be had here: the model is a "
            "Gaussian process. Write base_estimator=GP, or leave it out.",
        ),
        (
            "bayesianoptimization",
            {"acq_func": "LCB"},
            "`acq_func=LCB` of `bayesianoptimization` cannot be had here: points are chosen by "
            "their expected improvement. Write acq_func=EI, or leave it out.",
        ),
        (
            "bayesianoptimization",
            {"acq_optimizer": "sampling"},
            "`acq_optimizer=sampling` of `bayesianoptimization` cannot be had here: the best point "
            "is found by L-BFGS. Write acq_optimizer=auto, or leave it out.",
        ),
        (
            "cmaes",
            {"restart_strategy": "ipop"},
            "`restart_strategy=ipop` of `cmaes` cannot be had here: the search is not started "
            "over. Write restart_strategy=none, or leave it out.",
        ),
        (
            "cmaes",
            {"sigma": "0.3"},
            "`sigma=0.3` of `cmaes` cannot be had here: it begins with a sixth of each range. "
            "Leave it out.",
        ),
    ],
)
def test_a_setting_that_this_engine_cannot_honour_is_refused(
    name: str, asked: dict[str, str], sentence: str
) -> None:
    space = {"x": {"min": 1, "max": 4}, "y": {"min": 1, "max": 4}}
    asking = wanted(algorithm_name=name, algorithm_settings=asked, parameters=space)
    found = list(refusals(asking, allow_code=True, cores=1, gpus=0))
    assert [(error.field, str(error)) for error in found] == [("algorithm_settings", sentence)]


def test_settings_that_this_engine_honours_are_not_refused() -> None:
    settings = {"base_estimator": "GP", "n_initial_points": "5", "acq_func": "EI"}
    asked = wanted(algorithm_name="bayesianoptimization", algorithm_settings=settings)
    assert list(refusals(asked, allow_code=True, cores=1, gpus=0)) == []


def test_an_algorithm_whose_package_is_not_installed_is_refused() -> None:
    asked = wanted(algorithm_name="bayesianoptimization")
    found = refusals(asked, allow_code=True, cores=1, gpus=0, is_installed="scipy".__ne__)
    assert [str(error) for error in found] == [
        "`bayesianoptimization` needs the package scipy, which is not installed here. "
        "pip install 'katib-tune[local]', or take algorithm=multivariate-tpe."
    ]


def test_a_base_of_few_bits_is_refused_where_nothing_can_make_one() -> None:
    asked = training(quantization="4bit")
    assert list(refusals(asked, allow_code=False, cores=1, gpus=0)) == []
    found = list(refusals(asked, allow_code=False, cores=1, gpus=0, is_installed=lambda _: False))
    assert [str(error) for error in found] == [
        "`quantization=4bit` needs bitsandbytes, which is not installed here. "
        "pip install bitsandbytes, or leave `quantization` out."
    ]


def test_data_in_s3_are_read_here_with_keys_of_the_environment_alone() -> None:
    place = {
        "name": "s3",
        "model_uri": "default",
        "s3_endpoint_url": "https://s3.example",
        "s3_bucket_name": "reviews",
        "s3_file_key": "imdb",
        "training_parameters": {"learning_rate": {"min": 1e-5, "max": 1e-3}},
    }
    keys = {"s3_access_key": "s3-keys/access", "s3_secret_key": "s3-keys/secret"}
    assert list(refusals(spec.read(place), allow_code=True, cores=8, gpus=1)) == []
    found = list(refusals(spec.read({**place, **keys}), allow_code=True, cores=8, gpus=1))
    assert [error.field for error in found] == ["s3_access_key", "s3_secret_key"]
    assert "no Secrets on this machine: set AWS_ACCESS_KEY_ID for the bot" in str(found[0])
    assert "set AWS_SECRET_ACCESS_KEY for the bot" in str(found[1])


def test_a_field_at_its_default_is_not_refused() -> None:
    asked = wanted(
        num_workers=1, gpu=0, metrics_collector="StdOut", namespace=None, storage_size="10Gi",
        packages_to_install=(),
    )  # fmt: skip
    assert list(refusals(asked, allow_code=True, cores=1, gpus=0)) == []


def test_an_image_is_refused() -> None:
    image = spec.read(
        {
            "name": "i",
            "objective_image": "img:1",
            "objective_command": ["run"],
            "objective_metric_name": "result",
            "parameters": {"x": {"min": 1, "max": 2}},
        }
    )
    found = list(refusals(image, allow_code=True, cores=1, gpus=0))
    assert [error.field for error in found] == ["objective_image"]


def test_code_that_comes_with_a_model_runs_only_where_code_is_allowed() -> None:
    asked = training(trust_remote_code=True)
    assert list(refusals(asked, allow_code=True, cores=1, gpus=0)) == []
    found = list(refusals(asked, allow_code=False, cores=1, gpus=0))
    assert [error.field for error in found] == ["trust_remote_code"]
    assert "not run here. Whoever runs the bot can allow it" in str(found[0])


def test_what_a_trial_would_refuse_is_refused_before_it_starts() -> None:
    found = list(
        refusals(training(objective_metric_name="eval_acc"), allow_code=True, cores=1, gpus=0)
    )
    assert [error.field for error in found] == ["objective_metric_name"]


@pytest.mark.parametrize(("text", "count"), [("4", 4), ("500m", 1), ("2500m", 3), ("0.5", 1)])
def test_cpus_are_counted_in_whole(text: str, count: int) -> None:
    assert cpus(text) == count


def test_gpus_are_the_visible_ones(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    assert gpus({}, tmp_path) == ["0", "1", "10"]
    assert gpus({"CUDA_VISIBLE_DEVICES": "1, 3"}, tmp_path) == ["1", "3"]
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}, tmp_path) == []
    assert gpus({"CUDA_VISIBLE_DEVICES": "-1"}, tmp_path) == []
