"""A local copy of the objects of one kind in a namespace, kept by one list and then a watch.

While nothing changes nothing is asked. Objects are decoded straight into the small values of
katib_wire, so that what is not read (managedFields, above all) costs next to nothing.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from bot.engines.katib_store import Changed, Store, T
from bot.engines.katib_wire import Listed, Object
from bot.engines.kube import Kube
from bot.engines.kube_errors import ApiError, Call, Unreachable
from bot.engines.kube_refusals import Status, read
from bot.engines.kube_session import Stream
from bot.errors import EngineError

log = logging.getLogger(__name__)

PAGE = 250
LONGEST_PAUSE_S = 30.0
# A watch that ends sooner, without having said anything, is no watch.
STEADY_S = 1.0
CLOSE_S = 5.0
GONE = 410

O = TypeVar("O")  # noqa: E741 - the object of an event


class Event(msgspec.Struct, Generic[O], frozen=True, gc=False):
    """A line of a watch: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    type: str
    object: O


def pause_s(failures: int) -> float:
    """Seconds to wait after so many failures in a row: random, the most of it doubling."""
    return random.uniform(0, min(LONGEST_PAUSE_S, 0.25 * 2 ** min(failures, 10)))


def _ignore(before: object, after: object) -> None:
    """Nobody wants to know."""


class Mirror(Generic[T]):
    """What the API server has of one kind, as of a moment ago.

    Args:
        kube: the API server.
        path: the collection's address in one namespace.
        kind: the value of katib_wire that an object becomes.
        label, field: selectors; what leaves the selection counts as deleted.
        changed: told of every change as (before, after), after None for a deletion; see Store for
            the lock it runs under. It must not raise.
        pause_s: seconds to wait after n failures in a row.
    """

    def __init__(
        self,
        kube: Kube,
        path: str,
        kind: type[T],
        *,
        label: str = "",
        field: str = "",
        changed: Changed[T] = _ignore,
        pause_s: Callable[[int], float] = pause_s,
    ) -> None:
        self._kube = kube
        self._path = path
        self._selectors: dict[str, Any] = {"labelSelector": label, "fieldSelector": field}
        self._pause_s = pause_s
        self._store: Store[T] = Store(changed)
        self._pages: msgspec.json.Decoder[Listed[T]] = msgspec.json.Decoder(
            Listed[kind]  # type: ignore[valid-type]
        )
        self._events: msgspec.json.Decoder[Event[T]] = msgspec.json.Decoder(
            Event[kind]  # type: ignore[valid-type]
        )
        self._objects = msgspec.json.Decoder(kind)
        self._version = ""
        self._is_listed = False
        self._faults = 0
        self._error: EngineError | None = None
        self._news = threading.Condition()
        self._closing = threading.Event()
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name=f"watch {self._path}", daemon=True)
        self._thread.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the first list; False if there is none yet: `error` says why, if that is known.

        It comes back at once when the list fails, though that goes on being tried.
        """
        with self._news:
            self._news.wait_for(lambda: self._is_listed or self._error is not None, timeout_s)
            return self._is_listed

    @property
    def error(self) -> EngineError | None:
        """Why the API server cannot be read at the moment; None while it can."""
        return self._error

    def get(self, name: str) -> T | None:
        """The object of that name."""
        return self._store.get(name)

    def values(self) -> list[T]:
        """All objects."""
        return self._store.values()

    def put(self, obj: T) -> None:
        """Take what a write of ours was answered, unless something newer is known."""
        self._store.put(obj)

    def drop(self, name: str, uid: str) -> None:
        """Forget what we have deleted, or what no longer belongs here after a write of ours."""
        self._store.drop(name, uid)

    def close(self) -> None:
        """Stop following; what is known stays."""
        self._closing.set()
        if (stream := self._stream) is not None:
            stream.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        try:
            self._follow()
        finally:
            if not self._closing.is_set():  # a fault of ours; threading.excepthook reports it
                self._version = ""
                self._failed(
                    EngineError(
                        f"Following {self._path} failed by a fault of the bot's.",
                        hint="Its log says where; it begins again.",
                    )
                )
                self._faults += 1
                self._closing.wait(self._pause_s(self._faults))
                self.start()

    def _follow(self) -> None:
        failures = 0
        while not self._closing.is_set():
            asked_s = 0.0
            try:
                if not self._version:
                    self._list()
                is_steady = self._watch()
            except EngineError as error:
                is_steady = False
                asked_s = error.retry_after_s if isinstance(error, ApiError) else 0.0
                if isinstance(error, ApiError) and error.is_expired:
                    self._version = ""
                elif not self._closing.is_set():
                    self._failed(error)
            failures = 0 if is_steady else failures + 1
            if failures:
                self._closing.wait(max(asked_s, self._pause_s(failures)))

    def _list(self) -> None:
        """Read everything, page by page, each page let go of before the next."""
        dropped = self._store.listing()
        uids: set[str] = set()
        follow = version = ""
        while not self._closing.is_set():
            page = self._page(follow)
            for obj in page.items or ():
                uids.add(obj.metadata.uid)
                self._store.listed(obj, dropped)
            version = version or page.metadata.resource_version
            follow = page.metadata.continue_
            if not follow:
                self._store.complete(uids, version, dropped)
                self._version = version
                self._succeeded()
                return

    def _page(self, follow: str) -> Listed[T]:
        query = {**self._selectors, "limit": PAGE, "continue": follow}
        body = self._kube.get(self._path, **query)
        try:
            return self._pages.decode(body)
        except msgspec.ValidationError:
            raw = msgspec.json.decode(body, type=Listed[msgspec.Raw])
            return Listed(raw.metadata, tuple(self._readable(raw.items or ())))
        except msgspec.DecodeError as error:
            raise self._garbled(error) from error

    def _readable(self, items: tuple[msgspec.Raw, ...]) -> Iterator[T]:
        """Kinds without a schema may hold anything: one such object must not hide the others."""
        for item in items:
            try:
                yield self._objects.decode(item)
            except msgspec.ValidationError as error:
                self._skip(item, error)

    def _watch(self) -> bool:
        """Follow from the last version; whether it went well for a while or until now."""
        begun, is_steady = time.monotonic(), False
        query = {
            **self._selectors,
            "watch": True,
            "allowWatchBookmarks": True,
            "resourceVersion": self._version,
        }
        with self._kube.stream(self._path, **query) as stream:
            self._stream = stream
            if self._closing.is_set():
                return True
            self._succeeded()
            try:
                for line in stream:
                    self._take(line)
                    is_steady = True
            except Unreachable as error:  # it broke, or was silent for long: opened again
                log.debug("watching %s: %s", self._path, error)
            finally:
                self._stream = None
        return is_steady or time.monotonic() - begun >= STEADY_S

    def _take(self, line: bytes) -> None:
        try:
            event = self._events.decode(line)
        except msgspec.ValidationError as error:
            self._take_other(line, error)
            return
        except msgspec.DecodeError as error:
            raise self._garbled(error) from error
        if event.type == "DELETED":
            self._store.went(event.object)
        elif event.type in ("ADDED", "MODIFIED"):
            self._store.came(event.object)
        elif event.type == "ERROR":
            raise self._refused(line)
        self._version = event.object.metadata.resource_version

    def _take_other(self, line: bytes, error: msgspec.ValidationError) -> None:
        """An ERROR, whose object is a Status, or an object that cannot be read."""
        event = msgspec.json.decode(line, type=Event[msgspec.Raw])
        if event.type == "ERROR":
            raise self._refused(line) from error
        self._skip(event.object, error)
        self._version = msgspec.json.decode(event.object, type=Object).metadata.resource_version

    def _refused(self, line: bytes) -> ApiError:
        event = msgspec.json.decode(line, type=Event[msgspec.Raw])
        status = msgspec.json.decode(event.object, type=Status)
        call = Call("GET", self._path, self._kube.server, is_watch=True)
        return read(status.code or 500, bytes(event.object), call)

    def _skip(self, raw: msgspec.Raw, error: msgspec.ValidationError) -> None:
        name = msgspec.json.decode(raw, type=Object).metadata.name
        log.warning("%s/%s cannot be read and is left out: %s", self._path, name, error)

    def _garbled(self, error: msgspec.DecodeError) -> EngineError:
        return EngineError(
            f"The API server at {self._kube.server} answered {self._path} with something else "
            f"than JSON: {error}.",
            hint="Is a proxy or a login page before it?",
        )

    def _failed(self, error: EngineError) -> None:
        if str(error) != str(self._error):
            log.warning("%s", error)
        with self._news:
            self._error = error
            self._news.notify_all()

    def _succeeded(self) -> None:
        with self._news:
            self._error = None
            self._is_listed = True
            self._news.notify_all()
