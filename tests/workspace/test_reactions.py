"""Reactions: by people and by apps, counted, in order, once each."""

from __future__ import annotations

import pytest
from slack_sdk import WebClient

from bot.workspace.person import PersonRefused
from tests.harness import RunningWorkspace
from tests.workspace.parts import WAIT_S, error_of

TUNING = "C0TUNING"


def shown(workspace: RunningWorkspace) -> list[tuple[str, int, list[str]]]:
    (message,) = workspace.messages()
    return [(r["name"], r["count"], r["users"]) for r in message.get("reactions", [])]


def test_reactions_stand_in_the_order_of_the_first_of_each(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    ada, grace = workspace.person(), workspace.person("U0GRACE")
    ada.react(ts, "tada")
    grace.react(ts, "eyes")
    grace.react(ts, "tada")
    client.reactions_add(channel=TUNING, timestamp=ts, name="eyes")
    assert shown(workspace) == [
        ("tada", 2, ["U0ADA", "U0GRACE"]),
        ("eyes", 2, ["U0GRACE", "U0BOT"]),
    ]
    ada.react(ts, "tada", on=False)
    grace.react(ts, "tada", on=False)
    client.reactions_remove(channel=TUNING, timestamp=ts, name="eyes")
    assert shown(workspace) == [("eyes", 1, ["U0GRACE"])]
    grace.react(ts, "eyes", on=False)
    assert shown(workspace) == []


def test_pages_hear_of_a_reaction_at_once(workspace: RunningWorkspace, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    events = workspace.person("U0GRACE").events(timeout_s=WAIT_S)
    workspace.person().react(ts, "tada")
    name, told = next(events)
    events.close()
    assert name == "message_changed" and told["message"]["reactions"][0]["name"] == "tada"
    assert "edited" not in told["message"]


def test_a_reaction_counts_once(workspace: RunningWorkspace, client: WebClient) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    ada = workspace.person()
    ada.react(ts, "tada")
    with pytest.raises(PersonRefused, match="ada has reacted with :tada: already"):
        ada.react(ts, "tada")
    with pytest.raises(PersonRefused, match="ada has not reacted with :eyes:"):
        ada.react(ts, "eyes", on=False)
    with pytest.raises(PersonRefused, match="no emoji :Not A Name:"):
        ada.react(ts, "Not A Name")
    with pytest.raises(PersonRefused, match="not there any more"):
        ada.react("1700000000.000001", "tada")
    place = {"channel": TUNING, "timestamp": ts, "name": "tada"}
    assert error_of(client.reactions_remove, **place) == "no_reaction"


def test_one_person_puts_23_reactions_and_a_message_has_50(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel=TUNING, text="x")["ts"]
    ada, grace = workspace.person(), workspace.person("U0GRACE")
    for number in range(23):
        ada.react(ts, f"a{number}")
        grace.react(ts, f"b{number}")
    with pytest.raises(PersonRefused, match=r"as many reactions .* as one person can"):
        ada.react(ts, "more")
    for number in range(4):
        client.reactions_add(channel=TUNING, timestamp=ts, name=f"c{number}")
    place = {"channel": TUNING, "timestamp": ts}
    assert error_of(client.reactions_add, **place, name="c4") == "too_many_emoji"
    client.reactions_add(**place, name="a0")


def test_nobody_reacts_to_what_is_deleted(workspace: RunningWorkspace, client: WebClient) -> None:
    root = client.chat_postMessage(channel=TUNING, text="root")["ts"]
    workspace.message("reply", thread_ts=root)
    client.chat_delete(channel=TUNING, ts=root)
    place = {"channel": TUNING, "timestamp": root}
    assert error_of(client.reactions_add, **place, name="tada") == "message_not_found"
