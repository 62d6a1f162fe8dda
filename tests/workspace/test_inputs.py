"""What people put into forms: every element keeps its value, and what Slack's client would not let
through never reaches the app.
"""

from __future__ import annotations

from queue import Queue
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.webhook import WebhookClient

from bot.workspace.person import PersonRefused, filled
from tests.harness import RunningWorkspace
from tests.workspace.conftest import Clock
from tests.workspace.parts import WAIT_S, Connect, open_form, plain

TUNING = "C0TUNING"
Json = dict[str, Any]


def row(kind: str, **more: Any) -> Json:
    element = {"type": kind, "action_id": "a", **more}
    return {"type": "input", "block_id": "row", "label": plain("Row"), "element": element}


def submissions(app: App) -> Queue[Json]:
    """The submitted forms, each answered with an empty acknowledgement."""
    bodies: Queue[Json] = Queue()

    @app.view("forecast")
    def submit(ack: Any, body: Json) -> None:
        ack()
        bodies.put(body)

    return bodies


def held(body: Json) -> Json:
    entry: Json = body["view"]["state"]["values"]["row"]["a"]
    return entry


RICH: Json = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "Hi"}]}],
}
EMPTY_RICH: Json = {
    "type": "rich_text",
    "elements": [{"type": "rich_text_section", "elements": []}],
}


@pytest.mark.parametrize(
    ("element", "answer", "key"),
    [
        ({"type": "rich_text_input"}, RICH, "rich_text_value"),
        ({"type": "datetimepicker"}, 1_700_000_000, "selected_date_time"),
        ({"type": "datepicker"}, "2026-11-24", "selected_date"),
        ({"type": "timepicker"}, "23:59", "selected_time"),
        ({"type": "email_text_input"}, "ada@example.org", "value"),
        ({"type": "url_text_input"}, "https://example.org/x", "value"),
        ({"type": "multi_users_select"}, ["U0ADA", "U0BOT"], "selected_users"),
        ({"type": "channels_select"}, TUNING, "selected_channel"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_what_was_put_in_reaches_the_app(
    app: App, connect: Connect, workspace: RunningWorkspace, element: Json, answer: Any, key: str
) -> None:
    bodies = submissions(app)
    view = open_form(app, connect, workspace, blocks=[row(element["type"])])
    empty = workspace.submit(view["id"], filled(view, {}))
    assert empty["errors"] == {"row": "Please complete this required field."}
    told = workspace.submit(view["id"], filled(view, {"row": answer}))
    assert told["delivered"], told
    assert held(bodies.get(timeout=WAIT_S)) == {"type": element["type"], key: answer}


@pytest.mark.parametrize(
    ("element", "answer", "words"),
    [
        ({"type": "rich_text_input"}, EMPTY_RICH, "complete this required field"),
        ({"type": "email_text_input"}, "ada", "valid email"),
        ({"type": "email_text_input"}, "ada@example", "valid email"),
        ({"type": "url_text_input"}, "example.org", "valid URL"),
        ({"type": "url_text_input"}, "ftp://example.org", "valid URL"),
    ],
)
def test_slacks_client_keeps_the_form_open(
    app: App, connect: Connect, workspace: RunningWorkspace, element: Json, answer: Any, words: str
) -> None:
    view = open_form(app, connect, workspace, blocks=[row(element["type"])])
    told = workspace.submit(view["id"], filled(view, {"row": answer}))
    assert told["delivered"] is False and words in told["errors"]["row"]


OPTIONS = [{"text": plain(v), "value": v} for v in ("x", "y", "z")]


@pytest.mark.parametrize(
    ("element", "answer", "words"),
    [
        ({"type": "datepicker"}, "24.11.2026", "must be written YYYY-MM-DD"),
        ({"type": "timepicker"}, "24:00", "must be written HH:mm"),
        ({"type": "rich_text_input"}, {"type": "rich_text"}, "holds no rich text"),
        ({"type": "users_select"}, "U0NONE", "no user 'U0NONE' to choose"),
        ({"type": "channels_select"}, "C0NONE", "no channel 'C0NONE' to choose"),
        ({"type": "multi_conversations_select"}, ["C0NONE"], "no conversation 'C0NONE'"),
        ({"type": "file_input"}, ["F0NONE"], "no file 'F0NONE'"),
        (
            {"type": "multi_static_select", "options": OPTIONS, "max_selected_items": 2},
            ["x", "y", "z"],
            "At most 2 can be chosen",
        ),
    ],
)
def test_what_nobody_can_put_in_is_refused(
    app: App, connect: Connect, workspace: RunningWorkspace, element: Json, answer: Any, words: str
) -> None:
    view = open_form(app, connect, workspace, blocks=[row(element.pop("type"), **element)])
    with pytest.raises(PersonRefused, match=words):
        workspace.submit(view["id"], filled(view, {"row": answer}))


# --- files ----------------------------------------------------------------------------------------


def test_files_of_a_form_arrive_whole(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    bodies = submissions(app)
    element = row("file_input", max_files=2, filetypes=["csv", "txt"])
    view = open_form(app, connect, workspace, blocks=[element])
    ada = workspace.person()
    ids = [ada.upload(f"{n}.csv", b"a,b")["file"]["id"] for n in ("one", "two", "three")]
    picture = ada.upload("x.exe", b"\0")["file"]["id"]

    def errors(*files: str) -> str:
        told = workspace.submit(view["id"], filled(view, {"row": list(files)}))
        return str(told["errors"]["row"])

    assert errors() == "Please complete this required field."
    assert errors(*ids) == "You can add up to 2 files."
    assert errors(picture) == "x.exe is of no accepted type: csv, txt."
    workspace.submit(view["id"], filled(view, {"row": ids[:2]}))
    files = held(bodies.get(timeout=WAIT_S))["files"]
    assert [f["id"] for f in files] == ids[:2]
    assert files[0]["name"] == "one.csv" and files[0]["url_private"].startswith(workspace.url)


def test_nobody_can_put_in_a_file_of_somebody_else(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    view = open_form(app, connect, workspace, blocks=[row("file_input")])
    foreign = workspace.person("U0GRACE").upload("x.txt", b"x")["file"]["id"]
    with pytest.raises(PersonRefused, match="no file"):
        workspace.submit(view["id"], filled(view, {"row": [foreign]}))


# --- response URLs --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conversations_select", "channels_select"])
def test_a_form_gets_a_response_url_for_the_conversation_that_was_chosen(
    app: App, connect: Connect, workspace: RunningWorkspace, clock: Clock, kind: str
) -> None:
    bodies = submissions(app)
    view = open_form(app, connect, workspace, blocks=[row(kind, response_url_enabled=True)])
    workspace.submit(view["id"], filled(view, {"row": "C0GENERAL"}))
    (given,) = bodies.get(timeout=WAIT_S)["response_urls"]
    hook = WebhookClient(given.pop("response_url"))
    assert given == {"block_id": "row", "action_id": "a", "channel_id": "C0GENERAL"}
    assert hook.send(text="psst").status_code == 200
    assert hook.send(text="all", response_type="in_channel").status_code == 200
    assert [m["text"] for m in workspace.messages("C0GENERAL")] == ["psst", "all"]
    assert [m["text"] for m in workspace.messages("C0GENERAL", user="U0GRACE")] == ["all"]
    for _ in range(3):
        hook.send(text="more")
    assert hook.send(text="a sixth").status_code == 404


def test_no_response_url_without_a_choice_or_a_wish(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    bodies = submissions(app)
    wishing = {**row("conversations_select", response_url_enabled=True), "optional": True}
    other = {**row("conversations_select"), "block_id": "other"}
    view = open_form(app, connect, workspace, blocks=[wishing, other])
    workspace.submit(view["id"], filled(view, {"other": TUNING}))
    assert bodies.get(timeout=WAIT_S)["response_urls"] == []


def test_a_conversation_menu_begins_where_the_person_is(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    here: Json = {"default_to_current_conversation": True}
    blocks = [
        row("conversations_select", **here),
        {**row("multi_conversations_select", **here), "block_id": "several"},
        {
            **row("conversations_select", **here, initial_conversation="C0GENERAL"),
            "block_id": "set",
        },
    ]
    values = open_form(app, connect, workspace, blocks=blocks)["state"]["values"]
    assert values["row"]["a"]["selected_conversation"] == TUNING
    assert values["several"]["a"]["selected_conversations"] == [TUNING]
    assert values["set"]["a"]["selected_conversation"] == "C0GENERAL"


# --- elements of messages -------------------------------------------------------------------------


def clicked(app: App) -> Queue[Json]:
    bodies: Queue[Json] = Queue()

    @app.action("a")
    def click(ack: Any, body: Json) -> None:
        ack()
        bodies.put(body)

    return bodies


FEEDBACK: Json = {
    "type": "feedback_buttons",
    "action_id": "a",
    "positive_button": {"text": plain("Good"), "value": "good"},
    "negative_button": {"text": plain("Bad"), "value": "bad"},
}
TRASH: Json = {
    "type": "icon_button", "action_id": "a", "icon": "trash", "text": plain("Away"), "value": "7"
}  # fmt: skip


@pytest.mark.parametrize(
    ("element", "given", "wanted"),
    [
        (FEEDBACK, {"value": "bad"}, {"value": "bad", "text": plain("Bad")}),
        (TRASH, {}, {"value": "7", "text": plain("Away"), "icon": "trash"}),
    ],
    ids=["feedback", "icon"],
)
def test_what_stands_below_an_answer_can_be_pressed(
    app: App,
    connect: Connect,
    workspace: RunningWorkspace,
    client: WebClient,
    element: Json,
    given: Json,
    wanted: Json,
) -> None:
    bodies = clicked(app)
    connect(app)
    blocks = [{"type": "context_actions", "block_id": "row", "elements": [element]}]
    ts = client.chat_postMessage(channel=TUNING, text="x", blocks=blocks)["ts"]
    pressed = {"type": element["type"], "block_id": "row", "action_id": "a", **given}
    workspace.action(pressed, message_ts=ts)
    body = bodies.get(timeout=WAIT_S)
    (action,) = body["actions"]
    assert action["action_ts"] and action["type"] == element["type"]
    assert {name: action[name] for name in wanted} == wanted
    assert body["state"]["values"] == {}, "it holds nothing"


def test_feedback_that_is_not_offered_is_refused(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    blocks = [{"type": "context_actions", "block_id": "row", "elements": [FEEDBACK]}]
    ts = client.chat_postMessage(channel=TUNING, text="x", blocks=blocks)["ts"]
    pressed = {"block_id": "row", "action_id": "a", "value": "so so"}
    with pytest.raises(PersonRefused, match="'a' does not offer 'so so'"):
        workspace.action(pressed, message_ts=ts)


def test_a_button_that_is_hidden_from_somebody_does_not_work_for_them(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    clicked(app)
    connect(app)
    button: Json = {"type": "button", "action_id": "a", "text": plain("Go")}
    blocks = [{"type": "actions", "elements": [{**button, "visible_to_user_ids": ["U0GRACE"]}]}]
    client.chat_postMessage(channel=TUNING, text="x", blocks=blocks)
    (message,) = workspace.messages()
    with pytest.raises(PersonRefused, match="'a' is hidden from ada"):
        workspace.press(message, "a")
    assert workspace.press(message, "a", user="U0GRACE")["delivered"]


BUTTON: Json = {"type": "button", "action_id": "a", "text": plain("Go"), "value": "1"}
CARD: Json = {
    "type": "card",
    "block_id": "row",
    "title": {"type": "mrkdwn", "text": "Card"},
    "actions": [BUTTON],
}
NESTED: Json = {
    "a card": CARD,
    "a carousel": {"type": "carousel", "elements": [CARD]},
    "a container": {
        "type": "container",
        "title": plain("Box"),
        "child_blocks": [{"type": "actions", "block_id": "row", "elements": [BUTTON]}],
    },
}


@pytest.mark.parametrize("name", NESTED)
def test_a_button_inside_a_block_is_found(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient, name: str
) -> None:
    bodies = clicked(app)
    connect(app)
    client.chat_postMessage(channel=TUNING, text="x", blocks=[NESTED[name]])
    (message,) = workspace.messages()
    workspace.press(message, "a")
    (action,) = bodies.get(timeout=WAIT_S)["actions"]
    assert (action["block_id"], action["value"]) == ("row", "1")


def test_what_was_chosen_inside_a_container_is_in_the_state(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    bodies = clicked(app)
    connect(app)
    menu = {"type": "static_select", "action_id": "menu", "options": OPTIONS}
    actions = {"type": "actions", "block_id": "row", "elements": [BUTTON, menu]}
    blocks = [{"type": "container", "title": plain("Box"), "child_blocks": [actions]}]
    ts = client.chat_postMessage(channel=TUNING, text="x", blocks=blocks)["ts"]
    chosen = {"menu": {"type": "static_select", "selected_option": {"value": "y"}}}
    pressed = {"type": "button", "block_id": "row", "action_id": "a"}
    workspace.action(pressed, message_ts=ts, values={"row": chosen})
    state = bodies.get(timeout=WAIT_S)["state"]["values"]
    assert state["row"]["menu"]["selected_option"] == OPTIONS[1]
