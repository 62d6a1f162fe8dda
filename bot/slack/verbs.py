"""The verbs of `/katib-tune` besides starting: how each is written, and what its words say (pure).

`stop llama`, `extend llama trials=20`, `logs llama 3`: the verb, a name, and what else it takes.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bot.engines.base import Capability
from bot.errors import NotFoundError
from bot.slack import quotes
from bot.slack.line import LineError, Problem, Typed, line_error, scan
from bot.slack.quotes import Unreadable
from bot.status import ExperimentStatus, TrialStatus

Verb = Literal[
    "tune", "form", "help", "list", "status", "stop",
    "watch", "extend", "parallel", "retry", "pause", "resume", "logs",
]  # fmt: skip
Field = Literal["name", "trial", "count"]


@dataclass(frozen=True)
class Usage:
    """How a verb is written, what it does, and what an engine must have for it.

    `takes` are its words in order; a `trial` may stand alone, as its name tells its Experiment.
    `count` is the spec's field that the number is for, by whose names it may be given, too.
    """

    written: str
    does: str
    takes: tuple[Field, ...] = ()
    needs: Capability | None = None
    count: tuple[str, ...] = ()


USAGES: Mapping[Verb, Usage] = {
    "form": Usage("form …", "opens the form, filled with what was typed"),
    "help": Usage("help", "shows this"),
    "list": Usage("list", "shows all Experiments"),
    "status": Usage("status NAME", "shows how one is getting on", ("name",)),
    "stop": Usage("stop NAME", "ends it with the best so far", ("name",), "stop"),
    "logs": Usage("logs NAME 3", "shows what trial 3 printed", ("name", "trial"), "logs"),
    "extend": Usage(
        "extend NAME trials=20", "lets it run up to 20 trials", ("name", "count"), "extend",
        ("trials", "max_trial_count"),
    ),
    "parallel": Usage(
        "parallel NAME 4", "lets 4 trials run at a time", ("name", "count"), "parallel",
        ("parallel", "parallel_trial_count"),
    ),
    "retry": Usage("retry NAME 3", "tries trial 3 again", ("name", "trial"), "retry"),
    "pause": Usage("pause NAME", "runs none of its trials until `resume NAME`", ("name",), "pause"),
    "resume": Usage("resume NAME", "lets what is paused go on", ("name",), "pause"),
    "watch": Usage(
        "watch NAME", "follows an Experiment here that others started", ("name",), "adopt"
    ),
}  # fmt: skip
VERBS: Mapping[str, Verb] = {str(verb): verb for verb in USAGES}


def verb_of(first: Typed | Problem | None) -> Verb | None:
    """The verb that the first word of a line is; None for a spec."""
    return VERBS.get(first.value.lower()) if isinstance(first, Typed) and not first.name else None


def needs(verb: Verb) -> Capability | None:
    """What an engine must have for this verb."""
    return USAGES[verb].needs if verb in USAGES else None


def offered(capabilities: Container[str]) -> Iterator[Usage]:
    """The verbs that are worth offering on an engine with these capabilities."""
    return (u for u in USAGES.values() if u.needs is None or u.needs in capabilities)


@dataclass(frozen=True)
class Words:
    """What the words behind a verb say; `trial` is a name, the end of one, or a number."""

    name: str = ""
    trial: str = ""
    count: int = 0


NO_WORDS = Words()


def read_words(verb: Verb, text: str, start: int) -> Words:
    """The words of `text` from `start` on, as `verb` takes them.

    Raises:
        LineError: too few, too many, or no number where one belongs.
    """
    usage = USAGES[verb]
    bare, number = _split(usage, text, start)
    if "trial" in usage.takes and len(bare) == 1:
        return Words(trial=bare[0])
    if "count" in usage.takes and number is None and len(bare) == 2:
        number = bare.pop()
    wanted = 2 if "trial" in usage.takes else 1
    if len(bare) != wanted or ("count" in usage.takes and number is None):
        raise _refusal(usage, verb, text, start)
    if number is None:
        return Words(name=bare[0], trial=bare[1] if wanted == 2 else "")
    if not re.fullmatch(r"[1-9][0-9]{0,5}", number):
        what = usage.count[1]
        problem = f"`{verb}`: {what} is a whole number of at least 1, not `{number}`."
        raise line_error(text, [Problem((0, len(text)), problem, _example(usage))], {})
    return Words(name=bare[0], count=int(number))


def _split(usage: Usage, text: str, start: int) -> tuple[list[str], str | None]:
    """The bare words, and the number that was given by name."""
    bare: list[str] = []
    number = None
    for word in scan(text, start):
        if isinstance(word, Problem):
            raise line_error(text, [word], {})
        if word.name in usage.count and number is None:
            number = word.value
        elif word.name:
            problem = f"`{word.name}=` is not what this verb takes."
            raise line_error(text, [Problem(word.span, problem, _example(usage))], {})
        else:
            bare.append(_unquoted(word.value))
    return bare, number


def _unquoted(text: str) -> str:
    try:
        return quotes.read_text(text)
    except Unreadable:
        return text


def _example(usage: Usage) -> str:
    return f"Write `/katib-tune {usage.written}`."


def _refusal(usage: Usage, verb: Verb, text: str, start: int) -> LineError:
    takes = {
        ("name",): "the name of one Experiment",
        ("name", "count"): "the name of one Experiment and a number",
        ("name", "trial"): "the name of one Experiment and a trial's number, or a trial's name",
    }[usage.takes]
    rest = text[start:].strip()
    message = f"`{verb}` takes {takes}" + (f", not `{rest}`." if rest else ".")
    example = f"{_example(usage)} " if len(usage.takes) > 1 else ""
    hint = f"{example}`list` shows the names."
    return line_error(text, [Problem((0, len(text)), message, hint)], {})


# Which trial is meant


def experiment_names(trial: str) -> Iterator[str]:
    """The Experiments that a trial of this name may belong to, the likeliest first.

    `llama-abc12345`, `llama-3` and `llama-baseline` belong to `llama`, `llama-retry-1` may.
    """
    while trial := trial.rpartition("-")[0].rstrip("-"):
        yield trial


def trial_of(name: str, status: ExperimentStatus, text: str) -> TrialStatus | None:
    """The trial of the Experiment `name` by its name, the end of its name, or its number."""
    text = text.removeprefix("#")
    for match in (
        lambda trial: trial.name == text,
        lambda trial: trial.name == f"{name}-{text}",
        lambda trial: str(trial.number) == text,
    ):
        for trial in status.trials:
            if match(trial):
                return trial
    return None


def find_trial(name: str, status: ExperimentStatus, text: str) -> TrialStatus:
    """Like `trial_of`.

    Raises:
        NotFoundError: the Experiment has no such trial.
    """
    found = trial_of(name, status, text)
    if found is None:
        numbers = [trial.number for trial in status.trials]
        has = f"trials {min(numbers)} to {max(numbers)}" if numbers else "none yet"
        if len(numbers) == 1:
            has = f"only trial {numbers[0]}"
        raise NotFoundError(f"`{name}` has no trial `{text}`.", hint=f"It has {has}.")
    return found
