"""Encoded rows, kept in files that the trials of an Experiment share, each read by memory mapping.

What a task has encoded depends on its rows, on the tokenizer and on a few settings: these are the
key, and a trial that finds its key does not encode. Tasks know nothing of this. A cache that cannot
be read or written costs time and nothing else.

A file is one line of JSON, which says where each array begins, and the arrays.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import itertools
import json
import os
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from trainer import sources
from trainer.config import TrialConfig
from trainer.errors import one_line
from trainer.tasks.base import Encoded, Features, Task, Warn

MAX_BYTES = 2_000_000_000
MAX_AGE_S = 14 * 24 * 3600.0
# Rows that take less CPU time than this are encoded anew: a look into the cache costs 0.01 to 0.02.
WORTH_S = 0.1
# What the encoded rows do not depend on, or what the key has in another form.
_ELSEWHERE = (
    *("model_uri", "dataset", "s3", "method", "training_parameters", "lora_config", "max_length"),
    *("objective_metric", "objective_type", "save_best", "model_s3", "quantization"),
    *("attn_implementation", "frozen_layers", "augment", "seed", "mlm_probability"),
    *("checkpoints", "deadline_seconds", "retry_out_of_memory"),
)
_TOKENIZER_FILES = ("*.json", "*.txt", "*.model", "*.jinja", "*.gguf")
_ALIGNMENT = 8
_SIZES = (np.int8, np.int16, np.int32, np.int64)
_LIBRARIES = ("transformers", "tokenizers", "datasets")


def key(config: TrialConfig, max_length: int | None, data: str, model_folder: Path) -> str:
    """A mark of everything that encoded rows depend on.

    Args:
        max_length: tokens per row, as the model takes them.
        data: the fingerprint of the dataset.
        model_folder: where the tokenizer's files are.
    """
    settings = {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name not in _ELSEWHERE
    }
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    whole = json.dumps([settings, max_length, data, versions], default=str, sort_keys=True)
    digest = hashlib.sha256(whole.encode())
    found = {file for pattern in _TOKENIZER_FILES for file in model_folder.glob(pattern)}
    for file in sorted(found):
        digest.update(file.name.encode())
        if file.suffix == ".gguf":  # NB: the weights, too; too much to be read for a key
            digest.update(f"{file.stat().st_size} {file.stat().st_mtime_ns}".encode())
        else:
            digest.update(file.read_bytes())
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def encoded(
    task: Task,
    processor: Any,
    max_length: int | None,
    mark: str,
    warn: Warn,
    worth_s: float = WORTH_S,
) -> Encoded:
    """What the task makes of its rows: found under `mark`, else made and kept if it took long."""
    folder = sources.cache_folder() / "encoded"
    if found := read(folder / mark):
        return found
    started = time.process_time()
    made = task.encode(processor, max_length)
    if time.process_time() - started < worth_s:
        return made
    try:
        write(folder / mark, made)
        prune(folder)
    except OSError as error:
        warn(
            f"The encoded rows cannot be kept in {folder}, so the next trial will encode them "
            f"again: {one_line(error)}."
        )
    return made


def read(file: Path) -> Encoded | None:
    """The rows of a file of the cache; None if there is none, or if it is not whole."""
    try:
        content: Any = np.memmap(file, np.uint8, "r")
        head = bytes(content[: 1 << 16]).partition(b"\n")[0]
        body = np.asarray(content[_aligned(len(head) + 1) :])
        index = json.loads(head)
        if index.pop("crc32") != _checksum(index, body):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):  # a cache that may only be read is one, too
        os.utime(file)  # what is used is not old
    parts = (Packed.of(index[part], body) for part in ("train", "eval"))
    return Encoded(*parts, facts=index["facts"], notes=index["notes"])


def write(file: Path, rows: Encoded) -> None:
    """Keeps rows, if they are such as a file can hold; readers see nothing or the whole."""
    packed = {"train": pack(rows.train), "eval": pack(rows.eval)}
    index: dict[str, Any] = {"facts": rows.facts, "notes": rows.notes}
    arrays: list[np.ndarray] = []
    start = 0
    for part, columns in packed.items():
        if columns is None:
            return
        index[part] = {}
        for name, levels in columns.items():
            places = index[part].setdefault(name, [])
            for level in levels:
                places.append([start, len(level), level.dtype.str])
                arrays.append(level)
                start = _aligned(start + level.nbytes)
    body = b"".join(each.tobytes().ljust(_aligned(each.nbytes), b"\0") for each in arrays)
    head = json.dumps({**index, "crc32": _checksum(index, body)}).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("wb") as target:
            target.write((head + b"\n").ljust(_aligned(len(head) + 1), b"\0"))
            target.write(body)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def _checksum(index: Mapping[str, Any], body: Any) -> int:
    return zlib.crc32(body, zlib.crc32(json.dumps(index).encode()))


def prune(folder: Path, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S) -> None:
    """Removes what nobody has used for long, and the oldest if all are too large together.

    The newest stays. Whoever has a file open keeps what is in it.
    """
    files = [(each, each.stat()) for each in folder.iterdir()]
    newest_first = sorted(files, key=lambda pair: -pair[1].st_mtime)
    total = 0
    for number, (file, found) in enumerate(newest_first):
        total += found.st_size
        is_old = time.time() - found.st_mtime > max_age_s
        if number and (is_old or total > max_bytes):
            with suppress(FileNotFoundError):  # another trial's
                file.unlink()


def pack(rows: Sequence[Features]) -> dict[str, list[np.ndarray]] | None:
    """Each column as arrays, see `Packed`; None if the rows hold anything but numbers in lists."""
    if not isinstance(rows, list) or not rows or any(row.keys() != rows[0].keys() for row in rows):
        return None
    columns = {name: _levels([row[name] for row in rows]) for name in rows[0]}
    whole = {name: levels for name, levels in columns.items() if levels is not None}
    return whole if len(whole) == len(columns) else None


def _levels(values: list[Any]) -> list[np.ndarray] | None:
    kinds = set(map(type, values))
    if kinds == {list}:
        ends = np.cumsum([0, *map(len, values)])
        inner = _levels(list(itertools.chain.from_iterable(values)))
        return None if inner is None else [ends, *inner]
    if kinds == {float}:
        return [np.array(values)]
    if kinds - {int}:
        return None
    try:
        whole = np.array(values, np.int64)
    except OverflowError:
        return None
    small = (size for size in _SIZES if np.array_equal(whole.astype(size), whole))
    return [whole.astype(next(small))]


class Packed(Sequence[Features]):
    """Rows whose columns lie in arrays.

    A column is its numbers, one per row; or, for lists, where each row's part of the next array
    ends (one number more than there are rows), and that array; and so on for lists of lists.
    """

    def __init__(self, columns: Mapping[str, Sequence[np.ndarray]]) -> None:
        self._columns = columns
        first = next(iter(columns.values()))
        self._size = len(first[0]) - (len(first) > 1)

    @classmethod
    def of(cls, places: Mapping[str, Any], body: np.ndarray) -> Packed:
        """From where each array begins in `body`, its length and its type."""
        return cls(
            {
                name: [
                    body[start : start + length * np.dtype(kind).itemsize].view(kind)
                    for start, length, kind in levels
                ]
                for name, levels in places.items()
            }
        )

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Features]:
        return (self[index] for index in range(self._size))

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(self._size))]
        if not -self._size <= index < self._size:
            raise IndexError(index)
        at = index % self._size
        return {name: _value(levels, at) for name, levels in self._columns.items()}


def _value(levels: Sequence[np.ndarray], at: int) -> Any:
    if len(levels) == 1:
        return levels[0][at].item()
    start, end = levels[0][at], levels[0][at + 1]
    if len(levels) == 2:
        return levels[1][start:end].tolist()
    return [_value(levels[1:], each) for each in range(start, end)]


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
