"""Web API: messages that are posted later (chat.scheduleMessage and its like)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace import posting, scheduled
from bot.workspace.api_chat import WRITE
from bot.workspace.api_content import checked_content, postable_channel
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    page_of,
    paged,
    thread_of,
    visible_channel,
)
from bot.workspace.refusals import SlackError
from bot.workspace.scheduled import Scheduled
from bot.workspace.validate import TEXT_LIMIT
from bot.workspace.workspace import Workspace

FARTHEST_S = 120 * 24 * 3600
# At most 30 messages to a channel within five minutes.
WINDOW_S = 300
WINDOW_LIMIT = 30
# So short before its time a message cannot be taken back any more.
FIXED_S = 60


def schedule(workspace: Workspace, call: Call) -> Json:
    """chat.scheduleMessage"""
    channel = postable_channel(workspace, call, call.text("channel"))
    post_at = _post_at(workspace, call)
    content = checked_content(workspace, call, text_limit=TEXT_LIMIT)
    near = [
        one
        for one in scheduled.waiting(workspace)
        if one.channel == channel.id and abs(one.post_at - post_at) < WINDOW_S
    ]
    if len(near) >= WINDOW_LIMIT:
        raise SlackError("restricted_too_many")
    thread = thread_of(workspace, channel, call)
    message = posting.bot_message(call.app, content | thread)
    kept = scheduled.keep(workspace, call.app.app_id, channel.id, post_at, message)
    return {
        "channel": channel.id,
        "scheduled_message_id": kept.id,
        "post_at": post_at,
        "message": {**message, "type": "delayed_message"},
    }


def _post_at(workspace: Workspace, call: Call) -> int:
    given, now = call.text("post_at"), workspace.timing.now()
    if not given.isdecimal():
        raise SlackError("invalid_time")
    if int(given) <= now:
        raise SlackError("time_in_past")
    if int(given) > now + FARTHEST_S:
        raise SlackError("time_too_far")
    return int(given)


def _own(workspace: Workspace, call: Call) -> list[Scheduled]:
    app_id = call.app.app_id
    return [one for one in scheduled.waiting(workspace) if one.app == app_id]


def list_scheduled(workspace: Workspace, call: Call) -> Json:
    """chat.scheduledMessages.list: the app's own, the next one first."""
    channel = call.optional("channel")
    if channel and workspace.store.channel(channel) is None:
        raise SlackError("invalid_channel")
    oldest, latest = call.time("oldest", "0"), call.time("latest", "inf")
    asked = [
        one
        for one in _own(workspace, call)
        if channel in ("", one.channel) and oldest <= one.post_at <= latest
    ]
    page, cursor = page_of(asked, call)
    shown = [
        {
            "id": one.id,
            "channel_id": one.channel,
            "post_at": one.post_at,
            "date_created": one.created,
            "text": one.message["text"],
        }
        for one in page
    ]
    return paged({"scheduled_messages": shown}, cursor)


def delete_scheduled(workspace: Workspace, call: Call) -> Json:
    """chat.deleteScheduledMessage: not in the last minute before its time."""
    channel = visible_channel(workspace, call, call.text("channel"))
    wanted = call.text("scheduled_message_id")
    for one in _own(workspace, call):
        is_free = one.post_at - workspace.timing.now() > FIXED_S
        if (one.id, one.channel) == (wanted, channel.id) and is_free:
            scheduled.forget(workspace, one)
            return {}
    raise SlackError("invalid_scheduled_message_id")


METHODS: Mapping[str, Method] = {
    "chat.scheduleMessage": Method(schedule, WRITE),
    "chat.scheduledMessages.list": Method(list_scheduled),
    "chat.deleteScheduledMessage": Method(delete_scheduled, WRITE),
}
