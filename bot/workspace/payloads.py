"""What an app is sent about an act of a person: Slack's payloads, built from values (pure)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import TEAM_DOMAIN, TEAM_ID, Channel, Person

Payload = dict[str, Any]
# Slack sends a token that apps ought not to look at any more; signatures and Socket Mode took
# its place.
DEPRECATED_TOKEN = "deprecated"


@dataclass(frozen=True)
class Act:
    """Somebody's act, with the permission that it gives."""

    app: InstalledApp
    person: Person
    trigger_id: str


def channel_name(channel: Channel) -> str:
    """The name of a conversation in payloads."""
    return "directmessage" if channel.is_im else channel.name


def slash_command(
    act: Act, channel: Channel, command: str, text: str, response_url: str
) -> Payload:
    """A slash command."""
    return {
        "token": DEPRECATED_TOKEN,
        "team_id": TEAM_ID,
        "team_domain": TEAM_DOMAIN,
        "channel_id": channel.id,
        "channel_name": channel_name(channel),
        "user_id": act.person.id,
        "user_name": act.person.name,
        "command": command,
        "text": text,
        "api_app_id": act.app.app_id,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": act.trigger_id,
    }


def _interaction(act: Act, kind: str) -> Payload:
    return {
        "type": kind,
        "team": {"id": TEAM_ID, "domain": TEAM_DOMAIN},
        "user": {
            "id": act.person.id,
            "username": act.person.name,
            "name": act.person.name,
            "team_id": TEAM_ID,
        },
        "api_app_id": act.app.app_id,
        "token": DEPRECATED_TOKEN,
        "trigger_id": act.trigger_id,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def message_block_action(
    act: Act,
    channel: Channel,
    message: Mapping[str, Any],
    action: Mapping[str, Any],
    values: Mapping[str, Any],
    response_url: str,
) -> Payload:
    """block_actions on a message."""
    return {
        **_interaction(act, "block_actions"),
        **_message_place(channel, message),
        "state": {"values": values},
        "response_url": response_url,
        "actions": [action],
    }


def _message_place(channel: Channel, message: Mapping[str, Any]) -> Payload:
    """Where on a message something happened. Of an ephemeral message Slack sends the ts alone."""
    is_ephemeral = bool(message.get("is_ephemeral"))
    container: Payload = {
        "type": "message",
        "message_ts": message["ts"],
        "channel_id": channel.id,
        "is_ephemeral": is_ephemeral,
    }
    if "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    place: Payload = {
        "container": container,
        "channel": {"id": channel.id, "name": channel_name(channel)},
    }
    return place if is_ephemeral else place | {"message": message}


def _view_place(view: Mapping[str, Any]) -> Payload:
    return {"container": {"type": "view", "view_id": view["id"]}, "view": view}


def view_block_action(act: Act, view: Mapping[str, Any], action: Mapping[str, Any]) -> Payload:
    """block_actions in a view."""
    return {**_interaction(act, "block_actions"), **_view_place(view), "actions": [action]}


@dataclass(frozen=True)
class Query:
    """What a person has typed into an external select."""

    block_id: str
    action_id: str
    value: str


def message_suggestion(
    act: Act, channel: Channel, message: Mapping[str, Any], query: Query
) -> Payload:
    """block_suggestion for a select of a message."""
    return _suggestion(act, query) | _message_place(channel, message)


def view_suggestion(act: Act, view: Mapping[str, Any], query: Query) -> Payload:
    """block_suggestion for a select of a view."""
    return _suggestion(act, query) | _view_place(view)


def _suggestion(act: Act, query: Query) -> Payload:
    payload = _interaction(act, "block_suggestion") | vars(query)
    del payload["trigger_id"]
    return payload


def global_shortcut(act: Act, callback_id: str, at: float) -> Payload:
    """A global shortcut. Unlike other payloads it does not say which app it is for."""
    user = {"id": act.person.id, "username": act.person.name, "team_id": TEAM_ID}
    return _shortcut(act, "shortcut", callback_id, at) | {"user": user}


def message_shortcut(
    act: Act,
    callback_id: str,
    channel: Channel,
    message: Mapping[str, Any],
    response_url: str,
    at: float,
) -> Payload:
    """A shortcut on a message."""
    return _shortcut(act, "message_action", callback_id, at) | {
        "channel": {"id": channel.id, "name": channel_name(channel)},
        "message": message,
        "message_ts": message["ts"],
        "response_url": response_url,
    }


def _shortcut(act: Act, kind: str, callback_id: str, at: float) -> Payload:
    payload = _interaction(act, kind) | {"callback_id": callback_id, "action_ts": f"{at:.6f}"}
    del payload["api_app_id"]
    return payload


def view_submission(
    act: Act, view: Mapping[str, Any], response_urls: Sequence[Mapping[str, str]]
) -> Payload:
    """A submitted form, with a response URL for each conversation that it has asked for."""
    return _interaction(act, "view_submission") | {"view": view, "response_urls": response_urls}


def view_closed(act: Act, view: Mapping[str, Any], *, is_cleared: bool) -> Payload:
    """A form that was closed without being submitted."""
    payload = _interaction(act, "view_closed")
    del payload["trigger_id"]
    return payload | {"view": view, "is_cleared": is_cleared}


def event(app: InstalledApp, inner: Mapping[str, Any], at: float) -> Payload:
    """An event of the Events API."""
    return {
        "token": DEPRECATED_TOKEN,
        "team_id": TEAM_ID,
        "context_team_id": TEAM_ID,
        "context_enterprise_id": None,
        "api_app_id": app.app_id,
        "event": inner,
        "type": "event_callback",
        "event_id": f"Ev{secrets.token_hex(6).upper()}",
        "event_time": int(at),
        "authorizations": [
            {
                "enterprise_id": None,
                "team_id": TEAM_ID,
                "user_id": app.bot_user_id,
                "is_bot": True,
                "is_enterprise_install": False,
            }
        ],
        "is_ext_shared_channel": False,
    }
