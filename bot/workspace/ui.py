"""What the page (and anything else that acts as a person) asks and does: the /ui endpoints."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from aiohttp import web

from bot.workspace import interactions, posting, submissions
from bot.workspace.interactions import Click
from bot.workspace.people import TEAM_ID, TEAM_NAME, Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.socket_mode import Delivery
from bot.workspace.store import Message, Span
from bot.workspace.workspace import Workspace

Json = dict[str, Any]
Answer = Callable[[Workspace, web.Request], Awaitable[Json]]
PAGE_LIMIT = 1000


def routes(workspace: Workspace) -> list[web.RouteDef]:
    """Every /ui route of this workspace."""
    gets: Mapping[str, Answer] = {
        "state": state,
        "messages": messages,
        "thread": thread,
        "seen": seen,
    }
    posts: Mapping[str, Answer] = {
        "message": write,
        "command": command,
        "action": action,
        "submit": submit,
        "close": close,
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


# --- arguments ------------------------------------------------------------------------------------


async def _body(request: web.Request) -> Json:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise UiRefused("The body is not JSON.") from error
    if not isinstance(body, dict):
        raise UiRefused("The body is not a JSON object.")
    return body


def _text(body: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    value = body.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise UiRefused(f"{name} must be text, not {value!r}.")
    return value


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise UiRefused(f"{name} must be an object, not {value!r}.")
    return value


def _values(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """State values: block_id -> action_id -> an object."""
    values = _object(given, name)
    for block_id in values:
        for action_id in _object(values, block_id):
            _object(values[block_id], action_id)
    return values


def _person(workspace: Workspace, given: Mapping[str, Any]) -> Person:
    """Who acts: a human member, the first one if nobody is named."""
    people = [p for p in workspace.store.people() if not p.is_bot]
    wanted = given.get("user") or people[0].id
    for person in people:
        if person.id == wanted:
            return person
    raise UiRefused(f"There is no person {wanted!r} here.", status=404)


def _channel(workspace: Workspace, person: Person, given: Mapping[str, Any]) -> Channel:
    """The conversation, if this person sees it."""
    wanted = given.get("channel")
    channel = workspace.store.channel(wanted) if isinstance(wanted, str) else None
    if channel is None or posting.audience(channel) not in ("", person.id):
        raise UiRefused(f"There is no channel {wanted!r} here.", status=404)
    return channel


# --- reading --------------------------------------------------------------------------------------


async def state(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/state"""
    me = _person(workspace, request.query)
    store, app = workspace.store, workspace.app
    channels = [c for c in store.channels() if posting.audience(c) in ("", me.id)]
    return {
        "team": {"id": TEAM_ID, "name": TEAM_NAME, "url": f"{workspace.url}/"},
        "me": {"id": me.id, "name": me.name, "real_name": me.real_name},
        "people": [
            {
                "id": p.id,
                "name": p.name,
                "real_name": p.real_name,
                "is_bot": p.is_bot,
                "color": p.color,
            }
            for p in store.people()
        ],
        "channels": [
            {
                "id": c.id,
                "name": app.bot_name if c.is_im else c.name,
                "is_im": c.is_im,
                "is_member": store.is_member(c.id, me.id),
                "bot_is_member": store.is_member(c.id, app.bot_user_id),
            }
            for c in channels
        ],
        "commands": [{**vars(c), "app": app.name} for c in app.commands],
        "views": workspace.views.stack(me.id),
    }


async def messages(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/messages: the channel, oldest first, with what only this person sees."""
    me = _person(workspace, request.query)
    channel = _channel(workspace, me, request.query)
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
    me = _person(workspace, request.query)
    channel = _channel(workspace, me, request.query)
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


async def seen(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/seen: the latest Web API calls, the oldest first."""
    return {"calls": [asdict(call) for call in workspace.seen]}


async def events(workspace: Workspace, request: web.Request) -> web.StreamResponse:
    """GET /ui/events: everything that happens, as server-sent events, until the page leaves."""
    try:
        person = _person(workspace, request.query)
    except UiRefused as refusal:
        return web.json_response({"ok": False, "error": str(refusal)}, status=refusal.status)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    subscription = workspace.hub.subscribe(person.id)
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
    body = await _body(request)
    person = _person(workspace, body)
    channel = _channel(workspace, person, body)
    thread_ts = _text(body, "thread_ts", required=False)
    posted = interactions.write(workspace, person, channel, _text(body, "text"), thread_ts)
    return {"ts": posted["ts"]}


async def command(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/command: answers when the app has acknowledged, or could not."""
    body = await _body(request)
    person = _person(workspace, body)
    channel = _channel(workspace, person, body)
    word = _text(body, "command")
    if body.get("thread_ts"):
        raise UiRefused(f"{word} is not supported in threads. Sorry!")
    text = _text(body, "text", required=False).strip()
    delivery = await interactions.command(workspace, person, channel, word, text)
    return _told(delivery) | ({"response": delivery.reply} if delivery.reply else {})


def _told(delivery: Delivery) -> Json:
    if delivery.error:
        return {"delivered": False, "error": delivery.error}
    return {"delivered": True}


async def action(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/action"""
    body = await _body(request)
    person = _person(workspace, body)
    given = _object(body, "action")
    click = Click(
        block_id=_text(given, "block_id"),
        action_id=_text(given, "action_id"),
        given={name: given[name] for name in given if name not in ("block_id", "action_id")},
        values=_values(_object(body, "state"), "values"),
    )
    if body.get("view_id"):
        view_id = _text(body, "view_id")
        return _told(await interactions.act_on_view(workspace, person, view_id, click))
    channel = _channel(workspace, person, body)
    ts = _text(body, "message_ts")
    return _told(await interactions.act_on_message(workspace, person, channel, ts, click))


async def submit(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/submit"""
    body = await _body(request)
    person = _person(workspace, body)
    values = _values(body, "values")
    done = await submissions.submit(workspace, person, _text(body, "view_id"), values)
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
    body = await _body(request)
    person = _person(workspace, body)
    submissions.close(workspace, person, _text(body, "view_id"))
    return {"views": workspace.views.stack(person.id)}
