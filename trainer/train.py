"""One trial of fine-tuning: Hugging Face's Trainer, told what we record and what we refuse."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel
from torch import distributed
from transformers import PrinterCallback, TrainingArguments

from trainer import (
    attempts,
    dropout,
    layers,
    loading,
    lora,
    out_of_memory,
    precision,
    provenance,
    quantised,
    tasks,
)
from trainer.arguments import refused, renamed, training_arguments
from trainer.config import OWN_DEFAULTS, TASK_METRICS, TrialConfig
from trainer.errors import is_out_of_memory
from trainer.loading import Base
from trainer.out_of_memory import Batch
from trainer.result import BASE_CONFIG, BEST, TEST_FILE, Recorder
from trainer.stop import Stop
from trainer.survive import SurvivingTrainer
from trainer.tasks.base import Collator, Encoded, Task
from trainer.watch import Watch, trainable

SHOWN_TRAINING = (
    *("learning_rate", "num_train_epochs", "max_steps", "per_device_train_batch_size"),
    *("gradient_accumulation_steps", "weight_decay", "warmup_steps", "lr_scheduler_type", "optim"),
    *("max_grad_norm", "label_smoothing_factor", "seed", "bf16", "fp16"),
)
SHOWN_LORA = ("r", "lora_alpha", "lora_dropout", "target_modules", "bias", "use_rslora", "use_dora")


def run(
    config: TrialConfig,
    output_dir: Path,
    recorder: Recorder,
    stop: Stop | None = None,
    base: Base | None = None,
) -> None:
    """Loads, trains, evaluates; every number goes to the recorder.

    A trial that was stopped goes on; one that ran out of memory is tried once more, if allowed.

    Args:
        base: what was loaded already; it is used up.
    """
    stop = stop or Stop()
    smaller = _attempt(config, output_dir, recorder, stop, None, base)
    if smaller:
        out_of_memory.free()
        _attempt(config, output_dir, recorder, stop, smaller)


def _attempt(
    config: TrialConfig,
    output_dir: Path,
    recorder: Recorder,
    stop: Stop,
    batch: Batch | None,
    base: Base | None = None,
) -> Batch | None:
    """One whole trial; the batch to try it with if its own needs too much memory."""
    try:
        with recorder.phase("load"):
            ready = prepare(config, output_dir, recorder, stop, batch, base)
        _train(ready, config, output_dir, recorder, stop)
    except (MemoryError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        told = out_of_memory.failure(error, recorder.facts)
        is_allowed = config.retry_out_of_memory and batch is None
        return out_of_memory.retry(told, recorder, is_allowed=is_allowed)
    finally:
        stop.is_watched = False
    return None


def _train(
    ready: Prepared, config: TrialConfig, output_dir: Path, recorder: Recorder, stop: Stop
) -> None:
    trainer, watch = ready.trainer, ready.watch
    stop.is_watched = True
    with recorder.phase("train"):
        trainer.go_on(ready.earlier)
    stop.is_watched = False
    if watch.evaluated_at != trainer.state.global_step:
        trainer.evaluate()
    if config.save_best and trainer.is_world_process_zero():
        watch.restore_best()
        _save(ready, output_dir / BEST)
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


@dataclass(frozen=True)
class Prepared:
    """A trial before its first step."""

    trainer: SurvivingTrainer
    watch: Watch
    network: Any
    processor: Any
    earlier: Mapping[str, Any] | None  # what the trial goes on from


def prepare(
    config: TrialConfig,
    output_dir: Path,
    recorder: Recorder,
    stop: Stop | None = None,
    batch: Batch | None = None,
    base: Base | None = None,
) -> Prepared:
    """Everything up to the first step; what can be wrong with the request is found here.

    Args:
        batch: how a step's rows come to a device, if not as the configuration says.
        base: what was loaded already; it is used up.
    """
    if threads := os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    recorder.facts["matmul_precision"] = precision.choose_matmul_precision()
    args = training_arguments(config, output_dir, recorder)
    is_lora = config.method == "lora"
    kind = tasks.load(config.transformer_type)
    settings = lora.lora_config(config.lora_config, kind.peft_task_type) if is_lora else None
    if config.quantization:
        quantised.check()
    if base and not base.serves(config, args.seed):
        base = None
    loaded = base.hand_over(recorder) if base else loading.load(config, args.seed, recorder)
    task, source, processor = loaded.task, loaded.source, loaded.processor
    if source:
        args.max_steps = source.steps(args)
        recorder.facts["rows"] |= {"train": source.count, "streaming": True}
    max_length = task.longest(config.max_length, processor, loaded.network, recorder.warn)
    heads = task.heads(loaded.network)
    network = _for_training(loaded.network, config, args, settings, heads)
    dropout.quicken(network)
    if base and base.longest == max_length:
        encoded = base.encoded
    else:
        encoded = loading.encode(loaded, config, max_length, recorder.warn)
    recorder.facts["rows"] |= encoded.facts
    for note in encoded.notes:
        recorder.warn(note)
    task.keep(encoded)
    mark = attempts.fingerprint(config, loaded.fingerprint, network, args)
    earlier, keeping = attempts.earlier(config, args, batch, recorder, mark)
    recorder.facts["parameters"] = _resolved(config, args, settings, max_length)
    recorder.facts["processes"] = args.world_size
    recorder.facts["versions"] = provenance.versions()
    recorder.facts["device"] = provenance.device(args.device.type)
    recorder.facts["rows_per_step"] = (
        args.train_batch_size * args.world_size * args.gradient_accumulation_steps
    )
    recorder.facts["trainable_parameters"] = sum(p.numel() for p in trainable(network).values())
    attempts.forecast(config, args, encoded, network, recorder)
    if source:
        stream = source.stream(
            lambda rows: task.encode_rows(rows, processor, max_length),
            seed=args.seed if args.data_seed is None else args.data_seed,
            batch=args.train_batch_size,
            rank=args.process_index,
            world=args.world_size,
        )
        encoded = replace(encoded, train=stream)
    metrics = [f"eval_{name}" for name in ("loss", *TASK_METRICS[config.transformer_type])]
    watch = Watch(recorder, metrics, network if config.save_best else None)
    survival = {"watch": watch, "keeping": keeping, "stop": stop or Stop()}
    trainer = _trainer(network, args, task, encoded, task.collator(processor), survival)
    return Prepared(trainer, watch, network, processor, earlier)


def _for_training(
    network: Any,
    config: TrialConfig,
    args: TrainingArguments,
    settings: LoraConfig | None,
    heads: Sequence[str],
) -> Any:
    """The network with what the method trains, and with the rest frozen."""
    if config.quantization:
        network = quantised.prepared(network, checkpointing=args.gradient_checkpointing)
    if settings:
        return lora.with_lora(network, settings, heads, config.frozen_layers)
    if config.frozen_layers:
        layers.freeze(network, config.frozen_layers)
    return network


def _resolved(
    config: TrialConfig,
    args: TrainingArguments,
    settings: LoraConfig | None,
    max_length: int | None,
) -> dict[str, object]:
    """The hyperparameters as they really were: the usual ones, and all that were given."""
    training = (*SHOWN_TRAINING, *renamed(config.training_parameters))
    found = {name: getattr(args, name) for name in dict.fromkeys(training)}
    if settings:
        found |= {name: getattr(settings, name) for name in (*SHOWN_LORA, *config.lora_config)}
    plain = {name: _plain(value) for name, value in found.items()}
    own = {"max_length": max_length, "train_fraction": config.train_fraction}
    asked = {name: getattr(config, name) for name in OWN_DEFAULTS}
    own |= {name: value for name, value in asked.items() if value != OWN_DEFAULTS[name]}
    if config.quantization:
        own["quantization"] = config.quantization
    return {"method": config.method, **own, **plain}


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
    task: Task,
    encoded: Encoded,
    collator: Collator,
    survival: Mapping[str, Any],
) -> SurvivingTrainer:
    try:
        trainer = SurvivingTrainer(
            task,
            survival["watch"].recorder,
            encoded.train,
            model=network,
            args=args,
            eval_dataset=encoded.eval,
            data_collator=collator,
            **survival,
        )
        # NB: made here, so that an optimizer that is not installed is refused before training.
        trainer.create_optimizer()
    except (ValueError, TypeError, ImportError) as error:
        raise refused(error) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _save(ready: Prepared, folder: Path) -> None:
    """The adapter (or model) and the tokenizer, as a folder that is whole or not there."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    ready.network.save_pretrained(partial)
    if isinstance(ready.network, PeftModel):
        ready.network.get_base_model().config.save_pretrained(partial / BASE_CONFIG)
    ready.processor.save_pretrained(partial)
    folder.with_name(TEST_FILE).unlink(missing_ok=True)  # the score of those that were there
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
