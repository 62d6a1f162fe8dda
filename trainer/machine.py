"""What memory this machine, or the container that we are in, has; read from the kernel's files."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60


def memory_limit(root: Path = CGROUP) -> int:
    """Bytes that this process may have: the container's limit, or the host's memory."""
    host = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(host, _limit(root))


def memory_free(root: Path = CGROUP) -> int:
    """Bytes that can still be had: of the container's limit, and of the host's memory."""
    used = _number(root / "memory.current") or _number(root / "memory/memory.usage_in_bytes")
    cache = _line(root / "memory.stat", "inactive_file") or 0
    return min(_available(), _limit(root) - max(0, (used or 0) - cache))


def resident() -> int:
    """Bytes of memory that this process has now; 0 where the kernel does not say."""
    kilobytes = _line(Path("/proc/self/status"), "VmRSS:")
    return (kilobytes or 0) * 1024


def oom_kills(root: Path = CGROUP) -> int:
    """How many processes the kernel has killed in this container for want of memory."""
    return _line(root / "memory.events", "oom_kill") or 0


def _limit(root: Path) -> int:
    found = _number(root / "memory.max") or _number(root / "memory/memory.limit_in_bytes")
    return min(found or UNLIMITED, UNLIMITED)


def _available() -> int:
    kilobytes = _line(Path("/proc/meminfo"), "MemAvailable:")
    if kilobytes is None:  # not Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return kilobytes * 1024


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None


def _line(file: Path, name: str) -> int | None:
    """The number behind `name` at the beginning of a line."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), None)
