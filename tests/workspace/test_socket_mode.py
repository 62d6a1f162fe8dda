"""Socket Mode on the wire: tickets, hello, envelopes, deadlines, goodbye."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.workspace.installation import Installation
from bot.workspace.server import start
from bot.workspace.socket_mode import Sockets
from bot.workspace.timing import Clock
from tests.workspace.conftest import MANIFEST
from tests.workspace.wire import Wire, run


def test_a_link_begins_with_hello_and_its_ticket_is_used_up(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        url = (await wire.open_connection())["url"]
        link = await wire.session.ws_connect(url)
        hello = await link.receive_json()
        assert hello["type"] == "hello" and hello["num_connections"] == 1
        assert hello["connection_info"] == {"app_id": "A0WEATHER"}
        assert hello["debug_info"]["approximate_connection_time"] == 18060
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await wire.session.ws_connect(url)
        assert refused.value.status == 403
        await link.close()

    run(tmp_path, play)


def test_a_payload_goes_to_one_link_and_its_acknowledgement_answers_the_person(
    tmp_path: Path,
) -> None:
    async def play(wire: Wire) -> None:
        links = [(await wire.link())[0] for _ in range(3)]
        asking = asyncio.create_task(wire.command())
        frames = [asyncio.create_task(link.receive_json()) for link in links]
        done, waiting = await asyncio.wait(frames, return_when=asyncio.FIRST_COMPLETED)
        (frame,) = done
        envelope = frame.result()
        assert envelope["type"] == "slash_commands" and envelope["accepts_response_payload"]
        assert envelope["payload"]["command"] == "/weather"
        answer = {"envelope_id": envelope["envelope_id"], "payload": {"text": "ok"}}
        await links[frames.index(frame)].send_json(answer)
        assert (await asking)["response"] == {"text": "ok"}
        assert len(waiting) == 2 and not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    run(tmp_path, play)


def test_an_acknowledgement_that_does_not_come_is_an_operation_timeout(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        answer = await wire.command()
        assert answer == {"ok": True, "delivered": False, "error": "operation_timeout"}
        late = await link.receive_json()
        await link.send_json({"envelope_id": late["envelope_id"], "payload": {"text": "late"}})
        await link.send_str("no json")
        await link.send_json(["no object"])
        # The link is still good, and the late answer is nobody's.
        asking = asyncio.create_task(wire.command())
        envelope = await link.receive_json()
        await link.send_json({"envelope_id": envelope["envelope_id"]})
        assert await asking == {"ok": True, "delivered": True}

    run(tmp_path, play, ack_deadline_s=0.5)


def test_an_eleventh_link_is_sent_away(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        links = [await wire.link() for _ in range(10)]
        assert [hello["num_connections"] for _, hello in links] == list(range(1, 11))
        link, goodbye = await wire.link()
        assert (goodbye["type"], goodbye["reason"]) == ("disconnect", "too_many_websockets")
        assert (await link.receive()).type is aiohttp.WSMsgType.CLOSE

    run(tmp_path, play)


def test_a_workspace_that_stops_says_goodbye(tmp_path: Path) -> None:
    async def whole() -> None:
        running = await start(port=0, state_dir=tmp_path, manifests=[MANIFEST])
        async with aiohttp.ClientSession() as session:
            link, _ = await Wire(session, running).link()
            stopping = asyncio.create_task(running.close())
            goodbye = json.loads((await link.receive()).data)
            assert (goodbye["type"], goodbye["reason"]) == ("disconnect", "refresh_requested")
            assert (await link.receive()).type is aiohttp.WSMsgType.CLOSE
            await link.close()
            await stopping

    asyncio.run(whole())


def sockets_of(wire: Wire) -> Sockets:
    (installed,) = wire.running.apps
    assert isinstance(installed, Installation) and installed.sockets is not None
    return installed.sockets


async def goodbyes(link: aiohttp.ClientWebSocketResponse) -> list[str]:
    """The reasons that a link hears until it is closed."""
    reasons = []
    async for frame in link:
        if frame.type is aiohttp.WSMsgType.TEXT:
            said = frame.json()
            assert said["type"] == "disconnect"
            reasons.append(said["reason"])
    return reasons


def test_a_ticket_that_was_not_used_soon_is_worthless(tmp_path: Path) -> None:
    clock = Clock()

    async def play(wire: Wire) -> None:
        url = (await wire.open_connection())["url"]
        clock.advance(31)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await wire.session.ws_connect(url)
        assert refused.value.status == 403
        link, _ = await wire.link()
        await link.close()

    run(tmp_path, play, clock=clock)


@pytest.mark.parametrize("reason", ["refresh_requested", "link_disabled", "too_many_websockets"])
def test_every_link_is_told_why_it_is_closed(tmp_path: Path, reason: str) -> None:
    async def play(wire: Wire) -> None:
        links = [(await wire.link())[0] for _ in range(2)]
        closing = asyncio.create_task(sockets_of(wire).disconnect(reason))
        assert [await goodbyes(link) for link in links] == [[reason], [reason]]
        await closing
        assert (await wire.command())["error"] == "dispatch_failed"

    run(tmp_path, play)


def test_a_link_that_is_warned_works_until_it_is_asked_to_refresh(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        ending = asyncio.create_task(sockets_of(wire).disconnect("warning"))
        assert (await link.receive_json())["reason"] == "warning"
        asking = asyncio.create_task(wire.command())
        envelope = await link.receive_json()
        await link.send_json({"envelope_id": envelope["envelope_id"]})
        assert (await asking)["delivered"]
        assert await goodbyes(link) == ["refresh_requested"]
        await ending

    run(tmp_path, play, link_warning_s=0.3)


def test_a_reason_that_slack_does_not_know_is_refused(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        with pytest.raises(ValueError, match=r"link_disabled.*'boredom'"):
            await sockets_of(wire).disconnect("boredom")

    run(tmp_path, play)


@pytest.mark.parametrize(
    ("query", "life"), [("", "link_life_s"), ("&debug_reconnects=true", "debug_link_life_s")]
)
def test_a_link_ends_of_itself_with_a_warning_ahead(tmp_path: Path, query: str, life: str) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link(query)
        assert await goodbyes(link) == ["warning", "refresh_requested"]

    run(tmp_path, play, **{life: 0.2}, link_warning_s=0.1)


def test_with_debug_reconnects_a_link_lives_six_minutes(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        _, hello = await wire.link("&debug_reconnects=true")
        assert hello["debug_info"]["approximate_connection_time"] == 360

    run(tmp_path, play)


def test_a_link_is_pinged(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        url = (await wire.open_connection())["url"]
        async with wire.session.ws_connect(url, autoping=False) as link:
            assert (await link.receive_json())["type"] == "hello"
            assert (await link.receive()).type is aiohttp.WSMsgType.PING

    run(tmp_path, play, link_ping_s=0.05)


@pytest.mark.parametrize(
    ("act", "kind", "accepts"),
    [
        (lambda wire: wire.command(), "slash_commands", True),
        (lambda wire: wire.press(), "interactive", False),
        (lambda wire: wire.message(), "events_api", False),
    ],
)
def test_an_envelope_says_whether_it_may_be_answered(
    tmp_path: Path, act: Callable[[Wire], Awaitable[Any]], kind: str, accepts: bool
) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        acting = asyncio.ensure_future(act(wire))
        while (envelope := await link.receive_json())["type"] != kind:
            # An app hears of its own messages, too.
            await link.send_json({"envelope_id": envelope["envelope_id"]})
        assert envelope["accepts_response_payload"] is accepts
        # What an envelope that accepts no answer is answered with is ignored.
        answer = {"envelope_id": envelope["envelope_id"], "payload": {"text": "hi"}}
        await link.send_json(answer)
        assert ("response" in await acting) == accepts

    run(tmp_path, play)


def test_an_event_that_nobody_acknowledged_comes_again_in_a_new_envelope(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        await wire.message()
        frames = [await link.receive_json() for _ in range(4)]
        assert [frame["retry_attempt"] for frame in frames] == [0, 1, 2, 3]
        assert [frame["retry_reason"] for frame in frames] == ["", *["timeout"] * 3]
        assert len({frame["envelope_id"] for frame in frames}) == 4
        assert len({frame["payload"]["event_id"] for frame in frames}) == 1
        await wire.message("next")
        frame = await link.receive_json()
        assert frame["payload"]["event"]["text"] == "next", "four were all"
        await link.send_json({"envelope_id": frame["envelope_id"]})

    run(tmp_path, play, ack_deadline_s=0.1, event_retries_after_s=(0.0, 0.0, 0.0))


def test_an_event_for_which_nobody_was_there_reaches_the_app_when_it_is_back(
    tmp_path: Path,
) -> None:
    async def play(wire: Wire) -> None:
        await wire.message()
        link, _ = await wire.link()
        frame = await link.receive_json()
        assert (frame["retry_attempt"], frame["retry_reason"]) == (1, "connection_failed")
        await link.send_json({"envelope_id": frame["envelope_id"]})

    run(tmp_path, play, event_retries_after_s=(0.3, 0.3, 0.3))


def test_a_command_is_never_sent_again(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        assert (await wire.command("one"))["error"] == "operation_timeout"
        asking = asyncio.create_task(wire.command("two"))
        texts = []
        for _ in range(2):
            frame = await link.receive_json()
            texts.append(frame["payload"]["text"])
            await link.send_json({"envelope_id": frame["envelope_id"]})
        assert texts == ["one", "two"] and (await asking)["delivered"]

    run(tmp_path, play, ack_deadline_s=0.5, event_retries_after_s=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("kind", ["drop_ack", "late_ack"])
def test_a_lost_acknowledgement_is_a_timeout_though_the_app_gave_it(
    tmp_path: Path, kind: str
) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        wire.fault(kind, "slash_commands")
        asking = asyncio.create_task(wire.command())
        frame = await link.receive_json()
        await link.send_json({"envelope_id": frame["envelope_id"]})
        assert (await asking)["error"] == "operation_timeout"

    run(tmp_path, play, ack_deadline_s=0.3)


def test_a_duplicate_comes_in_an_envelope_of_its_own(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        link, _ = await wire.link()
        wire.fault("duplicate")
        asking = asyncio.create_task(wire.command())
        frames = [await link.receive_json(), await link.receive_json()]
        assert frames[0]["payload"] == frames[1]["payload"]
        assert frames[0]["envelope_id"] != frames[1]["envelope_id"]
        for frame in frames:
            await link.send_json({"envelope_id": frame["envelope_id"]})
        assert (await asking)["delivered"]

    run(tmp_path, play)


def test_a_payload_whose_link_is_lost_goes_to_another_or_fails(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        links = [(await wire.link())[0] for _ in range(2)]
        wire.fault("close_sockets", times=2)
        asking = asyncio.create_task(wire.command())
        frames = await asyncio.gather(*(link.receive() for link in links))
        assert sorted(frame.type.name for frame in frames) == ["CLOSE", "TEXT"]
        (frame,) = (frame for frame in frames if frame.type is aiohttp.WSMsgType.TEXT)
        (left,) = (link for link in links if not link.closed)
        await left.send_json({"envelope_id": frame.json()["envelope_id"]})
        assert (await asking)["delivered"]
        asking = asyncio.create_task(wire.command())
        assert (await left.receive()).type is aiohttp.WSMsgType.CLOSE
        assert (await asking)["error"] == "dispatch_failed"

    run(tmp_path, play)
