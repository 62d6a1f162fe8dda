"""What tests of the workspace share: blocks, forms, and an app that opens one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.harness import RunningWorkspace

Connect = Callable[[App], SocketModeHandler]
WAIT_S = 20


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def modal(title: str = "Forecast", **more: Any) -> dict[str, Any]:
    town = {
        "type": "input",
        "block_id": "town",
        "label": plain("Town"),
        "element": {"type": "plain_text_input", "action_id": "value"},
    }
    return {
        "type": "modal",
        "callback_id": "forecast",
        "title": plain(title),
        "submit": plain("Ask"),
        "blocks": [town],
        **more,
    }


BUTTON_BLOCKS = [
    {
        "type": "actions",
        "block_id": "row",
        "elements": [
            {"type": "button", "action_id": "again", "text": plain("Again"), "value": "7"},
            {
                "type": "static_select",
                "action_id": "unit",
                "options": [
                    {"text": plain("Celsius"), "value": "c"},
                    {"text": plain("Kelvin"), "value": "k"},
                ],
            },
        ],
    }
]


def error_of(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(SlackApiError) as refused:
        call(**arguments)
    return str(refused.value.response["error"])


def open_form(app: App, connect: Connect, workspace: RunningWorkspace, **more: Any) -> Any:
    @app.command("/weather")
    def weather(ack: Any, command: Any, client: WebClient) -> None:
        ack()
        client.views_open(trigger_id=command["trigger_id"], view=modal(**more))

    connect(app)
    workspace.command("/weather")
    return workspace.wait_for(workspace.person().view)
