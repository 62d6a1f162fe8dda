"""Failures that come from elsewhere get a reason, a sentence and an exit code."""

from __future__ import annotations

import errno

import pytest
import torch

from trainer.errors import EXIT_CODES, TrialError, nearest, understand


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "DiskFull"),
        (OSError(errno.EACCES, "Permission denied"), "CodeError"),
        (MemoryError(), "OutOfMemory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "OutOfMemory"),
        (RuntimeError("could not create a primitive"), "OutOfMemory"),
        (RuntimeError("could not create a primitive descriptor"), "CodeError"),
        (RuntimeError("std::bad_alloc"), "OutOfMemory"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "OutOfMemory"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "DiskFull"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "CodeError"),
        (TrialError("BadSplit", "x"), "BadSplit"),
    ],
)
def test_what_others_raise_is_understood(error: BaseException, reason: str) -> None:
    failure = understand(error)
    assert failure.reason == reason
    assert failure.exit_code == EXIT_CODES[reason]
    assert failure.message


def test_the_cpu_allocators_failure_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert understand(caught.value).reason == "OutOfMemory"


def test_only_names_that_are_like_it_are_offered() -> None:
    assert nearest("learning_rat", ["learning_rate", "seed"]) == " Did you mean learning_rate?"
    assert nearest("zzz", ["learning_rate", "seed"]) == ""
