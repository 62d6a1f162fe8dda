"""Web API: the conversations.* methods that make and change channels and their members."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.workspace import channels
from bot.workspace.api_conversations import channel_object
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    joined_channel,
    require_scope,
    visible_channel,
)
from bot.workspace.channels import GENERAL
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.workspace import Workspace

INVITED_LIMIT = 100
TOPIC_LIMIT = 250
# Kind of conversation -> the scope that lets an app change it.
_MANAGE = {
    "channel": "channels:manage",
    "group": "groups:write",
    "im": "im:write",
    "mpim": "mpim:write",
}


def _require_named(workspace: Workspace, name: str) -> str:
    """A name that a channel can have and none has."""
    wrong = channels.wrong_name(name)
    if wrong:
        raise SlackError(wrong)
    if any(channel.name == name for channel in workspace.store.channels()):
        raise SlackError("name_taken")
    return name


def _managed(
    workspace: Workspace, call: Call, *, extra: Mapping[str, str] | None = None
) -> Channel:
    """A channel (no direct message) that the bot is in and may change; `extra` names scopes that
    do as well, by kind.
    """
    channel = visible_channel(workspace, call, call.text("channel"))
    more = (extra or {}).get(channel.kind)
    require_scope(call.app, _MANAGE[channel.kind], *([more] if more else []))
    if channel.kind in ("im", "mpim"):
        raise SlackError("method_not_supported_for_channel_type")
    return joined_channel(workspace, call, channel.id)


def _require_open(channel: Channel) -> None:
    if channel.is_archived:
        raise SlackError("is_archived")


def create(workspace: Workspace, call: Call) -> Json:
    """conversations.create"""
    is_private = call.flag("is_private")
    require_scope(call.app, _MANAGE["group" if is_private else "channel"])
    name = _require_named(workspace, call.optional("name").removeprefix("#"))
    bot = call.app.bot_user_id
    channel = channels.create(workspace, name, bot, is_private=is_private)
    return {"channel": channel_object(workspace, call.app, channel)}


def invite(workspace: Workspace, call: Call) -> Json:
    """conversations.invite: all of the users or, without `force`, none."""
    extra = {"channel": "channels:write.invites", "group": "groups:write.invites"}
    channel = _managed(workspace, call, extra=extra)
    users = call.listed("users")
    if not users:
        raise SlackError("no_user")
    if len(users) > INVITED_LIMIT:
        words = f"no more than {INVITED_LIMIT} items allowed [json-pointer:/users]"
        raise SlackError("invalid_arguments", words)
    _require_open(channel)
    wrong = {user: _why_not(workspace, call, channel, user) for user in users}
    errors = [{"user": u, "ok": False, "error": error} for u, error in wrong.items() if error]
    if errors and not (call.flag("force") and len(errors) < len(users)):
        raise SlackError(str(errors[0]["error"]), errors=errors)
    for user in users:
        if not wrong[user]:
            channels.join(workspace, channel, user, inviter=call.app.bot_user_id)
    answer = {"channel": channel_object(workspace, call.app, channel)}
    return answer | ({"errors": errors} if errors else {})


def _why_not(workspace: Workspace, call: Call, channel: Channel, user: str) -> str:
    if user == call.app.bot_user_id:
        return "cant_invite_self"
    if workspace.person(user) is None:
        return "user_not_found"
    return "already_in_channel" if workspace.store.is_member(channel.id, user) else ""


def kick(workspace: Workspace, call: Call) -> Json:
    """conversations.kick"""
    channel = _managed(workspace, call)
    user = call.optional("user")
    if workspace.person(user) is None:
        raise SlackError("user_not_found")
    if user == call.app.bot_user_id:
        raise SlackError("cant_kick_self")
    if channel.name == GENERAL:
        raise SlackError("cant_kick_from_general")
    if not workspace.store.is_member(channel.id, user):
        raise SlackError("not_in_channel")
    channels.leave(workspace, channel, user)
    return {"errors": {}}


def leave(workspace: Workspace, call: Call) -> Json:
    """conversations.leave: who is not in the channel is told so, without an error."""
    channel = visible_channel(workspace, call, call.text("channel"))
    require_scope(call.app, _MANAGE[channel.kind])
    if channel.kind in ("im", "mpim"):
        raise SlackError("method_not_supported_for_channel_type")
    _require_open(channel)
    if channel.name == GENERAL:
        raise SlackError("cant_leave_general")
    bot = call.app.bot_user_id
    if not workspace.store.is_member(channel.id, bot):
        return {"not_in_channel": True}
    if channel.is_private and len(workspace.store.members(channel.id)) == 1:
        raise SlackError("last_member")
    channels.leave(workspace, channel, bot)
    return {}


def archive(workspace: Workspace, call: Call) -> Json:
    """conversations.archive"""
    channel = _managed(workspace, call)
    if channel.name == GENERAL:
        raise SlackError("cant_archive_general")
    if channel.is_archived:
        raise SlackError("already_archived")
    channels.archive(workspace, channel, call.app.bot_user_id)
    return {}


def unarchive(workspace: Workspace, call: Call) -> Json:
    """conversations.unarchive"""
    channel = _managed(workspace, call)
    if not channel.is_archived:
        raise SlackError("not_archived")
    channels.unarchive(workspace, channel, call.app.bot_user_id)
    return {}


def rename(workspace: Workspace, call: Call) -> Json:
    """conversations.rename: a bot may rename what it has made."""
    channel = _managed(workspace, call)
    _require_open(channel)
    if channel.creator != call.app.bot_user_id:
        raise SlackError("not_authorized")
    name = _require_named(workspace, call.optional("name").removeprefix("#"))
    renamed = channels.rename(workspace, channel, call.app.bot_user_id, name)
    return {"channel": channel_object(workspace, call.app, renamed)}


def _set(what: str, do: Callable[[Workspace, Channel, str, str], Channel]) -> Method:
    """conversations.setTopic and setPurpose."""

    def run(workspace: Workspace, call: Call) -> Json:
        extra = {"channel": "channels:write.topic", "group": "groups:write.topic"}
        channel = _managed(workspace, call, extra=extra)
        _require_open(channel)
        words = call.optional(what)
        if len(words) > TOPIC_LIMIT:
            raise SlackError("too_long")
        changed = do(workspace, channel, call.app.bot_user_id, words)
        return {"channel": channel_object(workspace, call.app, changed), what: words}

    return Method(run, (*MANAGE, "channels:write.topic", "groups:write.topic"))


MANAGE = tuple(_MANAGE.values())
METHODS: Mapping[str, Method] = {
    "conversations.create": Method(create, MANAGE),
    "conversations.invite": Method(
        invite, (*MANAGE, "channels:write.invites", "groups:write.invites")
    ),
    "conversations.kick": Method(kick, MANAGE),
    "conversations.leave": Method(leave, MANAGE),
    "conversations.archive": Method(archive, MANAGE),
    "conversations.unarchive": Method(unarchive, MANAGE),
    "conversations.rename": Method(rename, MANAGE),
    "conversations.setTopic": _set("topic", channels.set_topic),
    "conversations.setPurpose": _set("purpose", channels.set_purpose),
}
