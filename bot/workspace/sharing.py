"""Files meet conversations: who may see a file, and what changes when it becomes ready or goes."""

from __future__ import annotations

import functools
from typing import Any

from bot.workspace import posting
from bot.workspace.files import File
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import Person
from bot.workspace.rules import INVALID_BLOCKS, Complaint
from bot.workspace.validate import check_message
from bot.workspace.workspace import Workspace


def app_may_see(workspace: Workspace, app: InstalledApp, file: File) -> bool:
    """Whether an app may see a file: its own, and those in conversations that its bot is in."""
    is_member = workspace.store.is_member
    return file.owner == app.bot_user_id or any(is_member(c, app.bot_user_id) for c in file.shares)


def person_may_see(workspace: Workspace, person: Person, file: File) -> bool:
    """Whether a person may see a file: their own, those of bots (which stand in blocks without
    being shared), and those in conversations that the person sees.
    """
    owner = workspace.person(file.owner)
    if file.owner == person.id or (owner is not None and owner.is_bot):
        return True
    places = [c for c in workspace.store.channels() if c.id in file.shares]
    return any(posting.may_see(workspace, person, channel) for channel in places)


def slack_file_complaints(
    workspace: Workspace,
    app: InstalledApp,
    content: Any,
    at: str = "",
    code: str = INVALID_BLOCKS,
) -> list[Complaint]:
    """Complaints about every `slack_file` in a checked message or view that the app cannot use
    (yet); pointers begin at `at`.
    """
    may_use = functools.partial(app_may_see, workspace, app)
    complaints = workspace.files.complaints(content.get("blocks"), may_use, f"{at}/blocks", code)
    for index, attachment in enumerate(content.get("attachments") or []):
        place = f"{at}/attachments/{index}/blocks"
        complaints += workspace.files.complaints(attachment.get("blocks"), may_use, place, code)
    return complaints


def message_complaints(workspace: Workspace, app: InstalledApp, message: Any) -> list[Complaint]:
    """Everything that Slack would refuse in a message of this app."""
    return [*check_message(message)] or slack_file_complaints(workspace, app, message)


def delay_s(workspace: Workspace, app_id: str = "") -> float:
    """By how much a fault delays the file that an app has just uploaded ("" for a person's)."""
    fault = workspace.faults.take("slow_file", app_id=app_id)
    return fault.seconds if fault else 0.0


def settle(workspace: Workspace) -> None:
    """Tells the pages of files that have become ready."""
    for file in workspace.files.newly_ready():
        tell_messages(workspace, file)
        data = {"file": workspace.files.in_message(file.id)}
        owner = workspace.person(file.owner)
        is_persons = owner is not None and not owner.is_bot
        workspace.hub.tell("file", data, only=file.owner if is_persons else "")


def delete(workspace: Workspace, file: File) -> None:
    """Takes a file away; in messages a tombstone is left."""
    workspace.files.delete(file)
    tell_messages(workspace, file)


def tell_messages(workspace: Workspace, file: File) -> None:
    """Shows the messages with this file anew."""
    for channel_id, shares in file.shares.items():
        channel = workspace.store.channel(channel_id)
        for share in shares:
            message = workspace.store.message(channel_id, share["ts"])
            if channel is not None and message is not None:
                posting.keep(workspace, channel, posting.with_files(workspace, message))
