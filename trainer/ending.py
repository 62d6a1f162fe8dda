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
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

from trainer import peers
from trainer.errors import TrialError, is_disk_full, understand
from trainer.result import Recorder
from trainer.stop import GRACE_S, LAST_WORDS_S, Stop


def recorded(recorder: Recorder, work: Callable[[End], None]) -> int:
    """Does the work and writes how it went, also when it is stopped or fails unforeseen."""
    end = End(recorder)
    try:
        recorder.start()
    except OSError as error:
        return end.failed(_no_place(error, recorder.output_dir))
    signal.signal(signal.SIGTERM, end.stopped)
    sys.excepthook = end.unforeseen
    try:
        work(end)
    except TrialError as failure:
        code = end.failed(failure)
        if failure.reason == "Killed":
            _leave(code)
        return code
    return end.succeeded()


class End:
    """Ends the process once, by whoever comes first: the work, a signal or another process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self.stop = Stop()
        self._peers = peers.find()
        self._lock = threading.RLock()
        self._is_ending = False

    def watch(self) -> None:
        """From now on, another process' failure ends this one."""
        self._peers.watch(lambda failure: _leave(self.failed(failure)))

    def succeeded(self) -> int:
        """The work is done: writes the result; returns the exit code."""
        with self._lock:
            self._is_ending = True
        try:
            self._recorder.write(None)
        except OSError as error:
            return self.failed(understand(error))
        self._recorder.drop_checkpoints()
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
            self._write(failure)
            self._peers.wait_until_told()
        finally:
            if self._peers.world_size > 1:
                _leave(failure.exit_code)
        return failure.exit_code

    def _write(self, failure: TrialError) -> None:
        try:
            self._recorder.write(failure)
        except OSError as error:
            print(f"result.json cannot be written: {error}.", file=sys.__stderr__, flush=True)
        if failure.reason == "Diverged":
            self._recorder.drop_checkpoints()  # it would go the same way again

    def unforeseen(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        """For sys.excepthook."""
        failure = understand(error)
        is_traced = failure.reason in ("CodeError", "OutOfMemory")
        if is_traced and not peers.is_lost_connection(failure):
            traceback.print_exception(kind, error, trace, file=sys.__stderr__)
        _leave(self.failed(failure))

    def stopped(self, signum: int, frame: FrameType | None) -> None:
        """For SIGTERM: a training may end its step and write a checkpoint; a second one is final.

        NB: torchrun stops the others when a process is lost; their step would never end.
        """
        self._peers.hurry()
        if self._is_ending:
            return
        if self._peers.lost_one():
            _leave(self.failed(self._peers.silent()))
        if not self.stop.is_watched:
            _leave(self.failed(self._killed()))
        is_first = not self.stop.is_asked
        if not self.stop.ask():
            _leave(self.failed(self._killed()))
        if is_first:
            self._draft()
            _after(GRACE_S, lambda: _leave(self.failed(self._killed())))

    def _draft(self) -> None:
        # Who kills before the step is done finds what was measured.
        with suppress(OSError):
            self._recorder.write(self._killed(), is_final=False)

    def end_by(self, deadline_s: float, *, saves: bool) -> None:
        """Ends the process at its deadline, in case that the training has not done it before.

        What was evaluated counts then, too, unless its weights had to be saved (`saves`).
        """
        self.stop.deadline_s = deadline_s

        def overdue() -> None:
            with self._lock:
                if self._is_ending:
                    return
                if self._recorder.best is not None and not saves:
                    self._recorder.warn(f"The deadline of {deadline_s:g} s came in a step.")
                    _leave(self.succeeded())
                _leave(self.failed(_overdue(deadline_s, self._recorder.best is not None)))

        _after(self.stop.left_s() - LAST_WORDS_S / 2, overdue)

    def _killed(self) -> TrialError:
        return TrialError("Killed", self.stop.sentence())


def _overdue(deadline_s: float, is_evaluated: bool) -> TrialError:
    came = "before the best weights were saved" if is_evaluated else "before the first evaluation"
    return TrialError(
        "DeadlineExceeded",
        f"The deadline of {deadline_s:g} s came {came}; allow more time, or evaluate more often "
        "(eval_steps).",
    )


def _no_place(error: OSError, folder: Path) -> TrialError:
    if is_disk_full(error):
        return understand(error)
    return TrialError(
        "BadParameter",
        f"--output-dir {folder} cannot be written to: {error.strerror}; name another folder.",
    )


def _after(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(max(0.0, seconds), act)
    timer.daemon = True
    timer.start()


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
