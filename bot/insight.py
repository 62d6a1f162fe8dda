"""What the trials say: best so far, gain over the known-good default, time to go. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from bot import prior
from bot import spec as specs
from bot.spec import Frozen, TuneSpec
from bot.status import Experiment, ExperimentStatus, TrialCondition, TrialStatus

ENDED_WELL = (TrialCondition.SUCCEEDED, TrialCondition.EARLY_STOPPED)
# Metrics between 0 and 1 (or -1 and 1), of which people speak in points (hundredths).
SCORES = ("accuracy", "f1", "precision", "recall", "auc", "matthews", "exact_match")
MIN_SCORE_GAIN = 0.005
MIN_RELATIVE_GAIN = 0.01
EVAL_ROWS = re.compile(r"\[(\d*):(\d+)\]$")
SEEDS = 3
DEFAULT_SEED = 42  # the trainer's


class Gain(Frozen):
    """What the search brought over the known-good default.

    `value` is positive when the optimum is better, whatever the direction of the objective;
    `interval` is its standard error as the sampling of rows goes, None where it is not known.
    """

    value: float
    optimum: float
    known_good: float
    interval: float | None = None


def is_score(metric: str) -> bool:
    """Whether people speak of this metric in points (hundredths)."""
    return any(word in metric.lower() for word in SCORES)


def improvement(spec: TuneSpec, value: float, previous: float) -> float:
    """How much better `value` is than `previous`; negative when it is worse."""
    return value - previous if spec.objective_type == "maximize" else previous - value


def is_worth_telling(spec: TuneSpec, value: float, previous: float) -> bool:
    """Whether a new best is more than noise: half a point of a score, 1 % of anything else."""
    metric = spec.objective_metric_name
    least = MIN_SCORE_GAIN if is_score(metric) else MIN_RELATIVE_GAIN * abs(previous)
    better = improvement(spec, value, previous)
    # NB: 0.755 - 0.75 is 0.00500…0004 or 0.00499…, so a billionth is forgiven.
    return better > 0 and better >= least * (1 - 1e-9)


def ranked(spec: TuneSpec, trials: Iterable[TrialStatus]) -> tuple[TrialStatus, ...]:
    """The trials that ended well and have a value, the best first, the earlier first in a tie."""
    sign = -1 if spec.objective_type == "maximize" else 1
    found = [
        (sign * value, trial.number, trial)
        for trial in trials
        if (value := trial_value(spec, trial)) is not None
    ]
    return tuple(trial for *_order, trial in sorted(found, key=lambda item: item[:2]))


def trial_value(spec: TuneSpec, trial: TrialStatus | None) -> float | None:
    """The objective's value of a trial that ended well; None for any other."""
    return trial.value(spec) if trial and trial.condition in ENDED_WELL else None


def best_so_far(spec: TuneSpec, trials: Iterable[TrialStatus]) -> tuple[tuple[int, float], ...]:
    """(trial number, best value up to it) for every trial that ended well, by number."""
    best: float | None = None
    line: list[tuple[int, float]] = []
    for trial in sorted(ranked(spec, trials), key=lambda trial: trial.number):
        value = trial.value(spec)
        assert value is not None  # ranked() has only trials with a value
        best = value if best is None or improvement(spec, value, best) > 0 else best
        line.append((trial.number, best))
    return tuple(line)


def thinned(line: tuple[tuple[int, float], ...], points: int) -> tuple[tuple[int, float], ...]:
    """At most `points` of `line`, evenly spaced, the first and the last among them."""
    if len(line) <= points:
        return line
    step = (len(line) - 1) / (points - 1)
    return tuple(line[round(index * step)] for index in range(points))


def gain(experiment: Experiment) -> Gain | None:
    """The optimum against the known-good trial; None while one of them has no value."""
    spec, status = experiment.spec, experiment.status
    optimum = trial_value(spec, status.optimal_trial)
    known_good = trial_value(spec, status.known_good_trial)
    if optimum is None or known_good is None:
        return None
    return Gain(
        value=improvement(spec, optimum, known_good),
        optimum=optimum,
        known_good=known_good,
        interval=_standard_error(spec, optimum, known_good),
    )


def _standard_error(spec: TuneSpec, first: float, second: float) -> float | None:
    """Of the difference of two accuracies on as many rows as the slice of `eval_split` names."""
    sliced = EVAL_ROWS.search(spec.eval_split or "")
    accuracies = spec.objective_metric_name == "eval_accuracy" and 0 <= first <= 1 >= second >= 0
    rows = int(sliced[2]) - int(sliced[1] or 0) if sliced else 0
    if not accuracies or rows <= 0:
        return None
    return math.sqrt((first * (1 - first) + second * (1 - second)) / rows)


def is_beyond_noise(spec: TuneSpec, gain: Gain) -> bool:
    """Whether the optimum is better by more than a standard error and worth telling."""
    beyond = gain.interval is None or gain.value > gain.interval
    return beyond and is_worth_telling(spec, gain.optimum, gain.known_good)


def ended(experiment: Experiment) -> datetime | None:
    """When it ended (its last trial, where the engine does not say); None while it runs."""
    status = experiment.status
    if not status.condition.is_final:
        return None
    last = max((t.completion_time for t in status.trials if t.completion_time), default=None)
    return status.completion_time or last


def elapsed(experiment: Experiment, now: datetime) -> timedelta:
    """From the start (the request, before it started) to the end, or to now."""
    begun = experiment.status.start_time or experiment.record.created
    return max((ended(experiment) or now) - begun, timedelta())


def duration(trial: TrialStatus, now: datetime | None = None) -> timedelta | None:
    """How long a trial took, or has been running until `now`."""
    end = trial.completion_time or now
    return max(end - trial.start_time, timedelta()) if trial.start_time and end else None


def time_to_go(experiment: Experiment, now: datetime) -> timedelta | None:
    """Until the last trial at the pace so far, or until the budget.

    None without a finished trial, and while it is paused. The pace is work done (finished trials
    and parts of running ones) by time passed, so that slots which the engine could not fill count
    as they were. Durations are those of trials that ended well, of any that ended otherwise.
    """
    spec, status = experiment.spec, experiment.status
    typical = _typical_duration(status)
    begun = min((t.start_time for t in status.trials if t.start_time), default=None)
    if typical is None or begun is None or status.condition.is_final or experiment.is_paused:
        return None
    running = [t for t in status.trials if t.condition is TrialCondition.RUNNING]
    parts = {t.number: _part_done(t, typical, now) for t in running}
    done = status.finished + sum(parts.values())
    left = max(_expected_trials(spec, status) - done, 0.0)
    at_pace = left * (now - begun) / done
    # The last trials run alone: the end is not before the slowest of them.
    slowest = max(((1 - part) * typical for part in parts.values()), default=timedelta())
    return _within_budget(experiment, now, max(at_pace, slowest))


def _typical_duration(status: ExperimentStatus) -> timedelta | None:
    finished = [t for t in status.trials if t.condition.is_final]
    well = [t for t in finished if t.condition in ENDED_WELL]
    took = [d for t in well or finished if (d := duration(t)) is not None]
    mean = sum(took, timedelta()) / len(took) if took else timedelta()
    return mean or None


def _part_done(trial: TrialStatus, typical: timedelta, now: datetime) -> float:
    if trial.progress is not None:
        return min(trial.progress, 1.0)
    return min((duration(trial, now) or timedelta()) / typical, 0.95)


def _expected_trials(spec: TuneSpec, status: ExperimentStatus) -> int:
    return spec.max_trial_count + sum(trial.beside for trial in status.trials)


def _within_budget(experiment: Experiment, now: datetime, wanted: timedelta) -> timedelta:
    budget = experiment.spec.max_duration_seconds
    if budget is None:
        return wanted
    left = timedelta(seconds=budget) - elapsed(experiment, now)
    return min(wanted, max(left, timedelta()))


def optimal_hyperparameters(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Every hyperparameter of the optimum, searched or not, by its field; {} without one."""
    spec, trial = experiment.spec, experiment.status.optimal_trial
    if trial is None:
        return {}
    found = {
        field: {
            name: trial.parameters.get(name) if name in spec.searched else value
            for name, value in values.items()
        }
        for field in specs.HYPERPARAMETER_FIELDS
        if (values := getattr(spec, field))
    }
    rank = found.get("lora_config", {}).get("r")
    if isinstance(rank, int):
        found["lora_config"].setdefault("lora_alpha", prior.tied_alpha(rank))
    return found


def repeat_data(experiment: Experiment) -> dict[str, Any]:
    """Plain spec data (without a name) that trains the optimum again, with three seeds.

    The first seed is the one of the optimum; the others show how much of its value is luck. A
    custom objective has no seed that we know of: there, and without an optimum, it is the same
    search again.
    """
    spec, trial = experiment.spec, experiment.status.optimal_trial
    data = {k: v for k, v in specs.to_data(spec).items() if k != "name"}
    if trial is None or spec.is_custom:
        return data
    data = {k: v for k, v in data.items() if specs.group(k) not in ("Search", "Budget")}
    data |= optimal_hyperparameters(experiment)
    training = data.get("training_parameters", {})
    seed = training.get("seed", spec.seed)
    first = seed if isinstance(seed, int) else DEFAULT_SEED
    training = {**training, "seed": {"list": [first + more for more in range(SEEDS)]}}
    data.pop("objective_goal", None)
    search = {"algorithm_name": "grid", "known_good_trial": False, "max_trial_count": SEEDS}
    return data | {"training_parameters": training} | search


def ranked_experiments(found: Iterable[Experiment]) -> list[Experiment]:
    """The best first, metric by metric; those without an optimum at the end."""

    def rank(experiment: Experiment) -> tuple[bool, str, float]:
        spec = experiment.spec
        value = trial_value(spec, experiment.status.optimal_trial)
        sign = -1 if spec.objective_type == "maximize" else 1
        return value is None, spec.objective_metric_name, sign * (value or 0.0)

    return sorted(found, key=rank)
