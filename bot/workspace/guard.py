"""Keeps others out: which names and origins may ask, who has the page's token, what the page may
load.

The server listens on loopback only besides. Whoever opens `/?token=...` gets a cookie; the people's
endpoints (/ui, and files) take that cookie, or the token as a bearer. The page itself holds no
data and is served to anybody. Other pages on this machine are of the same site, whatever their
port, so that the cookie alone does not keep them out: the origin and a header of ours do.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

NAMES = ("127.0.0.1", "localhost", "[::1]")
CLIENT_HEADER = "X-Workspace-Client"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
LOCKED = "Open the address that the terminal printed: it has this start's page token in it."


@dataclass(frozen=True)
class Guard:
    """The guard of a server on this port, with this page token."""

    port: int
    token: str

    @property
    def cookie(self) -> str:
        """The name of the cookie: browsers keep one jar for all ports."""
        return f"workspace-{self.port}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses, or opens the page, or lets the request through."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        if "token" in request.query and _is_page(request.path):
            return self._opened(request)
        return await handler(request)

    def _refusal(self, request: web.Request) -> web.Response | None:
        # A name that somebody else points to 127.0.0.1 (DNS rebinding) shows in the Host header.
        # The Socket Mode client of slack_sdk leaves the port out.
        hosts = [f"{name}:{self.port}" for name in NAMES]
        if request.headers.get("Host") not in (*hosts, *(NAMES if request.path == "/link" else ())):
            return _refused(403, "This address is not the workspace's.")
        if request.path.startswith("/files-pri/"):
            return self._foreign(request)  # An app may ask too: who else may not is said there.
        if not request.path.startswith("/ui/"):
            return None
        if not self.is_person(request):
            return _refused(401, LOCKED)
        is_form = request.method == "POST" and not _is_of_our_client(request)
        # A page of another origin cannot send these without a preflight, which nobody answers.
        words = f"Send JSON with the header {CLIENT_HEADER}: 1."
        return self._foreign(request) or (_refused(403, words) if is_form else None)

    def _foreign(self, request: web.Request) -> web.Response | None:
        origin = request.headers.get("Origin")
        if origin is None or origin in [f"http://{name}:{self.port}" for name in NAMES]:
            return None
        return _refused(403, "A page of another origin may not ask this.")

    def is_person(self, request: web.Request) -> bool:
        """Whether the page's token came with it."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        kept = request.cookies.get(self.cookie, "")
        return _same(bearer, self.token) or _same(kept, self._cookie_value)

    @property
    def _cookie_value(self) -> str:
        # Not the token itself: whatever characters it has, this can stand in a cookie.
        return hashlib.sha256(self.token.encode()).hexdigest()

    def _opened(self, request: web.Request) -> web.Response:
        """The same address without the token, which leaves the history; with the cookie if the
        token is right.
        """
        place = str(request.rel_url.without_query_params("token"))
        response = web.Response(status=303, headers={"Location": place})
        if _same(request.query["token"], self.token):
            response.set_cookie(
                self.cookie, self._cookie_value, path="/", httponly=True, samesite="Strict"
            )
        return response


def _is_page(path: str) -> bool:
    return path == "/" or path.startswith("/archives/")


def _is_of_our_client(request: web.Request) -> bool:
    return request.headers.get(CLIENT_HEADER) == "1" and request.content_type == "application/json"


def _same(given: str, known: str) -> bool:
    return secrets.compare_digest(given.encode(errors="surrogateescape"), known.encode())


def _refused(status: int, sentence: str) -> web.Response:
    return web.json_response({"ok": False, "error": sentence}, status=status)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Puts the security headers on every answer."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
