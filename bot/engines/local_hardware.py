"""What this machine has for trials. Asks the system only, never torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path


def cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def gpus(environment: Mapping[str, str] = os.environ, devices: Path = Path("/dev")) -> list[str]:
    """The ids of the visible GPUs, as CUDA_VISIBLE_DEVICES writes them."""
    if "CUDA_VISIBLE_DEVICES" in environment:
        ids = environment["CUDA_VISIBLE_DEVICES"].split(",")
        return [name.strip() for name in ids if name.strip() not in ("", "-1")]
    found = (re.fullmatch(r"nvidia(\d+)", path.name) for path in devices.glob("nvidia*"))
    return sorted((match[1] for match in found if match), key=int)
