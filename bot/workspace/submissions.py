"""A person submits or closes a form: what Slack's client checks first, and what the app's
answer does to the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.workspace import payloads, sharing
from bot.workspace.acts import act_in_view, owner_of, response_url
from bot.workspace.chosen import settled
from bot.workspace.client_checks import complaints
from bot.workspace.delivery import INTERACTIVE
from bot.workspace.elements import entered, input_blocks, response_menus
from bot.workspace.installation import Installation
from bot.workspace.people import Person
from bot.workspace.refusals import SlackError
from bot.workspace.validate import check_view
from bot.workspace.views import View
from bot.workspace.workspace import Workspace

TROUBLE = "We had some trouble connecting. Try again?"
INVALID_RESPONSE = "invalid_response_action"


@dataclass(frozen=True)
class Submitted:
    """What came of a submission. `response_action` is None when the form just closed."""

    delivered: bool = True
    response_action: str | None = None
    errors: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


async def submit(
    workspace: Workspace, person: Person, view_id: str, values: Mapping[str, Any]
) -> Submitted:
    """Sends the form to the app, and does to it what the app answers.

    The form stays open if anything fails.
    """
    view = workspace.views.top(person.id, view_id)
    offers = workspace.offers.of(person.id, view_id)
    held = entered(view["blocks"], values, view["state"]["values"], offers)
    workspace.views.enter(view, settled(workspace, person, held))
    missing = complaints(view["blocks"], view["state"]["values"])
    if missing:
        return Submitted(delivered=False, response_action="errors", errors=missing)
    app = owner_of(workspace, view)
    act, urls = act_in_view(workspace, app, person, view), _response_urls(workspace, person, view)
    payload = payloads.view_submission(act, view, urls)
    delivery = await app.deliver(INTERACTIVE, payload)
    if delivery.error:
        return _failed(workspace, person, delivery.error, delivered=False)
    try:
        return _apply(workspace, app, person, view["id"], delivery.reply or {})
    except SlackError as refusal:
        return _failed(workspace, person, refusal.error)


def _response_urls(workspace: Workspace, person: Person, view: View) -> list[dict[str, str]]:
    """A response URL for each conversation chosen where the app asked for one."""
    values, urls = view["state"]["values"], []
    for block_id, element in response_menus(view["blocks"]):
        entry = values[block_id][element["action_id"]]
        channel = entry.get("selected_conversation") or entry.get("selected_channel")
        if channel:
            key = workspace.grants.new_response_url(view["app_id"], channel, person.id)
            url = {"response_url": response_url(workspace, key), "channel_id": channel}
            urls.append({"block_id": block_id, "action_id": element["action_id"], **url})
    return urls


def _apply(
    workspace: Workspace,
    app: Installation,
    person: Person,
    view_id: str,
    reply: Any,
) -> Submitted:
    """Does what the app answered; SlackError if that is not an answer to a form."""
    if not isinstance(reply, dict):
        raise SlackError(INVALID_RESPONSE)
    action = reply.get("response_action")
    views = workspace.views
    view = next((v for v in views.stack(person.id) if v["id"] == view_id), None)
    if view is None:
        return Submitted()  # It went away while the app answered: nothing is left to change.
    if action is None:
        views.close(person.id, view)
    elif action == "clear":
        views.clear(person.id)
    elif action == "errors":
        return Submitted(response_action="errors", errors=_checked_errors(view, reply))
    elif action == "update":
        views.update(app.app, person.id, view, _checked_view(workspace, app, reply))
    elif action == "push":
        views.push(app.app, person.id, _checked_view(workspace, app, reply))
    else:
        raise SlackError(INVALID_RESPONSE)
    return Submitted(response_action=action)


def _checked_errors(view: View, reply: Mapping[str, Any]) -> Mapping[str, str]:
    """Errors stand under inputs: every key must be the block_id of one."""
    errors = reply.get("errors")
    if not isinstance(errors, dict) or not errors or set(errors) - input_blocks(view["blocks"]):
        raise SlackError(INVALID_RESPONSE)
    if not all(isinstance(words, str) and words for words in errors.values()):
        raise SlackError(INVALID_RESPONSE)
    return errors


def _checked_view(
    workspace: Workspace, app: Installation, reply: Mapping[str, Any]
) -> Mapping[str, Any]:
    view = reply.get("view")
    if check_view(view) or not isinstance(view, dict) or view["type"] != "modal":
        raise SlackError(INVALID_RESPONSE)
    if sharing.slack_file_complaints(workspace, app.app, view):
        raise SlackError(INVALID_RESPONSE)
    return view


def _failed(
    workspace: Workspace, person: Person, error: str, *, delivered: bool = True
) -> Submitted:
    workspace.hub.tell("toast", {"text": TROUBLE, "level": "error"}, only=person.id)
    return Submitted(delivered=delivered, error=error)


def close(workspace: Workspace, person: Person, view_id: str) -> None:
    """Closes the uppermost form, or all of them if it says so, and tells the app if it wants to
    know.
    """
    view = workspace.views.top(person.id, view_id)
    is_cleared = bool(view["clear_on_close"])
    closed = workspace.views.stack(person.id) if is_cleared else [view]
    if is_cleared:
        workspace.views.clear(person.id)
    else:
        workspace.views.close(person.id, view)
    for gone in reversed(closed):
        if gone["notify_on_close"]:
            app = owner_of(workspace, gone)
            act = act_in_view(workspace, app, person, gone)
            payload = payloads.view_closed(act, gone, is_cleared=is_cleared)
            workspace.in_background(app.deliver(INTERACTIVE, payload))
