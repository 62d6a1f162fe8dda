"""How a trial ended, from what its process left behind (pure)."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from datetime import datetime

from bot.engines.endings import unreported_sentence
from bot.engines.local_status import Outcome
from bot.engines.trainer_command import (
    DISK_FULL,
    RESULT_FILE,
    Result,
    read_result,
    why_failed,
)
from bot.spec import Frozen, TuneSpec
from bot.status import Observation, TrialCondition


class Remains(Frozen):
    """What is left of a process that has ended.

    `result` is the text of RESULT_FILE, None if there is none; `exit_code` is negative for a signal
    and None if unknown (the engine that started it is gone); `observation` is what its log says;
    `memory_ran_out` says that the kernel killed something for want of memory while it ran.
    """

    result: str | None
    exit_code: int | None
    log: str = ""
    observation: Mapping[str, Observation] = {}
    memory_ran_out: bool = False
    disk_was_full: bool = False


class Verdict(Frozen):
    """Why the engine itself ended a trial."""

    condition: TrialCondition
    reason: str
    message: str


def outcome(spec: TuneSpec, remains: Remains, verdict: Verdict | None, now: datetime) -> Outcome:
    """How a trial ended. A success that came just before the engine's verdict is a success."""
    result = read_result(remains.result) if remains.result is not None else _without_result(remains)
    if result.state == "Succeeded":
        end = _success(spec, result)
    else:
        end = verdict or Verdict(
            condition=TrialCondition.FAILED, reason=result.reason, message=result.message
        )
    return Outcome(
        condition=end.condition,
        reason=end.reason,
        message=end.message,
        observation=_observation(end, remains, result),
        completion_time=result.finished or now,
    )


def _observation(end: Verdict, remains: Remains, result: Result) -> Mapping[str, Observation]:
    # NB: one that is stopped early counts with what it has reported, whether or not its program
    # had the time to write a result.
    if end.condition == TrialCondition.EARLY_STOPPED:
        return {**remains.observation, **result.metrics}
    return result.metrics


def can_go_on(spec: TuneSpec, remains: Remains) -> bool:
    """Whether a trial that died with its engine is worth starting again: it has checkpoints.

    A custom objective has none, and what it does may not be safe to repeat.
    """
    if spec.is_custom or not spec.checkpoints or remains.disk_was_full:
        return False
    return was_ended(remains)


def was_ended(remains: Remains) -> bool:
    """Whether a trial was ended from outside before it had anything to tell."""
    return remains.result is None or read_result(remains.result).reason == "Killed"


def _success(spec: TuneSpec, result: Result) -> Verdict:
    metric = spec.objective_metric_name
    if metric in result.metrics:
        return Verdict(condition=TrialCondition.SUCCEEDED, reason="", message="")
    return Verdict(
        condition=TrialCondition.METRICS_UNAVAILABLE,
        reason="MetricsUnavailable",
        message=unreported_sentence(metric, result.metrics),
    )


def _without_result(remains: Remains) -> Result:
    reason, message = _cause(remains)
    return Result(state="Failed", reason=reason, message=message)


def _cause(remains: Remains) -> tuple[str, str]:
    code = remains.exit_code
    failed = why_failed(code or 0, remains.log)
    if failed[0] == "DiskFull" or remains.disk_was_full:
        return "DiskFull", DISK_FULL
    if code is None:
        return "Killed", "The trial was killed while no engine watched it."
    if code == -signal.SIGKILL and remains.memory_ran_out:
        return (
            "OutOfMemory",
            "The system ran out of memory and killed the trial; "
            "try a smaller per_device_train_batch_size or parallel_trial_count.",
        )
    if code < 0:
        return "Killed", f"The trial was killed by {signal.Signals(-code).name}."
    if code == 0:
        return "CorruptResult", f"The trial ended without writing {RESULT_FILE}."
    return failed
