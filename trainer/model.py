"""The model to fine-tune: its folder, its tokenizer, its head, and the LoRA around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer

from trainer import hub, shipped, sources
from trainer.casting import cast_fields
from trainer.errors import TrialError, one_line

NO_LIMIT = 1_000_000
PRECISION_TOLERANCE = 1e-5
# What peft trains besides the LoRA matrices, yet takes for linear layers like others.
HEADS = {"TOKEN_CLS": ["classifier", "score"], "QUESTION_ANS": ["qa_outputs"]}

Warn = Callable[[str], None]


def model_folder(uri: str) -> Path:
    """The local folder of a model, downloaded if it is a hub name that is not in the cache."""
    source = sources.read(uri, "model")
    if source.kind == "default":
        return shipped.folder(source.value)
    return hub.folder(source.value, "model") if source.kind == "hub" else Path(source.value)


def load_tokenizer(folder: Path, uri: str, **options: Any) -> Any:
    """The tokenizer, with a pad token even where the model has none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(uri, "tokenizer", error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load(kind: Any, folder: Path, uri: str, **options: Any) -> Any:
    """The network of a folder, by the class `kind` (an AutoModelFor…), in float32 on the CPU."""
    try:
        return kind.from_pretrained(folder, dtype=torch.float32, **options)
    except (OSError, ValueError, KeyError) as error:
        raise _unreadable(uri, "weights", error) from error


def _unreadable(uri: str, what: str, error: Exception) -> TrialError:
    return TrialError(
        "ModelNotFound", f"The model {uri!r} has no {what} to load: {one_line(error)}"
    )


def longest(asked: int, tokenizer: Any, model: Any, warn: Warn) -> int:
    """The number of tokens per text: what was asked, or what the model can take if that is less."""
    positions = getattr(model.config, "max_position_embeddings", None) or NO_LIMIT
    limit = min(tokenizer.model_max_length, positions)
    if asked <= limit:
        return asked
    warn(f"The model takes {limit} tokens at most, so max length is {limit} and not {asked}.")
    return int(limit)


def lora_config(given: Mapping[str, object], task_type: str | None) -> LoraConfig:
    """A LoraConfig from fields as text; all linear layers and alpha = 2r unless said otherwise."""
    hints = get_type_hints(LoraConfig)
    # NB: without a task type peft trains the LoRA matrices alone and a new head stays random.
    below = {"task_type": task_type, "target_modules": "all-linear"}
    typed = {**below, **cast_fields(given, hints, "LoraConfig")}
    if typed["task_type"] != task_type:
        raise TrialError("BadParameter", f"task_type is {task_type} here and nothing else.")
    if typed["target_modules"] == "all-linear":
        typed.setdefault("exclude_modules", HEADS.get(task_type or ""))
    typed.setdefault("r", LoraConfig().r)
    typed.setdefault("lora_alpha", 2 * typed["r"])
    try:
        return LoraConfig(**typed)
    except (ValueError, TypeError) as error:
        raise TrialError("BadParameter", f"LoraConfig refused: {one_line(error)}") from error


def with_lora(model: Any, config: LoraConfig) -> Any:
    """The model with frozen weights, trainable LoRA matrices and a trainable head.

    `fresh_modules` of a model are those of its head that were not loaded, where peft does not know.
    """
    if fresh := getattr(model, "fresh_modules", ()):
        config.modules_to_save = [*(config.modules_to_save or ()), *fresh]
        if config.target_modules == "all-linear":
            config.exclude_modules = list(fresh)
    try:
        return get_peft_model(model, config)
    except (ValueError, TypeError, ImportError) as error:
        raise TrialError("BadParameter", f"LoRA cannot be applied: {one_line(error)}") from error


def choose_matmul_precision() -> str:
    """Allows other float32 kernels where they are faster and as exact as the ordinary ones.

    "medium" permits bfloat16, but on CPUs may merely select oneDNN's float32 kernels. Measured with
    this program: 1.5 times as fast on an AMD CPU, 12 % slower on an Intel one, where MKL is at its
    best. So elsewhere than on Intel one product is compared with float64; a GPU keeps PyTorch's own
    setting.
    """
    if torch.accelerator.is_available() or _is_intel(Path("/proc/cpuinfo")):
        return torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    if matmul_error() > PRECISION_TOLERANCE:
        torch.set_float32_matmul_precision("highest")
    return torch.get_float32_matmul_precision()


def matmul_error() -> float:
    """The relative error of one float32 product as it is computed now, against float64."""
    chance = torch.Generator().manual_seed(0)
    left = torch.randn(256, 384, generator=chance)
    right = torch.randn(1536, 384, generator=chance)
    exact = left.double() @ right.double().T
    found = torch.nn.functional.linear(left, right)
    return float((found - exact).norm() / exact.norm())


def _is_intel(cpuinfo: Path) -> bool:
    return cpuinfo.exists() and "GenuineIntel" in cpuinfo.read_text()
