"""Socket Mode: links opened with one-use tickets, envelopes sent to one of them,
acknowledgements with a deadline.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from bot.workspace.delivery import DISPATCH_FAILED, OPERATION_TIMEOUT, Delivery
from bot.workspace.recorder import Recorder
from bot.workspace.timing import Timing

MAX_LINKS = 10
HEARTBEAT_S = 30.0
# How long a link that is told to close may take to agree.
GOODBYE_S = 1.0


class Sockets:
    """The links of one app."""

    def __init__(self, app_id: str, timing: Timing, recorder: Recorder) -> None:
        self._app_id = app_id
        self._timing = timing
        self._recorder = recorder
        self._tickets: set[str] = set()
        self._links: list[web.WebSocketResponse] = []
        self._waiting: dict[str, asyncio.Future[Any]] = {}

    @property
    def is_connected(self) -> bool:
        """Whether the app has a link open."""
        return bool(self._links)

    @property
    def connections(self) -> int:
        """How many links the app has open."""
        return len(self._links)

    def new_ticket(self) -> str:
        """Lets one link be opened."""
        ticket = str(uuid.uuid4())
        self._tickets.add(ticket)
        return ticket

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Serves one link until it closes."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            refusal = "The ticket is not valid, or was used before."
            self._note("connect", error=refusal, status=403)
            return web.Response(status=403, text=refusal)
        self._tickets.discard(ticket)
        link = web.WebSocketResponse(heartbeat=HEARTBEAT_S, timeout=GOODBYE_S)
        await link.prepare(request)
        if len(self._links) >= MAX_LINKS:
            await _disconnect(link, "too_many_websockets")
            self._note("connect", error="too_many_websockets")
            return link
        self._links.append(link)
        self._note("connect", answer=self._hello())
        try:
            await link.send_json(self._hello())
            await self._listen(link)
        except ConnectionError:
            pass  # The app went away in the middle: nothing more to do with this link.
        finally:
            self._links.remove(link)
            self._note("disconnect", answer={"code": link.close_code})
        return link

    def _note(self, name: str, **outcome: Any) -> None:
        entry = self._recorder.begin("socket", name, app=self._app_id)
        self._recorder.end(entry, **outcome)

    def _hello(self) -> Mapping[str, Any]:
        return {
            "type": "hello",
            "num_connections": len(self._links),
            "debug_info": {"host": "applink-local", "approximate_connection_time": 18060},
            "connection_info": {"app_id": self._app_id},
        }

    async def _listen(self, link: web.WebSocketResponse) -> None:
        async for frame in link:
            if frame.type is WSMsgType.TEXT:
                self._acknowledge(frame.data)

    def _acknowledge(self, text: str) -> None:
        try:
            frame = json.loads(text)
        except ValueError:
            return
        envelope = frame.get("envelope_id") if isinstance(frame, dict) else None
        waiting = self._waiting.get(envelope) if isinstance(envelope, str) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(frame.get("payload"))

    async def deliver(self, kind: str, payload: Mapping[str, Any]) -> Delivery:
        """Sends a payload to one link and waits for its acknowledgement.

        `kind` is slash_commands, interactive or events_api.
        """
        envelope_id = str(uuid.uuid4())
        envelope: dict[str, Any] = {
            "envelope_id": envelope_id,
            "type": kind,
            "accepts_response_payload": kind != "events_api",
            "payload": payload,
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": 0, "retry_reason": ""}
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[envelope_id] = waiting
        try:
            if not await self._send(envelope):
                return Delivery(DISPATCH_FAILED)
            deadline_s = self._timing.ack_deadline_s
            return Delivery(reply=await self._timing.clock.wait_for(waiting, deadline_s))
        except TimeoutError:
            return Delivery(OPERATION_TIMEOUT)
        finally:
            del self._waiting[envelope_id]

    async def _send(self, envelope: Mapping[str, Any]) -> bool:
        """Gives the envelope to a link chosen by chance, another if that one is just closing."""
        links = [link for link in self._links if not link.closed]
        secrets.SystemRandom().shuffle(links)
        for link in links:
            try:
                await link.send_json(envelope)
            except ConnectionError:
                continue
            return True
        return False

    async def close(self) -> None:
        """Tells the app to connect again later, and closes every link."""
        links = list(self._links)
        await asyncio.gather(*(_disconnect(link, "refresh_requested") for link in links))


async def _disconnect(link: web.WebSocketResponse, reason: str) -> None:
    try:
        await link.send_json({"type": "disconnect", "reason": reason, "debug_info": {}})
    except ConnectionError:
        return
    await link.close()
