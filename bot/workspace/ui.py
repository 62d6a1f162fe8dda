"""What the page (and anything else that acts as a person) asks and does: the /ui endpoints."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from bot.workspace import (
    clicks,
    interactions,
    posting,
    submissions,
    ui_control,
    ui_files,
    ui_interactions,
    ui_parts,
)
from bot.workspace.clicks import Click
from bot.workspace.people import TEAM_ID, TEAM_NAME
from bot.workspace.refusals import UiRefused
from bot.workspace.store import Message, Span
from bot.workspace.ui_parts import Answer, Json
from bot.workspace.usergroups import GROUPS
from bot.workspace.workspace import Workspace

PAGE_LIMIT = 1000


def routes(workspace: Workspace) -> list[web.RouteDef]:
    """Every /ui route of this workspace."""
    gets: Mapping[str, Answer] = {
        "state": state,
        "files": ui_files.files,
        "messages": messages,
        "thread": thread,
        "inspector": ui_control.inspector,
        "control": ui_control.read,
    }
    posts: Mapping[str, Answer] = {
        "message": write,
        "command": command,
        "file": ui_files.upload,
        "action": action,
        "submit": submit,
        "close": close,
        "control": ui_control.change,
        "verify": verify,
        **ui_interactions.POSTS,
    }
    return [
        *(web.get(f"/ui/{name}", _answering(workspace, do)) for name, do in gets.items()),
        *(web.post(f"/ui/{name}", _answering(workspace, do)) for name, do in posts.items()),
        web.get("/ui/events", functools.partial(events, workspace)),
    ]


def _answering(
    workspace: Workspace, do: Answer
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return web.json_response({"ok": True, **await do(workspace, request)})
        except UiRefused as refusal:
            body = {"ok": False, "error": str(refusal)}
            return web.json_response(body, status=refusal.status)

    return handle


# --- reading --------------------------------------------------------------------------------------


async def state(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/state"""
    me = ui_parts.person(workspace, request.query)
    store = workspace.store
    channels = [c for c in store.channels() if posting.may_see(workspace, me, c)]
    apps = [installed.app for installed in workspace.apps]
    of_bot = {app.bot_user_id: app for app in apps}
    return {
        "team": {"id": TEAM_ID, "name": TEAM_NAME, "url": f"{workspace.url}/"},
        "me": {"id": me.id, "name": me.name, "real_name": me.real_name},
        "people": [
            {
                "id": p.id,
                "name": p.name,
                "real_name": p.real_name,
                "is_bot": p.is_bot,
                "role": p.role,
                "color": p.color,
            }
            for p in store.people()
        ],
        "channels": [
            {
                "id": c.id,
                "name": of_bot[c.im_bot].bot_name if c.is_im else c.name,
                "is_im": c.is_im,
                "is_mpim": c.is_mpim,
                "is_private": c.is_private,
                "is_archived": c.is_archived,
                "app_id": of_bot[c.im_bot].app_id if c.is_im else "",
                "is_member": store.is_member(c.id, me.id),
                "bot_is_member": any(store.is_member(c.id, bot) for bot in of_bot),
            }
            for c in channels
            if not c.is_im or c.im_bot in of_bot
        ],
        "user_groups": [{"id": group.id, "handle": group.handle} for group in GROUPS],
        "apps": [
            {
                "id": installed.app.app_id,
                "name": installed.app.name,
                "bot_user_id": installed.app.bot_user_id,
                "bot_name": installed.app.bot_name,
                "has_home": installed.app.has_home,
                "has_messages_tab": installed.app.has_messages_tab,
                "is_connected": installed.transport.is_connected,
                "transport": installed.transport.name,
                "shortcuts": [vars(shortcut) for shortcut in installed.app.shortcuts],
            }
            for installed in workspace.apps
        ],
        "commands": [
            {**vars(c), "app": app.name, "app_id": app.app_id} for app in apps for c in app.commands
        ],
        "views": workspace.views.stack(me.id),
    }


async def messages(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/messages: the channel, oldest first, with what only this person sees."""
    me = ui_parts.person(workspace, request.query)
    channel = ui_parts.channel(workspace, me, request.query)
    limit, before = _limit(request.query.get("limit", "100")), request.query.get("before", "")
    found = workspace.store.history(channel.id, Span(before=before), limit=limit + 1)
    has_more = len(found) > limit
    page = posting.whole(workspace, channel.id, found[:limit])
    oldest = page[-1]["ts"] if has_more else ""
    own = [
        m
        for m in workspace.ephemerals.of_channel(me.id, channel.id)
        if "thread_ts" not in m and m["ts"] > oldest and (not before or m["ts"] < before)
    ]
    return {"messages": _by_ts([*page, *own]), "has_more": has_more}


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= PAGE_LIMIT:
        raise UiRefused(f"limit must be a number from 1 to {PAGE_LIMIT}, not {text!r}.")
    return int(text)


def _by_ts(found: list[Message]) -> list[Message]:
    return sorted(found, key=lambda message: str(message["ts"]))


async def thread(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/thread: the root and all replies, oldest first."""
    me = ui_parts.person(workspace, request.query)
    channel = ui_parts.channel(workspace, me, request.query)
    ts = request.query.get("ts", "")
    root = workspace.store.message(channel.id, ts)
    if root is None:
        raise UiRefused("There is no such message here.", status=404)
    shown = posting.whole(workspace, channel.id, [root])
    # A thread is drawn whole; no thread that a person reads comes near this.
    replies = workspace.store.replies(channel.id, ts, Span(), limit=10_000)
    own = [
        m for m in workspace.ephemerals.of_channel(me.id, channel.id) if m.get("thread_ts") == ts
    ]
    return {"messages": _by_ts([*shown, *replies, *own])}


async def events(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    """GET /ui/events: everything that happens, as server-sent events, until the page leaves; with
    inspector=1 also when there is more to inspect.
    """
    try:
        person = ui_parts.person(workspace, request.query)
    except UiRefused as refusal:
        return web.json_response({"ok": False, "error": str(refusal)}, status=refusal.status)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    subscription = workspace.hub.subscribe(
        person.id, inspects=request.query.get("inspector") == "1"
    )
    try:
        await response.prepare(request)
        await response.write(b"retry: 1000\n\n")
        while True:
            try:
                lines = await asyncio.wait_for(subscription.next(), workspace.timing.event_ping_s)
            except TimeoutError:
                lines = ": ping\n\n"
            if lines is None:
                break
            await response.write(lines.encode())
    except ConnectionError:
        pass  # The page is gone: nothing to tell it any more.
    finally:
        workspace.hub.leave(subscription)
    return response


# --- doing ----------------------------------------------------------------------------------------


async def write(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/message"""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    channel = ui_parts.channel(workspace, person, body)
    thread_ts = ui_parts.text(body, "thread_ts", required=False)
    posted = interactions.write(workspace, person, channel, ui_parts.text(body, "text"), thread_ts)
    return {"ts": posted["ts"]}


async def command(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/command: answers when the app has acknowledged, or could not."""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    channel = ui_parts.channel(workspace, person, body)
    word = ui_parts.text(body, "command")
    if body.get("thread_ts"):
        raise UiRefused(f"{word} is not supported in threads. Sorry!")
    text = ui_parts.text(body, "text", required=False).strip()
    delivery = await interactions.command(workspace, person, channel, word, text)
    return ui_parts.told(delivery) | ({"response": delivery.reply} if delivery.reply else {})


async def action(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/action"""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    given = ui_parts.mapping(body, "action")
    click = Click(
        block_id=ui_parts.text(given, "block_id"),
        action_id=ui_parts.text(given, "action_id"),
        given={name: given[name] for name in given if name not in ("block_id", "action_id")},
        values=ui_parts.values(ui_parts.mapping(body, "state"), "values"),
    )
    if body.get("view_id"):
        view_id = ui_parts.text(body, "view_id")
        return ui_parts.told(await clicks.act_on_view(workspace, person, view_id, click))
    channel = ui_parts.channel(workspace, person, body)
    ts = ui_parts.text(body, "message_ts")
    return ui_parts.told(await clicks.act_on_message(workspace, person, channel, ts, click))


async def submit(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/submit"""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    values = ui_parts.values(body, "values")
    done = await submissions.submit(workspace, person, ui_parts.text(body, "view_id"), values)
    answer: Json = {
        "delivered": done.delivered,
        "response_action": done.response_action,
        "views": workspace.views.stack(person.id),
    }
    if done.errors:
        answer["errors"] = done.errors
    return answer | ({"error": done.error} if done.error else {})


async def close(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/close"""
    body = await ui_parts.body(request)
    person = ui_parts.person(workspace, body)
    submissions.close(workspace, person, ui_parts.text(body, "view_id"))
    return {"views": workspace.views.stack(person.id)}


async def verify(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/verify: asks an app's events URL for the challenge (url_verification)."""
    body = await ui_parts.body(request)
    installed = workspace.installation(ui_parts.text(body, "app"))
    if installed is None or installed.http is None:
        raise UiRefused(f"No app {body['app']!r} takes events over HTTP.", status=404)
    error = await installed.http.verify()
    return {"verified": False, "error": error} if error else {"verified": True}
