"""What a running trial has printed so far, read from the end of its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bot.engines.local_status import Live
from bot.engines.trainer_command import MetricLine, Progress, read_line
from bot.status import Observation

READ_LIMIT = 1 << 20  # bytes at a time; of a log that grows faster the middle is left out


class LogTail:
    """Remembers how far it has read.

    A line without a time counts only for the metrics in `names`: anybody prints `x=1`. Of the first
    of them `first_values` are the first `keep` values.
    """

    def __init__(self, path: Path, names: Sequence[str], keep: int = 0) -> None:
        self.first_values: list[float] = []
        self._path = path
        self._names = names
        self._keep = keep
        self._offset = 0
        self._rest = b""
        self._live = Live()

    def read(self) -> Live:
        """Everything up to now; a log that cannot be read adds nothing."""
        for _ in range(2):  # of a long log the beginning, then the end
            *lines, self._rest = (self._rest + self._new_bytes()).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace"))
        return self._live

    def _new_bytes(self) -> bytes:
        try:
            with self._path.open("rb") as log:
                size = log.seek(0, 2)
                if self._offset and size - self._offset > READ_LIMIT:
                    self._offset, self._rest = size - READ_LIMIT, b""
                log.seek(self._offset)
                data = log.read(READ_LIMIT)
        except OSError:
            return b""
        self._offset += len(data)
        return data

    def _take(self, line: str) -> None:
        said = read_line(line)
        if isinstance(said, Progress):
            self._live = self._live.model_copy(update={"progress": said.part})
        elif isinstance(said, MetricLine):
            seen = dict(self._live.observation)
            for name, value in said.metrics.items():
                if said.time or name in self._names:
                    seen[name] = _widened(seen.get(name), value)
                    if name == self._names[0] and len(self.first_values) < self._keep:
                        self.first_values.append(value)
            self._live = self._live.model_copy(update={"observation": seen})


def _widened(seen: Observation | None, value: float) -> Observation:
    if seen is None:
        return Observation(min=value, max=value, latest=value)
    return Observation(min=min(seen.min, value), max=max(seen.max, value), latest=value)
