"""The promises of an engine. Whoever keeps them runs the same contract test (tests/engines)."""

from __future__ import annotations

from typing import Literal, Protocol

from bot.errors import SpecError
from bot.spec import Frozen, TuneSpec
from bot.status import Experiment, Record, Thread, Told

Capability = Literal["stop", "logs"]


class Query(Frozen):
    """Which Experiments to find.

    `text` matches a name exactly, or is part of a name, model or dataset; "" matches all.
    """

    text: str = ""
    limit: int = 20


class Engine(Protocol):
    """Runs Experiments. Every verb may be called from any thread and is safe to repeat.

    Every verb raises EngineError when the engine cannot be reached or the disk is full, and
    NotFoundError for a name that it does not know.
    """

    @property
    def name(self) -> str:
        """ "local" or "katib"."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The actions that this engine has, so that none is offered in vain."""

    def check(self, spec: TuneSpec) -> tuple[SpecError, ...]:
        """What this engine refuses, by field, before anything exists; () when it would run."""

    def save(self, record: Record) -> None:
        """Make the record durable, before anything else exists; the same `uid` changes nothing.

        Raises:
            EngineError: another record has that name (field="name").
        """

    def attach(self, name: str, thread: Thread) -> None:
        """Remember where the Experiment is told of; the first thread stays."""

    def submit(self, name: str) -> Experiment:
        """Start the Experiment of a saved record; returns once it exists, never waits for it."""

    def poll(self) -> list[Experiment]:
        """Every open Experiment as it is now, trials included, submitted or not."""

    def get(self, name: str) -> Experiment:
        """One Experiment, open or not."""

    def find(self, query: Query) -> list[Experiment]:
        """Experiments that match, newest first; an exact name alone if there is one."""

    def mark_told(self, name: str, told: Told) -> None:
        """Remember what has been told; `ended` closes the record."""

    def stop(self, name: str, by: str) -> Experiment:
        """End it with the best so far; running trials are killed, nothing is deleted."""

    def logs(self, name: str, trial: str) -> str:
        """The last lines that a trial printed."""

    def close(self) -> None:
        """Let go of connections; Experiments go on."""
