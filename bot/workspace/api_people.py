"""Web API: who somebody is (users.*, usergroups.*, bots.*, team.*, emoji.*)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.workspace.api_conversations import READ, asked_for, channel_object
from bot.workspace.api_parts import Call, Json, Method, known_person, page_of, paged
from bot.workspace.people import TEAM_DOMAIN, TEAM_ID, TEAM_NAME, Person, user_object
from bot.workspace.refusals import SlackError
from bot.workspace.usergroups import GROUPS
from bot.workspace.workspace import Workspace

EMAIL_SCOPE = "users:read.email"


def _shown(call: Call, person: Person) -> Json:
    """Slack's user object, with the address for apps that may have it."""
    user = user_object(person, with_email=EMAIL_SCOPE in call.app.scopes)
    return user | ({"locale": "en-US"} if call.flag("include_locale") else {})


def user_info(workspace: Workspace, call: Call) -> Json:
    """users.info"""
    return {"user": _shown(call, known_person(workspace, call.text("user")))}


def list_users(workspace: Workspace, call: Call) -> Json:
    """users.list"""
    page, cursor = page_of(workspace.store.people(), call)
    members = [_shown(call, person) for person in page]
    return paged({"members": members, "cache_ts": int(workspace.timing.now())}, cursor)


def look_up(workspace: Workspace, call: Call) -> Json:
    """users.lookupByEmail"""
    wanted = call.text("email").lower()
    for person in workspace.store.people():
        if person.email and person.email.lower() == wanted:
            return {"user": _shown(call, person)}
    raise SlackError("users_not_found")


def profile(workspace: Workspace, call: Call) -> Json:
    """users.profile.get: of the bot itself, unless it asks for somebody else's."""
    person = known_person(workspace, call.optional("user") or call.app.bot_user_id)
    return {"profile": _shown(call, person)["profile"]}


def presence(workspace: Workspace, call: Call) -> Json:
    """users.getPresence: a person is active with an open page, a bot while its app is there."""
    person = known_person(workspace, call.optional("user") or call.app.bot_user_id)
    installed = workspace.installation(person.app_id)
    if installed is not None:
        is_active = installed.transport.is_connected
    else:
        is_active = workspace.hub.is_watched_by(person.id)
    return {"presence": "active" if is_active else "away"}


def conversations(workspace: Workspace, call: Call) -> Json:
    """users.conversations: those of the bot, or those of a person that the bot can know of."""
    person = known_person(workspace, call.optional("user") or call.app.bot_user_id)
    known = asked_for(workspace, call)
    mine = [c for c in known if workspace.store.is_member(c.id, person.id)]
    page, cursor = page_of(mine, call)
    shown = [channel_object(workspace, call.app, channel) for channel in page]
    hidden = ("is_member", "num_members")
    channels = [{key: c[key] for key in c if key not in hidden} for c in shown]
    return paged({"channels": channels}, cursor)


def list_groups(workspace: Workspace, call: Call) -> Json:
    """usergroups.list"""
    with_users, with_count = call.flag("include_users"), call.flag("include_count")
    groups = []
    for group in GROUPS:
        body = group.body
        if not with_count:
            del body["user_count"]
        groups.append(body | ({"users": list(group.users)} if with_users else {}))
    return {"usergroups": groups}


def group_users(workspace: Workspace, call: Call) -> Json:
    """usergroups.users.list"""
    wanted = call.text("usergroup")
    group = next((group for group in GROUPS if group.id == wanted), None)
    if group is None:
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


def team_info(workspace: Workspace, call: Call) -> Json:
    """team.info"""
    if call.optional("team") not in ("", TEAM_ID):
        raise SlackError("team_not_found")
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


def list_emoji(workspace: Workspace, call: Call) -> Json:
    """emoji.list: the workspace has none of its own."""
    return {"emoji": {}, "cache_ts": "0"}


USERS, GROUP_READ = ("users:read",), ("usergroups:read",)
METHODS: Mapping[str, Method] = {
    "users.info": Method(user_info, USERS),
    "users.list": Method(list_users, USERS),
    "users.lookupByEmail": Method(look_up, (EMAIL_SCOPE,)),
    "users.profile.get": Method(profile, ("users.profile:read",)),
    "users.getPresence": Method(presence, USERS),
    "users.conversations": Method(conversations, READ),
    "usergroups.list": Method(list_groups, GROUP_READ),
    "usergroups.users.list": Method(group_users, GROUP_READ),
    "team.info": Method(team_info, ("team:read",)),
    "bots.info": Method(bot_info, USERS),
    "emoji.list": Method(list_emoji, ("emoji:read",)),
}
