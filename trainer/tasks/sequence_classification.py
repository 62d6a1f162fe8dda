"""Sequence classification: which columns and labels, how texts become tokens, how it is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Value
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

from trainer import data, lora, model
from trainer.columns import cells, check_column, check_text, find_column
from trainer.config import TrialConfig
from trainer.errors import TrialError
from trainer.labels import (
    LABEL_COLUMNS,
    counts_of,
    head_options,
    labels_of,
    of_stream,
    scores,
    warn_if_single,
)
from trainer.model import Weights
from trainer.reading import Splits
from trainer.tasks.base import Collator, Encoded, Features, Task, Warn

TEXT_COLUMNS = (
    "text",
    "sentence",
    "review",
    "content",
    "comment",
    "body",
    "document",
    "tweet",
    "title",
)


@dataclass(frozen=True)
class Rows:
    """Texts and the labels' indices, side by side."""

    texts: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class SequenceClassification(Task):
    """What is trained on, what is evaluated on, and what the labels are called."""

    train: Rows
    eval: Rows
    names: tuple[str, ...]
    index: Mapping[Any, int]
    text_column: str
    label_column: str

    peft_task_type: ClassVar[str] = "SEQ_CLS"

    @classmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        first = data.take(splits, config.split)
        text = find_column(first, "text", TEXT_COLUMNS, config)
        label = find_column(first, "label", LABEL_COLUMNS, config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: _complete(rows, text, label, spec, warn),
            strata=lambda rows: cells(rows, label),
        )
        names, index = labels_of(train, held_out, label, config.num_labels)
        warn_if_single(cells(train, label), cells(held_out, label), config.split, warn)
        parts = (_rows(each, text, label, index) for each in (train, held_out))
        return cls(*parts, names, index, text, label)

    def counts(self) -> dict[str, Any]:
        return counts_of(self.train.labels, self.eval.labels, self.names)

    def load_network(self, weights: Weights, processor: Any) -> Any:
        network = model.load(
            AutoModelForSequenceClassification, weights, **head_options(self.names)
        )
        # NB: sequence classifiers of decoder models read the pad id from their own configuration.
        network.config.pad_token_id = processor.pad_token_id
        return network

    def heads(self, network: Any) -> Sequence[str]:
        return lora.heads(network)

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        return Encoded(
            encode(self.train, processor, max_length),
            by_length(encode(self.eval, processor, max_length)),
        )

    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> list[Features]:
        names = (self.text_column, self.label_column)
        index = of_stream(cells(rows, names[1]), self.index, self.names, names[1])
        found = _rows(rows.select(_whole(rows, *names)), *names, index)
        return encode(found, processor, max_length) if found.texts else []

    def collator(self, processor: Any) -> Collator:
        return DataCollatorWithPadding(processor)

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (logits.argmax(-1),)

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        return scores(found[0], labels, len(self.names))


TASK = SequenceClassification


def _complete(rows: Dataset, text: str, label: str, spec: str, warn: Warn) -> Dataset:
    """The rows that have both a text and a label; none left is EmptyDataset."""
    check_text(rows, text, f"split {spec!r}")
    check_column(rows, label, f"split {spec!r}")
    if not isinstance(rows.features[label], (ClassLabel, Value)):
        raise TrialError("LabelMismatch", f"The column {label!r} does not hold one label per row.")
    kept = _whole(rows, text, label)
    lost = {"lack a text or a label": len(rows) - len(kept)}
    none = f"No row of {spec!r} has both a {text!r} and a {label!r}."
    return data.usable(rows, kept, spec, lost, none, warn)


def _whole(rows: Dataset, text: str, label: str) -> list[int]:
    """Which rows have a label and a text that is more than white space: of an empty one, some
    models have no token to classify it by."""
    pairs = zip(cells(rows, text), cells(rows, label), strict=True)
    return [
        i
        for i, (words, value) in enumerate(pairs)
        if words and not words.isspace() and value is not None
    ]


def _rows(rows: Dataset, text: str, label: str, index: Mapping[Any, int]) -> Rows:
    return Rows(tuple(cells(rows, text)), tuple(index[value] for value in cells(rows, label)))


def encode(rows: Rows, tokenizer: Any, max_length: int | None) -> list[dict[str, Any]]:
    """One dict of token ids and a label per row; padding is left to the collator, per batch."""
    encoded = tokenizer(list(rows.texts), truncation=True, max_length=max_length)
    return [
        {**{name: encoded[name][i] for name in encoded}, "labels": label}
        for i, label in enumerate(rows.labels)
    ]


def by_length(features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows, shortest first: in evaluation the order changes nothing but the padding."""
    return sorted(features, key=lambda row: len(row["input_ids"]))
