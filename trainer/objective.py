"""A trial of the user's own Python function, in the style of Katib's getting-started example.

The function takes one dict of parameters. Its objective is what it prints as `name=value`, or the
number or the dict of numbers that it returns; what it returns is printed as a metric line.
"""

from __future__ import annotations

import base64
import importlib.util
import io
import json
import re
import sys
import zlib
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from trainer.errors import TrialError, nearest, one_line
from trainer.result import Recorder, write_atomically

# Katib's default filter, but with a value that is not empty, so that `loss=nan` is seen.
_PAIR = re.compile(
    r"([\w|-]+)\s*=\s*([+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[Ee][+-]?\d+)?|[+-]?(?:nan|inf)\b)", re.I
)

Objective = Callable[[dict[str, Any]], object]


def run(
    file: Path, name: str, parameters: Mapping[str, object], metric: str, recorder: Recorder
) -> None:
    """Calls the function with the parameters, collects its metrics; none is a CodeError."""
    values = {key: plain(value) for key, value in parameters.items()}
    recorder.facts["parameters"] = values
    with recorder.phase("import"):
        function = find(file, name)
    # One process of several speaks: Katib would read the others' metrics as well.
    printed = Printed(sys.stdout if recorder.speaks else io.StringIO(), recorder)
    with recorder.phase("train"), redirect_stdout(printed):
        returned = _call(function, name, values)
    printed.flush_line()
    if found := _metrics(returned, metric, name):
        recorder.record(0, printed.points, found)
    if recorder.speaks and metric not in recorder.summary():
        raise TrialError(
            "CodeError",
            f"{name}() neither printed {metric}=<number> nor returned a number or a dict with it.",
        )


def unpacked(source: str, folder: Path) -> Path:
    """The file that a `--source` says, written into the folder."""
    try:
        content = zlib.decompress(base64.urlsafe_b64decode(source))
    except (ValueError, zlib.error) as error:
        raise TrialError("BadParameter", "--source is not zlib in URL-safe base64.") from error
    file = folder / "objective.py"
    write_atomically(file, content.decode())
    return file


def plain(value: object) -> object:
    """Text as what it reads as: int, float, JSON list, else text."""
    if not isinstance(value, str):
        return value
    for read in (int, float):
        try:
            return read(value)
        except ValueError:
            continue
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def find(file: Path, name: str) -> Objective:
    """The function of that name in the file, which is imported as itself."""
    if not file.is_file():
        raise TrialError("BadParameter", f"There is no file {file}.")
    module = _imported(file)
    function: Objective | None = getattr(module, name, None)
    if not callable(function):
        there = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise TrialError(
            "BadParameter",
            f"{file.name} has no function {name!r}; it has {', '.join(there) or 'none'}."
            f"{nearest(name, there)}",
        )
    return function


def _imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise TrialError("BadParameter", f"{file} is not a Python file (.py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    sys.path.insert(0, str(file.resolve().parent))
    spec.loader.exec_module(module)
    return module


def _call(function: Objective, name: str, values: dict[str, Any]) -> object:
    try:
        return function(dict(values))
    except SystemExit as stop:
        if stop.code in (None, 0):
            return None
        raise TrialError("CodeError", f"{name}() ended the program: exit({stop.code!r}).") from stop


def _metrics(returned: object, metric: str, name: str) -> dict[str, float]:
    """What the function returned, by metric name."""
    if returned is None:
        return {}
    given: Mapping[Any, Any] = returned if isinstance(returned, Mapping) else {metric: returned}
    try:
        return {str(key): float(value) for key, value in given.items()}
    except (TypeError, ValueError) as error:
        raise TrialError(
            "CodeError",
            f"{name}() must return a number, a dict of numbers or nothing, received "
            f"{one_line(repr(returned), 80)}.",
        ) from error


class Printed:
    """Standard output that is passed on as it is and read for `name=value` on the way."""

    def __init__(self, out: TextIO, recorder: Recorder) -> None:
        self.points = 0
        self._out = out
        self._recorder = recorder
        self._line = ""

    def write(self, text: str) -> int:
        written = self._out.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            self._read(line)
        return written

    def flush(self) -> None:
        self._out.flush()

    def flush_line(self) -> None:
        """Reads a last line that has no end."""
        if self._line:
            self._out.write("\n")
            self._read(self._line)
        self.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._out, name)

    def _read(self, line: str) -> None:
        found = {name: float(value) for name, value in _PAIR.findall(line)}
        if found:
            self.points += 1
            self._recorder.record(0, self.points, found, tell=False)
            self.flush()
