"""Which Experiments Katib itself can extend."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.engines.katib_resume import check_extension
from bot.engines.katib_state import State
from bot.engines.katib_wire import (
    KatibExperiment,
    KatibExperimentSpec,
    KatibExperimentStatus,
    Meta,
)
from bot.errors import EngineError
from bot.status import Ending, ExperimentCondition
from tests.experiments import wanted

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(tried: int = 4, most: int = 4, policy: str = "Never") -> KatibExperiment:
    return KatibExperiment(
        metadata=Meta(name="tune"),
        spec=KatibExperimentSpec(max_trial_count=most, resume_policy=policy),
        status=KatibExperimentStatus(trials=tried),
    )


def ended(reason: str = "ExperimentMaxTrialsReached") -> State:
    ending = Ending(condition=ExperimentCondition.SUCCEEDED, reason=reason, message="", time=NOW)
    return State(ending=ending)


def refusal(*arguments: Any) -> EngineError:
    with pytest.raises(EngineError) as error:
        check_extension(*arguments)
    return error.value


def test_what_runs_can_always_be_extended() -> None:
    check_extension(wanted(), State(), made(), 5)


@pytest.mark.parametrize("policy", ["LongRunning", "FromVolume"])
def test_what_ended_with_its_last_trial_goes_on_if_the_policy_allows_it(policy: str) -> None:
    check_extension(wanted(algorithm_name="random"), ended(), made(policy=policy), 5)


def test_not_more_trials_than_now_is_no_extension() -> None:
    error = refusal(wanted(), State(), made(most=4), 4)
    assert error.field == "max_trial_count"
    assert "more than 4" in error.hint


def test_an_extension_that_only_the_cluster_knows_of_may_be_asked_for_again() -> None:
    spec = wanted(algorithm_name="random", max_trial_count=2, parallel_trial_count=1)
    check_extension(spec, ended(), made(most=4, policy="LongRunning"), 4)
    assert "more than 4" in refusal(spec, ended(), made(most=4, policy="LongRunning"), 3).hint


def test_the_policy_never_forbids_it_and_says_which_ones_do_not() -> None:
    error = refusal(wanted(), ended(), made(), 5)
    assert error.field == "resume_policy"
    assert "LongRunning" in error.hint


@pytest.mark.parametrize("reason", ["ExperimentGoalReached", "StoppedByUser", "BudgetReached"])
def test_only_what_ran_all_its_trials_can_be_resumed(reason: str) -> None:
    error = refusal(wanted(), ended(reason), made(policy="LongRunning"), 5)
    assert (error.field, reason in error.message) == ("max_trial_count", True)


@pytest.mark.parametrize("algorithm", ["multivariate-tpe", "cmaes", "sobol"])
def test_a_search_that_forgets_is_not_resumed_from_a_volume(algorithm: str) -> None:
    spec = wanted(algorithm_name=algorithm)
    error = refusal(spec, ended(), made(policy="FromVolume"), 5)
    assert (error.field, algorithm in error.message) == ("algorithm_name", True)
    check_extension(spec, ended(), made(policy="LongRunning"), 5)
