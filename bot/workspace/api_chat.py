"""Web API: the chat.* methods for what is said now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.workspace import posting, sharing
from bot.workspace.api_content import checked_content, given_content, postable_channel
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    check_slack_files,
    joined_channel,
    message_of,
    permalink,
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

# Arguments of which one makes an update more than a change of files.
_SAYING = ("text", "blocks", "attachments", "markdown_text", "metadata")


def post_message(workspace: Workspace, call: Call) -> Json:
    """chat.postMessage"""
    channel = postable_channel(workspace, call, call.text("channel"))
    content = checked_content(workspace, call, text_limit=TEXT_LIMIT)
    message = posting.bot_message(call.app, content | thread_of(workspace, channel, call))
    posted = posting.post(workspace, channel, message)
    return {"channel": channel.id, "ts": posted["ts"], "message": posted}


def update(workspace: Workspace, call: Call) -> Json:
    """chat.update: text without blocks removes the blocks; what else is left out stays."""
    channel = visible_channel(workspace, call, call.text("channel"))
    old = _own_message(workspace, call, channel, call.text("ts"), "cant_update_message")
    if channel.is_archived:
        raise SlackError("is_inactive")
    if workspace.timing.now() - float(old["ts"]) > workspace.timing.edit_window_s:
        raise SlackError("edit_window_closed")
    if call.flag("as_user"):
        raise SlackError("as_user_not_supported")
    if call.flag("reply_broadcast"):
        new = _broadcast(call, old)
    else:
        new = _updated(workspace, call, channel, old)
    posting.change(workspace, channel, new)
    return {"channel": channel.id, "ts": new["ts"], "text": new["text"], "message": new}


def _broadcast(call: Call, old: Message) -> Message:
    """A reply shown in the channel as well, as it is."""
    if any(call.has(name) for name in ("text", "blocks", "attachments", "markdown_text")):
        raise SlackError("no_dual_broadcast_content_update")
    if old.get("thread_ts", old["ts"]) == old["ts"] or "subtype" in old:
        raise SlackError("cant_broadcast_message")
    return {**old, "subtype": "thread_broadcast"}


def _updated(workspace: Workspace, call: Call, channel: Channel, old: Message) -> Message:
    files = _files(workspace, call, channel, old)
    if files is not None and not any(call.has(name) for name in _SAYING):
        return {**old, "files": files}
    # An empty object takes the metadata away.
    clears = call.json("metadata") == {}
    given = given_content(
        workspace, call.without("metadata") if clears else call, text_limit=UPDATED_TEXT_LIMIT
    )
    content = posting.content_of(given)
    if _is_rich(old) and given["blocks"] and not _is_rich(given):
        raise SlackError("block_mismatch")
    gone = {"metadata"} if clears else set()
    if given["attachments"] == []:
        gone.add("attachments")
    if "blocks" not in content:
        if given["text"]:
            gone.add("blocks")
        else:
            content.pop("text")
        # Slack marks a message as edited only if it has no blocks.
        ts = workspace.store.next_ts(channel.id, workspace.timing.now())
        content["edited"] = {"user": call.app.bot_user_id, "ts": ts}
    if files is not None:
        content["files"] = files
    return posting.replaced(old, content, drop=gone)


def _is_rich(message: Mapping[str, Any]) -> bool:
    return any(block["type"] == "rich_text" for block in message.get("blocks") or [])


def _files(
    workspace: Workspace, call: Call, channel: Channel, old: Message
) -> list[Mapping[str, Any]] | None:
    """The files that `file_ids` (commas between, or JSON) give the message; None to keep those
    that it has.
    """
    if not call.has("file_ids"):
        return None
    ids = call.listed("file_ids")
    for file_id in ids:
        file = workspace.files.get(file_id)
        is_known = file is not None and file.is_complete
        if file is None or not is_known or not sharing.app_may_see(workspace, call.app, file):
            raise SlackError("file_not_found")
    before = {file["id"] for file in old.get("files", [])}
    for file_id in ids:
        if file_id not in before:
            thread_ts = old.get("thread_ts", "")
            workspace.files.note_share(file_id, channel.id, old["ts"], thread_ts)
    return [workspace.files.in_message(file_id) for file_id in ids]


def _own_message(
    workspace: Workspace, call: Call, channel: Channel, ts: str, refusal: str
) -> Message:
    """A message of the app's bot in this channel."""
    message = message_of(workspace, channel, ts)
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
    content = checked_content(workspace, call, text_limit=UPDATED_TEXT_LIMIT)
    thread = thread_of(workspace, channel, call)
    message = posting.bot_message(call.app, content | thread)
    shown = posting.whisper(workspace, channel, person, message)
    return {"message_ts": shown["ts"]}


def get_permalink(workspace: Workspace, call: Call) -> Json:
    """chat.getPermalink"""
    channel = visible_channel(workspace, call, call.text("channel"))
    message = message_of(workspace, channel, call.text("message_ts"))
    return {"channel": channel.id, "permalink": permalink(workspace, channel, message)}


def me_message(workspace: Workspace, call: Call) -> Json:
    """chat.meMessage"""
    channel = joined_channel(workspace, call, call.text("channel"))
    if channel.is_archived:
        raise SlackError("is_archived")
    text = call.optional("text")
    if not text:
        raise SlackError("no_text")
    if len(text) > TEXT_LIMIT:
        raise SlackError("msg_too_long")
    message = posting.bot_message(call.app, {"subtype": "me_message", "text": text})
    posted = posting.post(workspace, channel, message)
    return {"channel": channel.id, "ts": posted["ts"]}


def unfurl(workspace: Workspace, call: Call) -> Json:
    """chat.unfurl: what the app knows of links in a message becomes attachments of it."""
    for name in ("channel", "ts"):
        if not call.optional(name):
            raise SlackError(f"missing_{name}")
    channel = workspace.store.channel(call.text("channel"))
    if channel is None or not workspace.store.is_member(channel.id, call.app.bot_user_id):
        raise SlackError("cannot_find_channel")
    message = workspace.store.message(channel.id, call.text("ts"))
    if message is None:
        raise SlackError("cannot_find_message")
    unfurls = call.json("unfurls")
    if unfurls is None:
        # Slack then only asks the person to sign in.
        if call.optional("user_auth_url") or call.optional("user_auth_message"):
            return {}
        raise SlackError("missing_unfurls")
    if not isinstance(unfurls, dict):
        raise SlackError("invalid_unfurls_format")
    attachments = [_unfurled(workspace, call, message, url, unfurls[url]) for url in unfurls]
    urls = set(unfurls)
    kept = [a for a in message.get("attachments", []) if a.get("app_unfurl_url") not in urls]
    content = posting.content_of({"text": message["text"], "attachments": [*kept, *attachments]})
    posting.change(workspace, channel, posting.replaced(message, content))
    return {}


def _unfurled(
    workspace: Workspace, call: Call, message: Message, url: str, given: Any
) -> dict[str, Any]:
    if url not in message["text"].replace("&amp;", "&"):
        raise SlackError("cannot_unfurl_message")
    if not isinstance(given, dict):
        raise SlackError("cannot_parse_attachment")
    if complaints := check_message({"attachments": [given]}):
        raise SlackError.of(complaints)
    check_slack_files(workspace, call.app, {"attachments": [given]})
    marks = {"from_url": url, "app_unfurl_url": url, "is_app_unfurl": True}
    return {**given, **marks, "app_id": call.app.app_id, "bot_id": call.app.bot_id}


WRITE = ("chat:write",)
METHODS: Mapping[str, Method] = {
    "chat.postMessage": Method(post_message, WRITE),
    "chat.update": Method(update, WRITE),
    "chat.delete": Method(delete, WRITE),
    "chat.postEphemeral": Method(post_ephemeral, WRITE),
    "chat.getPermalink": Method(get_permalink),
    "chat.meMessage": Method(me_message, WRITE),
    "chat.unfurl": Method(unfurl, ("links:write",)),
}
