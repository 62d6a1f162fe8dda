"""An Experiment's status as Katib v0.19 computes it from the Trials; no calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.cluster.metrics import UNAVAILABLE, as_number, objective_value
from tests.cluster.objects import condition, is_true, no_longer, now, with_condition
from tests.cluster.resources import Json

# Condition of a Trial -> list and count in the Experiment's status, in the order Katib asks.
FIELDS: Mapping[str, tuple[str, str]] = {
    "Killed": ("killedTrialList", "trialsKilled"),
    "Failed": ("failedTrialList", "trialsFailed"),
    "Succeeded": ("succeededTrialList", "trialsSucceeded"),
    "EarlyStopped": ("earlyStoppedTrialList", "trialsEarlyStopped"),
    "MetricsUnavailable": ("metricsUnavailableTrialList", "trialMetricsUnavailable"),
    "Running": ("runningTrialList", "trialsRunning"),
    "Pending": ("pendingTrialList", "trialsPending"),
}
ACTIVE = ("Running", "Pending")
FINISHED = ("Killed", "Failed", "Succeeded", "EarlyStopped", "MetricsUnavailable")


def state(trial: Json) -> str:
    """Which list a Trial belongs to."""
    conditions = trial.get("status", {}).get("conditions", ())
    return next((one for one in FIELDS if is_true(conditions, one)), "Pending")


def is_finished(trial: Json) -> bool:
    return state(trial) in FINISHED


def count(status: Json, *states: str) -> int:
    return sum(status.get(FIELDS[one][1], 0) for one in states)


def summary(experiment: Json, trials: Sequence[Json]) -> tuple[Json, bool]:
    """The status with counts, lists and optimum brought up to date; and: is the goal reached?

    Zeros and empty lists are left out. The trials come oldest first, the first wins a tie.
    """
    status = dict(experiment.get("status", {}))
    for names, number in FIELDS.values():
        status.pop(names, None)
        status.pop(number, None)
    status["trials"] = len(trials)
    for trial in trials:
        names, number = FIELDS[state(trial)]
        status.setdefault(names, []).append(trial["metadata"]["name"])
        status[number] = len(status[names])
    best, reached = _best(experiment["spec"]["objective"], trials)
    if best is not None:
        status["currentOptimalTrial"] = {
            "bestTrialName": best["metadata"]["name"],
            "parameterAssignments": best["spec"]["parameterAssignments"],
            "observation": best["status"]["observation"],
        }
    return status, reached


def _best(objective: Json, trials: Sequence[Json]) -> tuple[Json | None, bool]:
    """A value that is no number makes its trial the best so far, until a better number comes."""
    sign = 1 if objective["type"] == "minimize" else -1
    goal = objective.get("goal")
    best: Json | None = None
    value: float | None = None
    reached = False
    for trial in trials:
        text = objective_value(trial)
        if text == UNAVAILABLE:
            continue
        number = as_number(text)
        if number is None:
            best = trial
            continue
        if best is None:
            best, value = trial, number
        if sign * number < sign * (0.0 if value is None else value):
            best, value = trial, number
        compared = 0.0 if value is None else value
        reached = reached or (goal is not None and sign * compared <= sign * goal)
    return best, reached


def verdict(spec: Json, status: Json, goal_reached: bool) -> Json:
    """The status with the conditions that follow, in Katib's order of questions."""
    failed = count(status, "Failed", "MetricsUnavailable")
    limit, most = spec.get("maxFailedTrialCount"), spec.get("maxTrialCount")
    if goal_reached:
        message = "Experiment has succeeded because Objective goal has reached"
        return ended(status, "Succeeded", "ExperimentGoalReached", message)
    if limit is not None and failed and failed >= limit:
        message = "Experiment has failed because max failed count has reached"
        return ended(status, "Failed", "ExperimentFailed", message)
    if most is not None and count(status, *FINISHED) >= most:
        message = "Experiment has succeeded because max trial count has reached"
        return ended(status, "Succeeded", "ExperimentMaxTrialsReached", message)
    conditions = with_condition(
        status["conditions"], "Running", "ExperimentRunning", "Experiment is running"
    )
    return {**status, "conditions": conditions}


def ended(
    status: Json, kind: str, reason: str, message: str, *, with_completion_time: bool = True
) -> Json:
    """Running turns to False, then the last condition comes."""
    conditions = no_longer(status["conditions"], "Running")
    conditions = with_condition(conditions, kind, reason, message)
    changed = {**status, "conditions": conditions}
    return {**changed, "completionTime": now()} if with_completion_time else changed


def restarted(status: Json) -> Json:
    """Succeeded is taken away, Restarting comes and stays."""
    conditions = [one for one in status["conditions"] if one["type"] != "Succeeded"]
    conditions = with_condition(
        conditions, "Restarting", "ExperimentRestarting", "Experiment is restarted"
    )
    return {**status, "conditions": conditions}


def trial_ended(status: Json, kind: str, reason: str, message: str) -> Json:
    """The same for a Trial."""
    conditions = with_condition(no_longer(status["conditions"], "Running"), kind, reason, message)
    return {**status, "conditions": conditions, "completionTime": now()}


def failed_suggestion(suggestion: Json) -> bool:
    return is_true(suggestion.get("status", {}).get("conditions", ()), "Failed")


def explained(status: Json, kind: str) -> str:
    """A condition's message, "" if it is not there."""
    found = condition(status.get("conditions", ()), kind)
    return found["message"] if found else ""
