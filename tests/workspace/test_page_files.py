"""The files of the page: what index.html must say of them."""

from __future__ import annotations

import re
from pathlib import Path

from bot.workspace.server import STATIC

IMPORTED = re.compile(r"from '(\.[^']+)'")


def modules(start: Path) -> set[Path]:
    """A module and all that it imports."""
    found: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            names = IMPORTED.findall(path.read_text("utf-8"))
            waiting += [(path.parent / name).resolve() for name in names]
    return found


def test_every_module_is_preloaded_so_that_none_waits_for_another() -> None:
    page = (STATIC / "index.html").read_text("utf-8")
    preloaded = re.findall(r'rel="modulepreload" href="/static/([^"]+)"', page)
    entry = (STATIC / "app.js").resolve()
    wanted = {str(path.relative_to(STATIC.resolve())) for path in modules(entry) - {entry}}
    assert preloaded == sorted(wanted)
