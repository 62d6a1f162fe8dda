"""The health server: /healthz, /readyz and /metrics for Kubernetes and Prometheus."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from bot import metrics
from bot.errors import TuneError
from bot.metrics import Metric

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 10


@dataclass(frozen=True)
class Probes:
    """What the server asks at each request; each answers at once and may be asked by any thread.

    `alive` and `ready` answer "" or one sentence: what is wrong.
    """

    alive: Callable[[], str]
    ready: Callable[[], str]
    metrics: Callable[[], Iterable[Metric]]


@contextmanager
def serving(port: int, probes: Probes, host: str = "") -> Iterator[int]:
    """Answer on `port` (0: any; yielded) of `host` ("": all addresses) until the block ends.

    Raises:
        TuneError: the port cannot be had.
    """
    try:
        server = _Server(host, port, probes)
    except OSError as error:
        raise TuneError(
            f"The health server cannot listen on port {port}: {error.strerror or error}.",
            hint="Set KATIB_TUNE_HEALTH_PORT to a free port, or to 0 for no health server.",
            field="health_port",
        ) from error
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, probes: Probes) -> None:
        if not host and socket.has_dualstack_ipv6():
            self.address_family = socket.AF_INET6
        self.probes = probes
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: object, client_address: object) -> None:
        log.debug("A request of %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "katib-tune"
    sys_version = ""
    timeout = REQUEST_TIMEOUT_S

    def do_GET(self) -> None:
        probes = self.server.probes
        match self.path.partition("?")[0]:
            case "/healthz":
                self._verdict(probes.alive())
            case "/readyz":
                self._verdict(probes.ready())
            case "/metrics":
                self._answer(200, metrics.text(probes.metrics()), metrics.CONTENT_TYPE)
            case _:
                self._answer(404, "There are /healthz, /readyz and /metrics.\n")

    do_HEAD = do_GET

    def _verdict(self, wrong: str) -> None:
        self._answer(503 if wrong else 200, f"{wrong or 'ok'}\n")

    def _answer(self, status: int, body: str, kind: str = "text/plain; charset=utf-8") -> None:
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        log.debug("%s %s", self.address_string(), format % args)
