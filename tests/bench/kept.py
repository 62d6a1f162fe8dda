"""Results of long benches, one JSON line each, so that a bench that was stopped goes on there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Found = dict[str, Any]


class Kept:
    """The results in a file, each under what it is the result of. Threads may share it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith("}")]
        self._found = {_text(each["of"]): each["found"] for each in whole}

    def get(self, of: Mapping[str, object], measure: Callable[[], Found]) -> Found:
        """What `measure` gives, measured now only if it is not in the file."""
        if _text(of) not in self._found:
            found = measure()
            with self._lock, self._file.open("a", encoding="utf-8") as target:
                target.write(json.dumps({"of": of, "found": found}) + "\n")
                self._found[_text(of)] = found
            print(f"{_text(of)} {json.dumps(found)}", flush=True)
        return self._found[_text(of)]


def _text(of: Mapping[str, object]) -> str:
    return json.dumps(of, sort_keys=True)
