"""Which column of a dataset holds what: the one that was named, or one of a usual name."""

from __future__ import annotations

from collections.abc import Sequence

from datasets import Dataset, Value

from trainer.config import TrialConfig
from trainer.errors import TrialError, nearest


def find_column(rows: Dataset, what: str, usual: Sequence[str], config: TrialConfig) -> str:
    """The column asked for, else the first usual one, else (for texts) the only one of strings.

    Args:
        what: what is in it: `text`, `label`, `question`, …, a key of `config.columns`.
    """
    if what in config.columns:
        return check_column(rows, config.columns[what], "dataset")
    by_lower: dict[str, str] = {name.lower(): name for name in reversed(rows.column_names)}
    for name in usual:
        if name in by_lower:
            return by_lower[name]
    strings: list[str] = [
        name for name, feature in rows.features.items() if feature == Value("string")
    ]
    if what == "text" and len(strings) == 1:
        return strings[0]
    raise TrialError(
        "BadColumn",
        f"No {what} column was recognised among {', '.join(rows.column_names)}; name it with "
        f'--columns \'{{"{what}": "NAME"}}\'.',
    )


def check_column(rows: Dataset, name: str, where: str) -> str:
    """`name`, if there is such a column; else BadColumn. `where` is what should have it."""
    if name in rows.column_names:
        return name
    raise TrialError(
        "BadColumn",
        f"The {where} has no column {name!r}; it has {', '.join(rows.column_names)}."
        f"{nearest(name, rows.column_names)}",
    )
