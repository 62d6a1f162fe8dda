"""Web API: the conversations.* methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bot.workspace import channels, posting
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


USERS_LIMIT = 8


def _prefix(channel: Channel) -> str:
    """What the scopes of this kind of conversation begin with."""
    return {"channel": "channels", "group": "groups"}.get(channel.kind, channel.kind)


def channel_object(workspace: Workspace, app: InstalledApp, channel: Channel) -> Json:
    """Slack's conversation object."""
    common: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": channel.is_archived,
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
        "is_channel": channel.kind in ("channel", "group"),
        "is_group": False,
        "is_mpim": channel.is_mpim,
        "is_private": channel.is_private,
        "is_general": channel.name == "general",
        "is_shared": False,
        "is_ext_shared": False,
        "is_pending_ext_shared": False,
        "pending_shared": [],
        "unlinked": 0,
        "shared_team_ids": [TEAM_ID],
        "previous_names": [],
        "is_member": app.bot_user_id in members,
        "num_members": len(members),
        "creator": channel.creator,
        "topic": {
            "value": channel.topic,
            "creator": channel.topic_by,
            "last_set": channel.topic_at,
        },
        "purpose": {
            "value": channel.purpose,
            "creator": channel.purpose_by,
            "last_set": channel.purpose_at,
        },
    }


def list_channels(workspace: Workspace, call: Call) -> Json:
    """conversations.list: public channels, and what else the bot is in."""
    known = asked_for(workspace, call)
    page, cursor = page_of(known, call)
    return paged({"channels": [channel_object(workspace, call.app, c) for c in page]}, cursor)


def asked_for(workspace: Workspace, call: Call) -> list[Channel]:
    """The conversations that the app can know of, of the `types` that it asks for."""
    kinds = (call.optional("types") or "public_channel").replace(" ", "").split(",")
    for kind in kinds:
        if kind not in _KINDS:
            raise SlackError("invalid_types")
        require_scope(call.app, f"{_KINDS[kind]}:read")
    prefixes = {_KINDS[kind] for kind in kinds}
    store, bot = workspace.store, call.app.bot_user_id
    return [
        c
        for c in store.channels()
        if _prefix(c) in prefixes
        and (c.kind == "channel" or store.is_member(c.id, bot))
        and not (c.is_archived and call.flag("exclude_archived"))
    ]


def info(workspace: Workspace, call: Call) -> Json:
    """conversations.info"""
    channel = visible_channel(workspace, call, call.text("channel"))
    require_scope(call.app, f"{_prefix(channel)}:read")
    shown = channel_object(workspace, call.app, channel)
    if not call.flag("include_num_members"):
        shown.pop("num_members", None)
    return {"channel": shown}


def members(workspace: Workspace, call: Call) -> Json:
    """conversations.members"""
    channel = visible_channel(workspace, call, call.text("channel"))
    require_scope(call.app, f"{_prefix(channel)}:read")
    page, cursor = page_of(workspace.store.members(channel.id), call)
    return paged({"members": list(page)}, cursor)


def open_direct(workspace: Workspace, call: Call) -> Json:
    """conversations.open: a direct message with one person, or a group's."""
    if call.optional("channel"):
        channel = visible_channel(workspace, call, call.text("channel"))
        if channel.kind not in ("im", "mpim"):
            raise SlackError("method_not_supported_for_channel_type")
        return _opened(workspace, call, channel, is_new=False)
    before = {channel.id for channel in workspace.store.channels()}
    channel = _direct(workspace, call)
    return _opened(workspace, call, channel, is_new=channel.id not in before)


def _direct(workspace: Workspace, call: Call) -> Channel:
    users = call.listed("users")
    if not users:
        raise SlackError("users_list_not_supplied")
    people = [known_person(workspace, user) for user in dict.fromkeys(users)]
    people = [p for p in people if p.id != call.app.bot_user_id]
    if not people:
        raise SlackError("not_enough_users")
    if len(people) > USERS_LIMIT:
        raise SlackError("too_many_users")
    require_scope(call.app, "im:write" if len(people) == 1 else "mpim:write")
    if len(people) == 1:
        if people[0].is_bot:
            raise SlackError("cannot_dm_bot")
        return workspace.direct_message(call.app, people[0].id)
    bot = call.app.bot_user_id
    return channels.group_message(workspace, bot, [*(p.id for p in people), bot])


def _opened(workspace: Workspace, call: Call, channel: Channel, *, is_new: bool) -> Json:
    answer: Json = {} if is_new else {"no_op": True, "already_open": True}
    if not call.flag("return_im"):
        return answer | {"channel": {"id": channel.id}}
    return answer | {"channel": channel_object(workspace, call.app, channel)}


def close(workspace: Workspace, call: Call) -> Json:
    """conversations.close: a bot has no list of direct messages that one could vanish from."""
    channel = visible_channel(workspace, call, call.text("channel"))
    if channel.kind not in ("im", "mpim"):
        raise SlackError("method_not_supported_for_channel_type")
    require_scope(call.app, f"{channel.kind}:write")
    return {"no_op": True, "already_closed": True}


def join(workspace: Workspace, call: Call) -> Json:
    """conversations.join"""
    channel = visible_channel(workspace, call, call.text("channel"))
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise SlackError("is_archived")
    bot = call.app.bot_user_id
    if workspace.store.is_member(channel.id, bot):
        metadata = {"warnings": ["already_in_channel"]}
        warned = {"warning": "already_in_channel", "response_metadata": metadata}
        return {"channel": channel_object(workspace, call.app, channel), **warned}
    channels.join(workspace, channel, bot)
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
    "conversations.open": Method(open_direct, ("im:write", "mpim:write")),
    "conversations.close": Method(close, ("im:write", "mpim:write")),
    "conversations.join": Method(join, ("channels:join",)),
    "conversations.history": Method(history, HISTORY),
    "conversations.replies": Method(replies, HISTORY),
}
