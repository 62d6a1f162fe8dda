"""A trial that asked for more memory than there is: what is said, and what it is tried with."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from trainer import machine
from trainer.errors import TrialError
from trainer.result import Recorder, peak_memory_mb


@dataclass(frozen=True)
class Batch:
    """How a step's rows come to a device: so many at a time, so many times."""

    rows: int
    accumulation: int

    def smaller(self) -> Batch | None:
        """The next smaller one with the same rows per step; None for single rows."""
        for rows in range(self.rows // 2, 0, -1):
            if self.rows % rows == 0:
                return Batch(rows, self.accumulation * (self.rows // rows))
        return None

    def __str__(self) -> str:
        return (
            f"per_device_train_batch_size {self.rows} and "
            f"gradient_accumulation_steps {self.accumulation}"
        )


def batch_of(facts: Mapping[str, Any]) -> Batch | None:
    """The batch that a trial has recorded; None for one that has not come so far."""
    found = facts.get("parameters")
    if found is None:
        return None
    return Batch(found["per_device_train_batch_size"], found["gradient_accumulation_steps"])


def failure(error: BaseException, facts: Mapping[str, Any]) -> TrialError:
    """What is said: where the memory ran out, at which peak, and with which configuration."""
    is_gpu = torch.cuda.is_available() and "CUDA" in str(error)
    size = torch.cuda.get_device_properties(0).total_memory if is_gpu else machine.memory_limit()
    peak = torch.cuda.max_memory_allocated() / 1e6 if is_gpu else peak_memory_mb()
    where = f"The {'GPU' if is_gpu else 'host'}'s memory ({size / 1e6:,.0f} MB)"
    batch = batch_of(facts)
    if batch is None:
        return TrialError(
            "OutOfMemory",
            f"{where} ran out at {peak:,.0f} MB while the model and the data were loaded; take a "
            "smaller model or fewer rows, or ask for more memory.",
        )
    length = facts["parameters"]["max_length"]
    lengths = "" if length is None else f", max_length {length}"
    return TrialError(
        "OutOfMemory",
        f"{where} ran out at a peak of {peak:,.0f} MB with {batch}{lengths}; try a smaller "
        "per_device_train_batch_size with more accumulation, a smaller max_length, or "
        "gradient_checkpointing.",
    )


def retry(told: TrialError, recorder: Recorder, *, is_allowed: bool) -> Batch:
    """The batch to try once more with, if that is allowed and possible; else raises `told`.

    The step's rows stay the same, and so do the numbers, but for the order of float32 sums and for
    what dropout draws.
    """
    batch = batch_of(recorder.facts)
    smaller = batch.smaller() if batch else None
    if not is_allowed or smaller is None:
        raise told
    if recorder.facts["processes"] > 1:
        # NB: the others wait for this one in the middle of a step, and cannot be called back.
        raise TrialError(told.reason, f"{told.message} Several processes are not tried again.")
    recorder.warn(f"{told.message} It is tried once more with {smaller}.")
    recorder.facts["retried_out_of_memory"] = {
        "per_device_train_batch_size": smaller.rows,
        "gradient_accumulation_steps": smaller.accumulation,
    }
    recorder.forget()
    return smaller


def free() -> None:
    """Gives back what a trial that failed has left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
