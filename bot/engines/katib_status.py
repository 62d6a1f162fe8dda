"""What Katib says of an Experiment and its trials, as our status (pure).

Numbers are texts there, and not all of them are numbers: `unavailable`, an empty text and nan are
failures, never optima. The optimum is ours, not Katib's: it takes a trial without a number for one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.engines import katib_wire
from bot.engines.katib_state import End, State
from bot.engines.katib_wire import KatibExperiment, KatibTrial, Metric
from bot.spec import Parameter, Scalar, TuneSpec
from bot.status import (
    Ending,
    ExperimentCondition,
    ExperimentStatus,
    Observation,
    Record,
    TrialCondition,
    TrialStatus,
    Trouble,
    optimal_trial,
)

MAX_TRIALS = "ExperimentMaxTrialsReached"
JOB_REASON = ". Job reason: "
JOB_MESSAGE = ". Job message: "


@dataclass(frozen=True)
class Seen:
    """What is there of one Experiment.

    `own` are our own trials as they are, by name; `ends` is why trials failed, as their pods said.
    """

    experiment: KatibExperiment | None = None
    trials: Sequence[KatibTrial] = ()
    own: Mapping[str, TrialStatus] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    ends: Mapping[str, End] = field(default_factory=dict)


def status(record: Record, state: State, seen: Seen) -> ExperimentStatus:
    """The Experiment as it is; once its end is decided, as it was then."""
    spec, ending = record.spec, state.ending
    trials = state.trials if ending else _trials(spec, state, seen)
    best = optimal_trial(spec, trials)
    started = [trial.start_time for trial in trials if trial.start_time]
    completed = [trial.completion_time for trial in trials if trial.completion_time]
    over = ending or _over(seen, trials)
    if over:
        condition, reason, message = over.condition, over.reason, over.message
    else:
        condition, reason, message = _going_on(seen, trials)
    hours = sum(state.gpu_seconds.values()) / 3600
    return ExperimentStatus(
        condition=condition,
        reason=reason,
        message=message,
        start_time=min(started, default=None),
        completion_time=max([over.time, *completed]) if over else None,
        trials=trials,
        optimal_trial_name=best.name if best else None,
        troubles=() if over else seen.troubles,
        gpu_hours=round(hours, 4) if spec.gpu else None,
    )


def closed(trials: Sequence[TrialStatus], ending: Ending) -> tuple[TrialStatus, ...]:
    """The trials as they ended: those that still ran when it ended were killed."""
    killed = {
        "condition": TrialCondition.KILLED,
        "reason": ending.reason,
        "message": ending.message,
        "completion_time": ending.time,
        "progress": None,
    }
    return tuple(t if t.condition.is_final else t.model_copy(update=killed) for t in trials)


def value_of(text: str, space: Parameter) -> Scalar:
    """The value that Katib carried as text; a text that is not of the space stays one."""
    if not space.is_range:
        return next((choice for choice in space.list or () if str(choice) == text), text)
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if space.parameter_type == "int" and number.is_integer() else number


def succeeded(spec: TuneSpec, trial: TrialStatus) -> TrialStatus:
    """A trial whose job ended well: succeeded, if it reported a number that can be believed."""
    name = spec.objective_metric_name
    value = trial.value(spec)
    if value is None:
        said = ", ".join(trial.observation) or "nothing"
        return trial.model_copy(
            update={
                "condition": TrialCondition.METRICS_UNAVAILABLE,
                "reason": "MetricsUnavailable",
                "message": f"The trial never reported a number for `{name}`; it reported {said}.",
            }
        )
    if value == 0.0 and spec.objective_type == "minimize" and "loss" in name:
        # transformers logs a loss that is nan as 0.0 unless it is told otherwise.
        return trial.model_copy(
            update={
                "condition": TrialCondition.FAILED,
                "reason": "SuspiciousZero",
                "message": f"`{name}` is exactly 0: that is how a loss that is not a number is "
                "often logged. The trial does not count.",
            }
        )
    return trial.model_copy(update={"condition": TrialCondition.SUCCEEDED})


# --- trials ---------------------------------------------------------------------------------------


def _trials(spec: TuneSpec, state: State, seen: Seen) -> tuple[TrialStatus, ...]:
    """Trial 0 first, Katib's as they were created, then those that are tried again."""
    known = [seen.own[own.name] for own in state.own if own.known_good and own.name in seen.own]
    again = [seen.own[own.name] for own in state.own if own.retry_of and own.name in seen.own]
    katibs = sorted(seen.trials, key=_age)
    all_of_them = [*known, *(_trial(spec, each, seen.ends) for each in katibs), *again]
    return tuple(
        trial.model_copy(update={"number": number}) for number, trial in enumerate(all_of_them)
    )


def _age(trial: KatibTrial) -> tuple[float, str]:
    created = trial.metadata.creation_timestamp
    return created.timestamp() if created else math.inf, trial.metadata.name


def _trial(spec: TuneSpec, trial: KatibTrial, ends: Mapping[str, End]) -> TrialStatus:
    newest = katib_wire.condition(trial.status.conditions, *TrialCondition)
    condition = TrialCondition(newest.type) if newest else TrialCondition.CREATED
    searched = spec.searched
    shown = TrialStatus(
        name=trial.metadata.name,
        number=0,
        condition=condition,
        parameters={
            each.name: value_of(each.value, searched[each.name])
            for each in trial.spec.parameter_assignments or ()
            if each.name in searched
        },
        observation=_observation(trial),
        start_time=trial.status.start_time or trial.metadata.creation_timestamp,
        completion_time=_completion(trial, newest) if condition.is_final else None,
    )
    if condition == TrialCondition.SUCCEEDED:
        return succeeded(spec, shown)
    if condition == TrialCondition.METRICS_UNAVAILABLE:
        return succeeded(spec, shown.model_copy(update={"observation": {}}))
    if condition == TrialCondition.FAILED and newest:
        end = ends.get(shown.name)
        reason = end.reason if end else newest.reason.partition(JOB_REASON)[2] or newest.reason
        message = end.message if end else newest.message.partition(JOB_MESSAGE)[2]
        return shown.model_copy(update={"reason": reason, "message": message or newest.message})
    return shown


def _completion(trial: KatibTrial, newest: katib_wire.Condition | None) -> datetime | None:
    return trial.status.completion_time or (newest.last_transition_time if newest else None)


def _observation(trial: KatibTrial) -> dict[str, Observation]:
    observed: dict[str, Observation] = {}
    # NB: Katib lists a metric once for each of its strategies; any of them says it all.
    for metric in trial.status.observation.metrics or ():
        if (found := _observed(metric)) is not None:
            observed[metric.name] = found
    return observed


def _observed(metric: Metric) -> Observation | None:
    """None unless something in it is a finite number; what is missing is the latest."""
    numbers = [_number(text) for text in (metric.min, metric.max, metric.latest)]
    known = [number for number in numbers if number is not None]
    if not known:
        return None
    latest = numbers[2] if numbers[2] is not None else known[-1]
    low, high = (number if number is not None else latest for number in numbers[:2])
    return Observation(min=low, max=high, latest=latest)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# --- the Experiment -------------------------------------------------------------------------------


def _over(seen: Seen, trials: Sequence[TrialStatus]) -> Ending | None:
    """Its end, if Katib says so and nothing of it runs any more."""
    if seen.experiment is None:
        return None
    spec, now = seen.experiment.spec, seen.experiment.status
    newest = katib_wire.condition(now.conditions, "Succeeded", "Failed")
    if newest is None:
        return None
    # Katib does not stop trials that run when it has ended; what they find still counts.
    if now.trials_running or now.trials_pending or not all(t.condition.is_final for t in trials):
        return None
    resumed = newest.reason == MAX_TRIALS and (spec.max_trial_count or 0) > now.trials
    if newest.type == "Succeeded" and resumed:
        return None  # it was extended; Katib has not taken notice yet
    time = now.completion_time or newest.last_transition_time
    assert time is not None, "every condition of Katib's has a time"
    return Ending(
        condition=ExperimentCondition(newest.type),
        reason=newest.reason,
        message=_message(newest, trials),
        time=time,
    )


def _message(newest: katib_wire.Condition, trials: Sequence[TrialStatus]) -> str:
    """Katib's own sentence; of failed trials, with why the last of them failed."""
    failed = [t for t in trials if t.condition == TrialCondition.FAILED and t.message]
    if newest.type == "Failed" and failed:
        return f"{newest.message.rstrip('.')}; {failed[-1].name}: {failed[-1].message}"
    return newest.message


def _going_on(seen: Seen, trials: Sequence[TrialStatus]) -> tuple[ExperimentCondition, str, str]:
    conditions = seen.experiment.status.conditions if seen.experiment else ()
    # NB: Katib leaves Restarting True for ever; it says something only while it is the newest.
    newest = katib_wire.condition(conditions, *ExperimentCondition)
    if newest and newest.type == "Restarting":
        return ExperimentCondition.RESTARTING, newest.reason, newest.message
    if any(trial.condition != TrialCondition.CREATED for trial in trials):
        return ExperimentCondition.RUNNING, "ExperimentRunning", ""
    return ExperimentCondition.CREATED, "ExperimentCreated", ""
