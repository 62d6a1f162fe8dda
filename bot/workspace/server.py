"""Starts and stops a workspace: the port, the state folder, the routes."""

from __future__ import annotations

import asyncio
import errno
import functools
import signal
import socket
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from bot.workspace import guard, responses, secrets_file, ui, web_api
from bot.workspace.installed_app import InstalledApp
from bot.workspace.refusals import PortTaken, StateUnreadable
from bot.workspace.secrets_file import Tokens
from bot.workspace.store import Store, checkpoint, lock_folder
from bot.workspace.timing import Timing
from bot.workspace.workspace import Workspace, build

__all__ = ["Running", "serve", "start"]

HOST = "127.0.0.1"
STATIC = Path(__file__).with_name("static")
MAX_BODY_BYTES = 4 * 1024 * 1024
SHUTDOWN_S = 2.0


class Running:
    """A workspace that accepts calls. `close` ends it; nothing else does."""

    def __init__(self, workspace: Workspace, runner: web.AppRunner, lock: IO[str]) -> None:
        self._workspace = workspace
        self._runner = runner
        self._lock = lock

    @property
    def url(self) -> str:
        """The page's address, without a slash at the end."""
        return self._workspace.url

    @property
    def tokens(self) -> Tokens:
        """What an app needs to talk to it."""
        return self._workspace.tokens

    @property
    def announcement(self) -> dict[str, str]:
        """The JSON object that tells programs how to reach it."""
        return {
            "url": self.url,
            "api_url": f"{self.url}/api/",
            "bot_token": self.tokens.bot_token,
            "app_token": self.tokens.app_token,
            "signing_secret": self.tokens.signing_secret,
        }

    async def close(self) -> None:
        """Says goodbye to pages and apps, finishes the state file, gives port and folder free."""
        # An app that hears goodbye asks at once for a new link: by then nobody may answer.
        for site in list(self._runner.sites):
            await site.stop()
        await self._workspace.stop()
        await self._runner.cleanup()
        self._workspace.store.close()
        self._lock.close()


async def start(
    *, port: int, state_dir: Path, manifest: Mapping[str, Any], timing: Timing | None = None
) -> Running:
    """A workspace with one app, installed by its Slack manifest, on a port of 127.0.0.1 (0: any
    free one).

    Raises:
        PortTaken, StateTaken, StateUnreadable: with a sentence for whoever started it.
    """
    timing = timing or Timing()
    with ExitStack() as undo:
        listener = undo.enter_context(_listen(port))
        lock = undo.enter_context(lock_folder(state_dir))
        store = undo.enter_context(closing(Store(state_dir)))
        taken = listener.getsockname()[1]
        app, tokens = InstalledApp.of(manifest), _tokens(state_dir)
        workspace = build(f"http://{HOST}:{taken}", app, tokens, timing, store)
        runner = web.AppRunner(
            _application(workspace, taken),
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            handle_signals=False,
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
        undo.pop_all()
    workspace.in_background(_checkpoints(state_dir, timing.checkpoint_every_s))
    return Running(workspace, runner, lock)


def serve(
    *,
    port: int,
    state_dir: Path,
    manifest: Mapping[str, Any],
    ready: Callable[[dict[str, str]], None],
) -> None:
    """Runs a workspace until SIGINT or SIGTERM; `ready` is told how to reach it once calls are
    accepted.
    """
    asyncio.run(_serve(port, state_dir, manifest, ready))


async def _serve(
    port: int, state_dir: Path, manifest: Mapping[str, Any], ready: Callable[[dict[str, str]], None]
) -> None:
    running = await start(port=port, state_dir=state_dir, manifest=manifest)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        ready(running.announcement)
        await stopped.wait()
    finally:
        await running.close()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port whose last connections are still closing is free.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port) from error
        raise
    return listener


def _tokens(state_dir: Path) -> Tokens:
    try:
        return secrets_file.read_or_make(state_dir)
    except (ValueError, TypeError) as error:
        reason = f"{secrets_file.FILE} is damaged"
        raise StateUnreadable(state_dir, reason) from error
    except OSError as error:
        raise StateUnreadable(state_dir, str(error)) from error


async def _checkpoints(state_dir: Path, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        try:
            await asyncio.to_thread(checkpoint, state_dir)
        except sqlite3.Error:
            # The disk is full or the folder gone: writes say so themselves, and this comes again.
            continue


def _application(workspace: Workspace, port: int) -> web.Application:
    application = web.Application(middlewares=[guard.guard(port)], client_max_size=MAX_BODY_BYTES)
    application.on_response_prepare.append(guard.add_headers)
    application.add_routes(
        [
            web.get("/", _page),
            web.get("/archives/{channel}/{ts}", _page),
            web.static("/static", STATIC),
            web.get("/link", workspace.sockets.link),
            web.route("*", "/api/{method}", functools.partial(web_api.call, workspace)),
            web.post("/response/{key}", functools.partial(responses.respond, workspace)),
            *ui.routes(workspace),
        ]
    )
    return application


async def _page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")
