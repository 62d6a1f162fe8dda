"""A proxy before the API server which fails when a test says: errors, busyness, cut lines."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import urllib3
import yaml

from tests.cluster.api import Api

CUT = 0
PASSED = ("Accept", "Content-Type")


class Proxy(ThreadingHTTPServer):
    """Passes everything on, as whoever `api` is, while `fails` is None.

    Else it answers with that HTTP status, or cuts every connection (CUT), those in use as well.
    """

    daemon_threads = True

    def __init__(self, api: Api) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.api = api
        self.fails: int | None = None
        self.open: set[socket.socket] = set()
        self.lock = Lock()

    def kubeconfig(self, folder: Path) -> str:
        """With which one goes through the proxy."""
        path = folder / "proxy.kubeconfig"
        server = f"http://127.0.0.1:{self.server_port}"
        config = {
            "clusters": [{"name": "c", "cluster": {"server": server}}],
            "users": [],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "current-context": "c",
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return str(path)

    def fail(self, how: int) -> None:
        """From now on; watches that are open break."""
        self.fails = how
        with self.lock:
            for each in self.open:
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it has ended meanwhile

    def recover(self) -> None:
        self.fails = None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.open.add(self.connection)

    def finish(self) -> None:
        with self.server.lock:
            self.server.open.discard(self.connection)
        super().finish()

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fails = self.server.fails
        if fails == CUT:
            self.close_connection = True
        elif fails is not None:
            self._refuse(fails)
        else:
            self._pass_on(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

    def _refuse(self, code: int) -> None:
        said = {"kind": "Status", "status": "Failure", "code": code, "message": "not now"}
        self._head(code, {"Content-Type": "application/json", "Retry-After": "1"})
        self._chunk(json.dumps(said).encode())
        self._chunk(b"")

    def _pass_on(self, body: bytes) -> None:
        configuration = self.server.api.configuration
        pool: urllib3.PoolManager = self.server.api._client().rest_client.pool_manager
        headers = {name: self.headers[name] for name in PASSED if name in self.headers}
        if token := configuration.get_api_key_with_prefix("BearerToken", alias="authorization"):
            headers["Authorization"] = token
        answer = pool.request(
            self.command,
            f"{configuration.host}{self.path}",
            headers=headers,
            body=body or None,
            preload_content=False,
            retries=False,
        )
        self._head(answer.status, {"Content-Type": answer.headers.get("Content-Type", "")})
        try:
            for chunk in answer.read_chunked() if answer.chunked else answer.stream(65536):
                self._chunk(chunk)
            self._chunk(b"")
        finally:
            answer.close()

    def _head(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """No log."""


@contextmanager
def proxy(api: Api) -> Iterator[Proxy]:
    """A proxy that runs until the block ends."""
    with Proxy(api) as server:
        thread = Thread(target=server.serve_forever, name="proxy", daemon=True)
        thread.start()
        yield server
        server.fail(CUT)
        server.shutdown()
        thread.join()
