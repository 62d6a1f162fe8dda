"""What a result says of where it comes from: the command, the versions, the device, the data."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset

PACKAGES = (
    *("torch", "transformers", "peft", "datasets", "accelerate", "tokenizers", "safetensors"),
    *("numpy", "trl", "bitsandbytes", "katib-tune"),
)
HIDDEN = "<hidden>"
# Fields whose values nobody may read; `include_num_input_tokens_seen` is none of them.
_SECRET = re.compile(r"(token|secret|password|api_key)$", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/@\s]+@")


def command(flags: Sequence[str], environment: Mapping[str, str] = os.environ) -> list[str]:
    """The words that start this trial again, without secrets; on each node, if it has several."""
    return [*_start(environment), "-m", "trainer", *map(_harmless, flags)]


def _start(environment: Mapping[str, str]) -> list[str]:
    """What starts the processes that torchrun has started, or the only one."""
    here = int(environment.get("LOCAL_WORLD_SIZE", "1"))
    processes = int(environment.get("WORLD_SIZE", "1"))
    if processes == 1:
        return ["python"]
    nodes = [f"--nnodes={processes // here}"] if processes > here else []
    return ["torchrun", *nodes, f"--nproc-per-node={here}"]


def _harmless(word: str) -> str:
    """A word of the command line, with what is secret in it hidden."""
    flag, equals, text = word.partition("=") if word.startswith("--") else ("", "", word)
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if isinstance(value, dict):
        hidden = {key: HIDDEN for key in value if _SECRET.search(key)}
        return flag + equals + (json.dumps({**value, **hidden}) if hidden else text)
    return flag + equals + _USER.sub("", text)


@cache
def versions() -> dict[str, str]:
    """Of Python and of what a trial computes with."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def device(kind: str) -> dict[str, Any]:
    """What computes on this node: `type`, `name`, `threads` of a process; of GPUs their number."""
    import torch

    found: dict[str, Any] = {"type": kind, "threads": torch.get_num_threads()}
    if kind == "cuda":
        count = torch.cuda.device_count()
        return {**found, "name": torch.cuda.get_device_name(), "count": count}
    return {**found, "name": _processor(Path("/proc/cpuinfo"))}


def _processor(cpuinfo: Path) -> str:
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return name[1] if name else platform.machine()


def data_fingerprint(splits: Mapping[str, Dataset]) -> str:
    """A mark of a dataset's content, the same wherever its files are."""
    digest = hashlib.sha256()
    for name, rows in sorted(splits.items()):
        digest.update(f"{name} {len(rows)} {rows.features}".encode())
        for batch in rows.data.to_batches():
            for buffer in (each for column in batch.columns for each in column.buffers()):
                digest.update(buffer or b"")
    return digest.hexdigest()[:16]
