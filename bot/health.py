"""What Kubernetes and Prometheus hear of a running bot: alive, ready, and its figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bot import __version__
from bot.leader import Leader
from bot.metrics import Metric, gauge
from bot.outbox import Outbox
from bot.poller import Poller
from bot.slack.conversation import Conversation
from bot.web import Probes

# A look with Slack or the API server at their time limits is slow and not dead, and a restart would
# only begin it again.
STUCK_S = 120.0


@dataclass(frozen=True)
class Health:
    """The parts of a running bot that are asked.

    Args:
        is_connected: whether Slack's connection stands.
        leader: None when there is one replica only.
        engine_metrics: what the engine counts itself.
        clock: the poller's.
    """

    poller: Poller
    outbox: Outbox
    conversation: Conversation
    is_connected: Callable[[], bool]
    poll_interval_s: float
    leader: Leader | None = None
    engine_metrics: Callable[[], Iterable[Metric]] = tuple
    clock: Callable[[], float] = time.monotonic

    @property
    def probes(self) -> Probes:
        """What `web.serving` asks."""
        return Probes(alive=self.alive, ready=self.ready, metrics=self.metrics)

    def alive(self) -> str:
        """Empty while the poller's clock ticks, in replicas that do not lead too."""
        beat_at = self.poller.beat_at
        if beat_at is None:
            return ""  # not started yet: that is for /readyz to say
        silent_s = self.clock() - beat_at
        if silent_s <= max(3 * self.poll_interval_s, STUCK_S):
            return ""
        return f"The poller has not moved for {silent_s:.0f} s."

    def ready(self) -> str:
        """Empty while Slack is connected and the engine can be read."""
        if not self.is_connected():
            return "Slack is not connected."
        if self.leader is not None and self.leader.error:
            return f"The Lease cannot be read: {self.leader.error}"
        if self._leads() and self.poller.polled_at is None:
            return self.poller.unreachable or "The engine has not been read yet."
        return self.poller.unreachable if self._leads() else ""

    def metrics(self) -> Iterator[Metric]:
        """Everything that /metrics shows."""
        poller = self.poller
        yield Metric("gauge", "katib_tune_build_info", "The version.", {(__version__,): 1},
                     ("version",))  # fmt: skip
        yield gauge("katib_tune_is_leader", "Whether this replica tells.", self._leads())
        yield gauge("katib_tune_slack_connected", "Whether Slack is.", self.is_connected())
        yield gauge(
            "katib_tune_open_experiments", "Experiments whose end is not told, at the last look.",
            poller.open_experiments if self._leads() else 0,
        )  # fmt: skip
        yield gauge(
            "katib_tune_untold_experiments", "Experiments with news or a card that Slack did not "
            "take at the last look.", poller.untold if self._leads() else 0,
        )  # fmt: skip
        yield gauge(
            "katib_tune_last_poll_timestamp_seconds", "When the engine was last read; 0: not yet.",
            poller.polled_at.timestamp() if poller.polled_at else 0,
        )  # fmt: skip
        for tally in (
            poller.polls, poller.poll_seconds, self.outbox.sent, self.outbox.failed,
            self.conversation.commands, self.conversation.refusals, self.conversation.errors,
        ):  # fmt: skip
            yield tally.metric()
        yield from self.engine_metrics()

    def _leads(self) -> bool:
        return self.leader is None or self.leader.is_leader()
