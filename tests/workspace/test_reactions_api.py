"""Reactions through the real slack_sdk: added, taken away, counted, listed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

from bot.workspace.person import PersonRefused
from bot.workspace.reactions import KINDS_LIMIT, OF_ONE_PERSON_LIMIT
from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, error, manifest

TUNING, GENERAL = "C0TUNING", "C0GENERAL"
SCOPES = ["chat:write", "reactions:read", "reactions:write", "files:read", "files:write"]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """Two apps that may react."""
    apps = [manifest(name, SCOPES) for name in ("cheerful", "friendly")]
    running = RunningWorkspace(
        tmp_path, *apps, timing=Timing(file_ready_s=0.0, has_rate_limits=False)
    )
    yield running
    running.stop()


@pytest.fixture
def client(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace)


def test_reactions_count_people_and_go_with_the_last(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    other = client_of(workspace, 1)
    for app in (client, other):
        app.reactions_add(channel=TUNING, timestamp=ts, name="tada")
    client.reactions_add(channel=TUNING, timestamp=ts, name="eyes")
    other.reactions_remove(channel=TUNING, timestamp=ts, name="tada")
    assert workspace.messages()[0]["reactions"] == [
        {"name": "tada", "users": ["U0BOT"], "count": 1},
        {"name": "eyes", "users": ["U0BOT"], "count": 1},
    ]
    client.reactions_remove(channel=TUNING, timestamp=ts, name="tada")
    client.reactions_remove(channel=TUNING, timestamp=ts, name="eyes")
    assert "reactions" not in workspace.messages()[0]


@pytest.mark.parametrize("method", ["reactions.add", "reactions.remove", "reactions.get"])
@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({}, "no_item_specified"),
        ({"channel": TUNING}, "no_item_specified"),
        ({"channel": "C9", "timestamp": "1.000001"}, "channel_not_found"),
        ({"channel": GENERAL, "timestamp": "1.000001"}, "not_in_channel"),
        ({"channel": TUNING, "timestamp": "soon"}, "bad_timestamp"),
        ({"channel": TUNING, "timestamp": "1.000001"}, "message_not_found"),
    ],
)
def test_a_reaction_to_nothing_is_refused(
    client: WebClient, method: str, place: dict[str, str], code: str
) -> None:
    assert error(client, method, name="tada", **place) == code


def test_a_reaction_that_cannot_be_is_refused(client: WebClient) -> None:
    place = {
        "channel": TUNING,
        "timestamp": client.chat_postMessage(channel=TUNING, text="x")["ts"],
    }
    assert error(client, "reactions.add", **place, name="No Name") == "invalid_name"
    assert error(client, "reactions.remove", **place, name=":tada:") == "invalid_name"
    assert error(client, "reactions.remove", **place, name="tada") == "no_reaction"
    client.reactions_add(**place, name="wave::skin-tone-3")
    again = {**place, "name": "wave::skin-tone-3"}
    assert error(client, "reactions.add", **again) == "already_reacted"


def test_a_message_holds_so_many_reactions_and_a_person_adds_fewer(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    place = {"channel": TUNING, "timestamp": ts}
    for number in range(OF_ONE_PERSON_LIMIT):
        client.reactions_add(**place, name=f"e{number}")
    assert error(client, "reactions.add", **place, name="more") == "too_many_reactions"
    other = client_of(workspace, 1)
    for number in range(OF_ONE_PERSON_LIMIT, 2 * OF_ONE_PERSON_LIMIT):
        other.reactions_add(**place, name=f"e{number}")
    for number in range(2 * OF_ONE_PERSON_LIMIT, KINDS_LIMIT):
        workspace.person().react(ts, f"e{number}")
    with pytest.raises(PersonRefused):
        workspace.person().react(ts, "more")
    workspace.person().react(ts, "e0")


def test_reactions_are_read_of_one_message_and_listed_of_a_person(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    stamps = [client.chat_postMessage(channel=TUNING, text=str(n))["ts"] for n in range(3)]
    for ts in stamps:
        client.reactions_add(channel=TUNING, timestamp=ts, name="tada")
    got = client.reactions_get(channel=TUNING, timestamp=stamps[0])
    assert got["type"] == "message" and got["message"]["reactions"][0]["name"] == "tada"
    assert got["message"]["permalink"].endswith(stamps[0].replace(".", ""))
    pages = [page.data for page in client.reactions_list(limit=2)]
    assert [item["message"]["ts"] for p in pages for item in p["items"]] == stamps[::-1]
    assert client_of(workspace, 1).reactions_list()["items"] == []
    assert error(client, "reactions.list", user="U9") == "user_not_found"


def test_a_file_has_no_reactions(client: WebClient) -> None:
    file = client.files_upload_v2(filename="a.txt", content="x")["file"]["id"]
    assert client.reactions_get(file=file)["file"]["id"] == file
    assert error(client, "reactions.get", file="F9") == "file_not_found"
