"""Payloads made from the rule tables: for every rule the least, the fullest and each limit that
it accepts, and for every way to break it one that it refuses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bot.workspace.block_rules import MODAL, RICH_TEXT
from bot.workspace.element_rules import BUTTON, CONFIRM, DATE, DECIMAL, ELEMENTS, TIME, URL
from bot.workspace.rules import Array, Choice, Flag, Json, Number, Object, Rule, String, Tagged
from bot.workspace.surface_rules import BLOCKS, VIEWS
from tests.workspace.builders import modal

# Text that a pattern takes; a longer one is filled up with x at the end.
SAMPLES = {
    URL.pattern: "https://a/b",
    r"https:\S+": "https://a/b",
    r"\S+@\S+": "a@b",
    DATE.pattern: "2026-11-24",
    TIME.pattern: "23:59",
    DECIMAL.pattern: "1",
}
# Blocks that also stand in other blocks are tried in full by themselves; a confirmation, that
# nearly every element has, in a button.
TRIED_ELSEWHERE = (RICH_TEXT, CONFIRM, *(block.rule for block in BLOCKS.values()))


def _is_tried_elsewhere(rule: Rule) -> bool:
    return any(rule is one for one in TRIED_ELSEWHERE)


@dataclass(frozen=True)
class Broken:
    """A value that a rule refuses, how it is broken, and where the rule complains."""

    value: Any
    how: str
    pointer: str = ""

    def under(self, name: object, value: Any) -> Broken:
        """The same in a field or an item of something larger."""
        return Broken(value, self.how, f"/{name}{self.pointer}")


def accepts(rule: Rule, value: Any) -> bool:
    out: list[Any] = []
    rule.check(value, "", out)
    return not out


# --- what a rule accepts ------------------------------------------------------------------------


def least(rule: Rule) -> Any:
    """The smallest value that a rule accepts."""
    match rule:
        case String():
            return SAMPLES[rule.pattern] if rule.pattern else "x" * max(rule.least, 1)
        case Choice():
            return rule.values[0]
        case Flag():
            return True
        case Number():
            return next(n for n in (rule.least, rule.most, 1) if n is not None)
        case Array():
            return [least(rule.item)] * max(rule.least, 1)
        case Tagged():
            return least(next(iter(rule.kinds.values())))
        case Object():
            return _least_object(rule)
    return {}


def _least_object(rule: Object) -> dict[str, Any]:
    bare = {name: least(rule.fields[name]) for name in rule.required}
    tries = [bare, *({**bare, name: least(field)} for name, field in rule.fields.items())]
    return next(value for value in tries if accepts(rule, value))


def full(rule: Object) -> dict[str, Any]:
    """An object with every field that goes with the others."""
    value = least(rule)
    for name, field in rule.fields.items():
        more = {**value, name: least(field)}
        value = more if accepts(rule, more) else value
    return dict(value)


def good(rule: Rule) -> Iterator[Any]:
    """What a rule accepts: the least, the fullest, each field by itself, each limit."""
    match rule:
        case String():
            yield from _good_strings(rule)
        case Choice():
            yield from rule.values
        case Flag():
            yield from (True, False)
        case Number():
            yield from (n for n in (rule.least, rule.most) if n is not None)
            yield least(rule)
        case Array():
            yield [least(rule.item)] * rule.least
            yield from ([item] * max(rule.least, 1) for item in good(rule.item))
            if rule.most is not None:
                yield [least(rule.item)] * rule.most
        case Tagged():
            for kind in rule.kinds.values():
                yield from good(kind)
        case Object() if _is_tried_elsewhere(rule):
            yield least(rule)
        case Object():
            yield from good_objects(rule)
        case Json():
            yield {"any": [1, None]}


def _good_strings(rule: String) -> Iterator[str]:
    yield least(rule)
    if rule.pattern not in SAMPLES:
        yield "x" * rule.least
    if rule.most is not None:
        yield SAMPLES.get(rule.pattern, "").ljust(rule.most, "x")


def good_objects(rule: Object) -> Iterator[dict[str, Any]]:
    small, large = least(rule), full(rule)
    yield small
    yield large
    for name, field in rule.fields.items():
        for value in good(field):
            yield from _with(rule, [small, large], name, value)


def _with(
    rule: Object, bases: list[dict[str, Any]], name: str, value: Any
) -> Iterator[dict[str, Any]]:
    """The first base that takes this field, or that does without another one."""
    tries = [{**base, name: value} for base in bases]
    tries += [
        {k: v for k, v in one.items() if k != dropped}
        for one in tries
        for dropped in one
        if dropped not in (name, *rule.required)
    ]
    yield from [one for one in tries if accepts(rule, one)][:1]


# --- what a rule refuses ------------------------------------------------------------------------


def broken(rule: Rule) -> Iterator[Broken]:
    """Every way to break a rule, one at a time."""
    match rule:
        case String():
            yield Broken(5, "wrong type")
            yield from _broken_strings(rule)
        case Choice():
            yield from (Broken("no such word", "wrong word"), Broken(5, "wrong type"))
        case Flag():
            yield Broken("true", "wrong type")
        case Number():
            yield from (Broken("1", "wrong type"), Broken(True, "wrong type"))
            yield from _broken_numbers(rule)
        case Array():
            yield from _broken_arrays(rule)
        case Tagged():
            yield from _broken_kinds(rule)
        case Object() if _is_tried_elsewhere(rule):
            yield Broken("x", "wrong type")
        case Object():
            yield from broken_objects(rule)
        case Json():
            yield Broken("x", "wrong type")


def _broken_strings(rule: String) -> Iterator[Broken]:
    if rule.most is not None:
        yield Broken(SAMPLES.get(rule.pattern, "").ljust(rule.most + 1, "x"), "too long")
    if rule.least:
        yield Broken("x" * (rule.least - 1), "too short")
    if rule.pattern:
        yield Broken("no match", "wrong form")


def _broken_numbers(rule: Number) -> Iterator[Broken]:
    yield from (Broken(n, "not a number") for n in (math.nan, math.inf, -math.inf))
    if rule.least is not None:
        yield Broken(rule.least - 1, "too small")
    if rule.above is not None:
        yield Broken(rule.above, "too small")
    if rule.most is not None:
        yield Broken(rule.most + 1, "too large")
    if rule.whole:
        yield Broken(least(rule) + 0.5, "not whole")


def _broken_arrays(rule: Array) -> Iterator[Broken]:
    item = least(rule.item)
    yield Broken({}, "wrong type")
    if rule.least:
        yield Broken([item] * (rule.least - 1), "too few")
    if rule.most is not None:
        yield Broken([item] * (rule.most + 1), "too many")
    before = [item] * max(rule.least - 1, 0)
    for one in broken(rule.item):
        yield one.under(len(before), [*before, one.value])


def _broken_kinds(rule: Tagged) -> Iterator[Broken]:
    yield from (Broken("x", "wrong type"), Broken({}, "missing field"))
    yield Broken({"type": 5}, "wrong type", "/type")
    yield Broken({"type": "no_such"}, "wrong kind", "/type")
    if rule.kinds.keys() <= {*ELEMENTS, *BLOCKS}:
        known = {**ELEMENTS, **{kind: block.rule for kind, block in BLOCKS.items()}}
        for kind in known.keys() - rule.kinds.keys():
            yield Broken(least(known[kind]), "wrong kind", "/type")
    for kind in rule.kinds.values():
        yield from broken(kind)


def broken_objects(rule: Object) -> Iterator[Broken]:
    small = least(rule)
    yield Broken("x", "wrong type")
    yield Broken({**small, "no_such": 1}, "unknown field")
    for name in rule.required:
        # Without its type nobody knows which rule an object follows.
        if name != "type":
            without = {k: v for k, v in small.items() if k != name}
            yield Broken(without, "missing field")
    for name, field in rule.fields.items():
        for one in broken(field) if name != "type" else ():
            yield one.under(name, {**small, name: one.value})


# --- whole payloads -----------------------------------------------------------------------------


def payload(kind: str, block: Any) -> dict[str, Any]:
    """A block as it is sent: in a modal if it may stand there, else in a message."""
    if MODAL in BLOCKS[kind].surfaces:
        return {"view": modal(block)}
    return {"blocks": [block]}


def confirming(confirm: Any) -> dict[str, Any]:
    """A button with this confirmation, as it is sent."""
    button = {**least(BUTTON), "confirm": confirm}
    return payload("actions", {"type": "actions", "elements": [button]})


def good_payloads() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every block on the surface for it, and every view, in all the ways that are accepted."""
    for kind, block in BLOCKS.items():
        for value in good_objects(block.rule):
            yield kind, payload(kind, value)
    for value in good_objects(CONFIRM):
        yield "confirm", confirming(value)
    for kind, view in VIEWS.items():
        for value in good_objects(view):
            # A modal with an input needs a button to submit it.
            submit = {"submit": least(view.fields["submit"])} if "submit" in view.fields else {}
            yield kind, {"view": {**submit, **value}}


def broken_payloads() -> Iterator[tuple[str, Broken]]:
    """Every block and view broken in every way; the pointer is the one that is complained of."""
    for kind, view in VIEWS.items():
        for one in broken_objects(view):
            yield kind, one.under("view", {"view": one.value})
    for kind, block in BLOCKS.items():
        for one in broken_objects(block.rule):
            sent = payload(kind, one.value)
            at = "/view/blocks/0" if "view" in sent else "/blocks/0"
            yield kind, Broken(sent, one.how, at + one.pointer)
    for one in broken_objects(CONFIRM):
        at = "/view/blocks/0/elements/0/confirm"
        yield "confirm", Broken(confirming(one.value), one.how, at + one.pointer)
