"""Questions, contexts and answers as datasets have them: in SQuAD's form, or in flat columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset, LargeList, List

from trainer import data
from trainer.columns import cells, check_column, check_text, find_column
from trainer.config import TrialConfig
from trainer.errors import TrialError

QUESTION_COLUMNS = ("question", "query")
CONTEXT_COLUMNS = ("context", "passage", "paragraph")
ANSWERS_COLUMNS = ("answers",)
ANSWER_COLUMNS = ("answer", "answer_text")
START_COLUMNS = ("answer_start", "start")
SQUAD = {"text", "answer_start"}


@dataclass(frozen=True)
class Columns:
    """Which column holds what; `answers` is in SQuAD's form if there is no `start`."""

    question: str
    context: str
    answers: str
    start: str | None

    @property
    def names(self) -> list[str]:
        return [name for name in (self.question, self.context, self.answers, self.start) if name]


@dataclass(frozen=True)
class Question:
    """A question, its context, and where in the context its answers are: from a character to below
    another one. None of them means that there is no answer."""

    text: str
    context: str
    answers: tuple[tuple[int, int], ...]

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(self.context[start:end] for start, end in self.answers)


def columns_of(rows: Dataset, config: TrialConfig) -> Columns:
    """The columns as named or as usual; BadColumn if there are none, or if they hold others."""
    question = find_column(rows, "question", QUESTION_COLUMNS, config)
    context = find_column(rows, "context", CONTEXT_COLUMNS, config)
    there = {name.lower() for name in rows.column_names}
    if "answers" in config.columns or not (
        "answer" in config.columns
        or (there.intersection(ANSWER_COLUMNS) and not there.intersection(ANSWERS_COLUMNS))
    ):
        answers = find_column(rows, "answers", ANSWERS_COLUMNS, config)
        return Columns(question, context, answers, None)
    answer = find_column(rows, "answer", ANSWER_COLUMNS, config)
    return Columns(
        question, context, answer, find_column(rows, "answer_start", START_COLUMNS, config)
    )


def usable(rows: Dataset, columns: Columns, spec: str, warn: Callable[[str], None]) -> Dataset:
    """The rows with a question, a context, and an answer that is where it is said to be, or none;
    if there is no such row, EmptyDataset."""
    _check(rows, columns, spec)
    found = list(_read(rows, columns))
    kept = [i for i, each in enumerate(found) if isinstance(each, Question)]
    lacking, misplaced = found.count("lacking"), found.count("misplaced")
    lost = {
        "lack a question or a context": lacking,
        "have an answer that is not in the context at its start": misplaced,
    }
    none = (
        f"No row of {spec!r} can be used: {lacking} of {len(rows)} lack a question or a "
        f"context, and in {misplaced} the answer is not in the context at its start."
    )
    return data.usable(rows, kept, spec, lost, none, warn)


def questions(rows: Dataset, columns: Columns) -> Iterator[Question]:
    """Those that can be used."""
    return (each for each in _read(rows, columns) if isinstance(each, Question))


def _check(rows: Dataset, columns: Columns, spec: str) -> None:
    for name in columns.names:
        check_column(rows, name, f"split {spec!r}")
    for name in (columns.question, columns.context):
        check_text(rows, name, f"split {spec!r}")
    if columns.start is None:
        held: Any = rows.features[columns.answers]
        fields = held.feature if isinstance(held, (List, LargeList)) else held
        if not isinstance(fields, Mapping) or not fields.keys() >= SQUAD:
            raise TrialError(
                "BadColumn",
                f"The column {columns.answers!r} holds {held}; needed are the answers' `text` and "
                "`answer_start`, as in SQuAD. For flat columns name `answer` and `answer_start`.",
            )


def _read(rows: Dataset, columns: Columns) -> Iterator[Question | str]:
    """Each row as a Question, or what is wrong with it."""
    starts = cells(rows, columns.start) if columns.start else [None] * len(rows)
    names = (columns.question, columns.context, columns.answers)
    columns_read = (cells(rows, name) for name in names)
    for text, context, answers, start in zip(*columns_read, starts, strict=True):
        if not (text and text.strip() and context and context.strip()):
            yield "lacking"
            continue
        said = _paired(answers, start) if columns.start else _squad(answers)
        right = tuple(
            (begin, begin + len(answer))
            for answer, begin in said
            if begin is not None and begin >= 0 and context.startswith(answer, begin)
        )
        yield "misplaced" if said and not right else Question(text, context, right)


def _squad(answers: Any) -> list[tuple[str, int | None]]:
    if isinstance(answers, list):
        return [pair for each in answers for pair in _squad(each)]
    return _paired(answers["text"], answers["answer_start"]) if answers else []


def _paired(texts: Any, starts: Any) -> list[tuple[str, int | None]]:
    """Answers with their starts, one or several; an empty answer is none."""
    listed = [each if isinstance(each, list) else [each] for each in (texts, starts)]
    pairs = zip(*listed, strict=False)
    return [(_text(text), _number(start)) for text, start in pairs if text not in (None, "")]


def _text(answer: Any) -> str:
    if not isinstance(answer, str):
        raise TrialError("BadColumn", f"An answer is {answer!r}, not text; save answers as text.")
    return answer


def _number(start: Any) -> int | None:
    try:
        return None if start is None else int(start)
    except (ValueError, TypeError) as error:
        raise TrialError(
            "BadColumn", f"An answer starts at {start!r}; needed is the number of a character."
        ) from error
