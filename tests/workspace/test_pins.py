"""What is kept at the top of a channel, through the real slack_sdk: pins and bookmarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, error, manifest
from tests.workspace.conftest import Clock

TUNING, GENERAL = "C0TUNING", "C0GENERAL"
SCOPES = [
    "chat:write",
    "channels:manage",
    *(f"{what}:{how}" for what in ("pins", "bookmarks") for how in ("read", "write")),
]
LINK = {"channel_id": TUNING, "title": "Board", "type": "link", "link": "https://example.org/"}


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[RunningWorkspace]:
    timing = Timing(clock=clock, has_rate_limits=False)
    running = RunningWorkspace(tmp_path, manifest("keeper", SCOPES), timing=timing)
    yield running
    running.stop()


@pytest.fixture
def client(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace)


def test_what_was_pinned_last_is_listed_first(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    stamps = [client.chat_postMessage(channel=TUNING, text=str(n))["ts"] for n in range(2)]
    for ts in stamps[::-1]:
        client.pins_add(channel=TUNING, timestamp=ts)
        clock.advance(1)
    items = client.pins_list(channel=TUNING)["items"]
    assert [item["message"]["ts"] for item in items] == stamps
    assert items[0]["created_by"] == "U0BOT" and items[0]["message"]["pinned_to"] == [TUNING]
    client.pins_remove(channel=TUNING, timestamp=stamps[0])
    assert [i["message"]["ts"] for i in client.pins_list(channel=TUNING)["items"]] == stamps[1:]
    assert "pinned_to" not in workspace.messages()[0]


def test_a_pin_that_cannot_be_is_refused(client: WebClient, workspace: RunningWorkspace) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    place = {"channel": TUNING, "timestamp": ts}
    assert error(client, "pins.remove", **place) == "no_pin"
    client.pins_add(**place)
    assert error(client, "pins.add", **place) == "already_pinned"
    assert error(client, "pins.add", channel=TUNING) == "no_item_specified"
    assert error(client, "pins.add", channel=TUNING, timestamp="x") == "bad_timestamp"
    assert error(client, "pins.add", channel=TUNING, timestamp="1.000001") == "message_not_found"
    assert error(client, "pins.add", channel="C9", timestamp=ts) == "channel_not_found"
    assert error(client, "pins.list", channel=GENERAL) == "not_in_channel"
    client.conversations_setTopic(channel=TUNING, topic="new")
    said = {"channel": TUNING, "timestamp": workspace.messages()[-1]["ts"]}
    assert error(client, "pins.add", **said) == "not_pinnable"


def test_a_bookmark_is_made_changed_and_taken_away(client: WebClient) -> None:
    bookmark = client.bookmarks_add(**LINK, emoji=":tada:")["bookmark"]
    assert bookmark["link"] == LINK["link"] and bookmark["id"].startswith("Bk")
    place = {"channel_id": TUNING, "bookmark_id": bookmark["id"]}
    changed = client.bookmarks_edit(**place, title="Better")["bookmark"]
    assert (changed["title"], changed["link"], changed["emoji"]) == (
        "Better",
        LINK["link"],
        ":tada:",
    )
    assert client.bookmarks_list(channel_id=TUNING)["bookmarks"] == [changed]
    client.bookmarks_remove(**place)
    assert client.bookmarks_list(channel_id=TUNING)["bookmarks"] == []
    assert error(client, "bookmarks.edit", **place) == "not_found"
    assert error(client, "bookmarks.remove", **place) == "not_found"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "file"}, "invalid_bookmark_type"),
        ({"link": "ftp://example.org"}, "invalid_link"),
        ({"link": ""}, "invalid_link"),
        ({"emoji": "tada"}, "invalid_emoji"),
        ({"title": ""}, "invalid_arguments"),
        ({"channel_id": "C9"}, "channel_not_found"),
        ({"channel_id": GENERAL}, "not_in_channel"),
    ],
)
def test_a_bookmark_that_cannot_be_is_refused(
    client: WebClient, change: dict[str, str], code: str
) -> None:
    assert error(client, "bookmarks.add", **{**LINK, **change}) == code
