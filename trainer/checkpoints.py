"""Checkpoints on disk: folders that are whole or not there, and the one that a trial goes on from.

`OUTPUT_DIR/checkpoints/FINGERPRINT/0003-step-40/` holds `state.pt`, which is the training's
business, and `trial.json`, which says what it is about; the fingerprint is the configuration's. It
is written under another name and renamed when it is on the disk; then the one before is removed. So
a process may be killed anywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = "checkpoints"
ABOUT, STATE = "trial.json", "state.pt"
VERSION = 1
# The share of a trial's time that its checkpoints may take.
SHARE = 0.05


@dataclass(frozen=True)
class Checkpoint:
    """One that is whole."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def step(self) -> int:
        return int(self.about["step"])

    @property
    def state(self) -> Path:
        return self.folder / STATE


def folder(output_dir: Path, fingerprint: str) -> Path:
    """Where the checkpoints of one configuration are."""
    return output_dir / FOLDER / fingerprint


def write(parent: Path, about: Mapping[str, Any], save: Callable[[Path], None]) -> None:
    """Writes one, which replaces those before it.

    Args:
        parent: the configuration's `folder`.
        about: JSON, with `step`.
        save: writes the training's state to a file.

    Raises:
        OSError, RuntimeError: it cannot be written; those before it are still there.
    """
    parent.mkdir(parents=True, exist_ok=True)
    before = [path for path in parent.iterdir() if path.is_dir()]
    number = 1 + max((_number(path) for path in before), default=0)
    partial = parent / f".{number:04}.{os.getpid()}"
    try:
        partial.mkdir()
        save(partial / STATE)
        size = (partial / STATE).stat().st_size
        document = {"version": VERSION, **about, "bytes": size}
        (partial / ABOUT).write_text(json.dumps(document), encoding="utf-8")
        for path in (partial / STATE, partial / ABOUT, partial):
            _on_disk(path)
        partial.rename(parent / f"{number:04}-step-{about['step']}")
    except (OSError, RuntimeError):  # NB: what torch.save raises where the system refuses to write
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _on_disk(parent)
    for path in before:
        _remove(path)


def whole(parent: Path) -> Iterator[Checkpoint]:
    """Those that are whole, the newest first."""
    found = [path for path in parent.iterdir() if _number(path)] if parent.is_dir() else []
    for path in sorted(found, key=_number, reverse=True):
        about = _about(path)
        if about is not None:
            yield Checkpoint(path, about)


def others(parent: Path) -> int:
    """Of how many other configurations there are checkpoints beside these."""
    if not parent.parent.is_dir():
        return 0
    return sum(any(whole(path)) for path in parent.parent.iterdir() if path != parent)


def remove(parent: Path) -> None:
    """Removes those of one configuration."""
    shutil.rmtree(parent, ignore_errors=True)
    with suppress(OSError):  # there may be others
        parent.parent.rmdir()


def fingerprint(*parts: object) -> str:
    """What tells one configuration from another: the same for equal values."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _about(path: Path) -> Mapping[str, Any] | None:
    try:
        about: dict[str, Any] = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        is_whole = about["version"] == VERSION and (path / STATE).stat().st_size == about["bytes"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return about if is_whole else None


def _number(path: Path) -> int:
    """Which of the trial's checkpoints it is, from 1; 0 for what is none."""
    number, _, rest = path.name.partition("-step-")
    return int(number) if number.isdecimal() and rest else 0


def _remove(path: Path) -> None:
    hidden = path.with_name(f".{path.name.lstrip('.')}.old")  # half of it is never taken for whole
    if path != hidden:
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _on_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
