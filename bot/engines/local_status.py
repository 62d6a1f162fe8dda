"""A study's trials as statuses, and what ends an Experiment (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from optuna.trial import FrozenTrial, TrialState

from bot.engines.local_study import parameters
from bot.spec import Frozen, TuneSpec
from bot.status import (
    Ending,
    Experiment,
    ExperimentCondition,
    ExperimentStatus,
    Observation,
    Record,
    TrialCondition,
    TrialStatus,
    optimal_trial,
)


class Outcome(Frozen):
    """How a trial ended; kept as its user attribute OUTCOME."""

    condition: TrialCondition
    reason: str = ""
    message: str = ""
    observation: Mapping[str, Observation] = {}
    completion_time: datetime


class Live(Frozen):
    """What a running trial has printed so far."""

    progress: float | None = None
    observation: Mapping[str, Observation] = {}


# User attributes of a study and of its trials: with Optuna's own tables, all state there is.
RECORD, ENDING, FETCHED = "record", "ending", "fetched"
KNOWN_GOOD, STARTED, OUTCOME = "known_good", "started", "outcome"
# The value of STARTED: when (ISO 8601) and on which GPUs.
TIME, DEVICES = "time", "devices"


def trial_status(record: Record, trial: FrozenTrial, live: Live) -> TrialStatus:
    """One trial of a study; `live` matters only while it runs."""
    attributes = trial.user_attrs
    started = attributes.get(STARTED)
    outcome = Outcome.model_validate(attributes[OUTCOME]) if OUTCOME in attributes else None
    status = TrialStatus(
        name=f"{record.name}-{trial.number}",
        number=trial.number,
        condition=TrialCondition.RUNNING if started else TrialCondition.CREATED,
        parameters=parameters(record.spec, trial.params),
        known_good=bool(attributes.get(KNOWN_GOOD)),
        start_time=datetime.fromisoformat(started[TIME]) if started else None,
    )
    ended = outcome and outcome.model_dump(exclude_none=True)
    return status.model_copy(
        update={**ended, "observation": outcome.observation} if outcome and ended else dict(live)
    )


def is_asked(trial: FrozenTrial) -> bool:
    """Whether a trial of a study is one of the Experiment's (a waiting one is a plan)."""
    return trial.state != TrialState.WAITING


def counted(spec: TuneSpec, trials: Iterable[TrialStatus]) -> list[TrialStatus]:
    """The trials that count against the budget: under grid the known-good one is extra."""
    extra = spec.algorithm_name == "grid"
    return [trial for trial in trials if not (extra and trial.known_good)]


def experiment(
    record: Record, trials: Sequence[TrialStatus], ending: Ending | None, message: str = ""
) -> Experiment:
    """An Experiment as it is; it has ended when its end is decided and no trial runs any more."""
    best = optimal_trial(record.spec, trials)
    over = ending is not None and all(trial.condition.is_final for trial in trials)
    started = [trial.start_time for trial in trials if trial.start_time]
    completed = [trial.completion_time for trial in trials if trial.completion_time]
    if ending and over:
        condition = ending.condition
    else:
        condition = ExperimentCondition.RUNNING if started else ExperimentCondition.CREATED
    status = ExperimentStatus(
        condition=condition,
        reason=ending.reason if ending and over else f"Experiment{condition}",
        message=ending.message if ending and over else message,
        start_time=min(started, default=None),
        completion_time=max([ending.time, *completed]) if ending and over else None,
        trials=tuple(trials),
        optimal_trial_name=best.name if best else None,
    )
    return Experiment(record=record, status=status)


def ending(spec: TuneSpec, trials: Sequence[TrialStatus], now: datetime) -> Ending | None:
    """Why the Experiment ends now, if it does: Katib's reasons and order, then the budget."""
    best = optimal_trial(spec, trials)
    value = best.value(spec) if best else None
    budgeted = counted(spec, trials)
    failed = sum(
        trial.condition in (TrialCondition.FAILED, TrialCondition.METRICS_UNAVAILABLE)
        for trial in budgeted
    )
    finished = sum(trial.condition.is_final for trial in budgeted)
    if value is not None and reaches_goal(spec, value):
        return _succeeded(
            "ExperimentGoalReached",
            f"{spec.objective_metric_name} reached the goal {spec.objective_goal:g}.",
            now,
        )
    if failed and failed >= min(spec.max_failed_trial_count, spec.max_trial_count):
        return Ending(
            condition=ExperimentCondition.FAILED,
            reason="ExperimentFailed",
            message=f"{failed} of {finished} trials failed{_last_failure(budgeted)}",
            time=now,
        )
    if finished >= spec.max_trial_count:
        return _succeeded("ExperimentMaxTrialsReached", f"All {finished} trials have ended.", now)
    return _out_of_time(spec, trials, best, now)


def reaches_goal(spec: TuneSpec, value: float) -> bool:
    goal = spec.objective_goal
    if goal is None:
        return False
    return value <= goal if spec.objective_type == "minimize" else value >= goal


def deadline(spec: TuneSpec, trials: Iterable[TrialStatus]) -> datetime | None:
    """When the Experiment's budget of time is used up; it begins with the first trial."""
    started = [trial.start_time for trial in trials if trial.start_time]
    if spec.max_duration_seconds is None or not started:
        return None
    return min(started) + timedelta(seconds=spec.max_duration_seconds)


def _out_of_time(
    spec: TuneSpec, trials: Sequence[TrialStatus], best: TrialStatus | None, now: datetime
) -> Ending | None:
    end = deadline(spec, trials)
    if end is None or now < end:
        return None
    message = f"The budget of {spec.max_duration_seconds} seconds is used up"
    if best:
        return _succeeded("BudgetReached", f"{message}.", now)
    return Ending(
        condition=ExperimentCondition.FAILED,
        reason="BudgetReached",
        message=f"{message} before a trial ended well.",
        time=now,
    )


def stopped(by: str, now: datetime) -> Ending:
    """The end that a person asked for."""
    return Ending(
        condition=ExperimentCondition.KILLED,
        reason="StoppedByUser",
        message=f"Stopped by {by}.",
        time=now,
    )


def failed(message: str, now: datetime) -> Ending:
    """The end of an Experiment that cannot go on."""
    return Ending(
        condition=ExperimentCondition.FAILED, reason="ExperimentFailed", message=message, time=now
    )


def _succeeded(reason: str, message: str, now: datetime) -> Ending:
    return Ending(condition=ExperimentCondition.SUCCEEDED, reason=reason, message=message, time=now)


def _last_failure(trials: Sequence[TrialStatus]) -> str:
    said = [trial for trial in trials if trial.condition == TrialCondition.FAILED and trial.message]
    return f"; {said[-1].name}: {said[-1].message}" if said else "."
