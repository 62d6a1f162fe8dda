"""Short-lived permissions that a person's act gives to an app: trigger ids and response URLs."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

from bot.workspace.refusals import SlackError
from bot.workspace.timing import Timing

T = TypeVar("T")

REMEMBERED = 10_000
RESPONSE_URL_USES = 5


@dataclass
class Trigger:
    """Lets the app open one view for this person.

    `channel` is the conversation that the person looked at, `view` the view that was acted on
    ("" for none).
    """

    app: str
    person: str
    made_at: float
    channel: str = ""
    view: str = ""
    is_used: bool = False


@dataclass
class ResponseUrl:
    """Lets the app answer where the person acted, `uses_left` times until `until`.

    `ts` is the message that it replaces or deletes: the one that was acted on, or the latest
    answer ("" if
    there is none); `is_ephemeral` says which kind that is. `app` is the id of the app that it was
    given to.
    """

    app: str
    channel: str
    person: str
    until: float
    ts: str = ""
    is_ephemeral: bool = False
    uses_left: int = RESPONSE_URL_USES


class Grants:
    """Every permission given, the oldest forgotten first."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._triggers: OrderedDict[str, Trigger] = OrderedDict()
        self._response_urls: OrderedDict[str, ResponseUrl] = OrderedDict()

    def new_trigger(self, app: str, person: str, *, channel: str = "", view: str = "") -> str:
        """A trigger id that tells this app what a person has just done."""
        now = self._timing.now()
        trigger_id = f"{int(now * 1000)}.{secrets.randbelow(10**9):09d}.{secrets.token_hex(16)}"
        _remember(self._triggers, trigger_id, Trigger(app, person, now, channel, view))
        return trigger_id

    def use_trigger(self, app: str, trigger_id: str) -> Trigger:
        """Who acted, and where; SlackError if the trigger is not this app's, used, or older than
        three seconds.
        """
        trigger = self._triggers.get(trigger_id)
        if trigger is None or trigger.app != app:
            raise SlackError("invalid_trigger_id")
        if trigger.is_used:
            raise SlackError("exchanged_trigger_id")
        if self._timing.now() - trigger.made_at > self._timing.trigger_life_s:
            raise SlackError("expired_trigger_id")
        trigger.is_used = True
        return trigger

    def new_response_url(
        self, app: str, channel: str, person: str, *, ts: str = "", is_ephemeral: bool = False
    ) -> str:
        """The key of a response URL for what this person has just done here."""
        key = secrets.token_urlsafe(24)
        until = self._timing.now() + self._timing.response_url_life_s
        grant = ResponseUrl(app, channel, person, until, ts, is_ephemeral)
        _remember(self._response_urls, key, grant)
        return key

    def response_url(self, key: str) -> ResponseUrl | None:
        """What the key allows, unless it is unknown, used up or too old."""
        grant = self._response_urls.get(key)
        if grant is None or grant.uses_left <= 0 or self._timing.now() > grant.until:
            return None
        return grant


def _remember(kept: OrderedDict[str, T], key: str, value: T) -> None:
    kept[key] = value
    while len(kept) > REMEMBERED:
        kept.popitem(last=False)
