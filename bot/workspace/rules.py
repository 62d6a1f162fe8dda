"""The parts that the table of blocks is written in: what a value may be, and Slack's words when
it is not.

Each rule looks at one JSON value and adds complaints; it never raises. Which block has which
fields is
said in `element_rules` and `block_rules`, not here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

INVALID_BLOCKS = "invalid_blocks"


@dataclass(frozen=True)
class Complaint:
    """One thing that Slack would refuse: its words, where (a JSON pointer), and the API's error
    code.
    """

    text: str
    pointer: str
    code: str = INVALID_BLOCKS

    def __str__(self) -> str:
        return f"{self.text} [json-pointer:{self.pointer}]"


Complaints = list[Complaint]


class Rule(Protocol):
    """Judges one value found at the pointer `at`."""

    def check(self, value: object, at: str, out: Complaints) -> None: ...


Extra = Callable[[Mapping[str, object], str, Complaints], None]


@dataclass(frozen=True)
class String:
    """Text of `least` to `most` characters, of a pattern if one is given."""

    most: int | None = None
    least: int = 1
    pattern: str = ""

    def check(self, value: object, at: str, out: Complaints) -> None:
        if not isinstance(value, str):
            out.append(Complaint("must provide a string", at))
        elif len(value) < self.least:
            out.append(Complaint(f"must be more than {self.least - 1} characters", at))
        elif self.most is not None and len(value) > self.most:
            out.append(Complaint(f"must be less than {self.most + 1} characters", at))
        elif self.pattern and not re.fullmatch(self.pattern, value):
            out.append(Complaint("must match the required pattern", at))


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    values: tuple[str, ...]

    def check(self, value: object, at: str, out: Complaints) -> None:
        if value not in self.values:
            out.append(Complaint("must be a valid enum value", at))


@dataclass(frozen=True)
class Flag:
    """true or false."""

    def check(self, value: object, at: str, out: Complaints) -> None:
        if not isinstance(value, bool):
            out.append(Complaint("must provide a boolean", at))


@dataclass(frozen=True)
class Number:
    """A finite JSON number; `above` excludes its own value."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    whole: bool = False

    def check(self, value: object, at: str, out: Complaints) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not _finite(value):
            out.append(Complaint("must provide a number", at))
        elif self.whole and not isinstance(value, int):
            out.append(Complaint("must provide an integer", at))
        elif self.least is not None and value < self.least:
            out.append(Complaint(f"must be greater than or equal to {self.least}", at))
        elif self.most is not None and value > self.most:
            out.append(Complaint(f"must be less than or equal to {self.most}", at))
        elif self.above is not None and value <= self.above:
            out.append(Complaint(f"must be greater than {self.above}", at))


def _finite(value: int | float) -> bool:
    # Whole numbers of any size are finite, and too large to ask math about.
    return isinstance(value, int) or math.isfinite(value)


@dataclass(frozen=True)
class Array:
    """A list of `least` to `most` things of one kind."""

    item: Rule
    least: int = 0
    most: int | None = None

    def check(self, value: object, at: str, out: Complaints) -> None:
        if not isinstance(value, list):
            out.append(Complaint("must provide an array", at))
            return
        if len(value) < self.least:
            out.append(Complaint(f"no less than {self.least} items allowed", at))
        if self.most is not None and len(value) > self.most:
            out.append(Complaint(f"no more than {self.most} items allowed", at))
        for index, item in enumerate(value):
            self.item.check(item, f"{at}/{index}", out)


@dataclass(frozen=True)
class Object:
    """An object with just these fields; `extra` says what several fields must be together."""

    fields: Mapping[str, Rule]
    required: tuple[str, ...] = ()
    extra: tuple[Extra, ...] = field(default=())

    def check(self, value: object, at: str, out: Complaints) -> None:
        if not isinstance(value, dict):
            out.append(Complaint("must provide an object", at))
            return
        before = len(out)
        for name in self.required:
            if name not in value:
                out.append(Complaint(f"missing required field: {name}", at))
        for name, item in value.items():
            rule = self.fields.get(name)
            if rule is None:
                out.append(Complaint(f"invalid additional property: {name}", at))
            else:
                rule.check(item, f"{at}/{name}", out)
        if len(out) == before:
            for judge in self.extra:
                judge(value, at, out)


@dataclass(frozen=True)
class Tagged:
    """An object whose `type` says which of several rules it follows."""

    kinds: Mapping[str, Rule]
    words: str = "unsupported type: {type}"

    def check(self, value: object, at: str, out: Complaints) -> None:
        if not isinstance(value, dict):
            out.append(Complaint("must provide an object", at))
            return
        kind = value.get("type")
        if kind is None:
            out.append(Complaint("missing required field: type", at))
            return
        if not isinstance(kind, str):
            out.append(Complaint("must provide a string", f"{at}/type"))
            return
        rule = self.kinds.get(kind)
        if rule is None:
            out.append(Complaint(self.words.format(type=kind), f"{at}/type"))
        else:
            rule.check(value, at, out)


@dataclass(frozen=True)
class Json:
    """Any JSON object."""

    def check(self, value: object, at: str, out: Complaints) -> None:
        if not isinstance(value, dict):
            out.append(Complaint("must provide an object", at))


def typed(
    kind: str, fields: Mapping[str, Rule], *required: str, extra: Extra | None = None
) -> Object:
    """An object whose `type` is `kind`."""
    return Object(
        fields={"type": Choice((kind,)), **fields},
        required=("type", *required),
        extra=(extra,) if extra else (),
    )


def one_of(*names: str) -> Extra:
    """Exactly one of these fields must be there."""

    def judge(value: Mapping[str, object], at: str, out: Complaints) -> None:
        given = [name for name in names if name in value]
        if not given:
            out.append(Complaint(f"missing required field: {names[0]}", at))
        elif len(given) > 1:
            out.append(Complaint(f"cannot provide both `{given[0]}` and `{given[1]}`", at))

    return judge
