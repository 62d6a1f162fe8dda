"""Faults on demand: which comes when, and what they do to calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.workspace.faults import KINDS, Fault, Faults
from bot.workspace.person import PersonRefused
from bot.workspace.timing import Clock
from tests.harness import RunningWorkspace
from tests.workspace.wire import Wire, over_http, run


def test_a_fault_comes_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault("slow", times=2))
    assert [faults.take("slow", "auth.test") is not None for _ in range(3)] == [True, True, False]


def test_a_fault_without_times_comes_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(Fault("drop_ack", times=None))
    assert all(faults.take("drop_ack", "interactive") for _ in range(5))
    assert faults.active() == (Fault("drop_ack", times=None),)
    faults.clear()
    assert faults.take("drop_ack", "interactive") is None


def test_faults_come_in_their_order_and_say_how_often_they_are_left() -> None:
    faults = Faults()
    faults.add(Fault("slow", seconds=1, times=2))
    faults.add(Fault("slow", seconds=2))
    assert faults.take("slow") == Fault("slow", seconds=1, times=2)
    assert faults.active() == (Fault("slow", seconds=1), Fault("slow", seconds=2))


@pytest.mark.parametrize(
    ("kind", "on", "app"),
    [
        ("slow", "chat.postMessage", "A0ONE"),
        ("error", "chat.update", "A0ONE"),
        ("error", "chat.postMessage", "A0TWO"),
    ],
)
def test_another_kind_method_or_app_does_not_meet_it(kind: str, on: str, app: str) -> None:
    faults = Faults()
    faults.add(Fault("error", on="chat.postMessage", app="A0ONE"))
    assert faults.take(kind, on, app) is None
    assert faults.take("error", "chat.postMessage", "A0ONE") is not None


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no fault 'gremlin'") as refused:
        Fault("gremlin")
    assert all(kind in str(refused.value) for kind in KINDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "drop_ack", "on": "chat.postMessage"},
        {"kind": "slow", "times": 0},
        {"kind": "slow", "seconds": -1},
    ],
)
def test_a_fault_that_nothing_meets_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|is on one of"):
        Fault(**wrong)


# --- on calls -------------------------------------------------------------------------------------


def post(client: WebClient, text: str) -> SlackApiError | None:
    try:
        client.chat_postMessage(channel="C0TUNING", text=text)
    except SlackApiError as error:
        return error
    return None


def texts(workspace: RunningWorkspace) -> list[str]:
    return [message["text"] for message in workspace.messages()]


@pytest.mark.parametrize(
    ("kind", "status", "error", "is_done"),
    [
        ("ratelimited", 429, "ratelimited", False),
        ("error", 503, None, False),
        ("fatal_error", 200, "fatal_error", False),
        ("error_after_commit", 500, None, True),
    ],
)
def test_a_call_meets_its_fault_once(
    client: WebClient,
    workspace: RunningWorkspace,
    kind: str,
    status: int,
    error: str | None,
    is_done: bool,
) -> None:
    workspace.fault(kind, on="chat.postMessage")
    assert client.auth_test()["ok"], "another method is not concerned"
    refused = post(client, "first")
    assert refused is not None and refused.response.status_code == status
    if error is not None:
        assert refused.response["error"] == error
    assert texts(workspace) == (["first"] if is_done else [])
    assert post(client, "second") is None
    entry = workspace.recorded(name="chat.postMessage")[0]
    assert not entry["ok"] and entry["status"] == status and entry["error"]


def test_a_ratelimited_call_hears_how_long_to_wait(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    workspace.fault("ratelimited", on="chat.postMessage", seconds=29.5)
    refused = post(client, "x")
    assert refused is not None and refused.response.headers["Retry-After"] == "30"


def test_a_slow_call_is_done_at_once_and_answered_in_its_time(
    client: WebClient, workspace: RunningWorkspace, clock: Clock
) -> None:
    workspace.fault("slow", on="chat.postMessage", seconds=600)
    with ThreadPoolExecutor(1) as behind:
        answer = behind.submit(post, client, "slow")
        workspace.wait_for(lambda: texts(workspace) == ["slow"])
        assert not answer.done()
        assert workspace.recorded(name="chat.postMessage")[0]["ms"] is None
        clock.advance(600)
        assert answer.result(20) is None


# --- goodbye --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["warning", "refresh_requested", "link_disabled"])
def test_sockets_are_told_goodbye_on_demand(tmp_path: Path, reason: str) -> None:
    async def play(wire: Wire) -> None:
        links = [(await wire.link())[0] for _ in range(2)]
        await wire.person("control", disconnect={"reason": reason, "app": "A0WEATHER"})
        for link in links:
            told = await link.receive_json(timeout=20)
            assert (told["type"], told["reason"]) == ("disconnect", reason)

    run(tmp_path, play)


def test_an_app_over_http_has_nothing_to_disconnect(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        answer = await wire.person("control", disconnect={"reason": "warning"})
        assert "Socket Mode" in answer["error"]

    url = "http://127.0.0.1:9"  # the discard port: nobody answers
    urls = {name: url for name in ("command", "action", "options", "events")}
    run(tmp_path, play, manifest=over_http(urls))


# --- control --------------------------------------------------------------------------------------


def test_control_answers_what_is_set(workspace: RunningWorkspace, clock: Clock) -> None:
    quiet = workspace.person().controls()
    assert quiet["faults"] == [] and quiet["has_rate_limits"] is True
    assert quiet["clock"]["ahead_s"] == 0 and abs(quiet["clock"]["now"] - clock()) < 5
    fault = {"kind": "slow", "on": "chat.update", "app": "A0WEATHER", "times": None, "seconds": 2}
    told = workspace.control(fault=fault, advance_s=10, has_rate_limits=False)
    assert told["faults"] == [fault] and told["has_rate_limits"] is False
    assert told["clock"]["ahead_s"] == clock.ahead_s == 10
    assert workspace.control(clear_faults=True)["faults"] == []


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "Nothing was asked"),
        ({"gravity": 1}, "no control 'gravity'"),
        ({"fault": "slow"}, "fault must be an object"),
        ({"fault": {}}, "needs a kind"),
        ({"fault": {"kind": "gremlin"}}, "The known ones are ratelimited"),
        ({"fault": {"kind": "slow", "colour": "red"}}, "has no 'colour'"),
        ({"fault": {"kind": "slow", "times": "many"}}, "times must be"),
        ({"fault": {"kind": "slow", "seconds": True}}, "seconds must be"),
        ({"fault": {"kind": "slow", "on": 7}}, "on must be text"),
        ({"fault": {"kind": "slow", "app": "A0NONE"}}, "no app 'A0NONE'"),
        ({"clear_faults": False}, "clear_faults must be true"),
        ({"advance_s": -1}, "advance_s must be"),
        ({"advance_s": "10"}, "advance_s must be"),
        ({"has_rate_limits": 1}, "has_rate_limits must be"),
        ({"disconnect": "warning"}, "disconnect must be an object"),
        ({"disconnect": {}}, "The reason is one of warning"),
        ({"disconnect": {"reason": "boredom"}}, "not 'boredom'"),
        ({"disconnect": {"reason": "warning", "app": "A0NONE"}}, "no app 'A0NONE'"),
    ],
)
def test_a_wrong_control_is_refused_whole_with_a_sentence(
    workspace: RunningWorkspace, wanted: dict[str, Any], words: str
) -> None:
    good = {"fault": {"kind": "slow"}} if "fault" not in wanted and wanted else {}
    with pytest.raises(PersonRefused, match=words) as refused:
        workspace.control(**good, **wanted)
    assert str(refused.value).endswith(".")
    assert workspace.person().controls()["faults"] == []
