"""One trial of fine-tuning: Hugging Face's Trainer, told what we record and what we refuse."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_type_hints

import torch
from peft import LoraConfig
from torch import distributed
from transformers import (
    DataCollatorWithPadding,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)

from trainer import classification, data, model
from trainer.casting import cast_fields
from trainer.config import EVAL_METRICS, STEP_METRICS, TrialConfig
from trainer.errors import TrialError, one_line
from trainer.loop import WatchedTrainer
from trainer.result import Recorder, peak_memory_mb

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
SHOWN_TRAINING = (
    *("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size"),
    *("gradient_accumulation_steps", "weight_decay", "warmup_steps", "lr_scheduler_type", "optim"),
    *("max_grad_norm", "label_smoothing_factor", "seed", "bf16", "fp16"),
)
SHOWN_LORA = ("r", "lora_alpha", "lora_dropout", "target_modules", "bias", "use_rslora", "use_dora")


def run(config: TrialConfig, output_dir: Path, recorder: Recorder) -> None:
    """Loads, trains, evaluates; every number goes to the recorder."""
    with recorder.phase("load"):
        ready = prepare(config, output_dir, recorder)
    trainer, watch = ready.trainer, ready.watch
    with recorder.phase("train"):
        outcome = trainer.train()
    if watch.evaluated_at != trainer.state.global_step:
        trainer.evaluate()
    _record_end(recorder, trainer, ready.rows, outcome.training_loss)
    if config.save_best and trainer.is_world_process_zero():
        watch.restore_best()
        _save(ready, output_dir / "best")
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


@dataclass(frozen=True)
class Prepared:
    """A trial before its first step."""

    trainer: Trainer
    watch: Watch
    network: Any
    tokenizer: Any
    rows: int


def prepare(config: TrialConfig, output_dir: Path, recorder: Recorder) -> Prepared:
    """Everything up to the first step; what can be wrong with the request is found here."""
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    recorder.facts["matmul_precision"] = model.choose_matmul_precision()
    args = training_arguments(config, output_dir, recorder)
    lora = model.lora_config(config.lora_config) if config.method == "lora" else None
    task = classification.prepare(
        data.load_splits(config.dataset, config.s3), config, recorder.warn
    )
    recorder.facts["rows"] = task.counts()
    folder = model.model_folder(config.model_uri)
    tokenizer = model.load_tokenizer(folder, config.model_uri)
    set_seed(args.seed)  # NB: before the head and the LoRA matrices are drawn.
    network = model.load_classifier(folder, config.model_uri, task.names, tokenizer)
    max_length = model.longest(config.max_length, tokenizer, network, recorder.warn)
    if lora:
        network = model.with_lora(network, lora)
    recorder.facts["parameters"] = _resolved(config, args, lora, max_length)
    recorder.facts["processes"] = args.world_size
    recorder.facts["rows_per_step"] = (
        args.train_batch_size * args.world_size * args.gradient_accumulation_steps
    )
    recorder.facts["trainable_parameters"] = sum(p.numel() for p in _trainable(network).values())
    watch = Watch(recorder, network if config.save_best else None)
    trainer = _trainer(network, args, task, tokenizer, max_length, watch)
    return Prepared(trainer, watch, network, tokenizer, len(task.train.labels))


def training_arguments(
    config: TrialConfig, output_dir: Path, recorder: Recorder
) -> TrainingArguments:
    """TrainingArguments from fields as text: our defaults below them, our own settings above."""
    given = _renamed(config.training_parameters)
    typed = cast_fields(given, get_type_hints(TrainingArguments), "TrainingArguments")
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
    try:
        return TrainingArguments(**{**below, **typed, **OURS, "output_dir": str(output_dir)})
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(error) from error


def _renamed(given: Mapping[str, object]) -> dict[str, object]:
    """Fields by the names that they have in this version of transformers."""
    fields = {RENAMED.get(name, name): value for name, value in given.items() if name not in GONE}
    gone = {name: value for name, value in given.items() if name in GONE}
    typed = cast_fields(gone, GONE, "TrainingArguments")
    if typed.get("group_by_length"):
        fields["train_sampling_strategy"] = "group_by_length"
    # A number of steps wins over a ratio, as it always did; a fraction of a step is a ratio now.
    if "warmup_ratio" in typed and str(fields.get("warmup_steps", 0)) in ("0", "0.0"):
        if not 0 <= typed["warmup_ratio"] < 1:
            raise TrialError("BadParameter", "warmup_ratio must be from 0 to below 1.")
        fields["warmup_steps"] = typed["warmup_ratio"]
    return fields


def _refused(error: Exception) -> TrialError:
    return TrialError("BadParameter", f"TrainingArguments refused: {one_line(error)}")


def _resolved(
    config: TrialConfig, args: TrainingArguments, lora: LoraConfig | None, max_length: int
) -> dict[str, object]:
    """The hyperparameters as they really were: the usual ones, and all that were given."""
    training = (*SHOWN_TRAINING, *_renamed(config.training_parameters))
    found = {name: getattr(args, name) for name in dict.fromkeys(training)}
    if lora:
        found |= {name: getattr(lora, name) for name in (*SHOWN_LORA, *config.lora_config)}
    plain = {name: _plain(value) for name, value in found.items()}
    return {"method": config.method, "max_length": max_length, **plain}


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, list, tuple)):
        return [_plain(item) for item in (sorted(value) if isinstance(value, set) else value)]
    return value if isinstance(value, (str, int, float, bool, dict, type(None))) else str(value)


def _trainer(
    network: Any,
    args: TrainingArguments,
    task: classification.Classification,
    tokenizer: Any,
    max_length: int,
    watch: Watch,
) -> Trainer:
    try:
        trainer = WatchedTrainer(
            watch.recorder,
            classification.encode(task.train, tokenizer, max_length),
            model=network,
            args=args,
            eval_dataset=classification.by_length(
                classification.encode(task.eval, tokenizer, max_length)
            ),
            data_collator=DataCollatorWithPadding(tokenizer),
            callbacks=[watch],
        )
        # NB: made here, so that an optimizer that is not installed is refused before training.
        trainer.create_optimizer()
    except (ValueError, TypeError, ImportError) as error:
        raise _refused(error) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


class Watch(TrainerCallback):
    """Hands what happens to the recorder; keeps the best trainable weights if asked to."""

    def __init__(self, recorder: Recorder, keep: Any | None) -> None:
        self.recorder = recorder
        self.evaluated_at = -1
        self._keep = keep
        self._best: dict[str, torch.Tensor] = {}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.recorder.progress(0, state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.recorder.progress(state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **more: Any,
    ) -> None:
        logs = more["logs"]
        found = {name: float(logs[name]) for name in STEP_METRICS if name in logs}
        if found:
            self.recorder.record(state.epoch or 0, state.global_step, found)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **more: Any,
    ) -> None:
        self.evaluated_at = state.global_step
        found = {name: more["metrics"][name] for name in EVAL_METRICS}
        is_best = self.recorder.record(state.epoch or 0, state.global_step, found)
        if is_best and self._keep is not None:
            weights = _trainable(self._keep).items()
            self._best = {name: weight.detach().to("cpu", copy=True) for name, weight in weights}

    def restore_best(self) -> None:
        """Puts the best weights back, where the objective is measured by evaluations."""
        weights = _trainable(self._keep)
        with torch.no_grad():
            for name, weight in self._best.items():
                weights[name].copy_(weight)


def _trainable(network: Any) -> dict[str, torch.nn.Parameter]:
    return {name: p for name, p in network.named_parameters() if p.requires_grad}


def _record_end(recorder: Recorder, trainer: Trainer, rows: int, training_loss: float) -> None:
    state = trainer.state
    found = {
        "train_loss": training_loss,
        "train_samples_per_second": rows * (state.epoch or 0) / recorder.seconds("train"),
        "peak_memory_mb": _largest(trainer, peak_memory_mb()),
    }
    recorder.record(state.epoch or 0, state.global_step, found)


def _largest(trainer: Trainer, value: float) -> float:
    """The largest of the values that the trial's processes have."""
    held = torch.tensor([value], dtype=torch.float32, device=trainer.args.device)
    return round(float(trainer.accelerator.gather(held).max()), 1)


def _save(ready: Prepared, folder: Path) -> None:
    """The adapter (or model) and the tokenizer, as a folder that is whole or not there."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    ready.network.save_pretrained(partial)
    ready.tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
