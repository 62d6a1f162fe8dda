"""Gets a payload to an app: the retries of events, and what shall go wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.workspace.delivery import (
    CONNECTION_FAILED,
    DISPATCH_FAILED,
    EVENTS,
    OPERATION_TIMEOUT,
    Delivery,
    Parcel,
    Transport,
)
from bot.workspace.faults import Faults
from bot.workspace.recorder import Recorder
from bot.workspace.timing import Timing


@dataclass(frozen=True)
class Dispatch:
    """The deliveries of one app."""

    app_id: str
    transport: Transport
    timing: Timing
    recorder: Recorder
    faults: Faults

    async def deliver(self, kind: str, payload: Mapping[str, Any]) -> Delivery:
        """Sends a payload; an event again, up to three times, until the app acknowledges it.

        A command or an interaction is never sent again: a person waits for it.
        """
        delivery = await self._attempt(Parcel(kind, payload))
        if kind != EVENTS:
            return delivery
        for retry, wait_s in enumerate(self.timing.event_retries_after_s, start=1):
            if not delivery.error or not delivery.may_retry:
                break
            await self.timing.clock.sleep(wait_s)
            delivery = await self._attempt(Parcel(kind, payload, retry, delivery.reason))
        return delivery

    async def _attempt(self, parcel: Parcel) -> Delivery:
        if self._is_due("duplicate", parcel):
            first, _ = await asyncio.gather(self._record(parcel), self._record(parcel))
            return first
        return await self._record(parcel)

    async def _record(self, parcel: Parcel) -> Delivery:
        name = f"{parcel.kind} {parcel.detail}"
        kind = "http" if self.transport.name == "http" else "envelope"
        entry = self.recorder.begin(kind, name, parcel.payload, app=self.app_id)
        delivery = await self._send(parcel)
        self.recorder.end(
            entry, error=delivery.error, status=delivery.status, answer=delivery.reply
        )
        return delivery

    async def _send(self, parcel: Parcel) -> Delivery:
        if self._is_due("close_sockets", parcel) and not await self.transport.lose_connection():
            return Delivery(DISPATCH_FAILED, reason=CONNECTION_FAILED)
        if self._is_due("drop_ack", parcel) or self._is_due("late_ack", parcel):
            return await self._send_in_vain(parcel)
        return await self.transport.send(parcel)

    async def _send_in_vain(self, parcel: Parcel) -> Delivery:
        """The app gets it, and its acknowledgement does not come in time."""
        deadline = self.timing.clock.sleep(self.timing.ack_deadline_s)
        delivery, _ = await asyncio.gather(self.transport.send(parcel), deadline)
        timed_out = Delivery(OPERATION_TIMEOUT, reason=self.transport.timeout_reason)
        return delivery if delivery.error else timed_out

    def _is_due(self, fault: str, parcel: Parcel) -> bool:
        return self.faults.take(fault, parcel.kind, self.app_id) is not None
