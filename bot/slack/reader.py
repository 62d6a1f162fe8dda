"""Reads the words of one typed line into spec data, and says what is wrong with each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bot.hyperparameters import LORA, OWN, TRAINING, Kind
from bot.slack import quotes, values
from bot.slack.line import NAMED, Problem, Span, Typed, scan, without_secrets
from bot.slack.quotes import Unreadable
from bot.slack.words import CALLED, PREFIXES, SHORT, expected, read_field
from bot.spec import FIELDS, HYPERPARAMETER_FIELDS, is_searched

Path = tuple[str, ...]
ReadFile = Callable[[str], str]

KINDS: Mapping[str, Mapping[str, Kind]] = {
    "training_parameters": {**TRAINING, **OWN},
    "lora_config": LORA,
}
KNOWN = {name: field for field, kinds in KINDS.items() for name in kinds}
SPEC_WORDS = {**dict.fromkeys(FIELDS), **dict.fromkeys(SHORT)}
OBJECTIVE_FILE = "objective_file"
CUSTOM = ("objective_function", "objective_source", "objective_image", "objective_command",
          OBJECTIVE_FILE)  # fmt: skip
FUNCTION = re.compile(r"(.+\.py):([^\W\d]\w*)")
CALL = re.compile(r"([\w-]+)\s*\((.*)\)", re.DOTALL)
DIRECTED = re.compile(r"(minimize|maximize):(.+)", re.IGNORECASE)


class Unknown(Unreadable):
    """A word that is none of ours."""


def route(name: str, *, custom: bool = False, group: str = "") -> tuple[Path, Kind | None]:
    """Where a word's value goes, as (field,) or (field, name), and which kind of value that is.

    Args:
        name: as typed, e.g. `trials`, `learning_rate`, `lora.r`.
        custom: whether there is a custom objective, whose parameters have names of their own.
        group: the hyperparameter field that all words belong to, or "".

    Raises:
        Unknown: no such word; `instead` is the nearest one.
    """
    prefix, _, rest = name.partition(".")
    if rest and prefix in PREFIXES:
        if group and group != PREFIXES[prefix]:
            raise Unknown(f"it belongs to `{PREFIXES[prefix]}`.")
        return (PREFIXES[prefix], rest), None
    if group:
        return _route_in(group, name)
    if name in SHORT or name in FIELDS or name == OBJECTIVE_FILE:
        return (SHORT.get(name, name),), None
    if custom:
        if close := get_close_matches(name, [*SPEC_WORDS, OBJECTIVE_FILE], n=1, cutoff=0.8):
            raise Unknown(
                f"is it `{close[0]}`, or a parameter of the objective?",
                hint=f"A parameter so named is typed as parameters.{name}=.",
                instead=close[0],
            )
        return ("parameters", name), None
    if name in KNOWN:
        return (KNOWN[name], name), KINDS[KNOWN[name]][name]
    raise _unknown(name, [*SPEC_WORDS, *KNOWN], "`help` lists the words; a hyperparameter of "
                   f"another version is typed as training.{name}= or lora.{name}=.")  # fmt: skip


def _route_in(group: str, name: str) -> tuple[Path, Kind | None]:
    kinds = KINDS.get(group, {})
    if name in kinds or group == "parameters":
        return (group, name), kinds.get(name)
    if name in KNOWN:
        raise Unknown(f"it belongs to `{KNOWN[name]}`.")
    if get_close_matches(name, kinds, n=1, cutoff=0.8):
        prefix = next(prefix for prefix, field in PREFIXES.items() if field == group)
        raise _unknown(name, [*kinds], f"If you mean it, write {prefix}.{name}=.")
    return (group, name), None


def _unknown(name: str, known: list[str], otherwise: str) -> Unknown:
    close = get_close_matches(name.lower().replace("-", "_"), known, n=2, cutoff=0.7)
    meant = " or ".join(f"`{each}`" for each in close)
    hint = f"Did you mean {meant}?" if close else otherwise
    return Unknown("there is no such word.", hint=hint, instead=close[0] if close else "")


class Reader:
    """Reads a line into `data`; `spans` says where each thing stood, `problems` what is wrong.

    Args:
        text: the line, cleaned.
        group: when the line holds nothing but hyperparameters of that field.
        read_file: reads the file of a Python objective; None if files are not read here.
    """

    def __init__(self, text: str, *, group: str = "", read_file: ReadFile | None = None) -> None:
        self.data: dict[str, Any] = {}
        self.spans: dict[str, Span] = {}
        self.problems: list[Problem] = []
        self._text = text
        self._group = group
        self._read_file = read_file
        self._custom = False
        self._broken = False
        self._paths: dict[Path, Span] = {}

    def read(self, start: int = 0) -> None:
        """Read everything from `start` on."""
        found = list(scan(self._text, start))
        self.problems += [each for each in found if isinstance(each, Problem)]
        self._broken = bool(self.problems)
        typed = [each for each in found if isinstance(each, Typed)]
        self._custom = any(_says_custom(word) for word in typed)
        self._read_bare([word for word in typed if not word.name])
        for word in typed:
            if word.name:
                self._read_word(word)

    def ask_for_what_is_missing(self) -> None:
        """Without a model and a dataset, or a custom objective, nothing can start."""
        told = any(problem.field in ("model_uri", "dataset") for problem in self.problems)
        if self._custom or self._broken or told:
            return
        hint = "`default` names the shipped one."
        model = self.spans.get("model_uri")
        data = "dataset" in self.data or "s3_bucket_name" in self.data
        if model is None:
            what, instead = ("model is", "model_uri=default ") if data else (
                "model and the dataset are", "default on default "
            )  # fmt: skip
            self._complain((0, 0), f"The {what} missing.", hint, "model_uri", instead)
        elif not data:
            named = self._text.startswith("model_uri", model[0])
            instead = " dataset=default" if named else " on default"
            end = model[1]
            self._complain((end, end), "The dataset is missing.", hint, "dataset", instead)

    def _complain(
        self, span: Span, message: str, hint: str = "", field: str = "", instead: str | None = None
    ) -> None:
        self.problems.append(Problem(span, message, hint, field, instead))

    # Words with a name

    def _read_word(self, word: Typed) -> None:
        try:
            path, kind = route(word.name, custom=self._custom, group=self._group)
        except Unknown as error:
            instead = f"{error.instead}={word.value}" if error.instead else None
            message = f"`{word.name}`: {error.message}"
            self._complain(word.span, message, error.hint, self._group, instead)
            return
        if not word.value:
            what = expected(path[0]) if len(path) == 1 and path[0] in FIELDS else "a value"
            self._complain(
                word.span, f"`{word.name}` has no value: {what} is expected.", field=path[0],
                hint=f"Write {word.name}=VALUE, without spaces.",
            )  # fmt: skip
            return
        self._read_value(word, path, kind)

    def _read_value(self, word: Typed, path: Path, kind: Kind | None) -> None:
        try:
            items = list(self._items(word, path, kind))
        except Unreadable as error:
            instead = f"{word.name}={error.instead}" if error.instead else None
            hint = error.hint or (f"Write {instead}." if instead else "")
            self._complain(word.span, f"`{word.name}`: {error.message}", hint, path[0], instead)
            return
        for where, value in items:
            self._put(where, value, word.span)

    def _items(self, word: Typed, path: Path, kind: Kind | None) -> Iterator[tuple[Path, Any]]:
        field = path[0]
        if field == OBJECTIVE_FILE:
            yield from self._function(word.value)
        elif len(path) == 2 and field in HYPERPARAMETER_FIELDS:
            yield path, values.read_hyperparameter(word.value, kind)
        elif len(path) == 2:
            yield path, quotes.read_text(word.value)
        elif field in OWN:  # max_length: fixed it is a field, searched a hyperparameter
            space = values.read_hyperparameter(word.value, OWN[field])
            yield (("training_parameters", field), space) if is_searched(space) else (
                path, read_field(field, word.value)
            )  # fmt: skip
        elif word.name == "objective" and (found := DIRECTED.fullmatch(word.value)):
            yield ("objective_type",), found[1].lower()
            yield ("objective_metric_name",), quotes.read_text(found[2])
        elif field in CALLED and (found := CALL.fullmatch(word.value)):
            yield path, found[1]
            yield from _settings(CALLED[field], found[2])
        else:
            yield from _whole(field, read_field(field, word.value))

    def _put(self, path: Path, value: Any, span: Span) -> None:
        if path in self._paths:
            first, again = (self._shown(each) for each in (self._paths[path], span))
            self._complain(
                span, f"`{path[-1]}` is given twice: `{first}` and `{again}`.",
                "Keep one of them.", path[0], instead="",
            )  # fmt: skip
            return
        self._paths[path] = span
        self.spans.setdefault(path[-1], span)
        self.spans.setdefault(path[0], span)
        if len(path) == 1:
            self.data[path[0]] = value
        else:
            self.data.setdefault(path[0], {})[path[1]] = value

    def _shown(self, span: Span) -> str:
        return without_secrets(self._text[slice(*span)])

    # Words without a name: `<model> on <dataset>`, or `<file>.py:<function>`

    def _read_bare(self, bare: list[Typed]) -> None:
        if bare and not self._group and FUNCTION.fullmatch(bare[0].value):
            self._read_value(
                Typed(OBJECTIVE_FILE, bare[0].value, bare[0].span), (OBJECTIVE_FILE,), None
            )
            self._refuse(bare[1:])
        elif bare and not self._group:
            self._read_model_on_dataset(bare)
        else:
            self._refuse(bare)

    def _read_model_on_dataset(self, bare: list[Typed]) -> None:
        on = next(
            (index for index, word in enumerate(bare[:2]) if word.value.lower() == "on"), None
        )
        if on == 0:
            self._complain(
                bare[0].span, "The model is missing before `on`.",
                "`default` names the shipped one.", "model_uri", f"default {bare[0].value}",
            )  # fmt: skip
        elif on is None and self._is_word(bare[0]):
            self._refuse(bare)
            return
        else:
            self._put_text("model_uri", bare[0])
        rest = bare[1:] if on is None else bare[on + 1 :]
        if on is None and rest and not self._is_word(rest[0]):
            self._complain(
                rest[0].span, f"`on` is missing before `{rest[0].value}`.",
                "Write MODEL on DATASET.", "dataset", f"on {rest[0].value}",
            )  # fmt: skip
            rest = rest[1:]
        elif on is not None and rest:
            self._put_text("dataset", rest[0])
            rest = rest[1:]
        elif on is not None:
            self._complain(
                bare[on].span, "The dataset is missing behind `on`.",
                "`default` names the shipped one.", "dataset", "on default",
            )  # fmt: skip
        self._refuse(rest)

    def _put_text(self, field: str, word: Typed) -> None:
        try:
            self._put((field,), quotes.read_text(word.value), word.span)
        except Unreadable as error:
            self._complain(word.span, f"`{field}`: {error.message}", error.hint, field)

    def _is_word(self, word: Typed) -> bool:
        try:
            route(word.value, group=self._group)
        except Unknown:
            return False
        return bool(NAMED.fullmatch(f"{word.value}="))

    def _refuse(self, bare: list[Typed]) -> None:
        """Values that belong to no name; `trials 10` was meant as `trials=10`."""
        left = list(bare)
        while left:
            word = left.pop(0)
            message, span = f"`{word.value}` has no place here.", word.span
            instead = None
            if self._is_word(word):
                message = f"`{word.value}` needs a value."
                if left and not self._text[span[1] : left[0].span[0]].strip():
                    value = left.pop(0)
                    instead, span = f"{word.value}={value.value}", (span[0], value.span[1])
            self._complain(span, message, "A word is written name=value.", self._group, instead)

    def _function(self, text: str) -> Iterator[tuple[Path, Any]]:
        found = FUNCTION.fullmatch(quotes.read_text(text))
        if not found:
            raise Unreadable(
                "expected a file and a function in it.", hint="Write train.py:objective."
            )
        if self._read_file is None:
            raise Unreadable(
                "files are not read here.",
                hint="`katib-tune tune` on the command line reads them.",
            )
        try:
            source = self._read_file(found[1])
        except (OSError, UnicodeError) as error:
            raise Unreadable(f"`{found[1]}` cannot be read: {error}.") from error
        yield ("objective_function",), found[2]
        yield ("objective_source",), source


def _says_custom(word: Typed) -> bool:
    return word.name in CUSTOM or (not word.name and bool(FUNCTION.fullmatch(word.value)))


def _settings(field: str, text: str) -> Iterator[tuple[Path, Any]]:
    """The settings in `tpe(gamma=0.25, n_EI_candidates=24)`."""
    position = quotes.behind_space(text, 0)
    while position < len(text):
        named = NAMED.match(text, position)
        start = named.end() if named else position
        end = quotes.end_of_chunk(text, start, ",")
        rest = quotes.behind_space(text, end)
        if not named or end == start or (rest < len(text) and text[rest] != ","):
            raise Unreadable(f"a setting is written name=value, not `{text[position:].strip()}`.")
        yield (field, named[1]), quotes.read_text(text[start:end])
        position = quotes.behind_space(text, rest + 1)


def _whole(field: str, value: Any) -> Iterator[tuple[Path, Any]]:
    """A mapping is put name by name, so that it meets the other words of its field."""
    if not isinstance(value, dict) or not value:
        yield (field,), value
        return
    for name, item in value.items():
        yield (field, name), item
