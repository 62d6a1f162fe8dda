"""How the value of a hyperparameter is written in a line: fixed, a range or a list, both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from bot.hyperparameters import Kind
from bot.slack.quotes import (
    NUMBER,
    QUOTES,
    Unreadable,
    behind_space,
    end_of_chunk,
    quote,
    read_number,
    read_quoted,
)
from bot.spec import Parameter, is_searched

RANGE = re.compile(rf"({NUMBER})\.\.(?!\.)({NUMBER})((?::[^:]*)*)")
NEARLY_RANGE = re.compile(rf"({NUMBER})(\.{{3,}}|…|[-–—‒−~])({NUMBER})(.*)")
MODIFIERS = ("log", "int", "double", "step=x")
LIST_MODIFIER = re.compile(r"(.*):(log|int|double|uniform|step=.*)", re.DOTALL)
# What needs no quotes wherever it stands.
BARE = re.compile(r"[A-Za-z_][\w./@-]*")


def read_list(text: str, kind: Kind | None = "text") -> list[Any]:
    """The comma-separated values in `text`.

    Raises:
        Unreadable: nothing between two commas, or a bracket or quote that does not close.
    """
    values, position = [], 0
    while True:
        value, position = _read(text, position, ",", kind)
        values.append(value)
        if position >= len(text):
            return values
        position += 1


def _read(text: str, position: int, stops: str, kind: Kind | None) -> tuple[Any, int]:
    """The value at `position` and where it ends: at one of `stops` or the end of the text."""
    position = behind_space(text, position)
    opening = text[position : position + 1]
    value: Any
    if opening == "[":
        value, position = _read_array(text, position + 1)
    elif opening == "{":
        value, position = _read_object(text, position + 1)
    elif opening and opening in QUOTES:
        value, position = read_quoted(text, position)
    else:
        end = position
        while end < len(text) and text[end] not in stops:
            end = end_of_chunk(text, end, stops) if text[end] in "[{(" else end + 1
        return _scalar(text[position:end].strip(), kind), end
    position = behind_space(text, position)
    if position < len(text) and text[position] not in stops:
        raise Unreadable(f"`{text[position:][:20]}` stands behind a closing quote or bracket.")
    return value, position


def _scalar(text: str, kind: Kind | None) -> Any:
    if not text:
        raise Unreadable("a value is missing.", hint="A text may be empty in quotes.")
    if (number := read_number(text)) is not None:
        return number
    known = {"true": True, "false": False, "null": None}
    # NB: `bias=none` and `save_strategy=no` are texts of their own.
    if kind != "text":
        known["none"] = None
    return known.get(text.lower(), text)


def _read_array(text: str, position: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while True:
        position = behind_space(text, position)
        if text[position : position + 1] == "]":
            return items, position + 1
        item, position = _read(text, position, ",]", "text")
        items.append(item)
        position = _next_item(text, position, "]")


def _read_object(text: str, position: int) -> tuple[dict[str, Any], int]:
    items: dict[str, Any] = {}
    while True:
        position = behind_space(text, position)
        if text[position : position + 1] == "}":
            return items, position + 1
        key, position = _read(text, position, ":,}", "text")
        if text[position : position + 1] != ":":
            raise Unreadable(f"`{key}` has no value: write {{name: value}}.")
        items[str(key)], position = _read(text, position + 1, ",}", "text")
        position = _next_item(text, position, "}")


def _next_item(text: str, position: int, closing: str) -> int:
    if position >= len(text):
        raise Unreadable(f"a bracket is never closed: `{closing}` is missing.")
    return position if text[position] == closing else position + 1


def read_hyperparameter(text: str, kind: Kind | None = None) -> Any:
    """A fixed value, or a feasible space as plain data, as `Parameter` takes it.

    Args:
        text: as typed, e.g. `1e-5..1e-3:log`, `8,16,32`, `3`, `[q_proj, v_proj]`.
        kind: what the hyperparameter takes; None if that is not known.

    Raises:
        Unreadable: with the value put right if that can be guessed.
    """
    if found := RANGE.fullmatch(text):
        return _range(found, kind)
    _refuse_other_ranges(text, kind)
    categorical = text.endswith(":categorical")
    values = read_list(text.removesuffix(":categorical"), kind)
    if len(values) == 1 and is_searched(values[0]):
        return values[0]
    for value in values:
        _check_kind(value, kind)
    if len(values) == 1 and not categorical:
        return values[0]
    choices = [json.dumps(v) if isinstance(v, (list, dict)) else v for v in values]
    numbers = not categorical and all(isinstance(v, (int, float)) for v in choices)
    numbers = numbers and not any(isinstance(v, bool) for v in choices)
    return {"parameter_type": "discrete" if numbers else "categorical", "list": choices}


def _refuse_other_ranges(text: str, kind: Kind | None) -> None:
    nearly = NEARLY_RANGE.fullmatch(text) if kind != "text" else None
    # NB: a parameter of a custom objective may well be a text like 2026-11.
    if nearly and (kind is not None or nearly[2] not in "-~"):
        instead = f"{nearly[1]}..{nearly[3]}{nearly[4]}"
        raise Unreadable("a range is written with two dots.", instead=instead)
    if text[:1] not in QUOTES and (found := LIST_MODIFIER.fullmatch(text)):
        raise Unreadable(f"`:{found[2]}` belongs to a range.", instead=found[1])


def _check_kind(value: object, kind: Kind | None) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None or kind in (None, "text"):
        return
    if kind == "bool" and not isinstance(value, bool):
        raise Unreadable(f"expected true or false, not `{value}`.")
    if kind == "switch" and not (isinstance(value, bool) or value == "auto"):
        raise Unreadable(f"expected true, false or auto, not `{value}`.")
    if kind in ("int", "float") and not number:
        example = "8, 8..32 or 8,16,32" if kind == "int" else "0.1, 1e-5..1e-3:log or 0,0.1"
        raise Unreadable(
            f"expected a number, a range or a list, not `{value}`.", hint=f"For example {example}."
        )


def _range(found: re.Match[str], kind: Kind | None) -> dict[str, Any]:
    low, high = read_number(found[1]), read_number(found[2])
    if low is None or high is None:
        raise Unreadable(f"`{found[0]}` has an end that is too large.")
    expected = {
        "text": "a text or a list of texts",
        "bool": "true, false or true,false",
        "switch": "true, false or auto",
    }
    if kind in expected:
        raise Unreadable(f"expected {expected[kind]}, not a range.")
    space: dict[str, Any] = {"min": low, "max": high}
    types = dict(_modifiers(found[3].split(":")[1:], space))
    if low > high:
        raise Unreadable(
            f"the lower end {found[1]} is above the upper end {found[2]}.",
            instead=f"{found[2]}..{found[1]}{found[3]}",
        )
    whole = all(isinstance(end, int) for end in (low, high, space.get("step", 1)))
    default = "int" if whole and kind != "float" else "double"
    return {"parameter_type": next(iter(types), default), **space}


def _modifiers(modifiers: list[str], space: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Puts what the modifiers say into `space`; yields the type, if one is said."""
    for modifier in (text.strip() for text in modifiers):
        name, _, value = modifier.partition("=")
        if modifier == "log":
            space["distribution"] = "logUniform"
        elif modifier in ("int", "double"):
            yield modifier, True
        elif name == "step" and (step := read_number(value)) is not None:
            space["step"] = step
        else:
            raise Unreadable(
                f"`:{modifier}` is not known here.",
                hint="A range takes " + ", ".join(f"`:{known}`" for known in MODIFIERS) + ".",
            )


def show_hyperparameter(value: object, kinds: tuple[Kind | None, ...]) -> str | None:
    """The shortest writing that is read back as `value`, whichever of `kinds` reads it."""
    for text in _writings(value):
        if all(_reads_back(text, value, kind) for kind in kinds):
            return text
    return None


def _writings(value: object) -> Iterator[str]:
    space = _space(value)
    if space is not None and space.is_range:
        text = f"{show_scalar(space.min)}..{show_scalar(space.max)}"
        text += ":log" if space.distribution == "logUniform" else ""
        text += f":step={show_scalar(space.step)}" if space.step is not None else ""
        yield text
        yield f"{text}:{space.parameter_type}"
    elif space is not None:
        for always in (False, True):
            text = ",".join(show_scalar(item, quoted=always) for item in space.list or ())
            yield text
            yield f"{text}:categorical"
    elif not isinstance(value, Parameter):
        yield show_scalar(value)
        yield show_scalar(value, quoted=True)
    if isinstance(value, Parameter):
        value = value.model_dump(mode="json", exclude_defaults=True)
    yield show_scalar(value)


def _space(value: object) -> Parameter | None:
    if not is_searched(value):
        return None
    try:
        return Parameter.model_validate(value)
    except ValidationError:
        return None


def _reads_back(text: str, value: object, kind: Kind | None) -> bool:
    try:
        back = read_hyperparameter(text, kind) if text else None
    except Unreadable:
        return False
    return _identity(back) == _identity(value)


def _identity(value: object) -> str:
    """Tells 1 from 1.0 and from true, as == does not."""
    space = _space(value)
    return json.dumps(space.model_dump(mode="json") if space else value, sort_keys=True)


def show_scalar(value: object, *, quoted: bool = False) -> str:
    """A fixed value as it is typed; texts inside brackets are always quoted."""
    if isinstance(value, str):
        return value if not quoted and BARE.fullmatch(value) else quote(value)
    if isinstance(value, dict):
        pairs = (f"{quote(str(k))}:{show_scalar(v, quoted=True)}" for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(show_scalar(item, quoted=True) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return repr(value)
