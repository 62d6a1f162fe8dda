"""Starts the engine process of a state folder, and starts it again when it has died."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from bot.engines import local_wire
from bot.engines.local_wire import EXIT_TAKEN, Address, read_address
from bot.engines.trainer_command import PROGRAM_DIR
from bot.errors import EngineError

LOG_FILE = "engine.log"
START_TIMEOUT_S = 60.0
PING_TIMEOUT_S = 10.0
LOOK_INTERVAL_S = 0.05


class EngineProcess:
    """The engine process of a state folder. Safe to use from any thread."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._lock = threading.Lock()

    def ensure(self) -> Address:
        """The address of an engine that answers; one is started if none does.

        Raises:
            EngineError: it does not come up; with the last lines of its log.
        """
        with self._lock:
            return self._answering() or self._start()

    def _answering(self) -> Address | None:
        address = read_address(self._state_dir)
        if address is None:
            return None
        try:
            local_wire.ask(address, "ping", {}, PING_TIMEOUT_S)
        except OSError:
            return None
        return address

    def _start(self) -> Address:
        child = self._spawn()
        give_up = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up:
            if address := self._answering():
                return address
            code = _exit_code(child)
            if code == EXIT_TAKEN:  # another one: it comes up, or is about to end
                child = self._spawn()
            elif code is not None:
                raise self._failure("ended at once")
            time.sleep(LOOK_INTERVAL_S)
        raise self._failure(f"did not answer within {START_TIMEOUT_S:.0f} seconds")

    def _spawn(self) -> int:
        """Start an engine in a session of its own.

        NB: not by `subprocess`, which expects to see the end of whatever it starts.
        """
        state_dir = str(self._state_dir)
        command = [sys.executable, "-m", "bot.engines.local_server", "--state", state_dir]
        path = os.pathsep.join(filter(None, (str(PROGRAM_DIR), os.environ.get("PYTHONPATH"))))
        try:
            self._state_dir.mkdir(parents=True, exist_ok=True)
            return os.posix_spawn(
                sys.executable,
                command,
                {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
                setsid=True,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (
                        os.POSIX_SPAWN_OPEN,
                        1,
                        self._state_dir / LOG_FILE,
                        os.O_WRONLY | os.O_CREAT | os.O_APPEND,
                        0o600,
                    ),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
            )
        except OSError as error:
            raise EngineError(
                f"The engine of {self._state_dir} cannot be started: {error.strerror}."
            ) from error

    def _failure(self, what: str) -> EngineError:
        log = self._state_dir / LOG_FILE
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        said = lines[-1] if lines else "it said nothing."
        return EngineError(f"The engine of {self._state_dir} {what}: {said}", hint=f"See {log}.")


def has_gone(pid: int) -> bool:
    """Whether a process has ended; if it was our child, this lets the system forget it."""
    code = _exit_code(pid)
    if code is not None:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _exit_code(pid: int) -> int | None:
    """The exit code of a child that has ended; None while it runs, or if it is not our child."""
    try:
        done, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if done else None
