"""The logs of containers, and the part of a kubelet's API that the API server reads them by."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from tests.cluster.https import Query, Request

Place = tuple[str, str, str]  # namespace, pod, container


class Log:
    """The lines of one container, until it is closed."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.closed = False
        self.changed = threading.Condition()

    def append(self, text: str) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self.changed:
            self.lines.append((moment, text))
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def after(self, number: int, timeout_s: float = 0.0) -> tuple[list[tuple[str, str]], bool]:
        """The lines from a number on, after a wait if there is none; and whether it is closed."""
        with self.changed:
            if len(self.lines) <= number and not self.closed and timeout_s:
                self.changed.wait(timeout_s)
            return self.lines[number:], self.closed


class Logs:
    """All logs of a node. `why_waiting` explains a container that has not started."""

    def __init__(self, why_waiting: Callable[[Place], str]) -> None:
        self._now: dict[Place, Log] = {}
        self._before: dict[Place, Log] = {}
        self._why_waiting = why_waiting
        self._lock = threading.Lock()

    def begin(self, place: Place) -> Log:
        """A new log; what was there becomes the previous one."""
        with self._lock:
            if old := self._now.get(place):
                old.close()
                self._before[place] = old
            self._now[place] = Log()
            return self._now[place]

    def current(self, place: Place) -> Log:
        """The log that `begin` made."""
        with self._lock:
            return self._now[place]

    def text(self, place: Place, *, previous: bool = False) -> str:
        """What a container has printed, "" if it has not started: for tests, without a request."""
        log = self._find(place, previous=previous)
        return "".join(f"{text}\n" for _, text in log.lines) if log else ""

    def forget(self, namespace: str, pod: str) -> None:
        """The pod is gone, and its logs with it."""
        with self._lock:
            for logs in (self._now, self._before):
                for place in [one for one in logs if one[:2] == (namespace, pod)]:
                    logs.pop(place).close()

    def close_all(self) -> None:
        with self._lock:
            for log in self._now.values():
                log.close()

    def serve(self, request: Request, path: str, query: Query) -> None:
        """GET /containerLogs/<namespace>/<pod>/<container>, as the API server asks a kubelet."""
        namespace, pod, container = path.strip("/").split("/")
        place = (namespace, pod, container)
        previous = query.get("previous") == ["true"]
        log = self._find(place, previous=previous)
        if log is None:
            request.reply(400, _status(self._missing(place, previous)))
            return
        number = 0
        if tail := query.get("tailLines"):
            number = max(len(log.lines) - int(tail[0]), 0)
        timestamps = query.get("timestamps") == ["true"]
        request.begin_chunks()
        closed = False
        while not closed:
            fresh, closed = log.after(number, 0.5 if query.get("follow") == ["true"] else 0.0)
            number += len(fresh)
            data = "".join(f"{at} {text}\n" if timestamps else f"{text}\n" for at, text in fresh)
            if data:
                request.send_chunk(data.encode())
            if query.get("follow") != ["true"]:
                break
        request.send_chunk(b"")

    def _find(self, place: Place, *, previous: bool) -> Log | None:
        with self._lock:
            return (self._before if previous else self._now).get(place)

    def _missing(self, place: Place, previous: bool) -> str:
        _, pod, container = place
        if previous:
            return f'previous terminated container "{container}" in pod "{pod}" not found'
        why = self._why_waiting(place)
        return f'container "{container}" in pod "{pod}" is waiting to start: {why}'


def _status(message: str) -> bytes:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "BadRequest"}
    return json.dumps({**body, "message": message, "code": 400}).encode()
