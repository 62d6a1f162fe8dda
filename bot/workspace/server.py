"""Starts and stops a workspace: the port, the state folder, the routes."""

from __future__ import annotations

import asyncio
import errno
import functools
import secrets
import signal
import socket
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from aiohttp import web

from bot.workspace import due, file_routes, guard, recording, secrets_file, ui, web_api, webhooks
from bot.workspace.delivery import Transport
from bot.workspace.dispatch import Dispatch
from bot.workspace.faults import Faults
from bot.workspace.http_delivery import HttpTransport
from bot.workspace.hub import Hub
from bot.workspace.installation import Installation
from bot.workspace.installed_app import InstalledApp
from bot.workspace.presence import Presence
from bot.workspace.recorder import Recorder
from bot.workspace.refusals import PortTaken, StateUnreadable
from bot.workspace.secrets_file import Tokens
from bot.workspace.socket_mode import Sockets
from bot.workspace.store import Store, checkpoint, lock_folder
from bot.workspace.timing import Timing
from bot.workspace.workspace import Workspace, build

__all__ = ["Running", "serve", "start"]

HOST = "127.0.0.1"
STATIC = Path(__file__).with_name("static")
MAX_BODY_BYTES = 4 * 1024 * 1024
SHUTDOWN_S = 2.0
TOKEN_BYTES = 24


class Running:
    """A workspace that accepts calls. `close` ends it; nothing else does."""

    def __init__(
        self, workspace: Workspace, token: str, runner: web.AppRunner, lock: IO[str]
    ) -> None:
        self._workspace = workspace
        self.token = token
        self._runner = runner
        self._lock = lock

    @property
    def url(self) -> str:
        """The workspace's address, without a slash at the end."""
        return self._workspace.url

    @property
    def page_url(self) -> str:
        """What a person opens: the address with the page's token."""
        return f"{self.url}/?{urlencode({'token': self.token})}"

    @property
    def tokens(self) -> Tokens:
        """What the first app needs to talk to it."""
        return self._workspace.apps[0].tokens

    @property
    def faults(self) -> Faults:
        """What shall go wrong."""
        return self._workspace.faults

    @property
    def apps(self) -> tuple[Installation, ...]:
        """The installed apps."""
        return self._workspace.apps

    @property
    def announcement(self) -> dict[str, Any]:
        """The JSON object that tells programs how to reach it: the first app's tokens, and every
        app's below "apps".
        """
        apps = [self._announced(known) for known in self._workspace.apps]
        api_url = f"{self.url}/api/"
        page = {"url": self.url, "page_url": self.page_url, "token": self.token}
        return {**page, "api_url": api_url, **asdict(self.tokens), "apps": apps}

    def _announced(self, known: Installation) -> dict[str, str]:
        named = {"app_id": known.app.app_id, "name": known.app.name, **asdict(known.tokens)}
        webhook = webhooks.url_of(self._workspace, known)
        return named | ({"incoming_webhook": webhook} if webhook else {})

    def recorded(self, *, kind: str = "", name: str = "") -> list[dict[str, Any]]:
        """What went between the apps and the workspace, of this kind and name ("" any)."""
        return [entry.shown() for entry in self._workspace.recorder.entries(kind=kind, name=name)]

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
    *,
    port: int,
    state_dir: Path,
    manifests: Sequence[Mapping[str, Any]],
    timing: Timing | None = None,
    token: str = "",
) -> Running:
    """A workspace with apps, each installed by its Slack manifest, on a port of 127.0.0.1 (0: any
    free one). `token` is the page's; without one it is random.

    Raises:
        PortTaken, StateTaken, StateUnreadable, ManifestRefused: with a sentence for whoever
            started it.
    """
    timing = timing or Timing()
    token = token or secrets.token_urlsafe(TOKEN_BYTES)
    with ExitStack() as undo:
        listener = undo.enter_context(_listen(port))
        lock = undo.enter_context(lock_folder(state_dir))
        store = undo.enter_context(closing(Store(state_dir)))
        taken = listener.getsockname()[1]
        hub, faults = Hub(), Faults()
        presence = Presence(hub)
        recorder = Recorder(timing.now, presence.seen)
        apps = tuple(
            _install(app, _tokens(state_dir, app.app_id if index else ""), timing, recorder, faults)
            for index, app in enumerate(InstalledApp.all_of(manifests))
        )
        presence.watch(apps)
        workspace = build(f"http://{HOST}:{taken}", apps, timing, store, recorder, hub, faults)
        runner = web.AppRunner(
            _application(workspace, guard.Guard(taken, token)),
            access_log=None,
            shutdown_timeout=SHUTDOWN_S,
            handle_signals=False,
        )
        await runner.setup()
        await web.SockSite(runner, listener).start()
        undo.pop_all()
    for known in apps:
        if known.http is not None:
            workspace.in_background(known.http.verify())
    workspace.in_background(_checkpoints(state_dir, timing.checkpoint_every_s))
    workspace.in_background(due.watch(workspace))
    return Running(workspace, token, runner, lock)


def serve(
    *,
    port: int,
    state_dir: Path,
    manifests: Sequence[Mapping[str, Any]],
    ready: Callable[[dict[str, Any]], None],
    token: str = "",
) -> None:
    """Runs a workspace until SIGINT or SIGTERM; `ready` is told how to reach it once calls are
    accepted.
    """
    starting = start(port=port, state_dir=state_dir, manifests=manifests, token=token)
    asyncio.run(_serve(starting, ready))


async def _serve(
    starting: Coroutine[Any, Any, Running], ready: Callable[[dict[str, Any]], None]
) -> None:
    running = await starting
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


def _install(
    app: InstalledApp, tokens: Tokens, timing: Timing, recorder: Recorder, faults: Faults
) -> Installation:
    transport: Transport = Sockets(app.app_id, timing, recorder)
    if app.request_urls is not None:
        secret = tokens.signing_secret
        transport = HttpTransport(app.app_id, app.request_urls, secret, timing, recorder)
    return Installation(app, tokens, Dispatch(app.app_id, transport, timing, recorder, faults))


def _tokens(state_dir: Path, app_id: str) -> Tokens:
    try:
        return secrets_file.read_or_make(state_dir, app_id)
    except (ValueError, TypeError) as error:
        reason = f"{secrets_file.file_name(app_id)} is damaged"
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


def _application(workspace: Workspace, keeper: guard.Guard) -> web.Application:
    application = web.Application(middlewares=[keeper.middleware], client_max_size=MAX_BODY_BYTES)
    application.on_response_prepare.append(guard.add_headers)
    application.add_routes(
        [
            web.get("/", _page),
            web.get("/archives/{channel}/{ts}", _page),
            web.static("/static", STATIC),
            web.get("/link", functools.partial(_link, workspace)),
            web.route("*", "/api/{method}", functools.partial(web_api.call, workspace)),
            web.post("/response/{key}", functools.partial(recording.respond, workspace)),
            web.post(webhooks.PATH, functools.partial(recording.webhook, workspace)),
            *file_routes.routes(workspace, keeper.is_person),
            *ui.routes(workspace),
        ]
    )
    return application


async def _link(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    installed = workspace.installation(request.query.get("app_id", ""))
    if installed is None or installed.sockets is None:
        return web.Response(status=403, text="No app with this app_id is in Socket Mode.")
    return await installed.sockets.link(request)


async def _page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")
