"""What the processes of one trial tell each other when one of them fails.

torchrun ends the others as soon as one process has ended badly, and itself always with exit code 1.
So who fails first says why, in the store that torchrun keeps for all processes, and waits until
rank 0, whose words and result are the trial's, has told it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from trainer import machine
from trainer.errors import TrialError

SAID, TOLD = "katib-tune/failure", "katib-tune/told"
LOOK_S = 0.2
CONNECT_S = 5.0
# Rank 0 may still be importing when another process fails.
TOLD_WITHIN_S = 60.0
# How long the reason for a lost connection may take to arrive.
REASON_WITHIN_S = 5.0
# ImportError: stopped in the middle of importing torch.
_STORE_ERRORS = (RuntimeError, OSError, ImportError)
_LOST = ("gloo/transport", "Connection closed by peer", "Connection reset by peer", "NCCL error")


class Alone:
    """The peers of a trial that is one process."""

    world_size = 1
    speaks = True  # one process of each pod has the last word in its log

    def __init__(self) -> None:
        self._kills_before = machine.oom_kills()

    def watch(self, act: Callable[[TrialError], None]) -> None:
        """Has `act` called, in another thread, once another process has failed."""

    def unwatch(self) -> bool:
        """The work is done: ends the watching. False if it does not end in time."""
        return True

    def agree(self, failure: TrialError) -> TrialError:
        """The failure of the trial: `failure`, unless another process failed before."""
        return failure

    def wait_until_told(self) -> None:
        """Gives every process the time to hear of the failure, and rank 0 to tell it."""

    def hurry(self) -> None:
        """Ends the waiting: somebody wants this process to end."""

    def lost_one(self) -> bool:
        """Whether a process that torchrun started beside this one has ended already."""
        return False

    def silent(self) -> TrialError:
        """What is known of a process that has ended without a word."""
        return silent(self._kills_before)


class Peers(Alone):
    """The processes of a trial under torchrun, which meet in its store."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.world_size = int(environment["WORLD_SIZE"])
        self.speaks = environment["LOCAL_RANK"] == "0"
        self._rank = int(environment["RANK"])
        self._siblings = int(environment["LOCAL_WORLD_SIZE"])
        self._host = environment["MASTER_ADDR"]
        self._port = int(environment["MASTER_PORT"])
        self._hurry = threading.Event()
        self._done = threading.Event()
        self._watcher: threading.Thread | None = None

    def watch(self, act: Callable[[TrialError], None]) -> None:
        self._watcher = threading.Thread(target=self._watch, args=(act,), name="peers", daemon=True)
        self._watcher.start()

    def unwatch(self) -> bool:
        # NB: a daemon thread inside torch while Python shuts down aborts the whole process.
        self._done.set()
        if self._watcher is not None:
            self._watcher.join(CONNECT_S)
        return self._watcher is None or not self._watcher.is_alive()

    def agree(self, failure: TrialError) -> TrialError:
        try:
            store = self._store()
            if is_lost_connection(failure):
                failure = self._reason(store) or self.silent()
            said = store.compare_set(SAID, "", _text(failure))
        except _STORE_ERRORS:  # the Master is gone, and the store with it
            return failure
        return _failure(said)

    def wait_until_told(self) -> None:
        try:
            store = self._store()
            if self._rank == 0:
                store.set(TOLD, "yes")
                self._hurry.wait(2 * LOOK_S)
            else:
                self._until(lambda: store.check([TOLD]), TOLD_WITHIN_S)
        except _STORE_ERRORS:
            return

    def hurry(self) -> None:
        self._hurry.set()

    def lost_one(self) -> bool:
        parent = os.getppid()
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            stats = [Path(f"/proc/{child}/stat").read_text() for child in children]
        except OSError:
            return False
        return sum(stat.rpartition(")")[2][1] != "Z" for stat in stats) < self._siblings

    def _watch(self, act: Callable[[TrialError], None]) -> None:
        try:
            store = self._store()
            while not store.check([SAID]):
                if self._done.wait(LOOK_S):
                    return
            said = store.get(SAID)
        except _STORE_ERRORS:  # the Master is gone: the training will notice
            return
        act(_failure(said))

    def _reason(self, store: Any) -> TrialError | None:
        if self._until(lambda: store.check([SAID]), REASON_WITHIN_S):
            return _failure(store.get(SAID))
        return None

    def _until(self, holds: Callable[[], bool], within_s: float) -> bool:
        end = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > end or self._hurry.wait(LOOK_S):
                return False
        return True

    def _store(self) -> Any:
        """A connection of its own: one that waits would block the training's."""
        from torch.distributed import TCPStore

        timeout = timedelta(seconds=CONNECT_S)
        return TCPStore(self._host, self._port, None, False, timeout, wait_for_workers=False)


def find(environment: Mapping[str, str] = os.environ) -> Alone:
    """This process' peers: those that torchrun has started with it."""
    started = "TORCHELASTIC_RUN_ID" in environment
    if not started or int(environment.get("WORLD_SIZE", "1")) == 1:
        return Alone()
    return Peers(environment)


def is_lost_connection(failure: TrialError) -> bool:
    """Whether it says no more than that another process is not there any longer."""
    return failure.reason == "CodeError" and any(text in failure.message for text in _LOST)


def silent(kills_before: int, cgroup: Path = machine.CGROUP) -> TrialError:
    """What is known of a process that said nothing.

    Args:
        kills_before: `machine.oom_kills` when the trial began.
    """
    if machine.oom_kills(cgroup) > kills_before:
        return TrialError(
            "OutOfMemory",
            f"The container's memory ({machine.memory_limit() / 1e6:,.0f} MB) ran out and the "
            "kernel killed a process of the trial; try a smaller per_device_train_batch_size with "
            "more accumulation, or ask for more memory.",
        )
    return TrialError(
        "CodeError",
        "A process of the trial ended without a word: killed, most often because the memory ran "
        "out. Try a smaller per_device_train_batch_size or max length, or ask for more memory.",
    )


def _text(failure: TrialError) -> str:
    return json.dumps([failure.reason, failure.message])


def _failure(text: bytes) -> TrialError:
    reason, message = json.loads(text)
    return TrialError(reason, message)
