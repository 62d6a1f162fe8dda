"""Channels through the real slack_sdk: made, changed, private, archived; who is in and who sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.workspace.channels import wrong_name
from bot.workspace.person import PersonRefused
from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

TUNING, GENERAL = "C0TUNING", "C0GENERAL"
WAIT_S = 20
READ = ["channels:read", "groups:read", "im:read", "mpim:read"]
HISTORY = ["channels:history", "groups:history", "im:history", "mpim:history"]
MANAGE = ["channels:manage", "groups:write", "im:write", "mpim:write", "channels:join"]
WRITE = ["chat:write", "reactions:write"]


def manifest(name: str, *scopes: str) -> dict[str, Any]:
    return {
        **MANIFEST,
        "display_information": {"name": name},
        "features": {"bot_user": {"display_name": name}},
        "oauth_config": {"scopes": {"bot": list(scopes)}},
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """An app that may do everything with channels, and one that may read public ones alone."""
    scopes = [*READ, *HISTORY, *MANAGE, *WRITE]
    running = RunningWorkspace(
        tmp_path / "state",
        manifest("keeper", *scopes),
        manifest("reader", "channels:read", "chat:write", "chat:write.public"),
        timing=Timing(has_rate_limits=False),
    )
    yield running
    running.stop()


@pytest.fixture
def reader(workspace: RunningWorkspace) -> WebClient:
    return WebClient(workspace.apps[1]["bot_token"], base_url=workspace.api_url)


def refusal(client: WebClient, method: str, **arguments: Any) -> Any:
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, params=arguments)
    return refused.value.response.data


def error(client: WebClient, method: str, **arguments: Any) -> str:
    return str(refusal(client, method, **arguments)["error"])


def make(client: WebClient, name: str = "plans", *, is_private: bool = False) -> str:
    answer = client.conversations_create(name=name, is_private=is_private)
    return str(answer["channel"]["id"])


def names(workspace: RunningWorkspace, user: str) -> list[str]:
    return [c["name"] for c in workspace.state(user=user)["channels"]]


# --- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("plans", ""),
        ("plans-2_x", ""),
        ("später", ""),
        ("x" * 80, ""),
        ("", "invalid_name_required"),
        ("x" * 81, "invalid_name_maxlength"),
        ("--__", "invalid_name_punctuation"),
        ("Plans", "invalid_name_specials"),
        ("two words", "invalid_name_specials"),
        ("a.b", "invalid_name_specials"),
    ],
)
def test_a_channel_cannot_have_every_name(name: str, code: str) -> None:
    assert wrong_name(name) == code


def test_a_taken_name_is_refused_even_of_an_archived_channel(client: WebClient) -> None:
    channel = make(client)
    client.conversations_archive(channel=channel)
    assert error(client, "conversations.create", name="plans") == "name_taken"
    assert error(client, "conversations.create", name="General") == "invalid_name_specials"
    other = make(client, "other")
    assert error(client, "conversations.rename", channel=other, name="tuning") == "name_taken"
    bad = {"channel": other, "name": "a b"}
    assert error(client, "conversations.rename", **bad) == "invalid_name_specials"


# --- public and private ---------------------------------------------------------------------------


def test_a_public_channel_is_seen_by_all_but_guests(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    channel = client.conversations_create(name="plans")["channel"]
    assert channel["creator"] == "U0BOT" and channel["is_member"] and not channel["is_private"]
    assert "plans" in names(workspace, "U0GRACE")
    assert names(workspace, "U0GUEST") == ["tuning"]
    client.chat_postMessage(channel=channel["id"], text="for members")
    with pytest.raises(PersonRefused, match="no channel"):
        workspace.messages(channel["id"], user="U0GUEST")
    client.conversations_invite(channel=channel["id"], users="U0GUEST")
    assert names(workspace, "U0GUEST") == ["tuning", "plans"]
    assert workspace.messages(channel["id"], user="U0GUEST")[0]["text"] == "for members"


def test_a_private_channel_is_its_members_alone(
    client: WebClient, reader: WebClient, workspace: RunningWorkspace
) -> None:
    channel = make(client, "secret", is_private=True)
    client.conversations_invite(channel=channel, users="U0ADA")
    shown = {c["id"]: c for c in workspace.state()["channels"]}
    assert shown[channel]["is_private"] and shown[channel]["bot_is_member"]
    assert "secret" not in names(workspace, "U0GRACE")
    with pytest.raises(PersonRefused, match="no channel"):
        workspace.messages(channel, user="U0GRACE")
    listed = client.conversations_list(types="public_channel,private_channel")["channels"]
    assert [c["name"] for c in listed] == ["general", "tuning", "secret"]
    assert [c["name"] for c in reader.conversations_list()["channels"]] == ["general", "tuning"]
    for method in ("conversations.info", "conversations.members", "conversations.join"):
        code = "missing_scope" if method.endswith("join") else "channel_not_found"
        assert error(reader, method, channel=channel) == code
    assert error(reader, "chat.postMessage", channel=channel, text="x") == "channel_not_found"
    assert error(reader, "chat.postMessage", channel="#secret", text="x") == "channel_not_found"
    assert client.conversations_info(channel=channel)["channel"]["is_private"]


def test_pages_hear_of_a_private_channel_only_through_members(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    channel = make(client, "secret", is_private=True)
    client.conversations_invite(channel=channel, users="U0ADA")
    ada = workspace.person("U0ADA").events(timeout_s=WAIT_S)
    grace = workspace.person("U0GRACE").events(timeout_s=WAIT_S)
    client.chat_postMessage(channel=channel, text="psst")
    workspace.message("for all", user="U0ADA")
    assert [next(ada)[1]["message"]["text"] for _ in range(2)] == ["psst", "for all"]
    assert next(grace)[1]["message"]["text"] == "for all"
    ada.close()
    grace.close()


def test_a_private_channel_needs_scopes_of_its_own(workspace: RunningWorkspace) -> None:
    client = WebClient(workspace.apps[1]["bot_token"], base_url=workspace.api_url)
    answer = refusal(client, "conversations.list", types="private_channel")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "groups:read")
    assert error(client, "conversations.create", name="x") == "missing_scope"


def test_scopes_go_by_the_kind_of_conversation(tmp_path: Path) -> None:
    running = RunningWorkspace(tmp_path, manifest("half", "channels:manage", "im:write"))
    client = WebClient(running.bot_token, base_url=running.api_url)
    make(client)
    answer = refusal(client, "conversations.create", name="secret", is_private=True)
    assert (answer["error"], answer["needed"]) == ("missing_scope", "groups:write")
    answer = refusal(client, "conversations.open", users="U0ADA,U0GRACE")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "mpim:write")
    running.stop()


# --- who is in ------------------------------------------------------------------------------------


def test_people_come_and_go_and_the_channel_says_so(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    channel = make(client)
    client.conversations_invite(channel=channel, users="U0ADA,U0GRACE")
    client.conversations_kick(channel=channel, user="U0GRACE")
    assert client.conversations_members(channel=channel)["members"] == ["U0ADA", "U0BOT"]
    client.conversations_leave(channel=channel)
    said = [(m["subtype"], m["user"]) for m in workspace.messages(channel)]
    assert said == [
        ("channel_join", "U0ADA"),
        ("channel_join", "U0GRACE"),
        ("channel_leave", "U0GRACE"),
        ("channel_leave", "U0BOT"),
    ]
    assert client.conversations_leave(channel=channel)["not_in_channel"]
    assert error(client, "conversations.history", channel=channel) == "not_in_channel"
    assert client.conversations_join(channel=channel)["channel"]["is_member"]
    assert client.conversations_join(channel=channel)["warning"] == "already_in_channel"


def test_a_guest_who_is_removed_does_not_see_the_channel_any_more(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    channel = make(client)
    client.conversations_invite(channel=channel, users="U0GUEST")
    events = workspace.person("U0GUEST").events(timeout_s=WAIT_S)
    client.conversations_kick(channel=channel, user="U0GUEST")
    assert [next(events)[0], next(events)[0]] == ["message", "channels"]
    assert names(workspace, "U0GUEST") == ["tuning"]
    events.close()


@pytest.mark.parametrize(
    ("users", "code"),
    [
        ("", "no_user"),
        ("U9", "user_not_found"),
        ("U0BOT", "cant_invite_self"),
        ("U0ADA", "already_in_channel"),
        (",".join(["U0ADA"] * 101), "invalid_arguments"),
    ],
)
def test_an_invitation_that_cannot_be_is_refused(client: WebClient, users: str, code: str) -> None:
    answer = refusal(client, "conversations.invite", channel=TUNING, users=users)
    assert answer["error"] == code
    if code in ("user_not_found", "already_in_channel"):
        assert answer["errors"] == [{"user": users, "ok": False, "error": code}]


def test_several_are_invited_together_or_by_force_those_who_can(client: WebClient) -> None:
    channel = make(client)
    several = {"channel": channel, "users": "U0ADA,U9"}
    assert error(client, "conversations.invite", **several) == "user_not_found"
    assert client.conversations_members(channel=channel)["members"] == ["U0BOT"]
    forced = client.conversations_invite(**several, force=True)
    assert forced["errors"] == [{"user": "U9", "ok": False, "error": "user_not_found"}]
    assert client.conversations_members(channel=channel)["members"] == ["U0ADA", "U0BOT"]


def test_what_cannot_be_done_to_members_is_refused(client: WebClient) -> None:
    client.conversations_join(channel=GENERAL)
    place = {"channel": TUNING}
    assert error(client, "conversations.kick", **place, user="U0BOT") == "cant_kick_self"
    assert error(client, "conversations.kick", **place, user="U9") == "user_not_found"
    assert error(client, "conversations.kick", **place, user="USLACKBOT") == "not_in_channel"
    general = {"channel": GENERAL, "user": "U0ADA"}
    assert error(client, "conversations.kick", **general) == "cant_kick_from_general"
    assert error(client, "conversations.leave", channel=GENERAL) == "cant_leave_general"
    lonely = make(client, "lonely", is_private=True)
    assert error(client, "conversations.leave", channel=lonely) == "last_member"
    client.conversations_leave(channel=TUNING)
    assert error(client, "conversations.kick", **place, user="U0ADA") == "not_in_channel"
    assert error(client, "conversations.invite", **place, users="U0BOT") == "not_in_channel"


# --- archived, renamed, described -----------------------------------------------------------------


def test_nothing_is_written_in_an_archived_channel_until_it_is_open_again(
    client: WebClient, reader: WebClient, workspace: RunningWorkspace
) -> None:
    channel = make(client)
    client.conversations_invite(channel=channel, users="U0ADA")
    ts = client.chat_postMessage(channel=channel, text="before")["ts"]
    client.conversations_archive(channel=channel)
    place = {"channel": channel}
    assert error(client, "conversations.archive", **place) == "already_archived"
    for app in (client, reader):
        assert error(app, "chat.postMessage", **place, text="x") == "is_archived"
    assert error(client, "chat.postEphemeral", **place, user="U0ADA", text="x") == "is_archived"
    assert error(client, "chat.update", **place, ts=ts, text="x") == "is_inactive"
    reaction = {"timestamp": ts, "name": "eyes"}
    assert error(client, "reactions.add", **place, **reaction) == "is_archived"
    assert error(client, "conversations.invite", **place, users="U0GRACE") == "is_archived"
    assert error(client, "conversations.rename", **place, name="new") == "is_archived"
    assert error(client, "conversations.setTopic", **place, topic="x") == "is_archived"
    assert error(client, "conversations.leave", **place) == "is_archived"
    with pytest.raises(PersonRefused, match="#plans is archived"):
        workspace.message("x", channel=channel)
    assert client.conversations_history(**place)["messages"][0]["subtype"] == "channel_archive"
    shown = {c["id"]: c for c in workspace.state()["channels"]}
    assert shown[channel]["is_archived"]
    open_ones = client.conversations_list(exclude_archived=True)["channels"]
    assert channel not in {c["id"] for c in open_ones}
    client.conversations_unarchive(**place)
    assert error(client, "conversations.unarchive", **place) == "not_archived"
    client.chat_postMessage(**place, text="after")
    client.conversations_join(channel=GENERAL)
    assert error(client, "conversations.archive", channel=GENERAL) == "cant_archive_general"


def test_a_bot_renames_what_it_has_made(client: WebClient, workspace: RunningWorkspace) -> None:
    channel = make(client)
    renamed = client.conversations_rename(channel=channel, name="ideas")["channel"]
    assert renamed["name"] == "ideas" and "ideas" in names(workspace, "U0ADA")
    said = workspace.messages(channel)[-1]
    assert (said["subtype"], said["old_name"], said["name"]) == ("channel_name", "plans", "ideas")
    assert client.chat_postMessage(channel="#ideas", text="x")["channel"] == channel
    assert error(client, "conversations.rename", channel=TUNING, name="x") == "not_authorized"


@pytest.mark.parametrize("what", ["topic", "purpose"])
def test_a_channel_says_what_it_is_about(
    client: WebClient, workspace: RunningWorkspace, what: str
) -> None:
    method = {"topic": "conversations.setTopic", "purpose": "conversations.setPurpose"}[what]
    assert client.api_call(method, params={"channel": TUNING, what: "x" * 250})[what] == "x" * 250
    known = client.conversations_info(channel=TUNING)["channel"][what]
    assert known["value"] == "x" * 250 and known["creator"] == "U0BOT" and known["last_set"] > 0
    assert workspace.messages()[-1]["subtype"] == f"channel_{what}"
    assert error(client, method, channel=TUNING, **{what: "x" * 251}) == "too_long"
    assert error(client, method, channel=GENERAL, **{what: "x"}) == "not_in_channel"


def test_nobody_changes_what_the_channel_says_of_itself(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    client.conversations_setTopic(channel=TUNING, topic="new")
    place = {"channel": TUNING, "ts": workspace.messages()[-1]["ts"]}
    assert error(client, "chat.update", **place, text="x") == "cant_update_message"
    assert error(client, "chat.delete", **place) == "cant_delete_message"


def test_channels_and_what_they_are_survive_a_restart(tmp_path: Path) -> None:
    whole = manifest("keeper", *READ, *MANAGE)
    running = RunningWorkspace(tmp_path, whole)
    client = WebClient(running.bot_token, base_url=running.api_url)
    channel = make(client, "secret", is_private=True)
    client.conversations_invite(channel=channel, users="U0ADA,U0GRACE")
    client.conversations_kick(channel=channel, user="U0GRACE")
    client.conversations_setTopic(channel=channel, topic="quiet")
    client.conversations_archive(channel=channel)
    running.stop()
    running = RunningWorkspace(tmp_path, whole)
    client = WebClient(running.bot_token, base_url=running.api_url)
    known = client.conversations_info(channel=channel)["channel"]
    assert known["is_archived"] and known["is_private"] and known["topic"]["value"] == "quiet"
    assert client.conversations_members(channel=channel)["members"] == ["U0ADA", "U0BOT"]
    running.stop()


# --- direct messages ------------------------------------------------------------------------------


def test_a_group_of_people_has_one_direct_message(
    client: WebClient, reader: WebClient, workspace: RunningWorkspace
) -> None:
    opened = client.conversations_open(users="U0ADA,U0GRACE", return_im=True)["channel"]
    assert opened["is_mpim"] and opened["is_private"]
    assert opened["name"] == "mpdm-ada--grace--keeper-1"
    again = client.conversations_open(users="U0GRACE,U0ADA")
    assert again["channel"]["id"] == opened["id"] and again["already_open"]
    client.chat_postMessage(channel=opened["id"], text="psst")
    assert workspace.messages(opened["id"], user="U0GRACE")[0]["text"] == "psst"
    with pytest.raises(PersonRefused, match="no channel"):
        workspace.messages(opened["id"], user="U0GUEST")
    assert error(reader, "conversations.info", channel=opened["id"]) == "channel_not_found"
    listed = client.conversations_list(types="mpim")["channels"]
    assert [c["id"] for c in listed] == [opened["id"]]
    for method in ("invite", "kick", "leave", "archive", "rename", "setTopic", "join"):
        code = error(client, f"conversations.{method}", channel=opened["id"], users="U0GUEST")
        assert code == "method_not_supported_for_channel_type", method


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "users_list_not_supplied"),
        ({"users": "U9"}, "user_not_found"),
        ({"users": "U0BOT"}, "not_enough_users"),
        ({"users": "USLACKBOT"}, "cannot_dm_bot"),
        ({"channel": "C0TUNING"}, "method_not_supported_for_channel_type"),
        ({"channel": "D9"}, "channel_not_found"),
    ],
)
def test_a_direct_message_that_cannot_be_is_refused(
    client: WebClient, arguments: dict[str, str], code: str
) -> None:
    assert error(client, "conversations.open", **arguments) == code


def test_a_direct_message_is_known_to_its_app_alone(client: WebClient, reader: WebClient) -> None:
    direct = client.conversations_open(users="U0ADA")["channel"]["id"]
    assert client.conversations_close(channel=direct)["no_op"]
    assert error(reader, "chat.postMessage", channel=direct, text="x") == "channel_not_found"
    for method in ("conversations.close", "conversations.invite"):
        code = "method_not_supported_for_channel_type"
        place = TUNING if method.endswith("close") else direct
        assert error(client, method, channel=place, users="U0GRACE") == code
