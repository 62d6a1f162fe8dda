"""Whatever an app sends to a Web API method, it gets Slack's kind of answer, never a crash."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.workspace.methods import METHODS
from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, manifest

EVERY_SCOPE = sorted({scope for method in METHODS.values() for scope in method.scopes})
# Methods after which nothing more can be tried.
LAST = {"auth.revoke", "apps.uninstall", "conversations.archive", "conversations.leave"}
NAMES = """
alt_txt attachments blocks bookmark_id bot channel channel_id channels count cursor email
emoji error exclude_archived external_id file file_ids filename files force hash
icon_emoji icon_url inclusive initial_comment is_private latest length limit link
link_names markdown_text message message_ts metadata mrkdwn name oldest page parse post_at
purpose reply_broadcast return_im scheduled_message_id team text thread_ts timestamp title
topic trigger_id ts ts_from ts_to type types unfurls user user_id username usergroup users
view view_id
"""
IDS = ["C0TUNING", "C0GENERAL", "C9", "U0ADA", "U0BOT", "U9", "F9", "1.000001", "#tuning"]
WORDS = ["", "x", "link", "public_channel", "im,mpim", "[", "{}", "[{}]", "-1", "0", "1e9", "\0"]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5)
)
KEYS = ["type", "text", "id", "url", "blocks", "elements", "slack_file", "event_type", "fallback"]
VALUES = st.one_of(
    st.sampled_from([*IDS, *WORDS]),
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=2),
            st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
        ),
        max_leaves=6,
    ),
)
ARGUMENTS = st.dictionaries(st.sampled_from(NAMES.split()), VALUES, max_size=8)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """An app that may do everything."""
    timing = Timing(has_rate_limits=False)
    folder = tmp_path_factory.mktemp("any")
    running = RunningWorkspace(folder, manifest("tireless", EVERY_SCOPE), timing=timing)
    yield running
    running.stop()


def ask(workspace: RunningWorkspace, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {workspace.bot_token}",
    }
    url, body = workspace.api_url + method, json.dumps(arguments).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
        assert response.status == 200
        answer: dict[str, Any] = json.load(response)
    return answer


@pytest.mark.parametrize("method", sorted(set(METHODS) - LAST))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(arguments=ARGUMENTS)
def test_any_arguments_get_an_answer(
    workspace: RunningWorkspace, method: str, arguments: dict[str, Any]
) -> None:
    answer = ask(workspace, method, {"channel": "C0TUNING", "text": "x", **arguments})
    assert answer["ok"] is True or answer["error"]


def test_the_workspace_is_whole_afterwards(workspace: RunningWorkspace) -> None:
    assert client_of(workspace).auth_test()["user_id"] == "U0BOT"
    assert workspace.state()["channels"]
    workspace.messages()
