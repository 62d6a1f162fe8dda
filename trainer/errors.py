"""How a trial can fail: a reason for machines, a sentence for people, an exit code."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Mapping

EXIT_CODES: Mapping[str, int] = {
    "BadParameter": 2,
    "DatasetNotFound": 3,
    "BadSplit": 3,
    "BadColumn": 3,
    "EmptyDataset": 3,
    "LabelMismatch": 3,
    "ModelNotFound": 4,
    "Diverged": 5,
    "OutOfMemory": 6,
    "NotFetched": 7,
    "DiskFull": 1,
    "NotPushed": 1,
    "CodeError": 1,
    "Killed": 143,
}


class TrialError(Exception):
    """A failure that we understand; the message says what, what was received, and what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.reason]


def understand(error: BaseException) -> TrialError:
    """The trial's name for `error`; what nobody foresaw is a CodeError."""
    if isinstance(error, TrialError):
        return error
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return TrialError("DiskFull", "The disk is full; free some space and try again.")
    if _is_out_of_memory(error):
        return TrialError(
            "OutOfMemory",
            "The trial ran out of memory; try a smaller per_device_train_batch_size or max length.",
        )
    return TrialError("CodeError", f"{type(error).__name__}: {one_line(error)}")


def _is_out_of_memory(error: BaseException) -> bool:
    # NB: torch raises a plain RuntimeError when the CPU allocator fails.
    text = str(error)
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and ("out of memory" in text or "can't allocate memory" in text)
    )


def one_line(error: BaseException | str, limit: int = 400) -> str:
    """The text of an error in one line, cut at `limit` characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the known names most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""
