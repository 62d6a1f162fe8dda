"""Start, watch and stop trial processes, each in a session and a folder of its own.

A trial is begun by its command, or forked by a host of its Experiment, if there is one.

A trial outlives the engine. Whether it lives is told by a lock (flock) on a file in its folder,
which it inherits: no process id is guessed, and the lock is gone exactly when the trial is.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from bot.engines.local_host import Host

LOCK_FILE, PID_FILE, LOG_FILE = "lock", "pid", "trial.log"
KILL_AFTER_S = 3.0
LOOK_S = 0.05
NO_HOST = "The process that begins the trials has ended; this one has a process of its own.\n"
# NB: what a user typed comes only as "$@": the shell never reads it. A trial that cannot write down
# its process id does not begin, so one without a PID_FILE has never begun.
WRAPPER = ("/bin/sh", "-c", 'echo $$ > "$0" && exec "$@"')


class TrialProcess:
    """A running trial. Made by `start` or `adopt`; `on_end` is called in a thread of its own.

    `exit_code` is None while it runs, and for ever if it was adopted. `disk_was_full` is how it was
    when the trial ended: a trial on a full disk cannot leave a word about it.
    """

    def __init__(
        self,
        folder: Path,
        wait: Callable[[], int | None],
        on_end: Callable[[], None],
    ) -> None:
        self.folder = folder
        self.exit_code: int | None = None
        self.disk_was_full = False
        self._oom_kills_before = oom_kills()
        self._ended = threading.Event()
        self._stopping = False
        self._wait = wait
        self._on_end = on_end
        threading.Thread(target=self._watch, name=f"watch {folder.name}", daemon=True).start()

    def _watch(self) -> None:
        self.exit_code = self._wait()
        self.disk_was_full = os.statvfs(self.folder).f_bavail == 0
        self._signal(signal.SIGKILL)  # whatever it left running in its session
        self._ended.set()
        self._on_end()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    @property
    def memory_ran_out(self) -> bool:
        return oom_kills() > self._oom_kills_before

    def stop(self, kill_after_s: float = KILL_AFTER_S) -> None:
        """SIGTERM now, SIGKILL after `kill_after_s`; safe to repeat, returns at once."""
        if not self._stopping:
            self._stopping = True
            stop = threading.Thread(target=self._stop, args=(kill_after_s,), name="stop")
            stop.daemon = True
            stop.start()

    def wait(self, timeout_s: float) -> bool:
        """Whether it has ended within `timeout_s`."""
        return self._ended.wait(timeout_s)

    def _stop(self, kill_after_s: float) -> None:
        while read_pid(self.folder) is None:  # it is about to begin
            if self._ended.wait(LOOK_S):
                return
        self._signal(signal.SIGTERM)
        if not self._ended.wait(kill_after_s):
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        pid = read_pid(self.folder)
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    on_end: Callable[[], None],
    host: Host | None = None,
) -> TrialProcess:
    """Start `command` in `folder`'s name; its output goes to LOG_FILE.

    Args:
        host: forks the trial, whose command is one of the trial program.

    Raises:
        OSError: the folder cannot be written, or no process can be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PID_FILE).unlink(missing_ok=True)
    if host and _fork(host, command, environment, folder):
        return TrialProcess(
            folder, partial(_wait_for_child, host, command, environment, folder), on_end
        )
    return TrialProcess(folder, _begin(command, environment, folder).wait, on_end)


def _begin(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, first_line: str = ""
) -> subprocess.Popen[bytes]:
    lock = _taken(folder)
    try:
        with (folder / LOG_FILE).open("wb") as log:
            log.write(first_line.encode())
            log.flush()
            return subprocess.Popen(
                [*WRAPPER, str(folder / PID_FILE), *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )
    finally:
        os.close(lock)


def _fork(host: Host, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> bool:
    lock = _taken(folder)
    try:
        with (folder / LOG_FILE).open("wb") as log:
            return host.fork(command[3:], environment, folder / PID_FILE, [lock, log.fileno()])
    finally:
        os.close(lock)


def _wait_for_child(
    host: Host, command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> int | None:
    """The exit code of a trial that a host was to fork; None if it cannot be known."""
    _wait_for_lock(folder)
    if has_begun(folder):
        return host.exit_code(folder / PID_FILE)
    with suppress(OSError):
        return _begin(command, environment, folder, NO_HOST).wait()
    return None


def adopt(folder: Path, on_end: Callable[[], None]) -> TrialProcess | None:
    """The trial that runs in `folder`, started by an engine that is gone; None if none runs."""
    if not (folder / LOCK_FILE).exists():
        return None
    lock = _locked(folder)
    if lock is not None:
        os.close(lock)
        return None
    return TrialProcess(folder, lambda: _wait_for_lock(folder), on_end)


def has_begun(folder: Path) -> bool:
    """Whether a process has ever begun in `folder`."""
    return read_pid(folder) is not None


def forget(folder: Path) -> None:
    """As if no process had ever begun in `folder`."""
    (folder / PID_FILE).unlink(missing_ok=True)


def read_pid(folder: Path) -> int | None:
    """The process (and session) id of the trial in `folder`, running or not."""
    try:
        return int((folder / PID_FILE).read_text())
    except (OSError, ValueError):
        return None


def oom_kills() -> int:
    """How often the kernel has killed for want of memory: here if it says so, else in all."""
    for path in ("/sys/fs/cgroup/memory.events", "/proc/vmstat"):
        with suppress(OSError):
            for line in Path(path).read_text().splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
    return 0


def read(path: Path) -> str | None:
    """The text of a file, None if there is none; bytes that are no text are replaced."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def tail(path: Path, limit: int = 65536) -> str:
    """The last `limit` bytes of a file as text; "" if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def last_lines(path: Path, count: int = 100) -> str:
    """The last lines of a log."""
    return "\n".join(tail(path).splitlines()[-count:])


def _locked(folder: Path) -> int | None:
    """A file descriptor that holds the folder's lock; None if somebody else does."""
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _taken(folder: Path) -> int:
    """As `_locked`; BlockingIOError if somebody else has it."""
    lock = _locked(folder)
    if lock is None:
        raise BlockingIOError(f"{folder} is in use by a trial that runs.")
    return lock


def _wait_for_lock(folder: Path) -> None:
    lock = os.open(folder / LOCK_FILE, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)
