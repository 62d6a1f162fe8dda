"""What the workspace does by its clock: files become ready, scheduled messages are posted."""

from __future__ import annotations

import sqlite3

from bot.workspace import scheduled, sharing
from bot.workspace.workspace import Workspace


async def watch(workspace: Workspace) -> None:
    """Looks again and again whether something is due, for as long as the workspace runs."""
    while True:
        await workspace.timing.clock.sleep(workspace.timing.tick_s)
        try:
            run(workspace)
        except sqlite3.Error:
            # The disk is full: what a person does says so, and this comes again.
            continue


def run(workspace: Workspace) -> None:
    """Does what is due now."""
    sharing.settle(workspace)
    scheduled.post_due(workspace)
