"""The Lease that lets one replica tell: client-go's leader election, and what it answers now.

Why not kubernetes.leaderelection: its loops cannot be ended and give nothing back at shutdown, it
measures by the wall clock, and while a call hangs it goes on leading. Nothing else of it is needed.

Safe without trusting anybody's clock: a holder counts from *before* its write was sent and stops
after `renew_deadline_s`; the others count from *after* they read the last change, and wait for
`lease_s`. Writes carry the resourceVersion, so of two that take only one does.
"""

from __future__ import annotations

import logging
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import msgspec

from bot.errors import EngineError

log = logging.getLogger(__name__)

Step = Literal["create", "renew", "take", "wait"]
JITTER = 0.2  # each wait is up to this share shorter, so that candidates do not march in step


@dataclass(frozen=True)
class Term:
    """How long what lasts, in seconds."""

    lease_s: int = 15  # the others wait as long after the last renewal that they saw
    renew_deadline_s: float = 10.0  # who could not renew for as long leads no more
    renew_s: float = 5.0
    retry_s: float = 2.0  # after a failure, and between two looks of who does not lead

    def __post_init__(self) -> None:
        if not self.renew_s < self.renew_deadline_s < self.lease_s:
            raise ValueError(f"renew_s < renew_deadline_s < lease_s does not hold: {self}")


class LeaseSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Times are kept as texts: they are for people, nobody decides by them."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(msgspec.Struct, frozen=True):
    """A Lease as it stands on the API server; `metadata` goes back as it came."""

    metadata: dict[str, Any]
    spec: LeaseSpec = LeaseSpec()


class Leases(Protocol):
    """One Lease on the API server. All raise EngineError for what could not be done."""

    def read(self) -> Lease | None:
        """The Lease, None if there is none yet."""

    def create(self, spec: LeaseSpec) -> Lease:
        """Refused if there is one already."""

    def replace(self, lease: Lease) -> Lease:
        """Refused if it has another resourceVersion by now."""


def decide(lease: Lease | None, me: str, unchanged_s: float, term: Term) -> Step:
    """What a candidate does, which has seen the Lease stand unchanged for `unchanged_s`."""
    if lease is None:
        return "create"
    if lease.spec.holder_identity == me:
        return "renew"
    if not lease.spec.holder_identity:
        return "take"
    duration = lease.spec.lease_duration_seconds or term.lease_s
    return "take" if unchanged_s > duration else "wait"


def held(before: LeaseSpec, me: str, now: datetime, term: Term) -> LeaseSpec:
    """The spec with which `me` holds, or goes on holding, the Lease."""
    at = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    mine = before.holder_identity == me
    return LeaseSpec(
        holder_identity=me,
        lease_duration_seconds=term.lease_s,
        acquire_time=before.acquire_time if mine else at,
        renew_time=at,
        lease_transitions=(before.lease_transitions or 0) + (0 if mine else 1),
    )


def released(before: LeaseSpec) -> LeaseSpec:
    """The spec that lets the next candidate in at once."""
    return msgspec.structs.replace(before, holder_identity="", lease_duration_seconds=1)


class Leader:
    """One candidate: looks at the Lease in a thread of its own, from `start` until `close`.

    Args:
        gained: called each time before `is_leader` becomes true: what was remembered is old.
        clock: seconds, monotonic.
        now: for the times that the Lease shows to people.
        jitter: a number from 0 to 1.
    """

    def __init__(
        self,
        leases: Leases,
        *,
        identity: str = "",
        term: Term = Term(),
        gained: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.identity = identity or f"{socket.gethostname()}_{secrets.token_hex(4)}"
        self._leases = leases
        self._term = term
        self._gained = gained
        self._clock = clock
        self._now = now
        self._jitter = jitter
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None  # when the write was sent that holds the Lease
        self._said = ""
        self.error = ""  # why the last look failed
        self._one_step = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def is_leader(self) -> bool:
        """Whether this replica may tell now; asks nobody."""
        renewed_at = self._renewed_at
        if renewed_at is None or self._ended.is_set():
            return False
        return self._clock() < renewed_at + self._term.renew_deadline_s

    def start(self) -> None:
        """Begin to look, and lead as soon as nobody else does."""
        self._thread = threading.Thread(target=self._look, name="leader", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Lead no more, and let the next one in at once if the API server can be reached."""
        self._ended.set()  # from here on is_leader is false
        # NB: a call that hangs is not waited for: without release the Lease runs out by itself.
        if not self._one_step.acquire(timeout=self._term.retry_s):
            return
        try:
            self._release()
        finally:
            self._one_step.release()
        if self._thread is not None:
            self._thread.join(self._term.retry_s)

    def step(self) -> float:
        """One look at the Lease, and a write if it is ours or free; seconds until the next."""
        with self._one_step:
            if self._ended.is_set():
                return 0.0
            try:
                holds = self._try()
                self.error = ""
                self._say("leads" if holds else f"waits, {self._holder()} leads")
            except EngineError as error:
                holds = False
                self.error = str(error)
                self._say(f"could not renew or read the Lease: {error}")
        wait = self._term.renew_s if holds else self._term.retry_s
        return wait * (1 - JITTER * self._jitter())

    def _try(self) -> bool:
        lease = self._leases.read()
        self._observe(lease)
        step = decide(lease, self.identity, self._clock() - self._seen_at, self._term)
        if step == "wait":
            self._renewed_at = None
            return False
        sent = self._clock()
        if lease is None:
            written = self._leases.create(held(LeaseSpec(), self.identity, self._now(), self._term))
        else:
            spec = held(lease.spec, self.identity, self._now(), self._term)
            written = self._leases.replace(msgspec.structs.replace(lease, spec=spec))
        self._observe(written)
        if not self.is_leader():
            self._gained()
        self._renewed_at = sent
        return True

    def _observe(self, lease: Lease | None) -> None:
        if lease != self._seen:
            self._seen, self._seen_at = lease, self._clock()

    def _release(self) -> None:
        lease = self._seen
        if lease is None or lease.spec.holder_identity != self.identity:
            return
        try:
            self._leases.replace(msgspec.structs.replace(lease, spec=released(lease.spec)))
        except EngineError as error:
            log.warning("%s could not give its Lease back: %s", self.identity, error)

    def _look(self) -> None:
        wait = 0.0
        while not self._ended.wait(wait):
            try:
                wait = self.step()
            except Exception:
                log.exception("A look at the Lease broke")
                wait = self._term.retry_s

    def _holder(self) -> str:
        return (self._seen and self._seen.spec.holder_identity) or "nobody"

    def _say(self, sentence: str) -> None:
        if sentence != self._said:
            log.info("%s %s", self.identity, sentence)
        self._said = sentence
