"""Channels are made and changed, and people come and go: the conversation says so, as in Slack."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.workspace import events, posting
from bot.workspace.people import TEAM_ID, Channel
from bot.workspace.workspace import Workspace

NAME_LIMIT = 80
GENERAL = "general"
# Messages that the workspace writes about an act; nobody can change or delete them.
SYSTEM_SUBTYPES = frozenset(
    f"{kind}_{what}"
    for kind in ("channel", "group")
    for what in ("join", "leave", "topic", "purpose", "name", "archive", "unarchive")
)
_ALPHABET = string.ascii_uppercase + string.digits


def wrong_name(name: str) -> str:
    """Slack's error for a name that no channel can have; "" if it can."""
    if not name:
        return "invalid_name_required"
    if len(name) > NAME_LIMIT:
        return "invalid_name_maxlength"
    if not re.search(r"[^\W_]", name):
        return "invalid_name_punctuation"
    if name != name.lower() or not re.fullmatch(r"[\w-]+", name):
        return "invalid_name_specials"
    return ""


def new_id() -> str:
    """An id for a new conversation."""
    return "C0" + "".join(secrets.choice(_ALPHABET) for _ in range(9))


def create(workspace: Workspace, name: str, creator: str, *, is_private: bool = False) -> Channel:
    """A new channel with its creator in it."""
    now = int(workspace.timing.now())
    channel = Channel(new_id(), name, now, is_private=is_private, creator=creator)
    workspace.store.add_channel(channel, [creator])
    _announce(workspace)
    return channel


def group_message(workspace: Workspace, creator: str, members: Sequence[str]) -> Channel:
    """The group direct message of just these members, made at the first call."""
    for known in workspace.store.channels():
        if known.is_mpim and set(workspace.store.members(known.id)) == set(members):
            return known
    people = [workspace.person(member) for member in members]
    name = f"mpdm-{'--'.join(p.name for p in people if p is not None)}-1"
    now = int(workspace.timing.now())
    channel = Channel(new_id(), name, now, creator=creator, is_private=True, is_mpim=True)
    workspace.store.add_channel(channel, members)
    _announce(workspace)
    return channel


def join(workspace: Workspace, channel: Channel, person: str, *, inviter: str = "") -> None:
    """A person comes in, by themselves or invited."""
    workspace.store.add_member(channel.id, person)
    _announce(workspace)
    more = {"inviter": inviter} if inviter else {}
    _say(workspace, channel, person, "join", f"<@{person}> has joined the channel", **more)
    events.member_joined(workspace, channel, person, inviter=inviter)


def leave(workspace: Workspace, channel: Channel, person: str) -> None:
    """A person goes, by themselves or removed."""
    _say(workspace, channel, person, "leave", f"<@{person}> has left the channel")
    workspace.store.remove_member(channel.id, person)
    _announce(workspace)
    events.member_left(workspace, channel, person)


def set_topic(workspace: Workspace, channel: Channel, person: str, topic: str) -> Channel:
    """What the channel is about now."""
    now = int(workspace.timing.now())
    new = replace(channel, topic=topic, topic_by=person, topic_at=now)
    words = f"set the channel topic: {topic}" if topic else "cleared the channel topic"
    return _changed(workspace, new, person, "topic", words, topic=topic)


def set_purpose(workspace: Workspace, channel: Channel, person: str, purpose: str) -> Channel:
    """What the channel is for."""
    now = int(workspace.timing.now())
    new = replace(channel, purpose=purpose, purpose_by=person, purpose_at=now)
    words = f"set the channel description: {purpose}"
    words = words if purpose else "cleared the channel description"
    return _changed(workspace, new, person, "purpose", words, purpose=purpose)


def rename(workspace: Workspace, channel: Channel, person: str, name: str) -> Channel:
    """Another name."""
    words = f'has renamed the channel from "{channel.name}" to "{name}"'
    new = replace(channel, name=name)
    return _changed(workspace, new, person, "name", words, old_name=channel.name, name=name)


def archive(workspace: Workspace, channel: Channel, person: str) -> Channel:
    """Nothing can be written from now on."""
    new = replace(channel, is_archived=True)
    return _changed(workspace, new, person, "archive", "archived the channel")


def unarchive(workspace: Workspace, channel: Channel, person: str) -> Channel:
    """It can be written in again."""
    new = replace(channel, is_archived=False)
    return _changed(workspace, new, person, "unarchive", "un-archived the channel")


def _changed(
    workspace: Workspace, new: Channel, person: str, what: str, words: str, **more: Any
) -> Channel:
    workspace.store.put_channel(new)
    _announce(workspace)
    _say(workspace, new, person, what, words, **more)
    return new


def _say(
    workspace: Workspace, channel: Channel, person: str, what: str, words: str, **more: Any
) -> None:
    prefix = "group" if channel.is_private else "channel"
    message = {"type": "message", "subtype": f"{prefix}_{what}", "user": person, "text": words}
    posting.post(workspace, channel, {**message, "team": TEAM_ID, **more})


def _announce(workspace: Workspace) -> None:
    """Pages read the list of channels again."""
    workspace.hub.tell("channels", {})
