"""The algorithms and rules that Katib knows: their names, settings and defaults."""

from __future__ import annotations

import pytest

from bot import algorithms
from bot.algorithms import ALGORITHMS, EARLY_STOPPING


def refusal(name: str, settings: dict[str, str] | None = None) -> list[str]:
    table = EARLY_STOPPING if name in EARLY_STOPPING else ALGORITHMS
    return [str(e) for e in algorithms.problems(name, settings or {}, table, "algorithm_name")]


def test_the_names_are_katibs() -> None:
    assert set(ALGORITHMS) == {
        "random", "grid", "tpe", "multivariate-tpe", "bayesianoptimization", "cmaes", "sobol",
        "hyperband", "pbt", "enas", "darts",
    }  # fmt: skip
    assert set(EARLY_STOPPING) == {"medianstop"}


def test_an_unknown_algorithm_is_refused_with_the_nearest() -> None:
    assert refusal("tpee") == ["`tpee` is not known here. Did you mean `tpe`?"]
    assert "There is: random, grid" in refusal("zzz")[0]


@pytest.mark.parametrize("name", ["enas", "darts"])
def test_architecture_search_is_refused_with_its_reason(name: str) -> None:
    assert "designs network architectures" in refusal(name)[0]


@pytest.mark.parametrize(
    ("name", "key", "good", "wrong"),
    [
        ("random", "random_state", "0", "-1"),
        ("grid", "random_state", "7", "1.5"),
        ("tpe", "gamma", "0.25", "1"),
        ("tpe", "gamma", "0.99", "0"),
        ("tpe", "prior_weight", "1.0", "0"),
        ("tpe", "n_EI_candidates", "24", "0"),
        ("multivariate-tpe", "n_ei_candidates", "1", "many"),
        ("multivariate-tpe", "n_startup_trials", "1", "0"),
        ("bayesianoptimization", "base_estimator", "GP", "gp"),
        ("bayesianoptimization", "n_initial_points", "10", "0"),
        ("bayesianoptimization", "acq_func", "gp_hedge", "UCB"),
        ("bayesianoptimization", "acq_optimizer", "auto", "none"),
        ("cmaes", "sigma", "0.5", "0"),
        ("cmaes", "restart_strategy", "ipop", "sometimes"),
        ("hyperband", "r_l", "9", "1"),
        ("hyperband", "eta", "3", "1"),
        ("pbt", "n_population", "5", "4"),
        ("pbt", "truncation_threshold", "0.2", "1.1"),
        ("medianstop", "min_trials_required", "1", "0"),
        ("medianstop", "start_step", "1", "0"),
    ],
)
def test_a_setting_takes_what_katib_takes(name: str, key: str, good: str, wrong: str) -> None:
    assert refusal(name, {key: good}) == []
    (sentence,) = refusal(name, {key: wrong})
    assert f"`{key}` of `{name}` must be" in sentence
    assert f"not `{wrong}`" in sentence


@pytest.mark.parametrize(
    ("name", "key", "hint"),
    [
        ("tpe", "n_ei_candidates", "Did you mean `n_EI_candidates`?"),
        ("multivariate-tpe", "n_EI_candidates", "Did you mean `n_ei_candidates`?"),
        ("tpe", "zzz", "There is: gamma"),
        ("sobol", "random_state", "takes no settings"),
        ("pbt", "resample_probability", "There is"),
    ],
)
def test_an_unknown_setting_is_refused(name: str, key: str, hint: str) -> None:
    (sentence,) = refusal(name, {key: "1"})
    assert f"no setting `{key}`" in sentence
    assert hint in sentence


def test_required_settings_get_stated_defaults() -> None:
    assert algorithms.with_defaults("hyperband", {"eta": "2"}) == {
        "resource_name": "num_train_epochs", "eta": "2",
    }  # fmt: skip
    assert algorithms.with_defaults("pbt", {}) == {
        "suggestion_trial_dir": "/opt/katib/data",
        "n_population": "5",
        "truncation_threshold": "0.2",
    }
    assert algorithms.with_defaults("tpe", {}) == {}


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if not ALGORITHMS[name].refused])
def test_the_defaults_are_accepted(name: str) -> None:
    assert refusal(name, algorithms.with_defaults(name, {})) == []


@pytest.mark.parametrize(
    ("r_l", "eta", "width"),
    [("9", "3", 9), ("8", "3", 3), ("243", "3", 243), ("2", "3", 1), ("16", "2", 16)],
)
def test_hyperbands_widest_bracket(r_l: str, eta: str, width: int) -> None:
    assert algorithms.hyperband_width({"r_l": r_l, "eta": eta}) == width


@pytest.mark.parametrize("settings", [{}, {"r_l": "9"}, {"r_l": "x", "eta": "3"}])
def test_hyperbands_width_needs_its_settings(settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"r_l|eta|x"):
        algorithms.hyperband_width(settings)
