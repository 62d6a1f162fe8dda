"""What may still be changed of an Experiment, by Katib's own rules (pure)."""

from __future__ import annotations

from bot.engines import endings
from bot.engines.katib_state import State
from bot.engines.katib_wire import KatibExperiment
from bot.errors import EngineError
from bot.spec import TuneSpec
from bot.status import Record, TrialStatus

# With a new search pod these raise "An unknown trial has been passed": they cannot be resumed.
FORGETFUL = ("grid", "multivariate-tpe", "cmaes", "sobol")


def check_extension(
    spec: TuneSpec, state: State, made: KatibExperiment, max_trial_count: int
) -> None:
    """Whether Katib would run more trials.

    Raises:
        EngineError: it would not; `field` says which setting forbids it.
    """
    name, tried = spec.name, made.status.trials
    # An extension that the cluster has taken and the record has not: it may be asked for again.
    is_half_done = spec.max_trial_count < max_trial_count == made.spec.max_trial_count
    if not is_half_done and max_trial_count <= max(tried, made.spec.max_trial_count or 0):
        raise EngineError(
            f"`{name}` has {tried} trials of {made.spec.max_trial_count}; {max_trial_count} is "
            "not more.",
            hint=f"Ask for more than {max(tried, made.spec.max_trial_count or 0)}.",
            field="max_trial_count",
        )
    ending = state.ending
    if ending is None:
        return
    if ending.reason != endings.MAX_TRIALS_REACHED:
        raise EngineError(
            f"`{name}` ended by {ending.reason}; Katib resumes only what ended because all trials "
            "had run.",
            hint="Start a new Experiment with the same line.",
            field="max_trial_count",
        )
    policy = made.spec.resume_policy or "Never"
    if policy == "Never":
        raise EngineError(
            f"`{name}` has ended, and its resume_policy is Never: Katib cannot run more of its "
            "trials.",
            hint="Start it with resume_policy=LongRunning (the search pod stays) or FromVolume.",
            field="resume_policy",
        )
    if policy == "FromVolume" and spec.algorithm_name in FORGETFUL:
        raise EngineError(
            f"`{name}` has ended, and Katib's {spec.algorithm_name} service cannot be resumed "
            "from a volume: it refuses trials that it has not proposed itself.",
            hint="Use resume_policy=LongRunning, or another algorithm (random, tpe, "
            "bayesianoptimization).",
            field="algorithm_name",
        )


def check_parallel(
    spec: TuneSpec, state: State, made: KatibExperiment, parallel_trial_count: int
) -> None:
    """Whether so many trials may run at once.

    Raises:
        EngineError: it has ended, or that is more than there are trials.
    """
    if state.ending:
        raise EngineError(f"`{spec.name}` has ended: no trial of it runs any more.")
    most = made.spec.max_trial_count
    if parallel_trial_count < 1 or (most is not None and parallel_trial_count > most):
        raise EngineError(
            f"parallel_trial_count is {parallel_trial_count}; `{spec.name}` runs {most} trials "
            "in all.",
            hint=f"Ask for 1 to {most}.",
            field="parallel_trial_count",
        )


def check_retry(record: Record, state: State, trial: TrialStatus) -> None:
    """Whether a trial may be tried again, as a job of ours beside Katib's trials.

    Raises:
        EngineError: it still runs, or the Experiment has ended or is not ours.
    """
    if record.adopted:
        raise EngineError(
            f"`{record.name}` was not started here, so its trials cannot be tried again from here."
        )
    if state.ending:
        raise EngineError(
            f"`{record.name}` has ended: none of its trials can be tried again.",
            hint="Start a new Experiment with the same line.",
        )
    if not trial.condition.is_final:
        raise EngineError(
            f"Trial {trial.number} (`{trial.name}`) has not ended yet.", hint="Wait until it has."
        )
