"""Socket Mode: links opened with one-use tickets, envelopes sent to one of them,
acknowledgements with a deadline.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import WSMsgType, web

from bot.workspace import json_text
from bot.workspace.delivery import (
    CONNECTION_FAILED,
    DISPATCH_FAILED,
    EVENTS,
    OPERATION_TIMEOUT,
    Delivery,
    Parcel,
)
from bot.workspace.recorder import Recorder
from bot.workspace.timing import Timing

MAX_LINKS = 10
REASONS = ("warning", "refresh_requested", "link_disabled", "too_many_websockets")
HOST = "applink-local"
# How long a link that is told to close may take to agree.
GOODBYE_S = 1.0


class Sockets:
    """The links of one app."""

    name = "socket"
    timeout_reason = "timeout"

    def __init__(self, app_id: str, timing: Timing, recorder: Recorder) -> None:
        self._app_id = app_id
        self._timing = timing
        self._recorder = recorder
        self._tickets: dict[str, float] = {}
        # Each link with what is set when it has ended.
        self._links: dict[web.WebSocketResponse, asyncio.Event] = {}
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    @property
    def is_connected(self) -> bool:
        """Whether the app has a link open."""
        return bool(self._links)

    @property
    def connections(self) -> int:
        """How many links are open."""
        return len(self._links)

    def new_ticket(self) -> str:
        """Lets one link be opened, soon."""
        now, ticket = self._timing.now(), str(uuid.uuid4())
        good = {known: until for known, until in self._tickets.items() if until >= now}
        self._tickets = good | {ticket: now + self._timing.ticket_life_s}
        return ticket

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Serves one link until it closes."""
        until = self._tickets.pop(request.query.get("ticket", ""), 0.0)
        if self._timing.now() > until:
            refusal = "The ticket is not valid, used, or too old."
            self._note("connect", error=refusal, status=403)
            return web.Response(status=403, text=refusal)
        link = web.WebSocketResponse(heartbeat=self._timing.link_ping_s, timeout=GOODBYE_S)
        await link.prepare(request)
        if len(self._links) >= MAX_LINKS:
            await _close(link, "too_many_websockets")
            self._note("connect", error="too_many_websockets")
            return link
        is_short = request.query.get("debug_reconnects") == "true"
        timing = self._timing
        life_s = timing.debug_link_life_s if is_short else timing.link_life_s
        ended = self._links[link] = asyncio.Event()
        ending = asyncio.create_task(self._end_in_time(link, life_s))
        self._note("connect", answer=self._hello(life_s))
        try:
            await link.send_json(self._hello(life_s))
            await self._listen(link)
        except ConnectionError:
            pass  # The app went away in the middle: nothing more to do with this link.
        finally:
            ending.cancel()
            del self._links[link]
            ended.set()
            self._note("disconnect", answer={"code": link.close_code})
        return link

    def _note(self, name: str, **outcome: Any) -> None:
        entry = self._recorder.begin("socket", name, app=self._app_id)
        self._recorder.end(entry, **outcome)

    def _hello(self, life_s: float) -> Mapping[str, Any]:
        return {
            "type": "hello",
            "num_connections": len(self._links),
            "debug_info": {"host": HOST, "approximate_connection_time": int(life_s)},
            "connection_info": {"app_id": self._app_id},
        }

    async def _end_in_time(self, link: web.WebSocketResponse, life_s: float) -> None:
        await self._timing.clock.sleep(max(0.0, life_s - self._timing.link_warning_s))
        await self._warn_and_close(link)

    async def _warn_and_close(self, link: web.WebSocketResponse) -> None:
        """Until it closes, a link that was warned works as any other."""
        await _say_disconnect(link, "warning")
        await self._timing.clock.sleep(self._timing.link_warning_s)
        # NB: closing ends `link`, which cancels whoever waits here for the link's end.
        await asyncio.shield(self._dismiss(link, "refresh_requested"))

    async def _dismiss(self, link: web.WebSocketResponse, reason: str) -> None:
        """Leaves it to the app to close the link; closes it if the app does not."""
        ended = self._links.get(link)
        if ended is None or not await _say_disconnect(link, reason):
            return
        try:
            async with asyncio.timeout(self._timing.link_goodbye_s):
                await ended.wait()
        except TimeoutError:
            await link.close()

    async def _listen(self, link: web.WebSocketResponse) -> None:
        async for frame in link:
            if frame.type is WSMsgType.TEXT:
                self._acknowledge(frame.data)

    def _acknowledge(self, text: str) -> None:
        try:
            frame = json_text.read(text)
        except ValueError:
            return
        envelope = frame.get("envelope_id") if isinstance(frame, dict) else None
        waiting = self._waiting.get(envelope) if isinstance(envelope, str) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(frame.get("payload"))

    async def send(self, parcel: Parcel) -> Delivery:
        """Sends a parcel to one link and waits for its acknowledgement, whatever link that comes
        on.
        """
        envelope_id = str(uuid.uuid4())
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = waiting
        clock = self._timing.clock
        until = clock() + self._timing.ack_deadline_s
        try:
            if not await self._send(_envelope(envelope_id, parcel)):
                return Delivery(DISPATCH_FAILED, reason=CONNECTION_FAILED)
            reply = await clock.wait_for(waiting, until - clock())
        except TimeoutError:
            return Delivery(OPERATION_TIMEOUT, reason=self.timeout_reason)
        finally:
            del self._waiting[envelope_id]
        return Delivery(reply=reply if parcel.accepts_reply else None)

    async def _send(self, envelope: Mapping[str, Any]) -> bool:
        """Gives the envelope to a link chosen by chance, another if that one is just closing."""
        for link in self._by_chance():
            try:
                await link.send_json(envelope)
            except ConnectionError:
                continue
            return True
        return False

    def _by_chance(self) -> list[web.WebSocketResponse]:
        links = [link for link in self._links if not link.closed]
        secrets.SystemRandom().shuffle(links)
        return links

    async def disconnect(self, reason: str) -> None:
        """Ends every link as Slack does for this reason; a warning is the first of two: the links
        live on for a while (`Timing.link_warning_s`), and then are asked to refresh.
        """
        if reason not in REASONS:
            raise ValueError(f"The reason is one of {', '.join(REASONS)}, not {reason!r}.")
        is_warning = reason == "warning"
        end = self._warn_and_close if is_warning else partial(self._dismiss, reason=reason)
        await asyncio.gather(*(end(link) for link in list(self._links)))

    async def lose_connection(self) -> bool:
        """Drops one link without a word. Others may be left, or the app may be back at once."""
        for link in self._by_chance()[:1]:
            await link.close()
        return True

    async def close(self) -> None:
        """Tells the app to connect again later, and closes every link at once."""
        await asyncio.gather(*(_close(link, "refresh_requested") for link in list(self._links)))


def _envelope(envelope_id: str, parcel: Parcel) -> Mapping[str, Any]:
    envelope: dict[str, Any] = {
        "envelope_id": envelope_id,
        "type": parcel.kind,
        "accepts_response_payload": parcel.accepts_reply,
        "payload": parcel.payload,
    }
    if parcel.kind == EVENTS:
        envelope |= {"retry_attempt": parcel.retry, "retry_reason": parcel.retry_reason}
    return envelope


async def _close(link: web.WebSocketResponse, reason: str) -> None:
    if await _say_disconnect(link, reason):
        await link.close()


async def _say_disconnect(link: web.WebSocketResponse, reason: str) -> bool:
    """False if there is nobody to say it to any more."""
    if link.closed:
        return False
    try:
        await link.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}})
    except ConnectionError:
        return False
    return True
