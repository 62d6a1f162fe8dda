"""Who is in the workspace, as apps learn it: people, their addresses, groups, presence, emoji."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.api_calls import client_of, error, manifest

READ = ["users:read", "channels:read", "groups:read", "im:read", "mpim:read"]
ALL = [
    *READ,
    "users:read.email",
    "users.profile:read",
    "usergroups:read",
    "emoji:read",
    "team:read",
    "groups:write",
    "im:write",
]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """An app that may read everything, and one that may not read addresses."""
    apps = manifest("curious", ALL), manifest("shy", READ)
    running = RunningWorkspace(tmp_path, *apps, timing=Timing(has_rate_limits=False))
    yield running
    running.stop()


@pytest.fixture
def client(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace)


@pytest.fixture
def shy(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace, 1)


def test_an_address_is_for_apps_with_the_scope_alone(client: WebClient, shy: WebClient) -> None:
    assert client.users_info(user="U0ADA")["user"]["profile"]["email"] == "ada@local.example"
    assert "email" not in shy.users_info(user="U0ADA")["user"]["profile"]
    assert all("email" not in user["profile"] for user in shy.users_list()["members"])
    assert "email" not in client.users_info(user="U0BOT")["user"]["profile"]


def test_somebody_is_found_by_address(client: WebClient, shy: WebClient) -> None:
    assert client.users_lookupByEmail(email="Grace@Local.Example")["user"]["id"] == "U0GRACE"
    nobody = {"email": "nobody@local.example"}
    assert error(client, "users.lookupByEmail", **nobody) == "users_not_found"
    assert error(client, "users.lookupByEmail") == "invalid_arguments"
    assert error(shy, "users.lookupByEmail", **nobody) == "missing_scope"


def test_a_profile_is_somebodys_or_the_bots_own(client: WebClient) -> None:
    assert client.users_profile_get(user="U0ADA")["profile"]["real_name"] == "Ada Lovelace"
    assert client.users_profile_get()["profile"]["real_name"] == "curious"
    assert error(client, "users.profile.get", user="U9") == "user_not_found"
    assert client.users_info(user="U0ADA", include_locale=True)["user"]["locale"] == "en-US"


def test_a_person_is_active_with_an_open_page(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    assert client.users_getPresence(user="U0ADA")["presence"] == "away"
    events = workspace.person("U0ADA").events(timeout_s=20)
    assert client.users_getPresence(user="U0ADA")["presence"] == "active"
    assert client.users_getPresence(user="U0GRACE")["presence"] == "away"
    assert client.api_call("users.getPresence")["presence"] == "away", "the app is not connected"
    events.close()


def test_an_app_knows_the_conversations_of_people_only_where_it_may(
    client: WebClient, shy: WebClient
) -> None:
    secret = client.conversations_create(name="secret", is_private=True)["channel"]["id"]
    client.conversations_invite(channel=secret, users="U0ADA")
    client.conversations_open(users="U0ADA")
    kinds = "public_channel,private_channel,im"

    def names(app: WebClient, user: str | None = None) -> list[str]:
        found = app.users_conversations(user=user, types=kinds)["channels"]
        return [c.get("name", c["id"]) for c in found]

    assert names(client, "U0ADA") == ["general", "tuning", "secret", "D0ADA"]
    assert names(shy, "U0ADA") == ["general", "tuning"]
    assert names(client, "U0GUEST") == ["tuning"]
    assert names(client) == ["tuning", "secret", "D0ADA"]
    pages = [p.data for p in client.users_conversations(user="U0ADA", types=kinds, limit=3)]
    assert [len(page["channels"]) for page in pages] == [3, 1]
    assert error(client, "users.conversations", user="U9") == "user_not_found"
    assert error(client, "users.conversations", types="x") == "invalid_types"


def test_there_is_one_user_group(client: WebClient) -> None:
    (group,) = client.usergroups_list(include_users=True, include_count=True)["usergroups"]
    assert (group["handle"], group["users"]) == ("ml-team", ["U0ADA", "U0GRACE"])
    assert group["user_count"] == 2
    (bare,) = client.usergroups_list()["usergroups"]
    assert "users" not in bare and "user_count" not in bare
    members = client.usergroups_users_list(usergroup=group["id"])["users"]
    assert members == ["U0ADA", "U0GRACE"]
    assert error(client, "usergroups.users.list", usergroup="S9") == "no_such_subteam"


def test_the_workspace_has_a_name_and_no_emoji_of_its_own(client: WebClient) -> None:
    assert client.team_info(team="T0LOCAL")["team"]["domain"] == "local"
    assert error(client, "team.info", team="T9") == "team_not_found"
    assert client.emoji_list()["emoji"] == {}
