"""Writes events in the background, as event recorders do: no reconciler waits for one."""

from __future__ import annotations

import queue
import threading

import urllib3

from tests.cluster.api import Api, ApiError
from tests.cluster.objects import record_event
from tests.cluster.resources import Json, Resource

NORMAL, WARNING = "Normal", "Warning"
Entry = tuple[Json, Resource, str, str, str, str]


class Recorder:
    """One thread that writes what `record` is given, in order."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._entries.put(None)
        self._thread.join(30)

    def record(
        self,
        obj: Json,
        resource: Resource,
        reason: str,
        message: str,
        kind: str = NORMAL,
        component: str = "",
    ) -> None:
        self._entries.put((obj, resource, reason, message, kind, component))

    def _write(self) -> None:
        while entry := self._entries.get():
            try:
                record_event(self._api, *entry)
            except (ApiError, urllib3.exceptions.HTTPError):
                continue  # an event that is lost is lost, in real clusters too
