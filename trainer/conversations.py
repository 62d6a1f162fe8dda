"""The rows that a language model learns from, of whatever form: chats, instructions, labels, text.

All of them become turns of a conversation (`prompts.Turn`); the form is told by the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import ClassLabel, Dataset, Value

from trainer.columns import cells, check_column, check_text, is_text
from trainer.config import TrialConfig
from trainer.errors import TrialError, nearest
from trainer.prompts import ASSISTANT, CHAT, SYSTEM, USER, Turn

Row = Mapping[str, Any]
Turns = tuple[Turn, ...]

ROLES = {"human": USER, "user": USER, "gpt": ASSISTANT, "assistant": ASSISTANT, "bot": ASSISTANT}
ROLES |= {"model": ASSISTANT, "chatgpt": ASSISTANT, "system": SYSTEM}
# What a column may be called, by the key that names it in --columns.
USUAL: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation"),
    "prompt": ("prompt",),
    "completion": ("completion",),
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "output": ("output", "response"),
    "question": ("question",),
    "answer": ("answer",),
    "text": ("text", "sentence", "review", "content", "comment", "body", "document", "tweet"),
    "label": ("label", "labels", "class", "category", "sentiment", "target", "intent", "stars"),
}
MANY_LABELS = 20  # more than these are not listed in the prompt


@dataclass(frozen=True)
class Form:
    """One kind of data: what must be there, what may be, and the template it has by default."""

    name: str
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    template: str  # where the tokenizer has no chat template, or always if not `uses_chat`
    uses_chat: bool = True


FORMS = (
    Form("chat", ("messages",), (), "plain"),
    Form("instruction", ("instruction", "output"), ("input",), "alpaca"),
    Form("completion", ("prompt", "completion"), (), "none", uses_chat=False),
    Form("question", ("question", "answer"), ("input",), "plain"),
    Form("labels", ("text", "label"), (), "plain"),
    Form("text", ("text",), (), "none", uses_chat=False),
)


@dataclass(frozen=True)
class Layout:
    """The form of a dataset, and which of its columns holds what."""

    form: Form
    columns: Mapping[str, str]
    words: tuple[str, ...] = ()  # the labels, where there are any

    def template(self, asked: str | None, tokenizer: Any) -> str:
        """The prompt template that holds: the one asked for, else what suits the form."""
        if asked:
            return asked
        has_chat = self.form.uses_chat and tokenizer.chat_template
        return CHAT if has_chat else self.form.template

    def read(self, rows: Dataset) -> list[Turns | None]:
        """The turns of each row, None where it lacks something."""
        taken = rows.select_columns(sorted(set(self.columns.values())))
        convert = _READERS[self.form.name](self, rows)
        return [convert(row) for row in taken]

    def strata(self, rows: Dataset) -> Sequence[Hashable]:
        """What rows that are held out are spread over."""
        if self.form.name == "labels":
            return cells(rows, self.columns["label"])
        return [0] * len(rows)


def find_layout(rows: Dataset, config: TrialConfig) -> Layout:
    """What the columns tell; BadColumn if they tell nothing.

    Named columns decide: `{"text": "body"}` alone means text, whatever else there is.
    """
    named = {key: check_column(rows, name, "dataset") for key, name in config.columns.items()}
    if unknown := [key for key in named if key not in USUAL]:
        raise TrialError(
            "BadColumn",
            f"A language model has no use for a column {unknown[0]!r}."
            f"{nearest(unknown[0], USUAL)} Known: {', '.join(USUAL)}.",
        )
    by_lower = {name.lower(): name for name in reversed(rows.column_names)}
    found = {
        key: next((by_lower[name] for name in names if name in by_lower), None)
        for key, names in USUAL.items()
    }
    if set(named) == {"text"}:
        return _text_layout(named["text"])
    there = {key: name for key, name in found.items() if name} | named
    for form in FORMS:
        keys = (*form.needed, *form.optional)
        if set(named) <= set(keys) and all(key in there for key in form.needed):
            columns = {key: there[key] for key in keys if key in there}
            return Layout(form, columns, _words(rows, columns.get("label")))
    strings = [name for name, feature in rows.features.items() if is_text(feature)]
    if len(strings) == 1 and not named:
        return _text_layout(strings[0])
    raise TrialError(
        "BadColumn",
        f"Nothing to learn was recognised among {', '.join(rows.column_names)}; name what there is "
        "with --columns: messages; or instruction, input and output; or prompt and completion; or "
        "question and answer; or text, and label with it if there is one.",
    )


def _text_layout(column: str) -> Layout:
    return Layout(FORMS[-1], {"text": column})


def _words(rows: Dataset, label: str | None) -> tuple[str, ...]:
    if label is None:
        return ()
    feature = rows.features[label]
    if isinstance(feature, ClassLabel):
        return tuple(feature.names)
    if not isinstance(feature, Value):
        raise TrialError("LabelMismatch", f"The column {label!r} does not hold one label per row.")
    return tuple(sorted({_word(value) for value in cells(rows, label) if value is not None}))


def check_layout(rows: Dataset, layout: Layout, where: str) -> None:
    """BadColumn if some rows lack a column of the layout or hold something else in it."""
    for key, name in layout.columns.items():
        check_column(rows, name, where)
        feature = rows.features[name]
        if key == "label":
            _words(rows.select([]), name)
        elif key == "messages" and isinstance(feature, (ClassLabel, Value)):
            raise TrialError("BadColumn", f"The column {name!r} holds {feature}, not messages.")
        elif key != "messages" and feature != Value("null"):
            check_text(rows, name, where)


Reader = Callable[[Row], Turns | None]


def _reads_chat(layout: Layout, rows: Dataset) -> Reader:
    column = layout.columns["messages"]

    def read(row: Row) -> Turns | None:
        turns = tuple(_turn(message, column) for message in row[column] or ())
        return turns if any(turn.role == ASSISTANT and turn.content for turn in turns) else None

    return read


def _turn(message: Any, column: str) -> Turn:
    try:
        role = message["role"] if "role" in message else message["from"]
        content = message["content"] if "content" in message else message["value"]
    except (KeyError, TypeError) as error:
        raise TrialError(
            "BadColumn",
            f"The column {column!r} holds {str(message)[:80]!r}, which is no message; expected "
            '{"role": …, "content": …} or {"from": …, "value": …}.',
        ) from error
    if not isinstance(role, str):
        raise TrialError(
            "BadColumn",
            f"The column {column!r} holds {str(message)[:80]!r}, a message without a role.",
        )
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content)
    return Turn(ROLES.get(role, role), content or "")


def _reads_pair(asked: str, answer: str, extra: str) -> Callable[[Layout, Dataset], Reader]:
    def reader(layout: Layout, rows: Dataset) -> Reader:
        first, second = layout.columns[asked], layout.columns[answer]
        third = layout.columns.get(extra)

        def read(row: Row) -> Turns | None:
            if row[first] is None or not row[second]:
                return None
            given = (row[third] or "") if third else ""
            is_open = layout.form.name == "completion"
            return Turn(USER, row[first], given, is_open), Turn(ASSISTANT, row[second])

        return read

    return reader


def _reads_labels(layout: Layout, rows: Dataset) -> Reader:
    text, label = layout.columns["text"], layout.columns["label"]
    feature = rows.features[label]
    word = feature.int2str if isinstance(feature, ClassLabel) else _word
    words = layout.words
    listed = f" as one of: {', '.join(words)}" if len(words) <= MANY_LABELS else ""
    task = f"Label this text{listed}."

    def read(row: Row) -> Turns | None:
        value = row[label]
        if not row[text] or value is None:
            return None
        if isinstance(feature, ClassLabel) and value < 0:
            raise TrialError(
                "LabelMismatch",
                f"Some rows have the {label!r} {value}, which stands for no label: this split is "
                "not annotated. Use another one.",
            )
        return Turn(USER, task, row[text]), Turn(ASSISTANT, word(value))

    return read


def _word(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def _reads_text(layout: Layout, rows: Dataset) -> Reader:
    column = layout.columns["text"]
    return lambda row: (Turn(ASSISTANT, row[column]),) if row[column] else None


_READERS: Mapping[str, Callable[[Layout, Dataset], Reader]] = {
    "chat": _reads_chat,
    "instruction": _reads_pair("instruction", "output", "input"),
    "completion": _reads_pair("prompt", "completion", ""),
    "question": _reads_pair("question", "answer", "input"),
    "labels": _reads_labels,
    "text": _reads_text,
}
