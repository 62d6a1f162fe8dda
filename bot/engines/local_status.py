"""A study's trials as statuses, and what ends an Experiment (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from optuna.trial import FrozenTrial, TrialState

from bot.engines import endings
from bot.engines.local_study import parameters
from bot.spec import Frozen, TuneSpec
from bot.status import (
    Ending,
    Experiment,
    ExperimentCondition,
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


# These algorithms have points of their own, among which the known-good one has no place.
KNOWN_GOOD_IS_EXTRA = ("grid", "hyperband")
# User attributes of a study and of its trials: with Optuna's own tables, all state there is.
RECORD, ENDING, FETCHED = "record", "ending", "fetched"
KNOWN_GOOD, STARTED, OUTCOME = "known_good", "started", "outcome"
LIMIT = "limit"  # what medianstop asks of it, from when it began
GONE_ON = "gone_on"  # it died with its engine, and was started again from its checkpoint
RETRY_OF = "retry_of"  # the number of the trial whose hyperparameters it tries again
# The value of STARTED: when (ISO 8601), on which GPUs, and whether it was ended since, to go on
# when there is room again.
TIME, DEVICES, HELD = "time", "devices", "held"


def trial_status(record: Record, trial: FrozenTrial, live: Live) -> TrialStatus:
    """One trial of a study; `live` matters only while it runs."""
    attributes = trial.user_attrs
    known_good = bool(attributes.get(KNOWN_GOOD))
    extra = known_good and record.spec.algorithm_name in KNOWN_GOOD_IS_EXTRA
    started = attributes.get(STARTED)
    is_running = started and not started.get(HELD)
    outcome = Outcome.model_validate(attributes[OUTCOME]) if OUTCOME in attributes else None
    status = TrialStatus(
        name=f"{record.name}-{trial.number}",
        number=trial.number,
        condition=TrialCondition.RUNNING if is_running else TrialCondition.CREATED,
        parameters=parameters(record.spec, trial.params),
        known_good=known_good,
        beside=extra or is_retry(trial),
        start_time=datetime.fromisoformat(started[TIME]) if started else None,
    )
    ended = outcome and outcome.model_dump(exclude_none=True)
    return status.model_copy(
        update={**ended, "observation": outcome.observation} if outcome and ended else dict(live)
    )


def is_asked(trial: FrozenTrial) -> bool:
    """Whether a trial of a study is one of the Experiment's (a waiting one is a plan)."""
    return trial.state != TrialState.WAITING


def is_retry(trial: FrozenTrial) -> bool:
    """Whether a trial of a study tries another one again."""
    return RETRY_OF in trial.user_attrs


def counted(trials: Iterable[TrialStatus]) -> list[TrialStatus]:
    """The trials that count against max_trial_count and max_failed_trial_count."""
    return [trial for trial in trials if not trial.beside]


def experiment(
    record: Record, trials: Sequence[TrialStatus], ending: Ending | None, message: str = ""
) -> Experiment:
    """An Experiment as it is; it has ended when its end is decided and no trial runs any more."""
    over = ending if all(trial.condition.is_final for trial in trials) else None
    started = any(trial.start_time for trial in trials)
    condition = ExperimentCondition.RUNNING if started else ExperimentCondition.CREATED
    if record.paused_by:
        message = message or f"Paused by {record.paused_by}; `resume {record.name}` lets it go on."
    going_on = (condition, f"Experiment{condition}", message)
    return Experiment(record=record, status=endings.status_of(record.spec, trials, over, going_on))


def ending(spec: TuneSpec, trials: Sequence[TrialStatus], now: datetime) -> Ending | None:
    """Why the Experiment ends now, if it does: Katib's reasons and order, then the budget.

    When all trials have run it still waits for those beside them.
    """
    best = optimal_trial(spec, trials)
    value = best.value(spec) if best else None
    budgeted = counted(trials)
    failed = sum(trial.condition in endings.COUNT_AS_FAILED for trial in budgeted)
    finished = sum(trial.condition.is_final for trial in budgeted)
    all_ended = all(trial.condition.is_final for trial in trials)
    if value is not None and reaches_goal(spec, value):
        return endings.succeeded(endings.GOAL_REACHED, endings.goal_sentence(spec), now)
    if failed and failed >= min(spec.max_failed_trial_count, spec.max_trial_count):
        return endings.failed(endings.failures_sentence(budgeted), now)
    if finished >= spec.max_trial_count and all_ended:
        return endings.succeeded(endings.MAX_TRIALS_REACHED, endings.done_sentence(budgeted), now)
    return endings.out_of_time(spec, trials, now)


def reaches_goal(spec: TuneSpec, value: float) -> bool:
    goal = spec.objective_goal
    if goal is None:
        return False
    return value <= goal if spec.objective_type == "minimize" else value >= goal
