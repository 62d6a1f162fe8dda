"""Open modals, a stack for each person.

They live in memory: a restart closes them, as a reload does.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from bot.workspace.elements import state_values, with_ids
from bot.workspace.hub import Hub
from bot.workspace.installed_app import InstalledApp
from bot.workspace.people import TEAM_ID
from bot.workspace.refusals import SlackError, UiRefused

STACK_LIMIT = 3

View = dict[str, Any]
_DEFAULTS: Mapping[str, Any] = {
    "private_metadata": "",
    "callback_id": "",
    "external_id": "",
    "title": None,
    "submit": None,
    "close": None,
    "clear_on_close": False,
    "notify_on_close": False,
}


def random_ids() -> Iterator[str]:
    """Ids for blocks and elements that the app left unnamed."""
    while True:
        yield secrets.token_urlsafe(6)


def _new_hash() -> str:
    return f"{secrets.randbelow(10**10)}.{secrets.token_hex(4)}"


def new_view(
    app: InstalledApp,
    given: Mapping[str, Any],
    *,
    before: Mapping[str, Any] | None = None,
    channel: str = "",
) -> View:
    """A checked view as Slack keeps it, with ids, a hash, and what its elements hold.

    `before` are the state values of the view that it takes the place of, `channel` the
    conversation that it was opened from.
    """
    view_id = f"V0{secrets.token_hex(5).upper()}"
    blocks = with_ids(given["blocks"], random_ids())
    return {
        **_DEFAULTS,
        **given,
        "blocks": blocks,
        "id": view_id,
        "team_id": TEAM_ID,
        "state": {"values": state_values(blocks, before or {}, current=channel)},
        "hash": _new_hash(),
        "root_view_id": view_id,
        "previous_view_id": None,
        "app_id": app.app_id,
        "app_installed_team_id": TEAM_ID,
        "bot_id": app.bot_id,
    }


class Views:
    """What every person has open. Each change is told to that person's pages."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._stacks: dict[str, list[View]] = {}
        self._opened_from: dict[str, str] = {}

    # --- reading --------------------------------------------------------------------------------

    def stack(self, person: str) -> list[View]:
        """The person's modals, the lowest first."""
        return list(self._stacks.get(person, []))

    def find(
        self, app: InstalledApp, *, view_id: str = "", external_id: str = ""
    ) -> tuple[str, View]:
        """Who has this view of the app open, and the view; SlackError not_found."""
        for person, stack in self._stacks.items():
            for view in (v for v in stack if v["app_id"] == app.app_id):
                if view_id and view["id"] == view_id:
                    return person, view
                if external_id and view["external_id"] == external_id:
                    return person, view
        raise SlackError("not_found")

    def top(self, person: str, view_id: str) -> View:
        """The person's uppermost modal, which must be this one; UiRefused if not."""
        stack = self._stacks.get(person, [])
        if not stack or stack[-1]["id"] != view_id:
            raise UiRefused("This form is not open any more.", status=404)
        return stack[-1]

    def opened_from(self, person: str) -> str:
        """Id of the conversation that the person's modals were opened from; "" if from none."""
        return self._opened_from.get(person, "")

    # --- what an app does -----------------------------------------------------------------------

    def open(
        self, app: InstalledApp, person: str, given: Mapping[str, Any], *, channel: str = ""
    ) -> View:
        """Shows a modal in place of what the person had open, of whatever app that was.

        `channel` is the conversation that the person looks at ("" for none).
        """
        self._refuse_double_external_id(app, given, but="")
        view = new_view(app, given, channel=channel)
        self._stacks[person], self._opened_from[person] = [view], channel
        self._tell(person, "open", view)
        return view

    def push(self, app: InstalledApp, person: str, given: Mapping[str, Any]) -> View:
        """Shows a modal above the others, which must be of the same app."""
        stack = self._stacks.get(person, [])
        if not stack or stack[-1]["app_id"] != app.app_id:
            raise SlackError("invalid_trigger_id")
        if len(stack) >= STACK_LIMIT:
            raise SlackError("push_limit_reached")
        self._refuse_double_external_id(app, given, but="")
        view = new_view(app, given, channel=self.opened_from(person))
        view |= {"root_view_id": stack[0]["id"], "previous_view_id": stack[-1]["id"]}
        stack.append(view)
        self._tell(person, "push", view)
        return view

    def update(
        self,
        app: InstalledApp,
        person: str,
        old: View,
        given: Mapping[str, Any],
        view_hash: str = "",
    ) -> View:
        """Puts new content into an open modal; what was entered stays under the same ids."""
        if view_hash and view_hash != old["hash"]:
            raise SlackError("hash_conflict")
        if given["type"] != old["type"]:
            raise SlackError(
                "invalid_arguments", "cannot change the type [json-pointer:/view/type]"
            )
        self._refuse_double_external_id(app, given, but=old["id"])
        kept = {name: old[name] for name in ("id", "root_view_id", "previous_view_id")}
        held, channel = old["state"]["values"], self.opened_from(person)
        view = new_view(app, given, before=held, channel=channel) | kept
        stack = self._stacks[person]
        stack[stack.index(old)] = view
        self._tell(person, "update", view)
        return view

    # --- what a person does ---------------------------------------------------------------------

    def enter(self, view: View, values: Mapping[str, Any]) -> None:
        """Keeps the state values that the person has left the view with."""
        view["state"] = {"values": values}

    def close(self, person: str, view: View) -> None:
        """Takes one modal away."""
        self._stacks[person].remove(view)
        self._tell(person, "close", view)

    def clear(self, person: str) -> None:
        """Takes all modals away."""
        view = self._stacks[person][-1]
        self._stacks[person] = []
        self._tell(person, "close", view)

    # --- inside ---------------------------------------------------------------------------------

    def _refuse_double_external_id(
        self, app: InstalledApp, given: Mapping[str, Any], *, but: str
    ) -> None:
        external_id = given.get("external_id")
        open_views = [view for stack in self._stacks.values() for view in stack]
        open_views = [view for view in open_views if view["app_id"] == app.app_id]
        if external_id and any(
            view["external_id"] == external_id and view["id"] != but for view in open_views
        ):
            raise SlackError("duplicate_external_id")

    def _tell(self, person: str, op: str, view: View) -> None:
        data = {"op": op, "view": view, "views": self.stack(person)}
        self._hub.tell("view", data, only=person)
