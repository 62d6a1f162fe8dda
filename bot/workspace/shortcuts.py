"""A person uses a shortcut of an app: a global one, or one on a message."""

from __future__ import annotations

from bot.workspace import payloads
from bot.workspace.acts import act_of, deliver_interactive, message_for, response_url
from bot.workspace.delivery import Delivery
from bot.workspace.installation import Installation
from bot.workspace.people import Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.workspace import Workspace


async def global_shortcut(
    workspace: Workspace, person: Person, installed: Installation, callback_id: str
) -> Delivery:
    """Sends a `shortcut`: it has no conversation and no response URL."""
    _check_declared(installed, callback_id, "global")
    act = act_of(workspace, installed, person)
    payload = payloads.global_shortcut(act, callback_id, workspace.timing.now())
    return await deliver_interactive(workspace, installed, person, payload)


async def message_shortcut(
    workspace: Workspace,
    person: Person,
    installed: Installation,
    callback_id: str,
    channel: Channel,
    ts: str,
) -> Delivery:
    """Sends a `message_action`, also from a conversation that the app's bot is not in."""
    _check_declared(installed, callback_id, "message")
    message = message_for(workspace, person, channel, ts)
    if message.get("is_ephemeral") or message.get("subtype") == "tombstone":
        raise UiRefused("There are no shortcuts on this message.")
    key = workspace.grants.new_response_url(installed.app.app_id, channel.id, person.id)
    act = act_of(workspace, installed, person, channel=channel.id)
    url, now = response_url(workspace, key), workspace.timing.now()
    payload = payloads.message_shortcut(act, callback_id, channel, message, url, now)
    return await deliver_interactive(workspace, installed, person, payload)


def _check_declared(installed: Installation, callback_id: str, kind: str) -> None:
    declared = [s.callback_id for s in installed.app.shortcuts if s.type == kind]
    if callback_id not in declared:
        has = ", ".join(declared) or "none"
        name = installed.app.name
        words = f"{name} has no {kind} shortcut {callback_id!r}. It has: {has}."
        raise UiRefused(words, status=404)
