"""What Katib's search services (v0.19) say about settings, late: in a Suggestion's message."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.cluster.resources import Json


class SettingsError(Exception):
    """The settings do not do; the text is the service's."""


@dataclass(frozen=True)
class Rule:
    """How one setting is read, and what must hold of it."""

    read: Callable[[str], Any]
    holds: Callable[[Any], bool]
    sentence: str


SEED = Rule(int, lambda n: n >= 0, "random_state should be great or equal than zero")
TPE: Mapping[str, Rule] = {
    "gamma": Rule(float, lambda x: 0 < x < 1, "gamma should be in the range of (0, 1)"),
    "prior_weight": Rule(float, lambda x: x > 0, "prior_weight should be great than zero"),
    "n_EI_candidates": Rule(int, lambda n: n > 0, "n_EI_candidates should be great than zero"),
    "random_state": SEED,
}
MULTIVARIATE: Mapping[str, Rule] = {
    "n_startup_trials": Rule(
        int, lambda n: n >= 0, "n_startup_trials should be greater or equal than zero"
    ),
    "n_ei_candidates": Rule(int, lambda n: n > 0, "n_ei_candidates should be great than zero"),
    "random_state": SEED,
}


def _one_of(name: str, *known: str) -> Rule:
    sentence = f"{name} {{value}} is not supported in Bayesian optimization"
    return Rule(str, known.__contains__, sentence)


BAYESIAN: Mapping[str, Rule] = {
    "base_estimator": _one_of("base_estimator", "GP", "RF", "ET", "GBRT"),
    "n_initial_points": Rule(
        int, lambda n: n >= 0, "n_initial_points should be great or equal than zero"
    ),
    "acq_func": _one_of("acq_func", "gp_hedge", "LCB", "EI", "PI", "EIps", "PIps"),
    "acq_optimizer": _one_of("acq_optimizer", "auto", "sampling", "lbfgs"),
    "random_state": SEED,
}
STRICT: Mapping[str, Mapping[str, Rule]] = {
    "random": {"random_state": SEED},
    "grid": {"random_state": SEED},
    "tpe": TPE,
    "multivariate-tpe": MULTIVARIATE,
    "bayesianoptimization": BAYESIAN,
}
RESTARTS = ("none", "ipop", "bipop")
MEDIAN: Mapping[str, Rule] = {
    "min_trials_required": Rule(
        int, lambda n: n > 0, "min_trials_required must be greater than zero (>0)"
    ),
    "start_step": Rule(int, lambda n: n >= 1, "start_step must be greater or equal than one (>=1)"),
}


def settings_of(spec: Json | None) -> dict[str, str]:
    """The settings of an algorithm or of early stopping, a later one counting."""
    return {one["name"]: one["value"] for one in (spec or {}).get("algorithmSettings") or ()}


def check_settings(experiment: Json) -> None:
    """Raises SettingsError as the service of the algorithm would."""
    spec = experiment["spec"]
    algorithm = spec["algorithm"]["algorithmName"]
    settings = settings_of(spec["algorithm"])
    if algorithm in STRICT:
        _strict(algorithm, settings, STRICT[algorithm])
    if algorithm == "grid":
        _grid(spec)
    elif algorithm == "cmaes":
        _cmaes(spec, settings)
    elif algorithm == "hyperband":
        _hyperband(spec, settings)


def check_early_stopping(spec: Json) -> None:
    """Raises SettingsError as the medianstop service would."""
    _strict("medianstop", settings_of(spec), MEDIAN)


def _strict(algorithm: str, settings: Mapping[str, str], rules: Mapping[str, Rule]) -> None:
    for name, text in settings.items():
        rule = rules.get(name)
        if rule is None:
            raise SettingsError(f"unknown setting {name} for algorithm {algorithm}")
        try:
            value = rule.read(text)
        except ValueError as error:
            raise SettingsError(f"failed to validate {name}({text}): {error}") from error
        if not rule.holds(value):
            raise SettingsError(rule.sentence.format(value=text))


def grid_values(parameter: Json) -> list[str]:
    """All values of one parameter in a grid. Raises SettingsError for a double without step."""
    space = parameter["feasibleSpace"]
    if parameter["parameterType"] in ("categorical", "discrete"):
        return list(space.get("list") or ())
    whole = parameter["parameterType"] == "int"
    if not space.get("step") and not whole:
        raise SettingsError(
            f"Param {parameter['name']} step is nil; For discrete search space, all parameters "
            "must include step"
        )
    low, high, step = float(space["min"]), float(space["max"]), float(space.get("step") or 1)
    number = math.floor((high - low) / step + 1e-9) + 1
    values = [low + step * place for place in range(number)]
    return [str(int(value)) if whole else str(value) for value in values]


def _grid(spec: Json) -> None:
    number = math.prod(len(grid_values(one)) for one in spec["parameters"])
    most = spec.get("maxTrialCount")
    if most is not None and most > number:
        raise SettingsError(
            f"Max Trial Count: {most} > all possible search space combinations: {number}"
        )


def _cmaes(spec: Json, settings: Mapping[str, str]) -> None:
    if len(_ranges(spec["parameters"])) < 2:
        raise SettingsError("cma-es only supports two or more dimensional continuous search space.")
    if settings.get("restart_strategy", "none") not in RESTARTS:
        raise SettingsError(f"restart_strategy {settings['restart_strategy']} is not supported")
    try:
        if float(settings.get("sigma", "1")) < 0:
            raise SettingsError("sigma should be greater or equal than zero")
        int(settings.get("random_state", "0"))
    except ValueError as error:
        raise SettingsError(f"failed to parse the settings of cmaes: {error}") from error


def _ranges(parameters: Sequence[Json]) -> list[Json]:
    return [one for one in parameters if one["parameterType"] in ("int", "double")]


def _hyperband(spec: Json, settings: Mapping[str, str]) -> None:
    if "r_l" not in settings or "resource_name" not in settings:
        raise SettingsError("r_l and resource_name must be set.")
    try:
        most = float(settings["r_l"])
    except ValueError:
        most = -1.0
    if most <= 0:
        raise SettingsError("r_l must be a positive float number.")
    eta = int(float(settings.get("eta", "3")))
    eta = eta if eta > 0 else 3
    if eta == 1:
        raise SettingsError("Exception calling application: float division by zero")
    width = math.ceil(eta ** int(math.log(most) / math.log(eta)))
    if spec["parallelTrialCount"] < width:
        raise SettingsError(f"parallelTrialCount must be not less than {width}.")
    if settings["resource_name"] not in {one["name"] for one in spec["parameters"]}:
        raise SettingsError("value of resource_name setting must be in parameters.")
