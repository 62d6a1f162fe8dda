"""What Katib says of an Experiment and its trials, as our status (pure).

Numbers are texts there, and not all of them are numbers: `unavailable`, an empty text and nan are
failures, never optima. The optimum is ours, not Katib's: it takes a trial without a number for one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bot.engines import endings, katib_wire
from bot.engines.katib_state import End, OwnTrial, State
from bot.engines.katib_wire import Condition, KatibExperiment, KatibTrial, Metric
from bot.spec import Number, Parameter, Scalar, TuneSpec
from bot.status import (
    Ending,
    ExperimentCondition,
    ExperimentStatus,
    Observation,
    Record,
    TrialCondition,
    TrialStatus,
    Trouble,
)

JOB_REASON = ". Job reason: "
JOB_MESSAGE = ". Job message: "
# How Kubernetes and the training operator say that a trial took too long, and our word for it.
TOO_LATE = ("DeadlineExceeded", "longer than specified deadline")
DEADLINE = "Deadline"
SUSPICIOUS_ZERO = "SuspiciousZero"


@dataclass(frozen=True)
class Seen:
    """What is there of one Experiment.

    Args:
        own: our own trials as they are, by name; one that is missing has not started.
        troubles: what it waits for.
        ends: why trials failed, by name, as their pods said.
        suggestion: what its Suggestion said when that failed: the Experiment does not repeat it.
        order: names of trials in the order of their numbers: Katib dates them by whole seconds.
    """

    experiment: KatibExperiment | None = None
    trials: Sequence[KatibTrial] = ()
    own: Mapping[str, TrialStatus] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    ends: Mapping[str, End] = field(default_factory=dict)
    suggestion: str = ""
    order: Sequence[str] = ()


def status(record: Record, state: State, seen: Seen) -> ExperimentStatus:
    """The Experiment as it is; once its end is decided, as it was then."""
    spec = record.spec
    katibs = [_trial(spec, each, seen.ends) for each in in_order(seen.trials, seen.order)]
    trials = state.trials if state.ending else tuple(_numbered(state, seen, katibs))
    over = state.ending or _over(spec, state, seen, katibs, trials)
    shown = endings.status_of(spec, trials, over, _going_on(seen, trials))
    hours = sum(state.gpu_seconds.values()) / 3600
    done = {trial.name for trial in trials if trial.condition.is_final}
    waiting = () if over else tuple(each for each in seen.troubles if each.trial not in done)
    return shown.model_copy(
        update={
            "troubles": waiting,
            "gpu_hours": round(hours, 4) if spec.gpu else None,
        }
    )


def in_order(trials: Iterable[KatibTrial], known: Sequence[str] = ()) -> list[KatibTrial]:
    """Trials as they were created; those that have a place in `known` first, and there."""
    place = {name: number for number, name in enumerate(known)}
    return sorted(trials, key=lambda t: (place.get(t.metadata.name, len(place)), *_age(t)))


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


# --- trials ---------------------------------------------------------------------------------------


def _numbered(state: State, seen: Seen, katibs: Sequence[TrialStatus]) -> Iterator[TrialStatus]:
    """Trial 0 first, Katib's as they were created, then those that are tried again."""
    own = [(each.known_good, _own(each, state, seen)) for each in state.own]
    first = [trial for known_good, trial in own if known_good]
    again = [trial for known_good, trial in own if not known_good]
    for number, trial in enumerate((*first, *katibs, *again)):
        yield trial.model_copy(update={"number": number})


def _own(own: OwnTrial, state: State, seen: Seen) -> TrialStatus:
    return (
        state.outcomes.get(own.name)
        or seen.own.get(own.name)
        or TrialStatus(
            name=own.name,
            number=0,
            condition=TrialCondition.CREATED,
            parameters=own.parameters,
            known_good=own.known_good,
        )
    )


def _age(trial: KatibTrial) -> tuple[float, str]:
    created = trial.metadata.creation_timestamp
    return created.timestamp() if created else math.inf, trial.metadata.name


def _trial(spec: TuneSpec, trial: KatibTrial, ends: Mapping[str, End]) -> TrialStatus:
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


# --- the Experiment -------------------------------------------------------------------------------


def _over(
    spec: TuneSpec,
    state: State,
    seen: Seen,
    katibs: Sequence[TrialStatus],
    trials: Sequence[TrialStatus],
) -> Ending | None:
    """Its end, if Katib says so and nothing of it runs any more."""
    made = seen.experiment
    newest = _verdict(made)
    if made is None or newest is None or _is_extended(made):
        return None
    # After a failure of the whole nobody waits for trial 0; a good end waits for every trial.
    awaited = katibs if newest.type == "Failed" else trials
    if _is_at_work(state, made, katibs) or not all(t.condition.is_final for t in awaited):
        return None
    dates = (made.status.completion_time, newest.last_transition_time)
    time = max((date for date in dates if date), default=made.metadata.creation_timestamp)
    assert time is not None, "the API server dates every object"
    return Ending(
        condition=ExperimentCondition(newest.type),
        reason=newest.reason,
        message=_sentence(spec, newest, seen.suggestion, katibs),
        time=time,
    )


def _verdict(made: KatibExperiment | None) -> Condition | None:
    """Katib's Succeeded or Failed. NB: Failed has no completionTime if the Suggestion failed."""
    conditions = made.status.conditions if made else ()
    return katib_wire.condition(conditions, "Succeeded", "Failed")


def _is_extended(made: KatibExperiment) -> bool:
    """Whether it ended because all trials had run, and more were asked for since."""
    newest, most = _verdict(made), made.spec.max_trial_count or 0
    done = newest is not None and newest.reason == endings.MAX_TRIALS_REACHED
    return done and most > made.status.trials


def _is_at_work(state: State, made: KatibExperiment, katibs: Sequence[TrialStatus]) -> bool:
    """Whether Katib's trials still run: it does not stop them, and what they find still counts.

    One that it counts and that was not seen is still to come; in somebody else's Experiment it may
    have been deleted long ago.
    """
    now = made.status
    unseen = len(katibs) < now.trials and not state.adopted
    return bool(now.trials_running or now.trials_pending or unseen)


def _sentence(
    spec: TuneSpec, newest: Condition, suggestion: str, katibs: Sequence[TrialStatus]
) -> str:
    """Why it ended, as the local engine says it; else in Katib's own words."""
    if newest.reason == endings.GOAL_REACHED and spec.objective_goal is not None:
        return endings.goal_sentence(spec)
    if newest.reason == endings.MAX_TRIALS_REACHED:
        return endings.done_sentence(katibs)
    if newest.type == "Failed" and newest.message.startswith("Suggestion"):
        return f"{newest.message}: {suggestion}" if suggestion else newest.message
    if newest.type == "Failed" and any(t.condition in endings.COUNT_AS_FAILED for t in katibs):
        return endings.failures_sentence(katibs)
    return newest.message


def _going_on(seen: Seen, trials: Sequence[TrialStatus]) -> tuple[ExperimentCondition, str, str]:
    """Condition, reason and message while it is not over."""
    made = seen.experiment
    # NB: Katib leaves Restarting True for ever; it says something only while it is the newest.
    newest = katib_wire.condition(made.status.conditions if made else (), *ExperimentCondition)
    restarting = newest is not None and newest.type == "Restarting"
    if restarting or (made and _is_extended(made)):
        return ExperimentCondition.RESTARTING, "ExperimentRestarting", ""
    started = any(trial.condition != TrialCondition.CREATED for trial in trials)
    if not started and (newest is None or newest.type == "Created"):
        return ExperimentCondition.CREATED, "ExperimentCreated", ""
    left = sum(not trial.condition.is_final for trial in trials)
    ending = newest is not None and newest.type in ("Succeeded", "Failed") and left
    message = f"No more trials are started; {left} still to end." if ending else ""
    return ExperimentCondition.RUNNING, "ExperimentRunning", message
