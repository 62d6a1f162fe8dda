"""An HTTPS server on loopback with a certificate of its own, for webhooks and for a node's logs."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Query = dict[str, list[str]]


@dataclass(frozen=True)
class Certificate:
    certificate: Path
    key: Path

    def pem(self) -> bytes:
        return self.certificate.read_bytes()


def make_certificate(folder: Path) -> Certificate:
    """A certificate for 127.0.0.1 that signs itself, by the openssl program."""
    made = Certificate(folder / "server.crt", folder / "server.key")
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"],
            *["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
            *["-addext", "subjectAltName=IP:127.0.0.1"],
            *["-keyout", str(made.key), "-out", str(made.certificate)],
        ],
        check=True,
        capture_output=True,
    )
    return made


class Request(BaseHTTPRequestHandler):
    """One request; a route gets it and answers with `reply` or with `send_chunk`s."""

    protocol_version = "HTTP/1.1"
    routes: Mapping[str, Callable[[Request, str, Query], None]]
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._dispatch()

    def do_POST(self) -> None:
        self._dispatch()

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_chunks(self, content_type: str = "text/plain") -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        """An empty chunk is the end."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """The server keeps no log."""

    def _dispatch(self) -> None:
        address = urlsplit(self.path)
        for prefix, route in self.routes.items():
            if address.path.startswith(prefix):
                route(self, address.path.removeprefix(prefix), parse_qs(address.query))
                return
        self.reply(404, b"{}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away (its connection idle, or a log no longer followed)."""


class HttpsServer:
    """Serves `routes` (path prefix to function) on a free port until `stop`."""

    def __init__(
        self, certificate: Certificate, routes: Mapping[str, Callable[[Request, str, Query], None]]
    ) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        handler = type("Handler", (Request,), {"routes": routes})
        self._server = _Server(("127.0.0.1", 0), handler)
        # The handshake waits for the connection's own thread, else one client could hold up all.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.daemon = True

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
