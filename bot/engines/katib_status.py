"""What Katib says of an Experiment, as our status (pure).

The optimum is ours, not Katib's: Katib takes a trial without a number for one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bot.engines import endings, katib_wire
from bot.engines.katib_state import End, OwnTrial, State
from bot.engines.katib_trials import in_order, trial_status
from bot.engines.katib_wire import Condition, KatibExperiment, KatibTrial
from bot.spec import TuneSpec
from bot.status import (
    Ending,
    ExperimentCondition,
    ExperimentStatus,
    Record,
    TrialCondition,
    TrialStatus,
    Trouble,
)

FETCHING = "Model and data are being fetched into the Experiment's volume."


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
    katibs = [trial_status(spec, each, seen.ends) for each in in_order(seen.trials, seen.order)]
    trials = state.trials if state.ending else tuple(_numbered(state, seen, katibs))
    over = state.ending or _over(record, seen, katibs, trials)
    shown = endings.status_of(spec, trials, over, _going_on(seen, trials))
    hours = sum(state.gpu_seconds.values()) / 3600
    done = {trial.name for trial in trials if trial.condition.is_final}
    waiting = () if over else tuple(each for each in seen.troubles if each.trial not in done)
    fetches = record.submitted and not (state.fetched or over or seen.experiment)
    return shown.model_copy(
        update={
            "message": FETCHING if fetches else shown.message,
            "troubles": waiting,
            "gpu_hours": round(hours, 4) if spec.gpu else None,
        }
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


# --- trials ---------------------------------------------------------------------------------------


def _numbered(state: State, seen: Seen, katibs: Sequence[TrialStatus]) -> Iterator[TrialStatus]:
    """Trial 0 first, Katib's as they were created, then those that are tried again."""
    own = [(each.known_good, _own(each, state, seen)) for each in state.own]
    first = [trial for known_good, trial in own if known_good]
    again = [trial for known_good, trial in own if not known_good]
    beside = {own.name for own in state.own}
    for number, trial in enumerate((*first, *katibs, *again)):
        yield trial.model_copy(update={"number": number, "beside": trial.name in beside})


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


# --- the Experiment -------------------------------------------------------------------------------


def _over(
    record: Record, seen: Seen, katibs: Sequence[TrialStatus], trials: Sequence[TrialStatus]
) -> Ending | None:
    """Its end, if Katib says so and nothing of it runs any more."""
    made = seen.experiment
    newest = _verdict(made)
    if made is None or newest is None or _is_extended(made):
        return None
    # After a failure of the whole nobody waits for trial 0; a good end waits for every trial.
    awaited = katibs if newest.type == "Failed" else trials
    if _is_at_work(record, made, katibs) or not all(t.condition.is_final for t in awaited):
        return None
    dates = (made.status.completion_time, newest.last_transition_time)
    time = max((date for date in dates if date), default=made.metadata.creation_timestamp)
    assert time is not None, "the API server dates every object"
    return Ending(
        condition=ExperimentCondition(newest.type),
        reason=newest.reason,
        message=_sentence(record.spec, newest, seen.suggestion, katibs),
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


def _is_at_work(record: Record, made: KatibExperiment, katibs: Sequence[TrialStatus]) -> bool:
    """Whether Katib's trials still run: it does not stop them, and what they find still counts.

    One that it counts and that was not seen is still to come; in somebody else's Experiment it may
    have been deleted long ago.
    """
    now = made.status
    unseen = len(katibs) < now.trials and not record.adopted
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
