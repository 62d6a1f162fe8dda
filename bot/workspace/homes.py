"""Home views: what each app has published for each person. They outlive a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.workspace.hub import Hub
from bot.workspace.installed_app import InstalledApp
from bot.workspace.refusals import SlackError
from bot.workspace.store import Store
from bot.workspace.views import View, new_view

_KIND = "home"


class Homes:
    """Every Home view. Each change by an app is told to that person's pages."""

    def __init__(self, hub: Hub, store: Store) -> None:
        self._hub = hub
        self._store = store

    def of(self, app: str, person: str) -> View | None:
        """What the app has published for this person."""
        return self._store.record(_KIND, f"{person} {app}")

    def find(self, person: str, view_id: str) -> View | None:
        """The person's Home view with this id."""
        views = self._store.records(_KIND)
        found = next((view for view in views if view["id"] == view_id), None)
        return found if found and self.of(found["app_id"], person) == found else None

    def publish(
        self, app: InstalledApp, person: str, given: Mapping[str, Any], view_hash: str = ""
    ) -> View:
        """Puts content on the person's Home tab; what was entered stays under the same ids.

        SlackError hash_conflict if the hash is not the newest.
        """
        old = self.of(app.app_id, person)
        if view_hash and (old is None or view_hash != old["hash"]):
            raise SlackError("hash_conflict")
        view = new_view(app, given, before=old["state"]["values"] if old else None)
        if old is not None:
            view["id"] = view["root_view_id"] = old["id"]
        self._keep(person, view)
        self._hub.tell("home", {"app": app.app_id, "view": view}, only=person)
        return view

    def enter(self, person: str, view: View, values: Mapping[str, Any]) -> None:
        """Keeps the state values that the person has left the view with."""
        view["state"] = {"values": values}
        self._keep(person, view)

    def _keep(self, person: str, view: View) -> None:
        self._store.put_record(_KIND, f"{person} {view['app_id']}", view)
