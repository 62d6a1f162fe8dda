"""What the /ui endpoints share: the arguments of a request, and refusals when they are wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from bot.workspace import json_text, posting
from bot.workspace.delivery import Delivery
from bot.workspace.installation import Installation
from bot.workspace.people import Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.workspace import Workspace

Json = dict[str, Any]
Answer = Callable[[Workspace, web.Request], Awaitable[Json]]


async def body(request: web.Request) -> Json:
    """The JSON object that was posted."""
    try:
        given = json_text.read(await request.read())
    except ValueError as error:
        raise UiRefused("The body is not JSON.") from error
    if not isinstance(given, dict):
        raise UiRefused("The body is not a JSON object.")
    return given


def text(given: Mapping[str, Any], name: str, *, required: bool = True) -> str:
    """A text; "" if it may be left out and is."""
    value = given.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise UiRefused(f"{name} must be text, not {value!r}.")
    return value


def mapping(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object; empty if it is left out."""
    value = given.get(name) or {}
    if not isinstance(value, dict):
        raise UiRefused(f"{name} must be an object, not {value!r}.")
    return value


def values(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """State values: block_id -> action_id -> an object."""
    entered = mapping(given, name)
    for block_id in entered:
        for action_id in mapping(entered, block_id):
            mapping(entered[block_id], action_id)
    return entered


def person(workspace: Workspace, given: Mapping[str, Any]) -> Person:
    """Who acts: a human member, the first one if nobody is named."""
    people = [p for p in workspace.store.people() if not p.is_bot]
    wanted = given.get("user") or people[0].id
    for person in people:
        if person.id == wanted:
            return person
    raise UiRefused(f"There is no person {wanted!r} here.", status=404)


def channel(workspace: Workspace, person: Person, given: Mapping[str, Any]) -> Channel:
    """The conversation, if this person sees it."""
    wanted = given.get("channel")
    channel = workspace.store.channel(wanted) if isinstance(wanted, str) else None
    if channel is None or not posting.may_see(workspace, person, channel):
        raise UiRefused(f"There is no channel {wanted!r} here.", status=404)
    return channel


def app(workspace: Workspace, given: Mapping[str, Any]) -> Installation:
    """The installed app with this id."""
    wanted = given.get("app")
    found = workspace.installation(wanted) if isinstance(wanted, str) else None
    if found is None:
        raise UiRefused(f"There is no app {wanted!r} here.", status=404)
    return found


def told(delivery: Delivery) -> Json:
    """What the page is told of a delivery."""
    if delivery.error:
        return {"delivered": False, "error": delivery.error}
    return {"delivered": True}
