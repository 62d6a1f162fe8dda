"""Hyperband's brackets and rungs, with Katib's settings."""

from __future__ import annotations

from typing import Any

import pytest

from bot.engines.local_check import refusals
from bot.engines.local_hyperband import brackets, next_points
from bot.spec import TuneSpec
from bot.status import Observation, TrialCondition, TrialStatus
from tests.experiments import custom

SUCCEEDED, FAILED, RUNNING = (
    TrialCondition.SUCCEEDED,
    TrialCondition.FAILED,
    TrialCondition.RUNNING,
)


def wanted(r_l: int = 9, eta: int = 3, **changes: Any) -> TuneSpec:
    data = {
        "parameters": {"x": {"min": 0.0, "max": 1.0}, "epochs": {"min": 1, "max": 27}},
        "algorithm_name": "hyperband",
        "algorithm_settings": {"resource_name": "epochs", "r_l": str(r_l), "eta": str(eta)},
        "max_trial_count": 50,
        "parallel_trial_count": 27,
    }
    return custom(**{**data, **changes})


def ended(*ends: float | TrialCondition, first: int = 0, epochs: int = 1) -> list[TrialStatus]:
    """Trials that succeeded with a value, or are in a condition; x says which is which."""
    return [
        TrialStatus(
            name=f"e-{number}",
            number=number,
            condition=end if isinstance(end, TrialCondition) else SUCCEEDED,
            parameters={"x": number / 100, "epochs": epochs},
            observation={}
            if isinstance(end, TrialCondition)
            else {"result": Observation(min=end, max=end, latest=end)},
        )
        for number, end in enumerate(ends, first)
    ]


@pytest.mark.parametrize(
    ("r_l", "eta", "plan"),
    [
        (9, 3, [[(9, 1), (3, 3), (1, 9)], [(5, 3), (2, 9)], [(3, 9)]]),
        (4, 2, [[(4, 1), (2, 2), (1, 4)], [(3, 2), (2, 4)], [(3, 4)]]),
        (10, 3, [[(9, 1), (3, 3), (1, 10)], [(5, 3), (2, 10)], [(3, 10)]]),
        (2, 3, [[(1, 2)]]),
    ],
)
def test_brackets_are_as_wide_and_long_as_katib_s_formulas_say(
    r_l: int, eta: int, plan: Any
) -> None:
    assert list(brackets(wanted(r_l, eta))) == plan


def test_the_first_rung_can_start_at_once_with_the_least_of_the_resource() -> None:
    assert next_points(wanted(), []) == [{"epochs": 1}] * 9
    assert next_points(wanted(), ended(*[RUNNING] * 7)) == [{"epochs": 1}] * 2


def test_a_rung_waits_for_the_one_before_it() -> None:
    assert next_points(wanted(), ended(*[0.1] * 8, RUNNING)) == []


@pytest.mark.parametrize(
    ("objective_type", "best"), [("maximize", [8, 2, 7]), ("minimize", [0, 1, 3])]
)
def test_the_best_go_on_with_more_of_the_resource(objective_type: str, best: list[int]) -> None:
    first = ended(0.1, 0.2, 0.8, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)
    points = next_points(wanted(objective_type=objective_type), first)
    assert points == [{"x": number / 100, "epochs": 3} for number in best]
    begun = [*first, *ended(RUNNING, first=9, epochs=3)]
    assert next_points(wanted(objective_type=objective_type), begun) == points[1:]


def test_a_failed_trial_does_not_go_on_and_nothing_takes_its_place() -> None:
    first = ended(*[FAILED] * 7, 0.2, 0.1)
    points = next_points(wanted(), first)
    assert [point["x"] for point in points] == [0.07, 0.08]
    second = [*first, *ended(0.3, FAILED, first=9, epochs=3)]
    assert next_points(wanted(), second) == [{"x": 0.09, "epochs": 9}]


def test_the_next_bracket_does_not_wait_for_the_end_of_the_one_before_it() -> None:
    trials = [
        *ended(*[0.1] * 9),
        *ended(*[0.1] * 3, first=9, epochs=3),
        *ended(RUNNING, first=12, epochs=9),
    ]
    assert next_points(wanted(), trials) == [{"epochs": 3}] * 5


def test_after_the_last_bracket_the_first_comes_again() -> None:
    assert next_points(wanted(r_l=2), ended(0.1, RUNNING)) == [{"epochs": 2}]


@pytest.mark.parametrize(
    ("space", "amounts"),
    [
        ({"min": 1, "max": 9}, None),
        ({"min": 1, "max": 9, "step": 2}, None),
        ({"min": 2, "max": 9}, "1"),
        ({"min": 1, "max": 8}, "9"),
        ({"min": 1, "max": 9, "step": 4}, "3"),
        ({"list": [1, 3, 9]}, None),
        ({"list": [1, 9]}, "3"),
    ],
)
def test_a_resource_that_cannot_take_its_amounts_is_refused(
    space: dict[str, Any], amounts: str | None
) -> None:
    asked = wanted(parameters={"x": {"min": 0.0, "max": 1.0}, "epochs": space})
    found = [str(error) for error in refusals(asked, allow_code=True, cores=1, gpus=0)]
    assert found == (
        [
            f"hyperband would set `epochs` to {amounts}, which it may not be here. "
            "Give epochs a range from 1 to r_l."
        ]
        if amounts
        else []
    )


def test_r_l_is_the_resource_s_maximum_unless_it_is_asked_for() -> None:
    asked = wanted(algorithm_settings={"resource_name": "epochs"})
    assert next(brackets(asked))[-1] == (1, 27)
