"""A spec in Optuna's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from bot import spec
from bot.engines.local_study import (
    distributions,
    grid_point,
    parameters,
    sampler,
    seed_of,
    sobol_point,
    suggest,
)
from bot.spec import TuneSpec
from bot.status import Record


def search(**changes: Any) -> TuneSpec:
    data = {
        "name": "s",
        "objective_function": "f",
        "objective_source": "def f(p): ...",
        "objective_metric_name": "result",
        "parameters": {"x": {"min": 0.0, "max": 1.0}},
    }
    return spec.read({**data, **changes})


@pytest.mark.parametrize(
    ("parameter", "distribution"),
    [
        ({"min": 0.1, "max": 2}, FloatDistribution(0.1, 2)),
        (
            {"min": 1e-5, "max": 1e-3, "distribution": "logUniform"},
            FloatDistribution(1e-5, 1e-3, log=True),
        ),
        ({"min": 0.0, "max": 0.3, "step": 0.1}, FloatDistribution(0, 0.3, step=0.1)),
        ({"min": 0.0, "max": 0.35, "step": 0.1}, FloatDistribution(0, 0.3, step=0.1)),
        ({"min": 1, "max": 9}, IntDistribution(1, 9)),
        ({"min": 1, "max": 10, "step": 3}, IntDistribution(1, 10, step=3)),
        ({"min": 1, "max": 9, "step": 3}, IntDistribution(1, 7, step=3)),
        ({"min": 1, "max": 9, "distribution": "logUniform"}, IntDistribution(1, 9, log=True)),
        ({"list": [8, 16, 32]}, CategoricalDistribution([8, 16, 32])),
        ({"list": ["a", None, True]}, CategoricalDistribution(["a", None, True])),
    ],
)
def test_every_kind_of_parameter_has_its_distribution(parameter: Any, distribution: Any) -> None:
    assert distributions(search(parameters={"x": parameter})) == {"x": distribution}


def test_only_searched_hyperparameters_are_suggested_in_the_spec_s_order() -> None:
    wanted = search(
        parameters={"z": {"list": ["a", "b"]}, "fixed": 3, "a": {"min": 1, "max": 4}},
    )
    trial = optuna.create_study(sampler=RandomSampler(seed=1)).ask()
    suggest(trial, wanted)
    assert list(parameters(wanted, trial.params)) == ["z", "a"]


def test_steps_leave_no_binary_noise() -> None:
    wanted = search(parameters={"x": {"min": 0.1, "max": 0.9, "step": 0.1}})
    assert parameters(wanted, {"x": 0.1 + 2 * 0.1}) == {"x": 0.3}


def record(**changes: Any) -> Record:
    return Record(uid="u1", spec=search(**changes), created=datetime.now(UTC), requested_by="U1")


def test_the_seed_asked_for_is_taken() -> None:
    assert seed_of(record(seed=5)) == 5
    assert seed_of(record(seed=5, algorithm_settings={"random_state": "6"})) == 6


def test_without_a_seed_every_experiment_has_its_own_and_keeps_it() -> None:
    other = record().model_copy(update={"uid": "u2"})
    assert seed_of(record()) == seed_of(record()) != seed_of(other)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("random", {}),
        ("grid", {}),
        ("tpe", {"gamma": "0.25", "prior_weight": "0.5", "n_EI_candidates": "7"}),
        ("tpe", {}),
        ("multivariate-tpe", {"n_startup_trials": "2", "n_ei_candidates": "7"}),
        ("bayesianoptimization", {"n_initial_points": "9", "base_estimator": "GP"}),
        ("cmaes", {"restart_strategy": "none"}),
    ],
)
def test_every_sampler_searches_with_katib_s_settings(name: str, settings: Any) -> None:
    wanted = search(
        parameters={"x": {"min": 0.0, "max": 1.0, "step": 0.01}, "y": {"min": 1, "max": 5}},
        algorithm_name=name,
        algorithm_settings=settings,
    )
    study = optuna.create_study()
    searched(study, wanted, 14)
    assert len({trial.params["x"] for trial in study.trials}) > 5


def searched(study: optuna.Study, wanted: TuneSpec, trials: int, seed: int = 1) -> optuna.Study:
    """`study` after more trials, whose value says how far x is from 0.7."""
    for number in range(len(study.trials), len(study.trials) + trials):
        study.sampler = sampler(wanted, seed, number)
        trial = study.ask()
        suggest(trial, wanted)
        study.tell(trial, abs(trial.params["x"] - 0.7))
    return study


PLANE = {"x": {"min": 0.0, "max": 1.0}, "y": {"min": 0.0, "max": 1.0}, "z": {"list": ["a", "b"]}}


@pytest.mark.parametrize(
    ("name", "trials"), [("tpe", 60), ("bayesianoptimization", 24), ("cmaes", 60)]
)
def test_it_learns_where_random_search_does_not(name: str, trials: int) -> None:
    def mean_of_late_trials(name: str) -> float:
        wanted = search(algorithm_name=name, parameters=PLANE)
        study = searched(optuna.create_study(), wanted, trials, seed=3)
        late = study.trials[trials // 2 :]
        return sum(trial.value or 0 for trial in late) / len(late)

    assert mean_of_late_trials(name) < 0.7 * mean_of_late_trials("random")


@pytest.mark.parametrize(
    "name", ["random", "tpe", "multivariate-tpe", "bayesianoptimization", "cmaes"]
)
def test_the_same_seed_gives_the_same_points(name: str) -> None:
    wanted = search(algorithm_name=name, parameters=PLANE)

    def points(seed: int) -> list[Any]:
        study = searched(optuna.create_study(), wanted, 12, seed)
        return [trial.params for trial in study.trials]

    assert points(1) == points(1) != points(2)


def test_a_sampler_made_again_does_not_repeat_the_first_points() -> None:
    study = optuna.create_study()
    for number in range(2):
        study.sampler = sampler(search(algorithm_name="random"), 1, number)
        suggest(study.ask(), search())
    first, second = study.trials
    assert first.params != second.params


GRID = {"x": {"min": 0.0, "max": 0.2, "step": 0.1}, "y": {"list": ["a", "b"]}}


def test_the_grid_has_every_point_once() -> None:
    wanted = search(parameters=GRID, algorithm_name="grid", max_trial_count=6)
    points = [grid_point(wanted, 9, index) for index in range(6)]
    assert sorted((p["x"], p["y"]) for p in points) == [
        (x, y) for x in (0.0, 0.1, 0.2) for y in "ab"
    ]


def test_the_grid_is_shuffled_by_the_seed_and_the_same_after_a_restart() -> None:
    wanted = search(parameters=GRID, algorithm_name="grid", max_trial_count=6)

    def order(seed: int) -> list[Any]:
        return [grid_point(wanted, seed, index) for index in range(6)]

    assert order(1) == order(1) != order(2)


EVERY_KIND = {
    "uniform": {"min": -1.0, "max": 1.0},
    "log": {"min": 1e-6, "max": 1e-2, "distribution": "logUniform"},
    "stepped": {"min": 0.0, "max": 0.35, "step": 0.1},
    "int": {"min": 1, "max": 8},
    "int_log": {"min": 1, "max": 255, "distribution": "logUniform"},
    "list": {"list": ["a", None, True, 4]},
}


def test_a_sobol_sequence_fills_every_axis_evenly() -> None:
    wanted = search(parameters=EVERY_KIND, algorithm_name="sobol", max_trial_count=64)
    points = [sobol_point(wanted, 3, index) for index in range(64)]
    column = {name: [point[name] for point in points] for name in EVERY_KIND}
    assert sum(value < 0 for value in column["uniform"]) == 32
    assert sum(value < 1e-4 for value in column["log"]) == 32
    assert sum(value < 16 for value in column["int_log"]) == 32
    assert {column["int"].count(value) for value in range(1, 9)} == {8}
    assert {column["stepped"].count(value) for value in (0.0, 0.1, 0.2, 0.3)} == {16}
    assert {column["list"].count(value) for value in ("a", None, True, 4)} == {16}


def test_a_sobol_sequence_s_values_are_those_that_optuna_takes() -> None:
    wanted = search(parameters=EVERY_KIND, algorithm_name="sobol")
    study = optuna.create_study(sampler=sampler(wanted, 1, 0))
    for index in range(32):
        point = sobol_point(wanted, 3, index)
        study.enqueue_trial(point)
        trial = study.ask()
        suggest(trial, wanted)  # a warning, and so an error, for a value out of its range
        assert trial.params == point


def test_a_sobol_sequence_is_shuffled_by_the_seed_and_the_same_after_a_restart() -> None:
    wanted = search(parameters=EVERY_KIND, algorithm_name="sobol")
    assert sobol_point(wanted, 1, 5) == sobol_point(wanted, 1, 5) != sobol_point(wanted, 2, 5)


def test_a_grid_that_is_extended_goes_on_where_it_was() -> None:
    sides = {name: {"min": 1, "max": 100} for name in ("x", "y")}

    def order(most: int) -> list[Any]:
        wanted = search(parameters=sides, algorithm_name="grid", max_trial_count=most)
        return [grid_point(wanted, 1, index) for index in range(most)]

    longer = order(300)
    assert order(3) == longer[:3]
    assert len({(point["x"], point["y"]) for point in longer}) == 300
