"""Six ways in which an app is connected: every client of the SDK for Socket Mode, and HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from aiohttp import web
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler as Builtin
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler as Aiohttp
from slack_bolt.adapter.socket_mode.websocket_client import SocketModeHandler as WebsocketClient
from slack_bolt.adapter.socket_mode.websockets import AsyncSocketModeHandler as Websockets
from slack_bolt.adapter.wsgi import SlackRequestHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk import WebClient
from slack_sdk.web.async_client import AsyncWebClient

from bot.workspace.timing import Clock, Timing
from tests.harness import RunningWorkspace
from tests.workspace.conformance_app import (
    WAIT_S,
    AsyncBot,
    Bot,
    Json,
    Ledger,
    SyncBot,
    async_app,
    sync_app,
)

Behind = Callable[[Callable[[], None]], None]


@dataclass(frozen=True)
class Connected:
    """A workspace, and an app that is connected to it. Its clock moves for nobody else."""

    workspace: RunningWorkspace
    bot: Bot
    clock: Clock
    is_http: bool


@dataclass(frozen=True)
class Place:
    """Where to make a connection. `behind` does what takes its time, after the tests."""

    folder: Path
    manifest: Mapping[str, Any]
    timing: Mapping[str, Any]
    behind: Behind

    def workspace(self, clock: Clock, port: int = 0) -> RunningWorkspace:
        """A workspace; with a port, its app takes payloads by HTTP there."""
        manifest = over_http(self.manifest, port) if port else self.manifest
        return RunningWorkspace(self.folder, manifest, timing=Timing(clock=clock, **self.timing))


Way = Callable[[Place], AbstractContextManager[Connected]]


def over_http(manifest: Mapping[str, Any], port: int) -> Json:
    """The same app without Socket Mode; Bolt takes everything at one URL."""
    url = f"http://127.0.0.1:{port}/slack/events"
    changed: Json = json.loads(json.dumps(manifest))
    for command in changed["features"]["slash_commands"]:
        command["url"] = url
    settings = changed["settings"]
    settings["socket_mode_enabled"] = False
    settings["interactivity"] |= {"request_url": url, "message_menu_options_url": url}
    settings["event_subscriptions"]["request_url"] = url
    return changed


# --- App ------------------------------------------------------------------------------------------


def bolt_app(workspace: RunningWorkspace, ledger: Ledger) -> App:
    client = WebClient(workspace.bot_token, base_url=workspace.api_url)
    return sync_app(client, workspace.signing_secret, ledger)


@contextmanager
def over_sockets(
    place: Place, handler_of: Callable[[App, str], Builtin | WebsocketClient]
) -> Iterator[Connected]:
    clock, ledger = Clock(), Ledger()
    workspace = place.workspace(clock)
    app = bolt_app(workspace, ledger)
    handler = handler_of(app, workspace.app_token)
    greeted = threading.Event()
    handler.client.message_listeners.append(lambda _, message, __: _greet(message, greeted))
    handler.connect()
    assert greeted.wait(WAIT_S), "the workspace said no hello"
    yield Connected(workspace, SyncBot(app, ledger), clock, is_http=False)

    def end() -> None:
        # The SDK's clients take up to three seconds: they wait for a read to time out.
        handler.close()
        workspace.stop()

    place.behind(end)


def _greet(message: Mapping[str, Any], greeted: threading.Event) -> None:
    if message.get("type") == "hello":
        greeted.set()


@contextmanager
def sync_builtin(place: Place) -> Iterator[Connected]:
    with over_sockets(place, Builtin) as connected:
        yield connected


@contextmanager
def sync_websocket_client(place: Place) -> Iterator[Connected]:
    with over_sockets(place, WebsocketClient) as connected:
        yield connected


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 50


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(server: WSGIServer, app: App) -> Iterator[None]:
    """Serves a Bolt app with Bolt's adapter."""
    server.set_app(SlackRequestHandler(app))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield
    server.shutdown()
    thread.join()


def new_server() -> WSGIServer:
    """A server that listens on a free port already; `serving` makes it answer."""
    return _Server(("127.0.0.1", 0), _Quiet)


@contextmanager
def sync_http(place: Place) -> Iterator[Connected]:
    clock, ledger = Clock(), Ledger()
    with new_server() as server:
        workspace = place.workspace(clock, server.server_port)
        app = bolt_app(workspace, ledger)
        with serving(server, app):
            yield Connected(workspace, SyncBot(app, ledger), clock, is_http=True)
            workspace.stop()


# --- AsyncApp -------------------------------------------------------------------------------------


@contextmanager
def a_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    asyncio.run_coroutine_threadsafe(_finish(), loop).result(WAIT_S)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _finish() -> None:
    """Ends what the SDK's clients leave running."""
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


def async_bolt_app(workspace: RunningWorkspace, ledger: Ledger) -> AsyncApp:
    client = AsyncWebClient(workspace.bot_token, base_url=workspace.api_url)
    return async_app(client, workspace.signing_secret, ledger)


@contextmanager
def over_async_sockets(
    place: Place, handler_of: Callable[[AsyncApp, str], Aiohttp | Websockets]
) -> Iterator[Connected]:
    clock, ledger = Clock(), Ledger()
    workspace = place.workspace(clock)
    app = async_bolt_app(workspace, ledger)

    async def connect() -> Aiohttp | Websockets:
        handler = handler_of(app, workspace.app_token)
        await handler.connect_async()
        return handler

    with a_loop() as loop:
        bot = AsyncBot(app, ledger, loop)
        handler = bot.run(connect)
        yield Connected(workspace, bot, clock, is_http=False)
        bot.run(handler.close_async)
        workspace.stop()


@contextmanager
def async_aiohttp(place: Place) -> Iterator[Connected]:
    with over_async_sockets(place, Aiohttp) as connected:
        yield connected


@contextmanager
def async_websockets(place: Place) -> Iterator[Connected]:
    with over_async_sockets(place, Websockets) as connected:
        yield connected


@contextmanager
def async_http(place: Place) -> Iterator[Connected]:
    clock, ledger = Clock(), Ledger()
    with socket.create_server(("127.0.0.1", 0)) as listener, a_loop() as loop:
        workspace = place.workspace(clock, listener.getsockname()[1])
        app = async_bolt_app(workspace, ledger)

        async def serve() -> web.AppRunner:
            runner = web.AppRunner(app.web_app("/slack/events"), access_log=None)
            await runner.setup()
            await web.SockSite(runner, listener).start()
            return runner

        bot = AsyncBot(app, ledger, loop)
        runner = bot.run(serve)
        yield Connected(workspace, bot, clock, is_http=True)
        workspace.stop()
        bot.run(runner.cleanup)


WAYS: Mapping[str, Way] = {
    "sync-builtin": sync_builtin,
    "sync-websocket_client": sync_websocket_client,
    "sync-http": sync_http,
    "async-aiohttp": async_aiohttp,
    "async-websockets": async_websockets,
    "async-http": async_http,
}
