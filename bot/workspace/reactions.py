"""Reactions to a message, by people and by apps, counted and in the order that Slack shows them."""

from __future__ import annotations

import re
from typing import Any

from bot.workspace import events, posting
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

KINDS_LIMIT = 50
OF_ONE_PERSON_LIMIT = 23
_EMOJI_NAME = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")

Reactions = list[dict[str, Any]]


def add(workspace: Workspace, channel: Channel, ts: str, name: str, person: str) -> None:
    """Adds a person's reaction; SlackError if Slack would not."""
    message, reactions = _reacted(workspace, channel, ts, name)
    before: list[str] = next((r["users"] for r in reactions if r["name"] == name), [])
    if person in before:
        raise SlackError("already_reacted")
    if not before and len(reactions) >= KINDS_LIMIT:
        raise SlackError("too_many_emoji")
    if sum(person in r["users"] for r in reactions) >= OF_ONE_PERSON_LIMIT:
        raise SlackError("too_many_reactions")
    mine = _reaction(name, [*before, person])
    after = [mine if r["name"] == name else r for r in reactions]
    posting.keep(workspace, channel, _with(message, after if before else [*after, mine]))
    events.reaction(workspace, channel, message, name, person, is_added=True)


def remove(workspace: Workspace, channel: Channel, ts: str, name: str, person: str) -> None:
    """Takes a person's reaction away; SlackError if Slack would not."""
    message, reactions = _reacted(workspace, channel, ts, name)
    before: list[str] = next((r["users"] for r in reactions if r["name"] == name), [])
    if person not in before:
        raise SlackError("no_reaction")
    left = [user for user in before if user != person]
    after = [_reaction(name, left) if r["name"] == name else r for r in reactions]
    posting.keep(workspace, channel, _with(message, [r for r in after if r["users"]]))
    events.reaction(workspace, channel, message, name, person, is_added=False)


def _reacted(
    workspace: Workspace, channel: Channel, ts: str, name: str
) -> tuple[Message, Reactions]:
    """The message, and the reactions to it so far."""
    if not _EMOJI_NAME.fullmatch(name):
        raise SlackError("invalid_name")
    message = workspace.store.message(channel.id, ts)
    if message is None or message.get("subtype") == "tombstone":
        raise SlackError("message_not_found")
    return message, message.get("reactions", [])


def _reaction(name: str, users: list[str]) -> dict[str, Any]:
    return {"name": name, "users": users, "count": len(users)}


def _with(message: Message, reactions: Reactions) -> Message:
    rest = {name: value for name, value in message.items() if name != "reactions"}
    return rest | ({"reactions": reactions} if reactions else {})
