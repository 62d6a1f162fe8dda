"""App Home: the app hears when it is opened, what it publishes stays, and people act on it."""

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
from tests.workspace.parts import BUTTON_BLOCKS, WAIT_S, Connect, error_of, modal, plain

WEATHER = "A0WEATHER"
UNIT = {
    "type": "input",
    "block_id": "unit",
    "label": plain("Unit"),
    "dispatch_action": True,
    "element": {"type": "plain_text_input", "action_id": "text", "initial_value": "Celsius"},
}


def home(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"type": "home", "blocks": list(blocks)}


def opened_homes(app: App) -> Queue[dict[str, Any]]:
    opened: Queue[dict[str, Any]] = Queue()
    app.event("app_home_opened")(lambda body: opened.put(body))
    return opened


def test_the_app_hears_of_an_opened_home_and_publishes_it(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.event("app_home_opened")
    def opened(event: dict[str, Any], client: WebClient) -> None:
        client.views_publish(user_id=event["user"], view=home(*BUTTON_BLOCKS))

    connect(app)
    ada = workspace.person()
    events = ada.events(timeout_s=WAIT_S)
    first = ada.home(WEATHER)
    assert first["delivered"] and first["view"] is None
    name, told = next(events)
    events.close()
    assert name == "home" and told["app"] == WEATHER
    assert told["view"]["type"] == "home" and told["view"]["blocks"][0]["block_id"] == "row"
    assert ada.home(WEATHER)["view"] == told["view"]


def test_an_opened_home_carries_the_view_that_was_published(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    opened = opened_homes(app)
    connect(app)
    ada = workspace.person()
    direct = ada.home(WEATHER)["channel"]
    body = opened.get(timeout=WAIT_S)
    assert body["event"].pop("event_ts")
    assert body["event"] == {
        "type": "app_home_opened", "user": "U0ADA", "channel": direct, "tab": "home"
    }  # fmt: skip
    assert body["authorizations"][0]["user_id"] == "U0BOT" and body["api_app_id"] == WEATHER
    view_id = client.views_publish(user_id="U0ADA", view=home(UNIT))["view"]["id"]
    ada.home(WEATHER)
    assert opened.get(timeout=WAIT_S)["event"]["view"]["id"] == view_id
    ada.home(WEATHER, "messages")
    event = opened.get(timeout=WAIT_S)["event"]
    assert event["tab"] == "messages" and "view" not in event


def test_only_the_person_it_was_published_for_sees_a_home(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    grace = workspace.person("U0GRACE")
    events = grace.events(timeout_s=WAIT_S)
    view = client.views_publish(user_id="U0ADA", view=home(*BUTTON_BLOCKS))["view"]
    client.views_publish(user_id="U0GRACE", view=home())
    _, told = next(events)
    events.close()
    assert told["view"]["id"] != view["id"]
    assert grace.home(WEATHER)["view"]["blocks"] == []
    pressed = {"type": "button", "block_id": "row", "action_id": "again"}
    with pytest.raises(PersonRefused, match="not open any more"):
        grace.action(pressed, view_id=view["id"])


def test_a_click_on_a_home_view_carries_the_view_and_opens_a_form(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    clicks: Queue[dict[str, Any]] = Queue()

    @app.action("again")
    def again(ack: Callable[[], None], body: dict[str, Any], client: WebClient) -> None:
        ack()
        clicks.put(body)
        client.views_open(trigger_id=body["trigger_id"], view=modal())

    connect(app)
    view = client.views_publish(user_id="U0ADA", view=home(UNIT, *BUTTON_BLOCKS))["view"]
    ada = workspace.person()
    typed = {"unit": {"text": {"type": "plain_text_input", "value": "Kelvin"}}}
    pressed = {"type": "button", "block_id": "row", "action_id": "again"}
    assert ada.action(pressed, view_id=view["id"], values=typed)["delivered"]
    body = clicks.get(timeout=WAIT_S)
    assert body["container"] == {"type": "view", "view_id": view["id"]}
    assert body["view"]["type"] == "home"
    assert body["view"]["state"]["values"]["unit"]["text"]["value"] == "Kelvin"
    assert "response_url" not in body and "channel" not in body and "message" not in body
    assert workspace.wait_for(ada.view)["title"]["text"] == "Forecast"


def test_what_was_typed_on_a_home_stays_under_the_same_ids(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    app.action("text")(lambda ack: ack())
    connect(app)
    view = client.views_publish(user_id="U0ADA", view=home(UNIT))["view"]
    ada = workspace.person()
    typed = {"type": "plain_text_input", "value": "Kelvin"}
    ada.action({**typed, "block_id": "unit", "action_id": "text"}, view_id=view["id"])
    client.views_publish(user_id="U0ADA", view=home(UNIT, {"type": "divider"}))
    assert ada.home(WEATHER)["view"]["state"]["values"]["unit"]["text"] == typed


def test_a_home_needs_the_newest_hash_and_outlives_a_restart(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, MANIFEST)
    client = WebClient(running.bot_token, base_url=running.api_url)
    view = client.views_publish(user_id="U0ADA", view=home(UNIT))["view"]
    running.stop()
    running = RunningWorkspace(tmp_path, MANIFEST)
    try:
        client = WebClient(running.bot_token, base_url=running.api_url)
        again: dict[str, Any] = {"user_id": "U0ADA", "view": home(), "hash": view["hash"]}
        assert running.person().home(WEATHER)["view"]["hash"] == view["hash"]
        assert client.views_publish(**again)["view"]["id"] == view["id"]
        assert error_of(client.views_publish, **again) == "hash_conflict"
    finally:
        running.stop()


def test_an_app_hears_nothing_that_it_has_not_asked_for(tmp_path: Path) -> None:
    manifest = {**MANIFEST, "settings": {"socket_mode_enabled": True}}
    running = RunningWorkspace(tmp_path, manifest)
    try:
        opened = running.person().home(WEATHER)
        assert not opened["delivered"] and opened["view"] is None
    finally:
        running.stop()


def test_an_app_without_a_home_has_no_tab_and_cannot_publish(tmp_path: Path) -> None:
    features = {**MANIFEST["features"], "app_home": {"messages_tab_enabled": True}}
    running = RunningWorkspace(tmp_path, {**MANIFEST, "features": features})
    client = WebClient(running.bot_token, base_url=running.api_url)
    try:
        with pytest.raises(PersonRefused, match=r"no tab 'home'\. It has: messages"):
            running.person().home(WEATHER)
        assert error_of(client.views_publish, user_id="U0ADA", view=home()) == "not_enabled"
        with pytest.raises(PersonRefused, match="no app 'A0NONE'"):
            running.person().home("A0NONE")
    finally:
        running.stop()
