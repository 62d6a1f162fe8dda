"""The README says what the code says: the table of words and the guide's examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import settings
from bot.slack import command
from tests.guide import CUSTOM, LLAMA, SOURCE

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
