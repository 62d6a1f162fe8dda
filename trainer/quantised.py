"""A base of 4 or 8 bits per weight under LoRA, by bitsandbytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import torch
from peft import prepare_model_for_kbit_training

from trainer.errors import TrialError, one_line

BITS: Mapping[str, Mapping[str, Any]] = {
    "4bit": {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
        "bnb_4bit_use_double_quant": True,
    },
    "8bit": {"load_in_8bit": True},
}


def check() -> None:
    """BadParameter if nothing can be quantised here; called before anything is loaded."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise TrialError(
            "BadParameter",
            "--quantization needs bitsandbytes, which is not installed: pip install bitsandbytes.",
        )
    from transformers.integrations import validate_bnb_backend_availability

    try:
        validate_bnb_backend_availability(raise_exception=True)
    except (RuntimeError, ImportError, OSError) as error:
        raise TrialError(
            "BadParameter", f"bitsandbytes cannot quantise on this device: {one_line(error)}"
        ) from error


def options(quantization: str) -> dict[str, Any]:
    """What `from_pretrained` must know; all weights go to this process' own device."""
    from transformers import BitsAndBytesConfig

    bits = dict(BITS[quantization])
    if quantization == "4bit":
        bits["bnb_4bit_compute_dtype"] = compute_dtype()
    return {"quantization_config": BitsAndBytesConfig(**bits), "device_map": {"": _device()}}


def compute_dtype() -> torch.dtype:
    """bfloat16 on GPUs that have it, else float16; float32 on a CPU."""
    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _device() -> Any:
    from accelerate import PartialState

    return PartialState().device


def prepared(network: Any, *, checkpointing: bool) -> Any:
    """The network with its base frozen and what is not quantised in float32."""
    from bitsandbytes.nn import Linear4bit

    for module in network.modules():
        if isinstance(module, Linear4bit):
            # NB: else, on CPUs with bfloat16 units, the first evaluation changes the weights for
            # good into a form whose product has no gradient, and what trains after it is wrong.
            module.support_avx512bf16_for_cpu = False
    return prepare_model_for_kbit_training(network, use_gradient_checkpointing=checkpointing)
