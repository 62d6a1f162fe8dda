"""One of Katib's trials as our status: its condition, its values, what it reported (pure).

Numbers are texts there, and not all of them are numbers: `unavailable`, an empty text and nan are
failures, never optima.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bot.engines import endings, katib_wire
from bot.engines.katib_state import End
from bot.engines.katib_wire import Condition, KatibTrial, Metric
from bot.spec import Number, Parameter, Scalar, TuneSpec
from bot.status import Observation, TrialCondition, TrialStatus

JOB_REASON = ". Job reason: "
JOB_MESSAGE = ". Job message: "
# How Kubernetes and the training operator say that a trial took too long; the first is our word.
DEADLINE = "DeadlineExceeded"
TOO_LATE = (DEADLINE, "longer than specified deadline")
SUSPICIOUS_ZERO = "SuspiciousZero"


def in_order(trials: Iterable[KatibTrial], known: Sequence[str] = ()) -> list[KatibTrial]:
    """Trials as they were created; those that have a place in `known` first, and there."""
    place = {name: number for number, name in enumerate(known)}
    return sorted(trials, key=lambda t: (place.get(t.metadata.name, len(place)), *_age(t)))


def trial_status(spec: TuneSpec, trial: KatibTrial, ends: Mapping[str, End]) -> TrialStatus:
    """One trial, its number left for others to give; `ends` is why trials failed, by name."""
    newest = katib_wire.condition(trial.status.conditions, *TrialCondition)
    condition = TrialCondition(newest.type) if newest else TrialCondition.CREATED
    searched = spec.searched
    # NB: Katib's own start is when the Trial was made; before its job there is nothing to time.
    started = trial.status.start_time or trial.metadata.creation_timestamp
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
        start_time=started if condition != TrialCondition.CREATED else None,
    )
    if newest is None or not condition.is_final:
        return shown
    completed = trial.status.completion_time or newest.last_transition_time
    return _ended(spec, shown.model_copy(update={"completion_time": completed}), newest, ends)


def value_of(text: str, space: Parameter) -> Scalar:
    """The value that Katib carried as text, with its type.

    A number outside a range is the number that was tried (hyperopt's steps leave the range); a text
    that is no number, or in no list, stays a text.
    """
    if not space.is_range:
        return _choice(text, space.list or ())
    number = _number(text)
    if number is None:
        return text
    return _whole(text, number) if space.parameter_type == "int" else number


def succeeded(spec: TuneSpec, trial: TrialStatus) -> TrialStatus:
    """A trial whose job ended well: succeeded, if it reported a number that can be believed."""
    value = trial.value(spec)
    if value is None:
        return trial.model_copy(
            update={
                "condition": TrialCondition.METRICS_UNAVAILABLE,
                "reason": "MetricsUnavailable",
                "message": endings.unreported_sentence(
                    spec.objective_metric_name, trial.observation
                ),
            }
        )
    if _is_suspicious(spec, value):
        return _suspicious(spec, trial)
    return trial.model_copy(update={"condition": TrialCondition.SUCCEEDED})


def _age(trial: KatibTrial) -> tuple[float, str]:
    created = trial.metadata.creation_timestamp
    return created.timestamp() if created else math.inf, trial.metadata.name


def _ended(
    spec: TuneSpec, trial: TrialStatus, newest: Condition, ends: Mapping[str, End]
) -> TrialStatus:
    """A trial that Katib says has ended, as far as that can be believed."""
    if trial.condition == TrialCondition.SUCCEEDED:
        return succeeded(spec, trial)
    if trial.condition == TrialCondition.METRICS_UNAVAILABLE:
        others = {
            name: seen
            for name, seen in trial.observation.items()
            if name != spec.objective_metric_name
        }
        return succeeded(spec, trial.model_copy(update={"observation": others}))
    if trial.condition == TrialCondition.FAILED:
        reason, message = _failure(newest, ends.get(trial.name))
        return trial.model_copy(update={"reason": reason, "message": message})
    value = trial.value(spec)
    if trial.condition == TrialCondition.EARLY_STOPPED and _is_suspicious(spec, value):
        return _suspicious(spec, trial)
    return trial


def _failure(newest: Condition, end: End | None) -> tuple[str, str]:
    """Reason and message of a failed trial: what its pods said, else what its job did."""
    reason = newest.reason.partition(JOB_REASON)[2] or newest.reason
    message = newest.message.partition(JOB_MESSAGE)[2] or newest.message
    # NB: pods that are ended for being late only say that something killed them.
    if any(words in reason or words in message for words in TOO_LATE):
        return DEADLINE, message
    return (end.reason, end.message or message) if end else (reason, message)


def _is_suspicious(spec: TuneSpec, value: float | None) -> bool:
    """transformers logs a loss that is nan as 0.0 unless it is told otherwise: it would win."""
    is_loss = "loss" in spec.objective_metric_name.lower()
    return value == 0.0 and spec.objective_type == "minimize" and is_loss


def _suspicious(spec: TuneSpec, trial: TrialStatus) -> TrialStatus:
    return trial.model_copy(
        update={
            "condition": TrialCondition.FAILED,
            "reason": SUSPICIOUS_ZERO,
            "message": f"`{spec.objective_metric_name}` is exactly 0: that is how a loss that is "
            "not a number is often logged, so the trial does not count.",
        }
    )


def _observation(trial: KatibTrial) -> dict[str, Observation]:
    # NB: Katib may list a metric once for each of its strategies; each of them says it all.
    return {
        metric.name: seen
        for metric in trial.status.observation.metrics or ()
        if (seen := _observed(metric)) is not None
    }


def _observed(metric: Metric) -> Observation | None:
    """None if the last that was reported is no number: whatever was before, it has diverged."""
    latest = _number(metric.latest)
    if latest is None:
        return None
    low, high = _number(metric.min), _number(metric.max)
    return Observation(
        min=latest if low is None else low, max=latest if high is None else high, latest=latest
    )


def _number(text: str) -> float | None:
    """A finite number; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _whole(text: str, number: float) -> Number:
    try:
        return int(text)
    except ValueError:  # 16.0, or 1e3
        return int(number) if number.is_integer() else number


def _choice(text: str, choices: Sequence[Scalar]) -> Scalar:
    for choice in choices:
        if str(choice) == text:
            return choice
    number = _number(text)  # Go writes 1e-05 as 0.00001
    for choice in choices:
        if isinstance(choice, (int, float)) and not isinstance(choice, bool) and choice == number:
            return choice
    return text
