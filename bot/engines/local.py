"""The local engine as the bot sees it: a process of its own, found, started and asked.

Without an engine process (`start=False`), what there is to read is read from the study file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.engines import local_hardware, local_wire
from bot.engines.base import Capability, Query, WithoutActions
from bot.engines.local_check import refusals
from bot.engines.local_launch import LOG_FILE, EngineProcess, has_gone
from bot.engines.local_wire import Address, read_address
from bot.errors import EngineError, SpecError
from bot.spec import TuneSpec
from bot.status import Experiment, Record, Thread, Told

if TYPE_CHECKING:
    from bot.engines.local_reader import Reader

ANSWER_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 8.0
LOOK_INTERVAL_S = 0.05


class NoEngineError(EngineError):
    """No engine process runs, and none is to be started."""


class LocalEngine(WithoutActions):
    """Fulfils `engines.base.Engine`; its Experiments are real trials on this machine.

    Args:
        allow_code: whether Python code from a spec may be run.
        start: start the engine process when none answers; False only reads.
    """

    name = "local"
    capabilities: frozenset[Capability] = frozenset(
        {"stop", "logs", "extend", "parallel", "retry", "pause"}
    )

    def __init__(self, state_dir: Path, *, allow_code: bool, start: bool = True) -> None:
        self._state_dir = state_dir.resolve()
        self._allow_code = allow_code
        self._process = EngineProcess(self._state_dir) if start else None

    def check(self, spec: TuneSpec, channel: str | None = None) -> tuple[SpecError, ...]:
        """Every channel's Experiments run on this machine."""
        return tuple(
            refusals(
                spec,
                allow_code=self._allow_code,
                cores=local_hardware.cores(),
                gpus=len(local_hardware.gpus()),
                is_installed=lambda package: find_spec(package) is not None,
            )
        )

    def save(self, record: Record) -> None:
        if found := self.check(record.spec):
            raise SpecError.of(found)
        self._ask("save", record=record.model_dump(mode="json", exclude_unset=True))

    def attach(self, name: str, thread: Thread) -> None:
        self._ask("attach", name=name, thread=thread.model_dump(mode="json"))

    def submit(self, name: str) -> Experiment:
        return Experiment.model_validate(self._ask("submit", name=name))

    def on_change(self, callback: Callable[[], None]) -> None:
        """Never called: a poll here is one short question on this machine, asked often enough."""

    def poll(self) -> list[Experiment]:
        try:
            return self._experiments("poll")
        except NoEngineError:
            with self._reader() as reader:
                return reader.poll()

    def get(self, name: str) -> Experiment:
        try:
            return Experiment.model_validate(self._ask("get", name=name))
        except NoEngineError:
            with self._reader() as reader:
                return reader.get(name)

    def find(self, query: Query) -> list[Experiment]:
        try:
            return self._experiments("find", query=query.model_dump())
        except NoEngineError:
            with self._reader() as reader:
                return reader.find(query)

    def mark_told(self, name: str, told: Told) -> None:
        self._ask("mark_told", name=name, told=told.model_dump(mode="json"))

    def stop(self, name: str, by: str) -> Experiment:
        """Returns when the running trials have ended, in a few seconds."""
        experiment = Experiment.model_validate(self._ask("stop", name=name, by=by))
        give_up = time.monotonic() + STOP_TIMEOUT_S
        while not experiment.status.condition.is_final and time.monotonic() < give_up:
            time.sleep(LOOK_INTERVAL_S)
            experiment = self.get(name)
        return experiment

    def extend(self, name: str, max_trial_count: int, by: str) -> Experiment:
        before = self.get(name).spec.max_trial_count
        answer = self._ask(
            "extend", name=name, max_trial_count=max_trial_count, before=before, by=by
        )
        return Experiment.model_validate(answer)

    def set_parallel(self, name: str, parallel_trial_count: int, by: str) -> Experiment:
        answer = self._ask(
            "set_parallel", name=name, parallel_trial_count=parallel_trial_count, by=by
        )
        return Experiment.model_validate(answer)

    def retry_trial(self, name: str, trial: str, by: str) -> Experiment:
        return Experiment.model_validate(self._ask("retry_trial", name=name, trial=trial, by=by))

    def pause(self, name: str, by: str) -> Experiment:
        return Experiment.model_validate(self._ask("pause", name=name, by=by))

    def resume(self, name: str, by: str) -> Experiment:
        return Experiment.model_validate(self._ask("resume", name=name, by=by))

    def logs(self, name: str, trial: str) -> str:
        try:
            return str(self._ask("logs", name=name, trial=trial))
        except NoEngineError:
            with self._reader() as reader:
                return reader.logs(name, trial)

    def close(self) -> None:
        """Nothing is held between two calls; the engine process goes on."""

    def shutdown(self) -> None:
        """End the engine process and its trials; the next one starts those over.

        Does nothing if no engine runs.
        """
        address = read_address(self._state_dir)
        if address is None:
            return
        try:
            local_wire.ask(address, "shutdown", {}, ANSWER_TIMEOUT_S)
        except OSError:
            return
        give_up = time.monotonic() + STOP_TIMEOUT_S
        while not has_gone(address.pid) and time.monotonic() < give_up:
            time.sleep(LOOK_INTERVAL_S)

    def _experiments(self, verb: str, **arguments: Any) -> list[Experiment]:
        return [Experiment.model_validate(item) for item in self._ask(verb, **arguments)]

    def _reader(self) -> closing[Reader]:
        # NB: imports Optuna, which a bot with a running engine never needs.
        from bot.engines.local_reader import Reader

        return closing(Reader(self._state_dir))

    def _ask(self, verb: str, **arguments: Any) -> Any:
        """Ask the engine process, started if need be. Every verb is safe to repeat, so we do once.

        Raises:
            NoEngineError: none runs, and this is a reader.
            EngineError: none can be started, or it does not answer.
        """
        address = read_address(self._state_dir)
        if address:
            with suppress(ConnectionError):
                return self._asked(address, verb, arguments)
        if self._process is None:
            raise NoEngineError(f"No engine works on {self._state_dir}.", hint="Start the bot.")
        return self._asked(self._process.ensure(), verb, arguments)

    def _asked(self, address: Address, verb: str, arguments: dict[str, Any]) -> Any:
        try:
            return local_wire.ask(address, verb, arguments, ANSWER_TIMEOUT_S)
        except ConnectionError:
            raise
        except OSError as error:
            raise EngineError(
                f"The engine of {self._state_dir} does not answer: {error}.",
                hint=f"Its log is {self._state_dir / LOG_FILE}.",
            ) from error
