"""The Web API through the real slack_sdk client: what it does, and how it refuses."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST

TUNING, GENERAL = "C0TUNING", "C0GENERAL"
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "Sunny"}}


def refusal(client: WebClient, method: str, **arguments: Any) -> Any:
    with pytest.raises(SlackApiError) as refused:
        client.api_call(method, json=arguments)
    return refused.value.response.data


def error(client: WebClient, method: str, **arguments: Any) -> str:
    return str(refusal(client, method, **arguments)["error"])


def post(client: WebClient, text: str = "hello", **more: Any) -> str:
    return str(client.chat_postMessage(channel=TUNING, text=text, **more)["ts"])


# --- tokens and scopes ----------------------------------------------------------------------------


def test_auth_test_says_who_the_bot_is(client: WebClient, workspace: RunningWorkspace) -> None:
    me = client.auth_test()
    assert me["url"] == f"{workspace.url}/"
    assert (me["user_id"], me["bot_id"], me["user"]) == ("U0BOT", "B0WEATHER", "weather")
    assert me.headers["X-OAuth-Scopes"].startswith("commands,chat:write")


def test_each_token_opens_its_own_doors(workspace: RunningWorkspace) -> None:
    def with_token(token: str | None) -> WebClient:
        return WebClient(token, base_url=workspace.api_url)

    assert error(with_token(None), "auth.test") == "not_authed"
    assert error(with_token("xoxb-wrong"), "auth.test") == "invalid_auth"
    assert error(with_token(workspace.app_token), "auth.test") == "not_allowed_token_type"
    bot = with_token(workspace.bot_token)
    assert error(bot, "apps.connections.open") == "not_allowed_token_type"
    app = with_token(workspace.app_token)
    url = app.apps_connections_open(app_token=workspace.app_token)["url"]
    assert url.startswith("ws://127.0.0.1:")


@pytest.fixture
def shy(tmp_path: Path) -> Iterator[RunningWorkspace]:
    """A workspace whose app may do nearly nothing."""
    manifest = {
        **MANIFEST,
        "features": {},
        "settings": {},
        "oauth_config": {"scopes": {"bot": ["commands", "channels:read"]}},
    }
    running = RunningWorkspace(tmp_path / "shy", manifest)
    yield running
    running.stop()


def test_a_missing_scope_is_named(shy: RunningWorkspace) -> None:
    client = WebClient(shy.bot_token, base_url=shy.api_url)
    answer = refusal(client, "chat.postMessage", channel=TUNING, text="x")
    assert answer["error"] == "missing_scope"
    assert answer["needed"] == "chat:write" and answer["provided"] == "commands,channels:read"
    assert error(client, "conversations.history", channel=TUNING) == "missing_scope"
    assert error(client, "conversations.list", types="im") == "missing_scope"
    assert len(client.conversations_list()["channels"]) == 2
    home = {"type": "home", "blocks": []}
    assert error(client, "views.publish", user_id="U0ADA", view=home) == "not_enabled"


@pytest.mark.parametrize("kind", ["json", "form", "query"])
def test_arguments_come_as_json_form_or_query(client: WebClient, kind: str) -> None:
    given: dict[str, Any] = {"channel": TUNING, "text": "by any way", "blocks": [SECTION]}
    if kind == "json":
        answer = client.api_call("chat.postMessage", json=given)
    else:
        flat = {**given, "blocks": json.dumps(given["blocks"])}
        where: dict[str, Any] = {"data" if kind == "form" else "params": flat}
        answer = client.api_call("chat.postMessage", **where)
    assert answer["message"]["blocks"][0]["text"]["text"] == "Sunny"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"[1]", "json_not_object"),
        # No browser reads a NaN, and no parser a value that deep.
        (b'{"metadata": {"event_type": "e", "event_payload": {"x": NaN}}}', "invalid_json"),
        (b'{"blocks": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "invalid_json"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(
    workspace: RunningWorkspace, body: bytes, code: str
) -> None:
    url = f"{workspace.api_url}auth.test"
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as response:
        assert json.load(response) == {"ok": False, "error": code}


# --- messages -------------------------------------------------------------------------------------


def test_a_posted_message_is_the_bots_and_its_blocks_get_ids(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    answer = client.chat_postMessage(channel=TUNING, text="hello", blocks=[SECTION])
    message = answer["message"]
    assert answer["ts"] == message["ts"] and answer["channel"] == TUNING
    assert (message["user"], message["bot_id"]) == ("U0BOT", "B0WEATHER")
    assert message["blocks"][0]["block_id"]
    assert workspace.messages() == [message]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"text": "x"}, "invalid_arguments"),
        ({"channel": "C9", "text": "x"}, "channel_not_found"),
        ({"channel": GENERAL, "text": "x"}, "not_in_channel"),
        ({"channel": TUNING}, "no_text"),
        ({"channel": TUNING, "blocks": "{"}, "invalid_blocks_format"),
        ({"channel": TUNING, "text": "x", "blocks": {}}, "invalid_blocks_format"),
        ({"channel": TUNING, "text": "x", "metadata": "{"}, "invalid_metadata_format"),
        ({"channel": TUNING, "text": "x", "attachments": [{}] * 101}, "too_many_attachments"),
        ({"channel": TUNING, "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
    ],
)
def test_a_message_that_cannot_be_posted_is_refused_with_slacks_error(
    client: WebClient, arguments: dict[str, Any], code: str
) -> None:
    assert error(client, "chat.postMessage", **arguments) == code


def test_invalid_blocks_are_explained_with_json_pointers(client: WebClient) -> None:
    long = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    answer = refusal(client, "chat.postMessage", channel=TUNING, text="x", blocks=[long])
    words = "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert answer["error"] == "invalid_blocks"
    assert answer["errors"] == [words]
    assert answer["response_metadata"]["messages"] == [f"[ERROR] {words}"]


def test_long_text_is_cut_when_posted_and_refused_when_updated(client: WebClient) -> None:
    answer = client.chat_postMessage(channel=TUNING, text="x" * 40_001)
    assert len(answer["message"]["text"]) == 40_000
    same = {"channel": TUNING, "ts": answer["ts"]}
    assert error(client, "chat.update", **same, text="x" * 4001) == "msg_too_long"
    client.chat_update(**same, text="x" * 4000)


def test_a_channel_may_be_named_and_a_person_gets_a_direct_message(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    assert client.chat_postMessage(channel="#tuning", text="x")["channel"] == TUNING
    direct = client.chat_postMessage(channel="U0ADA", text="psst")["channel"]
    assert direct == client.conversations_open(users="U0ADA")["channel"]["id"] == "D0ADA"
    assert [m["text"] for m in workspace.messages(direct)] == ["psst"]
    shown = {c["id"]: c for c in workspace.state()["channels"]}
    assert shown[direct]["is_im"] and shown[direct]["name"] == "weather"
    assert direct not in {c["id"] for c in workspace.state(user="U0GRACE")["channels"]}


def test_timestamps_rise_within_a_channel(client: WebClient, workspace: RunningWorkspace) -> None:
    workspace.control(has_rate_limits=False)
    stamps = [post(client, str(n)) for n in range(20)]
    assert stamps == sorted(set(stamps))
    assert all(len(ts.split(".")[1]) == 6 for ts in stamps)


def test_a_thread_counts_its_replies_and_a_reply_is_no_root(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    root = post(client)
    reply = post(client, "one", thread_ts=root)
    broadcast = post(client, "two", thread_ts=root, reply_broadcast=True)
    workspace.message("three", thread_ts=root)
    again = {"channel": TUNING, "text": "x", "thread_ts": reply}
    assert error(client, "chat.postMessage", **again) == "cannot_reply_to_message"
    found = client.conversations_replies(channel=TUNING, ts=root)["messages"]
    assert [m["text"] for m in found] == ["hello", "one", "two", "three"]
    assert found[0]["reply_count"] == 3 and found[0]["reply_users"] == ["U0BOT", "U0ADA"]
    assert found[0]["thread_ts"] == root and found[1]["parent_user_id"] == "U0BOT"
    channel = client.conversations_history(channel=TUNING)["messages"]
    assert [m["ts"] for m in channel] == [broadcast, root]
    assert error(client, "conversations.replies", channel=TUNING, ts="1.0") == "thread_not_found"


def test_an_update_with_blocks_is_silent_and_one_with_text_alone_removes_them(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    metadata = {"event_type": "card", "event_payload": {"id": 7}}
    ts = post(client, blocks=[SECTION], metadata=metadata)
    client.chat_update(channel=TUNING, ts=ts, text="new", blocks=[SECTION, {"type": "divider"}])
    (message,) = workspace.messages()
    assert message["text"] == "new" and len(message["blocks"]) == 2
    assert "edited" not in message and message["metadata"] == metadata
    client.chat_update(channel=TUNING, ts=ts, text="newer")
    (message,) = workspace.messages()
    assert message["edited"]["user"] == "U0BOT" and "blocks" not in message
    assert message["metadata"] == metadata
    new = {"event_type": "card", "event_payload": {"id": 8}}
    client.chat_update(channel=TUNING, ts=ts, text="newest", metadata=new)
    assert workspace.messages()[0]["metadata"] == new


def test_attachments_stay_over_an_update_until_they_are_emptied(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    ts = post(client, attachments=[{"color": "#f00", "blocks": [SECTION]}])
    client.chat_update(channel=TUNING, ts=ts, text="kept")
    assert workspace.messages()[0]["attachments"][0]["id"] == 1
    client.chat_update(channel=TUNING, ts=ts, text="gone", attachments=[])
    assert "attachments" not in workspace.messages()[0]


def test_only_the_bots_own_messages_can_be_changed(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    mine = workspace.message("mine")["ts"]
    place = {"channel": TUNING, "ts": mine}
    assert error(client, "chat.update", **place, text="x") == "cant_update_message"
    assert error(client, "chat.delete", **place) == "cant_delete_message"
    assert error(client, "chat.update", channel=TUNING, ts="1.0", text="x") == "message_not_found"
    assert error(client, "chat.update", channel="#tuning", ts=mine, text="x") == "channel_not_found"


def test_a_deleted_message_is_gone_and_a_deleted_root_leaves_a_tombstone(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    lonely, root = post(client, "lonely"), post(client, "root")
    post(client, "reply", thread_ts=root)
    client.chat_delete(channel=TUNING, ts=lonely)
    client.chat_delete(channel=TUNING, ts=root)
    (tombstone,) = workspace.messages()
    assert tombstone["subtype"] == "tombstone" and tombstone["reply_count"] == 1
    assert error(client, "chat.delete", channel=TUNING, ts=lonely) == "message_not_found"
    late = {"channel": TUNING, "text": "x", "thread_ts": root}
    assert error(client, "chat.postMessage", **late) == "cannot_reply_to_message"


def test_an_ephemeral_message_is_seen_by_one_person_only(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    shown = client.chat_postEphemeral(channel=TUNING, user="U0ADA", text="psst")
    (message,) = workspace.messages(user="U0ADA")
    assert message["is_ephemeral"] and message["ts"] == shown["message_ts"]
    assert workspace.messages(user="U0GRACE") == []
    assert client.conversations_history(channel=TUNING)["messages"] == []
    nobody = {"channel": TUNING, "user": "U9", "text": "x"}
    assert error(client, "chat.postEphemeral", **nobody) == "user_not_in_channel"
    update = {"channel": TUNING, "ts": message["ts"], "text": "x"}
    assert error(client, "chat.update", **update) == "message_not_found"


def test_a_permalink_opens_the_page(client: WebClient, workspace: RunningWorkspace) -> None:
    root = post(client)
    reply = post(client, "reply", thread_ts=root)
    link = client.chat_getPermalink(channel=TUNING, message_ts=root)["permalink"]
    assert link == f"{workspace.url}/archives/{TUNING}/p{root.replace('.', '')}"
    link = client.chat_getPermalink(channel=TUNING, message_ts=reply)["permalink"]
    assert link.endswith(f"?thread_ts={root}&cid={TUNING}")
    with urllib.request.urlopen(link) as response:
        assert response.headers["Content-Type"].startswith("text/html")


# --- reading --------------------------------------------------------------------------------------


def test_history_is_paged_by_cursor_without_loss(client: WebClient) -> None:
    stamps = [post(client, str(n)) for n in range(7)]
    pages = [page.data for page in client.conversations_history(channel=TUNING, limit=3)]
    assert [len(page["messages"]) for page in pages] == [3, 3, 1]
    assert [m["ts"] for page in pages for m in page["messages"]] == stamps[::-1]
    assert [page["has_more"] for page in pages] == [True, True, False]
    some = client.conversations_history(
        channel=TUNING, oldest=stamps[2], latest=stamps[4], inclusive=True
    )
    assert [m["ts"] for m in some["messages"]] == stamps[4:1:-1]
    between = client.conversations_history(channel=TUNING, oldest=stamps[2], latest=stamps[4])
    assert [m["ts"] for m in between["messages"]] == [stamps[3]]
    for cursor in ("x", "\x80", "bmV4dA=="):
        place = {"channel": TUNING, "cursor": cursor}
        assert error(client, "conversations.history", **place) == "invalid_cursor"
    assert error(client, "conversations.history", channel=TUNING, limit=0) == "invalid_limit"


def test_replies_are_paged_and_begin_with_the_root(client: WebClient) -> None:
    root = post(client)
    stamps = [root, *(post(client, str(n), thread_ts=root) for n in range(5))]
    pages = [p.data for p in client.conversations_replies(channel=TUNING, ts=root, limit=2)]
    assert [m["ts"] for page in pages for m in page["messages"]] == stamps
    newer = client.conversations_replies(channel=TUNING, ts=root, oldest=stamps[3])
    assert [m["ts"] for m in newer["messages"]] == [root, *stamps[4:]]


def test_metadata_is_for_those_who_ask(client: WebClient) -> None:
    metadata = {"event_type": "card", "event_payload": {"id": 7}}
    post(client, metadata=metadata)
    (message,) = client.conversations_history(channel=TUNING)["messages"]
    assert "metadata" not in message
    whole = client.conversations_history(channel=TUNING, include_all_metadata=True)
    assert whole["messages"][0]["metadata"] == metadata


def test_the_bot_joins_a_channel_before_it_reads_it(client: WebClient) -> None:
    assert error(client, "conversations.history", channel=GENERAL) == "not_in_channel"
    assert client.conversations_join(channel=GENERAL)["channel"]["is_member"]
    (joined,) = client.conversations_history(channel=GENERAL)["messages"]
    assert (joined["subtype"], joined["user"]) == ("channel_join", "U0BOT")
    members = client.conversations_members(channel=GENERAL)["members"]
    assert members == ["U0ADA", "U0BOT", "U0GRACE"]


def test_channels_and_people_are_listed_in_pages(client: WebClient) -> None:
    pages = [page.data for page in client.conversations_list(limit=1)]
    names = [c["name"] for page in pages for c in page["channels"]]
    assert names == ["general", "tuning"]
    assert client.conversations_info(channel=TUNING)["channel"]["is_member"]
    people = [p["id"] for page in client.users_list(limit=2) for p in page["members"]]
    assert people == ["U0ADA", "U0GRACE", "U0GUEST", "USLACKBOT", "U0BOT"]
    assert error(client, "conversations.list", types="secret") == "invalid_types"


def test_people_and_bots_say_what_they_are(client: WebClient) -> None:
    assert client.users_info(user="U0GUEST")["user"]["is_restricted"]
    assert client.users_info(user="U0ADA")["user"]["is_owner"]
    bot = client.users_info(user="U0BOT")["user"]
    assert bot["is_bot"] and bot["profile"]["bot_id"] == "B0WEATHER"
    assert client.bots_info(bot="B0WEATHER")["bot"]["user_id"] == "U0BOT"
    assert client.team_info()["team"]["id"] == "T0LOCAL"
    assert error(client, "users.info", user="U9") == "user_not_found"
    assert error(client, "bots.info", bot="B9") == "bot_not_found"
    assert error(client, "conversations.open") == "users_list_not_supplied"
