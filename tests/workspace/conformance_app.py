"""One app of no particular trade, written once for Bolt's App and once for its AsyncApp: it
listens to everything, does as the test has planned, and hands over what it got.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import Queue
from typing import Any, Protocol

from slack_bolt import App
from slack_bolt.app.async_app import AsyncApp
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook import WebhookClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

Json = dict[str, Any]
ANYTHING = re.compile(".*")
COMMAND = "/weather"
WAIT_S = 20


@dataclass(frozen=True)
class Plan:
    """How the app answers: `ack` are the arguments of ack(), None for no ack at all."""

    ack: Mapping[str, Any] | None = field(default_factory=dict)
    fails: bool = False


@dataclass(frozen=True)
class Got:
    """What a listener was given."""

    body: Json
    headers: Mapping[str, Any]
    say: Callable[..., Any] | None
    respond: Callable[..., Any] | None


class Ledger:
    """Plans of the test and takings of the app, by kind: "command", the type of an interaction or
    of an event.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[str, list[Plan]] = {}
        self._got: dict[str, Queue[Got]] = {}

    def plan(self, kind: str, plan: Plan) -> None:
        with self._lock:
            self._plans.setdefault(kind, []).append(plan)

    def take(self, got: Got) -> Plan:
        """Writes down what came, and says what to do."""
        kind = kind_of(got.body)
        with self._lock:
            plans = self._plans.get(kind)
            plan = plans.pop(0) if plans else Plan()
        self.queue(kind).put(got)
        return plan

    def queue(self, kind: str) -> Queue[Got]:
        with self._lock:
            return self._got.setdefault(kind, Queue())


def kind_of(body: Mapping[str, Any]) -> str:
    if "command" in body:
        return "command"
    return str(body["event"]["type"] if body["type"] == "event_callback" else body["type"])


def sync_app(client: WebClient, signing_secret: str, ledger: Ledger) -> App:
    app = App(client=client, signing_secret=signing_secret)

    def handle(ack: Any, body: Any, respond: Any, request: Any) -> None:
        plan = ledger.take(Got(body, request.headers, None, respond))
        if plan.fails:
            raise RuntimeError("as planned")
        if plan.ack is not None:
            ack(**plan.ack)

    def happened(body: Any, say: Any, request: Any) -> None:
        ledger.take(Got(body, request.headers, say, None))

    listen(app, handle, happened)
    return app


def async_app(client: AsyncWebClient, signing_secret: str, ledger: Ledger) -> AsyncApp:
    app = AsyncApp(client=client, signing_secret=signing_secret)

    async def handle(ack: Any, body: Any, respond: Any, request: Any) -> None:
        plan = ledger.take(Got(body, request.headers, None, respond))
        if plan.fails:
            raise RuntimeError("as planned")
        if plan.ack is not None:
            await ack(**plan.ack)

    async def happened(body: Any, say: Any, request: Any) -> None:
        ledger.take(Got(body, request.headers, say, None))

    listen(app, handle, happened)
    return app


def listen(app: App | AsyncApp, handle: Any, happened: Any) -> None:
    """To everything that there is."""
    app.command(COMMAND)(handle)
    app.action(ANYTHING)(handle)
    app.options(ANYTHING)(handle)
    app.shortcut(ANYTHING)(handle)
    app.view(ANYTHING)(handle)
    app.view_closed(ANYTHING)(handle)
    app.event(ANYTHING)(happened)


class Bot(Protocol):
    """The running app, for a test that need not know which."""

    ledger: Ledger

    def run(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """Calls one of Slack's functions, or awaits it."""
        ...

    def webhook(self, url: str) -> WebhookClient | AsyncWebhookClient:
        """The SDK's client for a response URL."""
        ...

    def call(self, method: str, **arguments: Any) -> Json:
        """A method of the WebClient; SlackApiError when it is refused."""
        ...


class SyncBot:
    """An App and its WebClient."""

    def __init__(self, app: App, ledger: Ledger) -> None:
        self.app, self.ledger = app, ledger

    def run(self, function: Callable[..., Any], **arguments: Any) -> Any:
        return function(**arguments)

    def webhook(self, url: str) -> WebhookClient:
        return WebhookClient(url)

    def call(self, method: str, **arguments: Any) -> Json:
        return data_of(self.run(getattr(self.app.client, method), **arguments))


class AsyncBot:
    """An AsyncApp and its AsyncWebClient, on a loop of their own."""

    def __init__(self, app: AsyncApp, ledger: Ledger, loop: asyncio.AbstractEventLoop) -> None:
        self.app, self.ledger, self._loop = app, ledger, loop

    def run(self, function: Callable[..., Any], **arguments: Any) -> Any:
        running = asyncio.run_coroutine_threadsafe(function(**arguments), self._loop)
        return running.result(WAIT_S)

    def webhook(self, url: str) -> AsyncWebhookClient:
        return AsyncWebhookClient(url)

    def call(self, method: str, **arguments: Any) -> Json:
        return data_of(self.run(getattr(self.app.client, method), **arguments))


def data_of(response: Any) -> Json:
    data: Json = response.data
    return data


def refusal(bot: Bot, method: str, **arguments: Any) -> Json:
    """What Slack answers to a call that it refuses."""
    try:
        answer = bot.call(method, **arguments)
    except SlackApiError as refused:
        return data_of(refused.response)
    raise AssertionError(f"{method} was not refused, but answered {answer}")


def error(bot: Bot, method: str, **arguments: Any) -> str:
    """Slack's word for why it refuses a call."""
    return str(refusal(bot, method, **arguments)["error"])
