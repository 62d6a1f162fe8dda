"""The promises of an engine. Whoever keeps them runs the same contract test (tests/engines)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from bot.errors import EngineError, NotFoundError, SpecError
from bot.spec import Frozen, TuneSpec
from bot.status import Experiment, Record, Thread, Told

Capability = Literal["stop", "logs", "extend", "parallel", "retry", "pause", "adopt"]

_WITHOUT: dict[Capability, tuple[str, str]] = {
    "stop": ("cannot stop an Experiment", "It ends with its last trial."),
    "logs": ("keeps no logs of trials", "`status NAME` says why trials failed."),
    "extend": (
        "cannot extend an Experiment",
        "Start a new one with more trials; `/katib-best NAME` shows what this one found.",
    ),
    "parallel": (
        "cannot change how many trials run at a time",
        "Stop it, and start it again with another `parallel=`.",
    ),
    "retry": (
        "cannot try a trial again",
        "Start a new Experiment with that trial's hyperparameters as plain values.",
    ),
    "pause": (
        "cannot pause an Experiment",
        "`parallel NAME 1` makes it slower; `stop NAME` ends it with the best so far.",
    ),
    "adopt": (
        "has no Experiments but those that were started with me",
        "`list` shows them, and their threads tell of them.",
    ),
}


class Query(Frozen):
    """Which Experiments to find.

    `text` matches a name exactly, or is part of a name, model or dataset; "" matches all.
    """

    text: str = ""
    limit: int = 20


class Engine(Protocol):
    """Runs Experiments. Every verb may be called from any thread and is safe to repeat.

    Every verb raises EngineError when the engine cannot be reached or the disk is full, and
    NotFoundError for a name that it does not know. A verb that `capabilities` does not name raises
    EngineError (`lacking`).
    """

    @property
    def name(self) -> str:
        """ "local" or "katib"."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """The actions that this engine has, so that none is offered in vain."""

    def check(self, spec: TuneSpec, channel: str | None = None) -> tuple[SpecError, ...]:
        """What this engine refuses, by field, before anything exists; () when it would run.

        `channel` is where it was asked for: an engine may run each channel's Experiments in a place
        of its own (`save` takes the record's).
        """

    def save(self, record: Record) -> None:
        """Make the record durable, before anything else exists; the same `uid` changes nothing.

        Raises:
            EngineError: another record has that name (field="name").
        """

    def attach(self, name: str, thread: Thread) -> None:
        """Remember where the Experiment is told of; the first thread stays."""

    def submit(self, name: str) -> Experiment:
        """Start the Experiment of a saved record; returns once it exists, never waits for it."""

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `poll` may have something new, from any thread, often or never.

        A hint that spares waiting: polling is the safety net. The callback returns at once and
        never raises.
        """

    def poll(self) -> list[Experiment]:
        """Every open Experiment as it is now, trials included, submitted or not.

        One that has not changed since the last call may be the very same object.
        """

    def get(self, name: str) -> Experiment:
        """One Experiment, open or not."""

    def find(self, query: Query) -> list[Experiment]:
        """Experiments that match, newest first; an exact name alone if there is one."""

    def mark_told(self, name: str, told: Told) -> None:
        """Remember what has been told; `ended` closes the record."""

    def stop(self, name: str, by: str) -> Experiment:
        """End it with the best so far; running trials are killed.

        What is known of its trials stays in the record, also where stopping deletes the Experiment
        itself (on a cluster). The first who stops it is `stopped_by`; stopping what has ended
        changes nothing.
        """

    def extend(self, name: str, max_trial_count: int, by: str) -> Experiment:
        """Let it run up to `max_trial_count` trials; what has ended goes on and is open again.

        The record's spec has the new count. The count that it has already is refused, so that
        repeating extends once.

        Raises:
            EngineError: `field` says what forbids it: max_trial_count (not more than now, or it
                ended otherwise than by running all its trials), resume_policy, algorithm_name.
        """

    def set_parallel(self, name: str, parallel_trial_count: int, by: str) -> Experiment:
        """Let so many trials run at a time; lowering it ends the newest trials that run.

        They do not count: others are tried instead, or they themselves go on when there is room.

        The record's spec has the new count; the same count again changes nothing.

        Raises:
            EngineError: it has ended; or, with field="parallel_trial_count", the number is below 1
                or more than max_trial_count.
        """

    def retry_trial(self, name: str, trial: str, by: str) -> Experiment:
        """Run the hyperparameters of a finished trial again, as a further trial.

        It does not count against max_trial_count. While a retry of that trial runs, asking again
        changes nothing.

        Raises:
            NotFoundError: it has no such trial.
            EngineError: that trial has not ended, or the Experiment has, or others created it.
        """

    def pause(self, name: str, by: str) -> Experiment:
        """Let none of its trials run until `resume`; those that run are ended, and go on then.

        They go on from where they were, if they keep that. The first who pauses it is `paused_by`;
        its budget of time goes on. What is paused can be stopped and changed like any other.

        Raises:
            EngineError: it has ended.
        """

    def resume(self, name: str, by: str) -> Experiment:
        """Let what was paused go on; what is not paused is not changed.

        Raises:
            EngineError: it has ended.
        """

    def adopt(
        self, name: str, channel: str, requested_by: str, requested_by_name: str
    ) -> Experiment:
        """Follow an Experiment that others created: read it, make its record, return it as it is.

        The record says who asked for it and where, counts as submitted, and is open: the next poll
        finds it, ended or not. An Experiment that has a record already is returned as it is; its
        first channel stays, unless nobody could be told there (it is closed and has no thread):
        then it is open again, for this channel. `stop` never deletes what others created.

        Raises:
            NotFoundError: there is no such Experiment where this channel's run.
            EngineError: it is no search of hyperparameters that can be followed, with the reason.
        """

    def logs(self, name: str, trial: str) -> str:
        """The last lines that a trial printed; "" if it has printed nothing.

        Raises:
            NotFoundError: it has no such trial, or its log is gone, with the reason.
        """

    def close(self) -> None:
        """Let go of connections; Experiments go on."""


def lacking(engine: str, capability: Capability) -> EngineError:
    """What to say when an engine is asked for an action that it does not have, and what to do."""
    what, instead = _WITHOUT[capability]
    return EngineError(f"The {engine} engine {what}.", hint=instead)


def taken(name: str) -> EngineError:
    """What to say when another record has that name."""
    return EngineError(
        f"There is an Experiment `{name}` already.", hint="Choose another name.", field="name"
    )


def unknown(name: str) -> NotFoundError:
    """What to say of a name that no record has."""
    return NotFoundError(f"There is no Experiment `{name}`.", hint="`list` shows the names.")


class WithoutActions:
    """The verbs beyond stop and logs as an engine has them that lacks them: each says so."""

    name: str

    def extend(self, name: str, max_trial_count: int, by: str) -> Experiment:
        raise lacking(self.name, "extend")

    def set_parallel(self, name: str, parallel_trial_count: int, by: str) -> Experiment:
        raise lacking(self.name, "parallel")

    def retry_trial(self, name: str, trial: str, by: str) -> Experiment:
        raise lacking(self.name, "retry")

    def pause(self, name: str, by: str) -> Experiment:
        raise lacking(self.name, "pause")

    def resume(self, name: str, by: str) -> Experiment:
        raise lacking(self.name, "pause")

    def adopt(
        self, name: str, channel: str, requested_by: str, requested_by_name: str
    ) -> Experiment:
        raise lacking(self.name, "adopt")
