"""What every group of Web API methods shares: arguments, scopes, looking up channels, cursors."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bot.workspace import json_text, posting, sharing
from bot.workspace.installation import Installation
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import Channel, Person
from bot.workspace.refusals import SlackError
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

Json = dict[str, Any]
T = TypeVar("T")
_TS = re.compile(r"\d{1,10}\.\d{6}")

# Arguments that are JSON inside a string when a call comes as a form, and what Slack says when
# they are not JSON.
_JSON_ARGUMENTS = {
    "blocks": "invalid_blocks_format",
    "attachments": "invalid_attachments",
    "metadata": "invalid_metadata_format",
    "view": "invalid_arguments",
    "files": "invalid_arguments",
    "message": "invalid_arguments",
    "unfurls": "invalid_unfurls_format",
    "user_auth_blocks": "invalid_blocks_format",
}


class Call:
    """One call of the Web API: the installed app that makes it (None for methods that take no
    token), and its arguments, however they came.
    """

    def __init__(self, caller: Installation | None, given: Mapping[str, Any]) -> None:
        self._caller = caller
        self._given = {name: value for name, value in given.items() if value is not None}

    @property
    def caller(self) -> Installation:
        """The installed app that calls. Methods that take no token have none."""
        assert self._caller is not None, "the door lets nobody in without a token"
        return self._caller

    @property
    def app(self) -> InstalledApp:
        """The app that calls."""
        return self.caller.app

    @property
    def given(self) -> dict[str, Any]:
        """Every argument but the token."""
        return {name: value for name, value in self._given.items() if name != "token"}

    def text(self, name: str) -> str:
        """A required argument."""
        value = self.optional(name)
        if not value:
            raise SlackError("invalid_arguments", f"missing required field: {name}")
        return value

    def optional(self, name: str) -> str:
        """An argument, or "" if it was left out."""
        value = self._given.get(name, "")
        if isinstance(value, (dict, list)):
            words = f"must provide a string [json-pointer:/{name}]"
            raise SlackError("invalid_arguments", words)
        return str(value)

    def flag(self, name: str) -> bool:
        """Whether an argument is there and true."""
        return self._given.get(name) in (True, 1, "true", "True", "1")

    def is_off(self, name: str) -> bool:
        """Whether an argument is there and false."""
        return self._given.get(name) in (False, 0, "false", "False", "0")

    def without(self, name: str) -> Call:
        """The same call without an argument."""
        rest = {key: value for key, value in self._given.items() if key != name}
        return Call(self._caller, rest)

    def listed(self, name: str) -> list[str]:
        """An argument that is a list of words, as JSON or with commas between."""
        value = self._given.get(name, "")
        if isinstance(value, str):
            try:
                value = json_text.read(value) if value.startswith("[") else value.split(",")
            except ValueError as error:
                words = f"must provide an array [json-pointer:/{name}]"
                raise SlackError("invalid_arguments", words) from error
        words_of = value if isinstance(value, list) else [value]
        return [str(word).strip() for word in words_of if str(word).strip()]

    def has(self, name: str) -> bool:
        """Whether an argument was given at all."""
        return name in self._given

    def number(self, name: str, default: int, *, most: int) -> int:
        """A whole number from 1 to `most`."""
        value = self._given.get(name, default)
        try:
            number = int(value)
        except (TypeError, ValueError) as error:
            raise SlackError("invalid_limit") from error
        if not 1 <= number <= most:
            raise SlackError("invalid_limit")
        return number

    def time(self, name: str, default: str) -> float:
        """A time, in seconds since the epoch."""
        try:
            return float(self.optional(name) or default)
        except ValueError as error:
            words = f"must provide a timestamp [json-pointer:/{name}]"
            raise SlackError("invalid_arguments", words) from error

    def json(self, name: str) -> Any:
        """A structured argument, parsed if it came as a string; None if it was left out."""
        value = self._given.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json_text.read(value) if value else None
        except ValueError as error:
            raise SlackError(_JSON_ARGUMENTS[name]) from error


@dataclass(frozen=True)
class Method:
    """A Web API method: what it does, which scopes allow it (any of them), which kinds of token
    it takes (none: it needs no token).
    """

    run: Callable[[Workspace, Call], Json]
    scopes: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ("bot",)


def require_scope(app: InstalledApp, *scopes: str) -> None:
    """The app must have one of these scopes."""
    if scopes and not set(scopes) & set(app.scopes):
        provided = ",".join(app.scopes)
        raise SlackError("missing_scope", needed=",".join(scopes), provided=provided)


def visible_channel(workspace: Workspace, call: Call, channel_id: str) -> Channel:
    """A conversation that the app can know of."""
    channel = workspace.store.channel(channel_id)
    bot = call.app.bot_user_id
    if channel is None:
        raise SlackError("channel_not_found")
    if channel.kind != "channel" and not workspace.store.is_member(channel.id, bot):
        raise SlackError("channel_not_found")
    return channel


def joined_channel(workspace: Workspace, call: Call, channel_id: str) -> Channel:
    """A conversation that the app's bot is in."""
    channel = visible_channel(workspace, call, channel_id)
    if not workspace.store.is_member(channel.id, call.app.bot_user_id):
        raise SlackError("not_in_channel")
    return channel


def known_person(workspace: Workspace, person_id: str) -> Person:
    """A member of the workspace."""
    person = workspace.person(person_id)
    if person is None:
        raise SlackError("user_not_found")
    return person


def check_ts(ts: str) -> None:
    """Refuses what is no timestamp of a message."""
    if not _TS.fullmatch(ts):
        raise SlackError("bad_timestamp")


def message_of(workspace: Workspace, channel: Channel, ts: str) -> Message:
    """The message with this ts."""
    message = workspace.store.message(channel.id, ts)
    if message is None:
        raise SlackError("message_not_found")
    return message


def permalink(workspace: Workspace, channel: Channel, message: Mapping[str, Any]) -> str:
    """The address of a message."""
    link = f"{workspace.url}/archives/{channel.id}/p{message['ts'].replace('.', '')}"
    if "thread_ts" in message:
        link += f"?thread_ts={message['thread_ts']}&cid={channel.id}"
    return link


def thread_of(workspace: Workspace, channel: Channel, call: Call) -> dict[str, Any]:
    """What `thread_ts` and `reply_broadcast` add to a message; {} if it is no reply."""
    thread_ts = call.optional("thread_ts")
    if not thread_ts:
        return {}
    # Slack is said to take some unknown timestamps silently; a bot that relies on that has a bug.
    if workspace.store.message(channel.id, thread_ts) is None:
        raise SlackError("thread_not_found")
    root = posting.root_of(workspace, channel, thread_ts)
    if root is None:
        raise SlackError("cannot_reply_to_message")
    thread = posting.in_thread(root)
    if call.flag("reply_broadcast"):
        thread["subtype"] = "thread_broadcast"
    return thread


def check_slack_files(workspace: Workspace, app: InstalledApp, content: Any) -> None:
    """Refuses a checked message with a `slack_file` that the app cannot use (yet)."""
    complaints = sharing.slack_file_complaints(workspace, app, content)
    if complaints:
        raise SlackError.of(complaints)


def encode_cursor(position: str) -> str:
    """An opaque cursor for a position; "" stays ""."""
    return base64.b64encode(f"next:{position}".encode()).decode() if position else ""


def decode_cursor(cursor: str) -> str:
    """The position in a cursor of ours; "" for none."""
    if not cursor:
        return ""
    try:
        text = base64.b64decode(cursor, validate=True).decode()
    except ValueError as error:
        raise SlackError("invalid_cursor") from error
    if not text.startswith("next:"):
        raise SlackError("invalid_cursor")
    return text.removeprefix("next:")


def page_of(items: Sequence[T], call: Call, *, most: int = 1000) -> tuple[Sequence[T], str]:
    """One page of a list that is whole in memory, and the cursor of the next."""
    start = decode_cursor(call.optional("cursor")) or "0"
    if not start.isdecimal():
        raise SlackError("invalid_cursor")
    end = int(start) + call.number("limit", 100, most=most)
    return items[int(start) : end], encode_cursor(str(end) if end < len(items) else "")


def paged(body: Json, cursor: str) -> Json:
    """An answer with its cursor, as Slack writes it."""
    return body | {"response_metadata": {"next_cursor": cursor}}
