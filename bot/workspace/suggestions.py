"""A person types into an external select: the app suggests options (block_suggestion)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.workspace import payloads
from bot.workspace.acts import INTERACTIVITY_DISABLED, blocks_of, message_for, owner_of, view_for
from bot.workspace.delivery import INTERACTIVE
from bot.workspace.element_rules import OPTION, OPTION_GROUP
from bot.workspace.elements import find_element, offered
from bot.workspace.installation import Installation
from bot.workspace.offers import message_place
from bot.workspace.payloads import Act, Query
from bot.workspace.people import Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.rules import Array, Complaints, Object, one_of
from bot.workspace.workspace import Workspace

INVALID_RESPONSE = "invalid_block_suggestion_response"
KINDS = ("external_select", "multi_external_select")
# Slack asks the app at the third character unless the element says otherwise.
MIN_QUERY_LENGTH = 3
ANSWER = Object(
    {"options": Array(OPTION, most=100), "option_groups": Array(OPTION_GROUP, most=100)},
    extra=(one_of("options", "option_groups"),),
)


@dataclass(frozen=True)
class Suggested:
    """What came of a question for options: `answer` as the app gave it, or Slack's `error`, with
    what is wrong in `complaints`.
    """

    answer: Mapping[str, Any]
    error: str = ""
    complaints: Sequence[str] = ()


async def suggest_in_message(
    workspace: Workspace, person: Person, channel: Channel, ts: str, query: Query
) -> Suggested:
    """Asks the app for options of a select in a message."""
    message = message_for(workspace, person, channel, ts)
    _check(blocks_of(message), query)
    installed = owner_of(workspace, message)
    act = Act(installed.app, person, "")
    payload = payloads.message_suggestion(act, channel, message, query)
    place = message_place(channel.id, ts)
    return await _ask(workspace, installed, person, place, query, payload)


async def suggest_in_view(
    workspace: Workspace, person: Person, view_id: str, query: Query
) -> Suggested:
    """Asks the app for options of a select in a form or on a Home view."""
    view = view_for(workspace, person, view_id)
    _check(view["blocks"], query)
    installed = owner_of(workspace, view)
    payload = payloads.view_suggestion(Act(installed.app, person, ""), view, query)
    return await _ask(workspace, installed, person, view_id, query, payload)


def _check(blocks: Sequence[Mapping[str, Any]], query: Query) -> None:
    _, element = find_element(blocks, query.block_id, query.action_id)
    if element["type"] not in KINDS:
        raise UiRefused(f"{query.action_id!r} is a {element['type']}: it asks the app for nothing.")
    least = element.get("min_query_length", MIN_QUERY_LENGTH)
    if len(query.value) < least:
        raise UiRefused(f"Type at least {least} characters, not {query.value!r}.")


async def _ask(
    workspace: Workspace,
    installed: Installation,
    person: Person,
    place: str,
    query: Query,
    payload: Mapping[str, Any],
) -> Suggested:
    if not installed.app.is_interactive:
        return Suggested({}, INTERACTIVITY_DISABLED)
    delivery = await installed.deliver(INTERACTIVE, payload)
    if delivery.error:
        return Suggested({}, delivery.error)
    out: Complaints = []
    ANSWER.check(delivery.reply, "", out)
    if out:
        return Suggested({}, INVALID_RESPONSE, [str(complaint) for complaint in out])
    element = (query.block_id, query.action_id)
    workspace.offers.put(person.id, place, element, offered(delivery.reply))
    return Suggested(delivery.reply)
