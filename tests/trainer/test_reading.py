"""Data files of every format: the same rows, and a sentence with the file's name for each fault."""

from __future__ import annotations

import gc
import gzip
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from trainer import data, reading
from trainer.errors import TrialError

CSV = b"text,label\nfine,1\nbad,0\n"
TSV = CSV.replace(b",", b"\t")
JSONL = b'{"text": "fine", "label": 1}\n{"text": "bad", "label": 0}\n'


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """`datasets` leaves a csv file open that it fails to read."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def rows(size: int) -> Dataset:
    return Dataset.from_dict(
        {"text": [f"text {i}" for i in range(size)], "label": [0, 1] * (size // 2)}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rows"


Put = Callable[[str, bytes], Path]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Writes a file and returns its path."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def test_every_format_is_read_to_the_same_rows(folder: Path) -> None:
    folder.mkdir()
    rows(10).to_csv(folder / "a.csv", index=False)
    rows(10).to_csv(folder / "a.tsv", index=False, sep="\t")
    rows(10).to_json(folder / "a.jsonl")
    rows(10).to_parquet(folder / "a.parquet")
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet"):
        splits = data.load_splits(str(folder / name))
        assert list(splits) == ["train"], name
        assert splits["train"][:] == rows(10)[:], name


def test_a_folder_of_files_has_the_splits_that_their_names_say(folder: Path) -> None:
    folder.mkdir()
    for split in ("train", "validation"):
        rows(10).to_parquet(folder / f"{split}.parquet")
    assert list(data.load_splits(str(folder))) == ["train", "validation"]


def test_what_save_to_disk_wrote_is_read_with_its_labels(folder: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    labelled_rows = rows(10).cast(features)
    DatasetDict({"train": labelled_rows, "test": labelled_rows}).save_to_disk(folder / "two")
    labelled_rows.save_to_disk(folder / "one")
    assert list(data.load_splits(str(folder / "two"))) == ["train", "test"]
    assert data.load_splits(str(folder / "one"))["train"].features == features


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", CSV.replace(b",", b";")),
        ("a.csv", TSV),
        ("a.tsv", CSV),
        ("a.csv", b"\xef\xbb\xbf" + CSV),
        ("A.CSV", CSV),
        ("a.csv.gz", gzip.compress(CSV, mtime=0)),
        ("a.tsv.gz", gzip.compress(TSV, mtime=0)),
        ("a.json", b"[" + JSONL.strip().replace(b"\n", b",") + b"]"),
        ("a.jsonl", b"\xef\xbb\xbf" + JSONL),
        ("a.ndjson", JSONL),
        ("a.jsonl.gz", gzip.compress(JSONL, mtime=0)),
    ],
)
def test_separators_marks_and_compression_are_found_out(
    put: Put, name: str, content: bytes
) -> None:
    found = reading.read(put(name, content))["train"]
    assert found[:] == {"text": ["fine", "bad"], "label": [1, 0]}


def test_a_text_in_quotes_may_have_lines_commas_and_quotes(put: Put) -> None:
    path = put("a.csv", b'text,label\n"fine,\nfilm",1\n"bad ""x"" film; really",0\n')
    assert reading.read(path)["train"]["text"][:] == ["fine,\nfilm", 'bad "x" film; really']


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (("reviews-train.csv", "reviews-test.csv"), ["train", "test"]),
        (("train.csv", "dev.csv"), ["train", "validation"]),
        (("train-00000-of-00002.csv", "train-00001-of-00002.csv", "test.csv"), ["train", "test"]),
        (("train/a.csv", "test/b.csv"), ["train", "test"]),
        (("train.csv.gz", "test.csv.gz"), ["train", "test"]),
        (("a.csv", "b.csv"), ["train"]),
    ],
)
def test_the_names_of_files_and_folders_say_the_splits(
    put: Put, tmp_path: Path, files: tuple[str, ...], splits: list[str]
) -> None:
    content = CSV.replace(b",", b";")
    for name in files:
        put(name, gzip.compress(content) if name.endswith(".gz") else content)
    found = reading.read(tmp_path)
    assert list(found) == splits
    assert sum(map(len, found.values())) == 2 * len(files)
    assert found["train"][0] == {"text": "fine", "label": 1}


def late(value: bytes) -> bytes:
    return b"text,label\n" + b"1,1\n" * 12_000 + value + b",0\n"


@pytest.mark.parametrize(
    ("name", "content", "reason", "said"),
    [
        ("a.csv", b"", "EmptyDataset", "a.csv is an empty file; write it again."),
        ("a.parquet", b"", "EmptyDataset", "a.parquet is an empty file; write it again."),
        ("a.csv", b"text,label\n", "EmptyDataset", "a.csv has no rows; add some."),
        ("a.jsonl", b"\n\n", "EmptyDataset", "a.jsonl has no rows; add some."),
        ("a.json", b"[]", "EmptyDataset", "a.json has no rows; add some."),
        (
            *("a.csv", "text,label\nété,1\n".encode("latin-1"), "DatasetNotFound"),
            "a.csv cannot be read: byte 0xe9 is not UTF-8; save it as UTF-8.",
        ),
        (
            *("a.csv", "text,label\n".encode("utf-16"), "DatasetNotFound"),
            "a.csv cannot be read: byte 0xff is not UTF-8; save it as UTF-8.",
        ),
        (
            *("a.csv", CSV + b"a,0,4\n", "DatasetNotFound"),
            "a.csv cannot be read: Error tokenizing data. C error: Expected 2 fields in line 4, "
            "saw 3; put texts with a comma or a line break in quotes.",
        ),
        (
            *("a.csv", b"text,label\nfine,1,3\n", "DatasetNotFound"),
            "a.csv have 1 fields more than its first line has names; name every column there,",
        ),
        (
            *("a.csv", b'text,label\n"fine,1\n', "DatasetNotFound"),
            "EOF inside string starting at row 1; put texts",
        ),
        (
            *("a.csv", late(b"hello"), "BadColumn"),
            "a.csv: the column 'text' holds numbers and, in row 12001, 'hello'; make it one kind.",
        ),
        ("a.jsonl", JSONL[:-9], "DatasetNotFound", "it may be cut off, so write or copy it again."),
        ("a.parquet", b"PAR1xx", "DatasetNotFound", "it may be cut off, so write or copy it"),
        (
            *("a.csv.gz", gzip.compress(late(b"x"), mtime=0)[:60], "DatasetNotFound"),
            "it is cut off or no gzip file, so compress or copy it again.",
        ),
        ("a.csv.gz", CSV, "DatasetNotFound", "it is cut off or no gzip file, so compress"),
        ("a.xlsx", b"x", "DatasetNotFound", "a.xlsx is not one of .csv, .tsv, .json, .jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_with_its_name_and_what_to_do(
    put: Put, name: str, content: bytes, reason: str, said: str
) -> None:
    path = put(name, content)
    with pytest.raises(TrialError) as caught:
        reading.read(path)
    assert (caught.value.reason, caught.value.exit_code) == (reason, 3)
    assert str(path) in caught.value.message
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no data to be read: no file ends with one of .csv, .tsv,"),
        ({"README.md": b"x"}, "has no data to be read: no file ends with one of .csv, .tsv,"),
        ({"train.csv": CSV, "test.csv": b""}, "test.csv is an empty file; write it again."),
        ({"train.csv": CSV, "test.csv": b"text,label\n"}, "test.csv has no rows; add some."),
        ({"train.jsonl": JSONL, "test.jsonl": JSONL[:-9]}, "test.jsonl cannot be read: JSON"),
        ({"train.csv": CSV, "test.jsonl": JSONL}, "files of several formats (csv, json); keep"),
        (
            {"train.csv": CSV, "test.csv": CSV.replace(b"text", b"review")},
            "differ in their columns: test.csv has review, label, train.csv has text, label;",
        ),
    ],
)
def test_of_a_folder_the_file_at_fault_is_named(
    put: Put, tmp_path: Path, files: dict[str, bytes], said: str
) -> None:
    (tmp_path / "data").mkdir()
    for name, content in files.items():
        put(f"data/{name}", content)
    with pytest.raises(TrialError) as caught:
        reading.read(tmp_path / "data")
    assert said in caught.value.message
    assert str(tmp_path / "data") in caught.value.message


def cut(folder: Path) -> None:
    file = next(folder.glob("*.arrow"))
    file.write_bytes(file.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut, "00000-of-00001.arrow breaks off after "),
        (lambda folder: next(folder.glob("*.arrow")).unlink(), "No such file or directory"),
        (lambda folder: (folder / "state.json").write_text("{"), "; save or copy it again."),
    ],
)
def test_a_saved_dataset_that_is_not_whole_is_refused_not_read_as_fewer_rows(
    folder: Path, damage: Callable[[Path], object], said: str
) -> None:
    DatasetDict({"train": rows(10), "test": rows(4)}).save_to_disk(folder)
    assert len(reading.read(folder)["test"]) == 4
    damage(folder / "test")
    with pytest.raises(TrialError) as caught:
        reading.read(folder)
    assert caught.value.reason == "DatasetNotFound"
    assert said in caught.value.message


def test_a_saved_dataset_without_rows_or_splits_is_said(folder: Path) -> None:
    rows(10).select([]).save_to_disk(folder)
    with pytest.raises(TrialError, match="has no rows") as caught:
        reading.read(folder)
    assert caught.value.reason == "EmptyDataset"
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["train"]}))
    with pytest.raises(TrialError, match="; save or copy it again") as caught:
        reading.read(folder)
    assert caught.value.reason == "DatasetNotFound"
