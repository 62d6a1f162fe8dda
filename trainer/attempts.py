"""What an earlier process of the same trial has left to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from trainer import checkpoints, survive
from trainer.config import TrialConfig
from trainer.out_of_memory import Batch
from trainer.result import Recorder
from trainer.survive import Keeping
from trainer.tasks.base import Encoded
from trainer.watch import trainable

# What does not change a trial's numbers.
IRRELEVANT = ("checkpoints", "deadline_seconds", "retry_out_of_memory")
SAMPLED_ROWS = 8


def fingerprint(
    config: TrialConfig, encoded: Encoded, network: Any, args: TrainingArguments
) -> str:
    """What tells this trial from others: flags, number of rows and some of them, what is trained,
    and the number of processes."""
    asked = {name: value for name, value in asdict(config).items() if name not in IRRELEVANT}
    shapes = {name: tuple(weight.shape) for name, weight in trainable(network).items()}
    rows = [
        (len(each), [each[i] for i in range(0, len(each), 1 + len(each) // SAMPLED_ROWS)])
        for each in (encoded.train, encoded.eval)
    ]
    return checkpoints.fingerprint(asked, rows, shapes, args.world_size)


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


def _newest(folder: Path, recorder: Recorder) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    if checkpoints.others(folder):
        recorder.note("The output folder holds a checkpoint of another trial; it stays there.")
    for found in checkpoints.whole(folder):
        state = survive.read(found)
        if state is not None:
            return {**found.about, "resumes": found.about["resumes"] + 1}, state
        recorder.warn(f"The checkpoint {found.folder.name} cannot be read and is left out.")
    return None
