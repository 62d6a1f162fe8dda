"""Reactions to a message, by people and by apps, counted and in the order that Slack shows them."""

from __future__ import annotations

import re
from typing import Any

from bot.workspace import events, posting
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

# Distinct reactions on a message, and of one person on it.
EMOJI_LIMIT = 50
OWN_LIMIT = 23
_NAME = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")


def add(workspace: Workspace, channel: Channel, ts: str, name: str, person: str) -> None:
    """Adds a person's reaction; SlackError if Slack would not."""
    message = _message(workspace, channel, ts, name)
    if channel.is_archived:
        raise SlackError("is_archived")
    posting.keep(workspace, channel, reacted(message, name, person))
    events.reaction(workspace, channel, message, name, person, is_added=True)


def remove(workspace: Workspace, channel: Channel, ts: str, name: str, person: str) -> None:
    """Takes a person's reaction away; SlackError if Slack would not."""
    message = _message(workspace, channel, ts, name)
    posting.keep(workspace, channel, unreacted(message, name, person))
    events.reaction(workspace, channel, message, name, person, is_added=False)


def check_name(name: str) -> None:
    """Refuses what is no name of an emoji."""
    if not _NAME.fullmatch(name):
        raise SlackError("invalid_name")


def _message(workspace: Workspace, channel: Channel, ts: str, name: str) -> Message:
    check_name(name)
    message = workspace.store.message(channel.id, ts)
    if message is None or message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    return message


def reacted(message: Message, name: str, person: str) -> Message:
    """The message with one more reaction; SlackError if it cannot have it."""
    reactions: list[dict[str, Any]] = message.get("reactions", [])
    before: list[str] = next((r["users"] for r in reactions if r["name"] == name), [])
    if person in before:
        raise SlackError("already_reacted")
    if sum(person in r["users"] for r in reactions) >= OWN_LIMIT:
        raise SlackError("too_many_reactions")
    if not before and len(reactions) >= EMOJI_LIMIT:
        raise SlackError("too_many_emoji")
    users = [*before, person]
    mine = {"name": name, "users": users, "count": len(users)}
    if not before:
        return message | {"reactions": [*reactions, mine]}
    return message | {"reactions": [mine if r["name"] == name else r for r in reactions]}


def unreacted(message: Message, name: str, person: str) -> Message:
    """The message without this person's reaction; SlackError if there is none."""
    reactions: list[dict[str, Any]] = message.get("reactions", [])
    before: list[str] = next((r["users"] for r in reactions if r["name"] == name), [])
    if person not in before:
        raise SlackError("no_reaction")
    users = [user for user in before if user != person]
    mine = [{"name": name, "users": users, "count": len(users)}] if users else []
    rest = [part for r in reactions for part in (mine if r["name"] == name else [r])]
    without = {key: value for key, value in message.items() if key != "reactions"}
    return without | ({"reactions": rest} if rest else {})
