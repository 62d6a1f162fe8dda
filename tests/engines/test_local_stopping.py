"""The early-stopping rule medianstop, against what Katib's own does."""

from __future__ import annotations

from typing import Any

import pytest

from bot.engines.local_stopping import limit, start_step, verdict
from bot.spec import TuneSpec
from bot.status import TrialCondition
from tests.cluster import medianstop
from tests.cluster.metrics import Row
from tests.experiments import custom


def wanted(**changes: Any) -> TuneSpec:
    return custom(**{"early_stopping": "medianstop", **changes})


def test_the_settings_are_katib_s_with_its_defaults() -> None:
    assert start_step(wanted()) == 4
    assert start_step(wanted(early_stopping_settings={"start_step": "2"})) == 2
    assert start_step(wanted(early_stopping=None)) == 0


def test_the_limit_is_the_mean_of_the_means_once_enough_have_succeeded() -> None:
    two = [[1.0, 3.0], [4.0]]
    assert limit(wanted(), two) is None
    assert limit(wanted(), [*two, []]) is None  # one that never reported says nothing
    assert limit(wanted(), [*two, [9.0]]) == 5.0
    assert limit(wanted(early_stopping_settings={"min_trials_required": "2"}), two) == 3.0


@pytest.mark.parametrize(
    ("objective_type", "first", "stopped"),
    [
        ("maximize", [1.0, 2.0, 3.0, 4.0], True),
        ("maximize", [1.0, 5.0, 3.0, 4.0], False),
        ("maximize", [1.0, 2.0, 3.0], False),
        ("maximize", [9.0, 0.0, 0.0, 0.0], False),
        ("minimize", [9.0, 8.0, 7.0, 6.0], True),
        ("minimize", [9.0, 5.0, 7.0, 6.0], False),
        ("minimize", [9.0, 0.0, 9.0, 9.0], False),
    ],
)
def test_a_trial_is_stopped_when_katib_would_stop_it(
    objective_type: str, first: list[float], stopped: bool
) -> None:
    asked = wanted(objective_type=objective_type)
    found = verdict(asked, 5.0, first)
    assert bool(found) == stopped
    rule = {
        "name": "result",
        "value": "5.0",
        "comparison": "greater" if objective_type == "minimize" else "less",
        "startStep": start_step(asked),
    }
    objective = {"objectiveMetricName": "result", "type": objective_type}
    trial = {"spec": {"objective": objective, "earlyStoppingRules": [rule]}}
    rows = [Row("2026-01-01T00:00:00Z", "result", str(value)) for value in first]
    assert medianstop.met(trial, rows) == stopped


def test_a_stopped_trial_says_what_it_fell_short_of() -> None:
    found = verdict(wanted(), 5.0, [1.0, 2.0, 4.0, 3.0])
    assert found
    assert found.condition == TrialCondition.EARLY_STOPPED
    assert found.message == (
        "`result` was 4 at best after 4 values; the mean of the trials before it is 5."
    )
