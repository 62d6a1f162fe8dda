"""What apps hear of by the Events API: each event to every app that has asked for it, has the
scope, and is where it happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.workspace import payloads
from bot.workspace.installation import Installation
from bot.workspace.people import Channel
from bot.workspace.store import Message
from bot.workspace.views import View
from bot.workspace.workspace import Workspace

Event = dict[str, Any]

# Event type in the manifest -> the scopes of which the app needs one; an event without scopes is
# not here.
SCOPES: Mapping[str, tuple[str, ...]] = {
    "app_mention": ("app_mentions:read",),
    "file_shared": ("files:read",),
    "member_joined_channel": ("channels:read", "groups:read"),
    "member_left_channel": ("channels:read", "groups:read"),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
    "message.mpim": ("mpim:history",),
    "reaction_added": ("reactions:read",),
    "reaction_removed": ("reactions:read",),
}
METADATA_SCOPE = "metadata.message:read"


def _message_event(channel: Channel) -> str:
    kind = channel.kind
    return f"message.{kind}" if kind in ("im", "mpim") else f"message.{kind}s"


def _send(workspace: Workspace, installed: Installation, wanted: str, inner: Event) -> bool:
    """Sends an event to one app if it may have it; whether it may."""
    app = installed.app
    needed = SCOPES.get(wanted, ())
    if wanted not in app.events or (needed and not set(needed) & set(app.scopes)):
        return False
    payload = payloads.event(app, inner, workspace.timing.now())
    workspace.in_background(installed.deliver("events_api", payload))
    return True


def _send_where(workspace: Workspace, channel: Channel, wanted: str, inner: Event) -> None:
    """Sends an event to every app whose bot is in the conversation."""
    for installed in workspace.apps:
        if workspace.store.is_member(channel.id, installed.app.bot_user_id):
            _send(workspace, installed, wanted, inner)


def _event_ts(workspace: Workspace) -> str:
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
        names_it = f"<@{app.bot_user_id}>" in message["text"]
        if names_it and not channel.is_im and message["user"] != app.bot_user_id:
            _send(workspace, installed, "app_mention", {**inner, "type": "app_mention"})


def _shown_to(
    installed: Installation, workspace: Workspace, channel: Channel, message: Message
) -> Event:
    """The message as an event carries it."""
    shown = dict(message)
    if METADATA_SCOPE not in installed.app.scopes:
        shown.pop("metadata", None)
    if shown.get("subtype") == "thread_broadcast":
        shown["root"] = workspace.store.message(channel.id, shown["thread_ts"])
    elif "files" in shown and "bot_id" not in shown:
        shown = {"subtype": "file_share", **shown}
    return shown


def message_changed(workspace: Workspace, channel: Channel, old: Message, new: Message) -> None:
    """message.* with subtype message_changed."""
    _hidden(workspace, channel, "message_changed", message=new, previous_message=old)


def message_deleted(workspace: Workspace, channel: Channel, old: Message) -> None:
    """message.* with subtype message_deleted."""
    _hidden(workspace, channel, "message_deleted", deleted_ts=old["ts"], previous_message=old)


def _hidden(workspace: Workspace, channel: Channel, subtype: str, **parts: Any) -> None:
    ts = workspace.store.next_ts(channel.id, workspace.timing.now())
    inner = {
        "type": "message",
        "subtype": subtype,
        "hidden": True,
        "channel": channel.id,
        "channel_type": channel.kind,
        "ts": ts,
        "event_ts": ts,
        **parts,
    }
    _send_where(workspace, channel, _message_event(channel), inner)


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
