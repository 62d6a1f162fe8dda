"""Signed HTTP: payloads posted to an app's request URLs, as Slack posts them."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import aiohttp

from bot.workspace import json_text
from bot.workspace.delivery import (
    COMMANDS,
    CONNECTION_FAILED,
    DISPATCH_FAILED,
    EVENTS,
    HTTP_CLIENT_ERROR,
    HTTP_SERVICE_ERROR,
    INVALID_COMMAND_RESPONSE,
    OPERATION_TIMEOUT,
    Delivery,
    Parcel,
)
from bot.workspace.payloads import DEPRECATED_TOKEN
from bot.workspace.recorder import Recorder
from bot.workspace.request_urls import RequestUrls
from bot.workspace.timing import Timing

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
AGENT = "Slackbot 1.0 (+https://api.slack.com/robots)"
VERIFICATION = "url_verification"
NO_CHALLENGE = "The events URL did not answer with the value of the challenge."


@dataclass(frozen=True)
class _Answer:
    status: int
    content_type: str
    text: str
    may_retry: bool

    @property
    def is_good(self) -> bool:
        return 200 <= self.status < 300


class _Unanswered(Exception):
    """Nothing came back; what that makes of the delivery."""

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(reason)
        self.delivery = Delivery(error, reason=reason)


class HttpTransport:
    """The request URLs of one app. Redirects are not followed: they could leave this machine."""

    name = "http"
    timeout_reason = "http_timeout"

    def __init__(
        self,
        app_id: str,
        urls: RequestUrls,
        signing_secret: str,
        timing: Timing,
        recorder: Recorder,
    ) -> None:
        self._app_id = app_id
        self._urls = urls
        self._signing_secret = signing_secret
        self._timing = timing
        self._recorder = recorder
        self._is_connected = False
        self._is_verified = False
        self._session: aiohttp.ClientSession | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the last delivery or verification worked."""
        return self._is_connected

    @property
    def connections(self) -> int:
        """One, if that is so."""
        return int(self._is_connected)

    async def send(self, parcel: Parcel) -> Delivery:
        """Posts a parcel once. Events go to an URL that is verified: one that is not yet is asked
        first.
        """
        url = self._urls.of_parcel(parcel)
        if not url:
            return Delivery(DISPATCH_FAILED, reason=CONNECTION_FAILED)
        if parcel.kind == EVENTS and not self._is_verified:
            verification = await self._verify()
            if verification.error:
                return verification
        try:
            answer = await self._post(url, *_written(parcel))
        except _Unanswered as failure:
            self._is_connected = False
            return failure.delivery
        self._is_connected = answer.is_good
        return _read(parcel, answer)

    async def verify(self) -> str:
        """Asks the events URL for the challenge; "" if it answers well, else a sentence."""
        if not self._urls.events:
            return "This app has no URL for events."
        verification = await self._verify()
        if not verification.error:
            return ""
        if verification.status is None:
            return f"The events URL could not be asked: {verification.reason}."
        return NO_CHALLENGE

    async def _verify(self) -> Delivery:
        challenge = secrets.token_urlsafe(40)
        question = {"token": DEPRECATED_TOKEN, "challenge": challenge, "type": VERIFICATION}
        entry = self._recorder.begin("http", VERIFICATION, question, app=self._app_id)
        try:
            answer = await self._post(self._urls.events, JSON, json.dumps(question).encode(), {})
            is_good = answer.is_good and _challenge(answer) == challenge
            error = "" if is_good else DISPATCH_FAILED
            verification = Delivery(error, answer.text, "http_error", status=answer.status)
        except _Unanswered as failure:
            verification = failure.delivery
        self._is_connected = self._is_verified = not verification.error
        self._recorder.end(
            entry,
            error=verification.error,
            status=verification.status,
            answer=verification.reply,
        )
        return verification

    async def _post(
        self, url: str, content_type: str, body: bytes, headers: Mapping[str, str]
    ) -> _Answer:
        signed = {
            "User-Agent": AGENT,
            "Accept": "application/json,*/*",
            "Content-Type": content_type,
            **self._signature(body),
            **headers,
        }
        asking = self._ask(url, body, signed)
        try:
            return await self._timing.clock.wait_for(asking, self._timing.ack_deadline_s)
        except TimeoutError as error:
            raise _Unanswered(OPERATION_TIMEOUT, self.timeout_reason) from error
        except aiohttp.ClientSSLError as error:
            raise _Unanswered(DISPATCH_FAILED, "ssl_error") from error
        except aiohttp.ClientConnectionError as error:
            raise _Unanswered(DISPATCH_FAILED, CONNECTION_FAILED) from error
        except aiohttp.ClientError as error:
            raise _Unanswered(DISPATCH_FAILED, "unknown_error") from error

    async def _ask(self, url: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        asking = self._client().post(url, data=body, headers=headers, allow_redirects=False)
        async with asking as response:
            return _Answer(
                status=response.status,
                content_type=response.content_type,
                text=await response.text(errors="replace"),
                may_retry=response.headers.get("X-Slack-No-Retry") != "1",
            )

    def _signature(self, body: bytes) -> Mapping[str, str]:
        # NB: not the workspace's clock, which tests move: the app compares it with its own.
        timestamp = str(int(time.time()))
        base = b"v0:" + timestamp.encode() + b":" + body
        digest = hmac.new(self._signing_secret.encode(), base, hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def lose_connection(self) -> bool:
        """There is one way to an URL, and this is how it is lost."""
        self._is_connected = False
        return False

    async def close(self) -> None:
        """Slack says no goodbye over HTTP."""
        if self._session is not None:
            await self._session.close()


def _written(parcel: Parcel) -> tuple[str, bytes, Mapping[str, str]]:
    """Content type, body and headers: a command is a form, an interaction a form with one field,
    an event JSON.
    """
    if parcel.kind == EVENTS:
        body = json.dumps(parcel.payload).encode()
        if not parcel.retry:
            return JSON, body, {}
        why = {
            "X-Slack-Retry-Num": str(parcel.retry),
            "X-Slack-Retry-Reason": parcel.retry_reason,
        }
        return JSON, body, why
    if parcel.kind == COMMANDS:
        return FORM, urlencode(parcel.payload).encode(), {}
    return FORM, urlencode({"payload": json.dumps(parcel.payload)}).encode(), {}


def _read(parcel: Parcel, answer: _Answer) -> Delivery:
    """What an answer makes of the delivery: text is a message for a command, JSON is itself."""
    if not answer.is_good:
        is_ours = 400 <= answer.status < 500
        error = HTTP_CLIENT_ERROR if is_ours else HTTP_SERVICE_ERROR
        return Delivery(
            error, reason="http_error", may_retry=answer.may_retry, status=answer.status
        )
    taken = Delivery(status=answer.status)
    if not parcel.accepts_reply or not answer.text.strip():
        return taken
    if answer.content_type != JSON:
        return replace(taken, reply=answer.text)
    try:
        return replace(taken, reply=json_text.read(answer.text))
    except ValueError:
        if parcel.kind == COMMANDS:
            return replace(taken, error=INVALID_COMMAND_RESPONSE)
        return replace(taken, reply=answer.text)


def _challenge(answer: _Answer) -> str:
    """The challenge as the app gave it back: JSON, a form, or the bare text."""
    text = answer.text.strip()
    if answer.content_type == JSON:
        try:
            given = json_text.read(text)
        except ValueError:
            return ""
        return str(given.get("challenge", "")) if isinstance(given, dict) else ""
    return text.removeprefix("challenge=")
