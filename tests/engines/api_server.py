"""A small HTTP server that lists and watches as an API server does, and fails when a test says."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bot.engines.kube import Kube
from bot.engines.kube_session import Patience

Json = dict[str, Any]
CUT, END = object(), object()


def experiment(name: str, version: int, **metadata: Any) -> Json:
    meta = {"name": name, "uid": name, "resourceVersion": str(version), **metadata}
    return {"kind": "Experiment", "metadata": meta, "spec": {"maxTrialCount": 3}}


def status(code: int, reason: str, message: str = "no") -> Json:
    return {"kind": "Status", "metadata": {}, "status": "Failure", "code": code,
            "reason": reason, "message": message}  # fmt: skip


class Server:
    """An API server that holds what a test puts into it and does what it is told."""

    def __init__(self) -> None:
        self.objects: dict[str, Json] = {}
        self.version = 0
        self.lists: list[dict[str, str]] = []
        self.watches: list[dict[str, str]] = []
        # Answers to the next lists and watches, in place of the right ones.
        self.refusals: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self.watch_refusals: queue.Queue[tuple[int, bytes]] = queue.Queue()
        self.between_pages: Callable[[], None] = lambda: None
        # What goes down the watch: an event, CUT (the connection breaks) or END (a clean end).
        self.events: queue.Queue[object] = queue.Queue()
        handler = type("Handler", (Handler,), {"api": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def put(self, name: str, *, silently: bool = False, **metadata: Any) -> Json:
        """Create or change an object."""
        self.version += 1
        kind = "MODIFIED" if name in self.objects else "ADDED"
        self.objects[name] = experiment(name, self.version, **metadata)
        if not silently:
            self.tell(kind, self.objects[name])
        return self.objects[name]

    def remove(self, name: str, *, silently: bool = False) -> None:
        self.version += 1
        gone = self.objects.pop(name)
        if not silently:
            meta = {**gone["metadata"], "resourceVersion": str(self.version)}
            self.tell("DELETED", {**gone, "metadata": meta})

    def tell(self, kind: str, obj: Json) -> None:
        self.events.put(json.dumps({"type": kind, "object": obj}).encode() + b"\n")

    def stop(self) -> None:
        self.events.put(END)
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


class Handler(BaseHTTPRequestHandler):
    api: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        query = {key: value[0] for key, value in parse_qs(urlsplit(self.path).query).items()}
        if query.get("watch") == "true":
            self._watch(query)
        else:
            self._list(query)

    def _list(self, query: dict[str, str]) -> None:
        api = self.api
        api.lists.append(query)
        if not api.refusals.empty():
            return self._reply(*api.refusals.get())
        start, limit = int(query.get("continue", 0)), int(query["limit"])
        items = list(api.objects.values())[start : start + limit]
        more = str(start + limit) if len(api.objects) > start + limit else ""
        page = {"kind": "List", "metadata": {"resourceVersion": str(api.version)}, "items": items}
        if more:
            page["metadata"]["continue"] = more  # type: ignore[index]
        self._reply(200, json.dumps(page).encode())
        if more:
            api.between_pages()

    def _watch(self, query: dict[str, str]) -> None:
        self.api.watches.append(query)
        if not self.api.watch_refusals.empty():
            return self._reply(*self.api.watch_refusals.get())
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        while isinstance(line := self.api.events.get(), bytes):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if line is END:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _reply(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """No log."""


def kube_of(server: Server, folder: Path, patience: Patience) -> Kube:
    path = folder / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                "users": [],
                "contexts": [{"name": "c", "context": {"cluster": "c"}}],
                "current-context": "c",
            }
        ),
        encoding="utf-8",
    )
    return Kube(kubeconfig=str(path), patience=patience)
