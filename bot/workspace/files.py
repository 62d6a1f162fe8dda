"""Uploaded files: their records, their bytes in the state folder, and what Slack says of them.

A file is *begun* (an upload URL is given out), *uploaded* (its bytes are here), *completed* (it has
a title, and perhaps a place), and becomes *ready* some time after that, as in Slack.
"""

from __future__ import annotations

import mimetypes
import os
import re
import secrets
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bot.workspace.images import HEADER_BYTES, image_of
from bot.workspace.people import TEAM_ID, Channel
from bot.workspace.rules import INVALID_BLOCKS, Complaint
from bot.workspace.store import Store
from bot.workspace.timing import Timing

FOLDER = "files"
SIZE_LIMIT = 50 * 1024 * 1024
NAME_LIMIT = 255
SHOWN_IN_BLOCKS = frozenset({"image/png", "image/jpeg", "image/gif"})
_IMAGE_TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif"}
_PRETTY = {"jpg": "JPEG", "csv": "CSV", "json": "JSON", "text": "Plain Text", "binary": "Binary"}
_FILE_ID = re.compile(r"F[A-Z0-9]+")
_IN_URL = re.compile(rf"/files-pri/{TEAM_ID}-(F[A-Z0-9]+)/")
_ALPHABET = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class File:
    """One file. `owner` is the user id of who uploaded it; `size` in bytes, width and height in
    pixels (0 for what is no picture), times in seconds since the epoch. `ready_at` is 0 until the
    upload is completed. `shares`: channel id -> the messages that show it.
    """

    id: str
    name: str
    owner: str
    size: int
    created: int
    title: str = ""
    alt_txt: str = ""
    snippet_type: str = ""
    mimetype: str = ""
    filetype: str = ""
    width: int = 0
    height: int = 0
    is_uploaded: bool = False
    ready_at: float = 0.0
    shares: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether the upload was finished by its owner."""
        return self.ready_at > 0


def safe_name(name: str) -> str:
    """A name that can stand in a path, an URL and a header: no folders, no control characters."""
    last = re.split(r"[\\/]", name)[-1]
    plain = "".join(c for c in last if c.isprintable() and c not in '"<>:|?*').strip(" .")
    return plain[-NAME_LIMIT:] or "file"


def _kind_of(name: str, head: bytes, snippet_type: str) -> dict[str, Any]:
    """mimetype, filetype and the size of a picture. Bytes say what is a picture, names the rest."""
    image = image_of(head)
    if image is not None:
        mimetype = _IMAGE_TYPES[image.kind]
        size = {"width": image.width, "height": image.height}
        return {"mimetype": mimetype, "filetype": image.kind, **size}
    if snippet_type:
        return {"mimetype": "text/plain", "filetype": snippet_type}
    guessed = mimetypes.guess_type(name)[0] or ""
    if guessed in _IMAGE_TYPES.values() or not guessed:
        is_text = not guessed and b"\0" not in head
        guessed = "text/plain" if is_text else "application/octet-stream"
    suffix = Path(name).suffix.lstrip(".").lower()
    if guessed == "text/plain":
        return {"mimetype": guessed, "filetype": suffix if suffix not in ("", "txt") else "text"}
    is_binary = guessed == "application/octet-stream"
    return {"mimetype": guessed, "filetype": "binary" if is_binary else suffix}


class Files:
    """Every file of the workspace. `url` is the workspace's, without a slash at its end."""

    def __init__(self, store: Store, timing: Timing, url: str) -> None:
        self._store = store
        self._timing = timing
        self._url = url
        self._folder = store.folder / FOLDER
        self._tickets: dict[str, str] = {}
        self._unready = {f.id for f in self.all() if f.is_complete and not self.is_ready(f)}

    # --- the life of a file -----------------------------------------------------------------------

    def begin(
        self, name: str, size: int, owner: str, *, alt_txt: str = "", snippet_type: str = ""
    ) -> File:
        """A new file whose bytes are still to come."""
        file = File(
            id="F0" + "".join(secrets.choice(_ALPHABET) for _ in range(9)),
            name=safe_name(name),
            owner=owner,
            size=size,
            created=int(self._timing.now()),
            alt_txt=alt_txt,
            snippet_type=snippet_type,
        )
        self._put(file)
        return file

    def new_ticket(self, file: File) -> str:
        """The secret end of the address to which the bytes are sent."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = file.id
        return ticket

    def ticketed(self, ticket: str) -> File | None:
        """The file whose bytes are still to come with this ticket."""
        return self.get(self._tickets.get(ticket, ""))

    def receive(self, file: File, content: bytes) -> File:
        """Keeps the bytes of a file; OSError if the disk cannot take them."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self.path(file)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        kind = _kind_of(file.name, content[:HEADER_BYTES], file.snippet_type)
        received = replace(file, size=len(content), is_uploaded=True, **kind)
        self._put(received)
        self._tickets = {t: known for t, known in self._tickets.items() if known != file.id}
        return received

    def complete(self, file: File, title: str = "", *, delay_s: float = 0.0) -> File:
        """Finishes an upload: the file becomes ready after the usual time and `delay_s`."""
        ready_at = self._timing.now() + self._timing.file_ready_s + delay_s
        completed = replace(file, title=title or file.name, ready_at=ready_at)
        self._put(completed)
        self._unready.add(file.id)
        return completed

    def note_share(self, file_id: str, channel: str, ts: str, thread_ts: str = "") -> None:
        """Notes a message that shows the file."""
        file = self.get(file_id)
        if file is not None:
            share = {"ts": ts} | ({"thread_ts": thread_ts} if thread_ts else {})
            places = {**file.shares, channel: [*file.shares.get(channel, []), share]}
            self._put(replace(file, shares=places))

    def delete(self, file: File) -> None:
        """Forgets a file and its bytes."""
        self._store.remove_record("file", file.id)
        self._unready.discard(file.id)
        self.path(file).unlink(missing_ok=True)

    def newly_ready(self) -> list[File]:
        """The files that have become ready since this was asked last."""
        if not self._unready:
            return []
        known = [file for file in map(self.get, sorted(self._unready)) if file is not None]
        ready = [file for file in known if self.is_ready(file)]
        self._unready -= {file.id for file in ready}
        return ready

    def _put(self, file: File) -> None:
        self._store.put_record("file", file.id, vars(file))

    # --- what there is ----------------------------------------------------------------------------

    def path(self, file: File) -> Path:
        """Where the bytes are."""
        return self._folder / file.id

    def is_ready(self, file: File) -> bool:
        """Whether the file can be used, in blocks for example."""
        return file.is_complete and self._timing.now() >= file.ready_at

    def get(self, file_id: str) -> File | None:
        """The file with this id."""
        body = self._store.record("file", file_id) if _FILE_ID.fullmatch(file_id) else None
        return File(**body) if body else None

    def all(self) -> list[File]:
        """Every file, in the order they came."""
        return [File(**body) for body in self._store.records("file")]

    def named(self, slack_file: Mapping[str, Any]) -> File | None:
        """The file that the `slack_file` of an image block means, by id or by URL."""
        if isinstance(slack_file.get("id"), str):
            return self.get(slack_file["id"])
        url = str(slack_file.get("url", ""))
        found = _IN_URL.match(urlsplit(url).path) if url.startswith(f"{self._url}/") else None
        return self.get(found[1]) if found else None

    # --- what Slack says of it --------------------------------------------------------------------

    def in_message(self, file_id: str) -> dict[str, Any]:
        """The entry of a message's `files`; of a deleted file a tombstone is left."""
        file = self.get(file_id)
        if file is None:
            return {"id": file_id, "mode": "tombstone"}
        ready = self.is_ready(file)
        address = f"{self._url}/files-pri/{TEAM_ID}-{file.id}"
        name = quote(file.name)
        body: dict[str, Any] = {
            "id": file.id,
            "created": file.created,
            "timestamp": file.created,
            "name": file.name,
            "title": file.title,
            "mimetype": file.mimetype if ready else "",
            "filetype": file.filetype if ready else "",
            "pretty_type": _pretty(file.filetype) if ready else "",
            "user": file.owner,
            "user_team": TEAM_ID,
            "editable": bool(file.snippet_type),
            "size": file.size,
            "mode": "snippet" if file.snippet_type else "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": False,
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            "url_private": f"{address}/{name}",
            "url_private_download": f"{address}/download/{name}",
            "permalink": f"{address}/{name}",
            "permalink_public": "",
            "is_starred": False,
            "has_rich_preview": False,
            "file_access": "visible",
        }
        if file.alt_txt:
            body["alt_txt"] = file.alt_txt
        if ready and file.width:
            body |= {"original_w": file.width, "original_h": file.height}
        return body

    def whole(self, file: File, channels: Iterable[Channel]) -> dict[str, Any]:
        """Slack's file object; `channels` are those of its conversations that may be named."""
        named = {c.id: c for c in channels if c.id in file.shares}
        public = {i: file.shares[i] for i, c in named.items() if c.kind == "channel"}
        private = {i: file.shares[i] for i, c in named.items() if c.kind != "channel"}
        shares = {"public": public, "private": private}
        return self.in_message(file.id) | {
            "is_public": bool(public),
            "comments_count": 0,
            "channels": [i for i, c in named.items() if c.kind == "channel"],
            "groups": [i for i, c in named.items() if c.kind in ("group", "mpim")],
            "ims": [i for i, c in named.items() if c.kind == "im"],
            "shares": {name: places for name, places in shares.items() if places},
        }

    def complaints(
        self,
        blocks: Any,
        may_use: Callable[[File], bool],
        at: str = "/blocks",
        code: str = INVALID_BLOCKS,
    ) -> list[Complaint]:
        """Complaints about the `slack_file` of checked blocks: each must be ready, a picture that
        Slack draws, and one that the app may use.
        """
        found: list[Complaint] = []
        for pointer, slack_file in _slack_files(blocks, at):
            file = self.named(slack_file)
            is_drawn = file is not None and file.mimetype in SHOWN_IN_BLOCKS
            if file is None or not (is_drawn and self.is_ready(file) and may_use(file)):
                found.append(Complaint("invalid slack file", pointer, code))
        return found


def _pretty(filetype: str) -> str:
    return _PRETTY.get(filetype, filetype.upper())


def _slack_files(value: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every `slack_file` object in these blocks, with its pointer."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _slack_files(item, f"{at}/{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name == "slack_file" and isinstance(item, dict):
                yield f"{at}/slack_file", item
            elif isinstance(item, (dict, list)):
                yield from _slack_files(item, f"{at}/{name}")
