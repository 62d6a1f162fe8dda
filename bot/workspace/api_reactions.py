"""Web API: the reactions.* methods."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.workspace import posting, sharing
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    check_ts,
    joined_channel,
    page_of,
    paged,
    permalink,
)
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

# Distinct reactions on a message, and of one person on it.
EMOJI_LIMIT = 50
OWN_LIMIT = 23
_NAME = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")


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


def check_name(name: str) -> None:
    """Refuses what is no name of an emoji."""
    if not _NAME.fullmatch(name):
        raise SlackError("invalid_name")


def _item(workspace: Workspace, call: Call) -> tuple[Channel, Message]:
    """The message that the call is about."""
    channel_id, ts = call.optional("channel"), call.optional("timestamp")
    if not channel_id or not ts:
        raise SlackError("no_item_specified")
    channel = joined_channel(workspace, call, channel_id)
    check_ts(ts)
    message = workspace.store.message(channel.id, ts)
    if message is None:
        raise SlackError("message_not_found")
    return channel, message


def add(workspace: Workspace, call: Call) -> Json:
    """reactions.add"""
    name = call.text("name")
    check_name(name)
    channel, message = _item(workspace, call)
    if channel.is_archived:
        raise SlackError("is_archived")
    posting.change(workspace, channel, reacted(message, name, call.app.bot_user_id))
    return {}


def remove(workspace: Workspace, call: Call) -> Json:
    """reactions.remove"""
    name = call.text("name")
    check_name(name)
    channel, message = _item(workspace, call)
    posting.change(workspace, channel, unreacted(message, name, call.app.bot_user_id))
    return {}


def get(workspace: Workspace, call: Call) -> Json:
    """reactions.get: of a message, or of a file (which has none)."""
    if call.optional("file"):
        file = workspace.files.get(call.text("file"))
        if file is None or not sharing.app_may_see(workspace, call.app, file):
            raise SlackError("file_not_found")
        return {"type": "file", "file": workspace.files.in_message(file.id)}
    channel, message = _item(workspace, call)
    return _of_message(workspace, channel, message)


def _of_message(workspace: Workspace, channel: Channel, message: Message) -> Json:
    (whole,) = posting.whole(workspace, channel.id, [message])
    shown = {**whole, "permalink": permalink(workspace, channel, message)}
    return {"type": "message", "channel": channel.id, "message": shown}


def list_reactions(workspace: Workspace, call: Call) -> Json:
    """reactions.list: what somebody has reacted to, where the bot is; the newest first."""
    person = call.optional("user") or call.app.bot_user_id
    if workspace.person(person) is None:
        raise SlackError("user_not_found")
    bot, store = call.app.bot_user_id, workspace.store
    joined = {c.id: c for c in store.channels() if store.is_member(c.id, bot)}
    found = [
        (joined[channel], message)
        for channel, message in store.messages_with("reactions")
        if channel in joined and any(person in r["users"] for r in message["reactions"])
    ]
    page, cursor = page_of(found, call)
    items = [_of_message(workspace, channel, message) for channel, message in page]
    return paged({"items": items}, cursor)


READ, WRITE = ("reactions:read",), ("reactions:write",)
METHODS: Mapping[str, Method] = {
    "reactions.add": Method(add, WRITE),
    "reactions.remove": Method(remove, WRITE),
    "reactions.get": Method(get, READ),
    "reactions.list": Method(list_reactions, READ),
}
