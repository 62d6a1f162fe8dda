"""The tokens of a state folder: made once at random, kept beside the state, readable by their
owner alone.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


def file_name(app_id: str) -> str:
    """The file of an app's tokens; "" for the first app."""
    return f"tokens-{app_id}.json" if app_id else "tokens.json"


@dataclass(frozen=True)
class Tokens:
    """What an app needs to talk to the workspace."""

    bot_token: str
    app_token: str
    signing_secret: str


def read_or_make(folder: Path, app_id: str = "") -> Tokens:
    """The tokens of an app ("" for the first); made at the first call.

    Raises:
        ValueError, TypeError: the file is damaged.
        OSError: the folder cannot be used.
    """
    path = folder / file_name(app_id)
    if path.exists():
        return Tokens(**json.loads(path.read_text("utf-8")))
    tokens = Tokens(
        bot_token=f"xoxb-{secrets.token_hex(24)}",
        app_token=f"xapp-1-{secrets.token_hex(32)}",
        signing_secret=secrets.token_hex(16),
    )
    _write(path, json.dumps(asdict(tokens)))
    return tokens


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    draft.rename(path)
