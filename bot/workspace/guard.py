"""Keeps other origins out: who may ask, and what the page may load.

The server listens on loopback only besides.
"""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
CLIENT_HEADER = "X-Workspace-Client"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def guard(port: int) -> Middleware:
    """The middleware of a server on this port."""
    hosts = {f"{name}:{port}" for name in NAMES}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        # A name that somebody else points to 127.0.0.1 (DNS rebinding) shows in the Host header.
        # The Socket Mode client of slack_sdk leaves the port out.
        allowed = hosts | NAMES if request.path == "/link" else hosts
        if request.headers.get("Host") not in allowed:
            return _refused("This address is not the workspace's.")
        if request.method == "POST" and request.path.startswith("/ui/"):
            # A page of another origin cannot send these without a preflight, which nobody answers.
            is_ours = request.headers.get(CLIENT_HEADER) == "1"
            if not is_ours or request.content_type != "application/json":
                return _refused(f"Send JSON with the header {CLIENT_HEADER}: 1.")
        return await handler(request)

    return middleware


def _refused(sentence: str) -> web.Response:
    return web.json_response({"ok": False, "error": sentence}, status=403)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Puts the security headers on every answer."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
