"""The rarer arguments and refusals of the chat.* methods, through the real slack_sdk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from bot.workspace.timing import Timing
from tests.harness import RunningWorkspace
from tests.workspace import pictures
from tests.workspace.api_calls import client_of, error, manifest, refusal
from tests.workspace.conftest import Clock

TUNING = "C0TUNING"
SCOPES = ["chat:write", "files:read", "files:write", "links:write", "channels:history"]
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "Sunny"}}
RICH = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "Sunny"}]}],
}


@pytest.fixture
def workspace(tmp_path: Path, clock: Clock) -> Iterator[RunningWorkspace]:
    """An app that may change its looks, and one that may not and has no messages tab."""
    plain = manifest("plain", SCOPES)
    plain["features"]["app_home"] = {"messages_tab_enabled": False}
    running = RunningWorkspace(
        tmp_path,
        manifest("vain", [*SCOPES, "chat:write.customize"]),
        plain,
        timing=Timing(clock=clock, edit_window_s=3600, file_ready_s=0.0, has_rate_limits=False),
    )
    yield running
    running.stop()


@pytest.fixture
def client(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace)


@pytest.fixture
def plain(workspace: RunningWorkspace) -> WebClient:
    return client_of(workspace, 1)


def post(client: WebClient, **more: Any) -> Any:
    return client.chat_postMessage(**{"channel": TUNING, "text": "x", **more})["message"]


# --- how a message looks --------------------------------------------------------------------------


def test_a_message_may_have_another_name_and_icon(client: WebClient, plain: WebClient) -> None:
    named = post(client, username="Oracle", icon_emoji=":crystal_ball:")
    assert (named["username"], named["icons"]) == ("Oracle", {"emoji": ":crystal_ball:"})
    assert named["subtype"] == "bot_message"
    assert post(client, icon_url="https://example.org/a.png")["icons"] == {
        "image_48": "https://example.org/a.png"
    }
    answer = refusal(plain, "chat.postMessage", channel=TUNING, text="x", username="Oracle")
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write.customize")
    as_user = {"channel": TUNING, "text": "x", "as_user": True}
    assert error(client, "chat.postMessage", **as_user) == "as_user_not_supported"
    assert "subtype" not in post(client, as_user=False)


def test_text_is_formatted_and_linked_as_the_call_says(client: WebClient) -> None:
    words = "@ml-team @nobody #tuning a@b.c"
    assert post(client, text=words)["text"] == words
    linked = post(client, text=words, link_names=True)["text"]
    assert linked == "<!subteam^S0MLTEAM> @nobody #tuning a@b.c"
    full = post(client, text=words, parse="full")
    assert full["text"] == "<!subteam^S0MLTEAM> @nobody <#C0TUNING|tuning> a@b.c"
    assert full["mrkdwn"] is False
    assert post(client, mrkdwn=False)["mrkdwn"] is False
    assert "mrkdwn" not in post(client, mrkdwn=True, unfurl_links=False, unfurl_media=False)


def test_markdown_text_becomes_a_markdown_block(client: WebClient) -> None:
    message = client.chat_postMessage(channel=TUNING, markdown_text="**best** so far")["message"]
    (block,) = message["blocks"]
    assert (block["type"], block["text"]) == ("markdown", "**best** so far")
    both = {"channel": TUNING, "markdown_text": "a", "text": "b"}
    assert error(client, "chat.postMessage", **both) == "markdown_text_conflict"
    blocks = {"channel": TUNING, "markdown_text": "a", "blocks": [SECTION]}
    assert error(client, "chat.postMessage", **blocks) == "markdown_text_conflict"
    client.chat_update(channel=TUNING, ts=message["ts"], markdown_text="x" * 12_000)
    long = {"channel": TUNING, "markdown_text": "x" * 12_001}
    assert error(client, "chat.postMessage", **long) == "msg_too_long"


def test_a_me_message_is_said_of_the_bot(client: WebClient, workspace: RunningWorkspace) -> None:
    client.chat_meMessage(channel=TUNING, text="thinks")
    (message,) = workspace.messages()
    assert (message["subtype"], message["text"]) == ("me_message", "thinks")
    assert error(client, "chat.meMessage", channel=TUNING) == "no_text"
    assert error(client, "chat.meMessage", channel=TUNING, text="x" * 40_001) == "msg_too_long"
    assert error(client, "chat.meMessage", channel="C0GENERAL", text="x") == "not_in_channel"


def test_metadata_may_be_so_large(client: WebClient) -> None:
    def metadata(size: int) -> dict[str, Any]:
        return {"event_type": "e", "event_payload": {"x": "x" * size}}

    post(client, metadata=metadata(8000))
    large = {"channel": TUNING, "text": "x", "metadata": metadata(8192)}
    assert error(client, "chat.postMessage", **large) == "metadata_too_large"
    wrong = {"channel": TUNING, "text": "x", "metadata": {"event_type": "e"}}
    assert error(client, "chat.postMessage", **wrong) == "invalid_metadata_format"


def test_an_app_without_a_messages_tab_gets_no_direct_message(plain: WebClient) -> None:
    direct = {"channel": "U0ADA", "text": "x"}
    assert error(plain, "chat.postMessage", **direct) == "messages_tab_disabled"


# --- updates --------------------------------------------------------------------------------------


def test_a_message_can_be_changed_for_so_long(client: WebClient, clock: Clock) -> None:
    place = {"channel": TUNING, "ts": post(client)["ts"]}
    clock.advance(3500)
    client.chat_update(**place, text="in time")
    clock.advance(200)
    assert error(client, "chat.update", **place, text="late") == "edit_window_closed"


def test_rich_text_is_replaced_by_rich_text_alone(client: WebClient) -> None:
    place = {"channel": TUNING, "ts": post(client, blocks=[RICH])["ts"]}
    assert error(client, "chat.update", **place, blocks=[SECTION]) == "block_mismatch"
    client.chat_update(**place, text="x", blocks=[RICH, SECTION])


def test_an_update_of_attachments_alone_keeps_text_and_blocks(client: WebClient) -> None:
    ts = post(client, text="kept", blocks=[SECTION])["ts"]
    change = {"channel": TUNING, "ts": ts, "attachments": [{"text": "new"}]}
    new = client.api_call("chat.update", json=change)["message"]
    assert new["text"] == "kept" and new["blocks"][0]["type"] == "section"
    assert new["attachments"][0]["text"] == "new"
    assert error(client, "chat.update", channel=TUNING, ts=ts) == "no_text"


def test_an_empty_object_takes_the_metadata_away(client: WebClient) -> None:
    ts = post(client, metadata={"event_type": "e", "event_payload": {}})["ts"]
    assert "metadata" in client.chat_update(channel=TUNING, ts=ts, text="y")["message"]
    new = client.chat_update(channel=TUNING, ts=ts, text="z", metadata={})["message"]
    assert "metadata" not in new


def test_a_reply_is_broadcast_later_as_it_is(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    root = post(client)["ts"]
    place = {"channel": TUNING, "ts": post(client, thread_ts=root)["ts"]}
    assert [m["ts"] for m in workspace.messages()] == [root]
    both = {**place, "text": "y", "reply_broadcast": True}
    assert error(client, "chat.update", **both) == "no_dual_broadcast_content_update"
    client.api_call("chat.update", json={**place, "reply_broadcast": True})
    assert [m["ts"] for m in workspace.messages()] == [root, place["ts"]]
    wrong = {"channel": TUNING, "ts": root, "reply_broadcast": True}
    assert error(client, "chat.update", **wrong) == "cant_broadcast_message"


def test_an_update_changes_the_files_of_a_message(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    def upload(name: str) -> str:
        answer = client.files_upload_v2(filename=name, content=pictures.png())
        return str(answer["file"]["id"])

    old, new = upload("old.png"), upload("new.png")
    ts = post(client)["ts"]
    client.api_call("chat.update", json={"channel": TUNING, "ts": ts, "file_ids": [old]})
    client.chat_update(channel=TUNING, ts=ts, text="better", file_ids=[new])
    (message,) = workspace.messages()
    assert message["text"] == "better" and [f["id"] for f in message["files"]] == [new]
    assert client.files_info(file=new)["file"]["channels"] == [TUNING]
    wrong = {"channel": TUNING, "ts": ts, "file_ids": "F9"}
    assert error(client, "chat.update", **wrong) == "file_not_found"


# --- links ----------------------------------------------------------------------------------------


def test_links_of_a_message_are_unfurled_once(
    client: WebClient, workspace: RunningWorkspace
) -> None:
    url = "https://board.example/?run=7&x=1"
    ts = workspace.message(f"see <{url}>")["ts"]
    place = {"channel": TUNING, "ts": ts}
    client.chat_unfurl(**place, unfurls={url: {"blocks": [SECTION]}})
    client.chat_unfurl(**place, unfurls={url: {"text": "Run 7"}})
    (attachment,) = workspace.messages()[0]["attachments"]
    assert attachment["text"] == "Run 7" and attachment["is_app_unfurl"]
    assert attachment["app_unfurl_url"] == url
    method = "chat.unfurl"
    other = {"https://other.example": {"text": "x"}}
    assert error(client, method, **place, unfurls=other) == "cannot_unfurl_message"
    assert error(client, method, **place, unfurls={url: 7}) == "cannot_parse_attachment"
    assert error(client, method, **place, unfurls="[") == "invalid_unfurls_format"
    assert error(client, method, **place) == "missing_unfurls"
    assert error(client, method, ts=ts, unfurls={}) == "missing_channel"
    assert error(client, method, channel=TUNING, unfurls={}) == "missing_ts"
    nowhere = {"channel": "C9", "ts": ts, "unfurls": {}}
    assert error(client, method, **nowhere) == "cannot_find_channel"
    never = {"channel": TUNING, "ts": "1.000001", "unfurls": {}}
    assert error(client, method, **never) == "cannot_find_message"


# --- files in attachments -------------------------------------------------------------------------


def test_a_file_in_an_attachment_is_checked_as_well(client: WebClient) -> None:
    block = {"type": "image", "alt_text": "a", "slack_file": {"id": "F9"}}
    answer = refusal(
        client, "chat.postMessage", channel=TUNING, text="x", attachments=[{"blocks": [block]}]
    )
    pointer = "invalid slack file [json-pointer:/attachments/0/blocks/0/slack_file]"
    assert answer["error"] == "invalid_blocks" and answer["errors"] == [pointer]
