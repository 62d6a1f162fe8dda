"""Objects by name, each in its newest version, whoever brings it: a list, a watch, or our write.

No network here. Every change is told once, one after the other, to `changed`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

from bot.engines.katib_wire import Meta

# Deletions that are remembered, so that an answer that comes late brings nothing back.
REMEMBERED = 1000


class HasMetadata(Protocol):
    @property
    def metadata(self) -> Meta: ...


T = TypeVar("T", bound=HasMetadata)
Changed = Callable[[T | None, T | None], None]


class Store(Generic[T]):
    """The objects of one kind in one namespace.

    Args:
        changed: told of every change as (before, after); after is None for a deletion. It runs
            under a lock that `put` and `drop` take too, so whoever calls these must not hold a
            lock that `changed` waits for. Reading takes no lock: copying a dict is one step.
    """

    def __init__(self, changed: Changed[T]) -> None:
        self._changed = changed
        self._changing = threading.RLock()
        self._objects: dict[str, T] = {}
        # What we let go of, by uid: hidden until the watch has seen it go.
        self._dropped: set[str] = set()
        # What the watch has seen go, by uid, and in which version.
        self._gone: dict[str, int] = {}

    def get(self, name: str) -> T | None:
        return self._objects.get(name)

    def values(self) -> list[T]:
        return list(self._objects.values())

    def put(self, obj: T) -> None:
        """What a write of ours was answered."""
        with self._changing:
            if not self._is_past(obj):
                self._dropped.discard(obj.metadata.uid)
                self._take(obj)

    def drop(self, name: str, uid: str) -> None:
        """What we deleted, or what our write took out of the selection."""
        with self._changing:
            if uid not in self._gone:
                self._dropped.add(uid)
            known = self._objects.get(name)
            if known is not None and known.metadata.uid == uid:
                self._remove(known)

    def came(self, obj: T) -> None:
        """What the watch says is new or has changed."""
        with self._changing:
            if obj.metadata.uid not in self._dropped and not self._is_past(obj):
                self._take(obj)

    def went(self, obj: T) -> None:
        """What the watch says is deleted, or has left the selection."""
        uid = obj.metadata.uid
        with self._changing:
            self._dropped.discard(uid)
            self._gone[uid] = _version(obj)
            while len(self._gone) > REMEMBERED:
                del self._gone[next(iter(self._gone))]
            known = self._objects.get(obj.metadata.name)
            if known and known.metadata.uid == uid and _version(known) <= _version(obj):
                self._remove(known)

    def listing(self) -> frozenset[str]:
        """To be called before a list is asked for, and given to `listed` and `complete`."""
        with self._changing:
            return frozenset(self._dropped)

    def listed(self, obj: T, dropped: frozenset[str]) -> None:
        """An object of a list. One that we had let go of before is hidden only while it goes."""
        uid = obj.metadata.uid
        with self._changing:
            if uid in dropped and obj.metadata.deletion_timestamp is None:
                self._dropped.discard(uid)
            self.came(obj)

    def complete(self, uids: Collection[str], version: str, dropped: frozenset[str]) -> None:
        """A list is at its end: what was not in it is gone, unless it is newer than the list."""
        with self._changing:
            self._dropped -= dropped.difference(uids)
            for known in self.values():
                if known.metadata.uid not in uids and _version(known) <= int(version or 0):
                    self._remove(known)

    def _is_past(self, obj: T) -> bool:
        return _version(obj) <= self._gone.get(obj.metadata.uid, -1)

    def _take(self, obj: T) -> None:
        known = self._objects.get(obj.metadata.name)
        if known is not None and _version(known) >= _version(obj):
            return
        self._gone.pop(obj.metadata.uid, None)
        if known is not None and known.metadata.uid != obj.metadata.uid:
            self._remove(known)
            known = None
        self._objects[obj.metadata.name] = obj
        self._changed(known, obj)

    def _remove(self, known: T) -> None:
        del self._objects[known.metadata.name]
        self._changed(known, None)


def _version(obj: HasMetadata) -> int:
    """Versions of one kind are decimal numbers that grow."""
    return int(obj.metadata.resource_version or 0)
