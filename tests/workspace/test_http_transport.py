"""Signed HTTP on the wire: bodies, signatures, answers, verification, retries."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from slack_sdk.signature import SignatureVerifier

from bot.workspace.refusals import ManifestRefused
from bot.workspace.request_urls import RequestUrls
from bot.workspace.timing import Clock
from tests.workspace.wire import WAIT_S, Got, Listener, Wire, a_wire, answers_well, over_http

Play = Callable[[Wire, Listener], Awaitable[None]]
NOW = (0.0, 0.0, 0.0)
LOCAL = "http://127.0.0.1:3000/slack"
ALL_LOCAL = {"command": LOCAL, "action": LOCAL, "options": LOCAL, "events": LOCAL}


def run(folder: Path, play: Play, **timing: Any) -> None:
    """Plays at a workspace whose app listens already."""

    async def whole() -> None:
        listener = Listener()
        await listener.start()
        try:
            async with a_wire(folder, listener.manifest(), **timing) as wire:
                assert (await listener.next()).json["type"] == "url_verification"
                await asyncio.wait_for(play(wire, listener), WAIT_S)
        finally:
            await listener.stop()

    asyncio.run(whole())


def always(**answer: Any) -> Callable[[Got], web.Response]:
    """Verifies, and answers everything else like this."""

    def answered(got: Got) -> web.Response:
        is_question = got.path == "/events" and got.json["type"] == "url_verification"
        return answers_well(got) if is_question else web.Response(**answer)

    return answered


def test_a_command_is_a_signed_form(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        assert await wire.command("Paris <3") == {"ok": True, "delivered": True}
        got = await listener.next()
        assert got.path == "/command"
        assert got.headers["Content-Type"] == "application/x-www-form-urlencoded"
        form = {name: values[0] for name, values in parse_qs(got.body.decode()).items()}
        assert form["command"] == "/weather" and form["text"] == "Paris <3"
        assert form["response_url"].startswith(wire.running.url) and form["trigger_id"]
        verifier = SignatureVerifier(wire.running.tokens.signing_secret)
        assert verifier.is_valid_request(got.body, dict(got.headers))
        assert not verifier.is_valid_request(got.body + b" ", dict(got.headers))
        assert "X-Slack-Retry-Num" not in got.headers

    run(tmp_path, play)


def test_an_interaction_is_a_form_with_one_field_and_an_event_is_json(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        assert (await wire.press())["delivered"]
        assert (await listener.next()).path == "/events", "an app hears of its own messages, too"
        got = await listener.next()
        assert got.path == "/action"
        (payload,) = parse_qs(got.body.decode(), strict_parsing=True)["payload"]
        assert json.loads(payload)["type"] == "block_actions"
        await wire.message("hello")
        got = await listener.next()
        assert (got.path, got.headers["Content-Type"]) == ("/events", "application/json")
        assert got.json["type"] == "event_callback" and got.json["event"]["text"] == "hello"

    run(tmp_path, play)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"text": ""}, {"delivered": True}),
        ({"text": "Sunny"}, {"delivered": True, "response": "Sunny"}),
        (
            {"text": '{"text": "Rain"}', "content_type": "application/json"},
            {"delivered": True, "response": {"text": "Rain"}},
        ),
        (
            {"text": "{no json", "content_type": "application/json"},
            {"delivered": False, "error": "invalid_command_response"},
        ),
        ({"status": 201, "text": "Snow"}, {"delivered": True, "response": "Snow"}),
        ({"status": 404}, {"delivered": False, "error": "http_client_error"}),
        ({"status": 500}, {"delivered": False, "error": "http_service_error"}),
        (
            {"status": 302, "headers": {"Location": "/elsewhere"}},
            {"delivered": False, "error": "http_service_error"},
        ),
    ],
    ids=lambda value: str(sorted(value.items()))[:60],
)
def test_status_and_body_are_read_as_slack_reads_them(
    tmp_path: Path, answer: dict[str, Any], told: dict[str, Any]
) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        listener.answer = always(**answer)
        assert await wire.command() == {"ok": True, **told}
        assert (await listener.next()).path == "/command"
        assert listener.got.empty(), "a command is sent once, and no redirect is followed"

    run(tmp_path, play)


def test_a_form_is_not_closed_by_an_answer_that_is_no_answer_to_a_form(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        await wire.command()
        (trigger,) = parse_qs((await listener.next()).body.decode())["trigger_id"]
        view = {"type": "modal", "title": {"type": "plain_text", "text": "T"},
                "blocks": [{"type": "divider"}]}  # fmt: skip
        token = {"Authorization": f"Bearer {wire.running.tokens.bot_token}"}
        url, body = f"{wire.running.url}/api/views.open", {"trigger_id": trigger, "view": view}
        async with wire.session.post(url, json=body, headers=token) as response:
            view_id = (await response.json())["view"]["id"]
        listener.answer = always(text="Thank you!")
        told = await wire.person("submit", view_id=view_id, values={})
        assert told["error"] == "invalid_response_action" and len(told["views"]) == 1
        listener.answer = always(text="")
        assert (await wire.person("submit", view_id=view_id, values={}))["views"] == []

    run(tmp_path, play)


def test_an_answer_that_does_not_come_in_time_is_an_operation_timeout(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        end = asyncio.Event()

        async def slow(got: Got) -> web.Response:
            await end.wait()
            return web.Response()

        listener.answer = slow
        assert (await wire.command())["error"] == "operation_timeout"
        end.set()

    run(tmp_path, play, ack_deadline_s=0.2)


def test_a_server_that_is_gone_fails_the_dispatch_until_it_is_back(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        assert (await wire.state_of_app())["is_connected"]
        await listener.stop()
        assert (await wire.command())["error"] == "dispatch_failed"
        assert not (await wire.state_of_app())["is_connected"]
        await listener.start()
        assert (await wire.command())["delivered"]
        app = await wire.state_of_app()
        assert app["is_connected"] and app["transport"] == "http"

    run(tmp_path, play)


@pytest.mark.parametrize("form", ["text", "json", "form"])
def test_the_events_url_gives_back_the_challenge(tmp_path: Path, form: str) -> None:
    def answered(got: Got) -> web.Response:
        challenge = got.json["challenge"]
        if form == "json":
            return web.json_response({"challenge": challenge})
        return web.Response(text=challenge if form == "text" else f"challenge={challenge}")

    async def play(wire: Wire, listener: Listener) -> None:
        listener.answer = answered
        asked = await wire.person("verify", app="A0WEATHER")
        assert asked == {"ok": True, "verified": True}
        question = (await listener.next()).json
        assert set(question) == {"token", "challenge", "type"}

    run(tmp_path, play)


@pytest.mark.parametrize(
    "answer",
    [{"text": "no"}, {"status": 500}, {"text": "{}", "content_type": "application/json"},
     {"text": "[", "content_type": "application/json"}],
)  # fmt: skip
def test_an_url_without_the_challenge_gets_no_events(
    tmp_path: Path, answer: dict[str, Any]
) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        listener.answer = lambda got: web.Response(**answer)
        asked = await wire.person("verify", app="A0WEATHER")
        assert asked["verified"] is False and "challenge" in asked["error"]
        assert not (await wire.state_of_app())["is_connected"]
        await listener.next()
        await wire.message()
        for _ in range(4):
            assert (await listener.next()).json["type"] == "url_verification"
        listener.answer = answers_well
        await wire.message("now")
        assert (await listener.next()).json["type"] == "url_verification"
        assert (await listener.next()).json["event"]["text"] == "now"

    run(tmp_path, play, event_retries_after_s=NOW)


def test_an_app_that_is_not_there_yet_cannot_be_verified(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        await listener.stop()
        asked = await wire.person("verify", app="A0WEATHER")
        assert asked["verified"] is False and "connection_failed" in asked["error"]
        assert (await wire.person("verify", app="A0NOBODY"))["ok"] is False

    run(tmp_path, play)


def test_an_event_is_sent_four_times_in_all_with_its_id(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        listener.answer = always(status=500)
        await wire.message()
        got = [await listener.next() for _ in range(4)]
        assert len({each.json["event_id"] for each in got}) == 1
        retries = [each.headers.get("X-Slack-Retry-Num") for each in got]
        reasons = [each.headers.get("X-Slack-Retry-Reason") for each in got]
        assert retries == [None, "1", "2", "3"]
        assert reasons == [None, "http_error", "http_error", "http_error"]
        listener.answer = answers_well
        await wire.message("next")
        assert (await listener.next()).json["event"]["text"] == "next", "four were all"

    run(tmp_path, play, event_retries_after_s=NOW)


def test_an_event_comes_again_at_once_after_a_minute_and_after_five(tmp_path: Path) -> None:
    clock = Clock()

    async def play(wire: Wire, listener: Listener) -> None:
        listener.answer = always(status=500)
        await wire.message()
        seen = [(await listener.next()).headers.get("X-Slack-Retry-Num") for _ in range(2)]
        for minutes in (1, 5):
            for step_s in (0, 60 * minutes - 10):
                clock.advance(step_s)
                # Its command comes first: the retry is not due yet.
                await wire.command()
                seen.append((await listener.next()).path)
            clock.advance(10)
            seen.append((await listener.next()).headers.get("X-Slack-Retry-Num"))
        commands = ["/command", "/command"]
        assert seen == [None, "1", *commands, "2", *commands, "3"]

    run(tmp_path, play, clock=clock)


def test_every_attempt_is_recorded_with_its_status(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        listener.answer = always(status=418)
        await wire.command()
        inspector = await wire.seen("inspector")
        question, entry = (entry for entry in inspector["entries"] if entry["kind"] == "http")
        assert (question["name"], question["ok"], question["status"]) == (
            "url_verification", True, 200,
        )  # fmt: skip
        assert entry["name"] == "slash_commands /weather" and entry["status"] == 418
        assert entry["error"] == "http_client_error"
        assert inspector["apps"][0]["transport"] == "http"

    run(tmp_path, play)


def test_retries_end_when_one_is_taken_or_none_is_wanted(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        def second_time_lucky(got: Got) -> web.Response:
            return web.Response(status=200 if "X-Slack-Retry-Num" in got.headers else 503)

        listener.answer = second_time_lucky
        await wire.message("one")
        assert [(await listener.next()).json["event"]["text"] for _ in range(2)] == ["one"] * 2
        listener.answer = always(status=400, headers={"X-Slack-No-Retry": "1"})
        await wire.message("two")
        assert (await listener.next()).json["event"]["text"] == "two"
        listener.answer = answers_well
        await wire.message("three")
        assert (await listener.next()).json["event"]["text"] == "three"

    run(tmp_path, play, event_retries_after_s=NOW)


def test_a_retry_says_that_time_ran_out_or_nobody_was_there(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        wire.fault("drop_ack", "events_api")
        wire.fault("close_sockets", "events_api")
        await wire.message()
        got = [await listener.next(), await listener.next()]
        reasons = [each.headers.get("X-Slack-Retry-Reason") for each in got]
        # The first attempt met the lost connection, so that it never arrived.
        assert reasons == ["connection_failed", "http_timeout"]

    run(tmp_path, play, event_retries_after_s=NOW, ack_deadline_s=0.2)


@pytest.mark.parametrize("kind", ["drop_ack", "late_ack"])
def test_a_lost_answer_is_a_timeout_for_the_person_though_the_app_did_it(
    tmp_path: Path, kind: str
) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        wire.fault(kind, "slash_commands")
        assert (await wire.command())["error"] == "operation_timeout"
        assert (await listener.next()).path == "/command"
        assert (await wire.command())["delivered"]

    run(tmp_path, play, ack_deadline_s=0.3)


def test_a_duplicate_is_the_same_payload_again(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        wire.fault("duplicate", "slash_commands")
        assert (await wire.command())["delivered"]
        assert (await listener.next()).body == (await listener.next()).body

    run(tmp_path, play)


def test_an_app_over_http_cannot_open_a_socket(tmp_path: Path) -> None:
    async def play(wire: Wire, listener: Listener) -> None:
        assert await wire.open_connection() == {"ok": False, "error": "access_denied"}
        async with wire.session.get(f"{wire.running.url}/link?app_id=A0WEATHER") as response:
            assert response.status == 403

    run(tmp_path, play)


@pytest.mark.parametrize(
    "url",
    ["https://example.org/slack", "http://10.0.0.1/", "http://localhost.example.org/",
     "http://127.0.0.1.example.org/", "http://127.0.0.1@example.org/", "ftp://127.0.0.1/",
     "//127.0.0.1/", "http://[::1", 3000, ["http://127.0.0.1/"], "http://127.0.0.1:99999/", "http://2130706434.org/"],
)  # fmt: skip
@pytest.mark.parametrize("which", ["command", "action", "options", "events"])
def test_a_request_url_of_another_machine_is_refused(which: str, url: Any) -> None:
    with pytest.raises(ManifestRefused, match="this machine alone") as refused:
        RequestUrls.of(over_http({**ALL_LOCAL, which: url}))
    assert repr(url) in str(refused.value) and "weather-bot" in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/x", "http://127.0.0.2/", "http://[::1]:80/", "https://localhost"]
)
def test_a_request_url_of_this_machine_is_taken(url: str) -> None:
    urls = RequestUrls.of(over_http({**ALL_LOCAL, "events": url}))
    assert urls is not None and urls.events == url


@pytest.mark.parametrize("which", ["command", "action", "events"])
def test_without_socket_mode_the_urls_that_are_needed_must_be_there(which: str) -> None:
    with pytest.raises(ManifestRefused, match="missing"):
        RequestUrls.of(over_http({**ALL_LOCAL, which: ""}))


def test_with_socket_mode_request_urls_do_not_matter() -> None:
    manifest = over_http({**ALL_LOCAL, "events": "https://example.org/"})
    manifest["settings"]["socket_mode_enabled"] = True
    assert RequestUrls.of(manifest) is None
