"""Messages that one person alone sees.

Slack forgets them at a reload; here they live as long as the server.
"""

from __future__ import annotations

from collections import OrderedDict

from bot.workspace.store import Message

REMEMBERED = 200


class Ephemerals:
    """For each person the latest ephemeral messages, by channel and ts."""

    def __init__(self) -> None:
        self._kept: dict[str, OrderedDict[tuple[str, str], Message]] = {}

    def put(self, person: str, channel: str, message: Message) -> None:
        """Adds a message, or replaces the one with this ts."""
        own = self._kept.setdefault(person, OrderedDict())
        own[channel, message["ts"]] = message
        if len(own) > REMEMBERED:
            own.popitem(last=False)

    def remove(self, person: str, channel: str, ts: str) -> bool:
        """Forgets a message; whether it was there."""
        return self._kept.get(person, OrderedDict()).pop((channel, ts), None) is not None

    def find(self, person: str, channel: str, ts: str) -> Message | None:
        """The message with this ts."""
        return self._kept.get(person, OrderedDict()).get((channel, ts))

    def of_channel(self, person: str, channel: str) -> list[Message]:
        """The person's messages in this channel, oldest first."""
        own = self._kept.get(person, OrderedDict())
        return [message for (where, _), message in own.items() if where == channel]
