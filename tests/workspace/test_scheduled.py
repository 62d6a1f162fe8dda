"""Messages that are posted when their time comes, on the workspace's clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, error, manifest
from tests.workspace.conftest import Clock

TUNING = "C0TUNING"
SCOPES = ["chat:write", "channels:manage"]
WAIT_S = 20


def start(folder: Path, clock: Clock) -> RunningWorkspace:
    apps = [manifest(name, SCOPES) for name in ("later", "other")]
    timing = Timing(clock=clock, tick_s=0.01, has_rate_limits=False)
    return RunningWorkspace(folder, *apps, timing=timing)


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[RunningWorkspace]:
    running = start(tmp_path, clock)
    yield running
    running.stop()


@pytest.fixture
def client(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace)


def schedule(client: WebClient, clock: Clock, in_s: float = 100, **more: Any) -> Any:
    given = {"channel": TUNING, "text": "later", "post_at": int(clock() + in_s), **more}
    return client.chat_scheduleMessage(**given)


def waiting(client: WebClient, **more: Any) -> list[str]:
    return [m["id"] for m in client.chat_scheduledMessages_list(**more)["scheduled_messages"]]


def test_a_message_is_posted_when_its_time_comes(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    root = client.chat_postMessage(channel=TUNING, text="root")["ts"]
    block = {"type": "divider"}
    kept = schedule(client, clock, blocks=[block], thread_ts=root)
    assert kept["message"]["type"] == "delayed_message" and kept["channel"] == TUNING
    assert waiting(client) == [kept["scheduled_message_id"]]
    assert len(workspace.thread(TUNING, root)) == 1
    events = workspace.person().events(timeout_s=WAIT_S)
    clock.advance(101)
    name, data = next(events)
    events.close()
    assert name == "message" and data["message"]["blocks"][0]["type"] == "divider"
    assert data["message"]["thread_ts"] == root
    assert waiting(client) == []


def test_messages_come_in_their_order_also_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    running = start(tmp_path, clock)
    client = client_of(running)
    schedule(client, clock, 200, text="second")
    schedule(client, clock, 100, text="first")
    running.stop()
    clock.advance(300)
    running = start(tmp_path, clock)
    running.wait_for(lambda: len(running.messages()) == 2, timeout_s=WAIT_S)
    assert [m["text"] for m in running.messages()] == ["first", "second"]
    running.stop()


def test_a_message_to_an_archived_channel_is_dropped(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    schedule(client, clock, 100)
    channel = client.conversations_create(name="still-open")["channel"]["id"]
    schedule(client, clock, 200, channel=channel, text="arrives")
    client.conversations_archive(channel=TUNING)
    events = workspace.person().events(timeout_s=WAIT_S)
    clock.advance(201)
    assert next(events)[1]["message"]["text"] == "arrives"
    events.close()
    assert "later" not in [m["text"] for m in workspace.messages()]


def test_scheduled_messages_are_listed_for_their_app_and_taken_back(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    kept = [schedule(client, clock, in_s)["scheduled_message_id"] for in_s in (300, 100)]
    other = client_of(workspace, 1)
    assert waiting(other) == []
    assert waiting(client) == kept[::-1]
    assert waiting(client, latest=str(clock() + 200)) == [kept[1]]
    assert waiting(client, oldest=str(clock() + 200)) == [kept[0]]
    assert waiting(client, channel="C0GENERAL") == []
    pages = [p.data for p in client.chat_scheduledMessages_list(limit=1)]
    assert [m["id"] for p in pages for m in p["scheduled_messages"]] == kept[::-1]
    place = {"channel": TUNING, "scheduled_message_id": kept[0]}
    method, code = "chat.deleteScheduledMessage", "invalid_scheduled_message_id"
    assert error(other, method, **place) == code
    client.chat_deleteScheduledMessage(**place)
    assert error(client, method, **place) == code
    clock.advance(50)
    late = {"channel": TUNING, "scheduled_message_id": kept[1]}
    assert error(client, method, **late) == code, "less than a minute is left"
    assert error(client, "chat.scheduledMessages.list", channel="C9") == "invalid_channel"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"post_at": "soon"}, "invalid_time"),
        ({"post_at": None}, "invalid_arguments"),
        ({"post_at": 1}, "time_in_past"),
        ({"post_at": 9_999_999_999}, "time_too_far"),
        ({"channel": "C9"}, "channel_not_found"),
        ({"channel": "C0GENERAL"}, "not_in_channel"),
        ({"text": ""}, "no_text"),
        ({"thread_ts": "1.000001"}, "thread_not_found"),
        ({"blocks": [{"type": "nothing"}]}, "invalid_blocks"),
    ],
)
def test_what_cannot_be_scheduled_is_refused(
    client: WebClient, clock: Clock, change: dict[str, Any], code: str
) -> None:
    given = {"channel": TUNING, "text": "x", "post_at": int(clock() + 100), **change}
    assert error(client, "chat.scheduleMessage", **given) == code


def test_a_channel_takes_thirty_scheduled_messages_in_five_minutes(
    client: WebClient, clock: Clock
) -> None:
    for _ in range(30):
        schedule(client, clock)
    given = {"channel": TUNING, "text": "x", "post_at": int(clock() + 100)}
    assert error(client, "chat.scheduleMessage", **given) == "restricted_too_many"
    schedule(client, clock, 500)
