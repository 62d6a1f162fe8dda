"""What may still be changed of an Experiment, whatever its engine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.engines.changes import check_parallel, check_retry
from bot.errors import EngineError
from bot.status import Ending, ExperimentCondition, TrialCondition
from tests.experiments import experiment, trial

ENDED = Ending(
    condition=ExperimentCondition.SUCCEEDED,
    reason="ExperimentMaxTrialsReached",
    message="",
    time=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_so_many_trials_run_at_once_as_there_are() -> None:
    check_parallel("tune", None, 4, 4)
    for count in (0, 5):
        with pytest.raises(EngineError, match="4 trials in all") as error:
            check_parallel("tune", None, 4, count)
        assert error.value.field == "parallel_trial_count"
    with pytest.raises(EngineError, match="has ended"):
        check_parallel("tune", ENDED, 4, 2)


def test_only_a_trial_that_has_ended_is_tried_again_while_its_experiment_runs() -> None:
    ours = experiment([]).record
    check_retry(ours, None, trial(1, 0.5))
    running = trial(1, condition=TrialCondition.RUNNING)
    for record, ending, of, words in (
        (ours, None, running, "not ended yet"),
        (ours, ENDED, trial(1, 0.5), "has ended"),
        (ours.model_copy(update={"adopted": True}), None, trial(1, 0.5), "not started here"),
    ):
        with pytest.raises(EngineError, match=words):
            check_retry(record, ending, of)
