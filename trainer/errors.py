"""How a trial can fail: a reason for machines, a sentence for people, an exit code."""

from __future__ import annotations

import difflib
import errno
import os
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
    "DeadlineExceeded": 8,
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
    if is_disk_full(error):
        return TrialError("DiskFull", "The disk is full; free some space and try again.")
    if is_out_of_memory(error):
        return TrialError(
            "OutOfMemory",
            "The trial ran out of memory; try a smaller per_device_train_batch_size or max length.",
        )
    return TrialError("CodeError", f"{type(error).__name__}: {one_line(error)}")


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no space left, on the disk or of a quota, or a file grew too large."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if isinstance(error, OSError):
        return error.errno in full
    # NB: torch.save and safetensors raise errors of their own, which quote the system's.
    text = str(error)
    is_theirs = isinstance(error, RuntimeError) or type(error).__name__ == "SafetensorError"
    return is_theirs and any(os.strerror(number) in text for number in full)


# What torch's allocators, CUDA's libraries and C++ say; many of them in a plain RuntimeError.
_OUT_OF_MEMORY = (
    *("out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory"),
    *("std::bad_alloc", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"),
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had, of the host or of the GPU."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if not isinstance(error, RuntimeError):
        return False
    # NB: oneDNN says no more than this when it cannot allocate.
    is_onednn = str(error) in ("could not create a primitive", "could not execute a primitive")
    return is_onednn or any(text in str(error) for text in _OUT_OF_MEMORY)


def one_line(error: BaseException | str, limit: int = 400) -> str:
    """The text of an error in one line, cut at `limit` characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def nearest(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the known names most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""
