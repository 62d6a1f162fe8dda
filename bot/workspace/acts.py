"""What every act of a person on an app's message or view needs: the app, the message, the trigger,
and the words when the app does not take it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.workspace import posting
from bot.workspace.delivery import INTERACTIVE, Delivery
from bot.workspace.installation import Installation
from bot.workspace.payloads import Act
from bot.workspace.people import Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.store import Message
from bot.workspace.views import View
from bot.workspace.workspace import Workspace

INTERACTIVITY_DISABLED = "interactivity_disabled"


def act_of(
    workspace: Workspace, app: Installation, person: Person, *, channel: str = "", view: str = ""
) -> Act:
    """What this person is about to do with this app, with the trigger that it gives.

    `channel` is the conversation that the person looks at, `view` the view that is acted on
    ("" for none).
    """
    trigger = workspace.grants.new_trigger(app.app.app_id, person.id, channel=channel, view=view)
    return Act(app.app, person, trigger)


def act_in_view(workspace: Workspace, app: Installation, person: Person, view: View) -> Act:
    """What this person is about to do in this view of the app."""
    channel = workspace.views.opened_from(person.id)
    return act_of(workspace, app, person, channel=channel, view=view["id"])


def owner_of(workspace: Workspace, shown: Mapping[str, Any]) -> Installation:
    """The app that a message or a view is of; UiRefused if it is of none, or of one that is not
    installed any more.
    """
    owner = workspace.installation(shown.get("app_id", ""))
    if owner is None:
        raise UiRefused("The app that this is of is not installed here.", status=404)
    return owner


def response_url(workspace: Workspace, key: str) -> str:
    """The address of a response URL."""
    return f"{workspace.url}/response/{key}"


def message_for(workspace: Workspace, person: Person, channel: Channel, ts: str) -> Message:
    """The message that this person sees under this ts; UiRefused if there is none."""
    kept = workspace.store.message(channel.id, ts)
    if kept is not None:
        return posting.whole(workspace, channel.id, [kept])[0]
    message = workspace.ephemerals.find(person.id, channel.id, ts)
    if message is None:
        raise UiRefused("This message is not there any more.", status=404)
    return message


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """The blocks of a message, then those of its attachments."""
    blocks = [*message.get("blocks", [])]
    for attachment in message.get("attachments", []):
        blocks += attachment.get("blocks", [])
    return blocks


def view_for(workspace: Workspace, person: Person, view_id: str) -> View:
    """The Home view or the uppermost form with this id; UiRefused if this person cannot use it."""
    home = workspace.homes.find(person.id, view_id)
    return home or workspace.views.top(person.id, view_id)


async def deliver_interactive(
    workspace: Workspace, installed: Installation, person: Person, payload: Mapping[str, Any]
) -> Delivery:
    """Sends an act to the app; what fails is also shown to the person."""
    if not installed.app.is_interactive:
        words = "This app is not configured to handle interactive responses."
        workspace.hub.tell("toast", {"text": words, "level": "error"}, only=person.id)
        return Delivery(INTERACTIVITY_DISABLED)
    delivery = await installed.deliver(INTERACTIVE, payload)
    if delivery.error:
        words = (
            f'{installed.app.name} did not take this: it failed with the error "{delivery.error}"'
        )
        workspace.hub.tell("toast", {"text": words, "level": "error"}, only=person.id)
    return delivery
