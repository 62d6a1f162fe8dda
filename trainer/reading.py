"""Data files of the usual formats, as splits; what cannot be read is said with the file's name.

A csv file may be separated by semicolons, tabs or bars as well; files may be compressed with gzip.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
from datasets import (
    Dataset,
    DatasetDict,
    IterableDataset,
    IterableDatasetDict,
    load_dataset,
    load_from_disk,
)
from datasets.exceptions import (
    DatasetGenerationCastError,
    DatasetGenerationError,
    DatasetNotFoundError,
)

from trainer.errors import TrialError, one_line, understand
from trainer.sources import DATA_FORMATS

Splits = dict[str, Dataset]

SEPARATORS = {".csv": ",", ".tsv": "\t"}
OTHER_SEPARATORS = (",", ";", "\t", "|")
# NB: a file of Arrow's stream format ends with this; without it, the rest was never written.
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
UNREADABLE = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, IndexError, StopIteration, zlib.error),
    *(DatasetGenerationError, DatasetNotFoundError, pyarrow.ArrowException),
)
COMPRESSED = ".gz"


def read(path: Path) -> Splits:
    """All splits of a data file or of a folder, memory-mapped; a TrialError if it cannot be."""
    return _tried(path, lambda: _folder(path)) if path.is_dir() else read_file(path)


def read_file(path: Path) -> Splits:
    """The rows of one file, by its ending, as the split `train`."""
    ending = _known_format(path)
    return _tried(path, lambda: _file(path, ending))


def _known_format(path: Path) -> str:
    ending = format_of(path)
    if ending not in DATA_FORMATS:
        raise TrialError(
            "DatasetNotFound",
            f"{path} is not one of {', '.join(DATA_FORMATS)}; give one, or a folder.",
        )
    if path.stat().st_size == 0:
        raise TrialError("EmptyDataset", f"{path} is an empty file; write it again.")
    return ending


def format_of(path: Path) -> str:
    """The ending of a file that says its format: `.csv` of `Reviews.CSV` and of `reviews.csv.gz`.

    Empty if it has none.
    """
    plain = path.with_suffix("") if path.suffix.lower() == COMPRESSED else path
    return plain.suffix.lower()


def streams(path: Path) -> tuple[dict[str, IterableDataset], dict[str, int]]:
    """The splits of a data file or of a folder as streams, and how many rows they have if that is
    quick to know."""
    try:
        if path.is_dir() and _was_saved(path):
            whole = _folder(path)
            return (
                {name: rows.to_iterable_dataset() for name, rows in whole.items()},
                {name: len(rows) for name, rows in whole.items()},
            )
        if path.is_dir():
            found = load_dataset(str(path), streaming=True, **_folder_options(path))
        else:
            ending = _known_format(path)
            found = load_dataset(
                DATA_FORMATS[ending],
                data_files=str(path),
                streaming=True,
                **_file_options(path, ending),
            )
        return dict(found), {name: size for name, size in _parquet_rows(path, found) if size}
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _parquet_rows(path: Path, found: IterableDatasetDict) -> Iterator[tuple[str, int]]:
    """The rows of each split of a single parquet file, as its footer says."""
    if path.is_file() and format_of(path) == ".parquet":
        for name in found:
            yield name, pyarrow.parquet.read_metadata(path).num_rows


def _file(path: Path, ending: str) -> Splits:
    options = _file_options(path, ending)
    found = _splits(load_dataset(DATA_FORMATS[ending], data_files=str(path), **options))
    if extra := [name for name in found["train"].column_names if name.startswith("__index_level_")]:
        raise TrialError(
            "DatasetNotFound",
            f"The rows of {path} have {len(extra)} fields more than its first line has names; name "
            "every column there, and put texts with a comma in quotes.",
        )
    return found


def _folder(path: Path) -> Splits:
    if _was_saved(path):
        for state in sorted((*path.glob("state.json"), *path.glob("*/state.json"))):
            _check_whole(state)
        return _splits(load_from_disk(str(path)))
    return _splits(load_dataset(str(path), **_folder_options(path)))


def _file_options(path: Path, ending: str) -> dict[str, str]:
    return {"sep": separator(path)} if DATA_FORMATS[ending] == "csv" else {}


def _folder_options(path: Path) -> dict[str, str]:
    csv = [file for file in data_files(path) if DATA_FORMATS[format_of(file)] == "csv"]
    odd = {separator(file) for file in csv} - {SEPARATORS[format_of(file)] for file in csv}
    return {"sep": odd.pop()} if len(odd) == 1 else {}


def _was_saved(folder: Path) -> bool:
    """Whether save_to_disk has made it."""
    return (folder / "dataset_dict.json").exists() or (folder / "state.json").exists()


def _splits(loaded: Dataset | DatasetDict | Any) -> Splits:
    return dict(loaded) if isinstance(loaded, DatasetDict) else {"train": loaded}


def _check_whole(state: Path) -> None:
    """Whether the files that save_to_disk wrote are: Arrow reads half a file as fewer rows."""
    files = json.loads(state.read_text())["_data_files"]
    if not files:
        raise TrialError("EmptyDataset", f"The dataset at {state.parent} has no rows; add some.")
    for name in (each["filename"] for each in files):
        with (state.parent / name).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - len(END_OF_STREAM)))
            if file.read() != END_OF_STREAM:
                raise TrialError(
                    "DatasetNotFound",
                    f"{state.parent / name} breaks off after {size} bytes; save or copy the "
                    "dataset again.",
                )


def data_files(folder: Path) -> list[Path]:
    """The files of a folder, at any depth, whose format is known by their ending."""
    found = (file for file in folder.rglob("*") if format_of(file) in DATA_FORMATS)
    return sorted(file for file in found if file.is_file() and not file.name.startswith("."))


def separator(path: Path) -> str:
    """What stands between the columns in the first line of a csv or tsv file."""
    usual = SEPARATORS[format_of(path)]
    opener = gzip.open if is_compressed(path) else open
    with opener(path, "rt", encoding="utf-8") as file:
        first = file.readline(1 << 16)
    others = [each for each in OTHER_SEPARATORS if each in first]
    return others[0] if usual not in first and len(others) == 1 else usual


def is_compressed(path: Path) -> bool:
    return path.suffix.lower() == COMPRESSED


def _tried(path: Path, load: Callable[[], Splits]) -> Splits:
    try:
        found = load()
    except UNREADABLE as error:
        raise _unreadable(path, error) from error
    if not any(len(rows) for rows in found.values()):
        raise TrialError("EmptyDataset", f"{path} has no rows; add some.")
    return found


def _unreadable(path: Path, error: BaseException) -> TrialError:
    """The sentence for what went wrong; of a folder's files, the first that is no better alone."""
    cause: BaseException = error.__cause__ or error
    if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
        return understand(cause)
    if path.is_dir():
        return _bad_file(path) or TrialError("DatasetNotFound", _folder_sentence(path, cause))
    text = one_line(cause, 200)
    if isinstance(cause, StopIteration) or "corresponds to no data" in text:
        return TrialError("EmptyDataset", f"{path} has no rows; add some.")
    if isinstance(cause, UnicodeDecodeError):
        text = f"byte {cause.object[cause.start]:#04x} is not UTF-8; save it as UTF-8"
    elif is_compressed(path) and isinstance(cause, (EOFError, zlib.error, gzip.BadGzipFile)):
        text = f"{text}; it is cut off or no gzip file, so compress or copy it again"
    elif DATA_FORMATS[format_of(path)] == "csv" and (changed := _changed_column(path)):
        return TrialError("BadColumn", f"{path}: {changed}")
    elif "tokenizing data" in text:
        text = f"{text}; put texts with a comma or a line break in quotes"
    elif "Parquet" in text or "JSON parse" in text:
        text = f"{text.rstrip('.')}; it may be cut off, so write or copy it again"
    return TrialError("DatasetNotFound", f"The dataset at {path} cannot be read: {text}.")


def _bad_file(folder: Path) -> TrialError | None:
    if _was_saved(folder):
        return None
    for file in data_files(folder):
        try:
            read_file(file)
        except TrialError as failure:
            return failure
    return None


def _folder_sentence(folder: Path, cause: BaseException) -> str:
    if _was_saved(folder):
        why = one_line(cause).rstrip(".")
        return f"The dataset at {folder} cannot be read: {why}; save or copy it again."
    files = data_files(folder)
    formats = {DATA_FORMATS[format_of(file)] for file in files}
    if len(formats) > 1:
        return (
            f"The folder {folder} has files of several formats ({', '.join(sorted(formats))}); "
            "keep those of one."
        )
    if "doesn't contain any data" in str(cause) or "No (supported) data files" in str(cause):
        return (
            f"The folder {folder} has no data to be read: no file ends with one of "
            f"{', '.join(DATA_FORMATS)}."
        )
    if isinstance(cause, DatasetGenerationCastError) or "column names" in str(cause):
        columns = {file: ", ".join(read_file(file)["train"].column_names) for file in files}
        first = files[0]
        other = next((file for file in files if columns[file] != columns[first]), first)
        return (
            f"The files of {folder} differ in their columns: {first.name} has {columns[first]}, "
            f"{other.name} has {columns[other]}; give them the same."
        )
    return f"The dataset at {folder} cannot be read: {one_line(cause)}"


def _changed_column(path: Path) -> str | None:
    """Which column of a csv file holds numbers first and other texts later; None if none does."""
    import pandas

    with (
        contextlib.suppress(ValueError),
        pandas.read_csv(path, sep=separator(path), chunksize=10_000) as parts,
    ):
        numbers: dict[str, bool] = {}
        for part in parts:
            for name in part.columns:
                is_number = pandas.api.types.is_numeric_dtype(part[name])
                if numbers.setdefault(name, is_number) and not is_number:
                    odd = pandas.to_numeric(part[name], errors="coerce").isna() & part[name].notna()
                    at = odd.idxmax()
                    return (
                        f"the column {name!r} holds numbers and, in row {at + 1}, "
                        f"{part[name][at]!r}; make it one kind."
                    )
    return None
