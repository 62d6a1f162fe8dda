"""Katib's oddities as switches: true is what Katib v0.19 does, false is what one would expect."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quirks:
    """Each was seen in Katib v0.19's services or read in its code."""

    # random, tpe: an int is rounded, so both end points get half the share of the others.
    round_integers: bool = True
    # random, tpe: a step rounds to its multiples, not from min: 1..10 step 3 gives 0, 3, 6, 9.
    multiples_of_step: bool = True
    # random, tpe: normal and logNormal may leave the range.
    normal_leaves_range: bool = True
    # bayesianoptimization: every double is sampled log-uniformly, its step is ignored, min 0 fails.
    bayesian_is_logarithmic: bool = True
    # grid, multivariate-tpe, cmaes, sobol: a fresh search pod that is sent finished trials raises
    # "An unknown trial has been passed…" for ever.
    forgets_trials: bool = True
    # random, tpe, bayesianoptimization: a finished trial without a number raises in every call.
    empty_value_stops_search: bool = True
    # multivariate-tpe: a parameter with normal or logNormal is missing from the assignment.
    normal_is_left_out: bool = True
    # maxTrialCount unset: a finished Experiment is marked Restarting at each look (read, not run).
    restarts_without_max: bool = False


KATIB = Quirks()
SENSIBLE = Quirks(
    round_integers=False,
    multiples_of_step=False,
    normal_leaves_range=False,
    bayesian_is_logarithmic=False,
    forgets_trials=False,
    empty_value_stops_search=False,
    normal_is_left_out=False,
)
