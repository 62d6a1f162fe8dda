"""A local copy of all objects of a kind, kept by list and watch, as controllers keep one."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable

import urllib3

from tests.cluster.api import Api, ApiError, lines
from tests.cluster.resources import Json, Key, Resource, key_of

Handler = Callable[[Json], None]
Index = Callable[[Json], Hashable]


class Informer:
    """Calls each handler with every object that appears, changes or goes.

    An object that is gone comes once more with `deleted(uid)` true. What is read here is shared:
    readers copy before they change anything.
    """

    def __init__(self, api: Api, resource: Resource, index: Index | None = None) -> None:
        self.resource = resource
        self.handlers: list[Handler] = []
        self._api = api
        self._index = index
        self._objects: dict[Key, Json] = {}
        self._groups: dict[Hashable, dict[Key, Json]] = defaultdict(dict)
        self._gone: set[str] = set()
        self._lock = threading.Lock()
        self._synced = threading.Event()
        self._stopped = threading.Event()
        self._response: urllib3.BaseHTTPResponse | None = None
        self._thread = threading.Thread(
            target=self._follow, name=f"informer-{resource.plural}", daemon=True
        )

    def start(self) -> None:
        """Begins to follow; returns when the first list is in. Raises TimeoutError after 30 s."""
        self._thread.start()
        if not self._synced.wait(30):
            raise TimeoutError(f"No list of {self.resource.plural} came within 30 s.")

    def stop(self) -> None:
        self._stopped.set()
        with self._lock:
            if self._response is not None:
                self._response.shutdown()
        self._thread.join(10)

    def get(self, key: Key) -> Json | None:
        with self._lock:
            return self._objects.get(key)

    def group(self, value: Hashable) -> list[Json]:
        """The objects with this index value, oldest first, names deciding among equals."""
        with self._lock:
            found = list(self._groups.get(value, {}).values())
        return sorted(found, key=lambda obj: (created(obj), obj["metadata"]["name"]))

    def all(self) -> list[Json]:
        with self._lock:
            return list(self._objects.values())

    def deleted(self, uid: str) -> bool:
        with self._lock:
            return uid in self._gone

    def note(self, obj: Json) -> Json:
        """Takes in what a write returned, so that the next reading is not older than the write."""
        self._store(obj)
        return obj

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                version = self._relist()
                self._synced.set()
                while version and not self._stopped.is_set():
                    version = self._watch(version)
            except (ApiError, urllib3.exceptions.HTTPError):
                self._stopped.wait(0.05)

    def _relist(self) -> str:
        answer = self._api.request("GET", self.resource.path())
        present = {key_of(obj) for obj in answer["items"]}
        for obj in self.all():
            if key_of(obj) not in present:
                self._drop(obj)
        for obj in answer["items"]:
            if self._store(obj):
                self._tell(obj)
        version: str = answer["metadata"]["resourceVersion"]
        return version

    def _watch(self, version: str) -> str:
        """Follows from a version; returns where to go on, "" if only a new list helps."""
        response = self._api.stream(
            self.resource.path(), watch=1, resourceVersion=version, allowWatchBookmarks="true"
        )
        with self._lock:
            self._response = response
        try:
            if self._stopped.is_set():
                return version
            for event in lines(response):
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(event["type"], event["object"])
        except urllib3.exceptions.HTTPError:
            return version
        except ValueError:
            # NB: a TLS stream that is shut down while it is read may end with undeciphered bytes.
            if not self._stopped.is_set():
                raise
        finally:
            with self._lock:
                self._response = None
            response.close()
        return version

    def _take(self, kind: str, obj: Json) -> None:
        if kind == "DELETED":
            self._drop(obj)
        elif kind != "BOOKMARK":
            self._store(obj)
            self._tell(obj)

    def _store(self, obj: Json) -> bool:
        key, meta = key_of(obj), obj["metadata"]
        with self._lock:
            old = self._objects.get(key)
            if meta["uid"] in self._gone or (old and _version(old) >= _version(obj)):
                return False
            self._objects[key] = obj
            if self._index:
                if old and self._index(old) != self._index(obj):
                    self._groups[self._index(old)].pop(key, None)
                self._groups[self._index(obj)][key] = obj
        return True

    def _drop(self, obj: Json) -> None:
        key, uid = key_of(obj), obj["metadata"]["uid"]
        with self._lock:
            self._gone.add(uid)
            if (old := self._objects.get(key)) and old["metadata"]["uid"] == uid:
                del self._objects[key]
                if self._index:
                    self._groups[self._index(old)].pop(key, None)
        self._tell(obj)

    def _tell(self, obj: Json) -> None:
        for handler in self.handlers:
            handler(obj)


def created(obj: Json) -> str:
    """When the API server took the object in, RFC 3339 with whole seconds."""
    moment: str = obj["metadata"]["creationTimestamp"]
    return moment


def _version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])
