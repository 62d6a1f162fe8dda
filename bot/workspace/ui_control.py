"""What the inspector of the page asks, and the control endpoint: trouble on demand, for people and
tests.

GET /ui/control answers {"faults": [...], "has_rate_limits": true, "clock": {"now", "ahead_s"}}, as
every POST /ui/control does, with one or several of:

{"fault": {"kind", "on"?, "app"?, "times"?, "seconds"?}}  adds a fault (see faults.py). `kind`:
    ratelimited         429 with Retry-After `seconds`, nothing done      on a method
    error               503, nothing done                                 on a method
    fatal_error         200 with Slack's fatal_error, nothing done        on a method
    error_after_commit  done, and then a 500                              on a method
    slow                done, answered after `seconds`                    on a method
    drop_ack            the acknowledgement is ignored                    on a kind of delivery
    late_ack            the acknowledgement counts after the deadline     on a kind of delivery
    duplicate           the payload is delivered twice                    on a kind of delivery
    close_sockets       the socket is closed instead of delivering        on a kind of delivery
    slow_file           files become usable after `seconds`
    `on` is a Web API method or slash_commands, interactive, events_api ("*", the default: any),
    `app` an app id (default: any), `times` how often (default 1; null: until cleared).
{"clear_faults": true}          takes all faults away
{"advance_s": 10}               moves the workspace's clock ahead
{"has_rate_limits": false}      switches rate limits off, or on
{"disconnect": {"app"?, "reason"}}  tells the sockets of an app (default: all) goodbye; `reason`:
    warning, refresh_requested, link_disabled, too_many_websockets

Nothing is done when a part of it is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from aiohttp import web

from bot.workspace import ui_parts
from bot.workspace.faults import Fault
from bot.workspace.refusals import UiRefused
from bot.workspace.socket_mode import REASONS
from bot.workspace.ui_parts import Json
from bot.workspace.workspace import Workspace

Change = Callable[[], None]
# Ten years: longer would leave what a timestamp can hold.
ADVANCE_LIMIT_S = 10 * 366 * 86_400


async def inspector(workspace: Workspace, request: web.Request) -> Json:
    """GET /ui/inspector: what was recorded after entry `since`, oldest first."""
    ui_parts.person(workspace, request.query)
    since = request.query.get("since", "0")
    if not since.isdecimal() or len(since) > 15:
        raise UiRefused(f"since must be the number of an entry, not {since!r}.")
    return {
        "entries": workspace.recorder.page(int(since)),
        "apps": [
            {
                "id": installed.app.app_id,
                "name": installed.app.name,
                "transport": installed.transport.name,
                "connections": installed.transport.connections,
            }
            for installed in workspace.apps
        ],
        "limits": workspace.limits.table(),
        "unknown_methods": dict(workspace.recorder.unknown_methods),
        **_state(workspace),
    }


async def read(workspace: Workspace, _: web.Request) -> Json:
    """GET /ui/control"""
    return _state(workspace)


async def change(workspace: Workspace, request: web.Request) -> Json:
    """POST /ui/control"""
    wanted = await ui_parts.body(request)
    wanted.pop("user", None)
    unknown = sorted(set(wanted) - set(CHANGES))
    if unknown or not wanted:
        what = f"There is no control {unknown[0]!r}" if unknown else "Nothing was asked"
        raise UiRefused(f"{what}. The known ones are {', '.join(CHANGES)}.")
    for do in [CHANGES[name](workspace, value) for name, value in wanted.items()]:
        do()
    return _state(workspace)


def _state(workspace: Workspace) -> Json:
    clock = workspace.timing.clock
    return {
        "faults": [asdict(fault) for fault in workspace.faults.active()],
        "has_rate_limits": workspace.limits.is_on,
        "clock": {"now": clock(), "ahead_s": clock.ahead_s},
    }


# --- changes: each checks what it is given, and gives back what is to be done ---------------------


def _fault(workspace: Workspace, given: Any) -> Change:
    if not isinstance(given, dict):
        raise UiRefused(f"fault must be an object, not {given!r}.")
    names = [each.name for each in fields(Fault)]
    unknown = sorted(set(given) - set(names))
    if unknown or "kind" not in given:
        what = f"has no {unknown[0]!r}" if unknown else "needs a kind"
        raise UiRefused(f"A fault {what}. It has {', '.join(names)}.")
    _known_app(workspace, given)
    try:
        fault = Fault(**given)
    except (ValueError, TypeError) as error:
        raise UiRefused(str(error)) from error
    return lambda: workspace.faults.add(fault)


def _known_app(workspace: Workspace, given: Mapping[str, Any]) -> None:
    app = given.get("app")
    if app and workspace.installation(app) is None:
        known = ", ".join(installed.app.app_id for installed in workspace.apps)
        raise UiRefused(f"There is no app {app!r} here. The installed ones are {known}.")


def _clear_faults(workspace: Workspace, given: Any) -> Change:
    if given is not True:
        raise UiRefused(f"clear_faults must be true, not {given!r}.")
    return workspace.faults.clear


def _advance(workspace: Workspace, given: Any) -> Change:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number or not 0 < given <= ADVANCE_LIMIT_S:
        raise UiRefused(
            f"advance_s must be seconds, above 0 and at most {ADVANCE_LIMIT_S}, not {given!r}."
        )
    return lambda: workspace.timing.clock.advance(float(given))


def _rate_limits(workspace: Workspace, given: Any) -> Change:
    if not isinstance(given, bool):
        raise UiRefused(f"has_rate_limits must be true or false, not {given!r}.")

    def switch() -> None:
        workspace.limits.is_on = given

    return switch


def _disconnect(workspace: Workspace, given: Any) -> Change:
    if not isinstance(given, dict) or set(given) - {"app", "reason"}:
        raise UiRefused(f"disconnect must be an object with reason, perhaps app, not {given!r}.")
    reason = given.get("reason")
    if reason not in REASONS:
        raise UiRefused(f"The reason is one of {', '.join(REASONS)}, not {reason!r}.")
    _known_app(workspace, given)
    chosen = [known for known in workspace.apps if given.get("app") in (None, "", known.app.app_id)]
    sockets = [known.sockets for known in chosen if known.sockets is not None]
    if not sockets:
        raise UiRefused("Nothing can be disconnected: no app that is meant is in Socket Mode.")

    def disconnect() -> None:
        for each in sockets:
            workspace.in_background(each.disconnect(reason))

    return disconnect


CHANGES: Mapping[str, Callable[[Workspace, Any], Change]] = {
    "fault": _fault,
    "clear_faults": _clear_faults,
    "advance_s": _advance,
    "has_rate_limits": _rate_limits,
    "disconnect": _disconnect,
}
