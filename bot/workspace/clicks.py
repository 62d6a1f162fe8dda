"""A person uses an element of a message, a form or a Home view: block_actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.workspace import payloads
from bot.workspace.acts import (
    act_in_view,
    act_of,
    blocks_of,
    deliver_interactive,
    message_for,
    owner_of,
    response_url,
    view_for,
)
from bot.workspace.chosen import settled
from bot.workspace.delivery import Delivery
from bot.workspace.elements import STATE_KEYS, entered, find_element, offered
from bot.workspace.offers import message_place
from bot.workspace.people import Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.workspace import Workspace

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Click:
    """What a person did to an element, as the page says it, and what stood in the other
    elements then.
    """

    block_id: str
    action_id: str
    given: Mapping[str, Any]
    values: Values


async def act_on_message(
    workspace: Workspace, person: Person, channel: Channel, ts: str, click: Click
) -> Delivery:
    """block_actions on a message."""
    message = message_for(workspace, person, channel, ts)
    blocks = blocks_of(message)
    offers = workspace.offers.of(person.id, message_place(channel.id, ts))
    values = settled(workspace, person, entered(blocks, _with_own(blocks, click), {}, offers))
    action = _action(workspace, person, blocks, click, values)
    installed = owner_of(workspace, message)
    key = workspace.grants.new_response_url(
        installed.app.app_id,
        channel.id,
        person.id,
        ts=ts,
        is_ephemeral=bool(message.get("is_ephemeral")),
    )
    act = act_of(workspace, installed, person, channel=channel.id)
    url = response_url(workspace, key)
    payload = payloads.message_block_action(act, channel, message, action, values, url)
    return await deliver_interactive(workspace, installed, person, payload)


async def act_on_view(workspace: Workspace, person: Person, view_id: str, click: Click) -> Delivery:
    """block_actions in a form or on a Home view."""
    view = view_for(workspace, person, view_id)
    before, offers = view["state"]["values"], workspace.offers.of(person.id, view_id)
    given = _with_own(view["blocks"], click)
    values = settled(workspace, person, entered(view["blocks"], given, before, offers))
    action = _action(workspace, person, view["blocks"], click, values)
    if view["type"] == "home":
        workspace.homes.enter(person.id, view, values)
    else:
        workspace.views.enter(view, values)
    installed = owner_of(workspace, view)
    act = act_in_view(workspace, installed, person, view)
    payload = payloads.view_block_action(act, view, action)
    return await deliver_interactive(workspace, installed, person, payload)


def _with_own(blocks: list[dict[str, Any]], click: Click) -> Values:
    """The values that the page sent, with that of the element which was used."""
    _, element = find_element(blocks, click.block_id, click.action_id)
    if element["type"] not in STATE_KEYS:
        return click.values
    block = {**click.values.get(click.block_id, {}), click.action_id: click.given}
    return {**click.values, click.block_id: block}


def _action(
    workspace: Workspace,
    person: Person,
    blocks: list[dict[str, Any]],
    click: Click,
    values: Values,
) -> dict[str, Any]:
    """The `actions` entry for what a person did."""
    block, element = find_element(blocks, click.block_id, click.action_id)
    if block["type"] == "input" and not block.get("dispatch_action"):
        raise UiRefused(f"{click.action_id!r} sends nothing before the form is submitted.")
    if person.id not in element.get("visible_to_user_ids", [person.id]):
        raise UiRefused(f"{click.action_id!r} is hidden from {person.name}.")
    now = workspace.timing.now()
    action: dict[str, Any] = {
        "type": element["type"],
        "action_id": click.action_id,
        "block_id": click.block_id,
        "action_ts": f"{now:.6f}",
    }
    if element["type"] in STATE_KEYS:
        entry: Mapping[str, Any] = values[click.block_id][click.action_id]
        return {**action, **entry} | _named(element, "placeholder")
    if element["type"] == "overflow":
        return action | {"selected_option": _overflow_option(element, click.given)}
    if element["type"] == "feedback_buttons":
        return action | _feedback(element, click.given)
    return action | _named(element, "text", "value", "style", "icon")


def _named(element: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: element[name] for name in names if name in element}


def _overflow_option(element: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    chosen = given.get("selected_option")
    for option in offered(element):
        if isinstance(chosen, dict) and option["value"] == chosen.get("value"):
            return option
    raise UiRefused(f"{element['action_id']!r} does not offer {chosen!r}.")


def _feedback(element: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Text and value of the one of two buttons that was pressed: its value says which."""
    for name in ("positive_button", "negative_button"):
        if element[name]["value"] == given.get("value"):
            return _named(element[name], "text", "value")
    raise UiRefused(f"{element['action_id']!r} does not offer {given.get('value')!r}.")
