"""Acts as a person of a workspace over its /ui endpoints, for a demo or a test; standard
library only.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Generator, Mapping
from typing import Any

from bot.workspace.card_rules import walk
from bot.workspace.elements import STATE_KEYS, elements_of, offered

Json = dict[str, Any]
HEADERS = {"Content-Type": "application/json", "X-Workspace-Client": "1"}
# A command answers after its acknowledgement, which has three seconds.
TIMEOUT_S = 30.0


class PersonRefused(Exception):
    """The workspace refused what the person wanted; the text is its sentence."""


class Person:
    """One person at one workspace; `token` is the page's.

    Every method returns the workspace's JSON answer, or raises PersonRefused.
    """

    def __init__(
        self, url: str, user: str = "U0ADA", *, channel: str = "C0TUNING", token: str
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {**HEADERS, "Authorization": f"Bearer {token}"}
        self.user = user
        self.channel = channel

    @classmethod
    def at(cls, page_url: str, user: str = "U0ADA") -> Person:
        """Somebody who opens the address that the workspace has printed."""
        parts = urllib.parse.urlsplit(page_url)
        (token,) = urllib.parse.parse_qs(parts.query)["token"]
        return cls(f"{parts.scheme}://{parts.netloc}", user, token=token)

    # --- reading ------------------------------------------------------------------------------

    def state(self) -> Json:
        """Who I am, the channels, the commands, my open views."""
        return self._get("state")

    def view(self) -> Json | None:
        """The form on top, if one is open."""
        views: list[Json] = self.state()["views"]
        return views[-1] if views else None

    def messages(self, channel: str = "", *, limit: int = 100, before: str = "") -> list[Json]:
        """Messages of a channel, oldest first, with those that only I see."""
        query = {"channel": channel or self.channel, "limit": str(limit), "before": before}
        found: list[Json] = self._get("messages", **query)["messages"]
        return found

    def thread(self, ts: str, channel: str = "") -> list[Json]:
        """A root message and its replies."""
        query = {"channel": channel or self.channel, "ts": ts}
        found: list[Json] = self._get("thread", **query)["messages"]
        return found

    def events(
        self, *, timeout_s: float | None = None, inspects: bool = False
    ) -> Generator[tuple[str, Json], None, None]:
        """Everything that happens from now on, as (event, data); TimeoutError if nothing comes
        for so long. With `inspects` also `seen`, when there is more to inspect.

        Quiet workspaces send a sign of life every 15 s, which resets the timeout.
        """
        query = urllib.parse.urlencode({"user": self.user, "inspector": int(inspects)})
        request = urllib.request.Request(f"{self._url}/ui/events?{query}", headers=self._headers)
        events = _events(request, timeout_s)
        next(events)
        return events

    # --- doing --------------------------------------------------------------------------------

    def message(self, text: str, *, channel: str = "", thread_ts: str = "") -> Json:
        """Writes a message."""
        body = {"channel": channel or self.channel, "text": text, "thread_ts": thread_ts or None}
        return self._post("message", body)

    def command(self, line: str, *, channel: str = "") -> Json:
        """Types a slash command; returns when it was acknowledged, or has failed."""
        word, _, text = line.partition(" ")
        body = {"channel": channel or self.channel, "command": word, "text": text}
        return self._post("command", body)

    def action(
        self,
        action: Mapping[str, Any],
        *,
        channel: str = "",
        message_ts: str = "",
        view_id: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> Json:
        """Uses an element, of a message or of a form. `values`: what stands in the others then."""
        place = self._place(channel, message_ts, view_id)
        return self._post("action", {**place, "action": action, "state": {"values": values or {}}})

    def press(self, message: Mapping[str, Any], action_id: str, *, channel: str = "") -> Json:
        """Presses the button with this action_id in a message as `messages` or `thread` gave it."""
        for _, block in walk(message.get("blocks", []), ""):
            for element in elements_of(block):
                if element["action_id"] == action_id:
                    pressed = {
                        "type": element["type"],
                        "block_id": block["block_id"],
                        "action_id": action_id,
                    }
                    return self.action(pressed, channel=channel, message_ts=message["ts"])
        raise PersonRefused(f"The message has nothing with action {action_id!r}.")

    def suggest(
        self,
        block_id: str,
        action_id: str,
        value: str,
        *,
        channel: str = "",
        message_ts: str = "",
        view_id: str = "",
    ) -> Json:
        """Types into an external select, of a message or of a view: the options that it offers."""
        place = self._place(channel, message_ts, view_id)
        query = {"block_id": block_id, "action_id": action_id, "value": value}
        return self._post("suggest", {**place, **query})

    def home(self, app: str, tab: str = "home") -> Json:
        """Opens the Home of the app with this id: its view, None if nothing was published yet."""
        return self._post("home", {"app": app, "tab": tab})

    def shortcut(
        self, app: str, callback_id: str, *, channel: str = "", message_ts: str = ""
    ) -> Json:
        """Uses a shortcut of the app with this id, on a message if one is named."""
        place = {"channel": channel or self.channel, "message_ts": message_ts}
        given = {"app": app, "callback_id": callback_id}
        return self._post("shortcut", given | (place if message_ts else {}))

    def react(self, message_ts: str, name: str, *, channel: str = "", on: bool = True) -> Json:
        """Adds a reaction to a message, or takes it away."""
        given = {"channel": channel or self.channel, "message_ts": message_ts}
        return self._post("react", {**given, "name": name, "on": on})

    def upload(
        self, name: str, content: bytes, *, channel: str = "", thread_ts: str = "", text: str = ""
    ) -> Json:
        """Uploads a file, into a channel if one is named; else it is mine alone, for a form."""
        place = {"channel": channel, "thread_ts": thread_ts or None, "text": text}
        data = base64.b64encode(content).decode()
        return self._post("file", {"name": name, "content": data, **(place if channel else {})})

    def submit(self, view_id: str, values: Mapping[str, Any]) -> Json:
        """Submits a form with values as Slack writes them (see `filled`)."""
        return self._post("submit", {"view_id": view_id, "values": values})

    def close(self, view_id: str) -> Json:
        """Closes a form without submitting it."""
        return self._post("close", {"view_id": view_id})

    def controls(self) -> Json:
        """Which faults are due, whether there are rate limits, and what the clock shows."""
        return self._get("control")

    def control(self, **wanted: Any) -> Json:
        """Makes trouble, or takes it away: see ui_control.py for what there is."""
        return self._post("control", wanted)

    # --- inside -------------------------------------------------------------------------------

    def _place(self, channel: str, message_ts: str, view_id: str) -> Json:
        if message_ts:
            return {"channel": channel or self.channel, "message_ts": message_ts}
        return {"view_id": view_id}

    def _get(self, path: str, **query: str) -> Json:
        given = urllib.parse.urlencode({"user": self.user, **query})
        return self._call(
            urllib.request.Request(f"{self._url}/ui/{path}?{given}", headers=self._headers)
        )

    def _post(self, path: str, body: Mapping[str, Any]) -> Json:
        data = json.dumps({"user": self.user, **body}).encode()
        url = f"{self._url}/ui/{path}"
        return self._call(urllib.request.Request(url, data, self._headers, method="POST"))

    def _call(self, request: urllib.request.Request) -> Json:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                answer: Json = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise PersonRefused(json.load(error)["error"]) from error
        return answer


def _events(
    request: urllib.request.Request, timeout_s: float | None
) -> Generator[tuple[str, Json], None, None]:
    """First ("", {}), once the workspace is sending to us; then the events."""
    with urllib.request.urlopen(request, timeout=timeout_s) as stream:
        stream.readline()
        yield "", {}
        name = ""
        for raw in stream:
            field, _, value = raw.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def filled(view: Mapping[str, Any], answers: Mapping[str, Any]) -> Json:
    """All values of a form after a person has put in `answers`: block_id -> text, option value,
    or a list of them.

    Raises:
        KeyError: an answer for a block that the form does not have.
    """
    values: Json = json.loads(json.dumps(view["state"]["values"]))
    elements = {b["block_id"]: e for _, b in walk(view["blocks"], "") for e in elements_of(b)}
    for block_id, answer in answers.items():
        element = elements[block_id]
        key, _ = STATE_KEYS[element["type"]]
        value = _chosen(element, answer) if "option" in key else answer
        values[block_id][element["action_id"]] = {"type": element["type"], key: value}
    return values


def _chosen(element: Mapping[str, Any], answer: Any) -> Any:
    if "external" in element["type"]:
        by_value = {}
    else:
        by_value = {option["value"]: option for option in offered(element)}

    def option(value: str) -> Json:
        # What an app has suggested, the workspace knows: the value is enough.
        return by_value[value] if by_value else {"value": value}

    if isinstance(answer, list):
        return [option(value) for value in answer]
    return None if answer is None else option(answer)
