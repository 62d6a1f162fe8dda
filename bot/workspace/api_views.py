"""Web API: the views.* methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.workspace import sharing
from bot.workspace.api_parts import Call, Json, Method, known_person
from bot.workspace.refusals import SlackError
from bot.workspace.validate import check_view
from bot.workspace.views import View
from bot.workspace.workspace import Workspace


def _checked_view(workspace: Workspace, call: Call, kind: str) -> Mapping[str, Any]:
    """The `view` argument, which must be a correct view of this kind ("" for any)."""
    view = call.json("view")
    if view is None:
        raise SlackError("invalid_arguments", "missing required field: view")
    complaints = check_view(view)
    if complaints:
        raise SlackError.of(complaints)
    checked: Mapping[str, Any] = view
    if kind and checked["type"] != kind:
        words = "must be a valid enum value [json-pointer:/view/type]"
        raise SlackError("invalid_arguments", words)
    code = "invalid_arguments"
    if wrong := sharing.slack_file_complaints(workspace, call.app, checked, "/view", code):
        raise SlackError.of(wrong)
    return checked


def _answer(view: View) -> Json:
    """What the app is told of a view: never what a person has entered, which comes with actions."""
    return {"view": view | {"state": {"values": {}}}}


def open_view(workspace: Workspace, call: Call) -> Json:
    """views.open"""
    trigger_id = call.text("trigger_id")
    view = _checked_view(workspace, call, "modal")
    trigger = workspace.grants.use_trigger(call.app.app_id, trigger_id)
    return _answer(workspace.views.open(call.app, trigger.person, view, channel=trigger.channel))


def push(workspace: Workspace, call: Call) -> Json:
    """views.push"""
    trigger_id = call.text("trigger_id")
    view = _checked_view(workspace, call, "modal")
    trigger = workspace.grants.use_trigger(call.app.app_id, trigger_id)
    if not trigger.view:
        raise SlackError("invalid_trigger_id")
    return _answer(workspace.views.push(call.app, trigger.person, view))


def update(workspace: Workspace, call: Call) -> Json:
    """views.update"""
    view_id, external_id = call.optional("view_id"), call.optional("external_id")
    if view_id and external_id:
        raise SlackError("invalid_arguments", "Cannot provide both `view_id` and `external_id`")
    if not (view_id or external_id):
        raise SlackError("invalid_arguments", "missing required field: view_id")
    view = _checked_view(workspace, call, "")
    person, old = workspace.views.find(call.app, view_id=view_id, external_id=external_id)
    return _answer(workspace.views.update(call.app, person, old, view, call.optional("hash")))


def publish(workspace: Workspace, call: Call) -> Json:
    """views.publish"""
    person = known_person(workspace, call.text("user_id"))
    view = _checked_view(workspace, call, "home")
    if not call.app.has_home:
        raise SlackError("not_enabled")
    return _answer(workspace.homes.publish(call.app, person.id, view, call.optional("hash")))


METHODS: Mapping[str, Method] = {
    "views.open": Method(open_view),
    "views.push": Method(push),
    "views.update": Method(update),
    "views.publish": Method(publish),
}
