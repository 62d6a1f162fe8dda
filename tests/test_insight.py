"""What the trials say."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import insight, spec
from bot.status import ExperimentCondition, TrialCondition
from tests.experiments import at, ended, experiment, failed, trial, wanted

ACCURACY, LOSS = wanted(), wanted(objective_metric_name="eval_loss")
CUSTOM = {
    "name": "custom",
    "objective_function": "objective",
    "objective_source": "def objective(parameters): return 1.0",
    "objective_metric_name": "result",
    "parameters": {"a": {"min": 10, "max": 20}, "b": 0.5},
}


def test_best_so_far_rises_by_trial_and_skips_what_failed() -> None:
    trials = [trial(3, 0.6), trial(0, 0.5), failed(1), trial(2, 0.4), trial(4)]
    assert insight.best_so_far(ACCURACY, trials) == ((0, 0.5), (2, 0.5), (3, 0.6))


def test_best_so_far_falls_when_less_is_better() -> None:
    trials = [trial(n, value, metric="eval_loss") for n, value in enumerate((0.5, 0.7, 0.3))]
    assert insight.best_so_far(LOSS, trials) == ((0, 0.5), (1, 0.5), (2, 0.3))


def test_a_failed_trial_never_leads_whatever_it_reported() -> None:
    diverged = trial(1, 0.001, metric="eval_loss", condition=TrialCondition.FAILED)
    assert insight.best_so_far(LOSS, [diverged]) == ()


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_best_so_far_never_gets_worse_and_ends_at_the_optimum(values: list[float]) -> None:
    found = experiment([trial(n, value) for n, value in enumerate(values)])
    line = [value for _number, value in insight.best_so_far(ACCURACY, found.status.trials)]
    assert line == sorted(line)
    assert line[-1] == max(values)


@given(st.integers(1, 300), st.integers(2, 20))
def test_a_long_line_is_thinned_to_few_points_with_both_ends(length: int, points: int) -> None:
    line = tuple((n, float(n)) for n in range(length))
    thin = insight.thinned(line, points)
    assert len(thin) == min(length, points) == len(set(thin))
    assert (thin[0], thin[-1]) == (line[0], line[-1])


def test_ranked_puts_the_earlier_trial_first_in_a_tie() -> None:
    trials = [trial(2, 0.7), trial(1, 0.7), trial(0, 0.9), trial(3)]
    assert [t.number for t in insight.ranked(ACCURACY, trials)] == [0, 1, 2]


def test_the_gain_is_positive_when_the_optimum_is_better_in_either_direction() -> None:
    up = insight.gain(experiment([trial(0, 0.70, known_good=True), trial(1, 0.75)]))
    down = insight.gain(
        experiment(
            [
                trial(0, 0.7, known_good=True, metric="eval_loss"),
                trial(1, 0.5, metric="eval_loss"),
            ],
            asked=LOSS,
        )
    )
    assert up is not None and math.isclose(up.value, 0.05)
    assert down is not None and math.isclose(down.value, 0.2)


def test_there_is_no_gain_without_a_known_good_trial_that_ended_well() -> None:
    assert insight.gain(experiment([trial(1, 0.75)])) is None
    lost = failed(0, known_good=True)
    assert insight.gain(experiment([lost, trial(1, 0.75)])) is None


def test_an_accuracy_on_a_named_number_of_rows_has_a_standard_error() -> None:
    gain = insight.gain(experiment([trial(0, 0.5, known_good=True), trial(1, 0.6)]))
    assert gain is not None and gain.interval is not None
    assert math.isclose(gain.interval, math.sqrt((0.25 + 0.24) / 400))


@pytest.mark.parametrize("eval_split", ["validation", "validation[:10%]", "validation[5:5]"])
def test_where_the_rows_are_not_known_there_is_no_standard_error(eval_split: str) -> None:
    asked = wanted(eval_split=eval_split)
    gain = insight.gain(experiment([trial(0, 0.5, known_good=True), trial(1, 0.6)], asked=asked))
    assert gain is not None and gain.interval is None


def test_a_gain_below_its_standard_error_is_noise() -> None:
    small = insight.gain(experiment([trial(0, 0.70, known_good=True), trial(1, 0.72)]))
    large = insight.gain(experiment([trial(0, 0.70, known_good=True), trial(1, 0.80)]))
    assert small is not None and not insight.is_beyond_noise(ACCURACY, small)
    assert large is not None and insight.is_beyond_noise(ACCURACY, large)


def test_time_to_go_follows_the_pace() -> None:
    # Two at a time, 60 s each, 10 trials: after four of them (120 s) six are left, in 180 s.
    trials = [trial(n, 0.7, start_time=at(60 * (n // 2))) for n in range(4)]
    assert insight.time_to_go(experiment(trials), at(120)) == timedelta(seconds=180)


def test_time_to_go_counts_the_slots_that_the_engine_could_fill() -> None:
    # Two were asked for, one ran at a time.
    trials = [trial(n, 0.7, start_time=at(60 * n)) for n in range(5)]
    assert insight.time_to_go(experiment(trials), at(300)) == timedelta(seconds=300)


def test_running_trials_count_by_their_progress() -> None:
    first = [trial(n, 0.7, start_time=at(0)) for n in range(2)]
    running = [trial(n, start_time=at(60), progress=0.5) for n in (2, 3)]
    assert insight.time_to_go(experiment([*first, *running]), at(90)) == timedelta(seconds=210)


def test_the_end_is_not_before_the_slowest_running_trial() -> None:
    done = [trial(n, 0.7, start_time=at(0)) for n in range(9)]
    last = trial(9, start_time=at(60), progress=0.1)
    assert insight.time_to_go(experiment([*done, last]), at(66)) == timedelta(seconds=54)


def test_time_to_go_ends_with_the_budget() -> None:
    trials = [trial(n, 0.7, start_time=at(60 * (n // 2))) for n in range(4)]
    asked = wanted(max_duration_seconds=150)
    assert insight.time_to_go(experiment(trials, asked=asked), at(120)) == timedelta(seconds=30)
    assert insight.time_to_go(experiment(trials, asked=asked), at(200)) == timedelta(0)


def test_a_known_good_trial_beside_the_search_is_extra() -> None:
    space = {"learning_rate": {"list": [1e-3, 2e-3]}, "num_train_epochs": {"list": [1, 2]}}
    asked = wanted(algorithm_name="grid", training_parameters=space)
    trials = [
        trial(n, 0.7, known_good=n == 0, beside=n == 0, start_time=at(60 * n)) for n in range(3)
    ]
    assert asked.max_trial_count == 4
    assert insight.time_to_go(experiment(trials, asked=asked), at(180)) == timedelta(seconds=120)


def test_there_is_no_time_to_go_before_a_trial_finished_and_after_the_end() -> None:
    assert insight.time_to_go(experiment([trial(0)]), at(30)) is None
    assert insight.time_to_go(ended([trial(0, 0.7)]), at(200)) is None


def test_elapsed_ends_with_the_experiment() -> None:
    assert insight.elapsed(experiment(), at(40)) == timedelta(seconds=40)
    assert insight.elapsed(ended([trial(0, 0.7)]), at(4000)) == timedelta(seconds=130)
    created = experiment(condition=ExperimentCondition.CREATED)
    assert insight.elapsed(created, at(-5)) == timedelta(0)


def test_an_end_without_a_time_is_that_of_the_last_trial() -> None:
    gone = ended([trial(0, 0.7)], ExperimentCondition.FAILED, "Deleted", completion_time=None)
    assert insight.elapsed(gone, at(4000)) == timedelta(seconds=60)


def test_the_optimum_holds_every_hyperparameter_fixed_ones_too() -> None:
    found = ended([trial(0, 0.7), trial(1, 0.8)])
    optimum = insight.optimal_hyperparameters(found)
    assert optimum["training_parameters"]["learning_rate"] == 0.00062
    assert optimum["training_parameters"]["num_train_epochs"] == 2
    assert optimum["lora_config"]["r"] == 16
    assert optimum["lora_config"]["lora_alpha"] == 32, "tied to the rank, so it belongs to it"
    assert insight.optimal_hyperparameters(experiment()) == {}


def test_repeating_trains_the_optimum_with_three_seeds() -> None:
    again = insight.repeat_data(ended([trial(0, 0.7), trial(1, 0.8)], asked=wanted(seed=7)))
    asked = spec.read({**again, "name": "again"})
    assert list(asked.searched) == ["seed"]
    assert asked.searched["seed"].list == (7, 8, 9)
    assert asked.training_parameters["learning_rate"] == 0.00062
    assert (asked.max_trial_count, asked.algorithm_name) == (3, "grid")
    assert (asked.model_uri, asked.split) == ("default", "train[:640]")


def test_a_searched_seed_is_repeated_from_the_seed_of_the_optimum() -> None:
    asked = wanted(training_parameters={"seed": {"list": [1, 5]}, "learning_rate": 1e-3})
    found = ended([trial(0, 0.7, parameters={"seed": 5})], asked=asked)
    again = spec.read({**insight.repeat_data(found), "name": "again"})
    assert again.searched["seed"].list == (5, 6, 7)


def test_a_custom_objective_is_searched_again() -> None:
    asked = spec.read(CUSTOM)
    found = ended([trial(0, 0.7, metric="result", parameters={"a": 12})], asked=asked)
    assert spec.read({**insight.repeat_data(found), "name": "custom"}) == asked
    assert insight.optimal_hyperparameters(found) == {"parameters": {"a": 12, "b": 0.5}}
