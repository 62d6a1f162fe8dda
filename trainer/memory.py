"""How much memory a trial will need, forecast by arithmetic from its model's shape; no torch here.

    weights + gradients + optimizer + activations + what the libraries take

The activations of a transformer's layer, per token, are counted as what PyTorch keeps for the
backward pass: some vectors of the hidden size, some of the intermediate size, and where dropout
forbids the fused attention (on CPUs) the attention's probabilities. Counted for float32 and sdpa;
the vectors are fitted to MiniLM's real peaks on a CPU.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MB = 1e6
ALL_LINEAR = "all-linear"
# What Python and the libraries take in a process that has loaded them, measured; a CUDA context.
LIBRARIES_MB = 520.0
CUDA_CONTEXT_MB = 500.0
# Bytes of optimizer state per trainable parameter; what is not named here is as AdamW.
OPTIMIZER_BYTES: Mapping[str, float] = {
    "adamw": 8.0,
    "sgd": 0.0,
    "adafactor": 0.1,
    "adagrad": 4.0,
    "rmsprop": 4.0,
    "lion": 4.0,
    "apollo": 1.0,
}
EIGHT_BIT = 0.25
# Vectors per token and layer that are kept: of the hidden and of the intermediate size.
HIDDEN_KEPT, INTERMEDIATE_KEPT, GATED_KEPT = 15.5, 2.0, 4.0
# What LoRA around every linear layer adds to the vectors of the hidden size.
LORA_KEPT = 7.5
# Matrices of probabilities per head: after softmax, dropout's noise, after dropout.
PROBABILITIES_KEPT = 3.0
# Logits, their float32 copy, and their gradient.
LOGITS_KEPT = 3.0
GATED = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "phi3"})
NOT_ADAPTED = re.compile(r"embed|lm_head|classifier|score|pooler")


@dataclass(frozen=True)
class Shape:
    """A model's sizes; `weight_bytes` as they are loaded."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    vocabulary: int
    is_gated: bool
    has_attention_dropout: bool
    weight_bytes: float
    trainable: int
    has_lora: bool


@dataclass(frozen=True)
class Load:
    """What one process is given at a time."""

    rows: int
    tokens: int
    eval_rows: int
    optimizer: str
    is_language_model: bool
    gradient_checkpointing: bool = False
    half_precision: bool = False
    is_gpu: bool = False


def is_language_model(transformer_type: str) -> bool:
    """Whether every token has logits over the whole vocabulary."""
    return transformer_type in ("AutoModelForCausalLM", "AutoModelForMaskedLM")


@dataclass(frozen=True)
class Forecast:
    """MB (10^6 bytes) by what they are for."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    libraries: float

    @property
    def total(self) -> float:
        parts = (self.weights, self.gradients, self.optimizer, self.activations, self.libraries)
        return round(sum(parts), 1)

    def sentence(self) -> str:
        return (
            f"about {self.total:,.0f} MB: weights {self.weights:,.0f}, gradients "
            f"{self.gradients:,.0f}, optimizer {self.optimizer:,.0f}, activations "
            f"{self.activations:,.0f}, libraries {self.libraries:,.0f}"
        )


def forecast(shape: Shape, load: Load) -> Forecast:
    """What a process needs at its peak."""
    evaluating = _logits(shape, load.eval_rows * load.tokens, load)
    return Forecast(
        weights=shape.weight_bytes / MB,
        gradients=4 * shape.trainable / MB,
        optimizer=optimizer_bytes(load.optimizer) * shape.trainable / MB,
        activations=max(_training(shape, load), evaluating) / MB,
        libraries=CUDA_CONTEXT_MB if load.is_gpu else LIBRARIES_MB,
    )


def optimizer_bytes(name: str) -> float:
    """Bytes of state per trainable parameter."""
    kind = next((kind for kind in OPTIMIZER_BYTES if kind in name), "adamw")
    return OPTIMIZER_BYTES[kind] * (EIGHT_BIT if "8bit" in name else 1.0)


def _training(shape: Shape, load: Load) -> float:
    size = 2 if load.half_precision else 4
    tokens = load.rows * load.tokens
    kept = GATED_KEPT if shape.is_gated else INTERMEDIATE_KEPT
    vectors = HIDDEN_KEPT + (LORA_KEPT if shape.has_lora else 0.0)
    layer = tokens * (vectors * shape.hidden + kept * shape.intermediate) * size
    if shape.has_attention_dropout and not load.is_gpu:
        layer += PROBABILITIES_KEPT * shape.heads * load.tokens * tokens * size
    if load.gradient_checkpointing:
        layers = shape.layers * tokens * shape.hidden * size + layer
    else:
        layers = shape.layers * layer
    return layers + _logits(shape, tokens, load)


def _logits(shape: Shape, tokens: int, load: Load) -> float:
    return LOGITS_KEPT * tokens * shape.vocabulary * 4 if load.is_language_model else 0.0


def shape_of(
    config: Mapping[str, Any], weight_bytes: float, trainable: int, *, has_lora: bool
) -> Shape:
    """The sizes that a model's configuration names, in any family's spelling."""

    def first(*names: str) -> Any:
        return next((config[name] for name in names if config.get(name) is not None), 0)

    hidden = int(first("hidden_size", "n_embd", "d_model", "dim"))
    return Shape(
        layers=int(first("num_hidden_layers", "n_layer", "n_layers", "num_layers")),
        hidden=hidden,
        intermediate=int(first("intermediate_size", "n_inner", "ffn_dim", "hidden_dim"))
        or 4 * hidden,
        heads=int(first("num_attention_heads", "n_head", "n_heads")),
        vocabulary=int(first("vocab_size")),
        is_gated=config.get("model_type") in GATED,
        has_attention_dropout=first(
            "attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"
        )
        > 0,
        weight_bytes=weight_bytes,
        trainable=trainable,
        has_lora=has_lora,
    )


def weights_of(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a folder's weights by name, read from the heads of its safetensors files."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            head = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        found |= {name: tuple(at["shape"]) for name, at in head.items() if name != "__metadata__"}
    return found


def size_of(shape: tuple[int, ...]) -> int:
    """How many numbers a weight of this shape holds."""
    return math.prod(shape)


def lora_parameters(
    weights: Mapping[str, tuple[int, ...]], rank: int, targets: Sequence[str] = (ALL_LINEAR,)
) -> int:
    """How many parameters LoRA adds to these weights."""
    names = (name.removesuffix(".weight") for name in weights)
    adapted = (
        weights[f"{name}.weight"]
        for name in names
        if len(weights.get(f"{name}.weight", ())) == 2
        and not NOT_ADAPTED.search(name)
        and (ALL_LINEAR in targets or name.rpartition(".")[2] in targets)
    )
    return sum(rank * sum(shape) for shape in adapted)
