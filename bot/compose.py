"""The composition root of `run` and `serve`: engine, Slack side and poller, kept running."""

from __future__ import annotations

import logging
import signal
import ssl
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot import __version__, choose, replicas
from bot.embedded import workspace_process
from bot.engines.base import Engine, Query
from bot.errors import TuneError
from bot.health import Health
from bot.leader import Leader
from bot.outbox import Outbox
from bot.poller import ROOT_GRACE_S, Poller
from bot.settings import Settings
from bot.slack.app import build_app
from bot.slack.conversation import Conversation

SLACK_TIMEOUT_S = 10


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
def connected(settings: Settings, engine: Engine, *, allow_code: bool) -> Iterator[None]:
    """The bot, connected to Slack by Socket Mode and polling, until the block ends.

    Raises:
        TuneError: a token is missing or refused.
    """
    app_token = _app_token(settings)
    client = slack_client(settings)
    identify(client)
    outbox = Outbox(client)
    with replicas.candidate(settings, outbox.forget_all) as leader:
        poller = _poller(engine, outbox, leader)
        conversation = Conversation(engine, poller, client, allow_code=allow_code)
        app = build_app(client, conversation)
        handler = SocketModeHandler(app, app_token)
        _connect(handler)
        health = Health(
            poller, outbox, conversation, handler.client.is_connected, settings.poll_interval_s,
            leader,
        )  # fmt: skip
        try:
            with replicas.answering(settings, health):
                poller.start(settings.poll_interval_s)
                yield
        finally:
            poller.close()  # before the Lease is given back
            handler.close()  # type: ignore[no-untyped-call]
            conversation.close()


def _app_token(settings: Settings) -> str:
    if settings.slack_app_token is None:
        raise TuneError(
            "There is no app-level token.",
            hint="Set SLACK_APP_TOKEN (xapp-…, scope connections:write).",
        )
    return settings.slack_app_token.get_secret_value()


def _poller(engine: Engine, outbox: Outbox, leader: Leader | None) -> Poller:
    if leader is None:
        return Poller(engine, outbox)
    return Poller(engine, outbox, may_tell=leader.is_leader, root_grace_s=ROOT_GRACE_S)


def _connect(handler: SocketModeHandler) -> None:
    try:
        handler.connect()  # type: ignore[no-untyped-call]
    except SlackApiError as error:
        raise TuneError(
            f"Slack refuses the app-level token: `{error.response.get('error')}`.",
            hint="It begins with xapp- and needs the scope connections:write.",
        ) from error


def serve(settings: Settings) -> int:
    """Bot and engine against the Slack that the settings name, until Ctrl-C."""
    _log(settings)
    _app_token(settings)  # what is missing of Slack is said before a cluster is looked for
    stop = _stop_signal()
    allow_code = settings.allow_code
    with (
        choose.engine(settings, allow_code=allow_code, owned=True) as engine,
        connected(settings, engine, allow_code=allow_code),
    ):
        print(f"katib-tune {__version__} is connected to Slack. Ctrl-C stops it.", flush=True)
        stop.wait()
        print("Stopping …", flush=True)
    return 0


def run(settings: Settings) -> int:
    """Workspace, bot and local engine on this machine, until Ctrl-C."""
    _log(settings)
    stop = _stop_signal()
    with workspace_process(settings, stop) as place:
        here = settings.model_copy(
            update={
                "slack_api_url": place["api_url"],
                "slack_bot_token": SecretStr(place["bot_token"]),
                "slack_app_token": SecretStr(place["app_token"]),
            }
        )
        with (
            choose.engine(settings, allow_code=True, owned=True) as engine,
            connected(here, engine, allow_code=True),
        ):
            _welcome(settings, engine, str(place["page_url"]))
            stop.wait()
            print("\nStopping …", flush=True)
    return 0


def _welcome(settings: Settings, engine: Engine, page_url: str) -> None:
    known = engine.find(Query(limit=1000))
    running = sum(not e.status.condition.is_final for e in known)
    here = f"{len(known)} Experiments" if len(known) != 1 else "1 Experiment"
    where = settings.state_dir if engine.name == "local" else "the cluster"
    print(
        f"katib-tune {__version__} is up.\n\n"
        f"  Open    {page_url}\n"
        f"  Type    /katib-tune          and press Start\n"
        f"  State   {where} ({here}, {running} running)\n\n"
        "Ctrl-C stops everything; Experiments are kept.",
        flush=True,
    )


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
