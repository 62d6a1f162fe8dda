"""Katib's search services (v0.19): what they suggest, kept in memory as their pods keep it."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import optuna

from tests.cluster.metrics import as_number, objective_value
from tests.cluster.quirks import Quirks
from tests.cluster.resources import Json
from tests.cluster.search_hyperband import Hyperband
from tests.cluster.search_settings import grid_values, settings_of
from tests.cluster.search_space import (
    NORMAL,
    SearchError,
    distribution,
    hyperopt_sample,
    skopt_distribution,
)

Assignments = list[Json]  # [{name, value}], values as text
STARTUP_TRIALS = {"tpe": 20, "multivariate-tpe": 10, "bayesianoptimization": 10}


class Service(Protocol):
    """One search pod. `trials` are all finished ones with metrics, at every call."""

    def suggest(self, trials: Sequence[Json], number: int) -> list[Assignments]:
        """That many new assignments. Raises SearchError."""
        ...

    def settings(self) -> list[Json]:
        """What the service keeps in the Suggestion's status.algorithmSettings."""
        ...


def make_service(experiment: Json, quirks: Quirks, carried: Sequence[Json]) -> Service:
    """The service for an Experiment's algorithm, as a fresh pod starts it."""
    name = experiment["spec"]["algorithm"]["algorithmName"]
    make = SERVICES.get(name)
    if make is None:
        raise SearchError(f"The test bed has no search service for the algorithm {name}.")
    return make(experiment, quirks, carried)


class RandomSearch:
    """hyperopt's random search."""

    def __init__(self, experiment: Json, quirks: Quirks, carried: Sequence[Json]) -> None:
        self._parameters = experiment["spec"]["parameters"]
        self._quirks = quirks
        self._rng = _rng(experiment)

    def suggest(self, trials: Sequence[Json], number: int) -> list[Assignments]:
        if self._quirks.empty_value_stops_search:
            _values(trials)
        return [self._one() for _ in range(number)]

    def settings(self) -> list[Json]:
        return []

    def _one(self) -> Assignments:
        try:
            return [
                _assignment(one["name"], hyperopt_sample(one, self._rng, self._quirks))
                for one in self._parameters
            ]
        except ValueError as error:
            raise SearchError(f"Exception calling application: {error}") from error


class GridSearch:
    """All combinations in an order that random_state shuffles; at the end from the start again."""

    def __init__(self, experiment: Json, quirks: Quirks, carried: Sequence[Json]) -> None:
        parameters = experiment["spec"]["parameters"]
        names = [one["name"] for one in parameters]
        points = list(itertools.product(*(grid_values(one) for one in parameters)))
        if not points:
            raise SearchError("Exception calling application: the search space is empty")
        _rng(experiment).shuffle(points)
        self._points: Iterator[Assignments] = itertools.cycle(
            [[_assignment(*pair) for pair in zip(names, point, strict=True)] for point in points]
        )
        self._known = Known(quirks)

    def suggest(self, trials: Sequence[Json], number: int) -> list[Assignments]:
        self._known.new(trials)
        return [self._known.given(next(self._points)) for _ in range(number)]

    def settings(self) -> list[Json]:
        return []


class Sobol:
    """A low-discrepancy sequence over the unit cube (Halton's stands in for Sobol's)."""

    def __init__(self, experiment: Json, quirks: Quirks, carried: Sequence[Json]) -> None:
        self._parameters = experiment["spec"]["parameters"]
        self._known = Known(quirks)
        self._next = 0

    def suggest(self, trials: Sequence[Json], number: int) -> list[Assignments]:
        self._known.new(trials)
        return [self._known.given(self._one()) for _ in range(number)]

    def settings(self) -> list[Json]:
        return []

    def _one(self) -> Assignments:
        self._next += 1
        shares = (_halton(self._next, base) for base in _primes())
        return [
            _assignment(one["name"], _at(one, share))
            for one, share in zip(self._parameters, shares, strict=False)
        ]


class OptunaSearch:
    """The services whose model is Optuna's or, in this test bed, replaced by Optuna's."""

    def __init__(self, experiment: Json, quirks: Quirks, carried: Sequence[Json]) -> None:
        spec = experiment["spec"]
        self._algorithm = spec["algorithm"]["algorithmName"]
        self._quirks = quirks
        self._space = self._distributions(spec["parameters"], quirks)
        self._study = optuna.create_study(
            direction=spec["objective"]["type"], sampler=self._sampler(experiment)
        )
        self._known = Known(quirks)
        self._rebuilds = self._algorithm in ("tpe", "bayesianoptimization")
        self._numbers: dict[str, list[int]] = defaultdict(list)

    def suggest(self, trials: Sequence[Json], number: int) -> list[Assignments]:
        if self._quirks.empty_value_stops_search:
            _values(trials)
        usable = [one for one in trials if as_number(objective_value(one)) is not None]
        fresh = self._known.fresh(usable) if self._rebuilds else self._known.new(usable)
        for trial, value in zip(fresh, _values(fresh), strict=True):
            self._tell(trial, value)
        return [self._ask() for _ in range(number)]

    def settings(self) -> list[Json]:
        return []

    def _distributions(
        self, parameters: Sequence[Json], quirks: Quirks
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        left_out = self._algorithm == "multivariate-tpe" and quirks.normal_is_left_out
        used = [
            one
            for one in parameters
            if not (left_out and one["feasibleSpace"]["distribution"] in NORMAL)
        ]
        try:
            if self._algorithm == "bayesianoptimization":
                return {one["name"]: skopt_distribution(one, quirks) for one in used}
            return {one["name"]: distribution(one) for one in used}
        except ValueError as error:
            raise SearchError(f"Exception calling application: {error}") from error

    def _sampler(self, experiment: Json) -> optuna.samplers.BaseSampler:
        settings = settings_of(experiment["spec"]["algorithm"])
        startup = settings.get("n_startup_trials") or settings.get("n_initial_points")
        multivariate = self._algorithm == "multivariate-tpe"
        return optuna.samplers.TPESampler(
            n_startup_trials=int(startup or STARTUP_TRIALS.get(self._algorithm, 10)),
            seed=int(settings["random_state"]) if "random_state" in settings else None,
            multivariate=multivariate,
            constant_liar=multivariate,
        )

    def _ask(self) -> Assignments:
        trial = self._study.ask(fixed_distributions=dict(self._space))
        given = [_assignment(name, str(value)) for name, value in trial.params.items()]
        self._numbers[_key(given)].append(trial.number)
        return self._known.given(given)

    def _tell(self, trial: Json, value: float) -> None:
        numbers = self._numbers[_key(trial["spec"]["parameterAssignments"])]
        if numbers:
            self._study.tell(numbers.pop(0), value)
            return
        texts = {one["name"]: one["value"] for one in trial["spec"]["parameterAssignments"]}
        params = {name: _read(self._space[name], texts[name]) for name in self._space}
        self._study.add_trial(
            optuna.trial.create_trial(params=params, distributions=self._space, value=value)
        )


class Known:
    """Which trials a service has been sent and which points it has given out."""

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._told: set[str] = set()
        self._given: dict[str, int] = defaultdict(int)

    def given(self, assignments: Assignments) -> Assignments:
        self._given[_key(assignments)] += 1
        return assignments

    def fresh(self, trials: Sequence[Json]) -> list[Json]:
        """The trials that were not sent before."""
        new = [one for one in trials if one["metadata"]["name"] not in self._told]
        self._told.update(one["metadata"]["name"] for one in new)
        return new

    def new(self, trials: Sequence[Json]) -> list[Json]:
        """The same; raises SearchError for a point that this pod did not give out."""
        new = self.fresh(trials)
        for trial in new:
            key = _key(trial["spec"]["parameterAssignments"])
            if not self._given[key] and self._quirks.forgets_trials:
                self._told.discard(trial["metadata"]["name"])
                raise SearchError(
                    "Exception calling application: An unknown trial has been passed in the "
                    "GetSuggestion request."
                )
            self._given[key] -= 1
        return new


SERVICES: Mapping[str, Callable[[Json, Quirks, Sequence[Json]], Service]] = {
    "random": RandomSearch,
    "grid": GridSearch,
    "sobol": Sobol,
    "tpe": OptunaSearch,
    "multivariate-tpe": OptunaSearch,
    "bayesianoptimization": OptunaSearch,
    "cmaes": OptunaSearch,
    "hyperband": Hyperband,
}


def _values(trials: Sequence[Json]) -> list[float]:
    try:
        return [float(objective_value(trial)) for trial in trials]
    except ValueError as error:
        raise SearchError(f"Exception calling application: {error}") from error


def _rng(experiment: Json) -> random.Random:
    return random.Random(settings_of(experiment["spec"]["algorithm"]).get("random_state"))


def _assignment(name: str, value: str) -> Json:
    return {"name": name, "value": value}


def _key(assignments: Assignments) -> str:
    return ",".join(sorted(f"{one['name']}={one['value']}" for one in assignments))


def _read(space: optuna.distributions.BaseDistribution, text: str) -> object:
    if isinstance(space, optuna.distributions.IntDistribution):
        return int(text)
    return float(text) if isinstance(space, optuna.distributions.FloatDistribution) else text


def _primes() -> Iterator[int]:
    return (n for n in itertools.count(2) if all(n % k for k in range(2, math.isqrt(n) + 1)))


def _halton(number: int, base: int) -> float:
    share, part = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        part /= base
        share += digit * part
    return share


def _at(parameter: Json, share: float) -> str:
    """The value at a share (0 to 1) of the range; goptuna ignores the distribution."""
    space, kind = parameter["feasibleSpace"], parameter["parameterType"]
    if kind in ("categorical", "discrete"):
        values = space.get("list") or [""]
        return str(values[int(share * len(values))])
    low, high = float(space["min"]), float(space["max"])
    if kind == "int":
        return str(int(low + share * (high - low + 1)))
    return str(low + share * (high - low))
