"""The local engine's process: `python -m bot.engines.local_server --state DIR`.

One per state folder. It ends on SIGTERM or Ctrl-C and leaves its trials running; the next one takes
them up.
"""

from __future__ import annotations

import argparse
import fcntl
import hmac
import json
import logging
import os
import secrets
import signal
import socketserver
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.engines import local_hardware
from bot.engines.local_wire import (
    ADDRESS_FILE,
    EXIT_TAKEN,
    Address,
    error_answer,
    result_answer,
    write_address,
)
from bot.errors import EngineError, TuneError

if TYPE_CHECKING:
    from bot.engines.local_machine import Machine

LOCK_FILE = "engine.lock"
EXIT_BROKEN = 4
REQUEST_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 60.0
log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot.engines.local_server")
    parser.add_argument("--state", type=Path, required=True, metavar="DIR")
    state_dir: Path = parser.parse_args(argv).state.resolve()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        lock = _take(state_dir)
    except OSError as error:
        return _complain(f"{state_dir} cannot be used: {error.strerror}.", EXIT_BROKEN)
    if lock is None:
        pid = _holder(state_dir)
        return _complain(f"Another engine (pid {pid}) already works on {state_dir}.", EXIT_TAKEN)
    # NB: imports Optuna, a second or so: an engine that is not wanted ends before.
    try:
        from bot.engines.local_machine import Machine
    except ModuleNotFoundError as error:
        sentence = f"The package {error.name} is not installed: pip install 'katib-tune[local]'."
        return _complain(sentence, EXIT_BROKEN)
    try:
        machine = Machine(
            state_dir, local_hardware.cores(), local_hardware.gpus(), lambda: datetime.now(UTC)
        )
    except EngineError as error:
        return _complain(str(error), EXIT_BROKEN)
    _serve(machine, state_dir)
    os.close(lock)
    return 0


def _complain(sentence: str, code: int) -> int:
    sys.stderr.write(sentence + "\n")
    return code


def _take(state_dir: Path) -> int | None:
    """Hold the state folder's lock, with our process id in it; None if another engine does."""
    state_dir.mkdir(parents=True, exist_ok=True)
    lock = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _holder(state_dir: Path) -> str:
    return (state_dir / LOCK_FILE).read_text() or "?"


def _serve(machine: Machine, state_dir: Path) -> None:
    """Answer and work until the machine ends."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: machine.end())
    key = secrets.token_hex(32)
    with _Server(machine, key) as server:
        threading.Thread(target=server.serve_forever, name="requests", daemon=True).start()
        port = server.server_address[1]
        write_address(state_dir, Address(pid=os.getpid(), port=port, key=key))
        machine.run()
        (state_dir / ADDRESS_FILE).unlink(missing_ok=True)


class _Server(socketserver.ThreadingTCPServer):
    # An answer that is being written when the engine ends is still written.
    daemon_threads, block_on_close = False, True

    def __init__(self, machine: Machine, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.machine = machine
        self.key = key


class _Request(socketserver.StreamRequestHandler):
    """One request: a line of JSON in, a line of JSON out. Without the key there is no answer."""

    server: _Server
    timeout = REQUEST_TIMEOUT_S

    def handle(self) -> None:
        try:
            request = json.loads(self.rfile.readline())
            key, verb, arguments = request["key"], request["verb"], request["arguments"]
        except (ValueError, KeyError, TypeError, OSError):
            return
        if not hmac.compare_digest(str(key).encode(), self.server.key.encode()):
            return
        answer = json.dumps(self._answer(str(verb), arguments))
        self.wfile.write(answer.encode() + b"\n")

    def _answer(self, verb: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            future = self.server.machine.call(verb, arguments)
            return result_answer(future.result(ANSWER_TIMEOUT_S))
        except TuneError as error:
            return error_answer(error)
        except TimeoutError:
            return error_answer(EngineError(f"The engine is busy: `{verb}` takes too long."))


if __name__ == "__main__":
    sys.exit(main())
