"""What a trial finds before its first step: what it goes on from, and whether memory will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from trainer import checkpoints, machine, memory, survive
from trainer.config import TrialConfig
from trainer.out_of_memory import Batch
from trainer.result import Recorder
from trainer.survive import Keeping
from trainer.tasks.base import Encoded
from trainer.watch import trainable

# The longest of so many rows is looked for; more are taken to be as long as allowed.
MEASURED_ROWS = 20_000
# What does not change a trial's numbers.
IRRELEVANT = ("checkpoints", "deadline_seconds", "retry_out_of_memory")


def fingerprint(config: TrialConfig, data: str, network: Any, args: TrainingArguments) -> str:
    """What tells this trial from others: flags, rows, what is trained, the number of processes."""
    asked = {name: value for name, value in asdict(config).items() if name not in IRRELEVANT}
    shapes = {name: tuple(weight.shape) for name, weight in trainable(network).items()}
    return checkpoints.fingerprint(asked, data, shapes, args.world_size)


def earlier(
    config: TrialConfig,
    args: TrainingArguments,
    batch: Batch | None,
    recorder: Recorder,
    mark: str,
) -> tuple[Mapping[str, Any] | None, Keeping]:
    """What is gone on from, if anything, and what the trial's next checkpoints are about.

    `args` get the batch that is tried: `batch`, or the earlier process', or their own.
    """
    folder = checkpoints.folder(recorder.output_dir, mark)
    recorder.facts["fingerprint"] = mark
    about: Mapping[str, Any] = {"resumes": 0}
    state = None
    if config.checkpoints and recorder.speaks:
        about, state = _newest(folder, recorder) or (about, None)
    if state is not None:
        recorder.facts["resumed_from_step"] = about["step"]
        recorder.facts["resumes"] = about["resumes"]
        recorder.note(f"The trial goes on from the checkpoint of step {about['step']}.")
    own = Batch(args.per_device_train_batch_size, args.gradient_accumulation_steps)
    batch = batch or (Batch(*about["batch"]) if "batch" in about else own)
    args.per_device_train_batch_size = batch.rows
    args.gradient_accumulation_steps = batch.accumulation
    kept = {"resumes": about["resumes"], "batch": [batch.rows, batch.accumulation]}
    return state, Keeping(folder, kept, config.checkpoints)


def forecast(
    config: TrialConfig, args: TrainingArguments, encoded: Encoded, network: Any, recorder: Recorder
) -> None:
    """Records how much memory the trial will need, and says so if there is less."""
    is_gpu = args.device.type == "cuda"
    is_text = "input_ids" in encoded.train[0]  # NB: each look at a picture reads its file.
    measured = is_text and len(encoded.train) <= MEASURED_ROWS
    rows = (*encoded.train, *encoded.eval) if measured else ()
    lengths = [len(row["input_ids"]) for row in rows]
    needed = memory.forecast(
        memory.shape_of(
            network.config.to_dict(),
            sum(weight.nbytes for weight in network.parameters()),
            recorder.facts["trainable_parameters"],
            has_lora=config.method == "lora",
        ),
        memory.Load(
            rows=args.per_device_train_batch_size,
            tokens=max(lengths, default=config.max_length),
            eval_rows=args.per_device_eval_batch_size,
            optimizer=str(getattr(args.optim, "value", args.optim)),
            is_language_model=memory.is_language_model(config.transformer_type),
            gradient_checkpointing=args.gradient_checkpointing,
            half_precision=args.bf16 or args.fp16,
            is_gpu=is_gpu,
        ),
    )
    recorder.facts["memory_forecast_mb"] = needed.total
    free = torch.cuda.mem_get_info()[0] if is_gpu else machine.memory_free() + machine.resident()
    if needed.total > free / memory.MB:
        place = "the GPU has" if is_gpu else "there are"
        recorder.warn(
            f"The trial needs {needed.sentence()}; {place} {free / memory.MB:,.0f} MB free. It may "
            "run out; try a smaller per_device_train_batch_size with more accumulation."
        )


def _newest(folder: Path, recorder: Recorder) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    if checkpoints.others(folder):
        recorder.note("The output folder holds a checkpoint of another trial; it stays there.")
    for found in checkpoints.whole(folder):
        state = survive.read(found)
        if state is not None:
            return {**found.about, "resumes": found.about["resumes"] + 1}, state
        recorder.warn(f"The checkpoint {found.folder.name} cannot be read and is left out.")
    return None
