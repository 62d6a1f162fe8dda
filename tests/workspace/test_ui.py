"""The endpoints of the page: who may ask, what people see, and what they hear of at once."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from slack_sdk import WebClient

from bot.workspace.person import PersonRefused
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

TUNING = "C0TUNING"
WAIT_S = 20
OURS = {"Content-Type": "application/json", "X-Workspace-Client": "1"}


def ask(
    workspace: RunningWorkspace, method: str, path: str, headers: dict[str, str], body: str = ""
) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(workspace.url).port)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read(), dict(response.headers)
    finally:
        connection.close()


# --- who may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/ui/state", "/api/auth.test", "/static/app.js"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "evil.example:80"])
def test_a_foreign_host_name_is_refused_everywhere(
    workspace: RunningWorkspace, path: str, host: str
) -> None:
    status, body, _ = ask(workspace, "GET", path, {"Host": host})
    assert status == 403 and json.loads(body)["ok"] is False


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_every_name_of_this_machine_is_taken(workspace: RunningWorkspace, name: str) -> None:
    host = f"{name}:{urlsplit(workspace.url).port}"
    assert ask(workspace, "GET", "/ui/state", {"Host": host, **workspace.headers})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"X-Workspace-Client": "1", "Content-Type": "text/plain"},
        {"X-Workspace-Client": "1"},
        {"X-Workspace-Client": "yes", "Content-Type": "application/json"},
    ],
)
def test_a_post_that_another_origin_could_send_is_refused(
    workspace: RunningWorkspace, headers: dict[str, str]
) -> None:
    body = json.dumps({"channel": TUNING, "text": "forged"})
    with_token = {**headers, **workspace.headers}
    assert ask(workspace, "POST", "/ui/message", with_token, body)[0] == 403
    assert workspace.messages() == []
    assert ask(workspace, "POST", "/ui/message", {**OURS, **workspace.headers}, body)[0] == 200
    assert [m["text"] for m in workspace.messages()] == ["forged"]


@pytest.mark.parametrize("path", ["/", "/archives/C0TUNING/p1", "/static/app.js", "/ui/state"])
def test_every_answer_carries_the_content_policy(workspace: RunningWorkspace, path: str) -> None:
    status, _, headers = ask(workspace, "GET", path, workspace.headers)
    assert status == 200
    assert headers["Content-Security-Policy"] == (
        "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/../server.py", "/static/%2e%2e/server.py"])
def test_nothing_outside_the_static_folder_is_served(
    workspace: RunningWorkspace, path: str
) -> None:
    assert ask(workspace, "GET", path, {})[0] in (403, 404)


@pytest.mark.parametrize("body", ["", "{", "[]", '{"channel": 7}', '{"channel": "C0TUNING"}'])
def test_a_wrong_body_is_refused_with_a_sentence(workspace: RunningWorkspace, body: str) -> None:
    headers = {**OURS, **workspace.headers}
    status, answer, _ = ask(workspace, "POST", "/ui/message", headers, body)
    assert status in (400, 404) and json.loads(answer)["error"].endswith(".")


def test_a_command_in_a_thread_is_refused_in_slacks_words(workspace: RunningWorkspace) -> None:
    root = workspace.message("hello")["ts"]
    body = json.dumps({"channel": TUNING, "command": "/weather", "text": "x", "thread_ts": root})
    headers = {**OURS, **workspace.headers}
    status, answer, _ = ask(workspace, "POST", "/ui/command", headers, body)
    assert status == 400
    assert json.loads(answer)["error"] == "/weather is not supported in threads. Sorry!"


def test_a_button_of_an_app_without_interactivity_does_nothing(tmp_path: Path) -> None:
    manifest = {**MANIFEST, "settings": {"socket_mode_enabled": True}}
    running = RunningWorkspace(tmp_path, manifest)
    button = {"type": "button", "action_id": "a", "text": {"type": "plain_text", "text": "A"}}
    WebClient(running.bot_token, base_url=running.api_url).chat_postMessage(
        channel=TUNING, text="x", blocks=[{"type": "actions", "elements": [button]}]
    )
    (message,) = running.messages()
    answer = running.press(message, "a")
    running.stop()
    assert answer == {"ok": True, "delivered": False, "error": "interactivity_disabled"}


def test_a_link_needs_a_ticket(workspace: RunningWorkspace) -> None:
    assert ask(workspace, "GET", "/link?ticket=guess", {})[0] == 403


# --- what people see ------------------------------------------------------------------------------


def test_the_page_learns_who_and_what_there_is(workspace: RunningWorkspace) -> None:
    state = workspace.state(user="U0GRACE")
    assert state["me"] == {"id": "U0GRACE", "name": "grace", "real_name": "Grace Hopper"}
    assert [p["id"] for p in state["people"] if not p["is_bot"]] == ["U0ADA", "U0GRACE", "U0GUEST"]
    assert state["commands"] == [
        {
            "command": "/weather",
            "description": "How it will be",
            "usage_hint": "[town]",
            "app": "weather-bot",
            "app_id": "A0WEATHER",
        }
    ]
    assert [p["role"] for p in state["people"]] == ["owner", "member", "guest", "bot", "bot"]
    general, tuning = state["channels"]
    assert general["id"] == "C0GENERAL" and not general["bot_is_member"]
    assert tuning["name"] == "tuning" and tuning["bot_is_member"] and tuning["is_member"]
    assert state["team"]["url"] == f"{workspace.url}/"


def test_nobody_is_the_first_person(workspace: RunningWorkspace) -> None:
    _, body, _ = ask(workspace, "GET", "/ui/state", workspace.headers)
    assert json.loads(body)["me"]["id"] == "U0ADA"
    with pytest.raises(PersonRefused, match="no person 'U0BOT'"):
        workspace.state(user="U0BOT")


def test_older_messages_are_read_page_by_page(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    person = workspace.person()
    for number in range(5):
        person.message(str(number))
        client.chat_postEphemeral(channel=TUNING, user="U0ADA", text=f"only {number}")
    newest = person.messages(limit=2)
    # What only one person sees does not count, but stands where it came.
    assert [m["text"] for m in newest] == ["3", "only 3", "4", "only 4"]
    older = person.messages(limit=2, before=newest[0]["ts"])
    assert [m["text"] for m in older] == ["1", "only 1", "2", "only 2"]
    oldest = person.messages(limit=2, before=older[0]["ts"])
    assert [m["text"] for m in oldest] == ["0", "only 0"]


def test_a_stranger_cannot_read_a_direct_message(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    direct = client.chat_postMessage(channel="U0ADA", text="psst")
    with pytest.raises(PersonRefused, match="no channel 'D0ADA'"):
        workspace.messages(direct["channel"], user="U0GRACE")


def test_links_and_mentions_stay_and_the_rest_is_escaped(workspace: RunningWorkspace) -> None:
    workspace.message("a<b & <https://x.org?a=1&b=2|x> <@U0ADA> @grace @nobody x@ada.org")
    (message,) = workspace.messages()
    assert message["text"] == (
        "a&lt;b &amp; <https://x.org?a=1&b=2|x> <@U0ADA> <@U0GRACE> @nobody x@ada.org"
    )


# --- what people hear of at once ------------------------------------------------------------------


def test_pages_hear_of_messages_replies_changes_and_deletions(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    events = workspace.person("U0GRACE").events(timeout_s=WAIT_S)
    root = client.chat_postMessage(channel=TUNING, text="root")["ts"]
    name, data = next(events)
    assert name == "message" and data["channel"] == TUNING and data["message"]["ts"] == root
    reply = client.chat_postMessage(channel=TUNING, text="reply", thread_ts=root)["ts"]
    name, data = next(events)
    assert name == "message" and data["message"]["thread_ts"] == root
    name, data = next(events)
    assert name == "message_changed" and data["message"]["reply_count"] == 1
    client.chat_update(channel=TUNING, ts=reply, text="better")
    name, data = next(events)
    assert name == "message_changed" and data["message"]["text"] == "better"
    client.chat_delete(channel=TUNING, ts=reply)
    assert next(events) == (
        "message_deleted",
        {"channel": TUNING, "ts": reply, "thread_ts": root},
    )
    name, data = next(events)
    assert name == "message_changed" and "reply_count" not in data["message"]
    events.close()


def test_pages_hear_only_what_their_person_may_see(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    ada = workspace.person("U0ADA").events(timeout_s=WAIT_S)
    grace = workspace.person("U0GRACE").events(timeout_s=WAIT_S)
    client.chat_postEphemeral(channel=TUNING, user="U0ADA", text="psst")
    client.chat_postMessage(channel="U0ADA", text="direct")
    workspace.command("/weather", user="U0ADA")
    workspace.message("for all", user="U0ADA")
    told = [next(ada) for _ in range(5)]
    names = ["ephemeral", "message", "ephemeral", "toast", "message"]
    assert [name for name, _ in told] == names
    assert told[3][1]["text"] == '/weather failed with the error "dispatch_failed"'
    name, data = next(grace)
    assert name == "message" and data["message"]["text"] == "for all"
    ada.close()
    grace.close()
