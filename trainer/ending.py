"""How a trial's process ends: its result, its last words and its exit code, whatever happens.

The last words are two lines on stderr, `reason: Diverged` for machines and `error: …` for people.
With several processes the first failure is the trial's: rank 0 tells it, and all end with its exit
code.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NoReturn

from trainer import peers
from trainer.errors import TrialError, understand
from trainer.result import Recorder


def recorded(recorder: Recorder, work: Callable[[End], None]) -> int:
    """Does the work and writes how it went, also when it is stopped or fails unforeseen."""
    end = End(recorder)
    try:
        recorder.start()
    except OSError as error:
        return end.failed(TrialError("BadParameter", f"--output-dir cannot be made: {error}."))
    signal.signal(signal.SIGTERM, end.stopped)
    sys.excepthook = end.unforeseen
    try:
        work(end)
    except TrialError as failure:
        return end.failed(failure)
    recorder.write(None)
    return end.succeeded()


class End:
    """Ends the process once, by whoever comes first: the work, a signal or another process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._peers = peers.find()
        self._lock = threading.RLock()
        self._is_ending = False

    def watch(self) -> None:
        """From now on, another process' failure ends this one."""
        self._peers.watch(lambda failure: _leave(self.failed(failure)))

    def succeeded(self) -> int:
        """The work is done; returns the exit code."""
        if not self._peers.unwatch():
            _leave(0)
        return 0

    def failed(self, failure: TrialError) -> int:
        """Tells the trial's failure, which may be another process'; returns its exit code."""
        self._lock.acquire()  # for good: no second thread may tell another end
        self._is_ending = True
        failure = self._peers.agree(failure)
        try:
            if self._peers.speaks:
                complain(failure)
            self._recorder.write(failure)
            self._peers.wait_until_told()
        finally:
            if self._peers.world_size > 1:
                _leave(failure.exit_code)
        return failure.exit_code

    def unforeseen(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """For sys.excepthook."""
        failure = understand(error)
        if not peers.is_lost_connection(failure):
            traceback.print_exception(kind, error, trace, file=sys.__stderr__)
        _leave(self.failed(failure))

    def stopped(self, signum: int, frame: FrameType | None) -> None:
        """For SIGTERM."""
        self._peers.hurry()
        if self._is_ending:
            return
        failure = TrialError("Killed", "The trial was stopped by SIGTERM before it finished.")
        _leave(self.failed(peers.silent() if self._peers.lost_one() else failure))


def complain(failure: TrialError) -> int:
    """Prints the last words; returns the exit code."""
    sys.stdout.flush()
    # NB: torch.distributed swallows what is written to sys.stderr while sys.excepthook runs.
    words = f"reason: {failure.reason}\nerror: {failure.message}"
    print(words, file=sys.__stderr__, flush=True)
    return failure.exit_code


def _leave(code: int) -> NoReturn:
    """Ends at once: no exit handler of a library may delay a stop or change the exit code."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
