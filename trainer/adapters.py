"""A LoRA adapter as the model to begin with: it is merged into the base that it was made for.

So a trial that begins with an adapter is like any other: with LoRA it trains a new one, and with
full fine-tuning everything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trainer.errors import TrialError, one_line

CONFIG = "adapter_config.json"


def base_of(folder: Path, uri: str) -> str | None:
    """The URI of the model that the adapter in `folder` belongs to; None if there is no adapter."""
    file = folder / CONFIG
    if not file.is_file():
        return None
    try:
        config = json.loads(file.read_text())
    except ValueError as error:
        raise TrialError(
            "ModelNotFound", f"The model {uri!r} has a damaged {CONFIG}: {error}."
        ) from error
    if config.get("peft_type") != "LORA":
        raise TrialError(
            "ModelNotFound",
            f"The model {uri!r} is an adapter of type {config.get('peft_type')}; only LoRA "
            "adapters can be begun with.",
        )
    base = config.get("base_model_name_or_path")
    if not base:
        raise TrialError(
            "ModelNotFound",
            f"The model {uri!r} is a LoRA adapter whose {CONFIG} does not say of which model "
            "(base_model_name_or_path).",
        )
    return str(base)


def merged(network: Any, folder: Path) -> Any:
    """The network with the adapter's changes in its own weights, and its head if that fits."""
    # NB: `fetch` asks for bases, too, and has no use for what takes seconds to import.
    from peft import PeftModel
    from safetensors import SafetensorError

    try:
        adapted = PeftModel.from_pretrained(network, folder, ignore_mismatched_sizes=True)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise TrialError(
            "ModelNotFound",
            f"The adapter in {folder} cannot be put on its base: {one_line(error)}",
        ) from error
    whole = adapted.merge_and_unload()
    # NB: a new adapter names what it was trained on, and that is this one.
    whole.config.name_or_path = whole.name_or_path = str(folder)
    for parameter in whole.parameters():
        parameter.requires_grad_(True)
    return whole
