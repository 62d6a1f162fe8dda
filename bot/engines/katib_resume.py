"""Which Experiments Katib itself can extend (pure)."""

from __future__ import annotations

from bot.engines import changes
from bot.engines.katib_state import State
from bot.engines.katib_wire import KatibExperiment
from bot.errors import EngineError
from bot.spec import TuneSpec

# With a new search pod these raise "An unknown trial has been passed": they cannot be resumed.
FORGETFUL = ("grid", "multivariate-tpe", "cmaes", "sobol")


def check_extension(
    spec: TuneSpec, state: State, made: KatibExperiment, max_trial_count: int
) -> None:
    """Whether Katib would run more trials.

    Raises:
        EngineError: it would not; `field` says which setting forbids it.
    """
    name, tried, most = spec.name, made.status.trials, made.spec.max_trial_count
    # An extension that the cluster has taken and the record has not: it may be asked for again.
    is_half_done = spec.max_trial_count < max_trial_count == most
    if not is_half_done:
        changes.check_count(name, tried, most or 0, max_trial_count)
    if state.ending is None:
        return
    policy = made.spec.resume_policy or "Never"
    changes.check_resumption(name, state.ending, policy)
    if policy == "FromVolume" and spec.algorithm_name in FORGETFUL:
        raise EngineError(
            f"`{name}` has ended, and Katib's {spec.algorithm_name} service cannot be resumed "
            "from a volume: it refuses trials that it has not proposed itself.",
            hint="Use resume_policy=LongRunning, or another algorithm (random, tpe, "
            "bayesianoptimization).",
            field="algorithm_name",
        )
