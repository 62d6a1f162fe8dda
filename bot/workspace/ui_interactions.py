"""The /ui endpoints with which a person acts on what apps show: suggestions, Home, shortcuts,
reactions.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from bot.workspace import events, reactions, shortcuts, suggestions, ui_parts
from bot.workspace.payloads import Query
from bot.workspace.refusals import SlackError, UiRefused
from bot.workspace.ui_parts import Answer, Json
from bot.workspace.workspace import Workspace


async def suggest(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/suggest: the options that the app suggests for what was typed."""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    query = Query(
        block_id=ui_parts.text(body, "block_id"),
        action_id=ui_parts.text(body, "action_id"),
        value=ui_parts.text(body, "value", required=False),
    )
    if body.get("view_id"):
        view_id = ui_parts.text(body, "view_id")
        done = await suggestions.suggest_in_view(workspace, person, view_id, query)
    else:
        channel = ui_parts.channel(workspace, person, body)
        ts = ui_parts.text(body, "message_ts")
        done = await suggestions.suggest_in_message(workspace, person, channel, ts, query)
    if done.error:
        return {"delivered": False, "error": done.error, "complaints": done.complaints}
    return {"delivered": True, **done.answer}


async def home(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/home: the person opens a tab of the app's Home. `delivered` says whether the app
    hears of it.
    """
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    installed = ui_parts.app(workspace, body)
    tab = ui_parts.text(body, "tab")
    tabs = {"home": installed.app.has_home, "messages": installed.app.has_messages_tab}
    if not tabs.get(tab):
        has = ", ".join(name for name, there in tabs.items() if there) or "none"
        raise UiRefused(f"{installed.app.name} has no tab {tab!r}. It has: {has}.", status=404)
    channel = workspace.direct_message(installed.app, person.id)
    view = workspace.homes.of(installed.app.app_id, person.id) if installed.app.has_home else None
    hears = events.app_home_opened(workspace, installed, channel, tab, view)
    delivered = hears and installed.transport.is_connected
    return {"delivered": delivered, "view": view, "channel": channel.id}


async def shortcut(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/shortcut: answers when the app has acknowledged, or could not. A shortcut on a
    message comes with `channel` and `message_ts`.
    """
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    installed = ui_parts.app(workspace, body)
    callback_id = ui_parts.text(body, "callback_id")
    if body.get("message_ts"):
        channel = ui_parts.channel(workspace, person, body)
        ts = ui_parts.text(body, "message_ts")
        return ui_parts.told(
            await shortcuts.message_shortcut(workspace, person, installed, callback_id, channel, ts)
        )
    return ui_parts.told(await shortcuts.global_shortcut(workspace, person, installed, callback_id))


_NO_REACTION = {
    "already_reacted": "{person} has reacted with :{name}: already.",
    "no_reaction": "{person} has not reacted with :{name}:.",
    "invalid_name": "There is no emoji :{name}:.",
    "message_not_found": "This message is not there any more.",
    "too_many_emoji": "This message has as many reactions as it can have.",
    "too_many_reactions": "{person} has put as many reactions on this message as one person can.",
}


async def react(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/react: adds a reaction of the person, or with `on` false takes it away."""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    channel = ui_parts.channel(workspace, person, body)
    ts, name, on = ui_parts.text(body, "message_ts"), ui_parts.text(body, "name"), body.get("on")
    if not isinstance(on, bool):
        raise UiRefused(f"on must be true or false, not {on!r}.")
    change = reactions.add if on else reactions.remove
    try:
        change(workspace, channel, ts, name, person.id)
    except SlackError as refusal:
        words = _NO_REACTION[refusal.error].format(person=person.name, name=name)
        raise UiRefused(words) from refusal
    return {}


POSTS: Mapping[str, Answer] = {
    "suggest": suggest,
    "home": home,
    "shortcut": shortcut,
    "react": react,
}
