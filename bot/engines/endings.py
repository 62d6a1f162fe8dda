"""How Experiments end, in Katib's reasons and ours, with the sentences that people read (pure).

Both engines say the same of the same facts. What Katib itself decides, the Katib engine only reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.spec import TuneSpec
from bot.status import (
    Ending,
    ExperimentCondition,
    ExperimentStatus,
    TrialCondition,
    TrialStatus,
    optimal_trial,
)

GOAL_REACHED = "ExperimentGoalReached"
MAX_TRIALS_REACHED = "ExperimentMaxTrialsReached"
FAILED = "ExperimentFailed"
BUDGET_REACHED = "BudgetReached"
STOPPED = "StoppedByUser"
COUNT_AS_FAILED = (TrialCondition.FAILED, TrialCondition.METRICS_UNAVAILABLE)


def status_of(
    spec: TuneSpec,
    trials: Iterable[TrialStatus],
    over: Ending | None,
    going_on: tuple[ExperimentCondition, str, str],
) -> ExperimentStatus:
    """An Experiment's status from its trials; `going_on` is condition, reason and message of one
    that is not over.
    """
    trials = tuple(trials)
    best = optimal_trial(spec, trials)
    started = [trial.start_time for trial in trials if trial.start_time]
    completed = [trial.completion_time for trial in trials if trial.completion_time]
    condition, reason, message = (over.condition, over.reason, over.message) if over else going_on
    return ExperimentStatus(
        condition=condition,
        reason=reason,
        message=message,
        start_time=min(started, default=None),
        completion_time=max([over.time, *completed]) if over else None,
        trials=trials,
        optimal_trial_name=best.name if best else None,
    )


def goal_sentence(spec: TuneSpec) -> str:
    """Of an Experiment that reached its goal."""
    return f"{spec.objective_metric_name} reached the goal {spec.objective_goal:g}."


def done_sentence(trials: Sequence[TrialStatus]) -> str:
    """Of an Experiment that ran all its trials."""
    return f"All {sum(trial.condition.is_final for trial in trials)} trials have ended."


def failures_sentence(trials: Sequence[TrialStatus]) -> str:
    """Of an Experiment in which too many trials failed, with what the last of them said."""
    failed = sum(trial.condition in COUNT_AS_FAILED for trial in trials)
    finished = sum(trial.condition.is_final for trial in trials)
    said = [t for t in trials if t.condition == TrialCondition.FAILED and t.message]
    last = f"; {said[-1].name}: {said[-1].message}" if said else "."
    return f"{failed} of {finished} trials failed{last}"


def unreported_sentence(metric: str, reported: Iterable[str]) -> str:
    """Of a trial that ended without a number for the objective."""
    seen = ", ".join(name for name in reported if name != metric) or "nothing"
    return f"The trial never reported `{metric}`; it reported {seen}."


def deadline(spec: TuneSpec, trials: Iterable[TrialStatus]) -> datetime | None:
    """When the Experiment's budget of time is used up; it begins with the first trial."""
    started = [trial.start_time for trial in trials if trial.start_time]
    if spec.max_duration_seconds is None or not started:
        return None
    return min(started) + timedelta(seconds=spec.max_duration_seconds)


def out_of_time(spec: TuneSpec, trials: Sequence[TrialStatus], now: datetime) -> Ending | None:
    """The end by the budget of time, once that is used up."""
    end = deadline(spec, trials)
    if end is None or now < end:
        return None
    message = f"The budget of {spec.max_duration_seconds} seconds is used up"
    if optimal_trial(spec, trials):
        return succeeded(BUDGET_REACHED, f"{message}.", now)
    return Ending(
        condition=ExperimentCondition.FAILED,
        reason=BUDGET_REACHED,
        message=f"{message} before a trial ended well.",
        time=now,
    )


def stopped(by: str, now: datetime) -> Ending:
    """The end that a person asked for."""
    return Ending(
        condition=ExperimentCondition.KILLED,
        reason=STOPPED,
        message=f"Stopped by {by}.",
        time=now,
    )


def failed(message: str, now: datetime) -> Ending:
    """The end of an Experiment that cannot go on."""
    return Ending(condition=ExperimentCondition.FAILED, reason=FAILED, message=message, time=now)


def succeeded(reason: str, message: str, now: datetime) -> Ending:
    """A good end."""
    return Ending(condition=ExperimentCondition.SUCCEEDED, reason=reason, message=message, time=now)
