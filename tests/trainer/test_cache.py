"""Encoded rows that trials share: the same rows, found by everything they depend on."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from trainer import cache, model
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.tasks.base import Encoded, Features
from trainer.tasks.sequence_classification import SequenceClassification

ROWS: list[Features] = [
    {"input_ids": [2, 300, 70_000], "labels": 1, "spans": [[0, 1], []], "weight": 0.1},
    {"input_ids": [], "labels": -100, "spans": [], "weight": -1e300},
    {"input_ids": [2**40], "labels": 2, "spans": [[5], [6, 7, 8]], "weight": 3.0},
]
BOTH = Encoded(ROWS, ROWS[:1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KATIB_TUNE_CACHE", str(tmp_path))
    return tmp_path / "encoded"


def test_rows_come_back_as_they_were_with_the_same_types(tmp_path: Path) -> None:
    cache.write(tmp_path / "entry", BOTH)
    found = cache.read(tmp_path / "entry")
    assert found is not None
    assert list(found.train) == ROWS and list(found.eval) == ROWS[:1]
    assert found.train[-1] == ROWS[2] and found.train[1:] == ROWS[1:]
    assert [type(value) for value in found.train[0].values()] == [list, int, list, float]
    with pytest.raises(IndexError):
        found.train[3]


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), min_size=1, max_size=5))
def test_lists_of_any_numbers_come_back(tokens: list[list[int]]) -> None:
    rows = [{"ids": each, "count": len(each)} for each in tokens]
    columns = cache.pack(rows)
    assert columns is not None
    assert list(cache.Packed(columns)) == rows


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"a": "text"}],
        [{"a": None}],
        [{"a": [1, 0.5]}],
        [{"a": [1]}, {"a": 1}],
        [{"a": 1}, {"b": 1}],
        [{"a": 2**63}],
        [{"a": (1, 2)}],
    ],
)
def test_what_is_not_numbers_in_lists_is_not_kept(tmp_path: Path, rows: list[Features]) -> None:
    cache.write(tmp_path / "entry", Encoded(rows, ROWS))
    assert list(tmp_path.iterdir()) == []


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-8])


def flip(at: int) -> Callable[[Path], None]:
    def damage(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[at] ^= 1
        file.write_bytes(content)

    return damage


@dataclass(frozen=True)
class Fixed:
    """A task whose rows are ready; counts how often they are asked for."""

    asked: list[int]

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        self.asked.append(1)
        return BOTH


@pytest.mark.parametrize("damage", [cut, flip(30), flip(-20), lambda file: file.write_bytes(b"")])
def test_an_entry_that_is_damaged_is_made_again(
    folder: Path, damage: Callable[[Path], object]
) -> None:
    task: Any = Fixed([])
    for damaged in (False, True):
        for _ in range(2):
            found = cache.encoded(task, None, None, "entry", print, worth_s=0)
            assert list(found.train) == ROWS
        assert len(task.asked) == 1 + damaged
        damage(folder / "entry")


def test_rows_that_are_quick_to_encode_are_not_kept(folder: Path) -> None:
    task: Any = Fixed([])
    cache.encoded(task, None, None, "entry", print)
    assert not folder.exists()


def test_a_cache_that_cannot_be_written_costs_time_and_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KATIB_TUNE_CACHE", str(tmp_path / "file"))
    said: list[str] = []
    task: Any = Fixed([])
    assert cache.encoded(task, None, None, "entry", said.append, worth_s=0) == BOTH
    (sentence,) = said
    assert sentence.startswith(f"The encoded rows cannot be kept in {tmp_path}/file/encoded, so")


def test_a_full_disk_leaves_no_half_entry_and_is_said(folder: Path) -> None:
    said: list[str] = []

    def small() -> None:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        task: Any = Fixed([])
        cache.encoded(task, None, None, "entry", said.append, worth_s=0)
        os._exit(len(said) if list(folder.iterdir()) == [] else 9)

    child = multiprocessing.get_context("fork").Process(target=small)
    child.start()
    child.join()
    assert child.exitcode == 1


def test_two_processes_at_once_leave_one_whole_entry(folder: Path) -> None:
    def make() -> None:
        for _ in range(50):
            cache.write(folder / "entry", BOTH)
            if (found := cache.read(folder / "entry")) is None or list(found.train) != ROWS:
                os._exit(1)
        os._exit(0)

    children = [multiprocessing.get_context("fork").Process(target=make) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert [file.name for file in folder.iterdir()] == ["entry"]


def test_what_is_old_goes_first_and_the_newest_stays(tmp_path: Path) -> None:
    for age, name in ((20, "a"), (3, "b"), (2, "c"), (1, "d")):
        (tmp_path / name).write_bytes(bytes(100))
        moment = time.time() - age
        os.utime(tmp_path / name, (moment, moment))

    def left(**limits: float) -> set[str]:
        cache.prune(tmp_path, **limits)  # type: ignore[arg-type]
        return {file.name for file in tmp_path.iterdir()}

    assert left(max_age_s=10) == {"b", "c", "d"}
    assert left(max_bytes=250) == {"c", "d"}
    assert left(max_bytes=50) == {"d"}


def config(*flags: str) -> TrialConfig:
    return read_config(trial_parser().parse_args(["--output-dir=out", *flags]))


def test_the_key_is_of_all_that_changes_the_rows_and_of_nothing_else(
    tiny_bert: Path, tmp_path: Path
) -> None:
    copied = tmp_path / "model"
    copied.mkdir()
    for file in tiny_bert.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())

    def mark(*flags: str, length: int = 32, data: str = "data", folder: Path = copied) -> str:
        return cache.key(config(*flags), length, data, folder)

    usual = mark()
    assert mark('--training-parameters={"learning_rate": 1}', "--method=full") == usual
    assert mark('--training-parameters={"mlm_probability": 0.3}', "--seed=7") == usual
    assert mark("--model-uri=elsewhere", folder=tiny_bert) == usual, "the files count"
    others = [
        mark("--split=train[:10]"),
        mark("--test-split=test"),
        mark('--columns={"text": "review"}'),
        mark('--training-parameters={"train_fraction": 0.5}'),
        mark(length=31),
        mark(data="other data"),
    ]
    (copied / "tokenizer_config.json").write_text("{}")
    others.append(mark())
    assert len({usual, *others}) == 1 + len(others)


def test_a_task_trains_on_the_rows_of_the_cache_as_on_its_own(
    tiny_bert: Path, folder: Path
) -> None:
    rows = Dataset.from_dict({"text": ["the film", "bad plot"] * 10, "label": [0, 1] * 10})
    task = SequenceClassification.read({"train": rows}, config(), print)
    tokenizer = model.load_tokenizer(model.Weights(tiny_bert, "tiny"))
    made, found = (cache.encoded(task, tokenizer, 8, "entry", print, worth_s=0) for _ in range(2))
    assert isinstance(found.train, cache.Packed)
    assert list(found.train) == made.train and list(found.eval) == made.eval
    other = replace(task, train=task.eval)
    assert len(cache.encoded(other, tokenizer, 8, "entry 2", print, worth_s=0).train) == 4
