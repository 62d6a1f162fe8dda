"""The APScheduler job that makes threads true: read what is, tell the difference, mark it told."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler

from bot import notifications, wording
from bot.engines.base import Engine
from bot.errors import EngineError, TuneError
from bot.metrics import Tally
from bot.outbox import Outbox, Undeliverable
from bot.slack import messages
from bot.slack.messages import Message
from bot.status import Experiment, Thread

log = logging.getLogger(__name__)


GATHER_S = 0.05  # changes that come in a burst are one poll
CARD_BY_TIME_S = 15.0  # how often a card is drawn anew for the time that it shows, at most
BY_TIME_A_MINUTE = 30  # of all open Experiments: what has changed needs most of Slack's budget
AGAIN_S = 1.0  # when what Slack did not take is offered again
PATIENCE_S = 60.0
# Longer than the two calls to Slack that post a root message may take, one after the other.
ROOT_GRACE_S = 30.0


@dataclass(frozen=True)
class _Seen:
    """An Experiment as it was last told.

    `polled` is the engine's object, None if it was not the poll that told; `due` is when it is
    looked at again although it has not changed; `stamp` orders tellings and polls; `is_told`
    whether Slack took everything.
    """

    polled: Experiment | None
    due: float
    stamp: int
    is_told: bool = True


class Poller:
    """Reads every open Experiment and brings its card and thread up to date.

    Level-triggered: after a crash anywhere the next look finds the same differences. Order: record,
    root message, Experiment; tell first, mark second.

    Of several replicas only the one that `may_tell` does so. But whoever saved a record posts its
    root message itself, leading or not, so that people need not wait; for `root_grace_s` after it
    first saw such a record the leader leaves that to them. Whose root comes second after all (the
    record keeps the first) deletes it again.

    An Experiment that the engine hands out as the very same object is not told again, but for the
    time on its card. One thread at a time tells, and what it tells never gets older: `tell` reads
    the Experiment when its turn has come, and a poll leaves out what was told since it read.

    Args:
        now: the time of day, for cards. clock: seconds, monotonic.
    """

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        may_tell: Callable[[], bool] = lambda: True,
        root_grace_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._now = now
        self._may_tell = may_tell
        self._root_grace_s = root_grace_s
        self._clock = clock
        self._without_thread: dict[str, float] = {}  # by uid: since when
        self._unreachable: tuple[float, str] | None = None
        self._seen: dict[str, _Seen] = {}
        self._stamps = itertools.count()
        self._telling = threading.Lock()
        self._polling = threading.Lock()
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._running: tuple[BackgroundScheduler, threading.Thread] | None = None
        self.beat_at: float | None = None  # of `clock`, when a look last began or ended
        self.polled_at: datetime | None = None  # when the engine was last read
        self.open_experiments = 0
        self.polls = Tally("katib_tune_polls_total", "Looks at the open Experiments.", "outcome")
        self.poll_seconds = Tally("katib_tune_poll_seconds_total", "Time that the looks took.")
        engine.on_change(self.wake)

    def start(self, interval_s: float) -> None:
        """Poll at every change of which the engine tells, and every `interval_s` seconds."""
        scheduler = BackgroundScheduler(timezone=UTC)
        # NB: the default grace of one second skips a late poll with no more than a log line.
        scheduler.add_job(
            self.wake, "interval", seconds=interval_s, misfire_grace_time=None,
            next_run_time=datetime.now(UTC),
        )  # fmt: skip
        thread = threading.Thread(target=self._work, name="poller", daemon=True)
        self._running = scheduler, thread
        self._closing.clear()
        thread.start()
        scheduler.start()

    def close(self) -> None:
        """Let the poll under way end; poll no more, until `start` is called again."""
        if self._running is None:
            return
        scheduler, thread = self._running
        self._closing.set()
        scheduler.shutdown()
        self.wake()
        thread.join()
        self._running = None

    def wake(self) -> None:
        """Poll soon; returns at once. Many calls within a moment are one poll."""
        self._woken.set()

    @property
    def unreachable(self) -> str:
        """Why the engine could not be read at the last look; "" if it could."""
        return self._unreachable[1] if self._unreachable else ""

    @property
    def untold(self) -> int:
        """How many Experiments have something that Slack did not take at the last look."""
        return sum(not seen.is_told for seen in list(self._seen.values()))

    @property
    def trouble(self) -> str:
        """Why and for how long the engine cannot be read; "" while it can, and in the first minute.

        For whoever asks: threads stay silent, as nothing has happened to their Experiments.
        """
        if self._unreachable is None:
            return ""
        since, sentence = self._unreachable
        passed = self._clock() - since
        if passed < PATIENCE_S:
            return ""
        lasted = wording.duration(timedelta(seconds=passed))
        return f"The engine has not answered for {lasted}, so this may be old: {sentence}"

    def _work(self) -> None:
        """The poller's thread: one poll after the other, never two."""
        while True:
            self._woken.wait()
            self._closing.wait(GATHER_S)
            if self._closing.is_set():
                return
            self._woken.clear()
            try:
                self.poll_once()
            except Exception:
                log.exception("a poll failed")

    def poll_once(self) -> None:
        """One look at all open Experiments: ends first, then what has changed, then the rest.

        One failure never stops the rest. A second caller waits for the first. A replica that may
        not tell does not look.
        """
        with self._polling:
            began = self.beat_at = self._clock()
            if self._may_tell():
                self._poll()
                self.polls.add("failed" if self.unreachable else "read")
                self.poll_seconds.add(by=self._clock() - began)
            self.beat_at = self._clock()

    def _poll(self) -> None:
        stamp = next(self._stamps)
        try:
            found = self._engine.poll()
        except TuneError as error:
            self._say_unreachable(str(error))
            return
        self._say_reachable()
        self.polled_at, self.open_experiments = self._now(), len(found)
        self._forget_others(found)
        told_here = [e for e in found if e.record.channel is not None]  # not by `tune`
        left = self._left_to_others(told_here)
        due = [e for e in told_here if e.record.uid not in left and self._is_due(e)]
        for experiment in sorted(due, key=self._turn):
            try:
                self._tell_polled(experiment, stamp)
            except TuneError as error:
                log.warning("%s: %s", experiment.name, error)
            except Exception:
                log.exception("%s could not be told", experiment.name)

    def _left_to_others(self, found: Sequence[Experiment]) -> frozenset[str]:
        """The uids of records whose root message whoever saved them is about to post."""
        now = self._clock()
        since = self._without_thread
        waiting = [e.record.uid for e in found if e.record.thread is None]
        self._without_thread = {uid: since.get(uid, now) for uid in waiting}
        grace = self._root_grace_s
        return frozenset(uid for uid, at in self._without_thread.items() if now - at < grace)

    def _forget_others(self, found: Iterable[Experiment]) -> None:
        known = {experiment.name for experiment in found}
        with self._telling:
            for name in self._seen.keys() - known:
                del self._seen[name]

    def _is_due(self, experiment: Experiment) -> bool:
        seen = self._seen.get(experiment.name)
        return seen is None or seen.polled is not experiment or self._clock() >= seen.due

    def _turn(self, experiment: Experiment) -> tuple[bool, bool]:
        seen = self._seen.get(experiment.name)
        is_same = seen is not None and seen.polled is experiment
        return not experiment.status.condition.is_final, is_same

    def _tell_polled(self, experiment: Experiment, stamp: int) -> None:
        with self._telling:
            seen = self._seen.get(experiment.name)
            if seen is not None and seen.stamp > stamp:
                self.wake()  # told meanwhile, of something newer
                return
            # Of what was told before, only the time on its card is new: that can wait for its turn.
            is_told = seen is not None and seen.polled is experiment and seen.is_told
            try:
                is_told = self._tell(experiment) or is_told
            finally:
                by_time_s = max(CARD_BY_TIME_S, 60 / BY_TIME_A_MINUTE * self.open_experiments)
                due = self._clock() + (by_time_s if is_told else AGAIN_S)
                self._seen[experiment.name] = _Seen(experiment, due, stamp, is_told)

    def tell(self, name: str) -> None:
        """Bring one thread up to date: a root, then its Experiment, then replies and the card.

        For whoever just saved a record or changed an Experiment, so that people need not wait for
        the next look. The Experiment is read here, when it is this thread's turn.

        Raises:
            Undeliverable: nobody can be told there; the record is closed.
        """
        with self._telling:
            experiment = self._engine.get(name)
            stamp = next(self._stamps)
            self._tell(experiment)
            self._seen[name] = _Seen(None, 0.0, stamp)

    def _tell(self, experiment: Experiment) -> bool:
        """Whether all that was due is told; if not, the next look comes again."""
        experiment = self._with_thread(experiment)
        thread = experiment.record.thread
        if thread is None:
            return False  # Slack takes nothing at the moment
        if not experiment.record.submitted and not experiment.status.condition.is_final:
            experiment = self._engine.submit(experiment.name)
        return self._may_tell() and self._tell_news(experiment, thread)

    def _with_thread(self, experiment: Experiment) -> Experiment:
        """The Experiment with its root message: found, or posted, and remembered."""
        if experiment.record.thread is None:
            # NB: what was polled may be older than what another thread did meanwhile.
            experiment = self._engine.get(experiment.name)
        record = experiment.record
        if record.thread is not None or record.channel is None:
            return experiment
        card = self._card(experiment)
        key = f"{record.uid}:card"
        try:
            ts = self._outbox.post_root(record.channel, card, key=key, since=record.created)
        except Undeliverable:
            try:
                self._engine.stop(record.name, "Slack")
            except EngineError as error:  # others started it, or it has to go on for now
                log.warning("%s: %s", record.name, error)
            self._engine.mark_told(record.name, record.told.model_copy(update={"ended": True}))
            raise
        if ts is None:
            return experiment
        posted = Thread(channel=record.channel, ts=ts)
        self._engine.attach(record.name, posted)
        experiment = self._engine.get(record.name)
        if experiment.record.thread not in (posted, None):
            self._outbox.withdraw(posted)
        return experiment

    def _tell_news(self, experiment: Experiment, thread: Thread) -> bool:
        record = experiment.record
        news = notifications.diff(experiment)
        card = self._card(experiment)
        digest = _digest(card)
        card_is_due = digest != record.told.card
        try:
            for reply in news.replies:
                message = messages.reply(reply, experiment)
                key = f"{record.uid}:{reply.key}"
                if not (self._may_tell() and self._outbox.post_reply(thread, message, key=key)):
                    return False
            urgent = bool(news.replies)
            shown = card_is_due and self._outbox.update(thread, card, urgent=urgent)
        except Undeliverable as error:
            # The root or the channel is gone: the Experiment goes on, nobody is there to be told.
            log.error("%s: %s", record.name, error)
            news = news.model_copy(update={"told": news.told.model_copy(update={"ended": True})})
            shown = True
        if experiment.status.condition.is_final and card_is_due and not shown:
            return False  # the end is told when the card shows it too
        told = news.told.model_copy(update={"card": digest if shown else record.told.card})
        if told != record.told:
            self._engine.mark_told(record.name, told)
        if told.ended:
            self._outbox.forget(thread)
        return shown or not card_is_due

    def _card(self, experiment: Experiment) -> Message:
        return messages.card(experiment, self._now(), self._engine.capabilities)

    def _say_unreachable(self, sentence: str) -> None:
        since, before = self._unreachable or (self._clock(), "")
        if sentence != before:
            log.error("The engine cannot be read: %s", sentence)
        self._unreachable = since, sentence

    def _say_reachable(self) -> None:
        if self._unreachable is not None:
            lasted = self._clock() - self._unreachable[0]
            log.warning("The engine can be read again, after %.0f s", lasted)
            self._unreachable = None


def _digest(card: Message) -> str:
    return hashlib.sha256(json.dumps(card.blocks, sort_keys=True).encode()).hexdigest()[:16]
