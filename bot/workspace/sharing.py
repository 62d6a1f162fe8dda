"""Files meet conversations: who may see a file, and what changes when it becomes ready or goes."""

from __future__ import annotations

from bot.workspace import posting
from bot.workspace.files import File
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import Person
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
