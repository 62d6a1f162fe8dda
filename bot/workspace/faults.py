"""Faults on demand: what shall go wrong, on what, and how often."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.workspace.delivery import COMMANDS, EVENTS, INTERACTIVE

DELIVERIES = (COMMANDS, INTERACTIVE, EVENTS)
EVERYTHING = "*"
ON_CALLS = ("ratelimited", "error", "error_after_commit", "fatal_error", "slow")
ON_DELIVERIES = ("drop_ack", "late_ack", "duplicate", "close_sockets")
ON_FILES = ("slow_file",)
KINDS = (*ON_CALLS, *ON_DELIVERIES, *ON_FILES)


@dataclass(frozen=True)
class Fault:
    """One fault that is due.

    `on` is a Web API method (kinds on calls) or a kind of delivery, "*" any; `app` an app id, ""
    any. `times` is how often it comes, None until it is cleared. `seconds` is how long, for the
    kinds that take time, and the Retry-After of ratelimited.

    Raises:
        ValueError: with a sentence, for a fault that nothing could ever meet.
    """

    kind: str
    on: str = EVERYTHING
    app: str = ""
    times: int | None = 1
    seconds: float = 1.0

    def __post_init__(self) -> None:
        self._check_types()
        if self.kind not in KINDS:
            raise ValueError(
                f"There is no fault {self.kind!r}. The known ones are {', '.join(KINDS)}."
            )
        if self.kind in ON_DELIVERIES and self.on not in (*DELIVERIES, EVERYTHING):
            raise ValueError(
                f"{self.kind} is on one of {', '.join(DELIVERIES)} or *, not {self.on!r}."
            )
        if self.times is not None and self.times < 1:
            raise ValueError(f"times must be at least 1, or null, not {self.times!r}.")
        if not 0 <= self.seconds <= 3600:
            raise ValueError(f"seconds must be from 0 to 3600, not {self.seconds!r}.")

    def _check_types(self) -> None:
        for name in ("kind", "on", "app"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise ValueError(f"{name} must be text, not {value!r}.")
        if self.times is not None and type(self.times) is not int:
            raise ValueError(f"times must be a whole number, or null, not {self.times!r}.")
        if type(self.seconds) not in (int, float):
            raise ValueError(f"seconds must be a number, not {self.seconds!r}.")


class Faults:
    """The faults that are due, in the order in which they were added."""

    def __init__(self) -> None:
        self._due: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Makes it come from now on."""
        self._due.append(fault)

    def take(self, kind: str, on: str = EVERYTHING, app_id: str = "") -> Fault | None:
        """The first fault of this kind for this call or delivery, counted down; None if there is
        none.
        """
        for index, fault in enumerate(self._due):
            if _meets(fault, kind, on, app_id):
                self._count_down(index, fault)
                return fault
        return None

    def _count_down(self, index: int, fault: Fault) -> None:
        if fault.times == 1:
            del self._due[index]
        elif fault.times is not None:
            self._due[index] = replace(fault, times=fault.times - 1)

    def active(self) -> tuple[Fault, ...]:
        """What is still to come; `times` counts what is left."""
        return tuple(self._due)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._due.clear()


def _meets(fault: Fault, kind: str, on: str, app_id: str) -> bool:
    return fault.kind == kind and fault.on in (EVERYTHING, on) and fault.app in ("", app_id)
