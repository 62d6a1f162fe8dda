"""Web API: what is kept at the top of a channel (pins.*, bookmarks.*)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from bot.workspace import posting
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    check_ts,
    joined_channel,
    message_of,
    permalink,
)
from bot.workspace.channels import SYSTEM_SUBTYPES
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

PINS_LIMIT = 100
BOOKMARKS_LIMIT = 100
_EMOJI = re.compile(r":[a-z0-9_+'-]+:")


# --- pins -----------------------------------------------------------------------------------------


def _pinned_in(workspace: Workspace, channel: Channel) -> list[Message]:
    found = workspace.store.messages_with("pinned_info")
    return [message for place, message in found if place == channel.id]


def _message(workspace: Workspace, call: Call) -> tuple[Channel, Message]:
    channel = joined_channel(workspace, call, call.optional("channel"))
    ts = call.optional("timestamp")
    if not ts:
        raise SlackError("no_item_specified")
    check_ts(ts)
    return channel, message_of(workspace, channel, ts)


def add_pin(workspace: Workspace, call: Call) -> Json:
    """pins.add"""
    channel, message = _message(workspace, call)
    if "pinned_info" in message:
        raise SlackError("already_pinned")
    if message.get("subtype") in {*SYSTEM_SUBTYPES, "tombstone"}:
        raise SlackError("not_pinnable")
    if len(_pinned_in(workspace, channel)) >= PINS_LIMIT:
        raise SlackError("too_many_pins")
    now = int(workspace.timing.now())
    pinned = {"channel": channel.id, "pinned_by": call.app.bot_user_id, "pinned_ts": now}
    new = {**message, "pinned_to": [channel.id], "pinned_info": pinned}
    posting.keep(workspace, channel, new)
    return {}


def remove_pin(workspace: Workspace, call: Call) -> Json:
    """pins.remove"""
    channel, message = _message(workspace, call)
    if "pinned_info" not in message:
        raise SlackError("no_pin")
    posting.keep(
        workspace, channel, posting.replaced(message, {}, drop=("pinned_to", "pinned_info"))
    )
    return {}


def list_pins(workspace: Workspace, call: Call) -> Json:
    """pins.list: the message pinned last comes first."""
    channel = joined_channel(workspace, call, call.optional("channel"))
    pinned = _pinned_in(workspace, channel)
    pinned.sort(key=lambda message: -message["pinned_info"]["pinned_ts"])
    items = [
        {
            "type": "message",
            "channel": channel.id,
            "created": message["pinned_info"]["pinned_ts"],
            "created_by": message["pinned_info"]["pinned_by"],
            "message": {**message, "permalink": permalink(workspace, channel, message)},
        }
        for message in posting.whole(workspace, channel.id, pinned)
    ]
    return {"items": items}


# --- bookmarks ------------------------------------------------------------------------------------


def _bookmarks_in(workspace: Workspace, channel: Channel) -> list[Json]:
    known = workspace.store.records("bookmark")
    return [bookmark for bookmark in known if bookmark["channel_id"] == channel.id]


def _checked(call: Call) -> Json:
    """The given parts of a bookmark."""
    given = {name: call.optional(name) for name in ("title", "link", "emoji")}
    if given["link"] and not given["link"].startswith(("http://", "https://")):
        raise SlackError("invalid_link")
    if given["emoji"] and not _EMOJI.fullmatch(given["emoji"]):
        raise SlackError("invalid_emoji")
    return {name: value for name, value in given.items() if value}


def add_bookmark(workspace: Workspace, call: Call) -> Json:
    """bookmarks.add: links only."""
    channel = joined_channel(workspace, call, call.optional("channel_id"))
    call.text("title")
    if call.text("type") != "link":
        raise SlackError("invalid_bookmark_type")
    given = _checked(call)
    if "link" not in given:
        raise SlackError("invalid_link")
    known = _bookmarks_in(workspace, channel)
    if len(known) >= BOOKMARKS_LIMIT:
        raise SlackError("too_many_bookmarks")
    now, bot = int(workspace.timing.now()), call.app.bot_user_id
    bookmark = {
        "id": f"Bk0{secrets.token_hex(5).upper()}",
        "channel_id": channel.id,
        "emoji": "",
        "icon_url": "",
        "type": "link",
        "entity_id": None,
        "date_created": now,
        "date_updated": 0,
        "rank": f"{len(known):04d}",
        "last_updated_by_user_id": bot,
        "last_updated_by_team_id": None,
        "shortcut_id": None,
        "app_id": call.app.app_id,
        "app_action_id": None,
        **given,
    }
    workspace.store.put_record("bookmark", bookmark["id"], bookmark)
    return {"bookmark": bookmark}


def _bookmark(workspace: Workspace, call: Call) -> Json:
    channel = joined_channel(workspace, call, call.optional("channel_id"))
    bookmark = workspace.store.record("bookmark", call.optional("bookmark_id"))
    if bookmark is None or bookmark["channel_id"] != channel.id:
        raise SlackError("not_found")
    return bookmark


def edit_bookmark(workspace: Workspace, call: Call) -> Json:
    """bookmarks.edit"""
    now, bot = int(workspace.timing.now()), call.app.bot_user_id
    changed = {"date_updated": now, "last_updated_by_user_id": bot}
    bookmark = _bookmark(workspace, call) | _checked(call) | changed
    workspace.store.put_record("bookmark", bookmark["id"], bookmark)
    return {"bookmark": bookmark}


def list_bookmarks(workspace: Workspace, call: Call) -> Json:
    """bookmarks.list"""
    channel = joined_channel(workspace, call, call.optional("channel_id"))
    return {"bookmarks": _bookmarks_in(workspace, channel)}


def remove_bookmark(workspace: Workspace, call: Call) -> Json:
    """bookmarks.remove"""
    workspace.store.remove_record("bookmark", _bookmark(workspace, call)["id"])
    return {}


METHODS: Mapping[str, Method] = {
    "pins.add": Method(add_pin, ("pins:write",)),
    "pins.remove": Method(remove_pin, ("pins:write",)),
    "pins.list": Method(list_pins, ("pins:read",)),
    "bookmarks.add": Method(add_bookmark, ("bookmarks:write",)),
    "bookmarks.edit": Method(edit_bookmark, ("bookmarks:write",)),
    "bookmarks.remove": Method(remove_bookmark, ("bookmarks:write",)),
    "bookmarks.list": Method(list_bookmarks, ("bookmarks:read",)),
}
