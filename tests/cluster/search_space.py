"""Katib's parameters as its services (v0.19) draw them, and as Optuna's distributions."""

from __future__ import annotations

import math
import random

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.cluster.quirks import Quirks
from tests.cluster.resources import Json

LOG = ("logUniform", "logNormal")
NORMAL = ("normal", "logNormal")
LEAST = 1e-10  # what Optuna's service puts in the place of a lower end of 0 on a log scale


class SearchError(Exception):
    """The service's call failed; Katib tries it again and again."""


def hyperopt_sample(parameter: Json, rng: random.Random, quirks: Quirks) -> str:
    """One value as hyperopt's service draws it. Raises ValueError for a list without items."""
    space, kind = parameter["feasibleSpace"], parameter["parameterType"]
    if kind in ("categorical", "discrete"):
        return rng.choice(_listed(parameter))
    low, high = float(space["min"]), float(space["max"])
    value = _draw(space["distribution"], low, high, rng)
    if not quirks.normal_leaves_range:
        value = min(max(value, low), high)
    whole = kind == "int"
    step = float(space["step"]) if space.get("step") else (1.0 if whole else 0.0)
    if step:
        value = _stepped(value, low, high, step, rng, quirks)
    return str(round(value)) if whole else str(value)


def _draw(spread: str, low: float, high: float, rng: random.Random) -> float:
    if spread in LOG:
        if low <= 0:
            raise ValueError("math domain error")
        low, high = math.log(low), math.log(high)
    if spread in NORMAL:
        value = rng.gauss((low + high) / 2, (high - low) / 6)
    else:
        value = rng.uniform(low, high)
    return math.exp(value) if spread in LOG else value


def _stepped(
    value: float, low: float, high: float, step: float, rng: random.Random, quirks: Quirks
) -> float:
    if not quirks.round_integers and step == 1.0:
        share = (value - low) / (high - low) if high > low else 0.0
        return min(low + math.floor(share * (high - low + 1)), high)
    if quirks.multiples_of_step:
        return round(value / step) * step
    return min(low + round((value - low) / step) * step, high)


def distribution(parameter: Json) -> BaseDistribution:
    """The parameter as Optuna's. Raises ValueError for a list without items or a bad range."""
    space, kind = parameter["feasibleSpace"], parameter["parameterType"]
    if kind in ("categorical", "discrete"):
        return CategoricalDistribution(_listed(parameter))
    log = space["distribution"] in LOG
    if kind == "int":
        low, high = int(space["min"]), int(space["max"])
        step = int(float(space.get("step") or 1))
        return IntDistribution(max(low, 1) if log else low, high, log=log, step=1 if log else step)
    step_text = space.get("step")
    least = max(float(space["min"]), LEAST) if log else float(space["min"])
    most = float(space["max"])
    if not step_text or log:
        return FloatDistribution(least, most, log=log)
    size = float(step_text)
    steps = math.floor((most - least) / size + 1e-9)
    return FloatDistribution(least, least + steps * size, step=size)


def skopt_distribution(parameter: Json, quirks: Quirks) -> BaseDistribution:
    """The parameter as skopt's service takes it: every double on a log scale."""
    if parameter["parameterType"] != "double" or not quirks.bayesian_is_logarithmic:
        return distribution(parameter)
    low, high = float(parameter["feasibleSpace"]["min"]), float(parameter["feasibleSpace"]["max"])
    if low <= 0:
        raise ValueError(f"search space should contain finite values: log10({low})")
    return FloatDistribution(low, high, log=True)


def _listed(parameter: Json) -> list[str]:
    values = list(parameter["feasibleSpace"].get("list") or ())
    if not values:
        raise ValueError(f"Parameter {parameter['name']}: the list of values is empty")
    return values
