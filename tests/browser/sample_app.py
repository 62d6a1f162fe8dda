"""A Bolt app like anybody's, over Socket Mode: the page is tested with it, not with our bot."""

from __future__ import annotations

import json
import queue
import re
from pathlib import Path
from typing import Any

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

PAYLOADS = Path(__file__).parent / "payloads"
MODELS = ("minilm-l6", "minilm-l12", "distilbert", "qwen3-0.6b")
# Words after `/sample` -> the payload that they open.
VIEWS = {"form": "modal", "inputs": "modal_inputs"}

MANIFEST: dict[str, Any] = {
    "display_information": {"name": "Sample"},
    "features": {
        "bot_user": {"display_name": "sample", "always_online": True},
        "slash_commands": [
            {
                "command": "/sample",
                "description": "Answers, or opens a form",
                "usage_hint": "[form | words]",
            },
            {"command": "/second", "description": "Another one", "usage_hint": "anything"},
        ],
        "shortcuts": [
            {
                "name": "Start a search",
                "type": "global",
                "callback_id": "start_search",
                "description": "Opens the form",
            },
            {
                "name": "Fork this search",
                "type": "message",
                "callback_id": "fork",
                "description": "With narrower ranges",
            },
        ],
        "app_home": {"home_tab_enabled": True, "messages_tab_enabled": True},
    },
    "oauth_config": {
        "scopes": {
            "bot": [
                "app_mentions:read",
                "chat:write",
                "commands",
                "channels:read",
                "channels:history",
                "files:read",
                "files:write",
                "reactions:read",
                "reactions:write",
                "users:read",
            ]
        }
    },
    "settings": {
        "interactivity": {"is_enabled": True},
        "socket_mode_enabled": True,
        "event_subscriptions": {"bot_events": ["app_mention", "app_home_opened"]},
    },
}


def payload(name: str) -> dict[str, Any]:
    """One message (or the modal) of payloads/."""
    found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text("utf-8"))
    return found


def option(value: str) -> dict[str, Any]:
    return {"text": {"type": "plain_text", "text": value}, "value": value}


def text_input(block_id: str, label: str, **element: Any) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block_id,
        "label": {"type": "plain_text", "text": label},
        "element": {"type": "plain_text_input", "action_id": "v", **element},
    }


def form(
    *blocks: dict[str, Any], title: str = "A form", callback_id: str = "form"
) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": callback_id,
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Start"},
        "blocks": list(blocks),
    }


class SampleApp:
    """Answers `/sample` and keeps what it was sent in `seen`, a queue of (kind, payload)."""

    def __init__(self, client: WebClient, app_token: str) -> None:
        self.seen: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.client = client
        self.view_id = ""
        app = App(client=client)
        app.command("/sample")(self._command)
        app.action(re.compile(".+"))(self._action)
        app.view("form")(self._submission)
        app.view("second")(self._second)
        app.view("inputs")(self._inputs)
        app.event("app_mention")(self._mention)
        app.event("app_home_opened")(self._home_opened)
        app.shortcut(re.compile(".+"))(self._shortcut)
        app.options(re.compile(".+"))(self._options)
        self._handler = SocketModeHandler(app, app_token)
        self._handler.connect()

    def close(self) -> None:
        self._handler.close()

    def next(self, kind: str, timeout: float = 10) -> Any:
        """Waits for the next thing the app was sent; it must be of this kind."""
        found, body = self.seen.get(timeout=timeout)
        assert found == kind, (found, body)
        return body

    def _command(self, ack: Any, command: dict[str, Any], client: WebClient) -> None:
        text = command["text"]
        if text in VIEWS:
            ack()
            opened = client.views_open(trigger_id=command["trigger_id"], view=payload(VIEWS[text]))
            self.view_id = opened["view"]["id"]
        elif text == "two":
            ack()
            view = form(text_input("name", "Name"), text_input("note", "Note", initial_value="n"))
            opened = client.views_open(trigger_id=command["trigger_id"], view=view)
            self.view_id = opened["view"]["id"]
        else:
            ack(f"You said `{text}`")
        self.seen.put(("command", command))

    def _action(self, ack: Any, body: dict[str, Any]) -> None:
        ack()
        self.seen.put(("action", body))

    def _submission(self, ack: Any, view: dict[str, Any]) -> None:
        name = view["state"]["values"]["name"]["v"]["value"]
        if name == "bad name":
            ack(response_action="errors", errors={"name": "Use dashes instead of spaces"})
        elif name == "more":
            ack(
                response_action="push",
                view=form(text_input("why", "Why?"), title="More", callback_id="second"),
            )
        else:
            ack()
        self.seen.put(("submission", view))

    def _second(self, ack: Any, view: dict[str, Any]) -> None:
        ack(response_action="clear")
        self.seen.put(("second", view))

    def _inputs(self, ack: Any, view: dict[str, Any]) -> None:
        ack()
        self.seen.put(("inputs", view))

    def _shortcut(self, ack: Any, body: dict[str, Any]) -> None:
        ack()
        self.seen.put(("shortcut", body))

    def _home_opened(self, event: dict[str, Any]) -> None:
        self.seen.put(("home", event))

    def _options(self, ack: Any, body: dict[str, Any]) -> None:
        """Models whose names have what was typed; "silence" gets no answer."""
        wanted = body["value"]
        if wanted != "silence":
            found = [option(name) for name in MODELS if wanted in name]
            ack(options=found)
        self.seen.put(("options", body))

    def _mention(self, event: dict[str, Any]) -> None:
        self.seen.put(("mention", event))
