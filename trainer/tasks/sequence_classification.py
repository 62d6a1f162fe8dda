"""Sequence classification: which columns and labels, how texts become tokens, how it is scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import ClassLabel, Dataset, Value
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding

from trainer import data, model
from trainer.columns import check_column, find_column, is_text
from trainer.config import TrialConfig
from trainer.errors import TrialError
from trainer.tasks.base import Collator, Encoded, Task, Warn

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
LABEL_COLUMNS = ("label", "labels", "class", "category", "sentiment", "target", "intent", "stars")
SHOWN = 5


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

    peft_task_type: ClassVar[str] = "SEQ_CLS"

    @classmethod
    def read(cls, splits: data.Splits, config: TrialConfig, warn: Warn) -> Self:
        first = data.take(splits, config.split)
        text = find_column(first, "text", TEXT_COLUMNS, config)
        label = find_column(first, "label", LABEL_COLUMNS, config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: _complete(rows, text, label, spec, warn),
            strata=lambda rows: rows[label],
        )
        names, index = labels_of(train, held_out, label, config.num_labels)
        _warn_if_single(train[label], config.split, warn)
        return cls(_rows(train, text, label, index), _rows(held_out, text, label, index), names)

    def counts(self) -> dict[str, Any]:
        found = Counter(self.names[label] for label in self.eval.labels)
        return {
            "train": len(self.train.labels),
            "eval": len(self.eval.labels),
            "labels": dict(sorted(found.items())),
            "majority": round(max(found.values()) / len(self.eval.labels), 4),
        }

    def load_network(self, folder: Path, uri: str, processor: Any) -> Any:
        names = self.names
        network = model.load(
            AutoModelForSequenceClassification,
            folder,
            uri,
            num_labels=len(names),
            id2label=dict(enumerate(names)),
            label2id={name: i for i, name in enumerate(names)},
            ignore_mismatched_sizes=True,
        )
        # NB: sequence classifiers of decoder models read the pad id from their own configuration.
        network.config.pad_token_id = processor.pad_token_id
        return network

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        return Encoded(
            encode(self.train, processor, max_length),
            by_length(encode(self.eval, processor, max_length)),
        )

    def collator(self, processor: Any) -> Collator:
        return DataCollatorWithPadding(processor)

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (logits.argmax(-1),)

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        return scores(found[0], labels, len(self.names))


TASK = SequenceClassification


def _complete(rows: Dataset, text: str, label: str, spec: str, warn: Warn) -> Dataset:
    """The rows that have both a text and a label; none left is EmptyDataset."""
    for column in (text, label):
        check_column(rows, column, f"split {spec!r}")
    if not is_text(rows.features[text]):
        raise TrialError(
            "BadColumn",
            f"The column {text!r} holds {rows.features[text]}, not text; name another one.",
        )
    if not isinstance(rows.features[label], (ClassLabel, Value)):
        raise TrialError("LabelMismatch", f"The column {label!r} does not hold one label per row.")
    pairs = zip(rows[text], rows[label], strict=True)
    kept = [
        i for i, (value, answer) in enumerate(pairs) if value is not None and answer is not None
    ]
    dropped = len(rows) - len(kept)
    if not kept:
        raise TrialError("EmptyDataset", f"No row of {spec!r} has both a {text!r} and a {label!r}.")
    if dropped:
        warn(f"{dropped} of {len(rows)} rows of {spec!r} lack a text or a label and were left out.")
    return rows.select(kept) if dropped else rows


def labels_of(
    train: Dataset, held_out: Dataset, column: str, num_labels: int | None
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The labels' names, and the index of each value that occurs in the data."""
    values = set(train[column]) | set(held_out[column])
    feature = train.features[column]
    if isinstance(feature, ClassLabel):
        names, index = _declared(feature, values, column)
    else:
        names, index = _found(values, column, num_labels)
    wanted = num_labels or len(names)
    if wanted < len(names):
        raise TrialError(
            "LabelMismatch",
            f"The column {column!r} has {len(names)} labels ({_shown(names)}), but --num-labels is "
            f"{wanted}; leave it out, or give {len(names)}.",
        )
    if wanted < 2:
        raise TrialError(
            "LabelMismatch",
            f"All rows have the same {column!r}, {names[0]!r}; a classifier needs two labels "
            "or more. Take other rows.",
        )
    return names + tuple(f"LABEL_{i}" for i in range(len(names), wanted)), index


def _declared(
    feature: ClassLabel, values: set[Any], column: str
) -> tuple[tuple[str, ...], dict[Any, int]]:
    names = tuple(feature.names)
    if values - set(range(len(names))):
        raise TrialError(
            "LabelMismatch",
            f"Some rows have the {column!r} {min(values)}, which stands for no label: this split "
            "is not annotated. Use another one.",
        )
    return names, {value: value for value in values}


def _found(
    values: set[Any], column: str, num_labels: int | None
) -> tuple[tuple[str, ...], dict[Any, int]]:
    kinds = {type(value) for value in values}
    if len(kinds) > 1 or not kinds <= {bool, int, str, float}:
        raise TrialError("LabelMismatch", f"The column {column!r} does not hold labels.")
    if any(value != int(value) for value in values if isinstance(value, float)):
        raise TrialError(
            "LabelMismatch",
            f"The column {column!r} holds fractions such as {min(values)}: scores, not labels.",
        )
    if num_labels and kinds == {int} and min(values) >= 0 and max(values) < num_labels:
        return tuple(map(str, range(num_labels))), {value: value for value in values}
    ordered = sorted(values)
    texts = (int(value) if isinstance(value, float) else value for value in ordered)
    return tuple(map(str, texts)), {value: i for i, value in enumerate(ordered)}


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _warn_if_single(labels: Sequence[Any], spec: str, warn: Warn) -> None:
    if len(set(labels)) == 1:
        warn(
            f"All rows of {spec!r} have the same label, so nothing can be learned; take other rows."
        )


def _rows(rows: Dataset, text: str, label: str, index: dict[Any, int]) -> Rows:
    return Rows(tuple(rows[text]), tuple(index[value] for value in rows[label]))


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


def scores(found: np.ndarray, labels: np.ndarray, size: int) -> dict[str, float]:
    """accuracy, f1 (of label 1 if there are two, else the mean over labels), matthews.

    Args:
        found, labels: the predicted and the true label of each row, from 0 to below `size`.
    """
    counts = np.zeros((size, size))
    np.add.at(counts, (labels, found), 1)
    right, actual, said = counts.diagonal(), counts.sum(1), counts.sum(0)
    occurs = (actual + said) > 0
    f1 = np.divide(2 * right, actual + said, out=np.zeros(size), where=occurs)
    return {
        "accuracy": float(right.sum() / counts.sum()),
        "f1": float(f1[1] if size == 2 else f1[occurs].mean()),
        "matthews": _matthews(counts.sum(), right.sum(), actual, said),
    }


def _matthews(total: float, right: float, actual: np.ndarray, said: np.ndarray) -> float:
    """Gorodkin's R_K, which for two labels is Matthews' coefficient; 0 where it is undefined."""
    spread = (total**2 - (said**2).sum()) * (total**2 - (actual**2).sum())
    return float((right * total - actual @ said) / np.sqrt(spread)) if spread > 0 else 0.0
