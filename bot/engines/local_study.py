"""TuneSpec in Optuna's words: distributions, samplers, planned points (pure)."""

from __future__ import annotations

import math
import random
import warnings
import zlib
from collections.abc import Callable, Mapping
from decimal import Decimal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.trial import Trial

from bot.spec import Number, Parameter, Scalar, TuneSpec
from bot.status import Record


def distributions(spec: TuneSpec) -> dict[str, BaseDistribution]:
    """The searched hyperparameters in Optuna's words."""
    return {name: _distribution(value) for name, value in spec.searched.items()}


def _distribution(value: Parameter) -> BaseDistribution:
    if value.list is not None:
        return CategoricalDistribution(value.list)
    assert value.min is not None and value.max is not None  # a checked spec
    log = value.distribution == "logUniform"
    high = _last_on_grid(value.min, value.max, value.step) if value.step else value.max
    if value.parameter_type == "int":
        step = 1 if log else int(value.step or 1)
        return IntDistribution(int(value.min), int(high), log=log, step=step)
    return FloatDistribution(value.min, high, log=log, step=value.step)


def _last_on_grid(low: Number, high: Number, step: Number) -> Number:
    # NB: in decimals, because 0.1 + 2 * 0.1 is above 0.3 in binary.
    first, width = Decimal(str(low)), Decimal(str(step))
    return float(first + (Decimal(str(high)) - first) // width * width)


def suggest(trial: Trial, spec: TuneSpec) -> None:
    """Give `trial` a value for every searched hyperparameter; those that it has stay."""
    for name, distribution in distributions(spec).items():
        if isinstance(distribution, CategoricalDistribution):
            trial.suggest_categorical(name, distribution.choices)
        elif isinstance(distribution, IntDistribution):
            trial.suggest_int(
                name,
                distribution.low,
                distribution.high,
                step=distribution.step,
                log=distribution.log,
            )
        elif isinstance(distribution, FloatDistribution):
            trial.suggest_float(
                name,
                distribution.low,
                distribution.high,
                step=distribution.step,
                log=distribution.log,
            )


def parameters(spec: TuneSpec, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The values of a trial in the spec's order, without binary noise behind the step."""
    return {
        name: _rounded(value, params[name])
        for name, value in spec.searched.items()
        if name in params
    }


def _rounded(parameter: Parameter, value: Scalar) -> Scalar:
    if parameter.step is None or not isinstance(value, float):
        return value
    ends = (Decimal(str(parameter.min)), Decimal(str(parameter.step)))
    return round(value, max(-int(end.as_tuple().exponent) for end in ends))


def seed_of(record: Record) -> int:
    """The seed of an Experiment's search: the one asked for, else one of its own.

    It must be the same after a restart, or a grid would repeat points.
    """
    asked = record.spec.algorithm_settings.get("random_state", record.spec.seed)
    return zlib.crc32(record.uid.encode()) if asked is None else int(asked)


def sampler(spec: TuneSpec, seed: int, number: int) -> BaseSampler:
    """The sampler of trial `number`.

    One per trial: a sampler that a restarted engine made anew from the same seed would propose
    its first points again.
    """
    return SAMPLERS[spec.algorithm_name](
        spec.algorithm_settings, zlib.crc32(f"{seed} {number}".encode())
    )


def _random(_settings: Mapping[str, str], seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def _tpe(settings: Mapping[str, str], seed: int) -> BaseSampler:
    gamma = settings.get("gamma")
    with warnings.catch_warnings():
        # Katib's `gamma` and `prior_weight` are arguments that Optuna drops in version 6.
        warnings.simplefilter("ignore", FutureWarning)
        return TPESampler(
            seed=seed,
            multivariate=False,
            n_ei_candidates=int(settings.get("n_EI_candidates", 24)),
            gamma=None if gamma is None else _good_trials(float(gamma)),
            prior_weight=float(settings["prior_weight"]) if "prior_weight" in settings else None,
        )


def _good_trials(gamma: float) -> Callable[[int], int]:
    """How many of n trials count as good; 25 at most, as in hyperopt."""
    return lambda n: min(math.ceil(gamma * n), 25)


def _multivariate_tpe(settings: Mapping[str, str], seed: int) -> BaseSampler:
    return TPESampler(
        seed=seed,
        multivariate=True,
        n_startup_trials=int(settings.get("n_startup_trials", 10)),
        n_ei_candidates=int(settings.get("n_ei_candidates", 24)),
    )


def _gaussian_process(settings: Mapping[str, str], seed: int) -> BaseSampler:
    """Expected improvement over a Gaussian process; imports torch for its first proposal."""
    return GPSampler(
        seed=seed,
        n_startup_trials=int(settings.get("n_initial_points", 10)),
        warn_independent_sampling=False,
    )


def _cmaes(_settings: Mapping[str, str], seed: int) -> BaseSampler:
    """CMA-ES; its state is in the trials' attributes. Values of lists are drawn at random."""
    return CmaEsSampler(seed=seed, warn_independent_sampling=False)


# Of an algorithm in PLANNED the sampler never has a value left to choose.
SAMPLERS: Mapping[str, Callable[[Mapping[str, str], int], BaseSampler]] = {
    "random": _random,
    "grid": _random,
    "tpe": _tpe,
    "multivariate-tpe": _multivariate_tpe,
    "bayesianoptimization": _gaussian_process,
    "cmaes": _cmaes,
    "sobol": _random,
    "hyperband": _random,
}


def grid_point(spec: TuneSpec, seed: int, index: int) -> dict[str, Scalar]:
    """The `index`-th point of a shuffled grid, however many of them are tried."""
    points = math.prod(int(value.size) for value in spec.searched.values())
    place = _shuffled(points, seed, index)
    point = {}
    for name, value in spec.searched.items():
        place, at = divmod(place, int(value.size))
        point[name] = _nth(value, at)
    return point


def _shuffled(size: int, seed: int, index: int) -> int:
    """The `index`-th of the numbers below `size` in random order, without making all of them."""
    # NB: not `sample`, whose order changes with how many are asked for: a grid can be extended.
    chance, moved = random.Random(seed), dict[int, int]()
    for place in range(index + 1):
        other = chance.randrange(place, size)
        moved[place], moved[other] = moved.get(other, other), moved.get(place, place)
    return moved[index]


def sobol_point(spec: TuneSpec, seed: int, index: int) -> dict[str, Scalar]:
    """The `index`-th point of a Sobol sequence, scrambled: the plain one begins in a corner."""
    from scipy.stats.qmc import Sobol  # NB: half a second that only this algorithm needs

    sequence = Sobol(len(spec.searched), scramble=True, rng=seed)
    if index:  # NB: it cannot be forwarded by 0
        sequence.fast_forward(index)
    pairs = zip(spec.searched.items(), sequence.random(1)[0], strict=True)
    return {name: _at(value, float(part)) for (name, value), part in pairs}


def _at(value: Parameter, part: float) -> Scalar:
    """The value at `part` of the way, 0 to less than 1, along what is searched."""
    if value.distribution == "uniform" and not math.isinf(value.size):
        return _nth(value, int(part * value.size))
    low, high = value.min, value.max
    assert low is not None and high is not None  # a range
    if value.distribution == "uniform":
        return low + part * (high - low)
    if value.parameter_type == "int":
        return min(int(high), int(low * ((high + 1) / low) ** part))
    return min(float(high), float(low * (high / low) ** part))


def _nth(value: Parameter, at: int) -> Scalar:
    if value.list is not None:
        return value.list[at]
    number = Decimal(str(value.min)) + at * Decimal(str(value.step or 1))
    return int(number) if value.parameter_type == "int" else float(number)


# Algorithms whose points do not depend on results, each by its number.
PLANNED: Mapping[str, Callable[[TuneSpec, int, int], dict[str, Scalar]]] = {
    "grid": grid_point,
    "sobol": sobol_point,
}
