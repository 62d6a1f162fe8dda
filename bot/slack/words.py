"""The words of the typed line: what each field of the spec takes, how it is read and shown."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import NoneType
from typing import Any, Literal, get_args

from bot import spec
from bot.slack import quotes, values
from bot.slack.quotes import Unreadable
from bot.spec import FIELDS, HYPERPARAMETER_FIELDS

Takes = Literal[
    "bool", "choice", "command", "count", "mapping", "number", "seconds", "text", "texts"
]

SHORT: Mapping[str, str] = {
    "trials": "max_trial_count",
    "parallel": "parallel_trial_count",
    "failed": "max_failed_trial_count",
    "algorithm": "algorithm_name",
    "objective": "objective_metric_name",
    "goal": "objective_goal",
    "deadline": "trial_active_deadline_seconds",
    "for": "max_duration_seconds",
    "workers": "num_workers",
    "procs": "num_procs_per_worker",
    "pip_index_url": "pip_index_urls",
}
SHORT_OF = {field: short for short, field in SHORT.items() if short != "pip_index_url"}
# `training.NAME=` and so on: a name that is not known here, or means something else.
PREFIXES: Mapping[str, str] = {
    "training": "training_parameters",
    "lora": "lora_config",
    "parameters": "parameters",
    "env": "env_per_trial",
    "columns": "columns",
}
# `tpe(gamma=0.25)` gives an algorithm and its settings.
CALLED = {"algorithm_name": "algorithm_settings", "early_stopping": "early_stopping_settings"}
AUTO = "automodelfor"
EXPECTED: Mapping[Takes, str] = {
    "bool": "true or false",
    "command": "a list of texts such as [python, train.py]",
    "count": "a whole number",
    "mapping": "{name: value, …}",
    "number": "a number",
    "seconds": "a duration such as 90s, 30m, 2h or 1h30m",
    "text": "text",
    "texts": "texts with commas between them",
}
# Words that can be written in a way of their own.
FORMS: Mapping[str, str] = {
    "model_uri": "text; the first word of the line",
    "dataset": "text; the word behind `on`",
    "training_parameters": "`NAME=value`, `training.NAME=value`",
    "lora_config": "`NAME=value`, `lora.NAME=value`",
    "parameters": "`NAME=value`, `parameters.NAME=value`",
    "objective_metric_name": "text; with `objective=` also `minimize:eval_loss`",
    "objective_function": "text; `objective_file=PATH.py:FUNCTION` reads both from a file",
    "algorithm_name": "name, or `name(setting=value, …)`",
    "early_stopping": "name, or `name(setting=value, …)`",
    "env_per_trial": "`env.NAME=value`",
    "columns": "`columns.WHAT=NAME`",
    "max_length": "a whole number; a range or a list is searched",
}


def takes(field: str) -> Takes:
    """What kind of value a field of the spec takes."""
    if field == "objective_command":
        return "command"
    if field.endswith("_seconds"):
        return "seconds"
    annotation = FIELDS[field].annotation
    if spec.choices(field):
        return "texts" if getattr(annotation, "__origin__", None) is tuple else "choice"
    known: Mapping[Any, Takes] = {bool: "bool", int: "count", float: "number", str: "text"}
    plain = next((arg for arg in get_args(annotation) if arg in known), annotation)
    if getattr(annotation, "__origin__", None) is tuple:
        return "texts"
    return "mapping" if field in MAPPINGS else known[plain]


MAPPINGS = (*HYPERPARAMETER_FIELDS, "algorithm_settings", "early_stopping_settings",
            "env_per_trial", "columns")  # fmt: skip


def is_optional(field: str) -> bool:
    return NoneType in get_args(FIELDS[field].annotation)


def expected(field: str) -> str:
    """What to type for a field, in words."""
    return EXPECTED.get(takes(field)) or "one of " + ", ".join(spec.choices(field))


def read_field(field: str, text: str) -> Any:
    """The value of a field as it was typed.

    Raises:
        Unreadable: not what the field takes.
    """
    if text.lower() in ("none", "null") and is_optional(field):
        return None
    kind = takes(field)
    if kind in ("text", "choice", "texts"):
        return _read_text(field, kind, text)
    if kind == "command":
        return quotes.read_texts(text) if text.startswith("[") else _split(quotes.read_text(text))
    value = {
        "bool": {"true": True, "yes": True, "false": False, "no": False}.get(text.lower()),
        "count": quotes.read_number(text),
        "number": quotes.read_number(text),
        "seconds": quotes.read_duration(text),
        "mapping": values.read_list(text)[0] if text.startswith("{") else None,
    }[kind]
    if value is None or (kind == "count" and isinstance(value, float)):
        raise Unreadable(f"expected {EXPECTED[kind]}, not `{text}`.")
    return value


def _read_text(field: str, kind: Takes, text: str) -> Any:
    if kind == "texts":
        return quotes.read_texts(text)
    value = quotes.read_text(text)
    if kind == "text":
        return value
    known = {choice.lower(): choice for choice in spec.choices(field)}
    if field == "transformer_type":  # CausalLM says it, too
        known = {name.removeprefix(AUTO): choice for name, choice in known.items()} | known
    if value.lower() not in known:
        close = get_close_matches(value.lower(), known, n=1)
        instead = known[close[0]] if close else ""
        raise Unreadable(f"expected {expected(field)}, not `{value}`.", instead=instead)
    return known[value.lower()]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Unreadable(f"expected {EXPECTED['command']}, not `{text}`.") from error


def show_field(field: str, value: Any) -> str:
    """The value of a field as `read_field` reads it."""
    kind = takes(field)
    if value is None:
        return "none"
    if kind == "seconds":
        return quotes.show_duration(value)
    if kind in ("texts", "command"):
        shown = ",".join(quotes.show_text(item) for item in value)
        return shown if shown and kind == "texts" else f"[{shown}]"
    if kind in ("text", "choice"):
        return quotes.show_text(str(value))
    return values.show_scalar(value)


@dataclass(frozen=True)
class Word:
    """One word of the typed line, for the README and for help."""

    name: str
    short: tuple[str, ...]
    group: str
    expected: str
    default: str
    description: str


def words() -> tuple[Word, ...]:
    """Every word, in the order of the spec."""
    return tuple(
        Word(
            name=field,
            short=tuple(short for short, name in SHORT.items() if name == field),
            group=spec.group(field),
            expected=FORMS.get(field) or expected(field),
            default=_default(field),
            description=FIELDS[field].description or "",
        )
        for field in FIELDS
    )


def _default(field: str) -> str:
    default = FIELDS[field].get_default(call_default_factory=True)
    return "" if default in (None, "", (), {}) else show_field(field, default)


def words_table() -> str:
    """The words as a Markdown table, as it stands in the README."""
    rows = ["| Word | Short | Takes | Default | |", "|---|---|---|---|---|"]
    heading = ""
    for word in words():
        if word.group != heading:
            heading = word.group
            rows.append(f"| **{heading}** | | | | |")
        short = ", ".join(f"`{name}`" for name in word.short)
        default = f"`{word.default}`" if word.default else ""
        cells = (f"`{word.name}`", short, word.expected, default, word.description)
        rows.append("| " + " | ".join(cells).replace("  ", " ") + " |")
    return "\n".join(rows)
