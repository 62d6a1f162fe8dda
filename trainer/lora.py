"""LoRA: its configuration from text, every field of peft's, and the network with it."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

from peft import LoraConfig, get_peft_model
from torch import nn
from transformers.pytorch_utils import Conv1D

from trainer import layers
from trainer.casting import cast_fields
from trainer.errors import TrialError, one_line

ALL_LINEAR = "all-linear"
# Fields whose type peft states less exactly than they have it.
HINTS = {"rank_pattern": dict[str, int] | None, "alpha_pattern": dict[str, float] | None}
PISSA = re.compile(r"pissa_niter_\d+")
# What peft trains besides the LoRA matrices, yet takes for linear layers like others.
HEADS = {"TOKEN_CLS": ["classifier", "score"], "QUESTION_ANS": ["qa_outputs"]}
# These want the network to see rows before the first step; a trial has no such pass.
FROM_DATA = ("eva", "corda", "lora_ga")
SHOWN = 12
WRAPPED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding, Conv1D)


def lora_config(given: Mapping[str, object], task_type: str | None) -> LoraConfig:
    """A LoraConfig from fields as text; all linear layers and alpha = 2r unless said otherwise."""
    hints = {**get_type_hints(LoraConfig), **HINTS}
    if PISSA.fullmatch(str(given.get("init_lora_weights"))):
        hints["init_lora_weights"] = str
    # NB: without a task type peft trains the LoRA matrices alone and a new head stays random.
    below = {"task_type": task_type, "target_modules": ALL_LINEAR}
    typed = {**below, **cast_fields(given, hints, "LoraConfig")}
    for field in ("target_modules", "exclude_modules"):
        # NB: peft takes a text for a pattern of whole names, which a single word never is.
        if isinstance(typed.get(field), str) and str(typed[field]).isidentifier():
            typed[field] = [typed[field]]
    if typed["task_type"] != task_type:
        raise TrialError("BadParameter", f"task_type is {task_type} here and nothing else.")
    if typed.get("init_lora_weights") in FROM_DATA:
        raise TrialError(
            "BadParameter",
            f"init_lora_weights {typed['init_lora_weights']!r} needs a pass over the data first, "
            "which a trial does not make; pissa, olora, orthogonal and gaussian need none.",
        )
    if typed["target_modules"] == ALL_LINEAR:
        typed.setdefault("exclude_modules", HEADS.get(task_type or ""))
    typed.setdefault("r", LoraConfig().r)
    typed.setdefault("lora_alpha", 2 * typed["r"])
    if typed["target_modules"] == ALL_LINEAR and typed.get("layers_to_transform") is not None:
        typed["target_modules"] = None  # until the network is there: `_linear`
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return LoraConfig(**typed)
    except (ValueError, TypeError, ImportError) as error:
        raise TrialError("BadParameter", f"LoraConfig refused: {one_line(error)}") from error


def with_lora(
    network: Any, config: LoraConfig, heads: Sequence[str] = (), frozen_layers: int = 0
) -> Any:
    """The network with frozen weights, trainable LoRA matrices and a trainable head.

    Args:
        heads: modules that are new and must be trained whole, beside those that peft knows of.
        frozen_layers: how many of the first layers get no LoRA.
    """
    if config.target_modules is None:
        config.target_modules = _linear(network, heads)
    excluded = [layers.first(network, frozen_layers)] if frozen_layers else []
    if config.target_modules == ALL_LINEAR and config.task_type is None:
        excluded += [rf"{re.escape(name)}(\..*)?" for name in heads]
    if excluded:
        config.exclude_modules = _either(excluded, config.exclude_modules)
    if heads:
        config.modules_to_save = list(dict.fromkeys([*(config.modules_to_save or ()), *heads]))
    _check_names(network, config)
    asked = config.target_modules  # NB: peft puts what it finds in its place.
    try:
        adapted = get_peft_model(network, config)
    except (ValueError, TypeError, ImportError, RuntimeError) as error:
        raise TrialError(
            "BadParameter", f"LoRA cannot be applied: {_why(network, asked, error)}"
        ) from error
    if not any("lora_" in name for name, p in adapted.named_parameters() if p.requires_grad):
        raise TrialError("BadParameter", f"LoRA would train nothing. {_targets(network)}")
    return adapted


def heads(network: Any) -> tuple[str, ...]:
    """The parts of a network beside its base model: what a task has put on it."""
    return tuple(
        name
        for name, part in network.named_children()
        if name != network.base_model_prefix and any(True for _ in part.parameters())
    )


def _either(patterns: Sequence[str], given: Any) -> str:
    """One regular expression of some and of an `exclude_modules` as peft takes it."""
    names = [given] if isinstance(given, str) else [rf"(.*\.)?{re.escape(x)}" for x in given or ()]
    return "|".join(f"({each})" for each in (*patterns, *sorted(names)))


def _check_names(network: Any, config: LoraConfig) -> None:
    """BadParameter for names in lists that no module of the network has; peft passes over them."""
    names = [name for name, _ in network.named_modules()]
    for field in ("target_modules", "modules_to_save"):
        wanted = getattr(config, field)
        for each in wanted if isinstance(wanted, (list, set)) else ():
            if not any(name == each or name.endswith(f".{each}") for name in names):
                raise TrialError(
                    "BadParameter",
                    f"{field}: the model has no module {each!r}.{_nearest(each, names)} "
                    f"{_targets(network)}",
                )


def _nearest(name: str, names: Sequence[str]) -> str:
    last = {each.rpartition(".")[2] for each in names if each}
    close = difflib.get_close_matches(name, sorted(last), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _why(network: Any, asked: object, error: Exception) -> str:
    text = one_line(error, 200)
    if "targeted" not in text and "not found in the base model" not in text:
        return text
    return f"no module matches target_modules {asked!r}. {_targets(network)}"


def _targets(network: Any) -> str:
    """Which modules could have LoRA, by the last part of their names; new heads could not."""
    new = heads(network)
    found = dict.fromkeys(
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, WRAPPED) and name.partition(".")[0] not in new
    )
    shown = ", ".join(list(found)[:SHOWN])
    return f"target_modules can be {shown}{', …' if len(found) > SHOWN else ''}."


def _linear(network: Any, heads: Sequence[str]) -> set[str]:
    """What `all-linear` stands for, as names."""
    return {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and name.partition(".")[0] not in heads
    }
