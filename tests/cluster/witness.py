"""A Kube whose every call a test sees, before it is made and when it was answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import urllib3

from bot.engines.kube import Kube
from bot.engines.kube_errors import Call


@dataclass(frozen=True)
class Seen:
    """One call; `status` is 0 before the answer."""

    call: Call
    dry_run: bool
    status: int = 0

    @property
    def is_write(self) -> bool:
        return self.call.method != "GET" and not self.dry_run

    @property
    def made(self) -> bool:
        """Whether something new is there now."""
        return self.status == 201 and self.is_write


class Witness(Kube):
    """The real client; `saw` is called twice for each call, and may raise."""

    def __init__(self, kubeconfig: str, saw: Callable[[Seen], None]) -> None:
        super().__init__(kubeconfig=kubeconfig)
        self._saw = saw

    def _request(
        self,
        call: Call,
        query: Mapping[str, object],
        body: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> urllib3.BaseHTTPResponse:
        is_dry = "dryRun" in query
        self._saw(Seen(call, is_dry))
        response = super()._request(call, query, body, **how)
        self._saw(Seen(call, is_dry, response.status))
        return response
