"""Facts in few words, the same in Slack and in the terminal: numbers, durations, gains. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot import insight
from bot.insight import Gain
from bot.spec import Scalar, TuneSpec
from bot.status import Experiment, ExperimentCondition, TrialCondition

# What ended an Experiment, in Katib's reasons and ours.
REASONS: Mapping[str, str] = {
    "ExperimentGoalReached": "the goal was reached",
    "ExperimentMaxTrialsReached": "all trials are done",
    "ExperimentSuggestionEndReached": "every point of the search space was tried",
    "BudgetReached": "the time budget is used up",
    "StoppedByUser": "stopped",
    "Deleted": "it was deleted, and not by me",
}
COLOURS: Mapping[ExperimentCondition, str] = {
    ExperimentCondition.CREATED: "⚪",
    ExperimentCondition.RUNNING: "🔵",
    ExperimentCondition.RESTARTING: "🔵",
    ExperimentCondition.SUCCEEDED: "🟢",
    ExperimentCondition.FAILED: "🔴",
    ExperimentCondition.KILLED: "🟠",
}
TRIAL_COLOURS: Mapping[TrialCondition, str] = {
    TrialCondition.CREATED: "⚪",
    TrialCondition.RUNNING: "🔵",
    TrialCondition.SUCCEEDED: "🟢",
    TrialCondition.EARLY_STOPPED: "🟡",
    TrialCondition.KILLED: "🟠",
    TrialCondition.FAILED: "🔴",
    TrialCondition.METRICS_UNAVAILABLE: "🔴",
}
# What to do about a failure whose own sentence need not say it.
REMEDIES: Mapping[str, str] = {
    "OutOfMemory": "Use a smaller per_device_train_batch_size, max_length or "
    "parallel_trial_count, give the trials more memory, or let them go on with half the batch: "
    "retry_out_of_memory=true.",
    "Diverged": "Lower the upper end of learning_rate.",
    "DeadlineExceeded": "Give trials more time (deadline=…), or fewer rows or epochs.",
    "DiskFull": "Free some space, or write less: checkpoints=false.",
    "NotPushed": "Look whether trials may reach Katib's DB manager, or take "
    "metrics_collector=StdOut.",
    "Killed": "Something outside ended it: look for a machine that is short of memory.",
    "Evicted": "Its node was short of something: say what trials need (memory=…), or try it again.",
    "Preempted": "Try it again, or give trials a higher priority class in the trial template.",
    "NodeLost": "Nothing is wrong with the trial itself: try it again.",
    "NodeShutdown": "Nothing is wrong with the trial itself: try it again.",
    "StartError": "Check the image and the command.",
    "MetricsCollectorFailed": "Try it again; if it happens often, give Katib's metrics collectors "
    "more memory in katib-config.",
    "MetricsUnavailable": "The trial ended without reporting the objective metric: check "
    "objective_metric_name.",
}


def number(value: Scalar) -> str:
    """3.1e-04, 0.7825, 16, adamw_torch: as short as a person needs it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if not isinstance(value, float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}"
    return f"{value:.1e}"


def duration(time: timedelta) -> str:
    """45 s, 2 min 10 s, 1 h 05 min, 3 d 4 h."""
    seconds = round(time.total_seconds())
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60:02d} min"
    if minutes:
        return f"{minutes} min {seconds % 60} s" if seconds % 60 else f"{minutes} min"
    return f"{seconds} s"


def about(time: timedelta) -> str:
    """A duration that changes rarely: in tens of seconds below two minutes, else in minutes."""
    step = 10 if time < timedelta(minutes=2) else 60
    return duration(timedelta(seconds=int(time.total_seconds()) // step * step))


def percent(progress: float | None) -> str:
    """45 %, in steps of 5, so that a card changes no more often than one can see; "" for None."""
    return "" if progress is None else f"{int(progress * 20) * 5} %"


def gpu_hours(hours: float | None, *, rough: bool = False) -> str:
    """12.4 GPU-hours; `rough` changes rarely, for a card. "" if unknown or hardly any."""
    if hours is None or hours < 0.05:
        return ""
    return f"{int(hours)} GPU-hours" if rough and hours >= 10 else f"{hours:.1f} GPU-hours"


def count(many: int, noun: str) -> str:
    """1 trial, 2 trials."""
    return f"{many} {noun}" if many == 1 else f"{many} {noun}s"


def done(experiment: Experiment) -> str:
    """4 of 10 trials; 4 of 10 trials + trial 0: how many ended, and which of those beside them."""
    status = experiment.status
    beside = [trial for trial in status.trials if trial.beside and trial.condition.is_final]
    again = sum(not trial.known_good for trial in beside)
    words = [f"{status.counted} of {count(experiment.spec.max_trial_count, 'trial')}"]
    words += ["trial 0"] if again < len(beside) else []
    words += [f"{again} tried again"] if again else []
    return " + ".join(words)


def state(experiment: Experiment) -> str:
    """🟢 Succeeded, ⚫ Deleted: a colour and the field's word."""
    status = experiment.status
    if status.reason == "Deleted":
        return "⚫ Deleted"
    if experiment.is_paused:
        return "⏸️ Paused"
    return f"{COLOURS[status.condition]} {status.condition.value}"


def why_ended(experiment: Experiment) -> str:
    """What ended it: "all trials are done", "3 trials failed, and max_failed_trial_count is 3"."""
    status, record = experiment.status, experiment.record
    if status.reason == "StoppedByUser" and record.stopped_by:
        return f"stopped by {record.stopped_by}"
    if status.reason in REASONS:
        return REASONS[status.reason]
    limit = experiment.spec.max_failed_trial_count
    if status.condition is ExperimentCondition.FAILED and status.failed_counted >= max(limit, 1):
        return (
            f"{count(status.failed_counted, 'trial')} failed, and max_failed_trial_count is {limit}"
        )
    return {"Killed": "stopped", "Failed": "it failed"}.get(status.condition.value, "done")


def difference(spec: TuneSpec, gain: Gain) -> str:
    """3.1 points better; 0.034 lower (5 %): the gain in the words of its metric."""
    size = abs(gain.value)
    if insight.is_score(spec.objective_metric_name):
        interval = f" ± {100 * gain.interval:.1f}" if gain.interval is not None else ""
        return f"{100 * size:.1f}{interval} points {'better' if gain.value > 0 else 'worse'}"
    interval = f" ± {number(gain.interval)}" if gain.interval is not None else ""
    part = f" ({size / abs(gain.known_good):.0%})" if gain.known_good else ""
    direction = "higher" if gain.optimum > gain.known_good else "lower"
    return f"{number(float(size))}{interval} {direction}{part}"


def verdict(experiment: Experiment) -> str:
    """What the search brought over the known-good default, in one honest sentence; or ""."""
    gain, default = insight.gain(experiment), experiment.status.known_good_trial
    if gain is None or default is None:
        return ""
    shown = f"the known-good default (trial {default.number}: {number(gain.known_good)})"
    if gain.value <= 0:
        return f"The search brought nothing: {shown} was not beaten."
    words = difference(experiment.spec, gain)
    if not insight.is_beyond_noise(experiment.spec, gain):
        return f"{words} than {shown}: that is within noise, so take either."
    return f"{words} than {shown}."


def caution(spec: TuneSpec) -> str:
    """What must be said of an objective that is not held out; or ""."""
    if not spec.is_custom and spec.objective_metric_name.startswith("train_"):
        return "The objective is the training loss: it says nothing about unseen data."
    return ""


def model(spec: TuneSpec) -> str:
    """What is tuned: the model, or the custom objective."""
    return spec.objective_function or spec.objective_image or spec.model_uri


def dataset(spec: TuneSpec) -> str:
    """Where the data come from; "" for a custom objective."""
    return "" if spec.is_custom else spec.dataset or spec.s3_uri
