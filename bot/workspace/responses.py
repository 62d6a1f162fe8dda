"""Response URLs: how an app answers where a person has acted, without a token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.workspace import json_text, posting, sharing
from bot.workspace.grants import ResponseUrl
from bot.workspace.installation import Installation
from bot.workspace.interactions import answer
from bot.workspace.people import Channel, Person
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace


async def respond(workspace: Workspace, request: web.Request) -> web.Response:
    """Takes one answer of the app."""
    key = request.match_info["key"]
    try:
        reply = json_text.read(await request.read())
    except ValueError:
        return web.Response(status=400, text="invalid_payload")
    if not isinstance(reply, dict):
        return web.Response(status=400, text="invalid_payload")
    grant = workspace.grants.response_url(key)
    if grant is None:
        return web.Response(status=404, text="expired_url")
    channel, person = _place(workspace, grant)
    installed = workspace.installation(grant.app)
    assert installed is not None, "grants are given to what is installed"
    if not reply.get("delete_original"):
        complaints = sharing.message_complaints(workspace, installed.app, reply)
        if complaints:
            return web.Response(status=400, text=complaints[0].code)
    thread_ts = reply.get("thread_ts")
    if thread_ts and posting.root_of(workspace, channel, thread_ts) is None:
        return web.Response(status=400, text="thread_not_found")
    grant.uses_left -= 1
    _apply(workspace, installed, channel, person, grant, reply, key)
    return web.Response(text="ok")


def _place(workspace: Workspace, grant: ResponseUrl) -> tuple[Channel, Person]:
    channel, person = workspace.store.channel(grant.channel), workspace.person(grant.person)
    assert channel is not None and person is not None, "grants are made for what there is"
    return channel, person


def _apply(
    workspace: Workspace,
    installed: Installation,
    channel: Channel,
    person: Person,
    grant: ResponseUrl,
    reply: Mapping[str, Any],
    key: str,
) -> None:
    original = _original(workspace, channel, person, grant)
    if reply.get("delete_original"):
        if original is not None:
            _delete(workspace, channel, person, grant, original)
    elif reply.get("replace_original") and original is not None:
        _replace(workspace, channel, person, grant, original, reply)
    else:
        answer(workspace, installed, channel, person, reply, key)


def _original(
    workspace: Workspace, channel: Channel, person: Person, grant: ResponseUrl
) -> Message | None:
    if not grant.ts:
        return None
    if grant.is_ephemeral:
        return workspace.ephemerals.find(person.id, channel.id, grant.ts)
    return workspace.store.message(channel.id, grant.ts)


def _delete(
    workspace: Workspace, channel: Channel, person: Person, grant: ResponseUrl, original: Message
) -> None:
    if grant.is_ephemeral:
        posting.delete_whisper(workspace, channel, person.id, original["ts"])
    else:
        posting.delete(workspace, channel, original)


def _replace(
    workspace: Workspace,
    channel: Channel,
    person: Person,
    grant: ResponseUrl,
    original: Message,
    reply: Mapping[str, Any],
) -> None:
    content = posting.content_of(reply)
    new = posting.replaced(original, content, drop=("blocks", "attachments"))
    if grant.is_ephemeral:
        posting.change_whisper(workspace, channel, person.id, new)
    else:
        posting.change(workspace, channel, new)
