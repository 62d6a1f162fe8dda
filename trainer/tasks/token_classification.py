"""Token classification: words and their tags, which subword stands for a word, how it is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import ClassLabel, Dataset, LargeList, List, Value
from transformers import AutoModelForTokenClassification, DataCollatorForTokenClassification

from trainer import data, model
from trainer.columns import cells, check_column, find_column, is_text
from trainer.config import TrialConfig
from trainer.entities import OUTSIDE, entity_scores, is_scheme
from trainer.errors import TrialError
from trainer.labels import head_options, named, of_stream
from trainer.model import Weights
from trainer.reading import Splits
from trainer.tasks.base import NO_LABEL, Collator, Encoded, Features, Task, Warn
from trainer.tasks.sequence_classification import by_length

TOKENS_COLUMNS = ("tokens", "words")
TAGS_COLUMNS = ("ner_tags", "tags", "labels", "pos_tags")


@dataclass(frozen=True)
class Rows:
    """The words of each text and their tags' indices, side by side."""

    words: tuple[tuple[str, ...], ...]
    tags: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class TokenClassification(Task):
    """What is trained on, what is evaluated on, and what the tags are called.

    The first subword of a word stands for it, in training and in the scores; the others do not
    count.
    """

    train: Rows
    eval: Rows
    names: tuple[str, ...]
    index: Mapping[Any, int]
    tokens_column: str
    tags_column: str

    peft_task_type: ClassVar[str] = "TOKEN_CLS"

    @classmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        first = data.take(splits, config.split)
        tokens = find_column(first, "tokens", TOKENS_COLUMNS, config)
        tags = find_column(first, "tags", TAGS_COLUMNS, config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: _complete(rows, tokens, tags, spec, warn),
            strata=lambda rows: [0] * len(rows),
        )
        values = {tag for rows in (train, held_out) for row in cells(rows, tags) for tag in row}
        feature = train.features[tags].feature
        names, index = named(feature, values, tags, config.num_labels)
        parts = (_rows(rows, tokens, tags, index) for rows in (train, held_out))
        return cls(*parts, names, index, tokens, tags)

    def counts(self) -> dict[str, Any]:
        found = Counter(self.names[tag] for row in self.eval.tags for tag in row)
        return {
            "train": len(self.train.tags),
            "eval": len(self.eval.tags),
            "labels": dict(sorted(found.items())),
            "majority": round(max(found.values()) / found.total(), 4),
        }

    def load_processor(self, weights: Weights) -> Any:
        tokenizer = model.load_tokenizer(weights)
        if not tokenizer.is_fast:
            raise TrialError(
                "ModelNotFound",
                f"The model {weights.uri!r} has a tokenizer without fast support "
                f"({type(tokenizer).__name__}), which does not say which word a token belongs to; "
                "token classification needs another model.",
            )
        if getattr(tokenizer, "add_prefix_space", None) is False:
            # Byte-level tokenizers (GPT-2, RoBERTa, …) take words only if each has its space.
            tokenizer = model.load_tokenizer(weights, add_prefix_space=True)
        return tokenizer

    def load_network(self, weights: Weights, processor: Any) -> Any:
        network = model.load(AutoModelForTokenClassification, weights, **head_options(self.names))
        network.config.pad_token_id = processor.pad_token_id
        return network

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        train = encode(self.train, processor, max_length)
        held_out = encode(self.eval, processor, max_length)
        marked = (row["labels"] for row in (*train, *held_out))
        kept = sum(label != NO_LABEL for labels in marked for label in labels)
        total = sum(len(tags) for rows in (self.train, self.eval) for tags in rows.tags)
        notes = [
            f"{total - kept} of {total} words are beyond max length or have no token, and count "
            "neither in training nor in the scores."
        ]
        learned = _learned(train)
        if not learned:
            raise TrialError("EmptyDataset", "No word of the rows to train on has a token.")
        return Encoded(learned, by_length(held_out), notes=notes if kept < total else ())

    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> list[Features]:
        names = (self.tokens_column, self.tags_column)
        whole = rows.select(_whole(rows, *names)[0])
        tags = (tag for row in cells(whole, names[1]) for tag in row)
        index = of_stream(tags, self.index, self.names, names[1])
        found = _rows(whole, *names, index)
        return _learned(encode(found, processor, max_length)) if found.words else []

    def collator(self, processor: Any) -> Collator:
        return DataCollatorForTokenClassification(processor)

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (logits.argmax(-1),)

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        return scores(found[0], labels, self.names)


TASK = TokenClassification


def _complete(rows: Dataset, tokens: str, tags: str, spec: str, warn: Warn) -> Dataset:
    """The rows that have words and as many tags; none left is EmptyDataset."""
    for column, what in ((tokens, "words"), (tags, "tags")):
        check_column(rows, column, f"split {spec!r}")
        if not isinstance(rows.features[column], (List, LargeList)):
            raise TrialError(
                "BadColumn",
                f"The column {column!r} holds {rows.features[column]}, not a list of {what} per "
                "row; name another one.",
            )
    held = rows.features[tokens].feature
    if not is_text(held):
        raise TrialError("BadColumn", f"The column {tokens!r} holds lists of {held}, not of words.")
    if not isinstance(rows.features[tags].feature, (ClassLabel, Value)):
        raise TrialError("LabelMismatch", f"The column {tags!r} does not hold one tag per word.")
    kept, uneven = _whole(rows, tokens, tags)
    lacking = len(rows) - len(kept) - uneven
    lost = {f"have {tags!r} not as long as {tokens!r}": uneven, "lack words or tags": lacking}
    none = (
        f"No row of {spec!r} can be used: {lacking} of {len(rows)} lack words or tags, and in "
        f"{uneven} {tags!r} is not as long as {tokens!r}."
    )
    return data.usable(rows, kept, spec, lost, none, warn)


def _whole(rows: Dataset, tokens: str, tags: str) -> tuple[list[int], int]:
    """Which rows have words and as many tags, and how many have both, but not as many."""
    kept, uneven = [], 0
    for i, (words, marks) in enumerate(zip(cells(rows, tokens), cells(rows, tags), strict=True)):
        if not words or not marks or None in words or None in marks:
            continue
        if len(words) == len(marks):
            kept.append(i)
        else:
            uneven += 1
    return kept, uneven


def _rows(rows: Dataset, tokens: str, tags: str, index: Mapping[Any, int]) -> Rows:
    return Rows(
        tuple(map(tuple, cells(rows, tokens))),
        tuple(tuple(index[tag] for tag in row) for row in cells(rows, tags)),
    )


def encode(rows: Rows, tokenizer: Any, max_length: int | None) -> list[Features]:
    """Token ids of each text and, at the first token of each word, its tag."""
    encoded = tokenizer(
        [list(words) for words in rows.words],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
    )
    return [
        {
            **{name: encoded[name][i] for name in encoded},
            "labels": aligned(encoded.word_ids(i), tags),
        }
        for i, tags in enumerate(rows.tags)
    ]


def _learned(rows: list[Features]) -> list[Features]:
    """Those with a tag. NB: a step of rows without a label has no loss."""
    return [row for row in rows if set(row["labels"]) != {NO_LABEL}]


def aligned(words: Sequence[int | None], tags: Sequence[int]) -> list[int]:
    """For each token, given the word it belongs to, the tag of a word that begins there or -100."""
    firsts = {word: i for i, word in reversed(list(enumerate(words))) if word is not None}
    labels = [NO_LABEL] * len(words)
    for word, position in firsts.items():
        labels[position] = tags[word]
    return labels


def scores(found: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """accuracy of words; precision, recall and f1 of entities, or of words if no tag marks one.

    Of words they are means over the tags that occur, but for `O`.

    Args:
        found, labels: the tags of each token, (rows, length); -100 in `labels` does not count.
    """
    counted = labels != NO_LABEL
    right = found[counted] == labels[counted]
    accuracy = {"accuracy": float(right.mean()) if len(right) else 0.0}
    if not is_scheme(names):
        return accuracy | word_scores(found[counted], labels[counted], names)
    pairs = [
        ([names[tag] for tag in said[here]], [names[tag] for tag in truth[here]])
        for said, truth, here in zip(found, labels, counted, strict=True)
    ]
    return accuracy | entity_scores([said for said, _ in pairs], [truth for _, truth in pairs])


def word_scores(found: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """precision, recall and f1 of single words: means over the tags that occur, but for `O`."""
    each = []
    for tag in np.union1d(found, labels):
        if names[tag] != OUTSIDE:
            said, there = found == tag, labels == tag
            right = float((said & there).sum())
            sizes = (said.sum(), there.sum(), (said.sum() + there.sum()) / 2)
            each.append([right / size if size else 0.0 for size in sizes])
    means = np.mean(each, axis=0) if each else np.zeros(3)
    return {
        name: float(mean) for name, mean in zip(("precision", "recall", "f1"), means, strict=True)
    }
