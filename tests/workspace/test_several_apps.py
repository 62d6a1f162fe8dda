"""Apps side by side: each with its manifest, its tokens, its events, and nothing of the others."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.workspace.store import FILE
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST, SCOPES

TUNING = "C0TUNING"
POLLS: dict[str, Any] = {
    "display_information": {"name": "Polls"},
    "features": {
        "slash_commands": [
            {"command": "/poll", "description": "Asks everybody"},
            {"command": "/weather", "description": "Whether to go out"},
        ],
        "shortcuts": [
            {"name": "Ask", "type": "global", "callback_id": "ask", "description": "Asks"}
        ],
    },
    "oauth_config": {"scopes": {"bot": [s for s in SCOPES if s != "team:read"]}},
    "settings": {
        "interactivity": {"is_enabled": True},
        "event_subscriptions": {"bot_events": ["message.channels"]},
        "socket_mode_enabled": True,
    },
}
BUTTON = {
    "type": "actions",
    "block_id": "b",
    "elements": [
        {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
    ],
}


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path / "state", MANIFEST, POLLS)
    yield running
    running.stop()


def client_of(workspace: RunningWorkspace, index: int) -> WebClient:
    return WebClient(workspace.apps[index]["bot_token"], base_url=workspace.api_url)


@pytest.fixture
def polls(workspace: RunningWorkspace, handlers: list[SocketModeHandler]) -> Iterator[App]:
    """The second app, connected; it has no listeners yet."""
    app = App(client=client_of(workspace, 1))
    handler = SocketModeHandler(app, workspace.apps[1]["app_token"])
    handler.connect()
    yield app
    handler.close()


def test_every_app_has_tokens_and_a_name_of_its_own(workspace: RunningWorkspace) -> None:
    first, second = (client_of(workspace, index).auth_test() for index in (0, 1))
    assert (first["user_id"], first["user"]) == ("U0BOT", "weather")
    assert (second["user_id"], second["user"]) == ("U0POLLSBOT", "Polls")
    assert workspace.apps[0]["bot_token"] == workspace.bot_token
    assert len({app[kind] for app in workspace.apps for kind in app}) == 10, "nothing is shared"


def test_scopes_are_those_of_the_app_that_calls(workspace: RunningWorkspace) -> None:
    assert client_of(workspace, 0).team_info()["ok"]
    with pytest.raises(SlackApiError, match="missing_scope"):
        client_of(workspace, 1).team_info()


def test_a_command_goes_to_the_app_installed_last(workspace: RunningWorkspace, polls: App) -> None:
    polls.command("/weather")(lambda ack: ack("Stay in."))
    polls.command("/poll")(lambda ack: ack("Asked."))
    assert workspace.command("/weather")["response"] == {"text": "Stay in."}
    assert workspace.command("/poll")["response"] == {"text": "Asked."}
    shown = workspace.messages()[-1]
    assert (shown["user"], shown["app_id"]) == ("U0POLLSBOT", "A0POLLS")


def test_a_click_goes_to_the_app_that_posted(workspace: RunningWorkspace, polls: App) -> None:
    clicked: Queue[str] = Queue()

    @polls.action("go")
    def go(ack: Callable[[], None], body: dict[str, Any]) -> None:
        ack()
        clicked.put(body["api_app_id"])

    for index in (0, 1):
        client_of(workspace, index).chat_postMessage(channel=TUNING, text="x", blocks=[BUTTON])
    of_first, of_second = workspace.messages()
    # The first app is not connected: nobody takes its click.
    assert workspace.press(of_first, "go") == {
        "ok": True, "delivered": False, "error": "dispatch_failed"
    }  # fmt: skip
    assert workspace.press(of_second, "go")["delivered"]
    assert clicked.get(timeout=5) == "A0POLLS"


def test_an_event_goes_to_every_app_that_asked_for_it(
    workspace: RunningWorkspace, polls: App
) -> None:
    heard: Queue[str] = Queue()
    polls.event("message")(lambda event: heard.put(event["text"]))
    workspace.message("hello")
    assert heard.get(timeout=5) == "hello"


def test_a_trigger_opens_forms_of_its_own_app_alone(
    workspace: RunningWorkspace, polls: App
) -> None:
    triggers: Queue[str] = Queue()

    @polls.command("/poll")
    def poll(ack: Callable[[], None], body: dict[str, Any]) -> None:
        ack()
        triggers.put(body["trigger_id"])

    view = {"type": "modal", "title": {"type": "plain_text", "text": "T"}, "blocks": [BUTTON]}
    workspace.command("/poll")
    trigger = triggers.get(timeout=5)
    with pytest.raises(SlackApiError, match="invalid_trigger_id"):
        client_of(workspace, 0).views_open(trigger_id=trigger, view=view)
    opened = client_of(workspace, 1).views_open(trigger_id=trigger, view=view)["view"]
    with pytest.raises(SlackApiError, match="not_found"):
        client_of(workspace, 0).views_update(view_id=opened["id"], view=view)


def test_an_app_changes_only_its_own_messages_and_sees_only_its_own_conversations(
    workspace: RunningWorkspace,
) -> None:
    first, second = client_of(workspace, 0), client_of(workspace, 1)
    posted = first.chat_postMessage(channel=TUNING, text="mine")
    with pytest.raises(SlackApiError, match="cant_update_message"):
        second.chat_update(channel=TUNING, ts=posted["ts"], text="yours")
    psst = first.chat_postMessage(channel="U0ADA", text="psst")
    assert second.chat_postMessage(channel="U0ADA", text="psst")["channel"] != psst["channel"]
    with pytest.raises(SlackApiError, match="channel_not_found"):
        second.chat_postMessage(channel=psst["channel"], text="I am not in here")


def test_the_page_knows_every_app(workspace: RunningWorkspace, polls: App) -> None:
    first, second = workspace.state()["apps"]
    assert (first["name"], first["is_connected"]) == ("weather-bot", False)
    assert (second["name"], second["is_connected"]) == ("Polls", True)
    assert [s["callback_id"] for s in second["shortcuts"]] == ["ask"]


def test_two_apps_of_one_name_are_two_apps(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path / "state", MANIFEST, MANIFEST)
    try:
        ids = [app["app_id"] for app in running.apps]
        assert ids == ["A0WEATHER", "A0WEATHERX"]
    finally:
        running.stop()


def test_tokens_stay_the_same_over_a_restart(tmp_path: Path) -> None:
    starts = []
    for _ in range(2):
        running = RunningWorkspace(tmp_path / "state", MANIFEST, POLLS)
        starts.append(running.apps)
        running.stop()
    assert starts[0] == starts[1]


OLD_FORMAT = """
CREATE TABLE people (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE channels (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created INTEGER NOT NULL, im_user TEXT NOT NULL,
    last_ts TEXT NOT NULL
);
CREATE TABLE members (channel TEXT, person TEXT, PRIMARY KEY (channel, person)) WITHOUT ROWID;
CREATE TABLE messages (
    channel TEXT NOT NULL, ts TEXT NOT NULL, thread_ts TEXT NOT NULL, in_channel INTEGER NOT NULL,
    author TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (channel, ts)
);
INSERT INTO channels VALUES ('C0TUNING', 'tuning', 1700000000, '', '1700000001.000000');
INSERT INTO channels VALUES ('D0ADA', '', 1700000000, 'U0ADA', '1700000001.000000');
INSERT INTO members VALUES ('D0ADA', 'U0ADA'), ('D0ADA', 'U0BOT');
INSERT INTO messages VALUES ('D0ADA', '1700000001.000000', '1700000001.000000', 1, 'U0BOT',
    '{"type": "message", "user": "U0BOT", "text": "from before", "ts": "1700000001.000000"}');
PRAGMA user_version=1;
"""


def test_what_an_older_version_wrote_is_taken_over(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        db.executescript(OLD_FORMAT)
    running = RunningWorkspace(tmp_path, MANIFEST)
    try:
        assert running.messages("D0ADA")[0]["text"] == "from before"
        direct = client_of(running, 0).conversations_open(users="U0ADA")
        assert direct["channel"]["id"] == "D0ADA"
    finally:
        running.stop()
