"""Web API: an app asks who it is, connects, checks its blocks, goes (auth.*, apps.*, api.*,
blocks.*).
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace import lifecycle
from bot.workspace.api_parts import Call, Json, Method
from bot.workspace.people import TEAM_ID, TEAM_NAME
from bot.workspace.refusals import SlackError
from bot.workspace.validate import Complaint, check_blocks, check_message, check_view
from bot.workspace.workspace import Workspace


def auth_test(workspace: Workspace, call: Call) -> Json:
    """auth.test"""
    app = call.app
    return {
        "url": f"{workspace.url}/",
        "team": TEAM_NAME,
        "user": app.bot_name,
        "team_id": TEAM_ID,
        "user_id": app.bot_user_id,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


def revoke(workspace: Workspace, call: Call) -> Json:
    """auth.revoke: with `test` nothing happens."""
    if call.flag("test"):
        return {"revoked": False}
    lifecycle.revoke(workspace, call.caller)
    return {"revoked": True}


def uninstall(workspace: Workspace, call: Call) -> Json:
    """apps.uninstall"""
    if not call.optional("client_id"):
        raise SlackError("invalid_client_id")
    if not call.optional("client_secret"):
        raise SlackError("bad_client_secret")
    lifecycle.uninstall(workspace, call.caller)
    return {}


def open_connection(workspace: Workspace, call: Call) -> Json:
    """apps.connections.open"""
    base = workspace.url.replace("http", "ws", 1)
    sockets = call.caller.sockets
    if sockets is None:
        raise SlackError("access_denied")
    ticket = sockets.new_ticket()
    return {"url": f"{base}/link?ticket={ticket}&app_id={call.app.app_id}"}


def api_test(workspace: Workspace, call: Call) -> Json:
    """api.test: says back what it was given."""
    if call.optional("error"):
        raise SlackError(call.optional("error"))
    return {"args": call.given}


def validate_blocks(workspace: Workspace, call: Call) -> Json:
    """blocks.validate: of blocks, a message or a view, just one."""
    given = {name: call.json(name) for name in ("blocks", "message", "view")}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        words = "provide exactly one of `blocks`, `message` and `view`"
        raise SlackError("invalid_arguments", words)
    complaints = _complaints(named[0], given[named[0]])
    if complaints:
        raise SlackError.of(complaints)
    return {}


def _complaints(name: str, value: object) -> tuple[Complaint, ...]:
    if name == "view":
        return check_view(value)
    if name == "blocks":
        return check_blocks(value)
    if not isinstance(value, dict):
        return (Complaint("must provide an object", "/message", "invalid_arguments"),)
    return check_message(value)


METHODS: Mapping[str, Method] = {
    "api.test": Method(api_test, tokens=()),
    "auth.test": Method(auth_test),
    "auth.revoke": Method(revoke),
    "apps.connections.open": Method(open_connection, tokens=("app",)),
    "apps.uninstall": Method(uninstall),
    "blocks.validate": Method(validate_blocks, tokens=()),
}
