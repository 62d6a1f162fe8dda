"""Labels of a classifier: what they are called, which index each has, and how they are scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset

from trainer.columns import cells
from trainer.errors import TrialError

LABEL_COLUMNS = ("label", "labels", "class", "category", "sentiment", "target", "intent", "stars")
SHOWN = 5


def labels_of(
    train: Dataset, held_out: Dataset, column: str, num_labels: int | None
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The labels' names, and the index of each value that occurs in the data."""
    values = {*cells(train, column), *cells(held_out, column)}
    return named(train.features[column], values, column, num_labels)


def named(
    feature: Any, values: set[Any], column: str, num_labels: int | None
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """The labels' names, and the index of each of the values, which are of the type `feature`."""
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
    fractions = [each for each in values if isinstance(each, float) and not each.is_integer()]
    if fractions:
        raise TrialError(
            "LabelMismatch",
            f"The column {column!r} holds fractions such as {min(fractions)}: scores, not labels.",
        )
    if num_labels and kinds == {int} and min(values) >= 0 and max(values) < num_labels:
        return tuple(map(str, range(num_labels))), {value: value for value in values}
    ordered = sorted(values)
    texts = (int(value) if isinstance(value, float) else value for value in ordered)
    return tuple(map(str, texts)), {value: i for i, value in enumerate(ordered)}


def of_stream(
    values: Iterable[Any], index: Mapping[Any, int], names: Sequence[str], column: str
) -> Mapping[Any, int]:
    """The index of each value that may come in a stream; LabelMismatch if one of these is not
    among them.

    Args:
        index: of the values that the first rows have.
        names: the labels' names, also of those that no row has had so far.
    """
    known = index
    if all(value == place for value, place in index.items()):
        known = {place: place for place in range(len(names))}
    for value in values:
        if value is not None and value not in known:
            raise TrialError(
                "LabelMismatch",
                f"A row has the {column!r} {value!r}, which neither the first rows to train on nor "
                "those to evaluate on have; shuffle the data.",
            )
    return known


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def warn_if_single(
    train: Sequence[Any], held_out: Sequence[Any], spec: str, warn: Callable[[str], None]
) -> None:
    """Says so where the rows to train on, or those to evaluate on, have one label only.

    Args:
        train, held_out: the rows' labels.
        spec: the split to train on.
    """
    if len(set(train)) == 1:
        warn(
            f"All rows of {spec!r} have the same label, so nothing can be learned; take other rows."
        )
    elif len(set(held_out)) == 1:
        warn(
            "All rows to evaluate on have the same label, so the scores say little; shuffle the "
            "data, or take other rows."
        )


def counts_of(
    train: Sequence[int], held_out: Sequence[int], names: Sequence[str]
) -> dict[str, Any]:
    """The `rows` of a result: how many, and how often the held-out ones have each label."""
    found = Counter(names[label] for label in held_out)
    return {
        "train": len(train),
        "eval": len(held_out),
        "labels": dict(sorted(found.items())),
        "majority": round(max(found.values()) / len(held_out), 4),
    }


def head_options(names: Sequence[str]) -> dict[str, Any]:
    """What `from_pretrained` must know to make a new head for these labels."""
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: i for i, name in enumerate(names)},
        "ignore_mismatched_sizes": True,
    }


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
