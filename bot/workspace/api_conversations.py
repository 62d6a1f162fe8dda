"""Web API: the conversations.* methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.workspace import events, posting
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    decode_cursor,
    encode_cursor,
    joined_channel,
    known_person,
    page_of,
    paged,
    require_scope,
    visible_channel,
)
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import TEAM_ID, Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message, Span
from bot.workspace.workspace import Workspace

PAGE_LIMIT = 999
READ = ("channels:read", "groups:read", "im:read", "mpim:read")
HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
# Kinds of conversation, and the prefix of the scopes that let an app know of them.
_KINDS = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def _prefix(channel: Channel) -> str:
    return "im" if channel.is_im else "channels"


def channel_object(workspace: Workspace, app: InstalledApp, channel: Channel) -> Json:
    """Slack's conversation object."""
    common: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": False,
        "is_im": channel.is_im,
        "is_org_shared": False,
        "context_team_id": TEAM_ID,
    }
    if channel.is_im:
        return common | {"user": channel.im_user, "is_user_deleted": False, "priority": 0}
    members = workspace.store.members(channel.id)
    return common | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": True,
        "is_group": False,
        "is_mpim": False,
        "is_private": False,
        "is_general": channel.name == "general",
        "is_shared": False,
        "is_ext_shared": False,
        "is_member": app.bot_user_id in members,
        "num_members": len(members),
        "creator": members[0],
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
    }


def list_channels(workspace: Workspace, call: Call) -> Json:
    """conversations.list"""
    kinds = (call.optional("types") or "public_channel").replace(" ", "").split(",")
    for kind in kinds:
        if kind not in _KINDS:
            raise SlackError("invalid_types")
        require_scope(call.app, f"{_KINDS[kind]}:read")
    prefixes = {_KINDS[kind] for kind in kinds}
    known = [
        c
        for c in workspace.store.channels()
        if _prefix(c) in prefixes and c.im_bot in ("", call.app.bot_user_id)
    ]
    page, cursor = page_of(known, call)
    return paged({"channels": [channel_object(workspace, call.app, c) for c in page]}, cursor)


def info(workspace: Workspace, call: Call) -> Json:
    """conversations.info"""
    channel = visible_channel(workspace, call, call.text("channel"))
    require_scope(call.app, f"{_prefix(channel)}:read")
    return {"channel": channel_object(workspace, call.app, channel)}


def members(workspace: Workspace, call: Call) -> Json:
    """conversations.members"""
    channel = visible_channel(workspace, call, call.text("channel"))
    require_scope(call.app, f"{_prefix(channel)}:read")
    page, cursor = page_of(workspace.store.members(channel.id), call)
    return paged({"members": list(page)}, cursor)


def open_im(workspace: Workspace, call: Call) -> Json:
    """conversations.open, for one person."""
    if call.optional("channel"):
        channel = visible_channel(workspace, call, call.text("channel"))
    else:
        users = call.optional("users")
        if not users:
            raise SlackError("users_list_not_supplied")
        if "," in users:
            require_scope(call.app, "mpim:write")
            raise SlackError("method_not_supported_for_channel_type")
        channel = workspace.direct_message(call.app, known_person(workspace, users).id)
    if not call.flag("return_im"):
        return {"channel": {"id": channel.id}}
    return {"channel": channel_object(workspace, call.app, channel)}


def join(workspace: Workspace, call: Call) -> Json:
    """conversations.join"""
    channel = visible_channel(workspace, call, call.text("channel"))
    if channel.is_im:
        raise SlackError("method_not_supported_for_channel_type")
    if not workspace.store.is_member(channel.id, call.app.bot_user_id):
        workspace.store.add_member(channel.id, call.app.bot_user_id)
        events.member_joined(workspace, channel, call.app.bot_user_id)
    return {"channel": channel_object(workspace, call.app, channel)}


def _shown(call: Call, messages: Sequence[Message]) -> list[Message]:
    """Metadata is only for those who ask."""
    if call.flag("include_all_metadata"):
        return list(messages)
    return [{name: m[name] for name in m if name != "metadata"} for m in messages]


def history(workspace: Workspace, call: Call) -> Json:
    """conversations.history: newest first."""
    channel = _readable_channel(workspace, call)
    limit = call.number("limit", 100, most=PAGE_LIMIT)
    cursor = decode_cursor(call.optional("cursor"))
    span = Span(
        before=cursor or call.optional("latest"),
        after=call.optional("oldest"),
        inclusive=call.flag("inclusive") and not cursor,
    )
    found = workspace.store.history(channel.id, span, limit=limit + 1)
    page = posting.whole(workspace, channel.id, found[:limit])
    return _page(call, page, has_more=len(found) > limit)


def replies(workspace: Workspace, call: Call) -> Json:
    """conversations.replies: the root, then the replies, oldest first."""
    channel = _readable_channel(workspace, call)
    ts = call.text("ts")
    message = workspace.store.message(channel.id, ts)
    root = workspace.store.message(channel.id, message.get("thread_ts", ts)) if message else None
    if root is None:
        raise SlackError("thread_not_found")
    limit = call.number("limit", PAGE_LIMIT, most=1000)
    cursor = decode_cursor(call.optional("cursor"))
    first = [] if cursor else posting.whole(workspace, channel.id, [root])
    room = limit - len(first)
    span = Span(
        before=call.optional("latest"),
        after=cursor or call.optional("oldest"),
        inclusive=call.flag("inclusive") and not cursor,
    )
    found = workspace.store.replies(channel.id, root["ts"], span, limit=room + 1)
    return _page(call, [*first, *found[:room]], has_more=len(found) > room)


def _page(call: Call, messages: Sequence[Message], *, has_more: bool) -> Json:
    cursor = encode_cursor(messages[-1]["ts"] if has_more else "")
    return paged({"messages": _shown(call, messages), "has_more": has_more}, cursor)


def _readable_channel(workspace: Workspace, call: Call) -> Channel:
    channel = joined_channel(workspace, call, call.text("channel"))
    require_scope(call.app, f"{_prefix(channel)}:history")
    return channel


METHODS: Mapping[str, Method] = {
    "conversations.list": Method(list_channels, READ),
    "conversations.info": Method(info, READ),
    "conversations.members": Method(members, READ),
    "conversations.open": Method(open_im, ("im:write", "mpim:write")),
    "conversations.join": Method(join, ("channels:join",)),
    "conversations.history": Method(history, HISTORY),
    "conversations.replies": Method(replies, HISTORY),
}
