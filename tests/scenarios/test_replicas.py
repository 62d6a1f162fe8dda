"""Two replicas of the bot in one workspace: one root message, every news once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from slack_sdk import WebClient

from bot.engines.local import LocalEngine
from bot.outbox import Outbox
from bot.poller import Poller
from bot.slack.messages import Message
from bot.status import Experiment
from tests.engines.contract import a_record, a_spec, has_running, until
from tests.harness import RunningWorkspace
from tests.scenarios.conftest import MANIFEST, key

GRACE_S = 30.0
OBJECTIVE = """
import time

def objective(parameters):
    time.sleep(1000)
"""


class Replica:
    """One bot's telling side; `leads` says what its Lease would."""

    def __init__(self, engine: LocalEngine, client: WebClient) -> None:
        self.leads = False
        self.now = 1000.0
        self.outbox = Outbox(client)
        self.poller = Poller(
            engine, self.outbox,
            may_tell=lambda: self.leads, root_grace_s=GRACE_S, clock=lambda: self.now,
        )  # fmt: skip


class Posting(WebClient):
    """A client whose first post waits until the other's is ready too: both looked, both post."""

    def __init__(self, ready: threading.Barrier, **settings: Any) -> None:
        super().__init__(**settings)
        self._ready: threading.Barrier | None = ready

    def chat_postMessage(self, **arguments: Any) -> Any:
        if self._ready is not None:
            ready, self._ready = self._ready, None
            ready.wait(20)
        return super().chat_postMessage(**arguments)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    engine = LocalEngine(tmp_path_factory.mktemp("state"), allow_code=True)
    yield engine
    engine.shutdown()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path, yaml.safe_load(MANIFEST.read_text()))
    yield running
    running.stop()


def access(workspace: RunningWorkspace) -> dict[str, Any]:
    return {
        "token": workspace.bot_token, "base_url": workspace.api_url, "retry_handlers": [],
    }  # fmt: skip


@pytest.fixture
def here(engine: LocalEngine, workspace: RunningWorkspace) -> Replica:
    """The replica that the person talks to."""
    return Replica(engine, WebClient(**access(workspace)))


@pytest.fixture
def leader(engine: LocalEngine, workspace: RunningWorkspace) -> Replica:
    """The other one, which leads."""
    replica = Replica(engine, WebClient(**access(workspace)))
    replica.leads = True
    return replica


@pytest.fixture
def saved(engine: LocalEngine) -> Iterator[Experiment]:
    """An Experiment whose record has just been saved."""
    data = {"objective_function": "objective", "objective_source": OBJECTIVE}
    wanted = a_spec(data, max_trial_count=1)
    engine.save(
        a_record(wanted).model_copy(update={"channel": "C0TUNING", "created": datetime.now(UTC)})
    )
    yield engine.get(wanted.name)
    engine.stop(wanted.name, "the test")


def roots(workspace: RunningWorkspace) -> list[str]:
    return [m["ts"] for m in workspace.messages() if m.get("bot_id") and key(m) == "card"]


def told(workspace: RunningWorkspace) -> list[str]:
    return [key(m) for m in workspace.thread("C0TUNING", roots(workspace)[0])[1:]]


def test_who_saved_a_record_posts_its_root_and_the_leader_tells_the_news(
    workspace: RunningWorkspace, engine: LocalEngine, here: Replica, leader: Replica,
    saved: Experiment,
) -> None:  # fmt: skip
    leader.poller.poll_once()
    assert roots(workspace) == []
    here.poller.tell(saved.name)
    until(engine, saved.name, has_running)
    here.poller.poll_once()
    here.poller.tell(saved.name)
    assert len(roots(workspace)) == 1
    assert told(workspace) == []
    leader.poller.poll_once()
    leader.poller.poll_once()
    assert len(roots(workspace)) == 1
    assert told(workspace) == ["started"]


def test_the_leader_posts_the_root_if_who_saved_the_record_does_not(
    workspace: RunningWorkspace, engine: LocalEngine, leader: Replica, saved: Experiment
) -> None:
    leader.poller.poll_once()
    leader.now += GRACE_S - 1
    leader.poller.poll_once()
    assert engine.get(saved.name).record.thread is None
    leader.now += 1
    leader.poller.poll_once()
    thread = engine.get(saved.name).record.thread
    assert [thread.ts if thread else ""] == roots(workspace)


def test_of_two_roots_posted_at_one_moment_only_the_record_s_stays(
    workspace: RunningWorkspace, engine: LocalEngine, saved: Experiment
) -> None:
    ready = threading.Barrier(2)
    both = [Replica(engine, Posting(ready, **access(workspace))) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda replica: replica.poller.tell(saved.name), both))
    assert len(workspace.recorded(name="chat.postMessage")) == 2
    thread = engine.get(saved.name).record.thread
    assert [thread.ts if thread else ""] == roots(workspace)


def test_a_new_leader_tells_again_nothing_that_the_old_one_told_without_marking_it(
    workspace: RunningWorkspace, engine: LocalEngine, here: Replica, leader: Replica,
    saved: Experiment,
) -> None:  # fmt: skip
    here.poller.tell(saved.name)
    running = until(engine, saved.name, has_running)
    thread = running.record.thread
    assert thread is not None
    # What `here` remembers of the thread gets old: the leader tells, and loses the Lease.
    news = Message("news", ())
    assert here.outbox.post_reply(thread, news, key=f"{running.record.uid}:earlier")
    assert leader.outbox.post_reply(thread, news, key=f"{running.record.uid}:started")
    leader.leads, here.leads = False, True
    here.outbox.forget_all()  # as the Leader does before it leads
    here.poller.poll_once()
    assert told(workspace) == ["earlier", "started"]
    assert engine.get(saved.name).record.told.started
