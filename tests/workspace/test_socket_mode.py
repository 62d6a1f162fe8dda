"""Socket Mode on the wire: tickets, hello, envelopes, deadlines, goodbye."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientWebSocketResponse

from bot.workspace.server import Running, start
from bot.workspace.timing import Timing
from tests.workspace.conftest import MANIFEST

WAIT_S = 20


class Wire:
    """Someone who speaks HTTP and WebSocket, and nothing else."""

    def __init__(self, session: aiohttp.ClientSession, running: Running) -> None:
        self.session = session
        self.running = running

    async def ticket_url(self) -> str:
        headers = {"Authorization": f"Bearer {self.running.tokens.app_token}"}
        url = f"{self.running.url}/api/apps.connections.open"
        async with self.session.post(url, headers=headers) as response:
            return str((await response.json())["url"])

    async def link(self) -> tuple[ClientWebSocketResponse, Any]:
        link = await self.session.ws_connect(await self.ticket_url())
        return link, await link.receive_json(timeout=WAIT_S)

    async def command(self) -> Any:
        body = {"channel": "C0TUNING", "command": "/weather"}
        url = f"{self.running.url}/ui/command"
        headers = {"X-Workspace-Client": "1"}
        async with self.session.post(url, json=body, headers=headers) as response:
            return await response.json()


@asynccontextmanager
async def a_wire(folder: Path, **timing: Any) -> AsyncIterator[Wire]:
    running = await start(port=0, state_dir=folder, manifests=[MANIFEST], timing=Timing(**timing))
    try:
        async with aiohttp.ClientSession() as session:
            yield Wire(session, running)
    finally:
        await running.close()


def run(folder: Path, play: Callable[[Wire], Awaitable[None]], **timing: Any) -> None:
    async def whole() -> None:
        async with a_wire(folder, **timing) as wire:
            await asyncio.wait_for(play(wire), WAIT_S)

    asyncio.run(whole())


def test_a_link_begins_with_hello_and_its_ticket_is_used_up(tmp_path: Path) -> None:
    async def play(wire: Wire) -> None:
        url = await wire.ticket_url()
        link = await wire.session.ws_connect(url)
        hello = await link.receive_json()
        assert hello["type"] == "hello" and hello["num_connections"] == 1
        assert hello["connection_info"] == {"app_id": "A0WEATHER"}
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
