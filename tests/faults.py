"""A Slack that misbehaves on demand: passes calls on to a workspace, and breaks some of them."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Fault = Literal["limited", "lost", "refused", "trouble"]


class FaultySlack:
    """Web API calls go through to `api_url`, but for the faults that are due, by method.

    limited: 429 with Retry-After 1, nothing done. lost: done, and then answered with a 500.
    refused: 503, nothing done. trouble: status 200 with Slack's fatal_error, nothing done.
    """

    def __init__(self, api_url: str) -> None:
        self._faults: dict[str, list[Fault]] = {}
        self.calls: Counter[str] = Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                method = self.path.rpartition("/")[2]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.calls[method] += 1
                due = outer._faults.get(method)
                fault = due.pop(0) if due else None
                if fault == "limited":
                    self._answer(429, b'{"ok":false,"error":"ratelimited"}', {"Retry-After": "1"})
                elif fault == "trouble":
                    self._answer(200, b'{"ok":false,"error":"fatal_error"}')
                elif fault == "refused":
                    self._answer(503, b"busy")
                else:
                    answer = outer._pass_on(api_url + method, body, dict(self.headers))
                    self._answer(500 if fault == "lost" else 200, answer)

            def _answer(
                self, status: int, body: bytes, headers: dict[str, str] | None = None
            ) -> None:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.api_url = f"http://127.0.0.1:{self._server.server_address[1]}/api/"

    def next(self, method: str, *faults: Fault) -> None:
        """The next calls of `method` meet these faults, one each."""
        self._faults.setdefault(method, []).extend(faults)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @staticmethod
    def _pass_on(url: str, body: bytes, headers: dict[str, str]) -> bytes:
        kept = {k: v for k, v in headers.items() if k in ("Authorization", "Content-Type")}
        with urllib.request.urlopen(urllib.request.Request(url, body, kept)) as answer:
            data: bytes = answer.read()
        return data
