"""The process that forks the trials of an Experiment (`trainer.host`), as the engine sees it.

Whatever becomes of it, trials that have begun go on, and one that it was given and that has not
begun is begun in a process of its own, by `local_process`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

MESSAGE_LIMIT = 1 << 16  # bytes
CODE_WITHIN_S = 2.0
HOST_LOG = "host.log"


class Host:
    """Forks trials of one Experiment.

    Attributes:
        is_gone: it has ended.

    Args:
        flags: those of the trial program, of one of the trials.
        environment: the whole one.
        folder: where its log goes.

    Raises:
        OSError: no process can be made.
    """

    def __init__(self, flags: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._said = threading.Condition()
        self._codes: dict[str, int] = {}
        self.is_gone = False
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder.mkdir(parents=True, exist_ok=True)
        with theirs, (folder / HOST_LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trainer", "host", str(theirs.fileno()), *flags],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
        threading.Thread(target=self._listen, name="host", daemon=True).start()

    def fork(
        self, flags: Sequence[str], environment: Mapping[str, str], pid_file: Path, files: list[int]
    ) -> bool:
        """Has a trial begun, with its lock and its log as `files`; False if that cannot be."""
        wanted = {
            "pid_file": str(pid_file),
            "flags": list(flags),
            "environment": dict(environment),
        }
        try:
            # NB: one that is still loading takes only so many; it must not hold up the engine.
            message = [json.dumps(wanted).encode()]
            socket.send_fds(self._socket, message, files, socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def exit_code(self, pid_file: Path) -> int | None:
        """Of a trial that has ended; None if it cannot be known."""
        trial = str(pid_file)
        with self._said:
            self._said.wait_for(lambda: trial in self._codes or self.is_gone, CODE_WITHIN_S)
            return self._codes.pop(trial, None)

    def close(self) -> None:
        """Ends it, also while it loads; its trials go on."""
        self._process.kill()

    def _listen(self) -> None:
        with suppress(OSError):
            while said := self._socket.recv(MESSAGE_LIMIT):
                ended = json.loads(said)
                with self._said:
                    self._codes[ended["pid_file"]] = ended["exit_code"]
                    self._said.notify_all()
        with self._said:
            self.is_gone = True
            self._said.notify_all()
        self._process.wait()
        self._socket.close()


def can_be() -> bool:
    """Whether this machine's processes can be forked after they have computed."""
    return sys.platform == "linux" and hasattr(os, "fork")
