"""When the bot is alive and ready, and what it counts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
from slack_sdk import WebClient

from bot import metrics
from bot.engines.local import LocalEngine
from bot.errors import EngineError
from bot.health import STUCK_S, Health
from bot.leader import Leader, Lease, LeaseSpec
from bot.outbox import Outbox
from bot.poller import Poller
from bot.replicas import answering, candidate
from bot.settings import Settings
from bot.slack.conversation import Conversation
from bot.status import Experiment

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Place:
    """The parts of a bot with a clock, a line to Slack and one to the API server."""

    def __init__(self, state_dir: Path, *, replicas: int = 1) -> None:
        self.now = 1000.0
        self.is_connected = True
        self.lease_is_lost = False
        engine = Reading(state_dir)
        self.engine = engine
        client = WebClient(token="xoxb-1", base_url="http://127.0.0.1:1/", retry_handlers=[])
        leader = Leader(self, identity="me", clock=lambda: self.now) if replicas > 1 else None
        self.leader = leader
        outbox = Outbox(client)
        self.poller = Poller(
            engine, outbox, lambda: NOW, clock=lambda: self.now,
            may_tell=leader.is_leader if leader else lambda: True,
        )  # fmt: skip
        self.conversation = Conversation(engine, self.poller, client, allow_code=False)
        self.health = Health(
            self.poller, outbox, self.conversation, lambda: self.is_connected,
            poll_interval_s=1.0, leader=leader, clock=lambda: self.now,
        )  # fmt: skip

    # One Lease that nobody else wants.

    def read(self) -> Lease | None:
        if self.lease_is_lost:
            raise EngineError("The API server cannot be reached.")
        return None

    def create(self, spec: LeaseSpec) -> Lease:
        return Lease({}, spec)

    def replace(self, lease: Lease) -> Lease:
        return lease

    def page(self) -> str:
        return metrics.text(self.health.metrics())


class Reading(LocalEngine):
    """A local engine without a process, whose disk can be taken away."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir, allow_code=False, start=False)
        self.is_gone = False

    def poll(self) -> list[Experiment]:
        if self.is_gone:
            raise EngineError("The disk is gone.")
        return super().poll()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.conversation.close()


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path, replicas=2)
    yield place
    place.conversation.close()


def test_a_bot_is_ready_once_the_engine_was_read_and_slack_is_connected(place: Place) -> None:
    assert place.health.alive() == ""
    assert place.health.ready() == "The engine has not been read yet."
    place.poller.poll_once()
    assert place.health.ready() == ""
    place.is_connected = False
    assert place.health.ready() == "Slack is not connected."


def test_an_engine_that_cannot_be_read_is_not_ready_and_not_dead(place: Place) -> None:
    place.poller.poll_once()
    place.engine.is_gone = True
    place.poller.poll_once()
    assert place.health.ready() == "The disk is gone."
    assert place.health.alive() == ""
    place.engine.is_gone = False
    place.poller.poll_once()
    assert place.health.ready() == ""


def test_a_poller_that_moves_no_more_is_dead(place: Place) -> None:
    place.poller.poll_once()
    place.now += STUCK_S
    assert place.health.alive() == ""
    place.now += 1
    assert place.health.alive() == "The poller has not moved for 121 s."
    place.poller.poll_once()
    assert place.health.alive() == ""


def test_a_replica_that_does_not_lead_is_alive_and_ready(replica: Place) -> None:
    replica.poller.poll_once()
    assert (replica.health.alive(), replica.health.ready()) == ("", "")
    assert "katib_tune_is_leader 0.0\n" in replica.page()
    assert "katib_tune_polls_total{" not in replica.page()


def test_a_replica_that_cannot_read_the_lease_is_not_ready(replica: Place) -> None:
    assert replica.leader is not None
    replica.lease_is_lost = True
    replica.leader.step()
    assert "The Lease cannot be read" in replica.health.ready()


def test_the_one_that_leads_reads_the_engine(replica: Place) -> None:
    assert replica.leader is not None
    replica.leader.step()
    replica.poller.poll_once()
    assert "katib_tune_is_leader 1.0\n" in replica.page()
    assert 'katib_tune_polls_total{outcome="read"} 1.0\n' in replica.page()


def test_the_page_counts_what_was_asked_and_what_slack_did_not_take(place: Place) -> None:
    answers: list[str] = []
    place.conversation.tune({"text": "help"}, lambda text, blocks=None: answers.append(text))
    place.conversation.tune(
        {"text": "status nobody"}, lambda text, blocks=None: answers.append(text)
    )
    place.conversation.close()
    place.poller.poll_once()
    page = place.page()
    assert len(answers) == 2
    assert 'katib_tune_commands_total{verb="help"} 1.0\n' in page
    assert 'katib_tune_commands_total{verb="status"} 1.0\n' in page
    assert "katib_tune_refusals_total 1.0\n" in page
    assert f"katib_tune_last_poll_timestamp_seconds {NOW.timestamp()}\n" in page
    assert "katib_tune_build_info{version=" in page


def test_every_name_of_the_page_is_ours_and_every_counter_ends_as_prometheus_wants(
    place: Place,
) -> None:
    for each in place.health.metrics():
        assert each.name.startswith("katib_tune_")
        assert each.name.endswith("_total") == (each.kind == "counter")


def test_on_one_machine_there_is_no_candidate(tmp_path: Path) -> None:
    with candidate(Settings(engine="local", state_dir=tmp_path), lambda: None) as leader:
        assert leader is None


def test_the_health_server_is_there_only_with_a_port(place: Place) -> None:
    with answering(Settings(health_port=0), place.health) as port:
        assert port is None
    with socket.create_server(("", 0)) as taken:
        free = taken.getsockname()[1]
    with answering(Settings(health_port=free), place.health) as port:
        assert port == free
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
