"""Shortcuts: global ones, and those on a message, also inside threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.workspace.person import PersonRefused
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST
from tests.workspace.parts import WAIT_S, Connect, modal

WEATHER, TUNING = "A0WEATHER", "C0TUNING"


def used(app: App, callback_id: str) -> Queue[dict[str, Any]]:
    """The payloads that come for a shortcut; each opens a form."""
    bodies: Queue[dict[str, Any]] = Queue()

    @app.shortcut(callback_id)
    def use(ack: Callable[[], None], body: dict[str, Any], client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=body["trigger_id"], view=modal())
        bodies.put(body)

    return bodies


def test_a_global_shortcut_opens_a_form_without_a_conversation(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    bodies = used(app, "ask")
    connect(app)
    ada = workspace.person()
    assert ada.shortcut(WEATHER, "ask") == {"ok": True, "delivered": True}
    body = bodies.get(timeout=WAIT_S)
    assert body["type"] == "shortcut" and body["callback_id"] == "ask" and body["action_ts"]
    assert body["user"] == {"id": "U0ADA", "username": "ada", "team_id": "T0LOCAL"}
    assert not {"channel", "message", "response_url", "api_app_id"} & set(body)
    assert workspace.wait_for(ada.view)["title"]["text"] == "Forecast"


def test_a_message_shortcut_carries_the_message_and_a_response_url(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    bodies = used(app, "rain")
    connect(app)
    ada = workspace.person()
    ts = workspace.message("Picnic on Sunday?", user="U0GRACE")["ts"]
    assert ada.shortcut(WEATHER, "rain", message_ts=ts)["delivered"]
    body = bodies.get(timeout=WAIT_S)
    assert body["type"] == "message_action" and body["callback_id"] == "rain"
    assert body["message_ts"] == ts == body["message"]["ts"]
    assert body["message"]["text"] == "Picnic on Sunday?" and body["message"]["user"] == "U0GRACE"
    assert body["channel"] == {"id": TUNING, "name": "tuning"}
    assert body["user"]["id"] == "U0ADA"
    assert body["response_url"].startswith(workspace.url)


def test_a_message_shortcut_works_in_a_thread_and_where_the_bot_is_not(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    bodies: Queue[dict[str, Any]] = Queue()

    @app.shortcut("rain")
    def use(ack: Callable[[], None], body: dict[str, Any], respond: Any) -> None:
        ack()
        respond(text="No", thread_ts=body["message"]["thread_ts"])
        bodies.put(body)

    connect(app)
    root = workspace.message("root", channel="C0GENERAL")["ts"]
    reply = workspace.message("reply", channel="C0GENERAL", thread_ts=root)["ts"]
    workspace.person().shortcut(WEATHER, "rain", channel="C0GENERAL", message_ts=reply)
    assert bodies.get(timeout=WAIT_S)["message"]["thread_ts"] == root
    texts = [m["text"] for m in workspace.thread("C0GENERAL", root)]
    assert texts == ["root", "reply", "No"]
    assert len(workspace.thread("C0GENERAL", root, user="U0GRACE")) == 2


def test_only_declared_shortcuts_can_be_used(workspace: RunningWorkspace) -> None:
    ada = workspace.person()
    ts = workspace.message("hello")["ts"]
    with pytest.raises(PersonRefused, match=r"no global shortcut 'rain'\. It has: ask\."):
        ada.shortcut(WEATHER, "rain")
    with pytest.raises(PersonRefused, match=r"no message shortcut 'ask'\. It has: rain\."):
        ada.shortcut(WEATHER, "ask", message_ts=ts)


def test_there_are_no_shortcuts_on_what_one_person_sees(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    psst = client.chat_postEphemeral(channel=TUNING, user="U0ADA", text="psst")["message_ts"]
    with pytest.raises(PersonRefused, match="no shortcuts on this message"):
        workspace.person().shortcut(WEATHER, "rain", message_ts=psst)


def test_a_shortcut_that_nobody_takes_fails_with_a_toast(workspace: RunningWorkspace) -> None:
    ada = workspace.person()
    events = ada.events(timeout_s=WAIT_S)
    answer = ada.shortcut(WEATHER, "ask")
    assert answer == {"ok": True, "delivered": False, "error": "dispatch_failed"}
    name, told = next(events)
    events.close()
    assert name == "toast" and "dispatch_failed" in told["text"]


def test_an_app_without_interactivity_gets_no_shortcut(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, {**MANIFEST, "settings": {"socket_mode_enabled": True}})
    try:
        answer = running.person().shortcut(WEATHER, "ask")
        assert answer == {"ok": True, "delivered": False, "error": "interactivity_disabled"}
    finally:
        running.stop()
