"""Incoming webhooks through the real slack_sdk.webhook client."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.webhook import WebhookClient

from bot.workspace.timing import Clock, Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, manifest

SCOPES = ["incoming-webhook", "channels:manage"]


def start(folder: Path) -> RunningWorkspace:
    """An app with a webhook, and one without."""
    apps = manifest("caller", SCOPES), manifest("mute", ["chat:write"])
    return RunningWorkspace(folder, *apps, timing=Timing(has_rate_limits=False))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    running = start(tmp_path)
    yield running
    running.stop()


def webhook(workspace: RunningWorkspace) -> WebhookClient:
    return WebhookClient(workspace.apps[0]["incoming_webhook"])


def test_a_webhook_posts_to_the_channel_of_the_app(workspace: RunningWorkspace) -> None:
    answer = webhook(workspace).send(text="hello", blocks=[{"type": "divider"}])
    assert (answer.status_code, answer.body) == (200, "ok")
    (message,) = workspace.messages()
    assert (message["text"], message["bot_id"]) == ("hello", "B0CALLER")
    webhook(workspace).send_dict({"text": "reply", "thread_ts": message["ts"]})
    assert workspace.thread("C0TUNING", message["ts"])[1]["text"] == "reply"
    assert "incoming_webhook" not in workspace.apps[1]


def test_a_webhook_takes_a_form_as_well(workspace: RunningWorkspace) -> None:
    body = urllib.parse.urlencode({"payload": '{"text": "form"}'}).encode()
    with urllib.request.urlopen(workspace.apps[0]["incoming_webhook"], body) as response:
        assert response.read() == b"ok"
    assert workspace.messages()[0]["text"] == "form"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"text": ""}, 400, "no_text"),
        ({"text": "x", "blocks": [{"type": "nothing"}]}, 400, "invalid_blocks"),
        ({"text": "x", "attachments": [{}] * 101}, 400, "too_many_attachments"),
        ({"text": "x", "thread_ts": "1.000001"}, 400, "thread_not_found"),
        (
            {
                "text": "x",
                "blocks": [{"type": "image", "alt_text": "a", "slack_file": {"id": "F9"}}],
            },
            400,
            "invalid_blocks",
        ),
    ],
)
def test_a_message_that_a_webhook_cannot_post_is_refused(
    workspace: RunningWorkspace, body: dict[str, Any], status: int, text: str
) -> None:
    answer = webhook(workspace).send_dict(body)
    assert (answer.status_code, answer.body) == (status, text)
    assert workspace.messages() == []


def test_a_webhook_needs_its_own_address(workspace: RunningWorkspace) -> None:
    url = workspace.apps[0]["incoming_webhook"]
    hello = {"text": "x"}
    assert WebhookClient(url + "x").send_dict(hello).body == "invalid_token"
    mute = url.replace("B0CALLER", "B0MUTE")
    assert WebhookClient(mute).send_dict(hello).body == "no_service"
    client_of(workspace).conversations_archive(channel="C0TUNING")
    answer = WebhookClient(url).send_dict(hello)
    assert (answer.status_code, answer.body) == (410, "channel_is_archived")


def test_a_webhook_stays_over_a_restart_and_goes_with_its_app(tmp_path: Path) -> None:
    first = start(tmp_path)
    path = urllib.parse.urlsplit(first.apps[0]["incoming_webhook"]).path
    first.stop()
    second = start(tmp_path)
    url = second.apps[0]["incoming_webhook"]
    assert urllib.parse.urlsplit(url).path == path
    client_of(second).auth_revoke()
    assert WebhookClient(url).send_dict({"text": "x"}).body == "no_service"
    second.stop()


def test_posts_to_a_webhook_are_recorded_and_limited_as_those_of_the_api(tmp_path: Path) -> None:
    stopped = Clock(source=lambda: 1_700_000_000.0)
    running = RunningWorkspace(tmp_path, manifest("caller", SCOPES), timing=Timing(clock=stopped))
    try:
        codes = [webhook(running).send(text=str(number)).status_code for number in range(11)]
        assert codes == [200] * 10 + [429]
        stopped.advance(1)
        assert webhook(running).send(text="after a second").status_code == 200
        kept = running.recorded(kind="webhook")
        assert [entry["ok"] for entry in kept] == [True] * 10 + [False, True]
        assert (kept[0]["app"], kept[0]["request"]) == ("A0CALLER", {"text": "0"})
    finally:
        running.stop()
