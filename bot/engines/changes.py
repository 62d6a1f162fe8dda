"""What may still be changed of an Experiment, the same on every engine (pure)."""

from __future__ import annotations

from bot.engines import endings
from bot.errors import EngineError
from bot.status import Ending, Record, TrialStatus


def check_count(name: str, tried: int, most: int, wanted: int) -> None:
    """Whether `wanted` trials are more than there are.

    Raises:
        EngineError: they are not (field="max_trial_count").
    """
    least = max(tried, most)
    if wanted <= least:
        raise EngineError(
            f"`{name}` has {tried} trials of {most}; {wanted} is not more.",
            hint=f"Ask for more than {least}.",
            field="max_trial_count",
        )


def check_resumption(name: str, ending: Ending, resume_policy: str) -> None:
    """Whether an Experiment that has ended may go on.

    Raises:
        EngineError: it ended otherwise than by running all its trials (field="max_trial_count"),
            or its policy forbids it (field="resume_policy").
    """
    if ending.reason != endings.MAX_TRIALS_REACHED:
        raise EngineError(
            f"`{name}` ended by {ending.reason}; only what ended because all trials had run can "
            "go on.",
            hint="Start a new Experiment with the same line.",
            field="max_trial_count",
        )
    if resume_policy == "Never":
        raise EngineError(
            f"`{name}` has ended, and its resume_policy is Never: no more of its trials are run.",
            hint="Start it with resume_policy=LongRunning (on a cluster the search pod stays) or "
            "FromVolume.",
            field="resume_policy",
        )


def check_parallel(name: str, ending: Ending | None, most: int | None, wanted: int) -> None:
    """Whether `wanted` trials may run at once.

    Raises:
        EngineError: it has ended; or, with field="parallel_trial_count", it has not so many trials.
    """
    if ending:
        raise EngineError(f"`{name}` has ended: no trial of it runs any more.")
    if wanted < 1 or (most is not None and wanted > most):
        raise EngineError(
            f"parallel_trial_count is {wanted}; `{name}` runs {most} trials in all.",
            hint=f"Ask for 1 to {most}.",
            field="parallel_trial_count",
        )


def check_pause(name: str, ending: Ending | None) -> None:
    """Whether an Experiment may be paused or go on.

    Raises:
        EngineError: it has ended.
    """
    if ending:
        raise EngineError(
            f"`{name}` has ended: no trial of it runs any more.",
            hint=f"`extend {name}` lets it run more trials.",
        )


def check_retry(record: Record, ending: Ending | None, trial: TrialStatus) -> None:
    """Whether a trial may be tried again.

    Raises:
        EngineError: it still runs, or the Experiment has ended or is not ours.
    """
    if record.adopted:
        raise EngineError(
            f"`{record.name}` was not started here, so its trials cannot be tried again from here."
        )
    if ending:
        raise EngineError(
            f"`{record.name}` has ended: none of its trials can be tried again.",
            hint="Start a new Experiment with the same line.",
        )
    if not trial.condition.is_final:
        raise EngineError(
            f"Trial {trial.number} (`{trial.name}`) has not ended yet.", hint="Wait until it has."
        )
