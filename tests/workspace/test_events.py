"""The Events API: which app hears of what, and in which words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.client import BaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST, SCOPES, Clock
from tests.workspace.parts import WAIT_S

TUNING = "C0TUNING"
EVENTS = [
    "app_mention",
    "file_shared",
    "member_joined_channel",
    "member_left_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "reaction_added",
    "reaction_removed",
]
MORE_SCOPES = [
    "channels:manage",
    "files:read",
    "groups:history",
    "groups:read",
    "groups:write",
    "reactions:read",
]
Heard = Queue[dict[str, Any]]


def manifest(*, events: list[str] = EVENTS, scopes: list[str] = SCOPES) -> dict[str, Any]:
    return {
        **MANIFEST,
        "oauth_config": {"scopes": {"bot": [*scopes, *MORE_SCOPES]}},
        "settings": {**MANIFEST["settings"], "event_subscriptions": {"bot_events": events}},
    }


@pytest.fixture
def start(
    tmp_path: Path, clock: Clock, behind: Callable[[Callable[[], None]], None]
) -> Iterator[Callable[..., RunningWorkspace]]:
    """Starts a workspace whose app has asked for these events, and has these scopes."""
    started: list[RunningWorkspace] = []

    def run(**more: list[str]) -> RunningWorkspace:
        timing = Timing(clock=clock)
        running = RunningWorkspace(tmp_path / "state", manifest(**more), timing=timing)
        started.append(running)
        return running

    yield run
    for running in started:
        behind(running.stop)


@pytest.fixture
def workspace(start: Callable[..., RunningWorkspace]) -> RunningWorkspace:
    return start()


@pytest.fixture
def listen(
    behind: Callable[[Callable[[], None]], None],
) -> Iterator[Callable[[RunningWorkspace], Heard]]:
    """All events that the app of a workspace hears, in their order."""
    clients: list[SocketModeClient] = []

    def connected(workspace: RunningWorkspace) -> Heard:
        heard: Heard = Queue()

        def hear(client: BaseSocketModeClient, request: SocketModeRequest) -> None:
            client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
            if request.type == "events_api":
                heard.put(request.payload)

        web_client = WebClient(base_url=workspace.api_url)
        # One worker takes them one after the other.
        client = SocketModeClient(workspace.app_token, web_client=web_client, concurrency=1)
        client.socket_mode_request_listeners.append(hear)
        client.connect()
        clients.append(client)
        return heard

    yield connected
    for client in clients:
        behind(client.close)


@pytest.fixture
def heard(workspace: RunningWorkspace, listen: Callable[[RunningWorkspace], Heard]) -> Heard:
    return listen(workspace)


def event(heard: Heard) -> dict[str, Any]:
    inner: dict[str, Any] = heard.get(timeout=WAIT_S)["event"]
    return inner


def test_an_event_says_for_whom_it_is(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    ts = workspace.message("hello")["ts"]
    workspace.message("again")
    first, second = heard.get(timeout=WAIT_S), heard.get(timeout=WAIT_S)
    assert first["type"] == "event_callback" and first["api_app_id"] == "A0WEATHER"
    assert first["team_id"] == "T0LOCAL" and isinstance(first["event_time"], int)
    assert first["authorizations"] == [
        {
            "enterprise_id": None,
            "team_id": "T0LOCAL",
            "user_id": "U0BOT",
            "is_bot": True,
            "is_enterprise_install": False,
        }
    ]
    assert first["event_id"] != second["event_id"]
    assert first["event"] == {
        "type": "message",
        "user": "U0ADA",
        "team": "T0LOCAL",
        "text": "hello",
        "ts": ts,
        "event_ts": ts,
        "channel": TUNING,
        "channel_type": "channel",
    }


def test_an_app_hears_its_own_messages_marked_as_a_bots_and_without_metadata(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    metadata = {"event_type": "x", "event_payload": {"a": 1}}
    client.chat_postMessage(channel=TUNING, text="I am <@U0BOT>", metadata=metadata)
    own = event(heard)
    assert (own["bot_id"], own["app_id"], own["user"]) == ("B0WEATHER", "A0WEATHER", "U0BOT")
    assert "subtype" not in own and "metadata" not in own
    # A bot's own words do not mention it: what comes next is the next message.
    workspace.message("next")
    assert event(heard)["text"] == "next"


def test_a_mention_comes_besides_the_message_but_not_in_a_direct_message(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    workspace.message("hi @weather")
    assert [event(heard)["type"] for _ in range(2)] == ["message", "app_mention"]
    direct = client.conversations_open(users="U0ADA")["channel"]["id"]
    workspace.message("hi @weather", channel=direct)
    workspace.message("next")
    alone, after = event(heard), event(heard)
    assert (alone["type"], alone["channel_type"]) == ("message", "im")
    assert after["text"] == "next"


def test_a_broadcast_reply_carries_its_root(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    root = workspace.message("root")["ts"]
    assert "thread_ts" not in event(heard)
    workspace.message("reply", thread_ts=root)
    reply = event(heard)
    assert reply["thread_ts"] == root and reply["parent_user_id"] == "U0ADA"
    client.chat_postMessage(channel=TUNING, text="all", thread_ts=root, reply_broadcast=True)
    broadcast = event(heard)
    assert broadcast["subtype"] == "thread_broadcast" and broadcast["root"]["ts"] == root


def test_changes_and_deletions_carry_what_was_before(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="one")["ts"]
    event(heard)
    client.chat_update(channel=TUNING, ts=ts, text="two")
    changed = event(heard)
    assert changed["subtype"] == "message_changed" and changed["hidden"] is True
    assert changed["message"]["text"] == "two" and changed["previous_message"]["text"] == "one"
    assert changed["message"]["ts"] == ts and changed["ts"] > ts
    assert changed["channel"] == TUNING and changed["event_ts"] == changed["ts"]
    client.chat_delete(channel=TUNING, ts=ts)
    deleted = event(heard)
    assert deleted["subtype"] == "message_deleted" and deleted["deleted_ts"] == ts
    assert deleted["previous_message"]["text"] == "two"


def test_a_deleted_root_changes_into_a_tombstone(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    root = client.chat_postMessage(channel=TUNING, text="root")["ts"]
    workspace.message("reply", thread_ts=root)
    client.chat_delete(channel=TUNING, ts=root)
    subtypes = [event(heard).get("subtype") for _ in range(2)]
    assert subtypes == [None, None]
    changed = event(heard)
    assert changed["subtype"] == "message_changed"
    assert changed["message"]["subtype"] == "tombstone"


def test_reactions_are_events_and_not_changes(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="one")["ts"]
    event(heard)
    ada = workspace.person()
    ada.react(ts, "tada")
    ada.react(ts, "tada", on=False)
    client.reactions_add(channel=TUNING, timestamp=ts, name="eyes")
    added, removed, own = event(heard), event(heard), event(heard)
    assert added.pop("event_ts")
    assert added == {
        "type": "reaction_added",
        "user": "U0ADA",
        "reaction": "tada",
        "item": {"type": "message", "channel": TUNING, "ts": ts},
        "item_user": "U0BOT",
    }
    assert removed["type"] == "reaction_removed" and removed["reaction"] == "tada"
    assert (own["type"], own["user"]) == ("reaction_added", "U0BOT")


def test_an_app_hears_that_it_has_joined(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    for _ in range(2):
        client.conversations_join(channel="C0GENERAL")
    workspace.message("next", channel="C0GENERAL")
    words, joined, after = event(heard), event(heard), event(heard)
    assert words["subtype"] == "channel_join"
    assert joined["type"] == "member_joined_channel"
    assert (joined["user"], joined["channel"], joined["channel_type"]) == (
        "U0BOT", "C0GENERAL", "C"
    )  # fmt: skip
    assert after["text"] == "next", "who is in does not join again"


def test_who_comes_and_goes_is_an_event_by_the_kind_of_the_channel(
    heard: Heard, workspace: RunningWorkspace, client: WebClient
) -> None:
    made = client.conversations_create(name="secret", is_private=True)["channel"]["id"]
    client.conversations_invite(channel=made, users="U0GRACE")
    client.conversations_kick(channel=made, user="U0GRACE")
    told = {(e["type"], e.get("subtype", "")): e for e in (event(heard) for _ in range(4))}
    joined = told["member_joined_channel", ""]
    assert (joined["user"], joined["inviter"], joined["channel_type"]) == ("U0GRACE", "U0BOT", "G")
    assert told["member_left_channel", ""]["user"] == "U0GRACE"
    assert told["message", "group_join"]["channel_type"] == "group"


def test_a_shared_file_is_a_message_and_an_event(heard: Heard, workspace: RunningWorkspace) -> None:
    file = workspace.person().upload("a.txt", b"a", channel=TUNING, text="look")["file"]
    message, shared = event(heard), event(heard)
    assert (message["type"], message["subtype"]) == ("message", "file_share")
    assert message["text"] == "look" and message["files"][0]["id"] == file["id"]
    assert shared.pop("event_ts")
    assert shared == {
        "type": "file_shared",
        "channel_id": TUNING,
        "file_id": file["id"],
        "file": {"id": file["id"]},
        "user_id": "U0ADA",
    }


@pytest.mark.parametrize(
    ("events", "scopes"),
    [
        (["app_mention"], SCOPES),
        (["app_mention", "message.channels"], [s for s in SCOPES if s != "channels:history"]),
    ],
    ids=["not subscribed", "no scope"],
)
def test_an_app_hears_only_what_it_asked_for_and_may_know(
    start: Callable[..., RunningWorkspace],
    listen: Callable[[RunningWorkspace], Heard],
    events: list[str],
    scopes: list[str],
) -> None:
    running = start(events=events, scopes=scopes)
    heard = listen(running)
    running.message("plain")
    running.message("to you, @weather")
    assert event(heard)["type"] == "app_mention"
