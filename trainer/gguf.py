"""Reads one kind of GGUF file, a Llama with 4- or 8-bit weights, and writes it as a model folder.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: a header of keys and values, a list of
tensors, and their data. Quantised weights come in blocks of 32, each with a scale and, in Q4_1, a
smallest value; what they stand for is written in bfloat16, which is exact to 2 digits or 3.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

BLOCK = 32
STRING, ARRAY = 8, 9
SCALARS = dict(enumerate("BbHhIif?")) | {10: "Q", 11: "q", 12: "d"}
SPECIAL = 3  # the kind of a token that stands for no text
NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


@dataclass(frozen=True)
class Place:
    """Where a tensor is: its shape, the kind of its numbers, and the offset in the file."""

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Content:
    """What a GGUF file says, and where its tensors are."""

    data: memoryview
    facts: Mapping[str, Any]
    places: Mapping[str, Place]

    def tensor(self, name: str) -> np.ndarray:
        """The numbers of a tensor in float32."""
        place = self.places[name]
        size, read = KINDS[place.kind]
        count = int(np.prod(place.shape))
        end = place.offset + count * size // BLOCK
        return read(np.frombuffer(self.data[place.offset : end], np.uint8)).reshape(place.shape)


def _q4_1(raw: np.ndarray) -> np.ndarray:
    blocks = raw.reshape(-1, 20)
    scale, least = (_halves(blocks[:, at : at + 2]) for at in (0, 2))
    packed = blocks[:, 4:]
    return np.concatenate((packed & 15, packed >> 4), axis=1) * scale + least


def _q8_0(raw: np.ndarray) -> np.ndarray:
    blocks = raw.reshape(-1, 34)
    return blocks[:, 2:].view(np.int8) * _halves(blocks[:, :2])


def _halves(raw: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(raw).view(np.float16).astype(np.float32)


def _f32(raw: np.ndarray) -> np.ndarray:
    return raw.view(np.float32)


# The bytes of 32 numbers, and how they are read.
KINDS: Mapping[int, tuple[int, Callable[[np.ndarray], np.ndarray]]] = {
    0: (128, _f32),
    3: (20, _q4_1),
    8: (34, _q8_0),
}


class _Reader:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def number(self, kind: str) -> Any:
        [value] = struct.unpack_from(f"<{kind}", self.data, self.at)
        self.at += struct.calcsize(f"<{kind}")
        return value

    def text(self) -> str:
        size = self.number("Q")
        self.at += size
        return bytes(self.data[self.at - size : self.at]).decode()

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            inner, size = self.number("I"), self.number("Q")
            return [self.value(inner) for _ in range(size)]
        return self.number(SCALARS[kind])


def read(file: Path) -> Content:
    """The whole of a file; ValueError if it is no GGUF of version 3 or not whole."""
    reader = _Reader(memoryview(file.read_bytes()))
    if bytes(reader.data[:4]) != b"GGUF" or struct.unpack_from("<I", reader.data, 4) != (3,):
        raise ValueError(f"{file} is no GGUF file of version 3")
    reader.at = 8
    tensors, keys = reader.number("Q"), reader.number("Q")
    facts = {reader.text(): reader.value(reader.number("I")) for _ in range(keys)}
    found = [
        (reader.text(), _shape(reader), reader.number("I"), reader.number("Q"))
        for _ in range(tensors)
    ]
    alignment = facts.get("general.alignment", 32)
    start = -(-reader.at // alignment) * alignment
    places = {name: Place(shape, kind, start + at) for name, shape, kind, at in found}
    return Content(reader.data, facts, places)


def _shape(reader: _Reader) -> tuple[int, ...]:
    return tuple(reversed([reader.number("Q") for _ in range(reader.number("I"))]))


def weights(content: Content) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors by the names that transformers' Llama has for them."""
    heads = content.facts["llama.attention.head_count"]
    for name in content.places:
        *layer, part, ending = name.split(".")
        tensor = content.tensor(name)
        if part in ("attn_q", "attn_k"):
            groups = heads if part == "attn_q" else content.facts["llama.attention.head_count_kv"]
            tensor = _halves_apart(tensor, groups)
        prefix = f"model.layers.{layer[1]}." if layer else ""
        yield f"{prefix}{NAMES[part]}.{ending}", tensor


def _halves_apart(tensor: np.ndarray, heads: int) -> np.ndarray:
    """The pairs that a rotation turns, side by side in llama.cpp, half a head apart here."""
    pairs = tensor.reshape(heads, -1, 2, tensor.shape[1])
    return pairs.swapaxes(1, 2).reshape(tensor.shape)


def write_folder(file: Path, folder: Path) -> None:
    """The model of a GGUF file as a folder that transformers loads, with its tokenizer."""
    import torch
    from safetensors.torch import save_file

    content = read(file)
    tensors = {
        name: torch.from_numpy(np.array(tensor)).bfloat16() for name, tensor in weights(content)
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    facts = content.facts
    ids = {
        f"{ours}_token_id": facts[f"tokenizer.ggml.{theirs}_token_id"]
        for ours, theirs in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))
    }
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_size": facts["llama.embedding_length"],
        "intermediate_size": facts["llama.feed_forward_length"],
        "max_position_embeddings": facts["llama.context_length"],
        "num_attention_heads": facts["llama.attention.head_count"],
        "num_hidden_layers": facts["llama.block_count"],
        "num_key_value_heads": facts["llama.attention.head_count_kv"],
        "rms_norm_eps": round(facts["llama.attention.layer_norm_rms_epsilon"], 9),
        "rope_parameters": {"rope_theta": facts["llama.rope.freq_base"], "rope_type": "default"},
        "tie_word_embeddings": "output.weight" not in content.places,
        "vocab_size": facts["llama.vocab_size"],
        **ids,
    }
    _write(folder / "config.json", config)
    _write(folder / "generation_config.json", ids)
    _write_tokenizer(facts, folder)


def _write_tokenizer(facts: Mapping[str, Any], folder: Path) -> None:
    """A byte-level BPE that takes digits one by one, as SmolLM's does."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    words = facts["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in facts["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, letters])
    tokenizer.decoder = decoders.ByteLevel()
    kinds = zip(words, facts["tokenizer.ggml.token_type"], strict=True)
    special = [AddedToken(word, special=True) for word, kind in kinds if kind == SPECIAL]
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown"))
    tokens = {
        f"{ours}_token": words[facts[f"tokenizer.ggml.{theirs}_token_id"]] for ours, theirs in named
    }
    limit = {"model_max_length": facts["llama.context_length"]}
    _write(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", **tokens, **limit},
    )
    template = facts["tokenizer.chat_template"]
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
