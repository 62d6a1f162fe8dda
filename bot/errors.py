"""Every error that a person can meet, as a tree.

TuneError
├── SpecError      what was asked cannot be tuned; names the field
├── EngineError    the engine could not do it
└── NotFoundError  no such Experiment, trial or message
"""

from __future__ import annotations

from collections.abc import Iterable


class TuneError(Exception):
    """What was wrong (with the value received), and what to do.

    Args:
        message: one sentence: what was wrong and what was received.
        hint: one sentence: what to do, or "".
        field: the TuneSpec field (or hyperparameter) that it is about, or "".
    """

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class SpecError(TuneError):
    """A tune spec that cannot be run; `also` holds further errors found at the same time."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        field: str = "",
        also: Iterable[SpecError] = (),
    ) -> None:
        super().__init__(message, hint=hint, field=field)
        self.also = tuple(also)

    @property
    def all(self) -> tuple[SpecError, ...]:
        """This error and the ones found with it."""
        return (self, *self.also)

    @classmethod
    def of(cls, errors: Iterable[SpecError]) -> SpecError:
        """The first of `errors`, carrying the others (`errors` must not be empty)."""
        first, *rest = errors
        return cls(first.message, hint=first.hint, field=first.field, also=rest)


class EngineError(TuneError):
    """The engine could not do what was asked of it."""


class NotFoundError(TuneError):
    """There is no such Experiment, trial or message."""
