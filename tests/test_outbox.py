"""The outbox against a workspace that misbehaves: no message lost, none twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from slack_sdk import WebClient

from bot.outbox import CARD_INTERVAL_S, UPDATES_PER_MINUTE, Outbox, Undeliverable
from bot.slack.messages import Message
from bot.status import Thread
from tests.harness import RunningWorkspace

MANIFEST = Path(__file__).parent.parent / "manifests" / "slack-app.yaml"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path, yaml.safe_load(MANIFEST.read_text()))
    yield running
    running.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(workspace: RunningWorkspace, clock: Clock) -> Outbox:
    return make_outbox(workspace, clock)


def make_outbox(workspace: RunningWorkspace, clock: Clock) -> Outbox:
    client = WebClient(token=workspace.bot_token, base_url=workspace.api_url, retry_handlers=[])
    return Outbox(client, clock)


def message(text: str) -> Message:
    return Message(text, ({"type": "section", "text": {"type": "mrkdwn", "text": text}},))


def texts(workspace: RunningWorkspace, thread: Thread | None = None) -> list[str]:
    if thread is None:
        return [m["text"] for m in workspace.messages()]
    return [m["text"] for m in workspace.thread(thread.channel, thread.ts)[1:]]


def root(outbox: Outbox, text: str) -> Thread:
    ts = outbox.post_root("C0TUNING", message(text), key=text)
    assert ts is not None
    return Thread(channel="C0TUNING", ts=ts)


def test_a_reply_is_posted_once_whoever_repeats_it(
    workspace: RunningWorkspace, outbox: Outbox, clock: Clock
) -> None:
    thread = root(outbox, "once")
    assert outbox.post_reply(thread, message("news"), key="k1")
    assert outbox.post_reply(thread, message("news"), key="k1")
    # Another process, which remembers nothing:
    assert make_outbox(workspace, clock).post_reply(thread, message("news"), key="k1")
    assert texts(workspace, thread) == ["news"]


def test_a_reply_whose_answer_got_lost_is_not_repeated(
    workspace: RunningWorkspace, outbox: Outbox
) -> None:
    thread = root(outbox, "lost")
    workspace.fault("error_after_commit", on="chat.postMessage")
    assert not outbox.post_reply(thread, message("news"), key="k1")
    assert outbox.post_reply(thread, message("news"), key="k1")
    assert texts(workspace, thread) == ["news"]


@pytest.mark.parametrize("fault", ["error", "fatal_error"])
def test_a_reply_that_never_arrived_is_repeated(
    workspace: RunningWorkspace, outbox: Outbox, fault: str
) -> None:
    thread = root(outbox, fault)
    workspace.fault(fault, on="chat.postMessage")
    assert not outbox.post_reply(thread, message("news"), key="k1")
    assert outbox.post_reply(thread, message("news"), key="k1")
    assert texts(workspace, thread) == ["news"]


def test_a_root_that_may_be_there_is_looked_for(
    workspace: RunningWorkspace, outbox: Outbox
) -> None:
    workspace.fault("error_after_commit", on="chat.postMessage")
    assert outbox.post_root("C0TUNING", message("doubt"), key="doubt") is None
    assert outbox.post_root("C0TUNING", message("doubt"), key="doubt", since=LONG_AGO)
    assert texts(workspace).count("doubt") == 1


def test_while_slack_limits_us_it_is_left_alone(
    workspace: RunningWorkspace, outbox: Outbox, clock: Clock
) -> None:
    thread = root(outbox, "limits")
    workspace.fault("ratelimited", on="chat.update", seconds=1)
    assert not outbox.update(thread, message("a"), urgent=True)
    calls = workspace.recorded(name="chat.update")
    assert not outbox.update(thread, message("b"), urgent=True)
    assert workspace.recorded(name="chat.update") == calls, "no call before Retry-After has passed"
    clock.now += 1.1
    assert outbox.update(thread, message("c"), urgent=True)


def test_a_reply_that_was_limited_does_not_read_its_thread_again(
    workspace: RunningWorkspace, outbox: Outbox, clock: Clock
) -> None:
    thread = root(outbox, "patience")
    assert outbox.post_reply(thread, message("first"), key="k1")
    workspace.fault("ratelimited", on="chat.postMessage", seconds=30)
    assert not any(outbox.post_reply(thread, message("news"), key="k2") for _ in range(60))
    clock.now += 31
    assert outbox.post_reply(thread, message("news"), key="k2")
    assert texts(workspace, thread) == ["first", "news"]
    assert len(workspace.recorded(name="conversations.replies")) == 1


def test_a_card_waits_its_turn_unless_there_is_news(
    workspace: RunningWorkspace, outbox: Outbox, clock: Clock
) -> None:
    thread = root(outbox, "turn")
    assert outbox.update(thread, message("turn 1"))
    assert not outbox.update(thread, message("turn 2"))
    assert outbox.update(thread, message("turn 3"), urgent=True)
    clock.now += CARD_INTERVAL_S
    assert outbox.update(thread, message("turn 4"))
    assert "turn 4" in texts(workspace)


def test_all_cards_share_one_budget(outbox: Outbox, clock: Clock) -> None:
    thread = root(outbox, "budget")
    sent = [outbox.update(thread, message(f"b{n}"), urgent=True) for n in range(50)]
    assert sum(sent) == UPDATES_PER_MINUTE
    clock.now += 61
    assert outbox.update(thread, message("later"))


def test_a_channel_that_takes_nothing_is_said_with_what_to_do(outbox: Outbox) -> None:
    with pytest.raises(Undeliverable, match=r"not_in_channel.*/invite"):
        outbox.post_root("C0GENERAL", message("x"), key="x")
