"""What an app says that a message shall be: where it goes, its checked content, its looks."""

from __future__ import annotations

import json
import re
from typing import Any

from bot.workspace import posting
from bot.workspace.api_parts import Call, check_slack_files, require_scope, visible_channel
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.usergroups import GROUPS
from bot.workspace.validate import TEXT_LIMIT, TEXT_LIMITS, check_message
from bot.workspace.workspace import Workspace

CUSTOMIZE = "chat:write.customize"
# Slack publishes no number; apps are told to keep metadata small.
METADATA_BYTES_LIMIT = 8 * 1024
_GROUP = re.compile(r"(?<![\w@<])@([a-z0-9][a-z0-9._-]*)")
_CHANNEL = re.compile(r"(?<![\w#<&])#([\w-]+)")


def place_of(workspace: Workspace, app: InstalledApp, name: str) -> str:
    """The id of the conversation that an id, the name of a channel or a person's id stands for."""
    person = workspace.person(name)
    if person is not None and not person.is_bot:
        return workspace.direct_message_id(app, person.id)
    plain = name.removeprefix("#")
    # Direct messages have no name: "#" means none of them.
    named = (c.id for c in workspace.store.channels() if c.name and c.name == plain)
    return next(named, name)


def postable_channel(workspace: Workspace, call: Call, name: str) -> Channel:
    """A channel by id or name, or the direct message with a person, that the bot may post to."""
    person = workspace.person(name)
    if person is not None and not person.is_bot:
        if not call.app.has_messages_tab:
            raise SlackError("messages_tab_disabled")
        return workspace.direct_message(call.app, person.id)
    channel = visible_channel(workspace, call, place_of(workspace, call.app, name))
    is_member = workspace.store.is_member(channel.id, call.app.bot_user_id)
    if not is_member and "chat:write.public" not in call.app.scopes:
        raise SlackError("not_in_channel")
    if channel.is_archived:
        raise SlackError("is_archived")
    return channel


def checked_content(workspace: Workspace, call: Call, *, text_limit: int) -> dict[str, Any]:
    """The content of a new message, checked, with ids for its blocks."""
    given = given_content(workspace, call, text_limit=text_limit)
    return posting.content_of(given) | _looks(call)


def given_content(workspace: Workspace, call: Call, *, text_limit: int) -> dict[str, Any]:
    """The content of a message as it was given, checked; None for parts that were left out."""
    given: dict[str, Any] = {name: call.json(name) for name in posting.CONTENT if name != "text"}
    given |= _markdown(call, text_limit) or {"text": call.optional("text")}
    if given["metadata"] is not None:
        _check_size(given["metadata"])
    # Slack cuts what is posted, and refuses an update that is too long.
    if text_limit == TEXT_LIMIT:
        given["text"] = given["text"][:TEXT_LIMIT]
    complaints = check_message(given, text_limit=text_limit)
    if complaints:
        raise SlackError.of(complaints)
    check_slack_files(workspace, call.app, given)
    given["text"] = _linked(workspace, call, given["text"])
    return given


def _markdown(call: Call, text_limit: int) -> dict[str, Any]:
    """What `markdown_text` makes of a message; {} if there is none."""
    markdown = call.optional("markdown_text")
    if not markdown:
        return {}
    if call.optional("text") or call.json("blocks"):
        raise SlackError("markdown_text_conflict")
    if len(markdown) > TEXT_LIMITS["markdown"]:
        raise SlackError("msg_too_long")
    return {"text": markdown[:text_limit], "blocks": [{"type": "markdown", "text": markdown}]}


def _check_size(metadata: Any) -> None:
    if len(json.dumps(metadata).encode()) > METADATA_BYTES_LIMIT:
        raise SlackError("metadata_too_large")


def _linked(workspace: Workspace, call: Call, text: str) -> str:
    """The text with user groups made mentions if it shall be (`link_names`), and with parse=full
    channels as well.
    """
    is_full = call.optional("parse") == "full"
    groups = {group.handle: f"<!subteam^{group.id}>" for group in GROUPS}
    if is_full or call.flag("link_names"):
        text = _GROUP.sub(lambda found: groups.get(found[1], found[0]), text)
    if is_full:
        public = [c for c in workspace.store.channels() if c.kind == "channel"]
        channels = {c.name: f"<#{c.id}|{c.name}>" for c in public}
        text = _CHANNEL.sub(lambda found: channels.get(found[1], found[0]), text)
    return text


def _looks(call: Call) -> dict[str, Any]:
    """The name and the icon that a message has instead of the bot's, and whether its text is
    formatted.
    """
    if call.flag("as_user"):
        raise SlackError("as_user_not_supported")
    username = call.optional("username")
    emoji, url = call.optional("icon_emoji"), call.optional("icon_url")
    looks: dict[str, Any] = {}
    if username or emoji or url:
        require_scope(call.app, CUSTOMIZE)
        looks = {"subtype": "bot_message"} | ({"username": username} if username else {})
    if emoji:
        looks["icons"] = {"emoji": emoji if emoji.startswith(":") else f":{emoji}:"}
    elif url:
        looks["icons"] = {"image_48": url}
    if call.is_off("mrkdwn") or call.optional("parse") == "full":
        looks["mrkdwn"] = False
    return looks
