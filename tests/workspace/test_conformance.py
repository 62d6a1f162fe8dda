"""What an app relies on in Slack holds for every client of the SDK, over both transports."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from slack_bolt.adapter.socket_mode import SocketModeHandler as Builtin
from slack_sdk.errors import SlackApiError

from bot.workspace.person import Person, filled
from tests.harness import RunningWorkspace
from tests.workspace.conformance_app import (
    COMMAND,
    WAIT_S,
    Bot,
    Got,
    Json,
    Ledger,
    Plan,
    error,
    refusal,
)
from tests.workspace.conftest import MANIFEST, SCOPES
from tests.workspace.connections import (
    WAYS,
    Behind,
    Connected,
    Place,
    bolt_app,
    new_server,
    over_http,
    serving,
)

TUNING = "C0TUNING"
APP = "A0WEATHER"
CONFORMANCE: Json = {
    **MANIFEST,
    "oauth_config": {
        "scopes": {
            "bot": [
                *SCOPES,
                "bookmarks:read",
                "bookmarks:write",
                "channels:manage",
                "emoji:read",
                "files:read",
                "files:write",
                "incoming-webhook",
                "pins:read",
                "pins:write",
                "reactions:read",
                "users.profile:read",
                "users:read.email",
            ]
        }
    },
    "settings": {
        **MANIFEST["settings"],
        "event_subscriptions": {
            "bot_events": [
                *MANIFEST["settings"]["event_subscriptions"]["bot_events"],
                "app_uninstalled",
                "file_shared",
                "member_joined_channel",
                "member_left_channel",
                "reaction_added",
                "reaction_removed",
                "tokens_revoked",
            ]
        },
    },
}
_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=WAYS)
def connected(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, behind: Behind
) -> Iterator[Connected]:
    folder = tmp_path_factory.mktemp(request.param)
    place = Place(
        folder,
        CONFORMANCE,
        {"event_retries_after_s": (0.0, 0.0, 0.0), "has_rate_limits": False},
        behind,
    )
    with WAYS[request.param](place) as made:
        yield made


class Bench:
    """What a check works with: the app, a person, and a word that no other check uses."""

    def __init__(self, connected: Connected) -> None:
        self.workspace: RunningWorkspace = connected.workspace
        self.bot: Bot = connected.bot
        self.clock = connected.clock
        self.is_http = connected.is_http
        self.ada: Person = connected.workspace.person()
        self.word = f"word{next(_numbers)}"

    def plan(self, kind: str, **ack: Any) -> None:
        """How the app acknowledges the next of this kind."""
        self.bot.ledger.plan(kind, Plan(ack))

    def got(self, kind: str, *, about: str = "") -> Got:
        """The next of this kind that the app got; `about` stands somewhere in it."""
        while True:
            got = self.bot.ledger.queue(kind).get(timeout=WAIT_S)
            if about in str(got.body):
                return got

    def command(self, **ack: Any) -> tuple[Json, Got]:
        """The person gives the command: what the person is told, what the app got."""
        self.plan("command", **ack)
        told = self.ada.command(f"{COMMAND} {self.word}")
        return told, self.got("command", about=self.word)

    def open(self, **more: Any) -> Json:
        """A form that the app opened for the person, as the person sees it."""
        _, got = self.command()
        self.bot.call("views_open", trigger_id=got.body["trigger_id"], view=modal(**more))
        return self.seen()

    def seen(self) -> Json:
        """The form on top."""
        view = self.ada.view()
        assert view is not None
        return view

    def post(self, text: str = "", **more: Any) -> Json:
        """A message of the app."""
        return self.bot.call("chat_postMessage", channel=TUNING, text=text or self.word, **more)

    def shown(self, ts: str) -> Json:
        """The message as the person sees it now."""
        (message,) = (m for m in self.ada.messages() if m["ts"] == ts)
        return message

    def press(self, ts: str, action_id: str = "go") -> tuple[Json, Got]:
        """The person presses a button of a message."""
        told = self.ada.press(self.shown(ts), action_id)
        return told, self.got("block_actions", about=ts)

    def answer(self, url: str, **answer: Any) -> tuple[int, str]:
        """The app answers at a response URL, with the SDK's client for it."""
        hook = self.bot.webhook(url)
        response = self.bot.run(hook.send, **answer)
        return response.status_code, response.body


@pytest.fixture
def at(connected: Connected) -> Iterator[Bench]:
    bench = Bench(connected)
    yield bench
    while view := bench.ada.view():
        bench.ada.close(view["id"])


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def modal(title: str = "Form", **more: Any) -> Json:
    name = {
        "type": "input",
        "block_id": "name",
        "label": plain("Name"),
        "element": {"type": "plain_text_input", "action_id": "v"},
    }
    return {"type": "modal", "callback_id": "form", "title": plain(title), "submit": plain("OK"),
            "blocks": [name], **more}  # fmt: skip


BUTTON: Json = {"type": "button", "action_id": "go", "text": plain("Go"), "value": "1"}
GO = {"block_id": "row", "action_id": "go"}
ROW: Json = {"type": "actions", "block_id": "row", "elements": [BUTTON]}


# --- commands -------------------------------------------------------------------------------------


def test_the_text_of_an_acknowledgement_is_shown_to_the_person_alone(at: Bench) -> None:
    told, got = at.command(text=at.word)
    assert told["delivered"]
    (shown,) = (m for m in at.ada.messages() if at.word in m["text"])
    assert shown["is_ephemeral"] and shown["app_id"] == got.body["api_app_id"]
    others = at.workspace.messages(user="U0GRACE")
    assert not [m for m in others if at.word in m["text"]]


def test_an_acknowledgement_may_be_public_and_have_blocks(at: Bench) -> None:
    at.command(text=at.word, blocks=[ROW], response_type="in_channel")
    (shown,) = (m for m in at.workspace.messages(user="U0GRACE") if m["text"] == at.word)
    assert shown["blocks"][0]["elements"][0]["action_id"] == "go"


def test_a_command_carries_what_slack_documents(at: Bench) -> None:
    _, got = at.command()
    body = got.body
    assert body["command"] == COMMAND and body["text"] == at.word
    assert body["channel_id"] == TUNING and body["channel_name"] == "tuning"
    assert (body["user_id"], body["team_id"]) == ("U0ADA", "T0LOCAL")
    assert body["trigger_id"] and body["response_url"] and "thread_ts" not in body


def outcome(at: Bench, act: Callable[[], Json], kind: str, about: str) -> Json:
    """What the person is told once the app has got it and the three seconds are over."""
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        at.got(kind, about=about)
        at.clock.advance(3)
        return acting.result(WAIT_S)


def test_a_command_without_acknowledgement_times_out(at: Bench) -> None:
    at.bot.ledger.plan("command", Plan(ack=None))
    told = outcome(at, lambda: at.ada.command(f"{COMMAND} {at.word}"), "command", at.word)
    assert (told["delivered"], told["error"]) == (False, "operation_timeout")
    words = f'{COMMAND} failed with the error "operation_timeout"'
    assert words in [m["text"] for m in at.ada.messages()]


def test_a_listener_that_fails_is_an_error_over_http_and_silence_in_a_socket(at: Bench) -> None:
    at.bot.ledger.plan("command", Plan(fails=True))
    if at.is_http:
        told = at.ada.command(COMMAND)
        assert told["error"] == "http_service_error"
    else:
        told = outcome(at, lambda: at.ada.command(f"{COMMAND} {at.word}"), "command", at.word)
        assert told["error"] == "operation_timeout"


# --- views ----------------------------------------------------------------------------------------


def test_a_form_opens_with_a_trigger_that_works_once(at: Bench) -> None:
    _, got = at.command()
    trigger = got.body["trigger_id"]
    view = at.bot.call("views_open", trigger_id=trigger, view=modal())["view"]
    assert [v["id"] for v in at.workspace.state()["views"]] == [view["id"]]
    again = error(at.bot, "views_open", trigger_id=trigger, view=modal())
    assert again == "exchanged_trigger_id"
    assert error(at.bot, "views_open", trigger_id="1.2.x", view=modal()) == "invalid_trigger_id"


def test_a_trigger_lives_three_seconds(at: Bench) -> None:
    _, got = at.command()
    at.clock.advance(3.1)
    late = error(at.bot, "views_open", trigger_id=got.body["trigger_id"], view=modal())
    assert late == "expired_trigger_id"


def test_a_view_is_updated_by_its_newest_hash(at: Bench) -> None:
    view = at.open()
    by_hash = {"view_id": view["id"], "hash": view["hash"]}
    updated = at.bot.call("views_update", **by_hash, view=modal("Two"))["view"]
    assert updated["title"]["text"] == "Two" and updated["hash"] != view["hash"]
    assert error(at.bot, "views_update", **by_hash, view=modal("Three")) == "hash_conflict"
    assert error(at.bot, "views_update", view_id="V0", view=modal()) == "not_found"


def test_views_pile_up_to_three(at: Bench) -> None:
    root = at.open(blocks=[ROW])

    def pressed() -> str:
        """The trigger of a button in the form on top."""
        view = at.seen()
        at.ada.action({"type": "button", **GO}, view_id=view["id"])
        return str(at.got("block_actions", about=view["id"]).body["trigger_id"])

    for height in (2, 3):
        view = modal(f"View {height}", blocks=[ROW])
        pushed = at.bot.call("views_push", trigger_id=pressed(), view=view)["view"]
        assert pushed["root_view_id"] == root["id"]
    fourth = error(at.bot, "views_push", trigger_id=pressed(), view=modal())
    assert fourth == "push_limit_reached"


def test_an_external_id_is_one_views(at: Bench) -> None:
    at.open(external_id=at.word)
    _, got = at.command()
    twice = error(
        at.bot, "views_open", trigger_id=got.body["trigger_id"], view=modal(external_id=at.word)
    )
    assert twice == "duplicate_external_id"
    updated = at.bot.call(
        "views_update", external_id=at.word, view=modal("By name", external_id=at.word)
    )
    assert updated["view"]["title"]["text"] == "By name"


def test_what_was_typed_stays_where_ids_stay(at: Bench) -> None:
    row = {**modal()["blocks"][0], "dispatch_action": True}
    view = at.open(blocks=[row])
    typed = {"type": "plain_text_input", "block_id": "name", "action_id": "v", "value": "Oslo"}
    assert at.ada.action(typed, view_id=view["id"])["delivered"]
    body = at.got("block_actions", about=view["id"]).body
    assert body["view"]["state"]["values"]["name"]["v"]["value"] == "Oslo"
    assert body["container"] == {"type": "view", "view_id": view["id"]}
    assert "response_url" not in body and body["trigger_id"]
    at.bot.call("views_update", view_id=view["id"], view=modal("Two", blocks=[row]))
    assert at.seen()["state"]["values"]["name"]["v"]["value"] == "Oslo"
    other = {**row, "block_id": "other"}
    at.bot.call("views_update", view_id=view["id"], view=modal("Three", blocks=[other]))
    assert set(at.seen()["state"]["values"]) == {"other"}


def test_a_submission_is_answered_with_errors(at: Bench) -> None:
    view = at.open()
    at.plan("view_submission", response_action="errors", errors={"name": "too short"})
    told = at.ada.submit(view["id"], filled(view, {"name": "ab"}))
    assert told["response_action"] == "errors" and told["errors"] == {"name": "too short"}
    assert len(told["views"]) == 1
    body = at.got("view_submission", about=view["id"]).body
    assert body["view"]["state"]["values"]["name"]["v"]["value"] == "ab"
    assert body["response_urls"] == []


@pytest.mark.parametrize(("action", "height"), [("update", 1), ("push", 2)])
def test_a_submission_is_answered_with_a_view(at: Bench, action: str, height: int) -> None:
    view = at.open()
    at.plan("view_submission", response_action=action, view=modal("Next"))
    told = at.ada.submit(view["id"], filled(view, {"name": "again"}))
    assert told["response_action"] == action
    assert len(told["views"]) == height and told["views"][-1]["title"]["text"] == "Next"


@pytest.mark.parametrize("ack", [{}, {"response_action": "clear"}], ids=["close", "clear"])
def test_a_submission_ends_the_form(at: Bench, ack: Json) -> None:
    view = at.open()
    at.plan("view_submission", **ack)
    told = at.ada.submit(view["id"], filled(view, {"name": "good name"}))
    assert told["delivered"] and told["views"] == []


def test_a_form_that_asks_where_gives_a_response_url_for_it(at: Bench) -> None:
    where = {
        "type": "input",
        "block_id": "where",
        "label": plain("Where"),
        "element": {
            "type": "conversations_select", "action_id": "v", "response_url_enabled": True
        },
    }  # fmt: skip
    view = at.open(blocks=[where])
    chosen = {"where": {"v": {"type": "conversations_select", "selected_conversation": TUNING}}}
    assert at.ada.submit(view["id"], chosen)["delivered"]
    (url,) = at.got("view_submission", about=view["id"]).body["response_urls"]
    assert (url["block_id"], url["action_id"], url["channel_id"]) == ("where", "v", TUNING)
    assert at.answer(url["response_url"], text=at.word, response_type="in_channel") == (200, "ok")
    assert at.ada.messages()[-1]["text"] == at.word


def test_a_submission_without_acknowledgement_leaves_the_form(at: Bench) -> None:
    view = at.open()
    at.bot.ledger.plan("view_submission", Plan(ack=None))
    values = filled(view, {"name": "x"})
    told = outcome(
        at, lambda: at.ada.submit(view["id"], values), "view_submission", about=view["id"]
    )
    assert told["error"] == "operation_timeout" and len(told["views"]) == 1


def test_a_closed_form_is_reported_if_the_app_asked(at: Bench) -> None:
    view = at.open(notify_on_close=True)
    at.ada.close(view["id"])
    body = at.got("view_closed", about=view["id"]).body
    assert body["is_cleared"] is False and "trigger_id" not in body


def test_a_view_that_breaks_the_rules_is_refused_with_a_pointer(at: Bench) -> None:
    _, got = at.command()
    trigger = got.body["trigger_id"]
    answer = refusal(at.bot, "views_open", trigger_id=trigger, view=modal("T" * 25))
    assert answer["error"] == "invalid_arguments"
    (words,) = answer["response_metadata"]["messages"]
    assert words == "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"


def test_home_is_published_with_its_hash(at: Bench) -> None:
    home = {"type": "home", "blocks": [{"type": "divider"}]}
    view = at.bot.call("views_publish", user_id="U0ADA", view=home)["view"]
    again = {"user_id": "U0ADA", "view": home, "hash": view["hash"]}
    assert at.bot.call("views_publish", **again)["view"]["id"] == view["id"]
    assert error(at.bot, "views_publish", **again) == "hash_conflict"


# --- messages -------------------------------------------------------------------------------------


def test_a_message_is_posted_answered_in_its_thread_changed_and_deleted(at: Bench) -> None:
    posted = at.post()
    reply = at.post(thread_ts=posted["ts"])
    assert reply["message"]["thread_ts"] == posted["ts"]
    found = at.bot.call("conversations_replies", channel=TUNING, ts=posted["ts"])["messages"]
    assert [m["ts"] for m in found] == [posted["ts"], reply["ts"]]
    changed = at.bot.call("chat_update", channel=TUNING, ts=posted["ts"], text="changed")
    assert changed["text"] == "changed" and at.shown(posted["ts"])["text"] == "changed"
    link = at.bot.call("chat_getPermalink", channel=TUNING, message_ts=posted["ts"])["permalink"]
    assert link.startswith(at.workspace.url)
    at.bot.call("chat_delete", channel=TUNING, ts=reply["ts"])
    found = at.bot.call("conversations_replies", channel=TUNING, ts=posted["ts"])["messages"]
    assert [m["ts"] for m in found] == [posted["ts"]]


def test_ts_rise_and_a_reply_can_be_told_to_the_channel(at: Bench) -> None:
    first, second = at.post(), at.post()
    assert float(second["ts"]) > float(first["ts"])
    reply = at.post(thread_ts=first["ts"], reply_broadcast=True)
    assert at.shown(reply["ts"])["subtype"] == "thread_broadcast"


def test_metadata_is_kept_and_read_back(at: Bench) -> None:
    metadata = {"event_type": "run", "event_payload": {"id": at.word}}
    ts = at.post(metadata=metadata)["ts"]
    found = at.bot.call(
        "conversations_history", channel=TUNING, latest=ts, inclusive=True, limit=1,
        include_all_metadata=True,
    )  # fmt: skip
    assert found["messages"][0]["metadata"] == metadata


def test_an_ephemeral_message_is_seen_by_one_person(at: Bench) -> None:
    at.bot.call("chat_postEphemeral", channel=TUNING, user="U0ADA", text=at.word)
    assert [m["is_ephemeral"] for m in at.ada.messages() if m["text"] == at.word] == [True]
    assert not [m for m in at.workspace.messages(user="U0GRACE") if m["text"] == at.word]


def test_a_reaction_can_be_added_once(at: Bench) -> None:
    there = {"channel": TUNING, "timestamp": at.post()["ts"], "name": "tada"}
    at.bot.call("reactions_add", **there)
    assert error(at.bot, "reactions_add", **there) == "already_reacted"
    (reaction,) = at.shown(there["timestamp"])["reactions"]
    assert reaction == {"name": "tada", "users": ["U0BOT"], "count": 1}


def test_a_direct_message_goes_to_a_person(at: Bench) -> None:
    direct = at.bot.call("conversations_open", users="U0ADA")["channel"]["id"]
    posted = at.bot.call("chat_postMessage", channel="U0ADA", text=at.word)
    assert posted["channel"] == direct
    assert at.ada.messages(direct)[-1]["text"] == at.word


@pytest.mark.parametrize(
    ("method", "arguments", "word"),
    [
        ("chat_postMessage", {"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        (
            "api_call",
            {"api_method": "chat.postMessage", "json": {"channel": TUNING}},
            "no_text",
        ),
        ("chat_update", {"channel": TUNING, "ts": "1.000000", "text": "x"}, "message_not_found"),
        ("chat_delete", {"channel": TUNING, "ts": "1.000000"}, "message_not_found"),
        (
            "chat_postEphemeral",
            {"channel": TUNING, "user": "U0NOBODY", "text": "x"},
            "user_not_in_channel",
        ),
        ("users_info", {"user": "U0NOBODY"}, "user_not_found"),
        ("conversations_info", {"channel": "C0NOWHERE"}, "channel_not_found"),
        ("files_info", {"file": "F0NOWHERE"}, "file_not_found"),
        ("apps_connections_open", {"app_token": "xapp-1-no"}, "invalid_auth"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_is_refused_in_slacks_words(
    at: Bench, method: str, arguments: Json, word: str
) -> None:
    assert error(at.bot, method, **arguments) == word


def test_a_channel_is_made_named_filled_and_put_away(at: Bench) -> None:
    made = at.bot.call("conversations_create", name=at.word)["channel"]
    assert made["name"] == at.word and made["is_member"]
    there = {"channel": made["id"]}
    assert error(at.bot, "conversations_create", name=at.word) == "name_taken"
    at.bot.call("conversations_invite", **there, users="U0ADA,U0GRACE")
    members = at.bot.call("conversations_members", **there)["members"]
    assert sorted(members) == ["U0ADA", "U0BOT", "U0GRACE"]
    twice = error(at.bot, "conversations_invite", **there, users="U0ADA")
    assert twice == "already_in_channel"
    renamed = at.bot.call("conversations_rename", **there, name=f"{at.word}-new")["channel"]
    assert renamed["name"] == f"{at.word}-new"
    at.bot.call("conversations_archive", **there)
    assert at.bot.call("conversations_info", **there)["channel"]["is_archived"]
    assert error(at.bot, "chat_postMessage", **there, text="x") == "is_archived"


def test_a_file_is_known_listed_and_deleted(at: Bench) -> None:
    file = at.bot.call("files_upload_v2", filename="a.csv", content=at.word)["file"]["id"]
    assert at.bot.call("files_info", file=file)["file"]["name"] == "a.csv"
    assert file in [known["id"] for known in at.bot.call("files_list")["files"]]
    at.bot.call("files_delete", file=file)
    assert error(at.bot, "files_info", file=file) in ("file_not_found", "file_deleted")


def test_people_are_listed(at: Bench) -> None:
    people = {person["id"]: person for person in at.bot.call("users_list")["members"]}
    assert people["U0BOT"]["is_bot"] and not people["U0ADA"]["is_bot"]
    assert people["U0GUEST"]["is_restricted"]


def test_a_person_is_found_by_mail_and_by_channel(at: Bench) -> None:
    mail = at.bot.call("users_info", user="U0ADA")["user"]["profile"]["email"]
    assert at.bot.call("users_lookupByEmail", email=mail)["user"]["id"] == "U0ADA"
    nobody = error(at.bot, "users_lookupByEmail", email="nobody@example.org")
    assert nobody == "users_not_found"
    assert at.bot.call("users_profile_get", user="U0ADA")["profile"]["email"] == mail
    mine = at.bot.call("users_conversations")["channels"]
    assert TUNING in [channel["id"] for channel in mine]


def test_a_message_is_posted_later(at: Bench) -> None:
    soon = int(at.clock()) + 120
    there = {"channel": TUNING, "text": at.word}
    later = at.bot.call("chat_scheduleMessage", **there, post_at=soon)
    listed = at.bot.call("chat_scheduledMessages_list", channel=TUNING)["scheduled_messages"]
    assert later["scheduled_message_id"] in [each["id"] for each in listed]
    at.clock.advance(121)
    at.workspace.wait_for(lambda: at.word in [m["text"] for m in at.ada.messages()])
    assert error(at.bot, "chat_scheduleMessage", **there, post_at=1) == "time_in_past"


def test_reactions_pins_and_bookmarks_are_kept(at: Bench) -> None:
    there = {"channel": TUNING, "timestamp": at.post()["ts"]}
    at.bot.call("reactions_add", **there, name="tada")
    got = at.bot.call("reactions_get", **there)["message"]["reactions"]
    assert [reaction["name"] for reaction in got] == ["tada"]
    at.bot.call("reactions_remove", **there, name="tada")
    assert error(at.bot, "reactions_remove", **there, name="tada") == "no_reaction"
    at.bot.call("pins_add", **there)
    pinned = at.bot.call("pins_list", channel=TUNING)["items"]
    assert there["timestamp"] in [item["message"]["ts"] for item in pinned]
    assert error(at.bot, "pins_add", **there) == "already_pinned"
    at.bot.call("pins_remove", **there)
    made = at.bot.call(
        "bookmarks_add", channel_id=TUNING, title=at.word, type="link", link="https://example.org/"
    )["bookmark"]
    kept = at.bot.call("bookmarks_list", channel_id=TUNING)["bookmarks"]
    assert made["id"] in [bookmark["id"] for bookmark in kept]
    assert at.bot.call("emoji_list")["ok"]


def test_blocks_are_validated_on_request(at: Bench) -> None:
    assert at.bot.call("api_call", api_method="blocks.validate", json={"blocks": [ROW]})["ok"]
    header = {"type": "header", "text": plain("x" * 151)}
    wrong = {"api_method": "blocks.validate", "json": {"blocks": [header]}}
    assert error(at.bot, "api_call", **wrong) == "invalid_blocks"


def test_a_method_that_slack_does_not_have_is_unknown(at: Bench) -> None:
    assert error(at.bot, "api_call", api_method="chat.postSmoke") == "unknown_method"


def test_a_block_that_breaks_the_rules_is_refused_with_a_pointer(at: Bench) -> None:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}
    answer = refusal(at.bot, "chat_postMessage", channel=TUNING, text="x", blocks=[section])
    assert answer["error"] == "invalid_blocks"
    words = "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    assert words in answer["errors"] and f"[ERROR] {words}" in str(answer["response_metadata"])


def test_who_i_am_and_who_is_there(at: Bench) -> None:
    me = at.bot.call("auth_test")
    assert (me["user_id"], me["team_id"], me["url"]) == ("U0BOT", "T0LOCAL", f"{at.workspace.url}/")
    assert at.bot.call("bots_info", bot=me["bot_id"])["bot"]["app_id"] == "A0WEATHER"
    assert at.bot.call("team_info")["team"]["id"] == "T0LOCAL"
    assert at.bot.call("users_info", user="U0ADA")["user"]["name"] == "ada"
    channels = at.bot.call("conversations_list", limit=200)["channels"]
    assert TUNING in [channel["id"] for channel in channels]


def test_lists_are_read_page_by_page(at: Bench) -> None:
    ts = at.post()["ts"]
    replies = [at.post(thread_ts=ts)["ts"] for _ in range(3)]
    found: list[str] = []
    cursor = ""
    while True:
        page = at.bot.call(
            "conversations_replies", channel=TUNING, ts=ts, limit=2, cursor=cursor or None
        )
        found += [m["ts"] for m in page["messages"] if m["ts"] != ts]
        cursor = page.get("response_metadata", {}).get("next_cursor", "")
        if not cursor:
            break
    assert found == replies


def test_a_file_is_uploaded_and_stands_in_the_channel(at: Bench) -> None:
    uploaded = at.bot.call(
        "files_upload_v2",
        channel=TUNING,
        filename=f"{at.word}.csv",
        content="a,b\n1,2\n",
        initial_comment=at.word,
    )
    assert uploaded["file"]["size"] == 8
    shared = at.workspace.wait_for(
        lambda: [m for m in at.ada.messages() if m.get("files") and m["text"] == at.word]
    )
    assert shared[0]["files"][0]["name"] == f"{at.word}.csv"


# --- interactions ---------------------------------------------------------------------------------


def test_a_button_carries_its_message_and_replaces_it(at: Bench) -> None:
    ts = at.post(blocks=[ROW])["ts"]
    told, got = at.press(ts)
    assert told["delivered"]
    (action,) = got.body["actions"]
    assert (action["action_id"], action["block_id"], action["value"]) == ("go", "row", "1")
    assert got.body["container"]["message_ts"] == ts and got.body["message"]["ts"] == ts
    assert got.body["state"] == {"values": {}} and got.body["trigger_id"]
    at.bot.run(got.respond, text=f"clicked {at.word}", replace_original=True)
    assert at.shown(ts)["text"] == f"clicked {at.word}" and "blocks" not in at.shown(ts)


def test_an_element_changes_the_state_of_its_message(at: Bench) -> None:
    options = [{"text": plain(each), "value": each} for each in ("one", "two")]
    select = {"type": "static_select", "action_id": "pick", "options": options}
    ts = at.post(blocks=[{"type": "actions", "block_id": "row", "elements": [select]}])["ts"]
    chosen = {"type": "static_select", "block_id": "row", "action_id": "pick",
              "selected_option": {"value": "two"}}  # fmt: skip
    assert at.ada.action(chosen, message_ts=ts)["delivered"]
    body = at.got("block_actions", about=ts).body
    assert body["actions"][0]["selected_option"] == options[1]
    assert body["state"]["values"]["row"]["pick"]["selected_option"] == options[1]


def test_a_button_without_acknowledgement_times_out(at: Bench) -> None:
    ts = at.post(blocks=[ROW])["ts"]
    at.bot.ledger.plan("block_actions", Plan(ack=None))
    told = outcome(at, lambda: at.ada.press(at.shown(ts), "go"), "block_actions", about=ts)
    assert (told["delivered"], told["error"]) == (False, "operation_timeout")


def test_a_response_url_answers_five_times_in_half_an_hour(at: Bench) -> None:
    _, got = at.command()
    url = got.body["response_url"]
    answers = [at.answer(url, text=f"{at.word} {n}", response_type="in_channel") for n in range(6)]
    assert answers == [(200, "ok")] * 5 + [(404, "expired_url")]
    shown = [m["text"] for m in at.workspace.messages(user="U0GRACE") if at.word in m["text"]]
    assert shown == [f"{at.word} {n}" for n in range(5)]
    _, got = at.command()
    at.clock.advance(1801)
    assert at.answer(got.body["response_url"], text="late") == (404, "expired_url")


def test_an_ephemeral_answer_is_deleted_by_its_own_button(at: Bench) -> None:
    at.command(text=at.word, blocks=[ROW])
    (shown,) = (m for m in at.ada.messages() if m["text"] == at.word)
    at.ada.press(shown, "go")
    got = at.got("block_actions", about=shown["ts"])
    assert got.body["container"]["is_ephemeral"] and "message" not in got.body
    at.bot.run(got.respond, delete_original=True)
    assert at.word not in [m["text"] for m in at.ada.messages()]


def select(**more: Any) -> Json:
    element = {"type": "external_select", "action_id": "pick", "min_query_length": 1, **more}
    return {"type": "actions", "block_id": "row", "elements": [element]}


PICK = {"block_id": "row", "action_id": "pick"}
OPTIONS = [{"text": plain(each), "value": each} for each in ("one", "two")]


def test_options_are_suggested_in_a_message_and_one_is_chosen(at: Bench) -> None:
    ts = at.post(blocks=[select()])["ts"]
    at.plan("block_suggestion", options=OPTIONS)
    told = at.ada.suggest(**PICK, value=at.word, message_ts=ts)
    assert told["delivered"] and told["options"] == OPTIONS
    body = at.got("block_suggestion", about=at.word).body
    assert (body["value"], body["action_id"], body["block_id"]) == (at.word, "pick", "row")
    assert body["container"]["message_ts"] == ts
    chosen = {"type": "external_select", **PICK, "selected_option": {"value": "two"}}
    assert at.ada.action(chosen, message_ts=ts)["delivered"]
    body = at.got("block_actions", about=ts).body
    assert body["actions"][0]["selected_option"] == OPTIONS[1]


def test_option_groups_are_suggested_in_a_form(at: Bench) -> None:
    view = at.open(blocks=[select()])
    groups = [{"label": plain("Numbers"), "options": OPTIONS}]
    at.plan("block_suggestion", option_groups=groups)
    told = at.ada.suggest(**PICK, value="o", view_id=view["id"])
    assert told["delivered"] and told["option_groups"] == groups
    assert at.got("block_suggestion", about=view["id"]).body["view"]["id"] == view["id"]


def test_options_that_do_not_come_time_out(at: Bench) -> None:
    view = at.open(blocks=[select()])
    at.bot.ledger.plan("block_suggestion", Plan(ack=None))
    told = outcome(
        at,
        lambda: at.ada.suggest(**PICK, value="o", view_id=view["id"]),
        "block_suggestion",
        about=view["id"],
    )
    assert (told["delivered"], told["error"]) == (False, "operation_timeout")


def test_a_global_shortcut_opens_a_form(at: Bench) -> None:
    assert at.ada.shortcut(APP, "ask")["delivered"]
    body = at.got("shortcut").body
    assert body["callback_id"] == "ask" and "channel" not in body
    at.bot.call("views_open", trigger_id=body["trigger_id"], view=modal(at.word))
    assert at.seen()["title"]["text"] == at.word


def test_a_shortcut_on_a_message_carries_it(at: Bench) -> None:
    root = at.ada.message(at.word)["ts"]
    ts = at.ada.message(f"{at.word} in the thread", thread_ts=root)["ts"]
    assert at.ada.shortcut(APP, "rain", message_ts=ts)["delivered"]
    got = at.got("message_action", about=ts)
    assert got.body["callback_id"] == "rain" and got.body["message"]["thread_ts"] == root
    assert got.body["channel"]["id"] == TUNING and got.body["trigger_id"]
    assert at.answer(got.body["response_url"], text=f"{at.word} done") == (200, "ok")
    assert f"{at.word} done" in [m["text"] for m in [*at.ada.messages(), *at.ada.thread(root)]]


def test_home_is_opened_published_and_clicked(at: Bench) -> None:
    at.ada.home(APP)
    event = at.got("app_home_opened").body["event"]
    assert (event["tab"], event["user"]) == ("home", "U0ADA")
    home = {"type": "home", "blocks": [{**ROW, "block_id": at.word}]}
    published = at.bot.call("views_publish", user_id="U0ADA", view=home)["view"]
    assert at.ada.home(APP)["view"]["id"] == published["id"]
    assert at.got("app_home_opened", about=at.word).body["event"]["view"]["id"] == published["id"]
    pressed = {"type": "button", "action_id": "go", "block_id": at.word}
    assert at.ada.action(pressed, view_id=published["id"])["delivered"]
    body = at.got("block_actions", about=at.word).body
    assert body["container"] == {"type": "view", "view_id": published["id"]}
    assert body["view"]["type"] == "home" and body["trigger_id"]


# --- events ---------------------------------------------------------------------------------------


def test_a_mention_is_answered_in_its_thread(at: Bench) -> None:
    ts = at.ada.message(f"@weather {at.word}")["ts"]
    got = at.got("app_mention", about=at.word)
    assert got.body["event"]["text"] == f"<@U0BOT> {at.word}"
    at.bot.run(got.say, text="yes?", thread_ts=ts)
    assert [m["text"] for m in at.ada.thread(ts)][1:] == ["yes?"]
    assert at.got("message", about=at.word).body["event"]["ts"] == ts, "a message besides"


def test_a_message_is_an_event_with_its_own_id(at: Bench) -> None:
    at.ada.message(f"{at.word} one")
    at.ada.message(f"{at.word} two")
    first, second = (at.got("message", about=f"{at.word} {n}").body for n in ("one", "two"))
    assert first["event_id"] != second["event_id"]
    assert first["event"]["channel_type"] == "channel" and first["api_app_id"] == "A0WEATHER"
    assert first["authorizations"][0]["user_id"] == "U0BOT"


def test_a_direct_message_is_an_event(at: Bench) -> None:
    direct = at.bot.call("conversations_open", users="U0ADA")["channel"]["id"]
    at.ada.message(at.word, channel=direct)
    event = at.got("message", about=at.word).body["event"]
    assert (event["channel"], event["channel_type"]) == (direct, "im")


def test_changes_and_deletions_are_events(at: Bench) -> None:
    at.ada.message(at.word)
    ts = at.got("message", about=at.word).body["event"]["ts"]
    assert ts, "people's messages come as they are"
    own = at.post(f"{at.word} own")["ts"]
    at.bot.call("chat_update", channel=TUNING, ts=own, text=f"{at.word} changed")
    changed = at.got("message", about=f"{at.word} changed").body["event"]
    assert changed["subtype"] == "message_changed" and changed["message"]["ts"] == own
    assert changed["previous_message"]["text"] == f"{at.word} own"
    at.bot.call("chat_delete", channel=TUNING, ts=own)
    deleted = at.got("message", about="message_deleted").body["event"]
    assert deleted["deleted_ts"] == own


def test_members_who_come_and_go_are_events(at: Bench) -> None:
    channel = at.bot.call("conversations_create", name=at.word)["channel"]["id"]
    at.bot.call("conversations_invite", channel=channel, users="U0ADA")
    joined = at.got("member_joined_channel", about=channel).body["event"]
    while joined["user"] != "U0ADA":
        joined = at.got("member_joined_channel", about=channel).body["event"]
    assert joined["channel"] == channel
    at.bot.call("conversations_kick", channel=channel, user="U0ADA")
    left = at.got("member_left_channel", about=channel).body["event"]
    assert left["user"] == "U0ADA"


def test_a_file_that_is_shared_is_an_event(at: Bench) -> None:
    uploaded = at.bot.call("files_upload_v2", channel=TUNING, filename="a.txt", content=at.word)
    file = uploaded["file"]["id"]
    assert at.got("file_shared", about=file).body["event"]["file_id"] == file


def test_reactions_of_people_are_events(at: Bench) -> None:
    ts = at.post()["ts"]
    for on, kind in ((True, "reaction_added"), (False, "reaction_removed")):
        at.ada.react(ts, "tada", on=on)
        event = at.got(kind, about=ts).body["event"]
        assert (event["reaction"], event["user"], event["item"]["ts"]) == ("tada", "U0ADA", ts)


# --- what goes wrong ------------------------------------------------------------------------------


def test_an_event_without_acknowledgement_comes_again_with_its_id(at: Bench) -> None:
    at.workspace.fault("drop_ack", on="events_api")
    at.ada.message(at.word)
    first = at.got("message", about=at.word)
    at.clock.advance(3)
    again = at.got("message", about=at.word)
    assert again.body["event_id"] == first.body["event_id"]
    number, reason = (again.headers[f"x-slack-retry-{name}"] for name in ("num", "reason"))
    assert number == ["1"] and reason == ["http_timeout" if at.is_http else "timeout"]
    assert first.headers.get("x-slack-retry-num") in (None, ["0"])


def test_a_command_whose_acknowledgement_is_lost_comes_once(at: Bench) -> None:
    at.workspace.fault("drop_ack", on="slash_commands")
    line = f"{COMMAND} {at.word}"
    told = outcome(at, lambda: at.ada.command(line), "command", about=at.word)
    assert told["error"] == "operation_timeout"
    at.ada.command(f"{line} next")
    assert at.got("command", about=at.word).body["text"] == f"{at.word} next"


def test_a_payload_can_come_twice(at: Bench) -> None:
    at.workspace.fault("duplicate", on="slash_commands")
    at.ada.command(f"{COMMAND} {at.word}")
    triggers = [at.got("command", about=at.word).body["trigger_id"] for _ in range(2)]
    assert triggers[0] == triggers[1]


def test_a_rate_limit_says_how_long_to_wait(at: Bench) -> None:
    at.workspace.fault("ratelimited", on="chat.postMessage", seconds=7)
    with pytest.raises(SlackApiError) as refused:
        at.post()
    assert refused.value.response.status_code == 429
    assert refused.value.response["error"] == "ratelimited"
    headers = {name.lower(): value for name, value in refused.value.response.headers.items()}
    assert headers["retry-after"] == "7"


def test_a_rate_limit_is_waited_out_by_the_sdk(at: Bench) -> None:
    at.workspace.fault("ratelimited", on="chat.postMessage", seconds=1)
    with at.bot.wait_out_rate_limits():
        ts = at.post()["ts"]
    assert [m["ts"] for m in at.ada.messages() if m["text"] == at.word] == [ts]


def test_a_call_can_fail_after_it_was_done(at: Bench) -> None:
    at.workspace.fault("error_after_commit", on="chat.postMessage")
    with pytest.raises(SlackApiError) as failed:
        at.post()
    assert failed.value.response.status_code == 500
    assert [m["text"] for m in at.ada.messages()].count(at.word) == 1


# websocket-client leaves a socket to the garbage collector when it connects anew.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_app_whose_socket_is_ended_comes_back(at: Bench) -> None:
    if at.is_http:
        pytest.skip("there is no socket")

    def count(name: str) -> int:
        return len(at.workspace.recorded(kind="socket", name=name))

    connects, disconnects = count("connect"), count("disconnect")
    at.workspace.control(disconnect={"reason": "refresh_requested"})
    at.workspace.wait_for(
        lambda: count("connect") > connects and count("disconnect") > disconnects, inspects=True
    )
    told, _ = at.command(text=at.word)
    assert told["delivered"]
    gc.collect()


def test_an_incoming_webhook_posts(at: Bench) -> None:
    assert at.answer(at.workspace.apps[0]["incoming_webhook"], text=at.word) == (200, "ok")
    assert at.ada.messages()[-1]["text"] == at.word


# The last of those that share an app: its token opens nothing any more afterwards.
def test_an_app_that_is_uninstalled_hears_of_it(at: Bench) -> None:
    at.bot.call("apps_uninstall", client_id="1", client_secret="2")
    assert at.got("tokens_revoked").body["event"]["tokens"] == {"oauth": [], "bot": ["U0BOT"]}
    assert at.got("app_uninstalled").body["api_app_id"] == APP
    assert refusal(at.bot, "chat_postMessage", channel=TUNING, text="x")["error"] == "token_revoked"


# --- transports -----------------------------------------------------------------------------------


def test_one_app_object_runs_over_either_transport(tmp_path: Path, behind: Behind) -> None:
    ledger = Ledger()
    with new_server() as server:
        manifest = over_http(CONFORMANCE, server.server_port)
        first = RunningWorkspace(tmp_path, manifest)
        app = bolt_app(first, ledger)
        ledger.plan("command", Plan({"text": "over HTTP"}))
        with serving(server, app):
            assert first.command(COMMAND)["response"] == "over HTTP"
        first.stop()
    # The folder keeps the tokens, and the app the address.
    second = RunningWorkspace(tmp_path, CONFORMANCE, port=int(first.url.rpartition(":")[2]))
    handler = Builtin(app, second.app_token)
    handler.connect()
    ledger.plan("command", Plan({"text": "over a socket"}))
    assert second.command(COMMAND)["response"] == {"text": "over a socket"}
    bodies = [ledger.queue("command").get(timeout=WAIT_S).body for _ in range(2)]
    assert set(bodies[0]) == set(bodies[1])

    def end() -> None:
        handler.close()
        second.stop()

    behind(end)
