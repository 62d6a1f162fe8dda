"""Web API: the chat.* methods and reactions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.workspace import posting
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    check_slack_files,
    joined_channel,
    thread_of,
    visible_channel,
)
from bot.workspace.channels import SYSTEM_SUBTYPES
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.validate import (
    TEXT_LIMIT,
    UPDATED_TEXT_LIMIT,
    check_message,
)
from bot.workspace.workspace import Workspace

_TS = re.compile(r"\d{1,10}\.\d{6}")
_EMOJI_NAME = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")


def post_message(workspace: Workspace, call: Call) -> Json:
    """chat.postMessage"""
    channel = _postable_channel(workspace, call, call.text("channel"))
    content = _checked_content(workspace, call, text_limit=TEXT_LIMIT)
    message = posting.bot_message(call.app, content | thread_of(workspace, channel, call))
    posted = posting.post(workspace, channel, message)
    return {"channel": channel.id, "ts": posted["ts"], "message": posted}


def _postable_channel(workspace: Workspace, call: Call, name: str) -> Channel:
    """A channel by id or name, or the direct message with a person, that the bot may post to."""
    person = workspace.person(name)
    if person is not None and not person.is_bot:
        return workspace.direct_message(call.app, person.id)
    named = [c.id for c in workspace.store.channels() if c.name == name.removeprefix("#")]
    channel = visible_channel(workspace, call, named[0] if named else name)
    is_member = workspace.store.is_member(channel.id, call.app.bot_user_id)
    if not is_member and "chat:write.public" not in call.app.scopes:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def _checked_content(
    workspace: Workspace, call: Call, *, text_limit: int, partial: bool = False
) -> dict[str, Any]:
    """The content of a message as it was given, checked. With `partial`, blocks may be emptied."""
    given: dict[str, Any] = {name: call.json(name) for name in posting.CONTENT if name != "text"}
    text = call.optional("text")
    # Slack cuts what is posted, and refuses an update that is too long.
    given["text"] = text[:TEXT_LIMIT] if text_limit == TEXT_LIMIT else text
    complaints = check_message(given, text_limit=text_limit)
    if complaints:
        raise SlackError.of(complaints)
    check_slack_files(workspace, call.app, given["blocks"])
    return given if partial else posting.content_of(given)


def update(workspace: Workspace, call: Call) -> Json:
    """chat.update: text without blocks removes the blocks; what else is left out stays."""
    channel = visible_channel(workspace, call, call.text("channel"))
    old = _own_message(workspace, call, channel, call.text("ts"), "cant_update_message")
    if channel.is_archived:
        raise SlackError("is_inactive")
    given = _checked_content(workspace, call, text_limit=UPDATED_TEXT_LIMIT, partial=True)
    new = _updated(workspace, call, channel, old, given)
    posting.change(workspace, channel, new)
    return {"channel": channel.id, "ts": new["ts"], "text": new["text"], "message": new}


def _updated(
    workspace: Workspace, call: Call, channel: Channel, old: Message, given: Mapping[str, Any]
) -> Message:
    content = posting.content_of(given)
    gone = {"attachments"} if given["attachments"] == [] else set()
    if "blocks" not in content:
        gone.add("blocks")
        # Slack marks a message as edited only if it has no blocks.
        ts = workspace.store.next_ts(channel.id, workspace.timing.now())
        content["edited"] = {"user": call.app.bot_user_id, "ts": ts}
    return posting.replaced(old, content, drop=gone)


def _own_message(
    workspace: Workspace, call: Call, channel: Channel, ts: str, refusal: str
) -> Message:
    """A message of the app's bot in this channel."""
    message = workspace.store.message(channel.id, ts)
    if message is None:
        raise SlackError("message_not_found")
    is_own = message["user"] == call.app.bot_user_id
    if not is_own or message.get("subtype") in SYSTEM_SUBTYPES:
        raise SlackError(refusal)
    return message


def delete(workspace: Workspace, call: Call) -> Json:
    """chat.delete"""
    channel = visible_channel(workspace, call, call.text("channel"))
    message = _own_message(workspace, call, channel, call.text("ts"), "cant_delete_message")
    posting.delete(workspace, channel, message)
    return {"channel": channel.id, "ts": message["ts"]}


def post_ephemeral(workspace: Workspace, call: Call) -> Json:
    """chat.postEphemeral"""
    channel = joined_channel(workspace, call, call.text("channel"))
    if channel.is_archived:
        raise SlackError("is_archived")
    person = call.text("user")
    if not workspace.store.is_member(channel.id, person):
        raise SlackError("user_not_in_channel")
    content = _checked_content(workspace, call, text_limit=UPDATED_TEXT_LIMIT)
    thread = thread_of(workspace, channel, call)
    message = posting.bot_message(call.app, content | thread)
    shown = posting.whisper(workspace, channel, person, message)
    return {"message_ts": shown["ts"]}


def get_permalink(workspace: Workspace, call: Call) -> Json:
    """chat.getPermalink"""
    channel = visible_channel(workspace, call, call.text("channel"))
    message = workspace.store.message(channel.id, call.text("message_ts"))
    if message is None:
        raise SlackError("message_not_found")
    link = f"{workspace.url}/archives/{channel.id}/p{message['ts'].replace('.', '')}"
    if "thread_ts" in message:
        link += f"?thread_ts={message['thread_ts']}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def add_reaction(workspace: Workspace, call: Call) -> Json:
    """reactions.add"""
    channel = joined_channel(workspace, call, call.text("channel"))
    if channel.is_archived:
        raise SlackError("is_archived")
    ts, name = call.text("timestamp"), call.text("name")
    if not _TS.fullmatch(ts):
        raise SlackError("bad_timestamp")
    if not _EMOJI_NAME.fullmatch(name):
        raise SlackError("invalid_name")
    message = workspace.store.message(channel.id, ts)
    if message is None:
        raise SlackError("message_not_found")
    posting.change(workspace, channel, _reacted(message, name, call.app.bot_user_id))
    return {}


def _reacted(message: Message, name: str, person: str) -> Message:
    reactions: list[dict[str, Any]] = message.get("reactions", [])
    before: list[str] = next((r["users"] for r in reactions if r["name"] == name), [])
    if person in before:
        raise SlackError("already_reacted")
    users = [*before, person]
    mine = {"name": name, "users": users, "count": len(users)}
    if not before:
        return message | {"reactions": [*reactions, mine]}
    return message | {"reactions": [mine if r["name"] == name else r for r in reactions]}


WRITE = ("chat:write",)
METHODS: Mapping[str, Method] = {
    "chat.postMessage": Method(post_message, WRITE),
    "chat.update": Method(update, WRITE),
    "chat.delete": Method(delete, WRITE),
    "chat.postEphemeral": Method(post_ephemeral, WRITE),
    "chat.getPermalink": Method(get_permalink),
    "reactions.add": Method(add_reaction, ("reactions:write",)),
}
