"""The recorder: what went between apps and the workspace, for assertions and for the inspector."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.workspace import recorder as recorder_module
from bot.workspace.recorder import BODY_LIMIT, ENTRIES_LIMIT, PAGE_ENTRIES_LIMIT, Recorder
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

Connect = Callable[[App], Any]
TUNING = "C0TUNING"
WEATHER = "A0WEATHER"
WAIT_S = 20


def a_recorder() -> Recorder:
    return Recorder(lambda: 1000.0, lambda _: None)


def note(recorder: Recorder, name: str, request: Any = None, **outcome: Any) -> None:
    recorder.end(recorder.begin("call", name, request), **outcome)


def names(recorder: Recorder, **wanted: Any) -> list[str]:
    return [entry.name for entry in recorder.entries(**wanted)]


# --- what it keeps --------------------------------------------------------------------------------


def test_an_entry_waits_until_it_is_answered() -> None:
    recorder = a_recorder()
    entry = recorder.begin("call", "auth.test")
    assert recorder.page(0)[0]["ms"] is None
    recorder.end(entry, status=200, answer={"ok": True})
    (shown,) = recorder.page(0)
    assert shown["ms"] >= 0 and shown["ok"] and shown["answer"] == {"ok": True}


def test_the_oldest_are_forgotten_first() -> None:
    recorder = a_recorder()
    first = recorder.begin("call", "0")
    for number in range(1, ENTRIES_LIMIT + 1):
        note(recorder, str(number))
    recorder.end(first, answer="late")
    assert names(recorder)[0] == "1" and len(names(recorder)) == ENTRIES_LIMIT


def test_all_bodies_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "TOTAL_LIMIT", 1000)
    recorder = a_recorder()
    for number in range(5):
        note(recorder, str(number), "x" * 200, answer="y" * 200)
    assert names(recorder) == ["3", "4"]


def test_entries_are_chosen_by_kind_name_and_number() -> None:
    recorder = a_recorder()
    note(recorder, "a")
    note(recorder, "b")
    recorder.begin("socket", "a")
    assert names(recorder, kind="call") == ["a", "b"]
    assert names(recorder, name="a") == ["a", "a"]
    assert names(recorder, since=1) == ["b", "a"]


def test_the_page_gets_the_latest_with_large_bodies_cut() -> None:
    recorder = a_recorder()
    for number in range(PAGE_ENTRIES_LIMIT + 1):
        note(recorder, str(number), answer="x" * 50_000 if number == PAGE_ENTRIES_LIMIT else None)
    page = recorder.page(0)
    assert [page[0]["name"], page[-1]["name"]] == ["1", str(PAGE_ENTRIES_LIMIT)]
    assert "50,002 characters" in page[-1]["answer"] and len(page[-1]["answer"]) < 5000
    assert recorder.entries()[-1].shown()["answer"] == "x" * 50_000


def test_a_body_beyond_all_measure_is_cut_at_once() -> None:
    recorder = a_recorder()
    note(recorder, "a", ["x" * BODY_LIMIT])
    assert len(recorder.entries()[0].request) < 5000


@pytest.mark.parametrize(
    "body",
    [
        {"token": "1-anything at all"},
        {"headers": {"Authorization": "Bearer anything at all"}},
        {"text": "I am xoxb-1-anything at all"},
        {"list": ["xapp-1-anything at all"]},
        {"token": 'with a " in 1-anything at all'},
    ],
)
def test_tokens_are_not_kept(body: dict[str, Any]) -> None:
    recorder = a_recorder()
    note(recorder, "a", body, answer=body)
    (entry,) = recorder.entries()
    for kept in (entry.request, entry.answer):
        assert "1-anything" not in kept and "Bearer" not in kept and "…" in kept


# --- what it is told ------------------------------------------------------------------------------


def inspect(workspace: RunningWorkspace, query: str = "") -> Any:
    url = f"{workspace.url}/ui/inspector?user=U0ADA{query}"
    request = urllib.request.Request(url, headers=workspace.headers)
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def test_calls_stand_with_their_arguments_answers_and_complaints(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    client.chat_postMessage(channel=TUNING, text="hello")
    header = {"type": "header", "text": {"type": "mrkdwn", "text": "no"}}
    with pytest.raises(SlackApiError):
        client.chat_postMessage(channel=TUNING, text="x", blocks=[header])
    good, bad = workspace.recorded(kind="call", name="chat.postMessage")
    assert (good["app"], good["ok"], good["status"], good["error"]) == (WEATHER, True, 200, "")
    assert good["request"]["text"] == "hello" and good["answer"]["message"]["text"] == "hello"
    assert good["ms"] > 0 and good["n"] < bad["n"] and good["complaints"] == []
    assert not bad["ok"] and bad["error"] == "invalid_blocks"
    assert any("json-pointer:/blocks/0/text" in words for words in bad["complaints"])
    assert workspace.bot_token not in json.dumps(workspace.recorded())


def test_unknown_methods_are_counted(client: WebClient, workspace: RunningWorkspace) -> None:
    for _ in range(2):
        with pytest.raises(SlackApiError):
            client.api_call("chat.sing")
    answer = inspect(workspace)
    assert answer["unknown_methods"] == {"chat.sing": 2}
    assert [entry["error"] for entry in answer["entries"]] == ["unknown_method"] * 2
    assert inspect(workspace, "&since=1")["entries"] == answer["entries"][1:]


@pytest.mark.parametrize("since", ["x", "-1", "9" * 20])
def test_since_is_the_number_of_an_entry(workspace: RunningWorkspace, since: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        inspect(workspace, f"&since={since}")
    with refused.value as answer:
        assert answer.code == 400 and "since" in json.load(answer)["error"]


def test_connections_deliveries_and_answers_to_response_urls_stand_too(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.command("/weather")
    def weather(ack: Any, respond: Any) -> None:
        ack("Sunny")
        respond("And warm")

    connect(app)
    workspace.command("/weather here")
    workspace.wait_for(
        lambda: [e for e in workspace.recorded(kind="response_url") if e["ms"]], inspects=True
    )
    assert workspace.recorded(kind="socket", name="connect")[0]["answer"]["type"] == "hello"
    (envelope,) = workspace.recorded(kind="envelope")
    assert envelope["name"] == "slash_commands /weather" and envelope["app"] == WEATHER
    assert envelope["request"]["text"] == "here" and envelope["answer"] == {"text": "Sunny"}
    (answer,) = workspace.recorded(kind="response_url")
    assert (answer["app"], answer["status"], answer["answer"]) == (WEATHER, 200, "ok")
    assert answer["request"]["text"] == "And warm"
    shown = inspect(workspace)["apps"]
    assert shown == [
        {"id": WEATHER, "name": "weather-bot", "transport": "socket", "connections": 1}
    ]


def test_uploads_stand_without_their_bytes(tmp_path: Path) -> None:
    manifest = {**MANIFEST, "oauth_config": {"scopes": {"bot": ["files:write"]}}}
    running = RunningWorkspace(tmp_path, manifest)
    client = WebClient(running.bot_token, base_url=running.api_url)
    client.files_upload_v2(filename="a.txt", content="secret")
    (upload,) = running.recorded(kind="upload")
    running.stop()
    assert (upload["app"], upload["ok"], upload["status"]) == (WEATHER, True, 200)
    assert upload["request"]["bytes"] == 6 and "secret" not in json.dumps(upload)


def test_a_delivery_that_failed_says_why(workspace: RunningWorkspace) -> None:
    workspace.command("/weather")
    (envelope,) = workspace.recorded(kind="envelope")
    assert (envelope["ok"], envelope["error"]) == (False, "dispatch_failed")


def test_only_a_page_with_an_inspector_hears_of_what_is_seen(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    plain = workspace.person().events(timeout_s=WAIT_S)
    inspecting = workspace.person().events(timeout_s=WAIT_S, inspects=True)
    client.auth_test()
    assert next(inspecting) == ("seen", {"n": 1})
    client.chat_postMessage(channel=TUNING, text="x")
    assert next(plain)[0] == "message"
    for events in (plain, inspecting):
        events.close()


def test_pages_hear_at_most_ten_times_a_second(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    events = workspace.person().events(timeout_s=WAIT_S, inspects=True)
    for _ in range(20):
        client.auth_test()
    told = [next(events)[1]["n"]]
    while told[-1] < 20:
        told.append(next(events)[1]["n"])
    assert len(told) < 20
    events.close()
