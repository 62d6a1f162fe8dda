"""What went between the apps and the workspace: for assertions, and for the inspector."""

from __future__ import annotations

import json
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

ENTRIES_LIMIT = 2000
# Characters of JSON: of one body (Slack's largest is a view, 250 kB), and of all together.
BODY_LIMIT = 256_000
TOTAL_LIMIT = 32_000_000
# What the page gets of a body, and of a longer one.
PAGE_BODY_LIMIT = 32_000
PAGE_ENTRIES_LIMIT = 500
CUT = 2_000
UNKNOWN_LIMIT = 200

_SECRETS = (
    (re.compile(r'"(token|authorization)": "(?:[^"\\]|\\.)*"', re.IGNORECASE), r'"\1": "…"'),
    (re.compile(r"\b(xox[a-z]|xapp)-[\w-]+"), r"\1-…"),
)


@dataclass
class Entry:
    """One call, delivery or answer: `request` and `answer` are JSON as text, without tokens.

    `kind` is call, envelope, http, response_url, webhook, upload or socket; `app` an app id, ""
    while it is not known; `at` in seconds since the epoch; `ms` None while the answer is awaited;
    `status` an HTTP status, None where there is none.
    """

    n: int
    at: float
    kind: str
    app: str
    name: str
    request: str
    ok: bool = False
    status: int | None = None
    error: str = ""
    ms: float | None = None
    complaints: tuple[str, ...] = ()
    answer: str = "null"
    began: float = field(default_factory=time.perf_counter)

    def shown(self, *, body_limit: int = BODY_LIMIT) -> dict[str, Any]:
        """As JSON; bodies over so many characters cut to a text."""
        return {
            "n": self.n,
            "at": self.at,
            "kind": self.kind,
            "app": self.app,
            "name": self.name,
            "ok": self.ok,
            "status": self.status,
            "error": self.error,
            "ms": self.ms,
            "complaints": list(self.complaints),
            "request": _cut(self.request, body_limit),
            "answer": _cut(self.answer, body_limit),
        }


class Recorder:
    """The latest entries, the oldest forgotten first. `tell` hears of every change."""

    def __init__(self, now: Callable[[], float], tell: Callable[[int], None]) -> None:
        self._now = now
        self._tell = tell
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._last = 0
        self.unknown_methods: Counter[str] = Counter()

    def begin(self, kind: str, name: str, request: Any = None, *, app: str = "") -> Entry:
        """Notes what was asked or sent."""
        self._last += 1
        entry = Entry(self._last, self._now(), kind, app, name, _text(request))
        self._entries.append(entry)
        self._grow(len(entry.request))
        return entry

    def end(
        self,
        entry: Entry,
        *,
        error: str = "",
        status: int | None = None,
        answer: Any = None,
        complaints: Iterable[str] = (),
    ) -> None:
        """Notes what came of it; without an error it went well."""
        entry.ms = round((time.perf_counter() - entry.began) * 1000, 2)
        entry.ok, entry.error, entry.status = not error, error, status
        entry.complaints = tuple(complaints)
        entry.answer = _text(answer)
        is_kept = bool(self._entries) and entry.n >= self._entries[0].n
        self._grow(len(entry.answer) if is_kept else 0)

    def unknown(self, method: str) -> None:
        """Counts a method that the workspace does not have."""
        if method in self.unknown_methods or len(self.unknown_methods) < UNKNOWN_LIMIT:
            self.unknown_methods[method] += 1

    def entries(self, *, kind: str = "", name: str = "", since: int = 0) -> list[Entry]:
        """Those of this kind and name ("" any) with a number above `since`, oldest first."""
        return [
            entry
            for entry in self._entries
            if entry.n > since and kind in ("", entry.kind) and name in ("", entry.name)
        ]

    def page(self, since: int) -> list[dict[str, Any]]:
        """What the inspector's page gets."""
        latest = self.entries(since=since)[-PAGE_ENTRIES_LIMIT:]
        return [entry.shown(body_limit=PAGE_BODY_LIMIT) for entry in latest]

    def _grow(self, by: int) -> None:
        self._size += by
        while len(self._entries) > ENTRIES_LIMIT or self._size > TOTAL_LIMIT:
            oldest = self._entries.popleft()
            self._size -= len(oldest.request) + len(oldest.answer)
        self._tell(self._last)


def _text(body: Any) -> str:
    text = json.dumps(body, ensure_ascii=False, default=str)
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    return text if len(text) <= BODY_LIMIT else json.dumps(_beginning(text), ensure_ascii=False)


def _cut(text: str, limit: int) -> Any:
    return json.loads(text) if len(text) <= limit else _beginning(text)


def _beginning(text: str) -> str:
    return f"{text[:CUT]}… ({len(text):,} characters in all)"
