"""The door of the Web API, method by method: kinds of token, scopes, no token; apps that go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

from bot.workspace.methods import METHODS
from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, error, manifest, refusal

# By need, after Slack's method reference: what the workspace must have.
GROUPS = {
    "auth, apps": "api.test auth.test auth.revoke apps.connections.open apps.uninstall team.info "
    "bots.info blocks.validate",
    "chat": "chat.postMessage chat.update chat.delete chat.postEphemeral chat.getPermalink "
    "chat.scheduleMessage chat.scheduledMessages.list chat.deleteScheduledMessage chat.meMessage "
    "chat.unfurl",
    "views": "views.open views.update views.push views.publish",
    "conversations": "conversations.list conversations.info conversations.history "
    "conversations.replies conversations.open conversations.close conversations.members "
    "conversations.join conversations.create conversations.invite conversations.kick "
    "conversations.leave conversations.archive conversations.unarchive conversations.rename "
    "conversations.setTopic conversations.setPurpose",
    "users": "users.info users.list users.conversations users.lookupByEmail users.profile.get "
    "users.getPresence usergroups.list usergroups.users.list",
    "files": "files.getUploadURLExternal files.completeUploadExternal files.info files.list "
    "files.delete files.upload",
    "reactions": "reactions.add reactions.remove reactions.get reactions.list",
    "other": "emoji.list pins.add pins.remove pins.list bookmarks.add bookmarks.edit "
    "bookmarks.remove bookmarks.list",
}
UNLIMITED = Timing(has_rate_limits=False)
BOT_METHODS = [name for name, method in METHODS.items() if "bot" in method.tokens]
SCOPED = [name for name, method in METHODS.items() if method.scopes]
FREE = [name for name, method in METHODS.items() if not method.tokens]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorkspace]:
    """An app with a scope that opens nothing."""
    folder = tmp_path_factory.mktemp("methods")
    running = RunningWorkspace(folder, manifest("nobody", ["commands"]), timing=UNLIMITED)
    yield running
    running.stop()


def with_token(workspace: RunningWorkspace, token: str | None) -> WebClient:
    return WebClient(token, base_url=workspace.api_url)


def test_every_group_of_methods_is_there_and_none_is_untold() -> None:
    assert {name for names in GROUPS.values() for name in names.split()} == set(METHODS)


@pytest.mark.parametrize("method", BOT_METHODS)
def test_a_bots_method_takes_no_app_token(workspace: RunningWorkspace, method: str) -> None:
    client = with_token(workspace, workspace.app_token)
    assert error(client, method) == "not_allowed_token_type"


def test_an_apps_method_takes_no_bot_token(workspace: RunningWorkspace) -> None:
    assert error(client_of(workspace), "apps.connections.open") == "not_allowed_token_type"


@pytest.mark.parametrize("method", [name for name in METHODS if name not in FREE])
def test_a_method_takes_neither_no_token_nor_a_wrong_one(
    workspace: RunningWorkspace, method: str
) -> None:
    assert error(with_token(workspace, None), method) == "not_authed"
    assert error(with_token(workspace, "xoxb-wrong"), method) == "invalid_auth"


@pytest.mark.parametrize("method", SCOPED)
def test_a_method_names_the_scopes_that_are_missing(
    workspace: RunningWorkspace, method: str
) -> None:
    answer = refusal(client_of(workspace), method)
    assert answer["error"] == "missing_scope" and answer["provided"] == "commands"
    assert answer["needed"] == ",".join(METHODS[method].scopes)


def test_the_old_upload_is_gone_as_in_slack(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, manifest("old", ["files:write"]))
    assert error(client_of(running), "files.upload", content="x") == "method_deprecated"
    running.stop()


# --- without a token ------------------------------------------------------------------------------


def test_blocks_are_checked_without_a_token(workspace: RunningWorkspace) -> None:
    client = with_token(workspace, None)
    divider, wrong = {"type": "divider"}, {"type": "nothing"}
    client.blocks_validate(blocks=[divider])
    client.blocks_validate(message={"text": "x", "blocks": [divider]})
    client.blocks_validate(view={"type": "home", "blocks": [divider]})
    method = "blocks.validate"
    answer = refusal(client, method, blocks=[wrong])
    assert answer["error"] == "invalid_blocks"
    assert answer["errors"] == ["unsupported type: nothing [json-pointer:/blocks/0/type]"]
    assert error(client, method, blocks="{") == "invalid_blocks_format"
    assert error(client, method, message={}) == "no_text"
    assert error(client, method, message=[]) == "invalid_arguments"
    assert error(client, method, view={"type": "modal"}) == "invalid_arguments"
    assert error(client, method) == "invalid_arguments"
    assert error(client, method, blocks=[divider], message={}) == "invalid_arguments"


def test_the_test_method_says_back_what_it_was_given(workspace: RunningWorkspace) -> None:
    client = with_token(workspace, None)
    assert client.api_test(foo="bar")["args"] == {"foo": "bar"}
    assert error(client, "api.test", error="my_error") == "my_error"


# --- apps that go ---------------------------------------------------------------------------------


def test_a_revoked_token_opens_nothing_until_the_next_start(tmp_path: Path) -> None:
    two = manifest("one", []), manifest("two", [])
    running = RunningWorkspace(tmp_path, *two)
    one, other = client_of(running), client_of(running, 1)
    assert one.auth_revoke(test=True)["revoked"] is False
    one.auth_test()
    assert one.auth_revoke()["revoked"] is True
    assert error(one, "auth.test") == "token_revoked"
    other.auth_test()
    running.stop()
    running = RunningWorkspace(tmp_path, *two)
    client_of(running).auth_test()
    running.stop()


def test_an_app_uninstalls_itself_with_its_credentials(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, manifest("one", []), timing=UNLIMITED)
    client = client_of(running)
    assert error(client, "apps.uninstall") == "invalid_client_id"
    assert error(client, "apps.uninstall", client_id="1") == "bad_client_secret"
    client.apps_uninstall(client_id="1", client_secret="2")
    assert error(client, "auth.test") == "token_revoked"
    running.stop()


@pytest.mark.parametrize("method", ["auth.revoke", "apps.uninstall"])
def test_an_app_that_goes_is_told_if_it_has_asked(tmp_path: Path, method: str) -> None:
    events = ["tokens_revoked", "app_uninstalled"]
    running = RunningWorkspace(
        tmp_path, manifest("one", [], events=events), manifest("two", []), timing=UNLIMITED
    )
    for index in range(2):
        client_of(running, index).api_call(method, json={"client_id": "1", "client_secret": "2"})
    told = running.recorded(kind="envelope")
    running.stop()
    wanted = events if method == "apps.uninstall" else events[:1]
    # Nobody is connected: what could not be delivered is tried again, so that it counts once.
    assert {(one["app"], one["name"].split()[-1]) for one in told} == {
        ("A0ONE", name) for name in wanted
    }
