"""Messages come, change and go: keep them, and tell the pages.

The one way to a message for API, people and answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.workspace import events
from bot.workspace.elements import with_ids
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import SLACKBOT, TEAM_ID, Channel, Person
from bot.workspace.store import Message
from bot.workspace.views import random_ids
from bot.workspace.workspace import Workspace

CONTENT = ("text", "blocks", "attachments", "metadata")


def content_of(args: Mapping[str, Any]) -> dict[str, Any]:
    """What a message says, from checked arguments: text always, the rest if it is there, with
    ids for blocks.
    """
    content: dict[str, Any] = {"text": args.get("text") or ""}
    if args.get("blocks"):
        content["blocks"] = with_ids(args["blocks"], random_ids())
    if args.get("attachments"):
        content["attachments"] = [
            _attachment(index, a) for index, a in enumerate(args["attachments"], start=1)
        ]
    if args.get("metadata"):
        content["metadata"] = args["metadata"]
    return content


def _attachment(index: int, given: Mapping[str, Any]) -> dict[str, Any]:
    attachment: dict[str, Any] = {"id": index, "fallback": "[no preview available]", **given}
    if "blocks" in attachment:
        attachment["blocks"] = with_ids(attachment["blocks"], random_ids())
    return attachment


def bot_message(app: InstalledApp, content: Mapping[str, Any]) -> Message:
    """A message of the app's bot, without ts."""
    return {
        "type": "message",
        "user": app.bot_user_id,
        "bot_id": app.bot_id,
        "app_id": app.app_id,
        "team": TEAM_ID,
        "bot_profile": {
            "id": app.bot_id,
            "app_id": app.app_id,
            "name": app.bot_name,
            "deleted": False,
            "team_id": TEAM_ID,
        },
        **content,
    }


def whole(workspace: Workspace, channel: str, messages: Sequence[Message]) -> list[Message]:
    """The messages with what their threads add to roots."""
    roots = [m["ts"] for m in messages if m.get("thread_ts", m["ts"]) == m["ts"]]
    threads = workspace.store.threads(channel, roots)
    return [
        {**m, "thread_ts": m["ts"], **threads[m["ts"]]} if m["ts"] in threads else m
        for m in (with_files(workspace, m) for m in messages)
    ]


def root_of(workspace: Workspace, channel: Channel, ts: str) -> Message | None:
    """The message that a thread begins with; None if there is none, or it is a reply or gone."""
    root = workspace.store.message(channel.id, ts)
    if root is None or root.get("thread_ts", ts) != ts or root.get("subtype") == "tombstone":
        return None
    return root


def in_thread(root: Message) -> Message:
    """What makes a message a reply in the thread of this root."""
    return {"thread_ts": root["ts"], "parent_user_id": root["user"]}


def with_files(workspace: Workspace, message: Message) -> Message:
    """The message with its files as they are now."""
    if "files" not in message:
        return message
    files = [workspace.files.in_message(file["id"]) for file in message["files"]]
    return {**message, "files": files}


def may_see(workspace: Workspace, person: Person, channel: Channel) -> bool:
    """Whether this person sees the conversation: its members do, and but for guests everybody sees
    a public channel.
    """
    if channel.kind == "channel" and not person.is_guest:
        return True
    return workspace.store.is_member(channel.id, person.id)


def audience(workspace: Workspace, channel: Channel) -> frozenset[str]:
    """Ids of the people who see this conversation."""
    members = frozenset(workspace.store.members(channel.id))
    if channel.kind != "channel":
        return members
    return members | {p.id for p in workspace.store.people() if not p.is_guest}


def post(workspace: Workspace, channel: Channel, message: Message) -> Message:
    """Gives the message its ts, keeps it, tells pages and apps."""
    ts = workspace.store.next_ts(channel.id, workspace.timing.now())
    posted = {**message, "ts": ts}
    workspace.store.add(channel.id, posted)
    for file in message.get("files", []):
        workspace.files.note_share(file["id"], channel.id, ts, message.get("thread_ts", ""))
    _tell(workspace, "message", channel, message=posted)
    _tell_root(workspace, channel, posted)
    events.message_posted(workspace, channel, posted)
    for file in message.get("files", []):
        events.file_shared(workspace, channel, file["id"], message["user"])
    return posted


def change(workspace: Workspace, channel: Channel, message: Message) -> None:
    """Keeps the new content of a message, tells pages and apps."""
    old = workspace.store.message(channel.id, message["ts"])
    keep(workspace, channel, message)
    if old is not None:
        events.message_changed(workspace, channel, old, message)


def keep(workspace: Workspace, channel: Channel, message: Message) -> None:
    """Keeps what is new about a message but not its content, and tells the pages."""
    workspace.store.replace(channel.id, message)
    shown = whole(workspace, channel.id, [message])[0]
    _tell(workspace, "message_changed", channel, message=shown)


def delete(workspace: Workspace, channel: Channel, message: Message) -> None:
    """Takes a message away; the root of a thread leaves a tombstone, as in Slack."""
    if workspace.store.threads(channel.id, [message["ts"]]):
        tombstone = {
            "type": "message",
            "subtype": "tombstone",
            "user": SLACKBOT,
            "hidden": True,
            "ts": message["ts"],
            "text": "This message was deleted.",
        }
        change(workspace, channel, tombstone)
        return
    workspace.store.remove(channel.id, message["ts"])
    thread = {"thread_ts": message["thread_ts"]} if "thread_ts" in message else {}
    _tell(workspace, "message_deleted", channel, ts=message["ts"], **thread)
    _tell_root(workspace, channel, message)
    events.message_deleted(workspace, channel, message)


def _tell_root(workspace: Workspace, channel: Channel, message: Message) -> None:
    """The root of a thread shows how many replies it has."""
    if "thread_ts" not in message:
        return
    root = workspace.store.message(channel.id, message["thread_ts"])
    if root is not None:
        shown = whole(workspace, channel.id, [root])[0]
        _tell(workspace, "message_changed", channel, message=shown)


def _tell(workspace: Workspace, event: str, channel: Channel, **data: Any) -> None:
    among = audience(workspace, channel)
    workspace.hub.tell(event, {"channel": channel.id, **data}, among=among)


def whisper(workspace: Workspace, channel: Channel, person: str, message: Message) -> Message:
    """Shows a message to one person."""
    ts = workspace.store.next_ts(channel.id, workspace.timing.now())
    shown = {**message, "ts": ts, "is_ephemeral": True}
    workspace.ephemerals.put(person, channel.id, shown)
    workspace.hub.tell("ephemeral", {"channel": channel.id, "message": shown}, only=person)
    return shown


def change_whisper(workspace: Workspace, channel: Channel, person: str, message: Message) -> None:
    """Shows the new state of a message that one person sees."""
    workspace.ephemerals.put(person, channel.id, message)
    data = {"channel": channel.id, "message": message}
    workspace.hub.tell("message_changed", data, only=person)


def delete_whisper(workspace: Workspace, channel: Channel, person: str, ts: str) -> None:
    """Takes away a message that one person sees."""
    if workspace.ephemerals.remove(person, channel.id, ts):
        data = {"channel": channel.id, "ts": ts}
        workspace.hub.tell("message_deleted", data, only=person)


def slackbot_says(workspace: Workspace, channel: Channel, person: str, text: str) -> None:
    """Slack's own failure texts: a toast, and a message that stays."""
    message = {"type": "message", "user": SLACKBOT, "text": text}
    whisper(workspace, channel, person, message)
    workspace.hub.tell("toast", {"text": text, "level": "error"}, only=person)


def replaced(old: Message, content: Mapping[str, Any], *, drop: Iterable[str] = ()) -> Message:
    """The old message with new content; `drop` names parts that go."""
    kept = {name: value for name, value in old.items() if name not in drop}
    return {**kept, **content}
