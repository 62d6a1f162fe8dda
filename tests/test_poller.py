"""The poller against a real workspace: when it looks, what it leaves out, and who goes first."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk import WebClient

from bot.engines.base import Engine
from bot.errors import EngineError
from bot.outbox import CARD_INTERVAL_S, Outbox, Undeliverable
from bot.poller import AGAIN_S, BY_TIME_A_MINUTE, CARD_BY_TIME_S, GATHER_S, PATIENCE_S, Poller
from bot.status import Experiment, ExperimentCondition
from tests.experiments import NAME, START, ended, experiment, trial
from tests.harness import RunningWorkspace
from tests.memory_engine import MemoryEngine

MANIFEST = Path(__file__).parent.parent / "manifests" / "slack-app.yaml"
NEVER_S = 3600.0


class Clock:
    """One clock for everything: seconds, and the time of day that goes with them."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class Bench:
    """A poller with an engine of which tests say what happens, and what the channel shows."""

    def __init__(self, workspace: RunningWorkspace) -> None:
        self.workspace = workspace
        self.engine = MemoryEngine()
        self.clock = Clock()
        client = WebClient(token=workspace.bot_token, base_url=workspace.api_url, retry_handlers=[])
        outbox = Outbox(client, self.clock)
        engine: Engine = self.engine
        self.poller = Poller(engine, outbox, now=self.clock.now, clock=self.clock)

    def told(self, found: Experiment) -> None:
        """The Experiment is there, and everything about it has been told."""
        self.engine.put(found)
        for _ in range(3):
            self.poller.poll_once()
            self.clock.seconds += CARD_INTERVAL_S

    def card(self, name: str = NAME) -> str:
        return str(next((m for m in self.roots() if name in m["text"]), ""))

    def roots(self) -> list[dict[str, Any]]:
        return [m for m in self.workspace.messages() if m.get("bot_id")]

    def replies(self) -> list[str]:
        (root,) = self.roots()
        thread = self.workspace.thread("C0TUNING", root["ts"])
        return [str(m["metadata"]["event_payload"]["key"]).partition(":")[2] for m in thread[1:]]

    def updates(self) -> int:
        return len(self.workspace.recorded(name="chat.update"))

    @contextmanager
    def running(self) -> Iterator[None]:
        """The poller at work; its interval never comes round."""
        self.poller.start(NEVER_S)
        try:
            assert self.engine.reading.wait(30)
            yield
        finally:
            self.engine.hold.set()
            self.poller.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    workspace = RunningWorkspace(tmp_path, yaml.safe_load(MANIFEST.read_text()))
    yield Bench(workspace)
    workspace.stop()


# When it looks


def test_a_change_is_told_without_waiting_for_the_interval(bench: Bench) -> None:
    with bench.running():
        bench.engine.put(experiment([trial(0)]))
        bench.workspace.wait_for(lambda: "0 of 10" in bench.card())
        bench.engine.put(ended([trial(0, 0.7)]))
        bench.workspace.wait_for(lambda: "1 of 10" in bench.card())
    assert GATHER_S < 0.1


def test_many_changes_during_a_poll_are_one_more_poll(bench: Bench) -> None:
    bench.engine.hold.clear()
    with bench.running():
        before = bench.engine.polls
        for _ in range(1000):
            bench.poller.wake()
        bench.engine.reading.clear()
        bench.engine.hold.set()
        assert bench.engine.reading.wait(30)
        bench.engine.reading.clear()
        assert not bench.engine.reading.wait(4 * GATHER_S), "nothing has changed since"
    assert bench.engine.polls == before + 1


def test_two_polls_never_overlap(bench: Bench) -> None:
    bench.engine.hold.clear()
    with bench.running():
        others = [threading.Thread(target=bench.poller.poll_once) for _ in range(4)]
        for other in others:
            other.start()
        bench.poller.wake()
        bench.engine.hold.set()
        for other in others:
            other.join()
    assert bench.engine.polls >= 5
    assert bench.engine.most_at_once == 1


def test_a_poll_that_breaks_is_not_the_last(bench: Bench) -> None:
    bench.engine.fails = RuntimeError("a bug")
    with bench.running():
        bench.engine.fails = None
        bench.engine.put(experiment([trial(0)]))
        bench.workspace.wait_for(bench.card)


def test_it_can_be_closed_and_started_again(bench: Bench) -> None:
    bench.poller.close()
    for number in (1, 2):
        bench.engine.reading.clear()
        with bench.running():
            bench.engine.put(experiment([trial(n, 0.7) for n in range(number)]))
            bench.workspace.wait_for(lambda n=number: f"{n} of 10" in bench.card())
        bench.clock.seconds += CARD_INTERVAL_S


# What it leaves out


def test_what_has_not_changed_is_drawn_again_only_for_the_time_on_its_card(bench: Bench) -> None:
    bench.told(experiment([trial(0, 0.7), trial(1)]))
    before = bench.card()
    assert bench.poller.poll_once() is None
    updates = bench.updates()
    started = bench.clock.seconds
    bench.clock.seconds = started + CARD_BY_TIME_S - CARD_INTERVAL_S - 1
    bench.poller.poll_once()
    assert bench.updates() == updates, "its elapsed time is another by now, and that can wait"
    bench.clock.seconds = started + CARD_BY_TIME_S
    bench.poller.poll_once()
    assert bench.updates() == updates + 1
    assert bench.card() != before


def test_what_has_changed_is_told_at_once(bench: Bench) -> None:
    bench.told(experiment([trial(0, 0.7), trial(1)]))
    bench.engine.put(experiment([trial(0, 0.7), trial(1, 0.9)]))
    bench.poller.poll_once()
    assert "2 of 10" in bench.card()
    assert bench.replies() == ["started", f"best:{NAME}-1"]


def test_what_slack_did_not_take_is_offered_again_though_nothing_changed(bench: Bench) -> None:
    bench.told(experiment([trial(0, 0.7)]))
    bench.workspace.fault("ratelimited", on="chat.postMessage", seconds=1, times=1)
    bench.engine.put(ended([trial(0, 0.7)]))
    bench.poller.poll_once()
    assert bench.replies() == ["started"]
    assert bench.poller.untold == 1
    bench.clock.seconds += 1 + AGAIN_S
    bench.poller.poll_once()
    assert bench.replies() == ["started", "ended"]
    assert bench.poller.untold == 0
    assert bench.engine.get(NAME).record.told.ended


def test_a_card_that_only_got_older_waits_for_its_turn_when_slack_does_not_take_it(
    bench: Bench,
) -> None:
    bench.told(experiment([trial(0, 0.7), trial(1)]))
    bench.workspace.fault("ratelimited", on="chat.update", seconds=1, times=1)
    bench.clock.seconds += CARD_BY_TIME_S
    bench.poller.poll_once()
    asked = bench.updates()
    bench.clock.seconds += 1 + AGAIN_S
    bench.poller.poll_once()
    assert bench.updates() == asked
    bench.clock.seconds += CARD_BY_TIME_S
    bench.poller.poll_once()
    assert bench.updates() == asked + 1


def test_many_open_experiments_share_what_is_left_for_cards_that_only_got_older(
    bench: Bench,
) -> None:
    names = [f"e{number}" for number in range(20)]
    for name in names:
        bench.engine.put(named(experiment([trial(0)]), name))
    for _ in range(3):
        bench.poller.poll_once()
        bench.clock.seconds += CARD_INTERVAL_S
    started, asked = bench.clock.seconds, bench.updates()
    bench.clock.seconds = started + CARD_BY_TIME_S
    bench.poller.poll_once()
    assert bench.updates() == asked
    bench.clock.seconds = started + 60 / BY_TIME_A_MINUTE * len(names)
    bench.poller.poll_once()
    assert bench.updates() > asked


def test_what_changed_goes_before_what_only_got_older(bench: Bench) -> None:
    names = [f"{letter}-one" for letter in "abc"]
    for name in names:
        bench.engine.put(named(experiment([trial(0)]), name))
    for _ in range(3):
        bench.poller.poll_once()
        bench.clock.seconds += CARD_INTERVAL_S
    bench.clock.seconds += CARD_BY_TIME_S
    seen = bench.updates()
    bench.engine.put(named(experiment([trial(0, 0.7)]), "c-one"))
    bench.poller.poll_once()
    order = bench.workspace.recorded(name="chat.update")[seen:]
    assert [next(n for n in names if n in str(call)) for call in order] == [
        "c-one", "a-one", "b-one",
    ]  # fmt: skip


# Two threads


def test_a_poll_does_not_tell_what_is_older_than_what_was_told_meanwhile(bench: Bench) -> None:
    bench.told(experiment([trial(0, 0.7), trial(1)]))
    bench.clock.seconds += CARD_BY_TIME_S
    bench.engine.reading.clear()
    bench.engine.hold.clear()
    poll = threading.Thread(target=bench.poller.poll_once)
    poll.start()
    assert bench.engine.reading.wait(30)  # it has read that the Experiment runs
    bench.engine.stop(NAME, "ada")
    bench.poller.tell(NAME)
    updates = bench.updates()
    bench.engine.hold.set()
    poll.join()
    assert bench.updates() == updates
    assert "Killed" in bench.card()
    assert bench.engine.get(NAME).record.told.ended
    assert bench.replies() == ["started", "ended"]


def test_whoever_tells_second_tells_what_is_true_then(bench: Bench) -> None:
    bench.engine.put(experiment([trial(0, 0.7)]))
    tellers = [threading.Thread(target=bench.poller.tell, args=(NAME,)) for _ in range(8)]
    for teller in tellers:
        teller.start()
    for teller in tellers:
        teller.join()
    assert len(bench.roots()) == 1
    assert bench.replies() == ["started"]


# Trouble


def test_an_engine_that_cannot_be_read_is_said_to_who_asks_and_not_in_threads(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.told(experiment([trial(0, 0.7)]))
    shown, replies = bench.card(), bench.replies()
    bench.engine.fails = EngineError("The API server cannot be reached.")
    bench.poller.poll_once()
    assert bench.poller.trouble == "", "a moment's trouble is nobody's"
    bench.clock.seconds += PATIENCE_S
    bench.poller.poll_once()
    assert bench.poller.trouble == (
        "The engine has not answered for 1 min, so this may be old: "
        "The API server cannot be reached."
    )
    assert (bench.card(), bench.replies()) == (shown, replies)
    bench.engine.fails = None
    bench.poller.poll_once()
    assert bench.poller.trouble == ""
    said = [r.getMessage() for r in caplog.records if r.name == "bot.poller"]
    assert said == [
        "The engine cannot be read: The API server cannot be reached.",
        "The engine can be read again, after 60 s",
    ]


def test_where_nobody_can_be_told_the_record_is_closed_though_it_cannot_be_stopped(
    bench: Bench,
) -> None:
    bench.engine.keeps_going = True
    bench.engine.put(experiment([trial(0)], channel="C0GENERAL"))
    with pytest.raises(Undeliverable):
        bench.poller.tell(NAME)
    assert not bench.engine.get(NAME).is_open
    assert bench.engine.get(NAME).status.condition is ExperimentCondition.RUNNING


def named(found: Experiment, name: str) -> Experiment:
    asked = found.spec.model_copy(update={"name": name})
    record = found.record.model_copy(update={"spec": asked, "uid": name})
    return found.model_copy(update={"record": record})
