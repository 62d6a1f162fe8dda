"""The composition root: builds the engine, the Slack side and the poller, and keeps them running.

Nothing but the command line imports it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot import __version__
from bot.engines.base import Query
from bot.engines.local import LocalEngine
from bot.errors import EngineError, TuneError
from bot.outbox import Outbox
from bot.poller import Poller
from bot.settings import Settings
from bot.slack.app import build_app
from bot.slack.conversation import Conversation

SLACK_TIMEOUT_S = 10


def local_engine(settings: Settings, *, allow_code: bool) -> LocalEngine:
    """The engine of this machine; its process is started when it is first needed."""
    return LocalEngine(settings.state_dir, allow_code=allow_code)


def reader(settings: Settings) -> LocalEngine:
    """The same for reading: starts nothing and locks nobody out."""
    return LocalEngine(settings.state_dir, allow_code=False, start=False)


def slack_client(settings: Settings) -> WebClient:
    """One client, one TLS context, no retry handlers (they sleep in the caller)."""
    token = settings.slack_bot_token
    if token is None:
        raise TuneError(
            "There is no bot token.",
            hint="Set SLACK_BOT_TOKEN (xoxb-…) in the environment or in .env.",
        )
    return WebClient(
        token=token.get_secret_value(),
        base_url=settings.slack_api_url,
        ssl=ssl.create_default_context(),
        timeout=SLACK_TIMEOUT_S,
        retry_handlers=[],
    )


def identify(client: WebClient) -> Mapping[str, Any]:
    """Who the bot is: what auth.test says.

    Raises:
        TuneError: Slack refuses the token, or cannot be reached.
    """
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        raise TuneError(
            f"Slack refuses the bot token: `{error.response.get('error')}`.",
            hint="Copy it again from the app's page, OAuth & Permissions, into SLACK_BOT_TOKEN.",
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise TuneError(f"Slack cannot be reached at {client.base_url}: {reason}.") from error
    return {"user": answer.get("user"), "team": answer.get("team")}


@contextmanager
def connected(settings: Settings, engine: LocalEngine, *, allow_code: bool) -> Iterator[None]:
    """The bot, connected to Slack by Socket Mode and polling, until the block ends.

    Raises:
        TuneError: a token is missing or refused.
    """
    if settings.slack_app_token is None:
        raise TuneError(
            "There is no app-level token.",
            hint="Set SLACK_APP_TOKEN (xapp-…, scope connections:write).",
        )
    client = slack_client(settings)
    identify(client)
    poller = Poller(engine, Outbox(client))
    conversation = Conversation(engine, poller, client, allow_code=allow_code)
    app = build_app(client, conversation)
    handler = SocketModeHandler(app, settings.slack_app_token.get_secret_value())
    try:
        handler.connect()  # type: ignore[no-untyped-call]
    except SlackApiError as error:
        raise TuneError(
            f"Slack refuses the app-level token: `{error.response.get('error')}`.",
            hint="It begins with xapp- and needs the scope connections:write.",
        ) from error
    scheduler = poller.start(settings.poll_interval_s)
    try:
        yield
    finally:
        scheduler.shutdown()
        handler.close()  # type: ignore[no-untyped-call]
        conversation.close()


def serve(settings: Settings) -> int:
    """Bot and engine against the Slack that the settings name, until Ctrl-C."""
    _log(settings)
    stop = _stop_signal()
    engine = local_engine(settings, allow_code=settings.allow_code)
    with _engine(engine), connected(settings, engine, allow_code=settings.allow_code):
        print(f"katib-tune {__version__} is connected to Slack. Ctrl-C stops it.", flush=True)
        stop.wait()
        print("Stopping …", flush=True)
    return 0


def run(settings: Settings) -> int:
    """Workspace, bot and local engine on this machine, until Ctrl-C."""
    _log(settings)
    stop = _stop_signal()
    with _workspace_process(settings, stop) as place:
        here = settings.model_copy(
            update={
                "slack_api_url": place["api_url"],
                "slack_bot_token": SecretStr(place["bot_token"]),
                "slack_app_token": SecretStr(place["app_token"]),
            }
        )
        engine = local_engine(settings, allow_code=True)
        with _engine(engine), connected(here, engine, allow_code=True):
            _welcome(settings, engine, str(place["url"]))
            stop.wait()
            print("\nStopping …", flush=True)
    return 0


def _welcome(settings: Settings, engine: LocalEngine, url: str) -> None:
    known = engine.find(Query(limit=1000))
    running = sum(not e.status.condition.is_final for e in known)
    here = f"{len(known)} Experiments" if len(known) != 1 else "1 Experiment"
    print(
        f"katib-tune {__version__} is up.\n\n"
        f"  Open    {url}\n"
        f"  Type    /katib-tune          and press Start\n"
        f"  State   {settings.state_dir} ({here}, {running} running)\n\n"
        "Ctrl-C stops everything; Experiments are kept.",
        flush=True,
    )


@contextmanager
def _engine(engine: LocalEngine) -> Iterator[None]:
    """The engine process, ended with us: what was running is taken up at the next start."""
    try:
        yield
    finally:
        engine.shutdown()
        engine.close()


@contextmanager
def _workspace_process(settings: Settings, stop: threading.Event) -> Iterator[Mapping[str, Any]]:
    """A workspace of our own; yields its JSON line. Its death ends us (`stop`)."""
    command = [
        sys.executable, "-m", "bot", "workspace", "--with-parent",
        "--port", str(settings.port), "--state", str(settings.state_dir),
    ]  # fmt: skip
    # NB: a session of its own, so that Ctrl-C reaches us alone and we end it last; its standard
    # input tells it when we die without saying so.
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise EngineError("The embedded workspace did not start; the line above says why.")
        threading.Thread(
            target=_watch, args=(process, stop), name="workspace-watch", daemon=True
        ).start()
        yield json.loads(line)
    finally:
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _watch(process: subprocess.Popen[str], stop: threading.Event) -> None:
    process.wait()
    if not stop.is_set():
        logging.getLogger(__name__).error("The embedded workspace ended; so do I.")
        stop.set()


def workspace(settings: Settings, *, manifest: Path | None, with_parent: bool) -> int:
    """The embedded workspace alone; its first line on stdout is one JSON object."""
    import yaml

    from bot.workspace.refusals import PortTaken, WorkspaceError
    from bot.workspace.server import serve

    path = manifest or our_manifest()
    try:
        app_manifest = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise TuneError(f"The manifest {path} cannot be read: {error}.") from error
    if with_parent:
        threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()

    def ready(facts: Mapping[str, Any]) -> None:
        print(json.dumps(facts), flush=True)

    try:
        serve(
            port=settings.port,
            state_dir=settings.state_dir / "workspace",
            manifest=app_manifest,
            ready=ready,
        )
    except PortTaken as error:
        raise TuneError(
            str(error), hint=f"For example: KATIB_TUNE_PORT={settings.port + 1} make run"
        ) from error
    except WorkspaceError as error:
        raise TuneError(str(error)) from error
    return 0


def our_manifest() -> Path:
    """The Slack app manifest: in the repository, or beside the code in an installed package."""
    here = Path(__file__).parent
    in_repository = here.parent / "manifests" / "slack-app.yaml"
    return in_repository if in_repository.exists() else here / "slack" / "slack-app.yaml"


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _stop_signal() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set; a second Ctrl-C interrupts at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return stop


def _log(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    for noisy in ("slack_bolt", "slack_sdk", "urllib3"):
        logging.getLogger(noisy).setLevel("WARNING")
    # A poll that takes longer than its interval is no news: the next one sees everything.
    logging.getLogger("apscheduler").setLevel("ERROR")
