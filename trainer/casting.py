"""Text to the real type of a field.

Katib substitutes hyperparameter values as text, so any value may arrive as a JSON string: `"16"`,
`"False"`, `"cosine"`, `"query,value"`. What counts is the type that the field has in its class,
never `type(default)(value)`, for which "False" is true.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Literal, Union

from trainer.errors import TrialError, nearest

_YES, _NO = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}
_NONE = {"none", "null", ""}
_NAME = re.compile(r"[\w.-]+")


def cast(value: object, hint: Any) -> Any:
    """`value` as the type `hint`; ValueError, saying what was expected, if it cannot be."""
    if hint is Any:
        return value
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        return _any_of(value, typing.get_args(hint))
    if origin is Literal:
        return _one_of(value, typing.get_args(hint))
    if origin in (list, tuple) or hint in (list, tuple):
        return _list(value, typing.get_args(hint))
    if origin is dict or hint is dict:
        return _dict(value, typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(_one_of(value, [member.value for member in hint]))
    if dataclasses.is_dataclass(hint):
        return _instance(value, hint)
    return _PLAIN[hint](value) if hint in _PLAIN else value


def is_auto(value: object) -> bool:
    """Whether the value of a field is left to the hardware."""
    return str(value).strip().lower() == "auto"


def _bool(value: object) -> bool:
    text = str(value).strip().lower()
    if text in _YES | _NO:
        return text in _YES
    raise ValueError("true or false")


def _int(value: object) -> int:
    number = _float(value)
    if number != int(number):
        raise ValueError("a whole number")
    return int(str(value)) if re.fullmatch(r"\s*[+-]?\d+\s*", str(value)) else int(number)


def _float(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("a number") from None
    if not math.isfinite(number):
        raise ValueError("a finite number")
    return number


def _str(value: object) -> str:
    if isinstance(value, (dict, list)):
        raise ValueError("a text")
    return str(value)


_PLAIN = {bool: _bool, int: _int, float: _float, str: _str}


def _one_of(value: object, allowed: Iterable[object]) -> object:
    for choice in allowed:
        if str(value) == str(choice):
            return choice
    raise ValueError(f"one of {', '.join(str(choice) for choice in allowed)}")


def _list(value: object, args: tuple[Any, ...]) -> list[Any]:
    if isinstance(value, str):
        value = _json(value) if value.lstrip().startswith("[") else _split(value)
    if not isinstance(value, (list, tuple)):
        raise ValueError("a list")
    item = args[0] if args else Any
    return [cast(element, item) for element in value]


def _dict(value: object, args: tuple[Any, ...] = ()) -> dict[Any, Any]:
    value = _json(value) if isinstance(value, str) else value
    if not isinstance(value, dict):
        raise ValueError("a JSON object")
    key, item = args or (Any, Any)
    return {cast(name, key): cast(element, item) for name, element in value.items()}


def _instance(value: object, hint: Any) -> Any:
    known = typing.get_type_hints(hint)
    given = _dict(value)
    if unknown := [name for name in given if name not in known]:
        raise ValueError(f"an object with the fields {', '.join(known)} (not {unknown[0]})")
    return hint(**{name: cast(inner, known[name]) for name, inner in given.items()})


def _json(text: str) -> object:
    try:
        return typing.cast(object, json.loads(text))
    except ValueError as error:
        raise ValueError(f"valid JSON ({error})") from None


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _any_of(value: object, members: tuple[Any, ...]) -> Any:
    """The first member that fits, the most special first: None, bool, int, float, others, str."""
    if type(None) in members and (value is None or str(value).strip().lower() in _NONE):
        return None
    expected = []
    for member in sorted((m for m in members if m is not type(None)), key=_specialness):
        if not _is_wrong_shape(value, member, members):
            try:
                return cast(value, member)
            except ValueError as error:
                expected.append(str(error))
    raise ValueError(" or ".join(expected) or "another type")


def _specialness(member: Any) -> int:
    # NB: where an enum and str are both allowed, str must not let a misspelt member through.
    order = [bool, int, float]
    return order.index(member) if member in order else 9 if member is str else 5


def _is_wrong_shape(value: object, member: Any, members: tuple[Any, ...]) -> bool:
    """True where casting would succeed but mean something else."""
    if member is bool and str in members and isinstance(value, str):
        return value.strip().lower() not in ("true", "false")
    if member is str:
        return not isinstance(value, str) or any(_is_enum(other) for other in members)
    if (
        (typing.get_origin(member) is list or member is list)
        and isinstance(value, str)
        and str in members
    ):
        parts = _split(value)
        is_names = len(parts) > 1 and all(_NAME.fullmatch(part) for part in parts)
        return not (value.lstrip().startswith("[") or is_names)
    return False


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, Enum)


def cast_fields(
    given: Mapping[str, object], hints: Mapping[str, Any], owner: str, also: str = ""
) -> dict[str, Any]:
    """Every given field as its type; an unknown name or a wrong value is a BadParameter.

    `owner` is the class that users know (`TrainingArguments`); `also` is said about unknown names.
    """
    typed = {}
    for name, value in given.items():
        if name not in hints:
            raise TrialError(
                "BadParameter",
                f"{owner} has no field {name!r}.{nearest(name, hints)}{also}",
            )
        try:
            typed[name] = cast(value, hints[name])
        except ValueError as error:
            raise TrialError(
                "BadParameter", f"{name}: expected {error}, received {value!r}."
            ) from error
    return typed
