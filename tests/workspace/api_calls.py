"""What tests of the Web API share: apps with given scopes, and the error of a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST


def manifest(name: str, scopes: Sequence[str], *, events: Sequence[str] = ()) -> dict[str, Any]:
    """An app that may do this, and hears of that."""
    settings = {**MANIFEST["settings"], "event_subscriptions": {"bot_events": list(events)}}
    return {
        **MANIFEST,
        "display_information": {"name": name},
        "features": {"bot_user": {"display_name": name}},
        "oauth_config": {"scopes": {"bot": list(scopes)}},
        "settings": settings,
    }


def client_of(workspace: RunningWorkspace, index: int = 0) -> WebClient:
    """A client with the bot token of the first, second... app."""
    return WebClient(workspace.apps[index]["bot_token"], base_url=workspace.api_url)


def refusal(client: WebClient, method: str, **arguments: Any) -> Any:
    """The answer to a call that is refused."""
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json=arguments)
    return refused.value.response.data


def error(client: WebClient, method: str, **arguments: Any) -> str:
    """Slack's error string for a call that is refused."""
    return str(refusal(client, method, **arguments)["error"])
