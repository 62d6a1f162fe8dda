"""Web API: the files.* methods (upload v2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.workspace import posting, sharing
from bot.workspace.api_parts import (
    Call,
    Json,
    Method,
    check_slack_files,
    joined_channel,
    thread_of,
)
from bot.workspace.file_routes import upload_url
from bot.workspace.files import SIZE_LIMIT, File
from bot.workspace.people import Channel
from bot.workspace.refusals import SlackError
from bot.workspace.validate import TEXT_LIMIT, check_message
from bot.workspace.workspace import Workspace

ALT_TXT_LIMIT = 1000
SNIPPET_LIMIT = 1024 * 1024
CHANNELS_LIMIT = 100
COUNT_LIMIT = 1000
# files.list: `types` -> what a file's mimetype begins with.
_TYPES = {"images": "image/", "pdfs": "application/pdf", "zips": "application/zip"}


def get_upload_url(workspace: Workspace, call: Call) -> Json:
    """files.getUploadURLExternal"""
    name, length = call.text("filename"), call.text("length")
    if not length.isdecimal():
        words = "must provide an integer [json-pointer:/length]"
        raise SlackError("invalid_arguments", words)
    if int(length) == 0:
        raise SlackError("missing_argument")
    alt_txt, snippet_type = call.optional("alt_txt"), call.optional("snippet_type")
    if len(alt_txt) > ALT_TXT_LIMIT:
        raise SlackError("alt_txt_too_large")
    if snippet_type and int(length) > SNIPPET_LIMIT:
        raise SlackError("snippet_too_large")
    if int(length) > SIZE_LIMIT:
        raise SlackError("storage_limit_reached")
    bot = call.app.bot_user_id
    file = workspace.files.begin(name, int(length), bot, alt_txt=alt_txt, snippet_type=snippet_type)
    return {"upload_url": upload_url(workspace, file), "file_id": file.id}


def complete_upload(workspace: Workspace, call: Call) -> Json:
    """files.completeUploadExternal: without a channel the files stay private to the bot."""
    files = [_uploaded(workspace, call, entry) for entry in _entries(call)]
    channels = _channels(workspace, call)
    content = _comment(workspace, call)
    threads = [thread_of(workspace, channel, call) for channel in channels]
    delay_s = sharing.delay_s(workspace, call.app.app_id)
    completed = [workspace.files.complete(f, title, delay_s=delay_s) for f, title in files]
    for channel, thread in zip(channels, threads, strict=True):
        shown = [workspace.files.in_message(file.id) for file in completed]
        shared = {"files": shown, "upload": False, "display_as_bot": False}
        message = posting.bot_message(call.app, {**content, **shared, **thread})
        posting.post(workspace, channel, message)
    return {"files": [_whole(workspace, call, file.id) for file in completed]}


def _entries(call: Call) -> list[Mapping[str, Any]]:
    entries = call.json("files")
    if not isinstance(entries, list) or not entries:
        words = "must provide an array of files [json-pointer:/files]"
        raise SlackError("invalid_arguments", words)
    for index, entry in enumerate(entries):
        if not (isinstance(entry, dict) and isinstance(entry.get("id"), str)):
            words = f"missing required field: id [json-pointer:/files/{index}]"
            raise SlackError("invalid_arguments", words)
    return entries


def _uploaded(workspace: Workspace, call: Call, entry: Mapping[str, Any]) -> tuple[File, str]:
    """A file of this app whose bytes have come, with its title."""
    file = workspace.files.get(entry["id"])
    is_own = file is not None and file.owner == call.app.bot_user_id
    if file is None or not is_own or not file.is_uploaded or file.is_complete:
        raise SlackError("file_not_found")
    return file, str(entry.get("title") or "")


def _channels(workspace: Workspace, call: Call) -> list[Channel]:
    several = call.listed("channels")
    if len(several) > CHANNELS_LIMIT:
        raise SlackError("channels_limit_exceeded")
    wanted = [call.optional("channel_id")] if call.optional("channel_id") else []
    channels = [_channel(workspace, call, name, "channel_not_found") for name in wanted]
    channels += [_channel(workspace, call, name, "invalid_channel") for name in several]
    if len(channels) > 1 and call.optional("thread_ts"):
        words = "only one channel can be given with `thread_ts` [json-pointer:/channels]"
        raise SlackError("invalid_arguments", words)
    return channels


def _channel(workspace: Workspace, call: Call, name: str, unknown: str) -> Channel:
    person = workspace.person(name)
    # Of the two arguments only `channels` takes people.
    if person is not None and not person.is_bot and unknown == "invalid_channel":
        return workspace.direct_message(call.app, person.id)
    try:
        channel = joined_channel(workspace, call, name)
    except SlackError as refusal:
        is_unknown = refusal.error == "channel_not_found"
        raise (SlackError(unknown) if is_unknown else refusal) from refusal
    if channel.is_archived:
        raise SlackError("posting_to_channel_denied")
    return channel


def _comment(workspace: Workspace, call: Call) -> dict[str, Any]:
    """What the message says besides: the comment, or else the blocks."""
    text, blocks = call.optional("initial_comment"), call.json("blocks")
    if text or not blocks:
        return {"text": text[:TEXT_LIMIT]}
    complaints = check_message({"blocks": blocks})
    if complaints:
        raise SlackError.of(complaints)
    check_slack_files(workspace, call.app, {"blocks": blocks})
    if any(block["type"] == "markdown" for block in blocks):
        # As Slack has it (python-slack-sdk issue 1756).
        raise SlackError("internal_error")
    return posting.content_of({"blocks": blocks})


def _whole(workspace: Workspace, call: Call, file_id: str) -> Json:
    file = workspace.files.get(file_id)
    assert file is not None, "the file was found before"
    bot, store = call.app.bot_user_id, workspace.store
    channels = [c for c in store.channels() if c.kind == "channel" or store.is_member(c.id, bot)]
    return workspace.files.whole(file, channels)


def _visible(workspace: Workspace, call: Call) -> File:
    file = workspace.files.get(call.text("file"))
    if file is None:
        was = workspace.store.record("deleted_file", call.text("file"))
        raise SlackError("file_not_found" if was is None else "file_deleted")
    if not file.is_complete or not sharing.app_may_see(workspace, call.app, file):
        raise SlackError("file_not_found")
    return file


def info(workspace: Workspace, call: Call) -> Json:
    """files.info"""
    file = _visible(workspace, call)
    body = {"file": _whole(workspace, call, file.id), "comments": []}
    return body | {"response_metadata": {"next_cursor": ""}}


def list_files(workspace: Workspace, call: Call) -> Json:
    """files.list: the newest first, in numbered pages."""
    count = call.number("count", 100, most=COUNT_LIMIT)
    page = call.number("page", 1, most=100)
    files = workspace.files.all()[::-1]
    seen = [f for f in files if f.is_complete and sharing.app_may_see(workspace, call.app, f)]
    found = [f for f in _of_type(call, seen) if _is_asked_for(call, f)]
    paging = {
        "count": count,
        "total": len(found),
        "page": page,
        "pages": -(-len(found) // count),
    }
    shown = found[(page - 1) * count : page * count]
    return {"files": [_whole(workspace, call, f.id) for f in shown], "paging": paging}


def _of_type(call: Call, files: Sequence[File]) -> list[File]:
    wanted = (call.optional("types") or "all").replace(" ", "").split(",")
    if unknown := set(wanted) - {"all", "snippets", "spaces", "gdocs", *_TYPES}:
        raise SlackError("unknown_type", f"unsupported type: {sorted(unknown)[0]}")
    starts = tuple(_TYPES[kind] for kind in wanted if kind in _TYPES)
    return [
        f
        for f in files
        if "all" in wanted
        or ("snippets" in wanted and f.snippet_type)
        or (starts and f.mimetype.startswith(starts))
    ]


def _is_asked_for(call: Call, file: File) -> bool:
    user, channel = call.optional("user"), call.optional("channel")
    if (user and file.owner != user) or (channel and channel not in file.shares):
        return False
    start, end = call.time("ts_from", "0"), call.time("ts_to", "inf")
    return start <= file.created <= end


def delete(workspace: Workspace, call: Call) -> Json:
    """files.delete: the bot's own files only."""
    file = _visible(workspace, call)
    if file.owner != call.app.bot_user_id:
        raise SlackError("cant_delete_file")
    workspace.store.put_record("deleted_file", file.id, {})
    sharing.delete(workspace, file)
    return {}


def upload(workspace: Workspace, call: Call) -> Json:
    """files.upload, which Slack has shut down."""
    raise SlackError("method_deprecated")


READ, WRITE = ("files:read",), ("files:write",)
METHODS: Mapping[str, Method] = {
    "files.getUploadURLExternal": Method(get_upload_url, WRITE),
    "files.completeUploadExternal": Method(complete_upload, WRITE),
    "files.info": Method(info, READ),
    "files.list": Method(list_files, READ),
    "files.delete": Method(delete, WRITE),
    "files.upload": Method(upload, WRITE),
}
