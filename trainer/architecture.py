"""What kind of model a folder holds, and whether that and its weights are what a trial needs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from transformers import AutoConfig, AutoModelForMaskedLM

from trainer.config import TRANSFORMER_TYPES
from trainer.errors import TrialError, one_line

CONFIG = "config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin")
SHOWN = 5
NUMBERED = re.compile(r"\.\d+\.")


def check_folder(folder: Path, uri: str) -> None:
    """ModelNotFound if the folder lacks what every model has."""
    if not (folder / CONFIG).is_file():
        raise _missing(folder, uri, f"no {CONFIG}, so it is not a model of transformers")


def check_weights(folder: Path, uri: str) -> None:
    """ModelNotFound if there are no weights in the folder."""
    if not any(path for each in WEIGHTS for path in folder.glob(each)):
        what = "no weights to load: no model.safetensors, no pytorch_model.bin"
        raise _missing(folder, uri, what)


def check_tokenizer(tokenizer: Any, folder: Path, uri: str) -> None:
    """ModelNotFound if it knows no word.

    NB: of a folder without a vocabulary transformers makes a tokenizer to which all is unknown.
    """
    if len(tokenizer) - len(tokenizer.added_tokens_decoder) <= 1:
        raise _missing(folder, uri, "no tokenizer to load: no tokenizer.json, no vocabulary")


def _missing(folder: Path, uri: str, what: str) -> TrialError:
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    more = ", …" if len(names) > SHOWN else ""
    there = f"there is {', '.join(names[:SHOWN])}{more}" if names else "it is empty"
    return TrialError("ModelNotFound", f"The model {uri!r} has {what}; {there}.")


def read_config(folder: Path, uri: str, trust_remote_code: bool) -> Any:
    """The model's configuration; ModelNotFound if transformers cannot make one of it."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise _no_config(uri, error) from error
        code = ", ".join(sorted(path.name for path in folder.glob("*.py"))) or "not in its folder"
        raise TrialError(
            "ModelNotFound",
            f"The model {uri!r} is not part of transformers and brings its own code ({code}), "
            "which may do anything that this program may. Read it; --trust-remote-code runs it.",
        ) from error
    except (OSError, KeyError, TypeError, ImportError) as error:
        raise _no_config(uri, error) from error


def _no_config(uri: str, error: Exception) -> TrialError:
    return TrialError(
        "ModelNotFound", f"The model {uri!r} has a {CONFIG} that cannot be used: {one_line(error)}"
    )


def check_kind(kind: Any, config: Any, uri: str) -> None:
    """ModelNotFound if such a model cannot do what `kind`, an AutoModelFor…, is for."""
    if not _can(kind, config):
        others = [name for name in TRANSFORMER_TYPES if _can(getattr(transformers, name), config)]
        can = f"it can be {' or '.join(others)}" if others else "it is none of our types"
        raise TrialError(
            "ModelNotFound",
            f"The model {uri!r} is of type {config.model_type} and cannot be {kind.__name__}; "
            f"{can}. Take another model or another --transformer-type.",
        )
    if kind is transformers.AutoModelForCausalLM and _is_encoder(config):
        raise TrialError(
            "ModelNotFound",
            f"The model {uri!r} is of type {config.model_type}, an encoder: each of its tokens "
            "sees those after it, so it cannot learn to continue a text. Take a decoder, or "
            "AutoModelForMaskedLM.",
        )


def _can(kind: Any, config: Any) -> bool:
    own = getattr(config, "auto_map", None) or {}
    return kind.__name__ in own or type(config) in kind._model_mapping


def _is_encoder(config: Any) -> bool:
    return (
        type(config) in AutoModelForMaskedLM._model_mapping
        and not getattr(config, "is_decoder", False)
        and not config.is_encoder_decoder
    )


def check_loaded(network: Any, found: Mapping[str, Any], uri: str) -> None:
    """ModelNotFound if layers of the network itself had no weights: they would be random.

    Args:
        found: transformers' loading information. New heads and poolers may be missing in it.
    """
    inner = f"{network.base_model_prefix}."
    wrong = {name for name, *_ in found["mismatched_keys"]}
    absent = {name for name in {*found["missing_keys"], *wrong} if name.startswith(inner)}
    base = [name for name, _ in network.named_parameters() if name.startswith(inner)]
    lost = sorted(name for name in absent if NUMBERED.search(name)) or (
        sorted(absent) if 2 * len(absent) > len(base) > 0 else []
    )
    if not lost:
        return
    what = "of another size" if lost[0] in wrong else "missing"
    there = sorted(found["unexpected_keys"])
    instead = f"; there is {', '.join(there[:2])}, …" if there else ""
    raise TrialError(
        "ModelNotFound",
        f"The weights of {uri!r} are not those of the {network.config.model_type} of its "
        f"{CONFIG}: {len(absent)} of {len(base)} are missing or of another size ({lost[0]} is "
        f"{what}{instead}).",
    )


def is_about_attention(error: Exception) -> bool:
    """Whether transformers refused the way to compute attention that was asked for."""
    return isinstance(error, ValueError) and "attn_implementation" in str(error)
