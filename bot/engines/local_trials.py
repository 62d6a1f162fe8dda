"""The running trials of one Experiment: their processes, folders, logs and deadlines."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from bot.engines import local_host, local_process
from bot.engines.local_host import Host
from bot.engines.local_outcome import Remains, Verdict
from bot.engines.local_process import LOG_FILE, TrialProcess, read, tail
from bot.engines.local_status import Live
from bot.engines.local_stopping import start_step
from bot.engines.local_tail import LogTail
from bot.engines.trainer_command import (
    CHECKPOINTS_FOLDER,
    OBJECTIVE_FILE,
    PROGRAM_DIR,
    RESULT_FILE,
    read_result,
    trial_command,
    trial_environment,
)
from bot.spec import Scalar, TuneSpec
from bot.status import TrialCondition

# A trial that is interrupted ends its step and writes a checkpoint, from which it goes on.
CHECKPOINT_S = 10.0
INTERRUPT_WAIT_S = CHECKPOINT_S + 2.0


@dataclass
class Running:
    """A trial that runs. `verdict` is set when the engine ends it."""

    process: TrialProcess
    tail: LogTail
    ends_at: datetime | None
    devices: tuple[str, ...]
    verdict: Verdict | None = None

    def stop(self, verdict: Verdict) -> None:
        self.verdict = self.verdict or verdict
        self.process.stop()


class Trials:
    """The running trials by number. `wake` is called, in another thread, when one has ended."""

    def __init__(self, spec: TuneSpec, folder: Path, wake: Callable[[], None]) -> None:
        self.running: dict[int, Running] = {}
        self._spec = spec
        self._folder = folder
        self._wake = wake
        self._host: Host | None = None

    def folder(self, number: int) -> Path:
        return self._folder / str(number)

    def start(
        self,
        number: int,
        parameters: Mapping[str, Scalar],
        now: datetime,
        threads: int,
        devices: tuple[str, ...],
    ) -> None:
        """Start a trial; in a folder that holds a checkpoint of it, it goes on from there.

        Raises:
            OSError: its folder cannot be written, or no process can be made.
        """
        folder = self.folder(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT_FILE).unlink(missing_ok=True)
        if self._spec.objective_source:
            (folder / OBJECTIVE_FILE).write_text(self._spec.objective_source, encoding="utf-8")
        command = trial_command(self._spec, parameters, folder)
        environment = environment_of(self._spec, threads, devices)
        host = self._host_for(command)
        process = local_process.start(command, environment, folder, self._wake, host)
        self._add(number, process, now, devices)

    def _host_for(self, command: Sequence[str]) -> Host | None:
        """What forks the trials; None where each needs a process of its own.

        NB: one that has ended is not started again: what ended it would end the next one, too.
        """
        spec = self._spec
        if spec.is_custom or spec.gpu or spec.max_trial_count < 2 or not local_host.can_be():
            return None
        if self._host is None:
            environment = environment_of(spec, 1, ())
            self._host = Host(command[3:], environment, self._folder)
        return None if self._host.is_gone else self._host

    def dismiss_host(self) -> None:
        """No trial begins any more, unless the Experiment is extended: then there is a new one."""
        if self._host:
            self._host.close()
            self._host = None

    def adopt(self, number: int, since: datetime, devices: tuple[str, ...]) -> bool:
        """Take over a trial that another engine started; False if it does not run."""
        process = local_process.adopt(self.folder(number), self._wake)
        if process is None:
            return False
        self._add(number, process, since, devices)
        return True

    def has_begun(self, number: int) -> bool:
        return local_process.has_begun(self.folder(number))

    def ended(self) -> list[int]:
        return [number for number, one in self.running.items() if one.process.has_ended]

    def remains(self, number: int) -> Remains:
        """What is left of a trial that runs no more."""
        one = self.running.get(number)
        folder = self.folder(number)
        return Remains(
            result=read(folder / RESULT_FILE),
            exit_code=one.process.exit_code if one else None,
            log=tail(folder / LOG_FILE),
            observation=self._tail(number).read().observation,
            memory_ran_out=one.process.memory_ran_out if one else False,
            disk_was_full=one.process.disk_was_full if one else False,
        )

    def live(self, number: int) -> Live:
        one = self.running.get(number)
        return one.tail.read() if one else Live()

    def first_values(self, number: int) -> list[float]:
        """The first values of the objective, as many as the early-stopping rule looks at."""
        log = self._tail(number)
        log.read()
        return log.first_values

    def stop_overdue(self, now: datetime) -> None:
        seconds = self._spec.trial_active_deadline_seconds
        verdict = Verdict(
            condition=TrialCondition.FAILED,
            reason="DeadlineExceeded",
            message=f"The trial took longer than {seconds} seconds.",
        )
        for one in self.running.values():
            if one.ends_at and now >= one.ends_at:
                one.stop(verdict)

    def hold(self, number: int) -> None:
        """Ask a trial to end within CHECKPOINT_S, as one that goes on later."""
        self.running[number].process.stop(CHECKPOINT_S)

    def stop_all(self, verdict: Verdict) -> None:
        for one in self.running.values():
            one.stop(verdict)

    def next_deadline(self) -> datetime | None:
        times = [one.ends_at for one in self.running.values() if one.ends_at and not one.verdict]
        return min(times, default=None)

    def interrupt(self) -> None:
        """Ask what runs to end within CHECKPOINT_S; `leave` waits for it."""
        self.dismiss_host()
        for one in self.running.values():
            one.process.stop(CHECKPOINT_S)

    def leave(self) -> None:
        """Wait for what was interrupted: the next engine goes on with what has not succeeded."""
        for number, one in self.running.items():
            one.process.wait(INTERRUPT_WAIT_S)
            result = read(self.folder(number) / RESULT_FILE)
            if one.verdict or (result and read_result(result).state == "Succeeded"):
                continue
            self.forget(number)

    def forget(self, number: int) -> None:
        """As if a trial had never begun: it is started again, in its folder."""
        (self.folder(number) / RESULT_FILE).unlink(missing_ok=True)
        local_process.forget(self.folder(number))

    def drop_checkpoints(self, number: int) -> None:
        """Free the disk of what a training that has ended for good would have gone on from."""
        if not self._spec.is_custom:
            shutil.rmtree(self.folder(number) / CHECKPOINTS_FOLDER, ignore_errors=True)

    def _tail(self, number: int) -> LogTail:
        one = self.running.get(number)
        return one.tail if one else self._new_tail(number)

    def _new_tail(self, number: int) -> LogTail:
        names = (self._spec.objective_metric_name, *self._spec.additional_metric_names)
        return LogTail(self.folder(number) / LOG_FILE, names, start_step(self._spec))

    def _add(
        self, number: int, process: TrialProcess, since: datetime, devices: tuple[str, ...]
    ) -> None:
        limit = self._spec.trial_active_deadline_seconds
        self.running[number] = Running(
            process=process,
            tail=self._new_tail(number),
            ends_at=since + timedelta(seconds=limit) if limit else None,
            devices=devices,
        )


def environment_of(spec: TuneSpec, threads: int, devices: tuple[str, ...]) -> dict[str, str]:
    """The whole environment of a trial: the engine's, and what the spec and the machine add."""
    path = os.pathsep.join(filter(None, (str(PROGRAM_DIR), os.environ.get("PYTHONPATH"))))
    own = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ",".join(devices)}
    return {**os.environ, **own, **trial_environment(spec, threads)}
