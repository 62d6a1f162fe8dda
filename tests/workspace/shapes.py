"""What two tables of blocks say about the same things: our rules, and a JSON Schema, each as a set
of plain facts such as "section.text is a field" or "section.text takes mrkdwn".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.workspace.rules import Array, Choice, Flag, Number, Object, Rule, String, Tagged

Schema = Mapping[str, Any]
Found = list[tuple[str, set[str]]]
Seen = set[tuple[int, str]]


def _joined(facts: list[set[str]]) -> set[str]:
    """Facts about several forms of one thing: what one has all have, but for required fields."""
    required = set.intersection(*({f for f in one if " requires " in f} for one in facts))
    return required | {f for one in facts for f in one if " requires " not in f}


def _all(found: Found) -> set[str]:
    forms: dict[str, list[set[str]]] = {}
    for path, facts in found:
        forms.setdefault(path, []).append(facts)
    return set().union(*(_joined(facts) for facts in forms.values()))


# --- our rules ----------------------------------------------------------------------------------


def kind_of(rule: Rule) -> str:
    """The `type` of what an object rule describes, or ""."""
    kind = rule.fields.get("type") if isinstance(rule, Object) else None
    return kind.values[0] if isinstance(kind, Choice) else ""


def facts_of_rules(*rules: Rule) -> set[str]:
    """All that these rules say, with what stands in them."""
    found: Found = []
    seen: Seen = set()
    for rule in rules:
        _object(rule, kind_of(rule), found, seen)
    return _all(found)


def _object(rule: Rule, path: str, found: Found, seen: Seen) -> None:
    assert isinstance(rule, Object)
    if (id(rule), path) in seen:
        return
    seen.add((id(rule), path))
    facts = {f"{path} requires {name}" for name in rule.required if name != "type"}
    found.append((path, facts))
    for name, field in rule.fields.items():
        if name != "type":
            facts.add(f"{path} has {name}")
            facts.update(_value(field, f"{path}.{name}", found, seen))


def _value(rule: Rule, path: str, found: Found, seen: Seen) -> Iterator[str]:
    match rule:
        case Array():
            yield f"{path} is an array"
            yield from _value(rule.item, path, found, seen)
        case Tagged():
            for kind in rule.kinds.values():
                yield from _value(kind, path, found, seen)
        case Object():
            kind = kind_of(rule)
            yield f"{path} takes {kind or 'an object'}"
            _object(rule, kind or path, found, seen)
        case Choice():
            yield from (f"{path} can be {word}" for word in rule.values)
        case String() | Flag() | Number():
            words = {String: "string", Flag: "boolean", Number: "number"}
            yield f"{path} is a {words[type(rule)]}"


# --- a JSON Schema ------------------------------------------------------------------------------


def facts_of_schema(schema: Schema, *names: str) -> set[str]:
    """All that these definitions of a JSON Schema say, with what stands in them."""
    found: Found = []
    seen: Seen = set()
    for name in names:
        for form in forms(schema, schema["definitions"][name]):
            _form(schema, form, form["properties"]["type"]["const"], found, seen)
    return _all(found)


def forms(schema: Schema, node: Schema) -> Iterator[Schema]:
    """What a reference or a choice stands for."""
    if "$ref" in node:
        yield from forms(schema, schema["definitions"][node["$ref"].rpartition("/")[2]])
    elif "anyOf" in node:
        for one in node["anyOf"]:
            yield from forms(schema, one)
    else:
        yield node


def _form(schema: Schema, form: Schema, path: str, found: Found, seen: Seen) -> None:
    if (id(form), path) in seen:
        return
    seen.add((id(form), path))
    facts = {f"{path} requires {name}" for name in form.get("required", []) if name != "type"}
    found.append((path, facts))
    for name, field in form.get("properties", {}).items():
        if name != "type":
            facts.add(f"{path} has {name}")
            facts.update(_node(schema, field, f"{path}.{name}", found, seen))


def _node(schema: Schema, node: Schema, path: str, found: Found, seen: Seen) -> Iterator[str]:
    for form in forms(schema, node):
        if form["type"] == "array":
            yield f"{path} is an array"
            yield from _node(schema, form["items"], path, found, seen)
        elif form["type"] == "object":
            kind = form.get("properties", {}).get("type", {}).get("const", "")
            yield f"{path} takes {kind or 'an object'}"
            _form(schema, form, kind or path, found, seen)
        elif "enum" in form and form["type"] == "string":
            yield from (f"{path} can be {word}" for word in form["enum"])
        else:
            yield f"{path} is a {form['type']}"
