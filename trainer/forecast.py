"""`python -m trainer forecast`: what a trial will need of memory, without running it or torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer import machine, memory, shipped, sources
from trainer.casting import cast, is_auto
from trainer.config import TrialConfig
from trainer.errors import TrialError

BATCH, EVAL_BATCH, OPTIMIZER, RANK = 8, 32, "adamw", 8
HALVES = ("bf16", "fp16")


def run(config: TrialConfig) -> str:
    """The sentence; rows are taken to be as long as --max-length, on a CPU."""
    needed = of(config)
    free = machine.memory_free() / memory.MB
    return f"This trial needs {needed.sentence()}; {free:,.0f} MB are free here."


def of(config: TrialConfig) -> memory.Forecast:
    """The forecast of a trial as asked for; ModelNotFound without a model to read the sizes of."""
    folder = _folder(config)
    weights = memory.weights_of(folder)
    if not weights or not (folder / "config.json").exists():
        raise TrialError(
            "ModelNotFound",
            f"The model {config.model_uri!r} has no config.json and *.safetensors to read sizes "
            "from.",
        )
    parameters = sum(memory.size_of(shape) for shape in weights.values())
    has_lora = config.method == "lora"
    targets = config.lora_config.get("target_modules", memory.ALL_LINEAR)
    rank = int(_typed(config.lora_config, "r", int, RANK))
    added = memory.lora_parameters(weights, rank, _names(targets)) if has_lora else 0
    shape = memory.shape_of(
        json.loads((folder / "config.json").read_text()),
        4.0 * (parameters + added),
        added or parameters,
        has_lora=has_lora,
    )
    given = config.training_parameters
    load = memory.Load(
        rows=_typed(given, "per_device_train_batch_size", int, BATCH),
        tokens=config.max_length,
        eval_rows=_typed(given, "per_device_eval_batch_size", int, EVAL_BATCH),
        optimizer=str(given.get("optim", OPTIMIZER)),
        is_language_model=memory.is_language_model(config.transformer_type),
        gradient_checkpointing=_typed(given, "gradient_checkpointing", bool, False),
        half_precision=any(
            _typed(given, name, bool, False) for name in HALVES if not is_auto(given.get(name))
        ),
    )
    return memory.forecast(shape, load)


def _folder(config: TrialConfig) -> Path:
    if config.model_s3:
        return sources.fetched(config.model_s3)
    source = sources.read(config.model_uri, "model")
    if source.kind == "default":
        return shipped.folder(source.value)
    if source.kind == "local":
        return Path(source.value)
    from trainer import hub

    return hub.folder(source.value, "model")


def _names(targets: object) -> list[str]:
    """Names as they may be written: a list, or text with commas."""
    return [str(each) for each in targets] if isinstance(targets, list) else str(targets).split(",")


def _typed(given: Mapping[str, object], name: str, kind: Any, below: Any) -> Any:
    if name not in given:
        return below
    try:
        return cast(given[name], kind)
    except ValueError as error:
        raise TrialError("BadParameter", f"{name}: expected {error}.") from error
