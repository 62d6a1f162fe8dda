"""A running workspace for tests: the server on a thread of its own, and people who use it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from bot.workspace.person import Person
from bot.workspace.server import Running, start
from bot.workspace.timing import Timing

Json = dict[str, Any]
WAIT_S = 20.0


class RunningWorkspace:
    """Starts at once, on any free port unless one is given; `stop` ends it and may be called twice.

    With `user=` every act is done as that person (U0ADA, U0GRACE, U0GUEST).
    """

    def __init__(
        self,
        state_dir: Path,
        *manifests: Mapping[str, Any],
        port: int = 0,
        timing: Timing | None = None,
        token: str = "",
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        starting = start(
            port=port, state_dir=state_dir, manifests=manifests, timing=timing, token=token
        )
        try:
            self._running: Running = self._wait(
                asyncio.run_coroutine_threadsafe(starting, self._loop)
            )
        except BaseException:
            self._end_loop()
            raise
        self.url = self._running.url
        self.page_url = self._running.page_url
        self.token = self._running.token
        # What a request to /ui or to a file needs, besides the page's cookie.
        self.headers = {"Authorization": f"Bearer {self.token}"}
        self.api_url = self._running.announcement["api_url"]
        self.bot_token = self._running.tokens.bot_token
        self.app_token = self._running.tokens.app_token
        self.signing_secret = self._running.tokens.signing_secret
        self.apps: list[Json] = self._running.announcement["apps"]

    def stop(self) -> None:
        """Ends the workspace as Ctrl-C would."""
        if self._thread.is_alive():
            self._wait(asyncio.run_coroutine_threadsafe(self._running.close(), self._loop))
            self._end_loop()

    def person(self, user: str = "U0ADA") -> Person:
        """Somebody who uses the workspace."""
        return Person(self.url, user, token=self.token)

    # --- one person's acts, for short -----------------------------------------------------------

    def state(self, *, user: str = "U0ADA") -> Json:
        """What the page knows at the start."""
        return self.person(user).state()

    def command(self, line: str, *, user: str = "U0ADA", channel: str = "C0TUNING") -> Json:
        """Types a slash command."""
        return self.person(user).command(line, channel=channel)

    def action(self, action: Mapping[str, Any], *, user: str = "U0ADA", **place: Any) -> Json:
        """Uses an element: see Person.action."""
        return self.person(user).action(action, **place)

    def press(self, message: Mapping[str, Any], action_id: str, *, user: str = "U0ADA") -> Json:
        """Presses a button of a message."""
        return self.person(user).press(message, action_id)

    def submit(self, view_id: str, values: Mapping[str, Any], *, user: str = "U0ADA") -> Json:
        """Submits a form."""
        return self.person(user).submit(view_id, values)

    def close_view(self, view_id: str, *, user: str = "U0ADA") -> Json:
        """Closes a form."""
        return self.person(user).close(view_id)

    def message(self, text: str, *, user: str = "U0ADA", **place: str) -> Json:
        """Writes a message."""
        return self.person(user).message(text, **place)

    def messages(self, channel: str = "C0TUNING", *, user: str = "U0ADA") -> list[Json]:
        """A channel, as this person sees it."""
        return self.person(user).messages(channel)

    def thread(self, channel: str, ts: str, *, user: str = "U0ADA") -> list[Json]:
        """A thread, as this person sees it."""
        return self.person(user).thread(ts, channel)

    def wait_for(
        self,
        wanted: Callable[[], Any],
        *,
        user: str = "U0ADA",
        timeout_s: float = WAIT_S,
        inspects: bool = False,
    ) -> Any:
        """The first true answer of `wanted`, asked now and after every event (with `inspects` also
        when something was recorded); TimeoutError.
        """
        events = self.person(user).events(timeout_s=timeout_s, inspects=inspects)
        answer = wanted()
        while not answer:
            next(events)
            answer = wanted()
        events.close()
        return answer

    def control(self, **wanted: Any) -> Json:
        """Makes trouble, or takes it away: see bot/workspace/ui_control.py."""
        return self.person().control(**wanted)

    def fault(self, kind: str, **more: Any) -> None:
        """Adds a fault: on=, app=, times=, seconds=."""
        self.control(fault={"kind": kind, **more})

    def recorded(self, *, kind: str = "", name: str = "") -> list[Json]:
        """What went between the apps and the workspace: entries as GET /ui/inspector shows them."""

        async def entries() -> list[Json]:
            return self._running.recorded(kind=kind, name=name)

        found: list[Json] = self._wait(asyncio.run_coroutine_threadsafe(entries(), self._loop))
        return found

    # --- inside -----------------------------------------------------------------------------------

    def _wait(self, future: Future[Any]) -> Any:
        return future.result(WAIT_S)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()
