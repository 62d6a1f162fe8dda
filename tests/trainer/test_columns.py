"""Which column holds what: named, of a usual name, or the only one that can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from trainer import reading
from trainer.columns import cells, find_column
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError

USUAL = ("text", "sentence", "review")


def config(*flags: str) -> TrialConfig:
    return read_config(trial_parser().parse_args(["--output-dir=out", *flags]))


def test_a_column_that_is_named_for_something_else_is_not_taken() -> None:
    rows = Dataset.from_dict({"text": ["yes"], "review": ["the film"]})
    assert find_column(rows, "text", USUAL, config()) == "text"
    assert find_column(rows, "text", USUAL, config("--label-column=text")) == "review"


def test_the_only_column_of_strings_is_the_text_in_every_format(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"utterance": ["hello"], "n": [1]})
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        found = reading.read(tmp_path / name)["train"]
        assert find_column(found, "text", USUAL, config()) == "utterance"


@pytest.mark.parametrize("flags", [(), ("--text-column=text",)])
def test_a_column_of_texts_and_numbers_is_refused_with_one_of_each(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "fine"}\n{"text": 5}\n{"text": null}\n')
    with pytest.raises(TrialError) as caught:
        find_column(reading.read(tmp_path / "a.jsonl")["train"], "text", USUAL, config(*flags))
    assert (caught.value.reason, caught.value.message) == (
        "BadColumn",
        "The column 'text' holds values of several kinds, such as 'fine' and 5; make it all text "
        "or all numbers.",
    )


def test_the_cells_of_a_column_are_all_there_and_in_the_order_of_the_rows() -> None:
    rows = Dataset.from_dict({"n": [0, 1, None, 3], "tags": [["a"], [], ["b", "c"], ["d"]]})
    assert cells(rows, "n") == [0, 1, None, 3]
    assert cells(rows.select([3, 1, 2]), "tags") == [["d"], [], ["b", "c"]]
