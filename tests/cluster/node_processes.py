"""The processes behind a pod that really runs: their start, output, signals and exit codes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.objects import now
from tests.cluster.pod_environment import ConfigError, Places, Process
from tests.cluster.pod_logs import Log
from tests.cluster.sidecar import EARLY_STOPPED


@dataclass
class Program:
    """A container's process, the log it fills, and the end of its output."""

    process: subprocess.Popen[bytes]
    log: Log
    pump: threading.Thread


@dataclass
class Attempt:
    """One start of a pod's containers."""

    programs: dict[str, Program]
    places: Places
    began: str = field(default_factory=now)
    metrics: Path | None = None
    offset: int = 0
    lines: list[str] = field(default_factory=list)
    stopped: bool = False


def launch(made: Process, log: Log) -> Program:
    """Starts a process whose output fills `log`. Raises ConfigError if it cannot be started."""
    try:
        started = subprocess.Popen(
            made.command,
            env=made.variables,
            cwd=made.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise ConfigError(f"failed to start container: {error}") from error
    thread = threading.Thread(target=_pump, args=(started, log), daemon=True)
    thread.start()
    return Program(started, log, thread)


def stop_early(attempt: Attempt) -> None:
    """The marker first, then TERM to the one child of the wrapping shell."""
    for program in attempt.programs.values():
        shell = program.process.pid
        if attempt.metrics is not None:
            marker = attempt.metrics.parent / f"{shell}.pid"
            marker.write_text(f"{EARLY_STOPPED}\n")
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGTERM)


def _pump(process: subprocess.Popen[bytes], log: Log) -> None:
    assert process.stdout is not None
    with process.stdout as out:
        for line in out:
            log.append(line.decode("utf-8", "replace").rstrip("\n"))


def shown_code(code: int) -> int:
    """An exit code as containers report it: 128 and the signal's number for a killed one."""
    return 128 - code if code < 0 else code


def send(program: Program, number: int) -> None:
    """A signal to a program and all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program.process.pid, number)


def free_port(address: str) -> int:
    """A port that nobody has at an address now."""
    with socket.socket() as free:
        free.bind((address, 0))
        port: int = free.getsockname()[1]
        return port
