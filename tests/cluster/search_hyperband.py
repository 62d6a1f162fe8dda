"""Katib's hyperband service (v0.19): brackets, their state carried in the Suggestion's status."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from tests.cluster.metrics import objective_value
from tests.cluster.objects import is_true
from tests.cluster.quirks import Quirks
from tests.cluster.resources import Json
from tests.cluster.search_settings import settings_of
from tests.cluster.search_space import SearchError, hyperopt_sample


class Hyperband:
    """Each call answers one rung: new points for a bracket, or the best of the last rung again.

    `resource_name` is the parameter that grows by eta from rung to rung, up to r_l.
    """

    def __init__(self, experiment: Json, quirks: Quirks, carried: Sequence[Json]) -> None:
        settings = {
            **settings_of(experiment["spec"]["algorithm"]),
            **{one["name"]: one["value"] for one in carried},
        }
        self._spec = experiment["spec"]
        self._quirks = quirks
        self._rng = random.Random()
        self._resource = settings["resource_name"]
        self._most = float(settings["r_l"])
        self._eta = float(settings.get("eta", "3"))
        self._brackets = int(math.log(self._most) / math.log(self._eta))
        self._bracket = int(settings.get("current_s", self._brackets))
        self._rung = int(settings.get("current_i", 0))
        self._waiting = int(settings.get("evaluating_trials", 0))

    def suggest(self, trials: Sequence[Json], number: int) -> list[list[Json]]:
        if self._bracket < 0:
            return []
        points = self._promoted(trials) if self._waiting else self._fresh(number)
        self._waiting = len(points) if self._rung < self._bracket else 0
        if not self._waiting:
            self._bracket, self._rung = self._bracket - 1, 0
        return points

    def settings(self) -> list[Json]:
        state = {
            "eta": self._eta,
            "r_l": self._most,
            "resource_name": self._resource,
            "current_s": self._bracket,
            "current_i": self._rung,
            "evaluating_trials": self._waiting,
        }
        return [{"name": name, "value": str(value)} for name, value in state.items()]

    def _amount(self) -> str:
        return str(int(self._most * self._eta ** (self._rung - self._bracket)))

    def _fresh(self, number: int) -> list[list[Json]]:
        return [
            self._with_resource(
                {
                    one["name"]: hyperopt_sample(one, self._rng, self._quirks)
                    for one in self._spec["parameters"]
                }
            )
            for _ in range(number)
        ]

    def _promoted(self, trials: Sequence[Json]) -> list[list[Json]]:
        last = sorted(trials, key=lambda trial: trial["status"]["startTime"])[-self._waiting :]
        if not all(is_true(trial["status"]["conditions"], "Succeeded") for trial in last):
            raise SearchError("There are some trials which are not completed yet")
        down = self._spec["objective"]["type"] == "maximize"
        last.sort(key=lambda trial: float(objective_value(trial)), reverse=down)
        self._rung += 1
        best = last[: math.ceil(len(last) / self._eta)]
        return [
            self._with_resource(
                {one["name"]: one["value"] for one in trial["spec"]["parameterAssignments"]}
            )
            for trial in best
        ]

    def _with_resource(self, values: dict[str, str]) -> list[Json]:
        values[self._resource] = self._amount()
        return [{"name": name, "value": value} for name, value in values.items()]
