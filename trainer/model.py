"""The model to fine-tune: where it is, its tokenizer, and its network with the head of a task."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer

from trainer import adapters, architecture, hub, quantised, shipped, sources
from trainer.config import TrialConfig
from trainer.errors import TrialError, one_line
from trainer.sources import S3Place

NO_LIMIT = 1_000_000
UNREADABLE = (OSError, ValueError, KeyError, RuntimeError, SafetensorError, UnpicklingError)

Warn = Callable[[str], None]


@dataclass(frozen=True)
class Weights:
    """A model on this disk, and how it is to be loaded.

    Args:
        uri: what users call it.
        quantization: None, or a key of `quantised.BITS`.
        adapter: the folder of a LoRA adapter that is merged into the model, if there is one.
    """

    folder: Path
    uri: str
    trust_remote_code: bool = False
    quantization: str | None = None
    attn_implementation: str | None = None
    adapter: Path | None = None

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer: the adapter's, if it brings one."""
        own = self.adapter and any(self.adapter.glob("tokenizer*"))
        return self.adapter if self.adapter and own else self.folder


def find(config: TrialConfig) -> Weights:
    """The model of a trial, downloaded if it is a hub name that is not in the cache."""
    folder = model_folder(config.model_uri, config.model_s3, config.trust_remote_code)
    weights = Weights(
        folder,
        config.model_uri,
        config.trust_remote_code,
        config.quantization,
        config.attn_implementation,
    )
    base = adapters.base_of(folder, config.model_uri)
    if base is None:
        architecture.check_folder(folder, config.model_uri)
        return weights
    if config.quantization:
        raise TrialError(
            "BadParameter",
            f"The model {config.model_uri!r} is a LoRA adapter, which cannot be merged into a "
            "quantised base without loss; leave --quantization out, or export a merged model.",
        )
    inner = find(replace(config, model_uri=base, model_s3=None))
    if inner.adapter:
        raise TrialError(
            "ModelNotFound",
            f"The model {config.model_uri!r} is an adapter of an adapter, {base!r}; merge that one "
            "into its base first.",
        )
    return replace(inner, uri=config.model_uri, adapter=folder)


def model_folder(uri: str, place: S3Place | None = None, code: bool = False) -> Path:
    """The local folder of a model, downloaded if it is a hub name that is not in the cache.

    With `place` it is the model that was fetched from there; with `code`, its own code comes, too.
    """
    if place:
        return sources.fetched(place)
    source = sources.read(uri, "model")
    if source.kind == "default":
        return shipped.folder(source.value)
    return hub.folder(source.value, "model", code) if source.kind == "hub" else Path(source.value)


def load_tokenizer(weights: Weights, **options: Any) -> Any:
    """The tokenizer, with a pad token even where the model has none.

    That is a token which the model knows already, so that its embeddings stay as they are.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            weights.tokenizer, trust_remote_code=weights.trust_remote_code, **options
        )
    except UNREADABLE as error:
        raise _unreadable(weights, "tokenizer", error) from error
    architecture.check_tokenizer(tokenizer, weights.tokenizer, weights.uri)
    size = _vocabulary(weights.folder)
    if tokenizer.pad_token is None or tokenizer.pad_token_id >= size:
        known = (tokenizer.eos_token, tokenizer.unk_token, tokenizer.bos_token, tokenizer.sep_token)
        usable = (t for t in known if t and tokenizer.convert_tokens_to_ids(t) < size)
        tokenizer.pad_token = next(usable, None)
    if tokenizer.pad_token is None:
        raise TrialError(
            "ModelNotFound",
            f"The tokenizer of {weights.uri!r} has no pad, end, unknown or start token, so rows of "
            "different lengths cannot be put together; give its tokenizer_config.json one.",
        )
    return tokenizer


def _vocabulary(folder: Path) -> int:
    file = folder / architecture.CONFIG
    return (
        int(json.loads(file.read_text()).get("vocab_size", NO_LIMIT)) if file.exists() else NO_LIMIT
    )


def load(kind: Any, weights: Weights, **options: Any) -> Any:
    """The network, by the class `kind` (an AutoModelFor…), on the CPU and in float32.

    A quantised one is on the trial's own device. `missing_keys` of it are the weights that were
    not there and are new.
    """
    architecture.check_folder(weights.folder, weights.uri)
    config = architecture.read_config(weights.folder, weights.uri, weights.trust_remote_code)
    architecture.check_kind(kind, config, weights.uri)
    architecture.check_weights(weights.folder, weights.uri)
    if weights.attn_implementation:
        options["attn_implementation"] = weights.attn_implementation
    if weights.quantization:
        options |= quantised.options(weights.quantization)
    try:
        network, found = kind.from_pretrained(
            weights.folder,
            dtype=torch.float32,
            trust_remote_code=weights.trust_remote_code,
            output_loading_info=True,
            **options,
        )
    except ImportError as error:
        raise TrialError(
            "BadParameter", f"The model {weights.uri!r} cannot be loaded here: {one_line(error)}"
        ) from error
    except UNREADABLE as error:
        if architecture.is_about_attention(error):
            raise TrialError(
                "BadParameter",
                f"The model {weights.uri!r} has no --attn-implementation "
                f"{weights.attn_implementation}: {one_line(error)}",
            ) from error
        raise _unreadable(weights, "weights", error) from error
    architecture.check_loaded(network, found, weights.uri)
    network.missing_keys = tuple(found["missing_keys"])
    return adapters.merged(network, weights.adapter) if weights.adapter else network


def load_image_processor(weights: Weights) -> Any:
    """What makes pixel values of pictures."""
    from transformers import AutoImageProcessor

    architecture.check_folder(weights.folder, weights.uri)
    try:
        return AutoImageProcessor.from_pretrained(
            weights.folder, trust_remote_code=weights.trust_remote_code
        )
    except (*UNREADABLE, ImportError) as error:
        raise _unreadable(weights, "image processor", error) from error


def _unreadable(weights: Weights, what: str, error: Exception) -> TrialError:
    uri = weights.uri
    if isinstance(error, RuntimeError) and "out of memory" in str(error):
        raise error
    if "ignore_mismatched_sizes" in str(error):
        return TrialError(
            "ModelNotFound",
            f"The {what} of {uri!r} are of other sizes than its config.json says; fetch or copy "
            "both from the same place.",
        )
    if isinstance(error, UnpicklingError) or "weights_only" in str(error):
        return TrialError(
            "ModelNotFound",
            f"The model {uri!r} has its {what} in a pickle that holds more than tensors; it is not "
            "read, as it could run code. Save the model again as safetensors.",
        )
    if isinstance(error, SafetensorError):
        return TrialError(
            "ModelNotFound",
            f"The model {uri!r} has a damaged file of {what} ({one_line(error)}); fetch or copy "
            "it again.",
        )
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
