"""A hub on loopback that serves folders by the Hugging Face hub's own HTTP interface.

Only what `huggingface_hub` asks for when it takes a snapshot: a repository's commit, its files, and
each file with the headers by which the client recognises it. It remembers what was asked.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_NAME = r"([\w.-]+/[\w.-]+)"
_API = re.compile(rf"/api/(models|datasets)/{_NAME}(?:/(revision|tree)/[\w.-]+)?/?(?:\?.*)?")
_FILE = re.compile(rf"/(datasets/)?{_NAME}/resolve/[\w.-]+/([^?]+)")


class Hub(ThreadingHTTPServer):
    """Repositories by kind and name (`models/org/name`), each a folder.

    What is in `refusals` is answered with that status and error code.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Path] = {}
        self.refusals: dict[str, tuple[int, str]] = {}
        self.requests: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running() -> Iterator[Hub]:
    """A hub that serves until the end of the block."""
    with Hub() as hub:
        thread = Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        if match := _API.fullmatch(self.path):
            self._api(*match.groups())
        elif match := _FILE.fullmatch(self.path):
            self._file("datasets" if match[1] else "models", match[2], match[3])
        else:
            self._send(404, b"", {})

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        self.server.requests.append(self.requestline)

    def _api(self, kind: str, name: str, part: str | None) -> None:
        if refusal := self.server.refusals.get(f"{kind}/{name}"):
            status, code = refusal
            self._send(status, b"{}", {"X-Error-Code": code} if code else {})
            return
        folder = self.server.repositories.get(f"{kind}/{name}")
        if folder is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            return
        found = tree(folder) if part == "tree" else about(name, folder)
        self._send(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _file(self, kind: str, name: str, inner: str) -> None:
        folder = self.server.repositories.get(f"{kind}/{name}")
        file = folder / inner if folder else None
        if file is None or not file.is_file():
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        self._send(200, file.read_bytes(), {"ETag": f'"{tag(file)}"', "X-Repo-Commit": COMMIT})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def tree(folder: Path) -> list[dict[str, object]]:
    return [
        {
            "type": "file",
            "path": str(file.relative_to(folder)),
            "size": file.stat().st_size,
            "oid": tag(file),
        }
        for file in files_of(folder)
    ]


def about(name: str, folder: Path) -> dict[str, object]:
    return {
        "id": name,
        "sha": COMMIT,
        "siblings": [{"rfilename": str(file.relative_to(folder))} for file in files_of(folder)],
        "private": False,
        "tags": [],
        "cardData": {"license": "cc0-1.0"},
    }


def tag(file: Path) -> str:
    """What git calls the file: the client checks nothing more for small files."""
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
