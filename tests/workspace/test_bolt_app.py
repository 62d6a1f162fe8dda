"""An unmodified Bolt app over Socket Mode lives in the workspace as it lives in Slack."""

from __future__ import annotations

import threading
from queue import Queue
from typing import Any

import pytest
from slack_bolt import App
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from bot.workspace.person import PersonRefused, filled
from tests.harness import RunningWorkspace
from tests.workspace.conftest import Clock
from tests.workspace.parts import (
    BUTTON_BLOCKS,
    WAIT_S,
    Connect,
    error_of,
    modal,
    open_form,
    plain,
)


def test_the_text_of_an_acknowledgement_is_shown_to_the_person_alone(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.command("/weather")
    def weather(ack: Any, command: Any) -> None:
        ack(f"Sunny in {command['text']}, {command['user_name']}")

    connect(app)
    answer = workspace.command("/weather Paris")
    assert answer["delivered"] and answer["response"] == {"text": "Sunny in Paris, ada"}
    (shown,) = workspace.messages()
    assert shown["text"] == "Sunny in Paris, ada" and shown["is_ephemeral"]
    assert workspace.messages(user="U0GRACE") == []


def test_a_command_payload_has_everything_that_slack_documents(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    got: Queue[dict[str, Any]] = Queue()

    @app.command("/weather")
    def weather(ack: Any, command: Any) -> None:
        ack()
        got.put(command)

    connect(app)
    workspace.command("/weather  <b> & more ")
    command = got.get(timeout=WAIT_S)
    assert command["text"] == "<b> & more"
    assert command["channel_id"] == "C0TUNING" and command["channel_name"] == "tuning"
    assert command["user_id"] == "U0ADA" and command["team_id"] == "T0LOCAL"
    assert command["api_app_id"] == "A0WEATHER"
    assert command["response_url"].startswith(workspace.url)
    assert "thread_ts" not in command


def test_a_command_without_an_app_fails_in_slacks_words(workspace: RunningWorkspace) -> None:
    answer = workspace.command("/weather")
    assert answer == {"ok": True, "delivered": False, "error": "dispatch_failed"}
    (shown,) = workspace.messages()
    assert shown["text"] == '/weather failed with the error "dispatch_failed"'
    assert shown["user"] == "USLACKBOT"


def test_a_command_that_no_app_has_says_so(workspace: RunningWorkspace) -> None:
    assert workspace.command("/rain")["error"] == "unknown_command"


def test_an_acknowledgement_that_slack_could_not_show_is_an_invalid_response(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.command("/weather")
    def weather(ack: Any) -> None:
        ack(blocks=[{"type": "section"}])

    connect(app)
    assert workspace.command("/weather")["error"] == "invalid_command_response"


def test_a_form_opens_and_its_trigger_works_once(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    errors: Queue[str] = Queue()

    @app.command("/weather")
    def weather(ack: Any, command: Any, client: WebClient) -> None:
        ack()
        trigger = command["trigger_id"]
        client.views_open(trigger_id=trigger, view=modal())
        errors.put(error_of(client.views_open, trigger_id=trigger, view=modal()))
        errors.put(error_of(client.views_open, trigger_id="1.2.x", view=modal()))

    connect(app)
    workspace.command("/weather")
    assert errors.get(timeout=WAIT_S) == "exchanged_trigger_id"
    assert errors.get(timeout=WAIT_S) == "invalid_trigger_id"
    (view,) = workspace.state()["views"]
    assert view["title"]["text"] == "Forecast" and view["bot_id"] == "B0WEATHER"
    assert workspace.state(user="U0GRACE")["views"] == []


def test_a_trigger_lives_three_seconds(
    app: App, connect: Connect, workspace: RunningWorkspace, clock: Clock
) -> None:
    errors: Queue[str] = Queue()

    @app.command("/weather")
    def weather(ack: Any, command: Any, client: WebClient) -> None:
        ack()
        clock.advance(3.1)
        errors.put(error_of(client.views_open, trigger_id=command["trigger_id"], view=modal()))

    connect(app)
    workspace.command("/weather")
    assert errors.get(timeout=WAIT_S) == "expired_trigger_id"


def test_a_wrong_view_is_refused_and_leaves_the_trigger_unused(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    errors: Queue[Any] = Queue()

    @app.command("/weather")
    def weather(ack: Any, command: Any, client: WebClient) -> None:
        ack()
        with pytest.raises(SlackApiError) as refused:
            client.views_open(trigger_id=command["trigger_id"], view=modal("T" * 25))
        errors.put(refused.value.response.data)
        client.views_open(trigger_id=command["trigger_id"], view=modal("T" * 24))

    connect(app)
    workspace.command("/weather")
    answer = errors.get(timeout=WAIT_S)
    assert answer["error"] == "invalid_arguments"
    words = "[ERROR] must be less than 25 characters [json-pointer:/view/title/text]"
    assert answer["response_metadata"]["messages"] == [words]
    assert workspace.wait_for(workspace.person().view)["title"]["text"] == "T" * 24


def test_a_view_update_needs_the_newest_hash(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    view = open_form(app, connect, workspace)
    same = {"view_id": view["id"], "hash": view["hash"]}
    updated = client.views_update(**same, view=modal("Two"))["view"]
    assert updated["id"] == view["id"] and updated["hash"] != view["hash"]
    assert error_of(client.views_update, **same, view=modal("Three")) == "hash_conflict"
    assert error_of(client.views_update, view_id="V0", view=modal()) == "not_found"
    both = {"view_id": view["id"], "external_id": "x", "view": modal()}
    refused = error_of(client.api_call, api_method="views.update", json=both)
    assert refused == "invalid_arguments"


def test_what_was_typed_survives_an_update_under_the_same_ids(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    listening = {
        "type": "input",
        "block_id": "town",
        "label": plain("Town"),
        "dispatch_action": True,
        "element": {"type": "plain_text_input", "action_id": "value", "initial_value": "Rome"},
    }
    seen: Queue[Any] = Queue()

    @app.action("value")
    def typed(ack: Any, body: Any) -> None:
        ack()
        seen.put(body)

    view = open_form(app, connect, workspace, blocks=[listening])
    assert view["state"]["values"]["town"]["value"]["value"] == "Rome"
    typed_in = {"type": "plain_text_input", "block_id": "town", "action_id": "value"}
    workspace.action({**typed_in, "value": "Oslo"}, view_id=view["id"])
    body = seen.get(timeout=WAIT_S)
    assert body["actions"][0]["value"] == "Oslo"
    assert body["view"]["state"]["values"]["town"]["value"]["value"] == "Oslo"
    assert body["container"] == {"type": "view", "view_id": view["id"]}
    assert "response_url" not in body
    client.views_update(view_id=view["id"], view=modal("Two", blocks=[listening]))
    client.views_update(view_id=view["id"], view=modal("Three", blocks=[listening]))
    kept = workspace.person().view()
    assert kept and kept["state"]["values"]["town"]["value"]["value"] == "Oslo"
    client.views_update(
        view_id=view["id"], view=modal("Four", blocks=[{**listening, "block_id": "other"}])
    )
    fresh = workspace.person().view()
    assert fresh and fresh["state"]["values"] == {
        "other": {"value": {"type": "plain_text_input", "value": "Rome"}}
    }


def test_a_submission_is_answered_with_errors_an_update_and_a_close(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.view("forecast")
    def submitted(ack: Any, view: Any) -> None:
        town = view["state"]["values"]["town"]["value"]["value"]
        if len(town) < 3:
            ack(response_action="errors", errors={"town": "too short"})
        elif town == "again":
            ack(response_action="update", view=modal("Again"))
        else:
            ack()

    view = open_form(app, connect, workspace)

    def submit(town: str) -> Any:
        return workspace.submit(view["id"], filled(view, {"town": town}))

    refused = submit("ab")
    assert refused["response_action"] == "errors" and refused["errors"] == {"town": "too short"}
    again = submit("again")
    assert again["response_action"] == "update"
    assert again["views"][0]["title"]["text"] == "Again"
    assert again["views"][0]["state"]["values"]["town"]["value"]["value"] == "again"
    done = submit("Paris")
    assert done == {"ok": True, "delivered": True, "response_action": None, "views": []}


def test_forms_pile_up_to_three_and_clear_at_once(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.view("forecast")
    def submitted(ack: Any, view: Any) -> None:
        if view["state"]["values"]["town"]["value"]["value"] == "clear":
            ack(response_action="clear")
        else:
            ack(response_action="push", view=modal("Above"))

    view = open_form(app, connect, workspace)
    person = workspace.person()
    for height in (2, 3):
        answer = workspace.submit(view["id"], filled(view, {"town": "more"}))
        assert answer["response_action"] == "push" and len(answer["views"]) == height
        assert answer["views"][-1]["root_view_id"] == answer["views"][0]["id"]
        assert answer["views"][-1]["previous_view_id"] == answer["views"][-2]["id"]
        view = answer["views"][-1]
    too_many = workspace.submit(view["id"], filled(view, {"town": "more"}))
    assert too_many["error"] == "push_limit_reached" and len(too_many["views"]) == 3
    assert len(person.close(view["id"])["views"]) == 2
    view = workspace.wait_for(person.view)
    cleared = workspace.submit(view["id"], filled(view, {"town": "clear"}))
    assert cleared["response_action"] == "clear" and cleared["views"] == []


def test_an_error_for_a_block_that_is_no_input_keeps_the_form_open(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.view("forecast")
    def submitted(ack: Any) -> None:
        ack(response_action="errors", errors={"nowhere": "?"})

    view = open_form(app, connect, workspace)
    answer = workspace.submit(view["id"], filled(view, {"town": "Paris"}))
    assert answer["error"] == "invalid_response_action" and len(answer["views"]) == 1


def test_a_required_field_left_empty_never_reaches_the_app(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    reached = threading.Event()

    @app.view("forecast")
    def submitted(ack: Any) -> None:
        ack()
        reached.set()

    view = open_form(app, connect, workspace)
    answer = workspace.submit(view["id"], filled(view, {}))
    assert answer["delivered"] is False
    assert answer["errors"] == {"town": "Please complete this required field."}
    workspace.submit(view["id"], filled(view, {"town": "Paris"}))
    assert reached.wait(WAIT_S)


@pytest.mark.parametrize("notify", [True, False])
def test_a_closed_form_is_reported_only_if_the_app_asked(
    app: App, connect: Connect, workspace: RunningWorkspace, notify: bool
) -> None:
    closed: Queue[Any] = Queue()

    @app.view_closed("forecast")
    def on_close(ack: Any, body: Any) -> None:
        ack()
        closed.put(body)

    @app.event("message")
    def on_message(event: Any) -> None:
        closed.put(event)

    view = open_form(app, connect, workspace, notify_on_close=notify)
    assert workspace.close_view(view["id"])["views"] == []
    if notify:
        body = closed.get(timeout=WAIT_S)
        assert body["is_cleared"] is False and body["view"]["id"] == view["id"]
    # Whatever comes for this message was sent after anything about the form.
    workspace.message("marker")
    assert closed.get(timeout=WAIT_S)["text"] == "marker"


def test_views_push_opens_above_the_form_whose_button_was_pressed(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.action("again")
    def again(ack: Any, body: Any, client: WebClient) -> None:
        ack()
        client.views_push(trigger_id=body["trigger_id"], view=modal("Above"))

    view = open_form(app, connect, workspace, blocks=BUTTON_BLOCKS)
    pressed = {"type": "button", "block_id": "row", "action_id": "again"}
    assert workspace.action(pressed, view_id=view["id"])["delivered"]
    above = workspace.wait_for(lambda: workspace.state()["views"][1:])
    assert above[0]["title"]["text"] == "Above"


def test_a_button_carries_the_message_the_state_and_a_response_url(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    clicks: Queue[Any] = Queue()

    @app.action("again")
    def again(ack: Any, body: Any, respond: Any) -> None:
        ack()
        respond(text="Still sunny", replace_original=True)
        clicks.put(body)

    connect(app)
    ts = client.chat_postMessage(channel="C0TUNING", text="Sunny", blocks=BUTTON_BLOCKS)["ts"]
    chosen = {"selected_option": {"value": "k"}, "type": "static_select"}
    pressed = {"type": "button", "block_id": "row", "action_id": "again"}
    workspace.action(pressed, message_ts=ts, values={"row": {"unit": chosen}})
    body = clicks.get(timeout=WAIT_S)
    (action,) = body["actions"]
    assert action["value"] == "7" and action["text"]["text"] == "Again" and action["action_ts"]
    assert body["message"]["ts"] == ts and body["channel"] == {"id": "C0TUNING", "name": "tuning"}
    assert body["container"]["message_ts"] == ts and not body["container"]["is_ephemeral"]
    unit = body["state"]["values"]["row"]["unit"]
    assert unit["selected_option"] == {"text": plain("Kelvin"), "value": "k"}
    (message,) = workspace.messages()
    assert message["text"] == "Still sunny" and "blocks" not in message


def test_an_element_that_is_not_there_cannot_be_used(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    ts = client.chat_postMessage(channel="C0TUNING", text="Sunny", blocks=BUTTON_BLOCKS)["ts"]
    with pytest.raises(PersonRefused, match="nothing with action 'other'"):
        workspace.action({"block_id": "row", "action_id": "other"}, message_ts=ts)
    wrong = {"block_id": "row", "action_id": "unit", "selected_option": {"value": "f"}}
    with pytest.raises(PersonRefused, match="'f' is not offered"):
        workspace.action(wrong, message_ts=ts)


def test_a_response_url_works_five_times_for_half_an_hour(
    app: App, connect: Connect, workspace: RunningWorkspace, clock: Clock
) -> None:
    statuses: Queue[Any] = Queue()

    @app.command("/weather")
    def weather(ack: Any, command: Any, respond: Any) -> None:
        ack()
        if command["text"] == "late":
            clock.advance(1801)
            statuses.put((respond("too late").status_code, respond("too late").body))
            return
        for number in range(6):
            kind = "in_channel" if number == 0 else "ephemeral"
            statuses.put(respond(text=str(number), response_type=kind).status_code)

    connect(app)
    workspace.command("/weather")
    assert [statuses.get(timeout=WAIT_S) for _ in range(6)] == [200] * 5 + [404]
    assert [m["text"] for m in workspace.messages(user="U0GRACE")] == ["0"]
    assert [m["text"] for m in workspace.messages()] == ["0", "1", "2", "3", "4"]
    workspace.command("/weather late")
    assert statuses.get(timeout=WAIT_S) == (404, "expired_url")


def test_a_response_url_deletes_the_ephemeral_message_that_was_clicked(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    clicks: Queue[Any] = Queue()

    @app.command("/weather")
    def weather(ack: Any) -> None:
        ack(text="Only you", blocks=BUTTON_BLOCKS)

    @app.action("again")
    def again(ack: Any, body: Any, respond: Any) -> None:
        ack()
        respond(delete_original=True)
        clicks.put(body)

    connect(app)
    workspace.command("/weather")
    (message,) = workspace.messages()
    workspace.press(message, "again")
    body = clicks.get(timeout=WAIT_S)
    assert body["container"]["is_ephemeral"] and "message" not in body
    assert workspace.messages() == []


def test_a_mention_reaches_the_app_and_its_answer_stands_in_the_thread(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    @app.event("app_mention")
    def mentioned(event: Any, say: Any) -> None:
        say(text=f"You said: {event['text']}", thread_ts=event["ts"])

    @app.event("message")
    def ignored() -> None:
        pass

    connect(app)
    ts = workspace.message("hi @weather, 1 < 2")["ts"]
    workspace.wait_for(lambda: len(workspace.thread("C0TUNING", ts)) == 2)
    root, reply = workspace.thread("C0TUNING", ts)
    assert root["text"] == "hi <@U0BOT>, 1 &lt; 2" and root["reply_count"] == 1
    assert root["latest_reply"] == reply["ts"] and reply["thread_ts"] == ts
    assert reply["text"] == "You said: hi <@U0BOT>, 1 &lt; 2"


def test_messages_of_people_are_events_only_where_the_bot_is(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    events: Queue[Any] = Queue()

    @app.event("message")
    def on_message(event: Any) -> None:
        events.put((event["channel"], event["channel_type"], event["text"]))

    connect(app)
    workspace.message("unheard", channel="C0GENERAL")
    workspace.message("heard", channel="C0TUNING")
    direct = client.conversations_open(users="U0ADA")["channel"]["id"]
    workspace.message("between us", channel=direct)
    got = {events.get(timeout=WAIT_S), events.get(timeout=WAIT_S)}
    assert got == {("C0TUNING", "channel", "heard"), (direct, "im", "between us")}


def test_home_is_published_and_takes_no_chart(
    workspace: RunningWorkspace, client: WebClient
) -> None:
    view = client.views_publish(user_id="U0ADA", view={"type": "home", "blocks": []})["view"]
    again: dict[str, Any] = {
        "user_id": "U0ADA",
        "view": {"type": "home", "blocks": [{"type": "divider"}]},
    }
    assert client.views_publish(**again, hash=view["hash"])["view"]["id"] == view["id"]
    assert error_of(client.views_publish, **again, hash=view["hash"]) == "hash_conflict"
    alert = {"type": "home", "blocks": [{"type": "alert", "text": plain("x")}]}
    assert error_of(client.views_publish, user_id="U0ADA", view=alert) == "invalid_arguments"


def test_an_external_id_belongs_to_one_open_view(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    results: Queue[str] = Queue()

    @app.command("/weather")
    def weather(ack: Any, command: Any, client: WebClient) -> None:
        ack()
        view = modal(external_id="one")
        try:
            client.views_open(trigger_id=command["trigger_id"], view=view)
            results.put("opened")
        except SlackApiError as refusal:
            results.put(refusal.response["error"])

    connect(app)
    workspace.command("/weather", user="U0ADA")
    assert results.get(timeout=WAIT_S) == "opened"
    workspace.command("/weather", user="U0GRACE")
    assert results.get(timeout=WAIT_S) == "duplicate_external_id"
    updated = client.views_update(external_id="one", view=modal("By name", external_id="one"))
    assert updated["view"]["title"]["text"] == "By name"
