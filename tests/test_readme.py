"""The README says what the code says: the table of words and the guide's examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import algorithms, hyperparameters, prior, settings, spec, tasks, trial_check
from bot.engines import local_check
from bot.engines.local_check import refusals
from bot.slack import command
from tests.guide import CUSTOM, LLAMA, SOURCE
from trainer import errors

README = Path(__file__).parent.parent / "README.md"


def between(marker: str) -> str:
    """What stands in the README between `<!-- marker -->` and `<!-- /marker -->`."""
    _, start, rest = README.read_text(encoding="utf-8").partition(f"<!-- {marker} -->\n")
    inner, end, _ = rest.partition(f"<!-- /{marker} -->")
    assert start and end, f"README.md has no <!-- {marker} --> … <!-- /{marker} -->"
    return inner.strip()


def test_the_table_of_words_is_the_one_made_from_the_spec() -> None:
    assert between("words") == command.words_table()


def test_every_setting_stands_in_the_table_of_settings() -> None:
    assert between("settings") == settings.table()


@pytest.mark.parametrize(("marker", "line"), [("guide-llama", LLAMA), ("guide-custom", CUSTOM)])
def test_the_guides_examples_stand_as_typed_lines(marker: str, line: str) -> None:
    assert f"```\n/katib-tune {line.strip()}\n```" in between(marker)


def test_the_custom_objective_stands_beside_its_line() -> None:
    assert f"```python\n{SOURCE.strip()}\n```" in between("guide-custom")


def cells(marker: str) -> list[list[str]]:
    """The rows of a table, without its head."""
    lines = between(marker).splitlines()[2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def test_the_table_of_types_is_the_one_made_from_the_code() -> None:
    assert between("types") == tasks.table()


def test_every_type_has_a_typed_line_that_could_start_here() -> None:
    lines = between("examples").strip("`").strip().splitlines()
    wanted = [prior.to_spec(command.parse_tune(line.split(" ", 1)[1]).data, "x") for line in lines]
    assert [one.transformer_type for one in wanted] == list(spec.choices("transformer_type"))
    for one in wanted:
        assert list(trial_check.problems(one)) == []
        assert list(refusals(one, allow_code=False, cores=2, gpus=0)) == []


def test_the_table_of_algorithms_has_those_of_the_local_engine_with_their_settings() -> None:
    named = {name.strip("`"): words for name, words, _note in cells("algorithms")}
    assert list(named) == list(local_check.ALGORITHMS)
    for name, words in named.items():
        free = set(algorithms.ALGORITHMS[name].settings)
        assert {word.split("=")[0] for word in words.split("`")[1::2]} == free


def test_every_hyperparameter_of_ours_has_a_row() -> None:
    assert [row[0].strip("`") for row in cells("own")] == list(hyperparameters.OWN)


def test_every_reason_stands_beside_its_exit_code() -> None:
    told = {
        reason.strip("`"): int(code)
        for code, reasons, _do in cells("exits")
        for reason in reasons.split(", ")
        if reason
    }
    assert {**told, **errors.EXIT_CODES} == told
