"""The APScheduler job that makes threads true: read what is, tell the difference, mark it told."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from bot import notifications
from bot.engines.base import Engine
from bot.errors import TuneError
from bot.outbox import Outbox, Undeliverable
from bot.slack import messages
from bot.slack.messages import Message
from bot.status import Experiment, Thread

log = logging.getLogger(__name__)


class Poller:
    """Reads every open Experiment and brings its card and thread up to date.

    Level-triggered: after a crash anywhere the next look finds the same differences. Order: record,
    root message, Experiment; tell first, mark second.

    Of several replicas only the one that `may_tell` does so. But whoever saved a record posts its
    root message itself, leading or not, so that people need not wait; for `root_grace_s` after it
    first saw such a record the leader leaves that to them. Whose root comes second after all (the
    record keeps the first) deletes it again.
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
        self._unreachable = ""
        self._lock = threading.Lock()

    def start(self, interval_s: float) -> BackgroundScheduler:
        """Poll every `interval_s` seconds until the returned scheduler is shut down."""
        scheduler = BackgroundScheduler(timezone=UTC)
        # NB: the default grace of one second skips a late poll with no more than a log line.
        scheduler.add_job(
            self.poll_once, "interval", seconds=interval_s, misfire_grace_time=None,
            next_run_time=self._now(),
        )  # fmt: skip
        scheduler.start()
        return scheduler

    def poll_once(self) -> None:
        """One look at all open Experiments, ends first; one failure never stops the rest."""
        if not self._may_tell():
            return
        try:
            found = self._engine.poll()
        except TuneError as error:
            self._say_unreachable(str(error))
            return
        self._unreachable = ""
        told_here = [e for e in found if e.record.channel is not None]  # not by `tune`
        left = self._left_to_others(told_here)
        for experiment in sorted(told_here, key=lambda e: not e.status.condition.is_final):
            if experiment.record.uid in left:
                continue
            try:
                self.tell(experiment)
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

    def tell(self, experiment: Experiment) -> None:
        """Bring one thread up to date: a root, then its Experiment, then replies and the card.

        Also called by whoever just saved a record or stopped an Experiment, so that people need not
        wait for the next look; one thread at a time tells.

        Raises:
            Undeliverable: nobody can be told there; the record is closed.
        """
        with self._lock:
            experiment = self._with_thread(experiment)
            thread = experiment.record.thread
            if thread is None:
                return  # Slack takes nothing at the moment: the next look comes again
            if not experiment.record.submitted and not experiment.status.condition.is_final:
                experiment = self._engine.submit(experiment.name)
            if self._may_tell():
                self._tell_news(experiment, thread)

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
            self._engine.stop(record.name, "Slack")
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

    def _tell_news(self, experiment: Experiment, thread: Thread) -> None:
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
                    return
            urgent = bool(news.replies)
            shown = card_is_due and self._outbox.update(thread, card, urgent=urgent)
        except Undeliverable as error:
            # The root or the channel is gone: the Experiment goes on, nobody is there to be told.
            log.error("%s: %s", record.name, error)
            news = news.model_copy(update={"told": news.told.model_copy(update={"ended": True})})
            shown = True
        if experiment.status.condition.is_final and card_is_due and not shown:
            return  # the end is told when the card shows it too
        told = news.told.model_copy(update={"card": digest if shown else record.told.card})
        if told != record.told:
            self._engine.mark_told(record.name, told)
        if told.ended:
            self._outbox.forget(thread)

    def _card(self, experiment: Experiment) -> Message:
        return messages.card(experiment, self._now(), self._engine.capabilities)

    def _say_unreachable(self, sentence: str) -> None:
        if sentence != self._unreachable:
            log.error("The engine cannot be read: %s", sentence)
        self._unreachable = sentence


def _digest(card: Message) -> str:
    return hashlib.sha256(json.dumps(card.blocks, sort_keys=True).encode()).hexdigest()[:16]
