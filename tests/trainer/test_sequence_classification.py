"""Columns, labels, tokens and scores of sequence classification."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Sequence, Value
from hypothesis import given
from hypothesis import strategies as st

from trainer import labels
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.tasks.sequence_classification import SequenceClassification

Splits = dict[str, Dataset]


def table(**columns: list[Any]) -> Dataset:
    return Dataset.from_dict(columns)


def config(*flags: str) -> TrialConfig:
    return read_config(trial_parser().parse_args(["--output-dir", "out", *flags]))


def prepared(splits: Splits, *flags: str) -> tuple[SequenceClassification, list[str]]:
    said: list[str] = []
    return SequenceClassification.read(splits, config(*flags), said.append), said


TEXTS = [f"text {i}" for i in range(20)]
LABELS = [0, 1] * 10


@pytest.mark.parametrize("name", ["text", "sentence", "review", "content", "Text", "utterance"])
def test_the_text_column_is_recognised(name: str) -> None:
    task, _ = prepared({"train": table(**{name: TEXTS, "label": LABELS})})
    assert set(task.train.texts) | set(task.eval.texts) == set(TEXTS)


@pytest.mark.parametrize("name", ["label", "labels", "sentiment", "Category"])
def test_the_label_column_is_recognised(name: str) -> None:
    task, _ = prepared({"train": table(text=TEXTS, **{name: LABELS})})
    assert task.names == ("0", "1")


@pytest.mark.parametrize(
    ("columns", "flags", "said"),
    [
        ({"a": TEXTS, "b": TEXTS, "label": LABELS}, (), "No text column was recognised among a, b"),
        ({"text": TEXTS, "y": LABELS}, (), "No label column was recognised among text, y; name it"),
        (
            {"text": TEXTS, "label": LABELS},
            ("--text-column", "txt"),
            "The dataset has no column 'txt'; it has text, label. Did you mean text?",
        ),
        ({"text": LABELS, "label": LABELS}, (), "The column 'text' holds Value('int64'), not text"),
    ],
)
def test_a_wrong_column_is_said_with_the_columns_there_are(
    columns: dict[str, list[Any]], flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        prepared({"train": table(**columns)}, *flags)
    assert caught.value.reason == "BadColumn"
    assert str(caught.value).startswith(said)


def test_the_evaluation_split_must_have_the_same_columns() -> None:
    splits = {"train": table(text=TEXTS, label=LABELS), "test": table(text=TEXTS, answer=LABELS)}
    with pytest.raises(TrialError, match="split 'test' has no column 'label'; it has text, answer"):
        prepared(splits)


@pytest.mark.parametrize(
    ("values", "flags", "names", "first"),
    [
        (["no", "yes"], (), ("no", "yes"), 0),
        ([4, 2], (), ("2", "4"), 1),
        ([True, False], (), ("False", "True"), 1),
        ([1.0, 2.0], (), ("1", "2"), 0),
        ([1, 2], ("--num-labels", "4"), ("0", "1", "2", "3"), 1),
        (["no", "yes"], ("--num-labels", "3"), ("no", "yes", "LABEL_2"), 0),
    ],
)
def test_labels_of_any_kind_become_indices(
    values: list[Any], flags: tuple[str, ...], names: tuple[str, ...], first: int
) -> None:
    task, _ = prepared({"train": table(text=TEXTS, label=values * 10)}, *flags)
    assert task.names == names
    assert task.train.labels[task.train.texts.index("text 2")] == first


@pytest.mark.parametrize(
    ("values", "flags", "said"),
    [
        (
            ["a", "b", "c", "d"],
            ("--num-labels", "3"),
            "has 4 labels (a, b, c, d), but --num-labels",
        ),
        ([0.5, 0.25, 0.1, 0.0], (), "holds fractions such as 0.1: scores, not labels"),
        ([0.0, 1.0, float("inf"), 1.0], (), "holds fractions such as inf: scores, not labels"),
        ([0.0, 1.0, float("nan"), 1.0], (), "holds fractions such as nan: scores, not labels"),
        ([[0], [1], [0], [1]], (), "does not hold one label per row"),
        (["a", "a", "a", "a"], (), "All rows have the same 'label', 'a'; a classifier needs two"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    values: list[Any], flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        prepared({"train": table(text=TEXTS, label=values * 5)}, *flags)
    assert caught.value.reason == "LabelMismatch"
    assert said in str(caught.value)


def declared(labels: list[int], names: tuple[str, ...] = ("neg", "pos")) -> Dataset:
    features = Features({"text": Value("string"), "label": ClassLabel(names=list(names))})
    return Dataset.from_dict({"text": TEXTS[: len(labels)], "label": labels}, features=features)


def test_declared_labels_count_even_where_the_rows_have_one_of_them() -> None:
    """As in imdb, whose first thousand rows are all negative."""
    task, said = prepared({"train": declared([0] * 20)}, "--split", "train[:10]")
    assert task.names == ("neg", "pos")
    assert task.counts()["majority"] == 1.0
    assert said == [
        "All rows of 'train[:10]' have the same label, so nothing can be learned; take other rows."
    ]


def test_rows_to_evaluate_on_that_have_one_label_are_said() -> None:
    splits = {"train": declared([0, 1] * 10), "validation": declared([1] * 5)}
    assert prepared(splits)[1] == [
        "All rows to evaluate on have the same label, so the scores say little; shuffle the data, "
        "or take other rows."
    ]


def test_rows_without_annotation_are_refused() -> None:
    splits = {"train": declared([0, 1] * 10), "test": declared([-1] * 4)}
    with pytest.raises(TrialError, match="stands for no label: this split is not annotated"):
        prepared(splits)


def test_incomplete_rows_are_left_out_and_counted() -> None:
    texts: list[Any] = [None, "", " \n", *TEXTS[3:]]
    labels: list[Any] = [*LABELS[:-1], None]
    task, said = prepared({"train": table(text=texts, label=labels)})
    assert len(task.train.texts) + len(task.eval.texts) == 16
    assert said == ["4 of 20 rows of 'train' lack a text or a label and were left out."]
    with pytest.raises(TrialError, match="No row of 'train' has both"):
        prepared({"train": table(text=[None, "a"], label=["x", None])})


def test_a_part_of_a_stream_without_texts_gives_no_rows() -> None:
    task, _ = prepared({"train": table(text=TEXTS, label=LABELS)})
    assert task.encode_rows(table(text=["", None], label=[0, 1]), [0, 1], None, 8) == []


def test_a_large_evaluation_split_that_nobody_asked_for_is_cut_to_2000_rows() -> None:
    many = table(text=["a"] * 5000, label=[0, 0, 0, 1] * 1250)
    splits = {"train": table(text=TEXTS, label=LABELS), "test": many}
    assert prepared(splits)[0].counts()["labels"] == {"0": 1500, "1": 500}
    assert prepared(splits, "--eval-split", "test")[0].counts()["eval"] == 5000


def test_held_out_rows_do_not_depend_on_the_seed() -> None:
    splits = {"train": table(text=TEXTS, label=LABELS)}
    one, other = (prepared(splits, "--seed", seed)[0] for seed in ("1", "2"))
    assert one == other
    assert not set(one.train.texts) & set(one.eval.texts)


def test_a_column_of_lists_is_no_text() -> None:
    features = Features({"text": Sequence(Value("string")), "label": Value("int64")})
    rows = Dataset.from_dict({"text": [["a"]] * 4, "label": [0, 1] * 2}, features=features)
    with pytest.raises(TrialError, match="not text; name another one"):
        prepared({"train": rows})


def test_scores_of_two_labels() -> None:
    # 3 true positives, 1 false positive, 2 false negatives, 4 true negatives.
    actual = np.array([1, 1, 1, 0, 1, 1, 0, 0, 0, 0])
    found = labels.scores(np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0]), actual, 2)
    assert found["accuracy"] == pytest.approx(0.7)
    assert found["f1"] == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    assert found["matthews"] == pytest.approx((3 * 4 - 1 * 2) / np.sqrt(4 * 5 * 5 * 6))


def test_scores_of_three_labels_average_f1_over_those_that_occur() -> None:
    actual = np.array([0, 0, 1, 1])
    found = labels.scores(np.array([0, 1, 1, 1]), actual, 4)
    assert found["accuracy"] == 0.75
    assert found["f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["matthews"] == pytest.approx(4 / np.sqrt(8 * 6))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_scores_are_finite_and_in_their_range(pairs: list[tuple[int, int]]) -> None:
    said, actual = (list(side) for side in zip(*pairs, strict=True))
    found = labels.scores(np.array(said), np.array(actual), 3)
    assert 0 <= found["accuracy"] <= 1
    assert 0 <= found["f1"] <= 1
    assert -1.000001 <= found["matthews"] <= 1.000001
    assert (found["accuracy"] == 1) == (said == actual)


def test_guessing_one_label_has_no_correlation() -> None:
    found = labels.scores(np.array([0, 0, 0, 0]), np.array([0, 1, 0, 1]), 2)
    assert found == {"accuracy": 0.5, "f1": 0.0, "matthews": 0.0}
