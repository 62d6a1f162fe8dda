"""What people do, carried to the app and back: messages, commands, clicks, forms.

Slack's own words when it fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.workspace import payloads, posting
from bot.workspace.delivery import INVALID_COMMAND_RESPONSE, Delivery
from bot.workspace.elements import STATE_KEYS, entered, entry_for, find_element, offered
from bot.workspace.installation import Installation
from bot.workspace.payloads import Act
from bot.workspace.people import TEAM_ID, Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.store import Message
from bot.workspace.validate import check_message
from bot.workspace.workspace import Workspace

_MARKUP = re.compile(r"<(?:[@#!][^<>]+|(?:https?|mailto):[^<>]+)>")
_NAME = re.compile(r"(?<![\w@])@([a-z0-9][a-z0-9._-]*)", re.IGNORECASE)


def act_of(workspace: Workspace, app: Installation, person: Person) -> Act:
    """What this person is about to do with this app, with the trigger that it gives."""
    return Act(app.app, person, workspace.grants.new_trigger(app.app.app_id, person.id))


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


# --- a person writes ------------------------------------------------------------------------------


def write(
    workspace: Workspace,
    person: Person,
    channel: Channel,
    text: str,
    thread_ts: str,
    *,
    files: Sequence[Mapping[str, Any]] = (),
) -> Message:
    """Posts what a person wrote, perhaps with files, and sends the apps the events that they have
    asked for.
    """
    if channel.is_archived:
        raise UiRefused(f"#{channel.name} is archived: nobody can write there any more.")
    message: Message = {
        "type": "message",
        "user": person.id,
        "team": TEAM_ID,
        "text": _marked_up(workspace, text),
    }
    if thread_ts:
        root = workspace.store.message(channel.id, thread_ts)
        if root is None or root.get("thread_ts", thread_ts) != thread_ts:
            raise UiRefused("There is no such thread here.", status=404)
        message |= {"thread_ts": thread_ts, "parent_user_id": root["user"]}
    if files:
        message |= {"files": list(files), "upload": True, "display_as_bot": False}
    posted = posting.post(workspace, channel, message)
    _send_events(workspace, channel, posted)
    return posted


def _marked_up(workspace: Workspace, text: str) -> str:
    """Text as Slack keeps it: &, < and > escaped but in links and mentions, @name made a
    mention.
    """
    names = {p.name.lower(): p.id for p in workspace.store.people()}

    def mention(match: re.Match[str]) -> str:
        known = names.get(match[1].lower())
        return f"<@{known}>" if known else match[0]

    def plain(part: str) -> str:
        escaped = part.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return _NAME.sub(mention, escaped)

    out, end = [], 0
    for markup in _MARKUP.finditer(text):
        out += [plain(text[end : markup.start()]), markup[0]]
        end = markup.end()
    return "".join([*out, plain(text[end:])])


def _send_events(workspace: Workspace, channel: Channel, message: Message) -> None:
    for installed in workspace.apps:
        if workspace.store.is_member(channel.id, installed.app.bot_user_id):
            _send_events_to(workspace, installed, channel, message)


def _send_events_to(
    workspace: Workspace, installed: Installation, channel: Channel, message: Message
) -> None:
    app = installed.app
    kind = channel.kind
    inner = {**message, "channel": channel.id, "event_ts": message["ts"], "channel_type": kind}
    if "files" in message:
        inner["subtype"] = "file_share"
    wanted = []
    if (f"message.{kind}" if kind in ("im", "mpim") else f"message.{kind}s") in app.events:
        wanted.append(inner)
    if "app_mention" in app.events and f"<@{app.bot_user_id}>" in message["text"]:
        wanted.append({**inner, "type": "app_mention"})
    for event in wanted:
        payload = payloads.event(app, event, workspace.timing.now())
        workspace.in_background(installed.deliver("events_api", payload))


# --- a person gives a command ---------------------------------------------------------------------


async def command(
    workspace: Workspace, person: Person, channel: Channel, word: str, text: str
) -> Delivery:
    """Runs a slash command; what fails is also shown to the person, in Slack's words."""
    installed = workspace.commanded(word)
    if installed is None:
        words = f"{word} is not a valid command. Type / to see the commands there are."
        posting.slackbot_says(workspace, channel, person.id, words)
        return Delivery("unknown_command")
    app_id = installed.app.app_id
    key = workspace.grants.new_response_url(app_id, channel.id, person.id)
    act = act_of(workspace, installed, person)
    url = response_url(workspace, key)
    payload = payloads.slash_command(act, channel, word, text, url)
    delivery = await installed.deliver("slash_commands", payload)
    reply = _as_reply(delivery.reply)
    if not delivery.error and reply and check_message(reply):
        delivery = Delivery(INVALID_COMMAND_RESPONSE)
    if delivery.error:
        words = f'{word} failed with the error "{delivery.error}"'
        posting.slackbot_says(workspace, channel, person.id, words)
    elif reply:
        answer(workspace, installed, channel, person, reply, key)
    return delivery


def _as_reply(reply: Any) -> dict[str, Any]:
    """What an app acknowledged a command with, as a message; {} for nothing to show."""
    if isinstance(reply, str):
        return {"text": reply} if reply else {}
    return reply if isinstance(reply, dict) else {}


def answer(
    workspace: Workspace,
    installed: Installation,
    channel: Channel,
    person: Person,
    reply: Mapping[str, Any],
    key: str,
) -> None:
    """Shows a checked answer of the app, to the person alone unless it says in_channel."""
    content = posting.content_of(reply)
    if reply.get("thread_ts"):
        content["thread_ts"] = reply["thread_ts"]
    message = posting.bot_message(installed.app, content)
    is_public = reply.get("response_type") == "in_channel"
    if is_public:
        shown = posting.post(workspace, channel, message)
    else:
        shown = posting.whisper(workspace, channel, person.id, message)
    grant = workspace.grants.response_url(key)
    if grant is not None and not grant.ts:
        grant.ts, grant.is_ephemeral = shown["ts"], not is_public


# --- a person clicks ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Click:
    """What a person did to an element, as the page says it, and what stood in the other
    elements then.
    """

    block_id: str
    action_id: str
    given: Mapping[str, Any]
    values: Mapping[str, Any]


async def act_on_message(
    workspace: Workspace, person: Person, channel: Channel, ts: str, click: Click
) -> Delivery:
    """block_actions on a message."""
    message = _message_for(workspace, person, channel, ts)
    blocks = [*message.get("blocks", [])]
    for attachment in message.get("attachments", []):
        blocks += attachment.get("blocks", [])
    action = _action(workspace, blocks, click)
    values = entered(blocks, _with_own(blocks, click), {})
    installed = owner_of(workspace, message)
    key = workspace.grants.new_response_url(
        installed.app.app_id,
        channel.id,
        person.id,
        ts=ts,
        is_ephemeral=bool(message.get("is_ephemeral")),
    )
    act, url = act_of(workspace, installed, person), response_url(workspace, key)
    payload = payloads.message_action(act, channel, message, action, values, url)
    return await _deliver_action(workspace, installed, person, payload)


def _message_for(workspace: Workspace, person: Person, channel: Channel, ts: str) -> Message:
    """The message that this person sees under this ts."""
    kept = workspace.store.message(channel.id, ts)
    if kept is not None:
        return posting.whole(workspace, channel.id, [kept])[0]
    message = workspace.ephemerals.find(person.id, channel.id, ts)
    if message is None:
        raise UiRefused("This message is not there any more.", status=404)
    return message


async def act_on_view(workspace: Workspace, person: Person, view_id: str, click: Click) -> Delivery:
    """block_actions in a modal."""
    view = workspace.views.top(person.id, view_id)
    action = _action(workspace, view["blocks"], click)
    workspace.views.enter(view, _with_own(view["blocks"], click))
    installed = owner_of(workspace, view)
    payload = payloads.view_action(act_of(workspace, installed, person), view, action)
    return await _deliver_action(workspace, installed, person, payload)


def _with_own(blocks: list[dict[str, Any]], click: Click) -> Mapping[str, Any]:
    """The values that the page sent, with that of the element which was used."""
    _, element = find_element(blocks, click.block_id, click.action_id)
    if element["type"] not in STATE_KEYS:
        return click.values
    block = {**click.values.get(click.block_id, {}), click.action_id: click.given}
    return {**click.values, click.block_id: block}


def _action(workspace: Workspace, blocks: list[dict[str, Any]], click: Click) -> dict[str, Any]:
    """The `actions` entry for what a person did."""
    block, element = find_element(blocks, click.block_id, click.action_id)
    if block["type"] == "input" and not block.get("dispatch_action"):
        raise UiRefused(f"{click.action_id!r} sends nothing before the form is submitted.")
    now = workspace.timing.now()
    action: dict[str, Any] = {
        "type": element["type"],
        "action_id": click.action_id,
        "block_id": click.block_id,
        "action_ts": f"{now:.6f}",
    }
    if element["type"] in STATE_KEYS:
        return action | entry_for(element, click.given) | _named(element, "placeholder")
    if element["type"] == "overflow":
        return action | {"selected_option": _overflow_option(element, click.given)}
    return action | _named(element, "text", "value", "style")


def _named(element: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: element[name] for name in names if name in element}


def _overflow_option(element: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    chosen = given.get("selected_option")
    for option in offered(element):
        if isinstance(chosen, dict) and option["value"] == chosen.get("value"):
            return option
    raise UiRefused(f"{element['action_id']!r} does not offer {chosen!r}.")


async def _deliver_action(
    workspace: Workspace, installed: Installation, person: Person, payload: Mapping[str, Any]
) -> Delivery:
    if not installed.app.is_interactive:
        words = "This app is not configured to handle interactive responses."
        workspace.hub.tell("toast", {"text": words, "level": "error"}, only=person.id)
        return Delivery("interactivity_disabled")
    delivery = await installed.deliver("interactive", payload)
    if delivery.error:
        words = (
            f'{installed.app.name} did not take this: it failed with the error "{delivery.error}"'
        )
        workspace.hub.tell("toast", {"text": words, "level": "error"}, only=person.id)
    return delivery
