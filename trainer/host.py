"""A host: a process that loads once what the trials of an Experiment share, and forks each of them.

A trial that is forked begins in a twentieth of the time, shares the memory of what was loaded, and
has the same numbers as one in a process of its own. The host is told what to do through a socket,
one message (JSON) for each trial, and ends with it; its trials do not.

    to the host:    {"pid_file": "…", "flags": […], "environment": {…}}
                    and two open files: the lock that the trial holds, and its log
    from the host:  {"pid_file": "…", "exit_code": 0}

NB: a child of a process in which several threads have computed hangs at its first product, so here
one thread computes; and one that has used a GPU cannot share it with its children.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from trainer.config import TrialConfig
from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder

if TYPE_CHECKING:
    from trainer.loading import Base

MESSAGE_LIMIT = 1 << 20  # bytes
RunTrial = Callable[[Sequence[str], "Base | None"], int]


def load(asked: TrialConfig) -> Base | None:
    """What trials like this one share; None where a trial must load by itself, and where it cannot:
    it will say why."""
    import torch

    torch.set_num_threads(1)
    from trainer import arguments, loading

    if asked.streaming or asked.quantization:
        return None
    nowhere = Path(os.devnull)
    silent = Recorder(
        nowhere, asked.objective_metric, asked.objective_type, Reporter(lambda _: None)
    )
    with suppress(TrialError, OSError, RuntimeError, ValueError, MemoryError):
        seed = arguments.training_arguments(asked, nowhere, silent).seed
        base = loading.Base.of(asked, seed, silent)
        _warm_up()
        gc.collect()
        gc.freeze()
        return base
    return None


def _warm_up() -> None:
    """Do once what a process does at its first trial, whatever its hyperparameters."""
    from peft import LoraConfig, get_peft_model
    from torch import nn

    from trainer import precision, provenance

    precision.choose_matmul_precision()
    provenance.versions()
    get_peft_model(nn.Sequential(nn.Linear(1, 1)), LoraConfig(target_modules=["0"]))


class Host:
    """Forks trials, and tells how they end."""

    def __init__(self, engine: socket.socket, base: Base | None, run_trial: RunTrial) -> None:
        self._engine = engine
        self._base = base
        self._run_trial = run_trial
        self._trials: dict[int, str] = {}  # its file by process id
        self._woken, self._wake = os.pipe()

    def serve(self) -> None:
        """Until the other end of the socket is closed."""
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._engine, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._woken in ready:
                    os.read(self._woken, 4096)
                    self._reap()
                if self._engine in ready and not self._begin():
                    return

    def _begin(self) -> bool:
        """Begins a trial; False if there will be no more."""
        data, files, _, _ = socket.recv_fds(self._engine, MESSAGE_LIMIT, 2)
        if not data:
            return False
        wanted = json.loads(data)
        child = os.fork()
        if child == 0:
            self._become(wanted, *files)
        for file in files:
            os.close(file)
        self._trials[child] = wanted["pid_file"]
        return True

    def _reap(self) -> None:
        while self._trials:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            said = {"pid_file": self._trials.pop(child), "exit_code": code}
            with suppress(OSError):  # nobody listens any more
                self._engine.send(json.dumps(said).encode())

    def _become(self, wanted: Mapping[str, Any], lock: int, log: int) -> NoReturn:
        """In the child: be the trial, in a session of its own, as if started by its command."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._engine.close()
            os.close(self._woken)
            os.close(self._wake)
            os.setsid()
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.close(log)
            os.set_inheritable(lock, True)  # whoever the trial starts belongs to it
            os.environ.clear()
            os.environ.update(wanted["environment"])
            Path(wanted["pid_file"]).write_text(str(os.getpid()))
            code = self._run_trial(wanted["flags"], self._base)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 it is told as at the end of a process
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        finally:
            with suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
