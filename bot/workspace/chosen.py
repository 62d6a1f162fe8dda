"""What only the workspace can say of values that a person has put in: whether the people,
conversations and files that they name are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bot.workspace import posting, sharing
from bot.workspace.people import Person
from bot.workspace.refusals import UiRefused
from bot.workspace.workspace import Workspace

Json = dict[str, Any]


def settled(workspace: Workspace, person: Person, values: Mapping[str, Any]) -> Json:
    """The state values with their files whole; UiRefused if this person cannot choose something
    that they name.
    """
    return {
        block_id: {
            action_id: _settled(workspace, person, action_id, entry)
            for action_id, entry in actions.items()
        }
        for block_id, actions in values.items()
    }


def _settled(workspace: Workspace, person: Person, action_id: str, entry: Json) -> Json:
    if "files" in entry:
        return {**entry, "files": [_file(workspace, person, f["id"]) for f in entry["files"]]}
    for name, is_there in _CHECKS.items():
        chosen = entry.get(f"selected_{name}") or entry.get(f"selected_{name}s") or []
        for wanted in [chosen] if isinstance(chosen, str) else chosen:
            if not isinstance(wanted, str) or not is_there(workspace, person, wanted):
                raise UiRefused(f"There is no {name} {wanted!r} to choose in {action_id!r}.")
    return entry


def _file(workspace: Workspace, person: Person, file_id: str) -> Json:
    file = workspace.files.get(file_id)
    if file is None or not sharing.person_may_see(workspace, person, file):
        raise UiRefused(f"There is no file {file_id!r} here.", status=404)
    return workspace.files.in_message(file.id)


def _has_user(workspace: Workspace, person: Person, wanted: str) -> bool:
    return workspace.person(wanted) is not None


def _has_channel(workspace: Workspace, person: Person, wanted: str) -> bool:
    channel = workspace.store.channel(wanted)
    return channel is not None and channel.kind == "channel" and _may_see(workspace, person, wanted)


def _may_see(workspace: Workspace, person: Person, wanted: str) -> bool:
    channel = workspace.store.channel(wanted)
    return channel is not None and posting.may_see(workspace, person, channel)


_CHECKS: Mapping[str, Callable[[Workspace, Person, str], bool]] = {
    "user": _has_user,
    "channel": _has_channel,
    "conversation": _may_see,
}
