"""A workspace with a small app of no particular trade, and an unmodified Bolt app for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.workspace.timing import Clock, Timing
from tests.harness import RunningWorkspace

# More than the three seconds that the SDK's client takes.
CLOSING_S = 20.0
SCOPES = [
    "commands",
    "chat:write",
    "channels:history",
    "channels:read",
    "channels:join",
    "im:history",
    "im:read",
    "im:write",
    "reactions:write",
    "users:read",
    "team:read",
    "app_mentions:read",
]
MANIFEST: dict[str, Any] = {
    "display_information": {"name": "weather-bot"},
    "features": {
        "bot_user": {"display_name": "weather"},
        "app_home": {"home_tab_enabled": True},
        "slash_commands": [
            {"command": "/weather", "description": "How it will be", "usage_hint": "[town]"}
        ],
        "shortcuts": [
            {
                "name": "Ask",
                "type": "global",
                "callback_id": "ask",
                "description": "How will it be",
            },
            {
                "name": "Will it rain?",
                "type": "message",
                "callback_id": "rain",
                "description": "Reads a date",
            },
        ],
    },
    "oauth_config": {"scopes": {"bot": SCOPES}},
    "settings": {
        "interactivity": {"is_enabled": True},
        "event_subscriptions": {
            "bot_events": ["app_home_opened", "app_mention", "message.channels", "message.im"]
        },
        "socket_mode_enabled": True,
    },
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def behind() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Does things behind the tests, and at the end waits for them, but not for ever: a client that
    does not let go must not hold up the suite.
    """
    doing: list[threading.Thread] = []

    def start(work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        doing.append(thread)

    yield start
    for thread in doing:
        thread.join(CLOSING_S)


@pytest.fixture
def handlers() -> list[SocketModeHandler]:
    """The Socket Mode clients of this test."""
    return []


@pytest.fixture
def workspace(
    tmp_path: Path,
    clock: Clock,
    handlers: list[SocketModeHandler],
    behind: Callable[[Callable[[], None]], None],
) -> Iterator[RunningWorkspace]:
    running = RunningWorkspace(tmp_path / "state", MANIFEST, timing=Timing(clock=clock))
    yield running

    def end() -> None:
        # The SDK's client takes three seconds to close: it waits for a read to time out.
        for handler in handlers:
            handler.close()
        running.stop()

    behind(end)


@pytest.fixture
def client(workspace: RunningWorkspace) -> WebClient:
    return WebClient(workspace.bot_token, base_url=workspace.api_url)


@pytest.fixture
def app(client: WebClient) -> App:
    """An app without listeners; `connect` it when they are there."""
    return App(client=client)


@pytest.fixture
def connect(
    workspace: RunningWorkspace, handlers: list[SocketModeHandler]
) -> Callable[[App], SocketModeHandler]:
    """Connects an app over Socket Mode with the SDK's own client."""

    def connected(app: App) -> SocketModeHandler:
        handler = SocketModeHandler(app, workspace.app_token)
        handler.connect()
        handlers.append(handler)
        return handler

    return connected
