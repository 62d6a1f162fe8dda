"""The state of everything that chance is drawn from, so that a trial goes on with its draws."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def taken() -> dict[str, Any]:
    """The state of everything that chance is drawn from."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.random.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def redraw(draws: Mapping[str, Any]) -> None:
    """Goes back to a state, in this process."""
    random.setstate(draws["python"])
    kind, keys, *rest = draws["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.random.set_rng_state(draws["torch"])
    if draws["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(draws["cuda"])
