"""Every way in which the workspace says no, as a tree.

WorkspaceError      it cannot start (a sentence for whoever started it)
├── PortTaken       something else listens there
├── ManifestRefused an app's manifest asks for what cannot be
├── StateTaken      another workspace has this state folder
└── StateUnreadable the state folder holds something that is not ours, or is damaged
SlackError          a Web API call is refused, with Slack's own error string
UiRefused           a person's act is refused, with a sentence
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bot.workspace.rules import Complaint


class WorkspaceError(Exception):
    """The workspace cannot start; the text is a sentence for people."""


class PortTaken(WorkspaceError):
    """Another program listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(
            f"Port {port} on 127.0.0.1 is taken by another program. "
            "Stop that program, or choose another port."
        )
        self.port = port


class ManifestRefused(WorkspaceError):
    """An app cannot be installed by its manifest."""

    def __init__(self, app: str, trouble: str, remedy: str) -> None:
        super().__init__(f"The manifest of {app}: {trouble}. To go on, {remedy}.")
        self.app = app


class StateTaken(WorkspaceError):
    """Another workspace writes to the state folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"Another workspace is running on the state folder {folder}. "
            "Stop it, or choose another folder."
        )
        self.folder = folder


class StateUnreadable(WorkspaceError):
    """The state in the folder cannot be used."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"The workspace's state in {folder} cannot be used: {reason}. "
            "Move the folder away to start with an empty workspace."
        )
        self.folder = folder


class SlackError(Exception):
    """A refused Web API call: Slack's error string, its messages, and what else stands in the
    answer.
    """

    def __init__(
        self, error: str, *messages: str, errors: Iterable[Any] = (), **fields: str
    ) -> None:
        super().__init__(error)
        self.error = error
        self.messages = messages
        self.errors = tuple(errors)
        self.fields: Mapping[str, str] = fields

    @classmethod
    def of(cls, complaints: Iterable[Complaint]) -> SlackError:
        """The first complaint's error code, with the words of all complaints of that code."""
        listed = list(complaints)
        same = [str(c) for c in listed if c.code == listed[0].code and c.pointer]
        return cls(listed[0].code, *same, errors=same)

    def answer(self) -> dict[str, Any]:
        """The body that Slack sends."""
        body: dict[str, Any] = {"ok": False, "error": self.error, **self.fields}
        if self.errors:
            body["errors"] = list(self.errors)
        if self.messages:
            body["response_metadata"] = {"messages": [f"[ERROR] {m}" for m in self.messages]}
        return body


class UiRefused(Exception):
    """A person's act that cannot be done; the text is a sentence for that person."""

    def __init__(self, sentence: str, *, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status
