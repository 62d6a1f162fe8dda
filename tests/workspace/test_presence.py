"""Pages hear which apps are connected, as they come and go."""

from __future__ import annotations

from typing import Any

from slack_sdk.socket_mode import SocketModeClient

from tests.harness import RunningWorkspace


def connection(workspace: RunningWorkspace) -> SocketModeClient:
    client = SocketModeClient(workspace.app_token)
    client.web_client.base_url = workspace.api_url
    return client


def next_apps(events: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(data for name, data in events if name == "apps")["apps"]
    return found


def test_pages_are_told_when_an_app_comes_and_when_it_goes(workspace: RunningWorkspace) -> None:
    app_id = workspace.state()["apps"][0]["id"]
    events = workspace.person().events(timeout_s=20)
    client = connection(workspace)
    client.connect()
    assert next_apps(events) == [{"id": app_id, "is_connected": True}]
    assert workspace.state()["apps"][0]["is_connected"]
    client.close()
    assert next_apps(events) == [{"id": app_id, "is_connected": False}]
    events.close()


def test_a_second_connection_of_an_app_is_no_news(workspace: RunningWorkspace) -> None:
    first, second = connection(workspace), connection(workspace)
    first.connect()
    events = workspace.person().events(timeout_s=20)
    second.connect()
    workspace.message("after the second connection")
    name, _ = next(event for event in events if event[0])
    assert name == "message"
    events.close()
    first.close()
    second.close()
