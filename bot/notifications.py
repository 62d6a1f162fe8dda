"""When a thread gets a reply: what was told against what is. Pure, and level-triggered.

A bot that slept tells the difference once: many new bests are one reply, and an end says all that
led to it. There is never one reply per trial.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot import insight
from bot.spec import Frozen
from bot.status import (
    Experiment,
    ExperimentCondition,
    ExperimentStatus,
    Told,
    TrialCondition,
    TrialStatus,
    Trouble,
)

COUNTS_AS_FAILED = (TrialCondition.FAILED, TrialCondition.METRICS_UNAVAILABLE)


class Started(Frozen):
    """The first trials run."""

    @property
    def key(self) -> str:
        return "started"


class NewBest(Frozen):
    """A better value than the one told before, by more than noise."""

    trial: TrialStatus
    previous_value: float

    @property
    def key(self) -> str:
        return f"best:{self.trial.name}"


class Failure(Frozen):
    """A new kind of failure: its first trial, and how many trials failed so until now."""

    reason: str
    trial: TrialStatus
    count: int

    @property
    def key(self) -> str:
        return f"failure:{self.reason}"


class Waiting(Frozen):
    """Something that it waits for: its first trouble, and which trials wait; none: all of it."""

    trouble: Trouble
    trials: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        return self.trouble.reason

    @property
    def key(self) -> str:
        return f"waiting:{self.reason}"


class Ended(Frozen):
    """The Experiment ended, however it ended; `before` counts its ends before it was extended."""

    before: int = 0

    @property
    def key(self) -> str:
        return f"ended:{self.before + 1}" if self.before else "ended"


Notification = Started | NewBest | Failure | Waiting | Ended


class News(Frozen):
    """The replies that are due, and what `told` becomes when all of them are told.

    `told.card` is left as it was: the poller knows what the card shows.
    """

    replies: tuple[Notification, ...]
    told: Told


def failures(status: ExperimentStatus) -> tuple[Failure, ...]:
    """The failed trials by reason, in the order in which the reasons came up."""
    groups: dict[str, list[TrialStatus]] = {}
    for trial in sorted(status.trials, key=lambda trial: trial.number):
        if trial.condition in COUNTS_AS_FAILED:
            groups.setdefault(trial.reason or trial.condition.value, []).append(trial)
    return tuple(
        Failure(reason=reason, trial=trials[0], count=len(trials))
        for reason, trials in groups.items()
    )


def waits(status: ExperimentStatus) -> tuple[Waiting, ...]:
    """What it waits for at the moment, by reason; none of it once it is over."""
    if status.condition.is_final:
        return ()
    groups: dict[str, list[Trouble]] = {}
    for trouble in status.troubles:
        groups.setdefault(trouble.reason, []).append(trouble)
    return tuple(
        Waiting(
            trouble=found[0],
            trials=tuple(dict.fromkeys(t.trial for t in found))
            if all(t.trial for t in found)
            else (),
        )
        for found in groups.values()
    )


def diff(experiment: Experiment) -> News:
    """What is to be told of `experiment`, compared with what its record says was told."""
    told, status = experiment.record.told, experiment.status
    if told.ended:
        return News(replies=(), told=told)
    if status.condition.is_final:
        return News(replies=(Ended(before=told.ends),), told=_all_told(told, status, experiment))
    replies = tuple(_replies(experiment))
    return News(replies=replies, told=_after(told, replies, experiment))


def _replies(experiment: Experiment) -> Iterator[Notification]:
    told, status = experiment.record.told, experiment.status
    if not told.started and status.condition is not ExperimentCondition.CREATED:
        yield Started()
    best, value = _best(experiment)
    previous = told.best_value
    if best is not None and value is not None and previous is not None:
        is_new = best.name != told.best_trial
        if is_new and insight.is_worth_telling(experiment.spec, value, previous):
            yield NewBest(trial=best, previous_value=previous)
    for failure in failures(status):
        if failure.reason not in told.failures:
            yield failure
    for waiting in waits(status):
        if waiting.reason not in told.troubles:
            yield waiting


def _best(experiment: Experiment) -> tuple[TrialStatus | None, float | None]:
    best = experiment.status.optimal_trial
    return best, best.value(experiment.spec) if best else None


def _after(told: Told, replies: tuple[Notification, ...], experiment: Experiment) -> Told:
    best, value = _best(experiment)
    first = told.best_value is None and value is not None
    # A gain within noise is not told, so it is not remembered either: small gains add up.
    if best and (first or any(isinstance(reply, NewBest) for reply in replies)):
        told = told.model_copy(update={"best_trial": best.name, "best_value": value})
    reasons = tuple(reply.reason for reply in replies if isinstance(reply, Failure))
    waited = tuple(reply.reason for reply in replies if isinstance(reply, Waiting))
    started = told.started or any(isinstance(reply, Started) for reply in replies)
    return told.model_copy(
        update={
            "started": started,
            "failures": told.failures + reasons,
            "troubles": told.troubles + waited,
        }
    )


def _all_told(told: Told, status: ExperimentStatus, experiment: Experiment) -> Told:
    best, value = _best(experiment)
    reasons = tuple(f.reason for f in failures(status) if f.reason not in told.failures)
    return told.model_copy(
        update={
            "started": True,
            "ended": True,
            "ends": told.ends + 1,
            "best_trial": best.name if best else told.best_trial,
            "best_value": value if best else told.best_value,
            "failures": told.failures + reasons,
        }
    )
