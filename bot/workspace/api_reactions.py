"""Web API: the reactions.* methods."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace import posting, reactions, sharing
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    check_ts,
    joined_channel,
    message_of,
    page_of,
    paged,
    permalink,
)
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace


def _item(workspace: Workspace, call: Call) -> tuple[Channel, Message]:
    """The message that the call is about."""
    channel_id, ts = call.optional("channel"), call.optional("timestamp")
    if not channel_id or not ts:
        raise SlackError("no_item_specified")
    channel = joined_channel(workspace, call, channel_id)
    check_ts(ts)
    return channel, message_of(workspace, channel, ts)


def add(workspace: Workspace, call: Call) -> Json:
    """reactions.add"""
    name = call.text("name")
    channel, message = _item(workspace, call)
    reactions.add(workspace, channel, message["ts"], name, call.app.bot_user_id)
    return {}


def remove(workspace: Workspace, call: Call) -> Json:
    """reactions.remove"""
    name = call.text("name")
    channel, message = _item(workspace, call)
    reactions.remove(workspace, channel, message["ts"], name, call.app.bot_user_id)
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
