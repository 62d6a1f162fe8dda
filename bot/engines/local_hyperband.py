"""Hyperband with Katib's settings: brackets, rungs, and who goes on (pure).

A bracket tries many points with little of the resource, and the best 1/eta of them again, from the
start, with eta times as much, up to r_l. Brackets follow each other from the widest on; after the
last the first comes again. A failed trial does not go on, and nothing takes its place.

NB: Katib's service makes a bracket as wide as the number of trials that it is asked for, which fits
the first bracket alone; here the later ones have the sizes that its own formula gives.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from bot.spec import Parameter, Scalar, TuneSpec, algorithm_settings
from bot.status import TrialCondition, TrialStatus

Rung = tuple[int, int]  # how many trials, each with how much of the resource


def resource(spec: TuneSpec) -> str:
    """The hyperparameter that grows from rung to rung."""
    return algorithm_settings(spec)["resource_name"]


def brackets(spec: TuneSpec) -> Iterator[list[Rung]]:
    """The brackets once, the widest first."""
    settings = algorithm_settings(spec)
    most, eta = float(settings["r_l"]), int(settings["eta"])
    last = 0
    while eta ** (last + 1) <= most:
        last += 1
    for bracket in range(last, -1, -1):
        size = math.ceil((last + 1) * eta**bracket / (bracket + 1))
        rungs = []
        for left in range(bracket, -1, -1):
            rungs.append((size, int(most / eta**left)))
            size = math.ceil(size / eta)
        yield rungs


def untakeable(spec: TuneSpec) -> list[int]:
    """The amounts of the resource that its range or list does not have."""
    space = spec.searched[resource(spec)]
    amounts = {amount for rungs in brackets(spec) for _, amount in rungs}
    return sorted(amount for amount in amounts if not _takes(space, amount))


def next_points(spec: TuneSpec, trials: Sequence[TrialStatus]) -> list[dict[str, Scalar]]:
    """What the next trials are given, as many as can start now; the search fills in the rest.

    Empty while a rung waits for the one before it.

    Args:
        trials: those asked so far, without the ones that are beside.
    """
    begun = 0
    for rungs in itertools.cycle(brackets(spec)):
        before: Sequence[TrialStatus] | None = None
        for size, amount in rungs:
            if before is None:
                points: list[Mapping[str, Scalar]] = [{}] * size
            elif all(trial.condition.is_final for trial in before):
                points = [trial.parameters for trial in _best(spec, before)[:size]]
            else:
                return []
            before = trials[begun : begun + len(points)]
            if len(before) < len(points):
                return [{**point, resource(spec): amount} for point in points[len(before) :]]
            begun += len(points)
    raise AssertionError  # the brackets never end


def _best(spec: TuneSpec, trials: Sequence[TrialStatus]) -> list[TrialStatus]:
    """Those that succeeded, the best first; the first of equals comes first."""
    sign = 1 if spec.objective_type == "minimize" else -1
    found = [(t.value(spec), t) for t in trials if t.condition == TrialCondition.SUCCEEDED]
    ranked = [(sign * value, trial) for value, trial in found if value is not None]
    return [trial for _, trial in sorted(ranked, key=lambda pair: pair[0])]


def _takes(space: Parameter, amount: int) -> bool:
    if space.list is not None:
        return amount in space.list
    assert space.min is not None and space.max is not None  # a range
    steps = (amount - space.min) / space.step if space.step else 0
    return space.min <= amount <= space.max and math.isclose(steps, round(steps), abs_tol=1e-9)
