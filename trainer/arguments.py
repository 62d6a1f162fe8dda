"""TrainingArguments from what a trial was given, in any version's spelling, all of it as text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import get_type_hints

import torch
from transformers import TrainingArguments

from trainer.casting import cast_fields, is_auto
from trainer.config import OWN_PARAMETERS, TrialConfig
from trainer.errors import TrialError, one_line
from trainer.precision import has_bf16
from trainer.result import Recorder

# Names of earlier versions of transformers, which guides still use.
RENAMED = {"evaluation_strategy": "eval_strategy", "no_cuda": "use_cpu"}
GONE = {"warmup_ratio": float, "group_by_length": bool}
DEFAULTS = {"eval_strategy": "epoch", "logging_strategy": "epoch", "per_device_eval_batch_size": 32}
# What the trial program decides itself: nothing saved but on request, nothing reported elsewhere.
OURS: Mapping[str, object] = {
    "report_to": "none",
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "push_to_hub": False,
    "disable_tqdm": True,
    "label_names": ["labels"],  # NB: without it the evaluation of a PEFT model has no loss.
    "logging_nan_inf_filter": False,
    "log_level": "error",
}
ABOVE_ZERO = (
    "num_train_epochs",
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "gradient_accumulation_steps",
)


def training_arguments(
    config: TrialConfig, output_dir: Path, recorder: Recorder
) -> TrainingArguments:
    """TrainingArguments from fields as text: our defaults below them, our own settings above."""
    given = renamed(config.training_parameters)
    hints = {**get_type_hints(TrainingArguments), **OWN_PARAMETERS}  # for the nearest names
    typed = cast_fields(given, hints, "TrainingArguments")
    for name in ABOVE_ZERO:
        if name in typed and typed[name] <= 0:
            raise TrialError("BadParameter", f"{name} must be above 0, received {typed[name]}.")
    for name in OURS:
        if typed.get(name) not in (None, OURS[name]):
            recorder.warn(f"{name} is decided by the trial program and stays {OURS[name]!r}.")
    if "eval_steps" in typed:
        typed.setdefault("eval_strategy", "steps")
    if "logging_steps" in typed:
        typed.setdefault("logging_strategy", "steps")
    # NB: bf16 without a GPU is refused unless the CPU is asked for by name.
    below = {**DEFAULTS, "seed": config.seed, "use_cpu": not torch.accelerator.is_available()}
    if not typed.get("fp16"):
        below["bf16"] = has_bf16()
    try:
        return TrainingArguments(**{**below, **typed, **OURS, "output_dir": str(output_dir)})
    except (ValueError, TypeError, ImportError) as error:
        raise refused(error) from error


def renamed(given: Mapping[str, object]) -> dict[str, object]:
    """Fields by the names that they have in this version of transformers.

    `bf16` may be `auto`, which is the default: used where the hardware has it.
    """
    fields = {RENAMED.get(name, name): value for name, value in given.items() if name not in GONE}
    gone = {name: value for name, value in given.items() if name in GONE}
    typed = cast_fields(gone, GONE, "TrainingArguments")
    if typed.get("group_by_length"):
        fields["train_sampling_strategy"] = "group_by_length"
    if is_auto(fields.get("bf16")):
        del fields["bf16"]
    # A number of steps wins over a ratio, as it always did; a fraction of a step is a ratio now.
    if "warmup_ratio" in typed and str(fields.get("warmup_steps", 0)) in ("0", "0.0"):
        if not 0 <= typed["warmup_ratio"] < 1:
            raise TrialError("BadParameter", "warmup_ratio must be from 0 to below 1.")
        fields["warmup_steps"] = typed["warmup_ratio"]
    return fields


def refused(error: Exception) -> TrialError:
    return TrialError("BadParameter", f"TrainingArguments refused: {one_line(error)}")
