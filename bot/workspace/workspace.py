"""The parts of one running workspace, in one value that is handed to everything that serves a
request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from bot.workspace.ephemerals import Ephemerals
from bot.workspace.grants import Grants
from bot.workspace.hub import Hub
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import (
    BOT_CHANNEL,
    CHANNELS,
    PEOPLE,
    Channel,
    Person,
    bot_person,
)
from bot.workspace.secrets_file import Tokens
from bot.workspace.socket_mode import Sockets
from bot.workspace.store import Store
from bot.workspace.timing import Timing
from bot.workspace.views import Views

SEEN_LIMIT = 500


@dataclass(frozen=True)
class SeenCall:
    """One Web API call; `at` in seconds since the epoch."""

    method: str
    ok: bool
    error: str
    at: float


@dataclass
class Workspace:
    """Everything that one app and its people share. `url` has no slash at its end."""

    url: str
    app: InstalledApp
    tokens: Tokens
    timing: Timing
    store: Store
    hub: Hub
    sockets: Sockets
    grants: Grants
    views: Views
    ephemerals: Ephemerals = field(default_factory=Ephemerals)
    seen: deque[SeenCall] = field(default_factory=lambda: deque(maxlen=SEEN_LIMIT))
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Lets work go on after the request that started it; `stop` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        """Ends streams, links and work in the background."""
        self.hub.close()
        await self.sockets.close()
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def person(self, person_id: str) -> Person | None:
        """The member with this id."""
        return next((p for p in self.store.people() if p.id == person_id), None)

    def direct_message(self, person: str) -> Channel:
        """The bot's conversation with this person, made at the first call."""
        channel = Channel(f"D{person[1:]}", "", int(self.timing.now()), im_user=person)
        self.store.add_channel(channel, (person, self.app.bot_user_id))
        return channel

    def furnish(self) -> None:
        """Puts the people and channels of the start into an empty workspace, and the app's bot
        into any.
        """
        for person in (*PEOPLE, bot_person(self.app)):
            self.store.put_person(person)
        everyone = [p.id for p in PEOPLE if not p.is_bot]
        for channel_id, name in CHANNELS:
            bot = [self.app.bot_user_id] if channel_id == BOT_CHANNEL else []
            channel = Channel(channel_id, name, int(self.timing.now()))
            self.store.add_channel(channel, [*everyone, *bot])


def build(url: str, app: InstalledApp, tokens: Tokens, timing: Timing, store: Store) -> Workspace:
    """A furnished workspace on this store, nobody connected yet."""
    hub = Hub()
    workspace = Workspace(
        url=url,
        app=app,
        tokens=tokens,
        timing=timing,
        store=store,
        hub=hub,
        sockets=Sockets(app.app_id, ack_deadline_s=timing.ack_deadline_s),
        grants=Grants(timing),
        views=Views(app, hub),
    )
    workspace.furnish()
    return workspace
