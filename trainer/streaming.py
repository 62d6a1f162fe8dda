"""Rows read while they are trained on, for data that do not fit: in files, never all in memory.

Only the rows to evaluate on and the first rows to train on are held; from these a task learns its
columns and labels. An epoch's rows are shuffled within a buffer that moves over the files, by the
trial's seed. Every process goes over the same order and encodes the batches that are its own, so
that the rows of a step are those that one process would take (but for question answering, where a
row may make several).
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from datasets import Dataset, Features, IterableDataset
from transformers import TrainingArguments

from trainer import data, reading
from trainer.config import TrialConfig
from trainer.errors import TrialError, one_line

HEAD_ROWS = 1000
BUFFER_ROWS, BUFFER_BYTES = 10_000, 200_000_000
CHUNK_ROWS = 256
BATCH_ROWS = 1000
_SPEC = re.compile(r"(\w+)(?:\[(\d*):(\d*)\])?")

Row = Mapping[str, Any]
# Makes features of some rows and their numbers in the stream.
Encode = Callable[[Dataset, Sequence[int]], Sequence[dict[str, Any]]]


@dataclass(frozen=True)
class Part:
    """Rows `start` to below `stop` of a split; to its end if `stop` is None."""

    split: str
    start: int
    stop: int | None

    @property
    def end(self) -> float:
        return math.inf if self.stop is None else self.stop

    def shares(self, other: Part) -> bool:
        first, end = max(self.start, other.start), min(self.end, other.end)
        return self.split == other.split and first < end

    def rows(self, files: IterableDataset, chance: random.Random | None = None) -> Iterator[Row]:
        """The rows, file by file; of a whole split in an order of the files drawn by `chance`."""
        order = list(range(files.num_shards))
        if chance and not self.start and self.stop is None:
            chance.shuffle(order)
        parts = (files.shard(len(order), index) for index in order)
        # NB: Arrow's own conversion to Python takes a tenth of what `datasets` takes row by row.
        tables = (
            table
            for part in parts
            for table in part.with_format("arrow").iter(batch_size=BATCH_ROWS)
        )
        return itertools.islice(
            (row for table in tables for row in table.to_pylist()), self.start, self.stop
        )


@dataclass(frozen=True)
class Source:
    """The rows of one trial.

    Attributes:
        splits: the first rows to train on, and those to evaluate on, in memory.
        config: the trial, as it is for these splits.
        count: rows of an epoch, if it is known.
    """

    splits: data.Splits
    config: TrialConfig
    count: int | None
    _files: IterableDataset
    _part: Part
    _features: Features

    def steps(self, args: TrainingArguments) -> int:
        """How many steps to train: max_steps, else those of the epochs, if the rows are known."""
        if args.max_steps > 0:
            return int(args.max_steps)
        if self.count is None:
            raise TrialError(
                "BadParameter",
                "How many rows there are is not known while they are read: give max_steps, or a "
                'split with a number, such as "train[:100000]".',
            )
        whole = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
        return math.ceil(self.count / whole * float(args.num_train_epochs))

    def stream(
        self, encode: Encode, seed: int, batch: int, rank: int = 0, world: int = 1
    ) -> Stream:
        """The rows for process `rank` of `world`, which takes them in batches."""
        size = buffer_rows(self.splits["train"])

        def epochs() -> Iterator[Row]:
            for epoch in itertools.count():
                chance = random.Random(f"{seed} {epoch}")
                yield from shuffled(self._part.rows(self._files, chance), chance, size)

        def encoded(numbers: Sequence[int], rows: Sequence[Row]) -> Sequence[dict[str, Any]]:
            return encode(_table(rows, self._features), numbers)

        return Stream(epochs, encoded, batch, rank, world)


def shuffled(rows: Iterator[Row], chance: random.Random, size: int = BUFFER_ROWS) -> Iterator[Row]:
    """The same rows, each in a place drawn from a buffer of `size` that moves over them."""
    buffer = list(itertools.islice(rows, size))
    for row in rows:
        place = int(chance.random() * size)
        yield buffer[place]
        buffer[place] = row
    chance.shuffle(buffer)
    yield from buffer


def buffer_rows(first: Dataset) -> int:
    """How many rows like the first ones the buffer may hold."""
    return min(BUFFER_ROWS, max(1, BUFFER_BYTES * len(first) // max(1, first.data.nbytes)))


class Stream(torch.utils.data.IterableDataset[dict[str, Any]]):
    """Encoded rows without end, one epoch after the other."""

    def __init__(
        self,
        rows: Callable[[], Iterable[Row]],
        encode: Callable[[Sequence[int], Sequence[Row]], Sequence[dict[str, Any]]],
        batch: int,
        rank: int,
        world: int,
    ) -> None:
        self._rows, self._encode = rows, encode
        self._batch, self._rank, self._world = batch, rank, world

    def __iter__(self) -> Iterator[dict[str, Any]]:
        own = self._own()
        while chunk := list(itertools.islice(own, CHUNK_ROWS)):
            yield from self._encode(*zip(*chunk, strict=True))

    def _own(self) -> Iterator[tuple[int, Row]]:
        """The rows of this process with their numbers, which go on from epoch to epoch."""
        read = 0
        try:
            for read, row in enumerate(self._rows()):
                if read // self._batch % self._world == self._rank:
                    yield read, row
        except reading.UNREADABLE as error:
            raise _unreadable(error, read) from error


def open_source(config: TrialConfig) -> Source:
    """Finds the rows of a trial; BadSplit, EmptyDataset or DatasetNotFound if they cannot be."""
    path = data.dataset_path(config.dataset, config.s3)
    files, counts = reading.streams(path)
    train = _part(config.split, files)
    held_out, train = _evaluation(config, files, train)
    try:
        first = list(itertools.islice(train.rows(files[train.split]), HEAD_ROWS))
        held = list(held_out.rows(files[held_out.split]))
    except reading.UNREADABLE as error:
        raise _unreadable(error, 0) from error
    if not held:
        raise TrialError(
            "EmptyDataset",
            f"There are no rows to evaluate on in {config.eval_split or held_out.split!r}.",
        )
    if not first and held_out.split == train.split and not config.eval_split:
        raise TrialError(
            "EmptyDataset",
            f"The first {len(held)} rows of {config.split!r} are evaluated on, and there are no "
            "more to train on; leave out --streaming, or give an --eval-split.",
        )
    if not first:
        raise TrialError("EmptyDataset", f"There are no rows in {config.split!r}.")
    rows = files[train.split]
    features = rows.features or Dataset.from_list([*first, *held]).features
    splits = {"train": _table(first, features), "validation": _table(held, features)}
    end = min(train.end, counts.get(train.split, math.inf))
    known = max(0, int(end) - train.start) if end < math.inf else None
    local = replace(config, split="train", eval_split="validation", test_split=None)
    return Source(splits, local, known, rows, train, features)


def _evaluation(
    config: TrialConfig, files: Mapping[str, IterableDataset], train: Part
) -> tuple[Part, Part]:
    """The rows to evaluate on, and those to train on without them."""
    test = _part(config.test_split, files) if config.test_split else None
    if config.eval_split:
        held_out = _part(config.eval_split, files)
    else:
        taken = {train.split, *([test.split] if test else [])}
        name = next(
            (each for each in data.EVAL_SPLITS if each in files and each not in taken), None
        )
        if name is None:
            cut = int(min(train.start + data.MAX_EVAL_ROWS, train.end))
            held_out = Part(train.split, train.start, cut)
            train = replace(train, start=cut)
        else:
            held_out = Part(name, 0, data.MAX_EVAL_ROWS)
    evaluated = config.eval_split or f"{held_out.split}[{held_out.start}:{held_out.stop}]"
    named = [("training", config.split, train), ("evaluation", evaluated, held_out)]
    named += [("test", config.test_split, test)] if test else []
    for (one, first, part), (other, second, rest) in itertools.combinations(named, 2):
        if part.shares(rest):
            raise TrialError(
                "BadSplit",
                f"The {other} split {second!r} shares rows with the {one} split {first!r}; a score "
                "on rows that were seen before says nothing.",
            )
    return held_out, train


def _part(spec: str, files: Mapping[str, IterableDataset]) -> Part:
    found = _SPEC.fullmatch(spec)
    if found is None or found[1] not in files:
        raise TrialError(
            "BadSplit",
            f"There is no split {spec!r} to be read as a stream; this dataset has "
            f"{', '.join(files)}, and a part of one is written by row numbers, as "
            '"train[:100000]".',
        )
    return Part(found[1], int(found[2] or 0), int(found[3]) if found[3] else None)


def _table(rows: Sequence[Row], features: Features) -> Dataset:
    return Dataset.from_list([dict(row) for row in rows], features=features)


def _unreadable(error: BaseException, read: int) -> TrialError:
    cause = error.__cause__ or error
    return TrialError(
        "DatasetNotFound",
        f"The stream of rows cannot be read on after {read} rows: {one_line(cause, 200)}.",
    )
