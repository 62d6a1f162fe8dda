"""Field errors as Kubernetes words them: path, kind, value as Go prints it, and what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def required(path: str, sentence: str) -> str:
    return f"{path}: Required value: {sentence}"


def forbidden(path: str, sentence: str) -> str:
    return f"{path}: Forbidden: {sentence}"


def invalid(path: str, value: Any, sentence: str) -> str:
    return f"{path}: Invalid value: {shown(value)}: {sentence}"


def together(refusals: Sequence[str]) -> str:
    """One sentence as it is; several in brackets, equal ones once."""
    different = list(dict.fromkeys(refusals))
    return different[0] if len(different) == 1 else f"[{', '.join(different)}]"


def shown(value: Any) -> str:
    """A value in Go's manner; objects, which Go prints by their types, as JSON."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "[]string{" + ", ".join(json.dumps(item) for item in value) + "}"
    return json.dumps(value, ensure_ascii=False)
