"""The small part of GJSON that Katib's success and failure conditions use.

A path is names joined by dots; `#(name=="text")#` keeps the list's items that fit, `#(…)` the first
of them; `|` goes on with the result so far.
"""

from __future__ import annotations

import re
from typing import Any

from tests.cluster.resources import Json

QUERY = re.compile(r'#\((?P<name>[\w.]+)\s*(?P<sign>==|!=)\s*"(?P<text>[^"]*)"\)(?P<all>#?)')
NAME = re.compile(r"[\w-]+")


def matched(obj: Json, path: str) -> Json | None:
    """The condition that a path finds: an object, or the first item of a non-empty list."""
    found = _walk(obj, path)
    if isinstance(found, list):
        found = found[0] if found else None
    return found if isinstance(found, dict) else None


def _walk(value: Any, path: str) -> Any:
    rest = path
    while rest:
        rest = rest.lstrip(".|")
        if query := QUERY.match(rest):
            value, rest = _keep(value, query), rest[query.end() :]
        elif name := NAME.match(rest):
            value = value.get(name[0]) if isinstance(value, dict) else None
            rest = rest[name.end() :]
        else:
            raise ValueError(f"The test bed does not know this condition: {path!r}")
    return value


def _keep(value: Any, query: re.Match[str]) -> Any:
    items = value if isinstance(value, list) else []
    equal = query["sign"] == "=="
    fitting = [item for item in items if (_walk(item, query["name"]) == query["text"]) == equal]
    if query["all"]:
        return fitting
    return fitting[0] if fitting else None
