"""Someone who speaks HTTP and WebSocket to a workspace, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import ClientWebSocketResponse, web

from bot.workspace.faults import Fault
from bot.workspace.server import Running, start
from bot.workspace.timing import Timing
from tests.workspace.conftest import MANIFEST

Json = dict[str, Any]
WAIT_S = 20


class Wire:
    """A workspace, its people, and an app's end of Socket Mode."""

    def __init__(self, session: aiohttp.ClientSession, running: Running) -> None:
        self.session = session
        self.running = running

    async def open_connection(self) -> Json:
        headers = {"Authorization": f"Bearer {self.running.tokens.app_token}"}
        url = f"{self.running.url}/api/apps.connections.open"
        async with self.session.post(url, headers=headers) as response:
            answer: Json = await response.json()
            return answer

    async def link(self, query: str = "") -> tuple[ClientWebSocketResponse, Json]:
        """An open link, and what it said first."""
        url = str((await self.open_connection())["url"]) + query
        link = await self.session.ws_connect(url)
        return link, await link.receive_json(timeout=WAIT_S)

    async def person(self, act: str, **body: Any) -> Json:
        """POST /ui/..."""
        url, headers = f"{self.running.url}/ui/{act}", {**self._headers, "X-Workspace-Client": "1"}
        async with self.session.post(url, json=body, headers=headers) as response:
            answer: Json = await response.json()
            return answer

    async def seen(self, what: str) -> Json:
        """GET /ui/..."""
        url = f"{self.running.url}/ui/{what}"
        async with self.session.get(url, headers=self._headers) as response:
            answer: Json = await response.json()
            return answer

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.running.token}"}

    async def command(self, text: str = "") -> Json:
        return await self.person("command", channel="C0TUNING", command="/weather", text=text)

    async def message(self, text: str = "hello") -> Json:
        """An event for every app that listens."""
        return await self.person("message", channel="C0TUNING", text=text)

    async def press(self) -> Json:
        """Presses a button that the app has just posted."""
        button = {"type": "button", "action_id": "b", "text": {"type": "plain_text", "text": "B"}}
        blocks = [{"type": "actions", "block_id": "row", "elements": [button]}]
        token = {"Authorization": f"Bearer {self.running.tokens.bot_token}"}
        body = {"channel": "C0TUNING", "text": "x", "blocks": blocks}
        url = f"{self.running.url}/api/chat.postMessage"
        async with self.session.post(url, json=body, headers=token) as response:
            ts = (await response.json())["ts"]
        pressed = {"type": "button", "block_id": "row", "action_id": "b"}
        return await self.person("action", action=pressed, channel="C0TUNING", message_ts=ts)

    async def state_of_app(self) -> Json:
        app: Json = (await self.seen("state"))["apps"][0]
        return app

    def fault(self, kind: str, on: str = "*", **more: Any) -> None:
        self.running.faults.add(Fault(kind, on, **more))


@asynccontextmanager
async def a_wire(
    folder: Path, manifest: Mapping[str, Any] = MANIFEST, **timing: Any
) -> AsyncIterator[Wire]:
    running = await start(port=0, state_dir=folder, manifests=[manifest], timing=Timing(**timing))
    try:
        async with aiohttp.ClientSession() as session:
            yield Wire(session, running)
    finally:
        await running.close()


def run(folder: Path, play: Callable[[Wire], Awaitable[None]], **settings: Any) -> None:
    """Plays at a fresh workspace; `settings` are the manifest and the fields of Timing."""

    async def whole() -> None:
        async with a_wire(folder, **settings) as wire:
            await asyncio.wait_for(play(wire), WAIT_S)

    asyncio.run(whole())


@dataclass(frozen=True)
class Got:
    """A request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        given: Json = json.loads(self.body)
        return given


class Listener:
    """An app's HTTP server that writes down what comes, and answers as `answer` says."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[Got] = asyncio.Queue()
        self.answer: Callable[[Got], web.Response | Awaitable[web.Response]] = answers_well
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        """Listens; again on the same port after `stop`."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def next(self) -> Got:
        return await asyncio.wait_for(self.got.get(), WAIT_S)

    async def _serve(self, request: web.Request) -> web.Response:
        got = Got(request.path, request.headers.copy(), await request.read())
        self.got.put_nowait(got)
        answer = self.answer(got)
        return answer if isinstance(answer, web.Response) else await answer

    def manifest(self, **urls: str) -> Json:
        """The app of MANIFEST with this server's URLs; `urls` in place of them."""
        base = f"http://127.0.0.1:{self.port}"
        given = {"command": f"{base}/command", "action": f"{base}/action",
                 "options": f"{base}/options", "events": f"{base}/events", **urls}  # fmt: skip
        return over_http(given)


def over_http(urls: Mapping[str, str]) -> Json:
    """MANIFEST without Socket Mode; `urls` for command, action, options, events."""
    manifest: Json = json.loads(json.dumps(MANIFEST))
    for command in manifest["features"]["slash_commands"]:
        command["url"] = urls["command"]
    settings = manifest["settings"]
    settings["socket_mode_enabled"] = False
    settings["interactivity"]["request_url"] = urls["action"]
    settings["interactivity"]["message_menu_options_url"] = urls["options"]
    settings["event_subscriptions"]["request_url"] = urls["events"]
    return manifest


def answers_well(got: Got) -> web.Response:
    """The challenge for who asks, else an empty 200."""
    if got.path == "/events" and got.json["type"] == "url_verification":
        return web.Response(text=got.json["challenge"])
    return web.Response()
