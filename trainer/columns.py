"""Which column of a dataset holds what: the one that was named, or one of a usual name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasets import Dataset, Value

from trainer.config import TrialConfig
from trainer.errors import TrialError, nearest


def find_column(rows: Dataset, what: str, usual: Sequence[str], config: TrialConfig) -> str:
    """The column asked for, else the first usual one, else (for texts) the only one of strings.

    Args:
        what: what is in it: `text`, `label`, `question`, …, a key of `config.columns`.
    """
    if what in config.columns:
        return one_kind(rows, check_column(rows, config.columns[what], "dataset"))
    # NB: what is named to hold something else is not looked at.
    free: list[str] = [name for name in rows.column_names if name not in config.columns.values()]
    by_lower: dict[str, str] = {name.lower(): name for name in reversed(free)}
    for name in usual:
        if name in by_lower:
            return one_kind(rows, by_lower[name])
    strings: list[str] = [name for name in free if is_text(rows.features[name])]
    if what == "text" and len(strings) == 1:
        return strings[0]
    raise TrialError(
        "BadColumn",
        f"No {what} column was recognised among {', '.join(rows.column_names)}; name it with "
        f'--columns \'{{"{what}": "NAME"}}\'.',
    )


def cells(rows: Dataset, name: str) -> list[Any]:
    """What a column holds, one cell per row, read at once.

    NB: `rows[name]` alone reads when asked, row by row: 10 to 100 times as slow.
    """
    found: list[Any] = rows[name][:]
    return found


def is_text(feature: object) -> bool:
    """Whether a column holds strings; those of csv files are large ones."""
    return feature in (Value("string"), Value("large_string"))


def check_text(rows: Dataset, name: str, where: str) -> str:
    """`name`, if there is such a column and it holds strings; else BadColumn."""
    check_column(rows, name, where)
    if not is_text(rows.features[name]):
        raise TrialError(
            "BadColumn",
            f"The column {name!r} holds {rows.features[name]}, not text; name another one.",
        )
    return name


def one_kind(rows: Dataset, name: str) -> str:
    """`name`, unless the column holds texts here and numbers there; that is BadColumn."""
    # NB: what older versions of datasets refuse to read, newer ones read as this.
    if type(rows.features[name]).__name__ == "Json":
        kinds = {type(value): value for value in cells(rows, name) if value is not None}
        if len(kinds) > 1 and kinds.keys() <= {str, int, float, bool}:
            one, other, *_ = kinds.values()
            raise TrialError(
                "BadColumn",
                f"The column {name!r} holds values of several kinds, such as {one!r} and "
                f"{other!r}; make it all text or all numbers.",
            )
    return name


def check_column(rows: Dataset, name: str, where: str) -> str:
    """`name`, if there is such a column; else BadColumn. `where` is what should have it."""
    if name in rows.column_names:
        return name
    raise TrialError(
        "BadColumn",
        f"The {where} has no column {name!r}; it has {', '.join(rows.column_names)}."
        f"{nearest(name, rows.column_names)}",
    )
