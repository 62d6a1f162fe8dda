"""What people write: messages and slash commands, carried to the app and back.

Slack's own words when it fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.workspace import payloads, posting, sharing
from bot.workspace.acts import act_of, response_url
from bot.workspace.delivery import COMMANDS, INVALID_COMMAND_RESPONSE, Delivery
from bot.workspace.installation import Installation
from bot.workspace.people import TEAM_ID, Channel, Person
from bot.workspace.refusals import UiRefused
from bot.workspace.store import Message
from bot.workspace.workspace import Workspace

_MARKUP = re.compile(r"<(?:[@#!][^<>]+|(?:https?|mailto):[^<>]+)>")
_NAME = re.compile(r"(?<![\w@])@([a-z0-9][a-z0-9._-]*)", re.IGNORECASE)


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
    """Posts what a person wrote, perhaps with files."""
    if channel.is_archived:
        raise UiRefused(f"#{channel.name} is archived: nobody can write there any more.")
    message: Message = {
        "type": "message",
        "user": person.id,
        "team": TEAM_ID,
        "text": _marked_up(workspace, text),
    }
    if thread_ts:
        root = posting.root_of(workspace, channel, thread_ts)
        if root is None:
            raise UiRefused("There is no such thread here.", status=404)
        message |= posting.in_thread(root)
    if files:
        message |= {"files": list(files), "upload": True, "display_as_bot": False}
    return posting.post(workspace, channel, message)


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
    act = act_of(workspace, installed, person, channel=channel.id)
    url = response_url(workspace, key)
    payload = payloads.slash_command(act, channel, word, text, url)
    delivery = await installed.deliver(COMMANDS, payload)
    reply = _as_reply(delivery.reply)
    wrong = sharing.message_complaints(workspace, installed.app, reply) if reply else []
    if not delivery.error and wrong:
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
