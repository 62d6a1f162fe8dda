"""Loading, slicing, and holding rows out: always the same rows."""

from __future__ import annotations

import itertools

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from trainer import data
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError


def rows(size: int, start: int = 0) -> Dataset:
    return Dataset.from_dict(
        {"text": [f"text {i}" for i in range(start, start + size)], "label": [0, 1] * (size // 2)}
    )


SPLITS = {"train": rows(100), "test": rows(40, 100)}


@pytest.mark.parametrize(
    ("spec", "first", "size"),
    [
        ("train", "text 0", 100),
        ("train[:64]", "text 0", 64),
        ("train[-20:]", "text 80", 20),
        ("train[10%:20%]", "text 10", 10),
        ("train[5:7]", "text 5", 2),
        ("train[:10]+test[:5]", "text 0", 15),
        ("test[50%:]", "text 120", 20),
    ],
)
def test_a_split_is_written_as_hugging_face_writes_it(spec: str, first: str, size: int) -> None:
    taken = data.take(SPLITS, spec)
    assert (taken[0]["text"], len(taken)) == (first, size)


@pytest.mark.parametrize("spec", ["trian", "train[:10", "train[a:b]", "", "train[:200%]"])
def test_a_split_that_is_not_there_names_the_ones_that_are(spec: str) -> None:
    with pytest.raises(TrialError) as caught:
        data.take(SPLITS, spec)
    assert caught.value.reason == "BadSplit"
    assert f"{spec!r}; this dataset has train (100 rows), test (40 rows)." in str(caught.value)


@pytest.mark.parametrize("spec", ["train[200:]", "train[50:20]"])
def test_a_split_without_rows_is_said_to_be_empty(spec: str) -> None:
    with pytest.raises(TrialError) as caught:
        data.take(SPLITS, spec)
    assert caught.value.reason == "EmptyDataset"


def test_evaluation_takes_the_split_made_for_it() -> None:
    assert data.eval_split(SPLITS, "train", None) == "test"
    assert data.eval_split({**SPLITS, "validation": rows(10)}, "train", None) == "validation"
    assert data.eval_split({"train": rows(10)}, "train", None) is None
    assert data.eval_split(SPLITS, "test", None) is None


def test_evaluating_on_rows_of_the_training_split_is_refused() -> None:
    assert data.eval_split(SPLITS, "train[:50]", "train[50:]") == "train[50:]"
    with pytest.raises(TrialError, match=r"shares 10 rows with the training split 'train\[:50\]'"):
        data.eval_split(SPLITS, "train[:50]", "train[40:60]")


def asked(*flags: str) -> TrialConfig:
    return read_config(trial_parser().parse_args(["--output-dir=out", *flags]))


def seen(splits: data.Splits, *flags: str) -> tuple[list[str], list[str], list[str]]:
    """The texts that such a trial trains on, evaluates on, and leaves to the winner's test."""
    config = asked(*flags)
    parts = data.train_and_eval(
        splits, config, complete=lambda rows, spec: rows, strata=lambda rows: rows["label"]
    )
    test = data.test_rows(splits, config, complete=lambda rows, spec: rows)
    train, held_out = (list(part["text"]) for part in parts)
    return train, held_out, [] if test is None else list(test["text"])


WITH_VALIDATION = {**SPLITS, "validation": rows(20, 200)}


@pytest.mark.parametrize(
    ("splits", "flags", "sizes", "first_test"),
    [
        (SPLITS, (), (100, 40, 0), None),
        (SPLITS, ("--test-split=test",), (80, 20, 40), "text 100"),
        (SPLITS, ("--test-split=test[:10]",), (80, 20, 10), "text 100"),
        (SPLITS, ("--test-split=train[90:]", "--split=train[:90]"), (90, 40, 10), "text 90"),
        (SPLITS, ("--eval-split=train[80:]", "--split=train[:80]"), (80, 20, 40), "text 100"),
        (SPLITS, ("--eval-split=test[:30]",), (100, 30, 0), None),
        (SPLITS, ("--split=train+test",), (112, 28, 0), None),
        (WITH_VALIDATION, (), (100, 20, 40), "text 100"),
        (WITH_VALIDATION, ("--test-split=validation",), (100, 40, 20), "text 200"),
        ({"train": rows(10)}, (), (8, 2, 0), None),
    ],
)
def test_no_trial_sees_a_row_to_test_on(
    splits: data.Splits, flags: tuple[str, ...], sizes: tuple[int, ...], first_test: str | None
) -> None:
    train, held_out, test = seen(splits, *flags)
    assert (len(train), len(held_out), len(test)) == sizes
    assert len({*train, *held_out, *test}) == sum(sizes), "no row is for two things"
    assert (test or [None])[0] == first_test


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ("--test-split=train[90:]",),
            "The test split 'train[90:]' shares 10 rows with the training split 'train'; a score "
            "on rows that were trained on says nothing.",
        ),
        (
            ("--test-split=test", "--eval-split=test[:5]"),
            "The test split 'test' shares 5 rows with the evaluation split 'test[:5]'; a score on "
            "rows that were evaluated on by every trial says nothing.",
        ),
        (("--test-split=tset",), "There is no split 'tset'; this dataset has train (100 rows), "),
    ],
)
def test_a_test_split_that_a_trial_would_see_is_refused(flags: tuple[str, ...], said: str) -> None:
    with pytest.raises(TrialError) as caught:
        seen(SPLITS, *flags)
    assert (caught.value.reason, caught.value.exit_code) == ("BadSplit", 3)
    assert caught.value.message.startswith(said)


def test_a_test_split_without_rows_is_found_out_by_every_trial() -> None:
    with pytest.raises(TrialError, match=r"'test\[40:\]' has no rows") as caught:
        seen(SPLITS, "--test-split=test[40:]")
    assert caught.value.reason == "EmptyDataset"


def fraction(value: float) -> str:
    return f'--training-parameters={{"train_fraction": {value}}}'


def test_held_out_rows_depend_neither_on_the_seed_nor_on_the_train_fraction() -> None:
    _, held_out, _ = seen({"train": rows(100)})
    for flags in (("--seed=7",), (fraction(0.1),), (fraction(0.5), "--seed=3")):
        assert seen({"train": rows(100)}, *flags)[1] == held_out


def test_a_smaller_train_fraction_lies_within_a_larger_one() -> None:
    quarter, half = (seen(SPLITS, fraction(value))[0] for value in (0.25, 0.5))
    assert (len(quarter), len(half)) == (25, 50)
    assert set(quarter) < set(half)


def labelled(counts: list[int]) -> list[int]:
    return [label for label, count in enumerate(counts) for _ in range(count)]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_held_out_rows_are_a_stratified_fifth_and_no_label_loses_its_last_row(
    counts: list[int],
) -> None:
    labels = labelled(counts)
    if not any(count > 1 for count in counts):
        with pytest.raises(TrialError, match="too few to hold some out"):
            data.hold_out(labels)
        return
    kept, held = data.hold_out(labels)
    assert sorted(kept + held) == list(range(len(labels)))
    for label, count in enumerate(counts):
        taken = sum(labels[i] == label for i in held)
        assert taken >= (1 if count > 1 else 0)
        assert taken < count or count == 0
        assert abs(taken - count / 5) < 2


def test_held_out_rows_are_the_same_every_time_and_at_most_2000() -> None:
    labels = labelled([9000, 6000])
    kept, held = data.hold_out(labels)
    assert data.hold_out(labels) == (kept, held)
    assert len(held) == 2000
    assert sum(labels[i] == 0 for i in held) == 1200
    assert held != list(range(held[0], held[0] + 2000))


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=6),
    st.lists(st.floats(0.01, 1), min_size=2, max_size=4),
)
def test_parts_are_nested_and_have_every_label_in_its_share(
    counts: list[int], fractions: list[float]
) -> None:
    labels = labelled(counts)
    parts = [data.nested(labels, value) for value in sorted(fractions)]
    assert all(set(small) <= set(large) for small, large in itertools.pairwise(parts))
    for value, part in zip(sorted(fractions), parts, strict=True):
        assert len(part) == max(round(len(labels) * value), len(counts))
        for label, count in enumerate(counts):
            taken = sum(labels[i] == label for i in part)
            assert taken >= 1
            assert abs(taken - count * value) <= len(counts) / 2 + 1


@pytest.mark.parametrize("sizes", [[1] * 10, [5, 1, 1, 1, 1, 1], [1, 30], [4, 4, 4]])
def test_a_group_of_rows_is_held_out_as_a_whole_and_the_same_always(sizes: list[int]) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    kept, held = data.hold_out_groups(groups)
    assert sorted(kept + held) == list(range(len(groups)))
    sides = [{groups[row] for row in side} for side in (kept, held)]
    assert all(sides) and not sides[0] & sides[1]
    smallest = min(sizes)
    assert len(held) <= max(smallest, len(groups) // 5)
    assert data.hold_out_groups(groups) == (kept, held)
