"""The parts of one running workspace, in one value that is handed to everything that serves a
request.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from bot.workspace.ephemerals import Ephemerals
from bot.workspace.faults import Faults
from bot.workspace.files import Files
from bot.workspace.grants import Grants
from bot.workspace.homes import Homes
from bot.workspace.hub import Hub
from bot.workspace.installation import Installation
from bot.workspace.installed_app import InstalledApp
from bot.workspace.limits import Limits
from bot.workspace.offers import Offers
from bot.workspace.people import (
    BOT_CHANNEL,
    CHANNELS,
    GUEST_CHANNEL,
    PEOPLE,
    Channel,
    Person,
    bot_person,
)
from bot.workspace.recorder import Recorder
from bot.workspace.store import Store
from bot.workspace.timing import Timing
from bot.workspace.views import Views


@dataclass
class Workspace:
    """Everything that the apps and the people share. `url` has no slash at its end."""

    url: str
    apps: tuple[Installation, ...]
    timing: Timing
    store: Store
    hub: Hub
    recorder: Recorder
    limits: Limits
    grants: Grants
    views: Views
    files: Files
    faults: Faults
    homes: Homes
    offers: Offers = field(default_factory=Offers)
    ephemerals: Ephemerals = field(default_factory=Ephemerals)
    # Ids of the apps whose bot token was taken back.
    revoked: set[str] = field(default_factory=set)
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Lets work go on after the request that started it; `stop` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def stop(self) -> None:
        """Ends streams, links and work in the background."""
        self.hub.close()
        await asyncio.gather(*(installed.transport.close() for installed in self.apps))
        for task in list(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def person(self, person_id: str) -> Person | None:
        """The member with this id."""
        return next((p for p in self.store.people() if p.id == person_id), None)

    def installation(self, app_id: str) -> Installation | None:
        """The installed app with this id."""
        return next((known for known in self.apps if known.app.app_id == app_id), None)

    def token_of(self, token: str) -> tuple[str, Installation] | None:
        """What a token of an app is: its kind (bot or app) and the app; also one that was taken
        back.
        """
        for installed in self.apps:
            kinds = {"bot": installed.tokens.bot_token, "app": installed.tokens.app_token}
            for kind, known in kinds.items():
                if secrets.compare_digest(token.encode(errors="replace"), known.encode()):
                    return kind, installed
        return None

    def commanded(self, word: str) -> Installation | None:
        """The app that has this slash command; of several the one installed last, as in Slack."""
        having = [known for known in self.apps if known.app.command(word) is not None]
        return having[-1] if having else None

    def direct_message(self, app: InstalledApp, person: str) -> Channel:
        """The conversation of an app's bot with this person, made at the first call."""
        bot, now = app.bot_user_id, int(self.timing.now())
        channel = Channel(
            self.direct_message_id(app, person), "", now, im_user=person, im_bot=bot, creator=bot
        )
        self.store.add_channel(channel, (person, bot))
        return channel

    def direct_message_id(self, app: InstalledApp, person: str) -> str:
        """The id that the conversation of an app's bot with this person has, or will have."""
        first = self.apps[0].app is app
        return f"D{person[1:]}" if first else f"D{person[1:]}{app.app_id.removeprefix('A0')}"

    def furnish(self) -> None:
        """Puts the people and channels of the start into an empty workspace, and the apps' bots
        into any.
        """
        bots = [bot_person(installed.app) for installed in self.apps]
        known = {person.id for person in self.store.people()}
        people = [p for p in PEOPLE if not p.is_bot]
        for person in (*PEOPLE, *bots):
            self.store.put_person(person)
        for channel_id, name in CHANNELS:
            channel = Channel(channel_id, name, int(self.timing.now()), creator=people[0].id)
            members = [p.id for p in people if not p.is_guest or channel_id == GUEST_CHANNEL]
            self.store.add_channel(channel, members)
        for bot in bots:
            if bot.id not in known:
                self.store.add_member(BOT_CHANNEL, bot.id)


def build(
    url: str,
    apps: tuple[Installation, ...],
    timing: Timing,
    store: Store,
    recorder: Recorder,
    hub: Hub,
    faults: Faults,
) -> Workspace:
    """A furnished workspace on this store, nobody connected yet."""
    workspace = Workspace(
        url=url,
        apps=apps,
        timing=timing,
        store=store,
        hub=hub,
        recorder=recorder,
        limits=Limits(timing.now, is_on=timing.has_rate_limits),
        grants=Grants(timing),
        views=Views(hub),
        files=Files(store, timing, url),
        faults=faults,
        homes=Homes(hub, store),
    )
    workspace.furnish()
    return workspace
