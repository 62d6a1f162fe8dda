"""Web API: who somebody is, and how an app connects (users.*, bots.*, team.*, auth.*, apps.*)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace.api_parts import Call, Json, Method, known_person, page_of, paged
from bot.workspace.people import TEAM_DOMAIN, TEAM_ID, TEAM_NAME, user_object
from bot.workspace.refusals import SlackError
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


def open_connection(workspace: Workspace, call: Call) -> Json:
    """apps.connections.open"""
    base = workspace.url.replace("http", "ws", 1)
    sockets = call.caller.sockets
    if sockets is None:
        raise SlackError("access_denied")
    ticket = sockets.new_ticket()
    return {"url": f"{base}/link?ticket={ticket}&app_id={call.app.app_id}"}


def user_info(workspace: Workspace, call: Call) -> Json:
    """users.info"""
    return {"user": user_object(known_person(workspace, call.text("user")))}


def list_users(workspace: Workspace, call: Call) -> Json:
    """users.list"""
    page, cursor = page_of(workspace.store.people(), call)
    members = [user_object(person) for person in page]
    return paged({"members": members, "cache_ts": int(workspace.timing.now())}, cursor)


def team_info(workspace: Workspace, call: Call) -> Json:
    """team.info"""
    team = {"id": TEAM_ID, "name": TEAM_NAME, "domain": TEAM_DOMAIN, "email_domain": ""}
    return {"team": team | {"icon": {"image_default": True}}}


def bot_info(workspace: Workspace, call: Call) -> Json:
    """bots.info"""
    wanted = call.optional("bot") or call.app.bot_id
    app = next((known.app for known in workspace.apps if known.app.bot_id == wanted), None)
    if app is None:
        raise SlackError("bot_not_found")
    bot = {"id": app.bot_id, "app_id": app.app_id, "user_id": app.bot_user_id}
    return {"bot": bot | {"name": app.bot_name, "deleted": False, "updated": 0, "icons": {}}}


USERS = ("users:read",)
METHODS: Mapping[str, Method] = {
    "auth.test": Method(auth_test),
    "apps.connections.open": Method(open_connection, tokens=("app",)),
    "users.info": Method(user_info, USERS),
    "users.list": Method(list_users, USERS),
    "team.info": Method(team_info, ("team:read",)),
    "bots.info": Method(bot_info, USERS),
}
