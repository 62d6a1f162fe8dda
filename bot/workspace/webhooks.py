"""Incoming webhooks: an address of an app's own, to which whoever knows it posts messages."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from aiohttp import web

from bot.workspace import json_text, posting, sharing
from bot.workspace.installation import Installation
from bot.workspace.limits import POST
from bot.workspace.people import BOT_CHANNEL, TEAM_ID
from bot.workspace.workspace import Workspace

SCOPE = "incoming-webhook"
PATH = f"/services/{TEAM_ID}/{{bot_id}}/{{secret}}"


def url_of(workspace: Workspace, installed: Installation) -> str:
    """The app's webhook, the same at every start; "" for an app without the scope."""
    if SCOPE not in installed.app.scopes:
        return ""
    return workspace.url + PATH.format(bot_id=installed.app.bot_id, secret=_secret(installed))


def _secret(installed: Installation) -> str:
    key = installed.tokens.signing_secret.encode()
    return hmac.new(key, SCOPE.encode(), hashlib.sha256).hexdigest()[:24]


async def post(workspace: Workspace, request: web.Request) -> web.Response:
    """Takes one message, as JSON or as a form with a `payload`; the answer is text, as Slack's."""
    installed = owner(workspace, request.match_info["bot_id"])
    if installed is None:
        return web.Response(status=404, text="no_service")
    if not hmac.compare_digest(request.match_info["secret"], _secret(installed)):
        return web.Response(status=403, text="invalid_token")
    given = await _payload(request)
    if given is None:
        return web.Response(status=400, text="invalid_payload")
    complaints = sharing.message_complaints(workspace, installed.app, given)
    if complaints:
        return web.Response(status=400, text=complaints[0].code)
    channel = workspace.store.channel(BOT_CHANNEL)
    if channel is None:
        return web.Response(status=404, text="channel_not_found")
    if channel.is_archived:
        return web.Response(status=410, text="channel_is_archived")
    wait_s = workspace.limits.take(installed.app.app_id, POST, channel.id)
    if wait_s:
        return web.Response(status=429, text="rate_limited", headers={"Retry-After": str(wait_s)})
    content = posting.content_of(given)
    if given.get("thread_ts"):
        root = posting.root_of(workspace, channel, str(given["thread_ts"]))
        if root is None:
            return web.Response(status=400, text="thread_not_found")
        content |= posting.in_thread(root)
    message = posting.bot_message(installed.app, {"subtype": "bot_message", **content})
    posting.post(workspace, channel, message)
    return web.Response(text="ok")


def owner(workspace: Workspace, bot_id: str) -> Installation | None:
    """The app that has the webhook with this id of a bot in it."""
    known = (i for i in workspace.apps if i.app.bot_id == bot_id and SCOPE in i.app.scopes)
    return next((i for i in known if i.app.app_id not in workspace.revoked), None)


async def _payload(request: web.Request) -> dict[str, Any] | None:
    body = await request.text()
    if request.content_type == "application/x-www-form-urlencoded":
        form = await request.post()
        # Senders that set no type at all are taken for forms by their clients.
        body = str(form["payload"]) if "payload" in form else body
    try:
        given = json_text.read(body)
    except ValueError:
        return None
    return given if isinstance(given, dict) else None
