"""What apps hear of by the Events API: each event to every app that has asked for it, has the
scope, and is where it happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bot.workspace import payloads
from bot.workspace.delivery import EVENTS
from bot.workspace.installation import Installation
from bot.workspace.people import TEAM_ID, Channel
from bot.workspace.store import Message
from bot.workspace.views import View
from bot.workspace.workspace import Workspace

Event = dict[str, Any]

# Event type in the manifest -> the scope that the app needs; an event without one is not here.
# Joining and leaving need channels:read, or groups:read where the conversation is private.
SCOPES: Mapping[str, str] = {
    "app_mention": "app_mentions:read",
    "file_shared": "files:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
}
METADATA_SCOPE = "metadata.message:read"


def _message_event(channel: Channel) -> str:
    kind = channel.kind
    return f"message.{kind}" if kind in ("im", "mpim") else f"message.{kind}s"


def _send(
    workspace: Workspace, installed: Installation, wanted: str, inner: Event, scope: str = ""
) -> bool:
    """Sends an event to one app if it may have it (with this scope, else that of the event);
    whether it may.
    """
    app = installed.app
    scope = scope or SCOPES.get(wanted, "")
    if wanted not in app.events or (scope and scope not in app.scopes):
        return False
    payload = payloads.event(app, inner, workspace.timing.now())
    workspace.in_background(installed.deliver(EVENTS, payload))
    return True


def _send_where(
    workspace: Workspace, channel: Channel, wanted: str, inner: Event, scope: str = ""
) -> None:
    """Sends an event to every app whose bot is in the conversation."""
    for installed in workspace.apps:
        if workspace.store.is_member(channel.id, installed.app.bot_user_id):
            _send(workspace, installed, wanted, inner, scope)


def _event_ts(workspace: Workspace) -> str:
    """The ts of an event that no message stands for."""
    return f"{workspace.timing.now():.6f}"


# --- messages -------------------------------------------------------------------------------------


def message_posted(workspace: Workspace, channel: Channel, message: Message) -> None:
    """message.*, and app_mention for apps that it names (never in a direct message, nor for a
    bot's own words).
    """
    place = {"channel": channel.id, "event_ts": message["ts"]}
    kind = channel.kind
    for installed in workspace.apps:
        app = installed.app
        if not workspace.store.is_member(channel.id, app.bot_user_id):
            continue
        inner = {**_shown_to(installed, workspace, channel, message), **place}
        _send(workspace, installed, _message_event(channel), {**inner, "channel_type": kind})
        if _mentions(app.bot_user_id, channel, message):
            _send(workspace, installed, "app_mention", {**inner, "type": "app_mention"})


def _mentions(bot: str, channel: Channel, message: Message) -> bool:
    """Whether somebody else's words name this bot."""
    is_spoken = message.get("subtype") in (None, "thread_broadcast")
    is_foreign = message["user"] != bot and not channel.is_im
    return is_spoken and is_foreign and f"<@{bot}>" in message["text"]


def _known_to(installed: Installation, message: Message) -> Message:
    """The message without what this app may not know."""
    if METADATA_SCOPE in installed.app.scopes:
        return message
    return {name: value for name, value in message.items() if name != "metadata"}


def _shown_to(
    installed: Installation, workspace: Workspace, channel: Channel, message: Message
) -> Event:
    """The message as an event carries it."""
    shown = _known_to(installed, message)
    if shown.get("subtype") == "thread_broadcast":
        root = workspace.store.message(channel.id, shown["thread_ts"])
        shown = {**shown, "root": _known_to(installed, root) if root else None}
    elif "files" in shown and "bot_id" not in shown:
        shown = {"subtype": "file_share", **shown}
    return shown


def message_changed(workspace: Workspace, channel: Channel, old: Message, new: Message) -> None:
    """message.* with subtype message_changed."""
    parts = {"message": new, "previous_message": old}
    _send_hidden(workspace, channel, "message_changed", parts)


def message_deleted(workspace: Workspace, channel: Channel, old: Message) -> None:
    """message.* with subtype message_deleted."""
    more = {"deleted_ts": old["ts"]}
    _send_hidden(workspace, channel, "message_deleted", {"previous_message": old}, more)


def _send_hidden(
    workspace: Workspace,
    channel: Channel,
    subtype: str,
    messages: Mapping[str, Message],
    more: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """An event about a message that is there, or was."""
    ts = workspace.store.next_ts(channel.id, workspace.timing.now())
    inner = {
        "type": "message",
        "subtype": subtype,
        "hidden": True,
        "channel": channel.id,
        "channel_type": channel.kind,
        "ts": ts,
        "event_ts": ts,
        **more,
    }
    for installed in workspace.apps:
        if workspace.store.is_member(channel.id, installed.app.bot_user_id):
            known = {name: _known_to(installed, message) for name, message in messages.items()}
            _send(workspace, installed, _message_event(channel), {**inner, **known})


# --- reactions, members, files ------------------------------------------------------------------


def reaction(
    workspace: Workspace,
    channel: Channel,
    message: Message,
    name: str,
    person: str,
    *,
    is_added: bool,
) -> None:
    """reaction_added or reaction_removed."""
    kind = "reaction_added" if is_added else "reaction_removed"
    inner = {
        "type": kind,
        "user": person,
        "reaction": name,
        "item": {"type": "message", "channel": channel.id, "ts": message["ts"]},
        "item_user": message["user"],
        "event_ts": _event_ts(workspace),
    }
    _send_where(workspace, channel, kind, inner)


def member_joined(
    workspace: Workspace, channel: Channel, person: str, *, inviter: str = ""
) -> None:
    """member_joined_channel, once the person is in; also for an app whose own bot has come."""
    invited = {"inviter": inviter} if inviter else {}
    _member(workspace, "member_joined_channel", channel, person, invited)


def member_left(workspace: Workspace, channel: Channel, person: str) -> None:
    """member_left_channel, once the person is out."""
    _member(workspace, "member_left_channel", channel, person, {})


def _member(
    workspace: Workspace, kind: str, channel: Channel, person: str, more: Mapping[str, Any]
) -> None:
    inner = {
        "type": kind,
        "user": person,
        "channel": channel.id,
        "channel_type": "G" if channel.is_private else "C",
        "team": TEAM_ID,
        "event_ts": _event_ts(workspace),
        **more,
    }
    scope = "groups:read" if channel.is_private else "channels:read"
    _send_where(workspace, channel, kind, inner, scope)


def file_shared(workspace: Workspace, channel: Channel, file_id: str, person: str) -> None:
    """file_shared, besides the message that carries the file."""
    inner = {
        "type": "file_shared",
        "channel_id": channel.id,
        "file_id": file_id,
        "file": {"id": file_id},
        "user_id": person,
        "event_ts": _event_ts(workspace),
    }
    _send_where(workspace, channel, "file_shared", inner)


# --- the app itself -------------------------------------------------------------------------------


def tokens_revoked(workspace: Workspace, installed: Installation) -> None:
    """tokens_revoked, for the bot's token."""
    revoked = {"oauth": [], "bot": [installed.app.bot_user_id]}
    inner = {"type": "tokens_revoked", "tokens": revoked, "event_ts": _event_ts(workspace)}
    _send(workspace, installed, "tokens_revoked", inner)


def app_uninstalled(workspace: Workspace, installed: Installation) -> None:
    """app_uninstalled, and tokens_revoked for the bot's token."""
    tokens_revoked(workspace, installed)
    gone: Event = {"type": "app_uninstalled", "event_ts": _event_ts(workspace)}
    _send(workspace, installed, "app_uninstalled", gone)


# --- App Home -------------------------------------------------------------------------------------


def app_home_opened(
    workspace: Workspace, installed: Installation, channel: Channel, tab: str, view: View | None
) -> bool:
    """app_home_opened for the app whose direct message this is; whether the app hears of it."""
    inner: Event = {
        "type": "app_home_opened",
        "user": channel.im_user,
        "channel": channel.id,
        "tab": tab,
        "event_ts": _event_ts(workspace),
    }
    if view is not None and tab == "home":
        inner["view"] = view
    return _send(workspace, installed, "app_home_opened", inner)
