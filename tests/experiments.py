"""Experiments for tests: frozen values, made from the few facts that a test is about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from bot import prior, spec
from bot.spec import TuneSpec
from bot.status import (
    Experiment,
    ExperimentCondition,
    ExperimentStatus,
    Observation,
    Record,
    Told,
    TrialCondition,
    TrialStatus,
    Trouble,
    optimal_trial,
)

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
NAME = "minilm-movie-reviews-k3f9"


def at(seconds: float) -> datetime:
    """A time after the start."""
    return START + timedelta(seconds=seconds)


def wanted(**fields: Any) -> TuneSpec:
    """The shipped model on the shipped data, completed, with `fields` as asked."""
    data = {"name": NAME, "model_uri": "default", "dataset": "default", **fields}
    return spec.read(prior.complete(data))


def custom(**fields: Any) -> TuneSpec:
    """A search with a Python objective, with `fields` as asked, not completed."""
    data = {
        "name": "e",
        "objective_function": "f",
        "objective_source": "def f(p): ...",
        "objective_metric_name": "result",
        "parameters": {"x": {"list": [1, 2, 3, 4]}},
    }
    return spec.read({**data, **fields})


def trial(number: int, value: float | None = None, **facts: Any) -> TrialStatus:
    """A trial: succeeded when it has a value, else running; it takes 60 s from number * 30 s on."""
    condition = TrialCondition.SUCCEEDED if value is not None else TrialCondition.RUNNING
    condition = facts.setdefault("condition", condition)
    metric = facts.pop("metric", "eval_accuracy")
    if value is not None:
        facts["observation"] = {metric: Observation(min=value, max=value, latest=value)}
    facts.setdefault("start_time", at(30 * number))
    if condition.is_final:
        facts.setdefault("completion_time", facts["start_time"] + timedelta(seconds=60))
    facts.setdefault("parameters", {"learning_rate": 0.00031 * (number + 1), "r": 16})
    return TrialStatus(name=f"{NAME}-{number}", number=number, **facts)


def failed(
    number: int, reason: str = "OutOfMemory", message: str = "", **facts: Any
) -> TrialStatus:
    """A trial that failed."""
    facts.setdefault("condition", TrialCondition.FAILED)
    return trial(number, reason=reason, message=message, **facts)


def trouble(reason: str = "Unschedulable", number: int | None = 0, **facts: str) -> Trouble:
    """What a trial waits for; `number` None: all of the Experiment."""
    facts.setdefault("message", "No node has enough `nvidia.com/gpu` free.")
    facts.setdefault("hint", "Wait until others end, or add nodes.")
    facts.setdefault("trial", "" if number is None else f"{NAME}-{number}")
    return Trouble(reason=reason, **facts)


def experiment(
    trials: Iterable[TrialStatus] = (),
    condition: ExperimentCondition = ExperimentCondition.RUNNING,
    *,
    asked: TuneSpec | None = None,
    told: Told | None = None,
    reason: str = "",
    message: str = "",
    completion_time: datetime | None = None,
    troubles: Iterable[Trouble] = (),
    gpu_hours: float | None = None,
    **record: Any,
) -> Experiment:
    """An Experiment that started at START, with its optimum worked out as an engine does."""
    asked, trials = asked or wanted(), tuple(trials)
    best = optimal_trial(asked, trials)
    started = condition is not ExperimentCondition.CREATED
    status = ExperimentStatus(
        condition=condition,
        reason=reason,
        message=message,
        start_time=START if started else None,
        completion_time=completion_time,
        trials=trials,
        optimal_trial_name=best.name if best else None,
        troubles=tuple(troubles),
        gpu_hours=gpu_hours,
    )
    facts: dict[str, Any] = {
        "uid": "V1", "created": START, "requested_by": "U0ADA", "requested_by_name": "Ada Lovelace",
        "channel": "C0TUNING", "submitted": True, "told": told or Told(), **record,
    }  # fmt: skip
    return Experiment(record=Record(spec=asked, **facts), status=status)


def ended(
    trials: Iterable[TrialStatus],
    condition: ExperimentCondition = ExperimentCondition.SUCCEEDED,
    reason: str = "ExperimentMaxTrialsReached",
    **facts: Any,
) -> Experiment:
    """An Experiment that took two minutes and ten seconds."""
    facts.setdefault("completion_time", at(130))
    return experiment(trials, condition, reason=reason, **facts)
