"""Messages that wait for their time, kept over a restart."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from bot.workspace import posting
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

KIND = "scheduled"


@dataclass(frozen=True)
class Scheduled:
    """One message; `post_at` and `created` in seconds since the epoch."""

    id: str
    app: str
    channel: str
    post_at: int
    created: int
    message: Message


def keep(
    workspace: Workspace, app: str, channel: str, post_at: int, message: dict[str, Any]
) -> Scheduled:
    """A message that will be posted."""
    created = int(workspace.timing.now())
    one = Scheduled(f"Q0{secrets.token_hex(5).upper()}", app, channel, post_at, created, message)
    workspace.store.put_record(KIND, one.id, vars(one))
    return one


def waiting(workspace: Workspace) -> list[Scheduled]:
    """Every message that waits, the next one first."""
    every = [Scheduled(**body) for body in workspace.store.records(KIND)]
    return sorted(every, key=lambda one: (one.post_at, one.created))


def forget(workspace: Workspace, one: Scheduled) -> None:
    """It will not be posted."""
    workspace.store.remove_record(KIND, one.id)


def post_due(workspace: Workspace) -> None:
    """Posts what is due, where it still can be: not in an archived channel, nor to a thread that
    is gone.
    """
    for one in waiting(workspace):
        if one.post_at > workspace.timing.now():
            return
        forget(workspace, one)
        channel = workspace.store.channel(one.channel)
        root = one.message.get("thread_ts")
        has_root = root is None or workspace.store.message(one.channel, root) is not None
        if channel is not None and not channel.is_archived and has_root:
            posting.post(workspace, channel, one.message)
