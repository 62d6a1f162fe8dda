"""Reads a JSON Schema with descriptions, and prints as JSON the limits that these put in words.

The result names each limit by definition and field. A limit that is put in other words than those
below is not found, so look at what has gone when @slack/types has changed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

LINK = re.compile(r"\{@link (?:https?://)?\S+ ?([^}]*)\}")
COUNTED = r"`?([\d,]+)`?"
THINGS = r"(?:items|options|option groups|elements|cards|blocks|rows)"
# What is limited -> the words for it; the words for a part of an array come first.
PHRASES: tuple[tuple[str, str], ...] = (
    ("items.maxLength", rf"text in each item is {COUNTED} characters"),
    ("items.maxItems", rf"array with a max of {COUNTED} table cells"),
    ("maxLength", rf"(?:max|limit)[^.]*? {COUNTED} characters"),
    ("maxLength-1", rf"must be less than {COUNTED} characters"),
    ("minLength", rf"minimum length(?: for the `text` in this field)? is {COUNTED}"),
    ("maxItems", rf"max(?:imum)?(?: number)?(?: of)? {COUNTED} {THINGS}"),
    ("maxItems", rf"maximum number of {THINGS} is {COUNTED}"),
    ("minItems", rf"minimum {COUNTED}, maximum {COUNTED} cards"),
    ("maximum", rf"(?:maximum value is|max|maximum of) {COUNTED}[.\s]*(?:defaults|$)"),
    ("minimum", rf"(?:min|minimum of|minimum number is) {COUNTED}(?:, max|\.|$)"),
    ("minimum", rf"must be between {COUNTED} and"),
    ("maximum", rf"must be between [\d,]+ and {COUNTED}"),
)


def limits_in(description: str) -> dict[str, int]:
    """The limits that one description puts in words."""
    words = " ".join(LINK.sub(r"\1", description).split())
    found: dict[str, int] = {}
    for name, phrase in PHRASES:
        for match in re.finditer(phrase, words, re.IGNORECASE):
            number = int(match[1].replace(",", ""))
            limit, _, less = name.partition("-")
            found.setdefault(limit, number - int(less or 0))
            words = words if "items." not in name else words.replace(match[0], "")
    return found


def described(node: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every field below a definition that has a description."""
    for variant in node.get("anyOf", []):
        yield from described(variant, path)
    yield from described(node["items"], path) if "items" in node else ()
    for name, field in node.get("properties", {}).items():
        if isinstance(field.get("description"), str):
            yield f"{path}.{name}", field["description"]
        yield from described(field, f"{path}.{name}")


def main() -> None:
    definitions = json.load(sys.stdin)["definitions"]
    found = {
        path: limits
        for name, node in sorted(definitions.items())
        for path, description in described(node, name)
        if (limits := limits_in(description))
    }
    lines = (f"{json.dumps(path)}: {json.dumps(limits)}" for path, limits in found.items())
    sys.stdout.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
