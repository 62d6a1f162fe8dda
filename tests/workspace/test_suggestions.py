"""External selects: the app suggests options, and only what it suggested can be chosen."""

from __future__ import annotations

from queue import Queue
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient

from bot.workspace.person import Person, PersonRefused, filled
from tests.harness import RunningWorkspace
from tests.workspace.parts import WAIT_S, Connect, modal, open_form, plain

TUNING = "C0TUNING"


def option(value: str, **more: Any) -> dict[str, Any]:
    return {"text": plain(value.title()), "value": value, **more}


def select(kind: str = "external_select", **more: Any) -> dict[str, Any]:
    return {"type": kind, "action_id": "town", "min_query_length": 0, **more}


def actions(element: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "actions", "block_id": "row", "elements": [element]}]


def form(element: dict[str, Any]) -> list[dict[str, Any]]:
    block = {"type": "input", "block_id": "row", "label": plain("Town"), "element": element}
    return [block]


TOWNS = ("oslo", "paris", "parma", "rome")


def suggest_towns(app: App) -> Queue[dict[str, Any]]:
    asked: Queue[dict[str, Any]] = Queue()

    @app.options("town")
    def options(ack: Any, body: dict[str, Any]) -> None:
        asked.put(body)
        ack(options=[option(t) for t in TOWNS if t.startswith(body["value"])])

    return asked


def post(client: WebClient, element: dict[str, Any]) -> str:
    ts: str = client.chat_postMessage(channel=TUNING, text="x", blocks=actions(element))["ts"]
    return ts


def values_of(answer: dict[str, Any]) -> list[str]:
    return [o["value"] for o in answer["options"]]


def test_a_select_of_a_message_is_filled_by_the_app(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    asked = suggest_towns(app)
    connect(app)
    ts = post(client, select())
    answer = workspace.person().suggest("row", "town", "pa", message_ts=ts)
    assert answer["delivered"] and values_of(answer) == ["paris", "parma"]
    body = asked.get(timeout=WAIT_S)
    assert {name: body[name] for name in ("type", "block_id", "action_id", "value")} == {
        "type": "block_suggestion", "block_id": "row", "action_id": "town", "value": "pa"
    }  # fmt: skip
    assert body["api_app_id"] == "A0WEATHER" and body["user"]["id"] == "U0ADA"
    assert body["message"]["ts"] == ts and body["channel"] == {"id": TUNING, "name": "tuning"}
    assert body["container"]["message_ts"] == ts
    assert "trigger_id" not in body and "response_url" not in body


def test_a_chosen_suggestion_reaches_the_app_whole(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    suggest_towns(app)
    chosen: Queue[dict[str, Any]] = Queue()

    @app.action("town")
    def choose(ack: Any, body: dict[str, Any]) -> None:
        ack()
        chosen.put(body)

    connect(app)
    ts, ada = post(client, select()), workspace.person()
    ada.suggest("row", "town", "par", message_ts=ts)
    entry = {"type": "external_select", "selected_option": {"value": "paris"}}
    ada.action({**entry, "block_id": "row", "action_id": "town"}, message_ts=ts)
    body = chosen.get(timeout=WAIT_S)
    assert body["actions"][0]["selected_option"] == option("paris")
    assert body["state"]["values"]["row"]["town"]["selected_option"] == option("paris")


def test_only_what_was_suggested_to_this_person_can_be_chosen(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    suggest_towns(app)
    connect(app)
    ts = post(client, select())
    workspace.person().suggest("row", "town", "par", message_ts=ts)

    def choose(person: Person, value: str) -> None:
        entry = {"type": "external_select", "selected_option": {"value": value}}
        person.action({**entry, "block_id": "row", "action_id": "town"}, message_ts=ts)

    choose(workspace.person(), "parma")
    with pytest.raises(PersonRefused, match="'oslo' is not offered by 'town': paris, parma"):
        choose(workspace.person(), "oslo")
    with pytest.raises(PersonRefused, match="'parma' is not offered"):
        choose(workspace.person("U0GRACE"), "parma")


def test_several_choices_of_a_form_may_come_from_several_questions(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    asked = suggest_towns(app)
    submitted: Queue[dict[str, Any]] = Queue()

    @app.view("forecast")
    def submit(ack: Any, body: dict[str, Any]) -> None:
        ack()
        submitted.put(body)

    initial = [option("berlin")]
    several = select("multi_external_select", initial_options=initial)
    view = open_form(app, connect, workspace, blocks=form(several))
    ada = workspace.person()
    for query in ("pa", "ro"):
        ada.suggest("row", "town", query, view_id=view["id"])
    body = asked.get(timeout=WAIT_S)
    assert body["container"] == {"type": "view", "view_id": view["id"]}
    assert body["view"]["id"] == view["id"] and "message" not in body and "channel" not in body
    with pytest.raises(PersonRefused, match="'oslo' is not offered"):
        ada.submit(view["id"], filled(view, {"row": ["oslo"]}))
    ada.submit(view["id"], filled(view, {"row": ["berlin", "rome", "parma"]}))
    held = submitted.get(timeout=WAIT_S)["view"]["state"]["values"]["row"]["town"]
    assert held["selected_options"] == [option("berlin"), option("rome"), option("parma")]


def test_a_choice_stays_when_the_form_is_updated(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    suggest_towns(app)
    app.action("town")(lambda ack: ack())
    blocks = [{**form(select())[0], "dispatch_action": True}]
    view = open_form(app, connect, workspace, blocks=blocks)
    ada = workspace.person()
    ada.suggest("row", "town", "rome", view_id=view["id"])
    entry = {"type": "external_select", "selected_option": {"value": "rome"}}
    ada.action({**entry, "block_id": "row", "action_id": "town"}, view_id=view["id"])
    client.views_update(view_id=view["id"], view=modal("Two", blocks=blocks))
    updated = ada.view()
    assert updated and updated["state"]["values"]["row"]["town"]["selected_option"] == option(
        "rome"
    )


def test_groups_of_options_are_offered_too(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    groups = [{"label": plain("Italy"), "options": [option("rome")]}]
    app.options("town")(lambda ack: ack(option_groups=groups))
    app.action("town")(lambda ack: ack())
    connect(app)
    ts, ada = post(client, select()), workspace.person()
    assert ada.suggest("row", "town", "", message_ts=ts)["option_groups"] == groups
    entry = {"type": "external_select", "selected_option": {"value": "rome"}}
    assert ada.action({**entry, "block_id": "row", "action_id": "town"}, message_ts=ts)["delivered"]


def test_an_app_may_find_nothing(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    suggest_towns(app)
    connect(app)
    answer = workspace.person().suggest("row", "town", "x", message_ts=post(client, select()))
    assert answer == {"ok": True, "delivered": True, "options": []}


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"options": [option("x")] * 101}, "no more than 100 items allowed"),
        ({"options": [{"text": plain("x" * 76), "value": "x"}]}, "must be less than 76 characters"),
        ({"options": [option("x")], "option_groups": []}, "cannot provide both"),
        ({"option_groups": [{"label": plain("x"), "options": []}]}, "no less than 1 items"),
        ({"options": [{"text": "Rome", "value": "x"}]}, "must provide an object"),
        ({}, "missing required field: options"),
    ],
)
def test_an_answer_that_slack_would_not_show_is_an_error(
    app: App,
    connect: Connect,
    workspace: RunningWorkspace,
    client: WebClient,
    answer: dict[str, Any],
    complaint: str,
) -> None:
    # Bolt passes on as JSON whatever dict it is given.
    app.options("town")(lambda ack: ack(answer))
    connect(app)
    refused = workspace.person().suggest("row", "town", "x", message_ts=post(client, select()))
    assert not refused["delivered"]
    assert refused["error"] == "invalid_block_suggestion_response"
    assert any(complaint in words for words in refused["complaints"])


def test_a_question_without_an_app_fails_as_any_delivery(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    answer = workspace.person().suggest("row", "town", "x", message_ts=post(client, select()))
    assert not answer["delivered"] and answer["error"] == "dispatch_failed"


@pytest.mark.parametrize(("least", "query"), [(None, "pa"), (1, "")])
def test_the_app_is_not_asked_before_enough_was_typed(
    workspace: RunningWorkspace, client: WebClient, least: int | None, query: str
) -> None:
    element = {"type": "external_select", "action_id": "town"}
    ts = post(client, element if least is None else element | {"min_query_length": least})
    with pytest.raises(PersonRefused, match=f"at least {least or 3} characters"):
        workspace.person().suggest("row", "town", query, message_ts=ts)


def test_other_elements_ask_for_nothing(workspace: RunningWorkspace, client: WebClient) -> None:
    ts = post(client, {"type": "button", "action_id": "town", "text": plain("Go")})
    with pytest.raises(PersonRefused, match="'town' is a button"):
        workspace.person().suggest("row", "town", "x", message_ts=ts)
