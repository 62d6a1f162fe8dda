"""The words of one typed line, where each stands, and errors that point at one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bot.errors import SpecError
from bot.slack import quotes
from bot.slack.quotes import NUMBER, Unreadable
from bot.spec import SECRET, SECRET_FIELDS

Span = tuple[int, int]

NAMED = re.compile(r"([^\W\d][\w.-]*)\s*=\s*")
SPACED_RANGE = re.compile(rf"({NUMBER})\s*\.\.(?!\.)\s*({NUMBER})(?![\w.])")
TYPED_SECRET = re.compile(rf"\b(?:{'|'.join(SECRET_FIELDS)})\s*=\s*(\S+)")
SHOWN = 44  # characters of a line around the word pointed at: more would wrap in a narrow window


@dataclass(frozen=True)
class Typed:
    """One word of a line, `name=value`; a bare value has no name, a missing value is ""."""

    name: str
    value: str
    span: Span


@dataclass(frozen=True)
class Problem:
    """What is wrong with the word at `span`; `instead` is what to write there, if that is known."""

    span: Span
    message: str
    hint: str = ""
    field: str = ""
    instead: str | None = None


class LineError(SpecError):
    """An error in a typed line.

    `text` is the line (no secrets), `span` the word in it, `corrected` the whole line put right or
    "", `data` what could be read nevertheless.
    """

    text: str = ""
    span: Span = (0, 0)
    corrected: str = ""
    data: Mapping[str, Any] = MappingProxyType({})

    @property
    def pointed(self) -> str:
        """The line with the word marked, as a code block; "" if it is about no word."""
        return point(self.text, self.span) if self.span[1] else ""


def line_error(
    text: str, problems: Iterable[Problem], data: Mapping[str, Any], field: str = ""
) -> LineError:
    """The first problem in the line as an error that carries the others (there must be one).

    `field` is for problems that name none.
    """
    found = sorted(problems, key=lambda problem: problem.span)
    text = without_secrets(text)
    errors = []
    for problem in found:
        error = LineError(problem.message, hint=problem.hint, field=problem.field or field)
        error.text, error.span = text, problem.span
        errors.append(error)
    first, *rest = errors
    first.also = tuple(rest)
    first.corrected, first.data = _corrected(text, found), data
    return first


def _corrected(text: str, found: list[Problem]) -> str:
    """The line with every problem put right; "" if one of them cannot be."""
    for problem in reversed(found):
        if problem.instead is None:
            return ""
        start, end = problem.span
        text = text[:start] + problem.instead + text[end:]
        if not problem.instead:
            text = text[:start].rstrip() + text[start:]
    return text.strip()


def without_secrets(text: str) -> str:
    """The line with dots for a token that somebody typed where a Secret's name belongs."""
    return TYPED_SECRET.sub(_dots, text)


def _dots(found: re.Match[str]) -> str:
    value = found[1]
    start = found.start(1) - found.start()
    named = SECRET.fullmatch(value.strip("\"'“”")) or value.lower() == "none"
    return found[0] if named else found[0][:start] + "•" * len(value)


def point(text: str, word: str | Span) -> str:
    """The line with ^^^ under the word, as a code block (to be escaped like any text)."""
    if isinstance(word, str):
        start = max(text.find(word), 0)
        word = (start, start + len(word) if word in text else start)
    start, end = word
    end = max(end, start + 1)
    first = max(0, min(start - SHOWN // 3, len(text) - SHOWN))
    last = min(len(text), first + SHOWN)
    before, after = ("…" if first else ""), ("…" if last < len(text) else "")
    shown = re.sub(r"\s", " ", text[first:last]).replace("`", "'")
    marks = "^" * max(1, min(end, last) - start)
    return f"```\n{before}{shown}{after}\n{' ' * (len(before) + start - first)}{marks}\n```"


def scan(text: str, position: int = 0) -> Iterator[Typed | Problem]:
    """The words of a line in order; a quote or bracket that never closes ends it."""
    while (position := quotes.behind_space(text, position)) < len(text):
        try:
            word = _word_at(text, position)
        except Unreadable as error:
            end = text.find(" ", position)
            span = (position, len(text) if end < 0 else end)
            yield Problem(span, error.message[0].upper() + error.message[1:], error.hint)
            return
        yield word
        position = word.span[1]


def _word_at(text: str, start: int) -> Typed:
    named = NAMED.match(text, start)
    if not named:
        end = quotes.end_of_chunk(text, start)
        return Typed("", text[start:end], (start, end))
    begin = named.end()
    spaced = text[begin - 1].isspace()
    if begin >= len(text) or (spaced and NAMED.match(text, begin)):
        return Typed(named[1], "", (start, start + len(named[0].rstrip())))
    value, end = _value_at(text, begin)
    return Typed(named[1], value, (start, end))


def _value_at(text: str, start: int) -> tuple[str, int]:
    """The value at `start` and its end; spaces around `..` and behind commas do no harm."""
    value = ""
    if found := SPACED_RANGE.match(text, start):
        value, start = f"{found[1]}..{found[2]}", found.end()
    end = quotes.end_of_chunk(text, start)
    value += text[start:end]
    while (begin := quotes.behind_space(text, end)) < len(text):
        goes_on = value.endswith(",") and not NAMED.match(text, begin)
        if not goes_on and text[begin] not in ",:(":
            break
        end = quotes.end_of_chunk(text, begin)
        value += text[begin:end]
    return value, end
