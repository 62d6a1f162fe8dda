"""JSON that comes from outside, read strictly: what is kept must be readable by everybody else."""

from __future__ import annotations

import json
from typing import Any, NoReturn


def read(text: str | bytes) -> Any:
    """The value.

    Raises:
        ValueError: no JSON, a NaN or Infinity (which no browser reads), or nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
