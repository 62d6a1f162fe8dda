"""Rows: loads a dataset from wherever it is, takes the splits asked for, holds rows out if it must.

Knows nothing of tasks or tokens. The held-out rows depend on the data alone, never on the trial's
seed: trials of one Experiment are compared on the same rows. Which rows are for what:

- To train on: `--split`, without those that are held out.
- To evaluate on: `--eval-split`; else the first of EVAL_SPLITS that neither `--split` nor
  `--test-split` touches; else a fifth of `--split`, held out.
- To test the winner on, which no trial sees: `--test-split`; else a split called `test` that
  neither training nor evaluation touches; else there are none. So a dataset of `train` and `test`
  is evaluated on `test` and has no test rows, unless `--test-split test` asks for them.

Two of the three never share a row: BadSplit.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

from datasets import Dataset, ReadInstruction, concatenate_datasets

from trainer import defaults, hub, reading, sources
from trainer.config import TrialConfig
from trainer.errors import TrialError

TEST_SPLIT = "test"
EVAL_SPLITS = ("validation", "eval", "dev", "valid", TEST_SPLIT)
SEEN_BY = {"training": "trained on", "evaluation": "evaluated on by every trial"}
HELD_OUT_FRACTION = 0.2
MAX_EVAL_ROWS = 2000

Splits = reading.Splits


def load_splits(uri: str, s3: sources.S3Place | None = None) -> Splits:
    """All splits of a dataset, memory-mapped; a dataset without splits is its own `train`.

    With `s3` it is the dataset that was fetched from there.
    """
    return reading.read(dataset_path(uri, s3))


def dataset_path(uri: str, s3: sources.S3Place | None = None) -> Path:
    """Where a dataset is on this machine, downloaded if it must be: a file or a folder."""
    if s3:
        return _only_file(sources.fetched(s3))
    source = sources.read(uri, "dataset")
    if source.kind == "default":
        return defaults.default_dataset()
    return hub.folder(source.value, "dataset") if source.kind == "hub" else Path(source.value)


def _only_file(folder: Path) -> Path:
    """The one file that a folder holds, for what is read by its ending; else the folder."""
    files = list(folder.iterdir())
    return files[0] if len(files) == 1 and files[0].is_file() else folder


def row_ranges(splits: Splits, spec: str) -> list[tuple[str, range]]:
    """What `train[:10%]+test[-20:]` means in rows of these splits; else BadSplit."""
    sizes = {name: len(rows) for name, rows in splits.items()}
    try:
        parts = ReadInstruction.from_spec(spec).to_absolute(sizes)
    except (ValueError, AssertionError) as error:
        raise TrialError(
            "BadSplit",
            f"There is no split {spec!r}; this dataset has {_described(sizes)}. Write for example "
            f'"{next(iter(sizes))}[:1000]" or "{next(iter(sizes))}[:10%]".',
        ) from error
    return [(part.splitname, range(part.from_, part.to)) for part in parts]


def _described(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} ({size} rows)" for name, size in sizes.items())


def take(splits: Splits, spec: str) -> Dataset:
    """The rows that a split specification names; none is EmptyDataset."""
    # NB: an empty range at the very end is "out of range" for datasets, an empty list is not.
    parts = [splits[name].select(rows or []) for name, rows in row_ranges(splits, spec)]
    rows = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    if not len(rows):
        sizes = {name: len(split) for name, split in splits.items()}
        raise TrialError(
            "EmptyDataset", f"The split {spec!r} has no rows; this dataset has {_described(sizes)}."
        )
    return rows


def shared_rows(splits: Splits, one: str, other: str) -> int:
    """How many rows two split specifications have in common."""
    pairs = ((a, b) for a in row_ranges(splits, one) for b in row_ranges(splits, other))
    return sum(
        max(0, min(rows_a.stop, rows_b.stop) - max(rows_a.start, rows_b.start))
        for (name_a, rows_a), (name_b, rows_b) in pairs
        if name_a == name_b
    )


def eval_split(
    splits: Splits, train_spec: str, asked: str | None, test_spec: str | None = None
) -> str | None:
    """Which split evaluates: the one asked for, else one made for it, else None (hold rows out)."""
    if test_spec is not None:
        _refuse_shared(splits, ("test", test_spec), ("training", train_spec))
    if asked is None:
        specs = filter(None, (train_spec, test_spec))
        used = {name for spec in specs for name, _ in row_ranges(splits, spec)}
        return next((name for name in EVAL_SPLITS if name in splits and name not in used), None)
    _refuse_shared(splits, ("evaluation", asked), ("training", train_spec))
    if test_spec is not None:
        _refuse_shared(splits, ("test", test_spec), ("evaluation", asked))
    return asked


def _refuse_shared(splits: Splits, one: tuple[str, str], other: tuple[str, str]) -> None:
    if shared := shared_rows(splits, one[1], other[1]):
        raise TrialError(
            "BadSplit",
            f"The {one[0]} split {one[1]!r} shares {shared} rows with the {other[0]} split "
            f"{other[1]!r}; a score on rows that were {SEEN_BY[other[0]]} says nothing.",
        )


def test_split(splits: Splits, config: TrialConfig) -> str | None:
    """Which rows no trial sees, by the rule above; None if there are none."""
    evaluated = eval_split(splits, config.split, config.eval_split, config.test_split)
    if config.test_split is not None:
        return config.test_split
    specs = filter(None, (config.split, evaluated))
    used = {name for spec in specs for name, _ in row_ranges(splits, spec)}
    return TEST_SPLIT if TEST_SPLIT in splits and TEST_SPLIT not in used else None


def test_rows(
    splits: Splits, config: TrialConfig, complete: Callable[[Dataset, str], Dataset]
) -> Dataset | None:
    """The rows to score the winner on, once; None if there are none. `complete` is as below."""
    spec = test_split(splits, config)
    return None if spec is None else complete(take(splits, spec), spec)


def train_and_eval(
    splits: Splits,
    config: TrialConfig,
    complete: Callable[[Dataset, str], Dataset],
    strata: Callable[[Dataset], Sequence[Hashable]],
    groups: Callable[[Dataset], Sequence[Hashable]] | None = None,
) -> tuple[Dataset, Dataset]:
    """The rows to train on and the rows to evaluate on, which have none in common.

    Args:
        complete: of some rows and what they are called, those that can be used; or TrialError.
        strata: for each row, what it is like: rows that are held out are spread over these.
        groups: for each row, what it shares with others: rows that have it in common are held out
            together or not at all, and not spread.
    """
    train = complete(take(splits, config.split), config.split)
    spec = eval_split(splits, config.split, config.eval_split, config.test_split)
    if config.test_split is not None:
        take(splits, config.test_split)  # NB: no rows to test on are found out now, not at the end.
    if spec is None:
        kept, held = hold_out_groups(groups(train)) if groups else hold_out(strata(train))
        train, held_out = train.select(kept), train.select(held)
    else:
        held_out = complete(take(splits, spec), spec)
        if config.eval_split is None and len(held_out) > MAX_EVAL_ROWS:
            held_out = held_out.select(stratified(strata(held_out), MAX_EVAL_ROWS))
    if config.train_fraction < 1:
        train = train.select(nested(strata(train), config.train_fraction))
    return train, held_out


def usable(
    rows: Dataset,
    kept: Sequence[int],
    spec: str,
    lost: Mapping[str, int],
    none: str,
    warn: Callable[[str], None],
) -> Dataset:
    """Those of the rows of a split that can be used, for `complete` above.

    Args:
        kept: their indices; none is EmptyDataset.
        lost: how many others there are by what is wrong with them, such as `lack a text`.
        none: the sentence if there are none.
    """
    if not kept:
        raise TrialError("EmptyDataset", none)
    for what, count in lost.items():
        if count:
            warn(f"{count} of {len(rows)} rows of {spec!r} {what} and were left out.")
    return rows.select(kept) if len(kept) < len(rows) else rows


def nested(labels: Sequence[Hashable], fraction: float) -> list[int]:
    """The indices of a part of the rows, in ascending order, spread over the labels as these are.

    Every label keeps at least one row. A smaller part lies within every larger one, so that a
    search over the fraction compares more rows with fewer, never with others.
    """
    order = []
    for label, rows in _by_label(labels):
        # The i-th of n rows of a label is in from the fraction (i + 1/2) / n on, the first always.
        order += [((i and (i + 0.5)) / len(rows), label, row) for i, row in enumerate(rows)]
    wanted = max(1, round(len(labels) * fraction))
    first = sum(share == 0 for share, _, _ in order)
    return sorted(row for _, _, row in sorted(order)[: max(wanted, first)])


def _by_label(labels: Sequence[Hashable]) -> list[tuple[str, list[int]]]:
    """The rows of each label, shuffled, always the same way."""
    found: dict[Hashable, list[int]] = {}
    for index, label in enumerate(labels):
        found.setdefault(label, []).append(index)
    shuffle = random.Random(0).shuffle
    ordered = sorted(
        ((str(label), rows) for label, rows in found.items()), key=lambda each: each[0]
    )
    for _, rows in ordered:
        shuffle(rows)
    return ordered


def stratified(labels: Sequence[Hashable], wanted: int, at_least_one: bool = False) -> list[int]:
    """`wanted` indices, spread over the labels as these are; always the same, in ascending order.

    With `at_least_one`, a label with two rows or more gives one of them, even where its share is
    below one, and no label gives its last row.
    """
    chosen: list[int] = []
    seen = 0
    for _, rows in _by_label(labels):
        # Shares by running total, so that rounding does not add up.
        share = (seen + len(rows)) * wanted // len(labels) - seen * wanted // len(labels)
        seen += len(rows)
        if at_least_one:
            share = min(max(share, 1), len(rows) - 1)
        chosen += rows[:share]
    return sorted(chosen)


def hold_out(labels: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Rows to train on and to evaluate on: 20 %, at most 2,000, stratified, always the same."""
    wanted = min(max(1, int(len(labels) * HELD_OUT_FRACTION)), MAX_EVAL_ROWS)
    held = stratified(labels, wanted, at_least_one=True)
    if not held:
        raise TrialError(
            "EmptyDataset",
            f"{len(labels)} rows are too few to hold some out; add rows, or name a split to "
            "evaluate on.",
        )
    taken = set(held)
    return [i for i in range(len(labels)) if i not in taken], held


def hold_out_groups(groups: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Rows to train on and to evaluate on, of which no group is on both sides; always the same.

    20 %, at most 2,000, as nearly as whole groups can; but always one group.
    """
    wanted = min(max(1, int(len(groups) * HELD_OUT_FRACTION)), MAX_EVAL_ROWS)
    sizes = Counter(groups)
    if len(sizes) < 2:
        raise TrialError(
            "EmptyDataset",
            f"All {len(groups)} rows belong together, so none can be held out; add rows, or name a "
            "split to evaluate on.",
        )
    order = list(sizes)
    random.Random(0).shuffle(order)
    order.sort(key=lambda group: sizes[group] > wanted)  # those that are too large come last
    taken: set[Hashable] = set()
    rows = 0
    for group in order[:-1]:
        if not taken or rows + sizes[group] <= wanted:
            taken.add(group)
            rows += sizes[group]
    sides: tuple[list[int], list[int]] = ([], [])
    for index, group in enumerate(groups):
        sides[group in taken].append(index)
    return sides
