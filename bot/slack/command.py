"""Slash command text -> Command, and a spec -> the typed line that gives it again.

`default on default learning_rate=1e-4..1e-2:log trials=10`: a model, a dataset, and words. What is
wrong is said of the word that is wrong, with the whole line put right where that can be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.errors import SpecError
from bot.hyperparameters import Kind
from bot.slack import quotes, values
from bot.slack.line import LineError as LineError
from bot.slack.line import Problem, Span, line_error, scan, without_secrets
from bot.slack.line import point as point
from bot.slack.quotes import Unreadable
from bot.slack.reader import FUNCTION, KINDS, Reader, ReadFile, Unknown, route
from bot.slack.verbs import NO_WORDS, VERBS, Verb, Words, read_words, verb_of
from bot.slack.words import CALLED, PREFIXES, SHORT_OF, show_field
from bot.slack.words import Word as Word
from bot.slack.words import words as words
from bot.slack.words import words_table as words_table
from bot.spec import FIELDS, HYPERPARAMETER_FIELDS, TuneSpec

PREFIX_OF = {name: prefix for prefix, name in PREFIXES.items()}


@dataclass(frozen=True)
class TuneCommand:
    """What `/katib-tune …` asks for.

    `data` is what was typed of a spec, not completed; `words` belong to the verbs that are about an
    Experiment, `page` to list. `text` is the line, and `spans` says where in it a field or
    hyperparameter was typed.
    """

    verb: Verb
    data: Mapping[str, Any] = field(default_factory=dict)
    words: Words = NO_WORDS
    page: int = 1
    text: str = ""
    spans: Mapping[str, Span] = field(default_factory=dict)


def wants_form(text: str) -> bool:
    """Whether the text opens the form: `form …`, or nothing at all."""
    return verb(text) == "form"


def verb(text: str) -> Verb:
    """What the text is about, whether or not the rest of it can be read."""
    first = next(scan(quotes.clean(text)), None)
    return "form" if first is None else verb_of(first) or "tune"


def parse_tune(text: str, *, read_file: ReadFile | None = None) -> TuneCommand:
    """What the text behind `/katib-tune` asks for.

    Args:
        text: as Slack sends it, or as it was typed in a shell.
        read_file: reads the file of `objective_file=PATH.py:FUNCTION`; None if files are not read.

    Raises:
        LineError: what cannot be read; every problem at once.
    """
    text = quotes.clean(text).strip()
    first, wanted = next(scan(text), None), verb(text)
    behind = first.span[1] if first and wanted != "tune" else 0
    if wanted in ("tune", "form"):
        return _parse_spec(wanted, text, behind, read_file)
    if wanted == "help":
        return TuneCommand(wanted, text=text)
    if wanted == "list":
        return TuneCommand(wanted, page=_read_page(text, behind), text=text)
    return TuneCommand(wanted, words=read_words(wanted, text, behind), text=text)


def parse_best(text: str) -> str:
    """The name, model or dataset that `/katib-best` is asked for; "" for the best of all."""
    text = " ".join(quotes.clean(text).split())
    try:
        return quotes.read_text(text)
    except Unreadable:
        return text


def parse_hyperparameters(text: str, field: str) -> dict[str, Any]:
    """`name=value` words, one or several in a line, as the form takes them for one field.

    Raises:
        LineError: with `field` set.
    """
    text = quotes.clean(text)
    reader = Reader(text, group=field)
    reader.read()
    if reader.problems:
        raise line_error(text, reader.problems, reader.data, field)
    return dict(reader.data.get(field, {}))


def show_hyperparameters(mapping: Mapping[str, Any], field: str = "") -> str:
    """One `name=value` a line, as `parse_hyperparameters` reads it.

    With `field` it is read back exactly; without, ranges say their type where it could be in doubt.
    """
    return "\n".join(_show_hyperparameter(field, *item) for item in mapping.items())


def locate(error: SpecError, typed: TuneCommand) -> LineError:
    """An error of the spec or the engine, pointing at the word of the line that it is about."""
    problems = []
    for each in error.all:
        named = re.search(r"`([\w.-]+)`", each.message)
        where = (named[1] if named else "", each.field)
        span = next((typed.spans[name] for name in where if name in typed.spans), (0, 0))
        problems.append(Problem(span, each.message, each.hint, each.field))
    return line_error(typed.text, problems, typed.data)


def line(spec: TuneSpec) -> str:
    """The typed line that gives this spec again, word for word."""
    left = {name: getattr(spec, name) for name in FIELDS if name in spec.model_fields_set}
    head = []
    if left.get("model_uri") and left.get("dataset"):
        head = [f"{_show_bare(left.pop('model_uri'))} on {_show_bare(left.pop('dataset'))}"]
    return " ".join([*head, *_shown_words(left, spec)])


def _parse_spec(verb: Verb, text: str, start: int, read_file: ReadFile | None) -> TuneCommand:
    reader = Reader(text, read_file=read_file)
    reader.read(start)
    if verb == "tune":
        reader.ask_for_what_is_missing()
    if reader.problems:
        raise _checked(line_error(text, reader.problems, reader.data), start, read_file)
    return TuneCommand(verb, reader.data, text=without_secrets(text), spans=reader.spans)


def _checked(error: LineError, start: int, read_file: ReadFile | None) -> LineError:
    """The error, without a corrected line that would be refused again."""
    again = Reader(error.corrected, read_file=read_file)
    again.read(start)
    error.corrected = "" if again.problems else error.corrected
    return error


def _read_page(text: str, start: int) -> int:
    rest = text[start:].strip()
    if rest and not re.fullmatch(r"[1-9][0-9]{0,5}", rest):
        message = f"`list` takes the number of a page, not `{rest}`."
        raise line_error(text, [Problem((0, len(text)), message, "", "", "list")], {})
    return int(rest or 1)


def _show_bare(text: str) -> str:
    """A model or a dataset, in quotes where it would be taken for something else."""
    shown = quotes.show_text(text)
    special = text.lower() in (*VERBS, "on") or "=" in text or FUNCTION.fullmatch(text)
    return quotes.quote(text) if special else shown


def _shown_words(left: dict[str, Any], spec: TuneSpec) -> Iterator[str]:
    for name, value in left.items():
        if name in CALLED and left.get(CALLED[name]) and value:
            settings = left[CALLED[name]].items()
            shown = ",".join(f"{key}={quotes.show_text(text)}" for key, text in settings)
            yield f"{SHORT_OF.get(name, name)}={value}({shown})"
        elif any(name == CALLED[caller] and left.get(caller) for caller in CALLED) and value:
            continue
        elif name == "objective_metric_name" and "objective_type" in left:
            yield f"objective={spec.objective_type}:{value}"
        elif name == "objective_type" and "objective_metric_name" in left:
            continue
        elif name in ("env_per_trial", "columns") and value:
            prefix = PREFIX_OF[name]
            yield from (f"{prefix}.{key}={quotes.show_text(text)}" for key, text in value.items())
        elif name in HYPERPARAMETER_FIELDS and value:
            yield from (_show_word(name, *item, custom=spec.is_custom) for item in value.items())
        else:
            yield f"{SHORT_OF.get(name, name)}={show_field(name, value)}"


def _show_word(field: str, name: str, value: Any, *, custom: bool) -> str:
    """A hyperparameter by its own name if that leads to its field, else with a prefix."""
    try:
        path, kind = route(name, custom=custom)
    except Unknown:
        path, kind = (), None
    shown = values.show_hyperparameter(value, (kind,)) if path == (field, name) else None
    return f"{name}={shown}" if shown else _show_prefixed(field, name, value)


def _show_prefixed(field: str, name: str, value: Any) -> str:
    return f"{PREFIX_OF[field]}.{name}={values.show_hyperparameter(value, (None,))}"


def _show_hyperparameter(field: str, name: str, value: Any) -> str:
    if not field:
        known: set[Kind | None] = {kinds[name] for kinds in KINDS.values() if name in kinds}
        shown = values.show_hyperparameter(value, (None, *known))
        return f"{name}={shown or values.show_scalar(value)}"
    try:
        _, kind = route(name, group=field)
        shown = values.show_hyperparameter(value, (kind,))
    except Unknown:
        shown = None
    return f"{name}={shown}" if shown else _show_prefixed(field, name, value)
