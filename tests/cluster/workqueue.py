"""A reconciler's work queue: one call at a time for each key, again after an error."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable

import urllib3

from tests.cluster.api import ApiError

FIRST_RETRY_S = 0.005
LAST_RETRY_S = 1.0  # controllers go up to 1,000 s; a test has not that long
WATCHES_S = 0.01  # a stale copy: by then the watch has brought the newer one


class WorkQueue:
    """Calls `work(key)` on `workers` threads.

    `work` returns None, or after how many seconds to look again. ApiError and a broken connection
    are tried again with growing pauses; anything else is a mistake of ours and ends the thread.
    """

    def __init__(
        self, name: str, work: Callable[[Hashable], float | None], workers: int = 2
    ) -> None:
        self._work = work
        self._ready: OrderedDict[Hashable, None] = OrderedDict()
        self._running: set[Hashable] = set()
        self._again: set[Hashable] = set()
        self._later: list[tuple[float, int, Hashable]] = []
        self._errors: dict[Hashable, int] = defaultdict(int)
        self._changed = threading.Condition()
        self._stopped = False
        self._serial = 0
        self._threads = [
            threading.Thread(target=self._run, name=f"{name}-{number}", daemon=True)
            for number in range(workers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(10)

    def add(self, key: Hashable, after: float = 0.0) -> None:
        """Asks for a look at `key`, now or after so many seconds."""
        with self._changed:
            if after > 0:
                self._serial += 1
                heapq.heappush(self._later, (time.monotonic() + after, self._serial, key))
            elif key in self._running:
                self._again.add(key)
                return
            else:
                self._ready[key] = None
            self._changed.notify()

    def _run(self) -> None:
        while (key := self._next()) is not None:
            after: float | None = None
            try:
                after = self._work(key)
                self._errors.pop(key, None)
            except ApiError as error:
                after = WATCHES_S if error.reason == "Conflict" else self._pause(key)
            except urllib3.exceptions.HTTPError:
                after = self._pause(key)
            finally:
                self._done(key)
            if after is not None:
                self.add(key, max(after, 0.0))

    def _next(self) -> Hashable | None:
        with self._changed:
            while not self._stopped:
                self._wake()
                if self._ready:
                    key, _ = self._ready.popitem(last=False)
                    self._running.add(key)
                    return key
                wait = self._later[0][0] - time.monotonic() if self._later else None
                self._changed.wait(wait)
        return None

    def _wake(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            key = heapq.heappop(self._later)[2]
            if key in self._running:
                self._again.add(key)
            else:
                self._ready[key] = None

    def _done(self, key: Hashable) -> None:
        with self._changed:
            self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self._ready[key] = None
                self._changed.notify()

    def _pause(self, key: Hashable) -> float:
        self._errors[key] += 1
        pause: float = FIRST_RETRY_S * 2 ** min(self._errors[key], 10)
        return min(pause, LAST_RETRY_S)
