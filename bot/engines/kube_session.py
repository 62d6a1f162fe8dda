"""One request on its way to the API server, and a running answer, through the client's pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

import urllib3
from kubernetes.client import ApiClient

from bot.engines.kube_config import Access
from bot.engines.kube_errors import unreachable

CHUNK_BYTES = 65536


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds. A watch's bookmarks come each minute."""

    connect_s: float = 5.0
    read_s: float = 30.0
    watch_s: float = 75.0


class Stream:
    """A running answer, line by line as bytes, without the line's end.

    Iterating raises EngineError when the connection breaks or nothing comes for too long; after
    `close`, from whatever thread, it just ends.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, server: str) -> None:
        self._response = response
        self._server = server
        self._closed = False

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        try:
            for chunk in self._response.stream(CHUNK_BYTES):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line for line in whole if line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            # Reading from a connection that `close` has shut ends in any of the three.
            if self._closed:
                return
            raise unreachable(self._server, error) from error
        if rest and not self._closed:
            yield rest

    def close(self) -> None:
        """End it; a thread that waits in it is let go."""
        self._closed = True
        with contextlib.suppress(RuntimeError, ValueError, OSError):  # it has ended already
            self._response.shutdown()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._response.close()


@dataclass(frozen=True)
class Ask:
    """A request as it is sent."""

    method: str
    target: str
    body: bytes | None
    headers: Mapping[str, str]
    timeout: urllib3.Timeout
    stream: bool


@dataclass(frozen=True)
class Session:
    """The official client's connections for one reading of the configuration."""

    access: Access
    pool: urllib3.PoolManager

    @classmethod
    def of(cls, access: Access) -> Session:
        client = ApiClient(access.configuration)
        return cls(access, client.rest_client.pool_manager)

    def send(self, ask: Ask, authorization: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        return self.pool.request(
            ask.method,
            self.access.server + ask.target,
            headers={**ask.headers, **authorization},
            body=ask.body,
            timeout=ask.timeout,
            preload_content=not ask.stream,
            retries=False,
        )

    def close(self) -> None:
        """Let go of the connections that are not in use."""
        self.pool.clear()
