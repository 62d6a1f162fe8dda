"""Forms over one another: whose they are, what a trigger may open, what closing them tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient

from bot.workspace.person import filled
from tests.harness import RunningWorkspace
from tests.workspace.conftest import MANIFEST, Clock
from tests.workspace.parts import (
    BUTTON_BLOCKS,
    WAIT_S,
    Connect,
    error_of,
    modal,
    open_form,
    plain,
)

TUNING = "C0TUNING"
PRESSED = {"type": "button", "block_id": "row", "action_id": "again"}
Json = dict[str, Any]


def clicks(app: App) -> Queue[Json]:
    """The clicks on the button of BUTTON_BLOCKS."""
    bodies: Queue[Json] = Queue()

    @app.action("again")
    def again(ack: Callable[[], None], body: Json) -> None:
        ack()
        bodies.put(body)

    return bodies


def asked(app: App) -> Queue[Json]:
    """The uses of the global shortcut."""
    bodies: Queue[Json] = Queue()

    @app.shortcut("ask")
    def ask(ack: Callable[[], None], body: Json) -> None:
        ack()
        bodies.put(body)

    return bodies


def trigger_in(workspace: RunningWorkspace, bodies: Queue[Json], view_id: str) -> str:
    """The trigger of a click in a form."""
    workspace.action(PRESSED, view_id=view_id)
    trigger: str = bodies.get(timeout=WAIT_S)["trigger_id"]
    return trigger


def titles(workspace: RunningWorkspace) -> list[str]:
    return [view["title"]["text"] for view in workspace.state()["views"]]


def test_a_click_in_a_form_pushes_once_and_late_never(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient, clock: Clock
) -> None:
    bodies = clicks(app)
    view = open_form(app, connect, workspace, blocks=BUTTON_BLOCKS)
    trigger = trigger_in(workspace, bodies, view["id"])
    over = modal("Over", blocks=BUTTON_BLOCKS)
    pushed = client.views_push(trigger_id=trigger, view=over)["view"]
    assert (pushed["root_view_id"], pushed["previous_view_id"]) == (view["id"], view["id"])
    again = {"trigger_id": trigger, "view": modal()}
    assert error_of(client.views_push, **again) == "exchanged_trigger_id"
    late = trigger_in(workspace, bodies, pushed["id"])
    clock.advance(3.1)
    assert error_of(client.views_push, trigger_id=late, view=modal()) == "expired_trigger_id"


def test_a_fourth_form_is_too_many(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    bodies = clicks(app)
    top = open_form(app, connect, workspace, blocks=BUTTON_BLOCKS)
    for title in ("Two", "Three"):
        trigger = trigger_in(workspace, bodies, top["id"])
        view = modal(title, blocks=BUTTON_BLOCKS)
        top = client.views_push(trigger_id=trigger, view=view)["view"]
    trigger = trigger_in(workspace, bodies, top["id"])
    assert error_of(client.views_push, trigger_id=trigger, view=modal()) == "push_limit_reached"
    assert titles(workspace) == ["Forecast", "Two", "Three"]


def test_a_trigger_that_no_form_gave_pushes_nothing(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    bodies = clicks(app)
    view = open_form(app, connect, workspace, blocks=BUTTON_BLOCKS)
    client.chat_postMessage(channel=TUNING, text="x", blocks=BUTTON_BLOCKS)
    workspace.press(workspace.messages()[-1], "again")
    trigger = bodies.get(timeout=WAIT_S)["trigger_id"]
    assert error_of(client.views_push, trigger_id=trigger, view=modal()) == "invalid_trigger_id"
    assert [v["id"] for v in workspace.state()["views"]] == [view["id"]]


def test_views_open_from_inside_a_form_takes_its_place(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    bodies = clicks(app)
    view = open_form(app, connect, workspace, blocks=BUTTON_BLOCKS)
    trigger = trigger_in(workspace, bodies, view["id"])
    client.views_open(trigger_id=trigger, view=modal("Instead"))
    assert titles(workspace) == ["Instead"]
    assert error_of(client.views_update, view_id=view["id"], view=modal()) == "not_found"


def test_a_form_of_another_app_takes_the_place_and_takes_no_push(
    tmp_path: Path, behind: Callable[[Callable[[], None]], None]
) -> None:
    running = RunningWorkspace(tmp_path, MANIFEST, MANIFEST)
    handlers, apps = [], []
    for installed in running.apps:
        bolt = App(client=WebClient(installed["bot_token"], base_url=running.api_url))
        handler = SocketModeHandler(bolt, installed["app_token"])
        handler.connect()
        handlers.append(handler)
        apps.append((installed["app_id"], bolt, clicks(bolt), asked(bolt)))
    (first_id, first, in_first, ask_first), (second_id, second, _, ask_second) = apps
    ada = running.person()
    ada.shortcut(first_id, "ask")
    trigger = ask_first.get(timeout=WAIT_S)["trigger_id"]
    view = modal("First", blocks=BUTTON_BLOCKS)
    opened = first.client.views_open(trigger_id=trigger, view=view)["view"]
    inside = trigger_in(running, in_first, opened["id"])
    ada.shortcut(second_id, "ask")
    trigger = ask_second.get(timeout=WAIT_S)["trigger_id"]
    second.client.views_open(trigger_id=trigger, view=modal("Second"))
    assert titles(running) == ["Second"]
    gone = {"view_id": opened["id"], "view": modal()}
    assert error_of(first.client.views_update, **gone) == "not_found"
    over = {"trigger_id": inside, "view": modal()}
    assert error_of(first.client.views_push, **over) == "invalid_trigger_id"
    behind(lambda: ([h.close() for h in handlers], running.stop()))


@pytest.mark.parametrize("clears", [False, True])
def test_closing_tells_of_every_form_that_goes(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient, clears: bool
) -> None:
    bodies, closed = clicks(app), Queue[Json]()

    @app.view_closed("forecast")
    def close(ack: Callable[[], None], body: Json) -> None:
        ack()
        closed.put(body)

    root = open_form(app, connect, workspace, blocks=BUTTON_BLOCKS, notify_on_close=True)
    trigger = trigger_in(workspace, bodies, root["id"])
    over = modal("Over", clear_on_close=clears, notify_on_close=True)
    top = client.views_push(trigger_id=trigger, view=over)["view"]
    workspace.close_view(top["id"])
    expected = {top["id"], root["id"]} if clears else {top["id"]}
    told = [closed.get(timeout=WAIT_S) for _ in expected]
    assert {body["view"]["id"] for body in told} == expected
    assert {body["is_cleared"] for body in told} == {clears}
    assert all("trigger_id" not in body for body in told)
    assert titles(workspace) == ([] if clears else ["Forecast"])


def test_a_form_that_the_app_clears_is_not_told_as_closed(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    heard: Queue[str] = Queue()

    @app.view("forecast")
    def submit(ack: Any) -> None:
        ack(response_action="clear")

    @app.view_closed("forecast")
    def close(ack: Callable[[], None]) -> None:
        ack()
        heard.put("closed")

    @app.event("message")
    def marker() -> None:
        heard.put("marker")

    view = open_form(app, connect, workspace, notify_on_close=True)
    workspace.submit(view["id"], filled(view, {"town": "Paris"}))
    workspace.message("marker")
    assert heard.get(timeout=WAIT_S) == "marker"


@pytest.mark.parametrize(
    "answer",
    [
        {"response_action": "errors", "errors": {"town": ""}},
        {"response_action": "errors", "errors": {}},
        {"response_action": "push", "view": {"type": "home", "blocks": []}},
        {"response_action": "update", "view": {"type": "home", "blocks": []}},
        {"response_action": "reopen"},
    ],
    ids=["empty words", "no errors", "push a Home", "update to a Home", "unknown"],
)
def test_a_wrong_answer_leaves_the_form_as_it_was(
    app: App, connect: Connect, workspace: RunningWorkspace, answer: Json
) -> None:
    # Bolt passes on as JSON whatever dict it is given.
    app.view("forecast")(lambda ack: ack(answer))
    view = open_form(app, connect, workspace)
    told = workspace.submit(view["id"], filled(view, {"town": "Paris"}))
    assert told["error"] == "invalid_response_action"
    assert titles(workspace) == ["Forecast"]


def test_a_view_over_250_kb_is_too_large(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    view = open_form(app, connect, workspace)
    fields = [{"type": "mrkdwn", "text": "x" * 2000}] * 10
    blocks = [{"type": "section", "fields": fields} for _ in range(13)]
    large = modal(blocks=blocks)
    assert error_of(client.views_update, view_id=view["id"], view=large) == "view_too_large"
    client.views_update(view_id=view["id"], view=modal(blocks=blocks[:12]))


def test_an_update_by_external_id_keeps_hash_and_place(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    view = open_form(app, connect, workspace, external_id="one")
    new = modal("Two", external_id="one")
    stale = {"external_id": "one", "hash": "1.x", "view": new}
    assert error_of(client.views_update, **stale) == "hash_conflict"
    updated = client.views_update(external_id="one", hash=view["hash"], view=new)["view"]
    assert updated["id"] == view["id"]
    workspace.close_view(view["id"])
    assert error_of(client.views_update, external_id="one", view=new) == "not_found"


def test_choices_that_an_update_takes_away_are_gone(
    app: App, connect: Connect, workspace: RunningWorkspace, client: WebClient
) -> None:
    app.action("a")(lambda ack: ack())

    def blocks(*values: str) -> list[Json]:
        options = [{"text": plain(v), "value": v} for v in values]
        menu = {"type": "static_select", "action_id": "a", "options": options}
        return [{"type": "actions", "block_id": "row", "elements": [menu]}]

    view = open_form(app, connect, workspace, blocks=blocks("x", "y"))
    chosen = {"type": "static_select", "selected_option": {"value": "y"}}
    workspace.action({**chosen, "block_id": "row", "action_id": "a"}, view_id=view["id"])
    client.views_update(view_id=view["id"], view=modal(blocks=blocks("y", "z")))

    def held() -> Any:
        top = workspace.person().view()
        return top and top["state"]["values"]["row"]["a"]["selected_option"]

    assert held()["value"] == "y"
    client.views_update(view_id=view["id"], view=modal(blocks=blocks("z")))
    assert held() is None


# --- answers where the person acted -------------------------------------------------------------


def test_an_ephemeral_message_is_replaced_where_it_stands(
    app: App, connect: Connect, workspace: RunningWorkspace
) -> None:
    done: Queue[None] = Queue()

    @app.command("/weather")
    def weather(ack: Any) -> None:
        ack(text="Only you", blocks=BUTTON_BLOCKS)

    @app.action("again")
    def again(ack: Callable[[], None], respond: Any) -> None:
        ack()
        respond(text="Still only you", replace_original=True)
        done.put(None)

    connect(app)
    workspace.command("/weather")
    (before,) = workspace.messages()
    workspace.press(before, "again")
    done.get(timeout=WAIT_S)
    (after,) = workspace.messages()
    assert (after["ts"], after["text"]) == (before["ts"], "Still only you")
    assert after["is_ephemeral"] and "blocks" not in after
    assert workspace.messages(user="U0GRACE") == []
