"""The unmodified bot, as `katib-tune serve` starts it, against a workspace, with a quick objective.

The objective is a user's Python function, so that a trial takes a moment and not a minute; the
engine, its processes, Bolt and Socket Mode are the real ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.engines import local_process
from bot.engines.local import LocalEngine
from tests.harness import RunningWorkspace

MANIFEST = Path(__file__).parents[2] / "manifests" / "slack-app.yaml"

OBJECTIVE = """
import time
from pathlib import Path

def objective(parameters):
    deadline = time.monotonic() + 30
    while parameters.get("wait") and not Path(parameters["wait"]).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    if parameters["a"] == parameters.get("bad"):
        raise RuntimeError("a is bad")
    return {"score": 4 * parameters["a"] - parameters["b"] ** 2}
"""


class Bot:
    """`katib-tune serve` as a process; `kill` is kill -9, `start` starts it again."""

    def __init__(self, workspace: RunningWorkspace, state: Path) -> None:
        self.workspace = workspace
        self.state = state
        self.objective = state / "objective.py"
        self.objective.write_text(OBJECTIVE)
        self.gate = state / "gate"
        self._process: subprocess.Popen[str] | None = None

    def environment(self) -> dict[str, str]:
        """The settings of the process."""
        return {
            **os.environ,
            "SLACK_BOT_TOKEN": self.workspace.bot_token,
            "SLACK_APP_TOKEN": self.workspace.app_token,
            "KATIB_TUNE_SLACK_API_URL": self.workspace.api_url,
            "KATIB_TUNE_STATE_DIR": str(self.state),
            "KATIB_TUNE_POLL_INTERVAL_S": "0.1",
            "KATIB_TUNE_ALLOW_CODE": "true",
        }

    def start(self) -> None:
        with (self.state / "bot.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bot", "serve"],
                env=self.environment(), stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        assert "connected" in first, (self.state / "bot.log").read_text()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> int:
        """Ctrl-C; the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._end()

    def _end(self) -> int:
        assert self._process is not None and self._process.stdout is not None
        code = self._process.wait(timeout=30)
        self._process.stdout.close()
        return code

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def line(self, name: str, *words: str, waiting: bool = False) -> str:
        """A typed line for the quick objective; `waiting`: trials last until `open_gate`."""
        fixed = [f"wait={self.gate}"] if waiting else []
        return " ".join(
            [f"/katib-tune {self.objective}:objective name={name} a=10..20 b=0.1..0.2",
             "objective=score objective_type=maximize", *fixed, *words]
        )  # fmt: skip

    def open_gate(self) -> None:
        self.gate.touch()

    # What people see

    def card(self, name: str) -> dict[str, Any] | None:
        """The root message of an Experiment, once it is there."""
        found = [
            message
            for message in self.workspace.messages()
            if message.get("bot_id") and not message.get("is_ephemeral") and name in message["text"]
        ]
        assert len(found) <= 1, f"{len(found)} cards of {name}"
        return found[0] if found else None

    def wait_for_card(self, name: str) -> dict[str, Any]:
        card: dict[str, Any] = self.workspace.wait_for(lambda: self.card(name))
        return card

    def thread(self, name: str) -> list[dict[str, Any]]:
        card = self.card(name)
        return self.workspace.thread("C0TUNING", card["ts"]) if card else []

    def keys(self, name: str) -> list[str]:
        """What the thread was told, in order: started, best:…, failure:…, ended."""
        return [key(message) for message in self.thread(name)[1:]]

    def wait_for(self, name: str, told: str) -> list[str]:
        """Wait until the thread of an Experiment has been told of something."""

        def is_told() -> list[str] | None:
            keys = self.keys(name)
            return keys if told in keys else None

        try:
            keys: list[str] = self.workspace.wait_for(is_told, timeout_s=60)
        except BaseException:  # also pytest's own limit: its report shows what is printed
            print(self.card(name), self.keys(name))
            for log in self.state.glob("*.log"):
                print(f"== {log.name}", local_process.last_lines(log), sep="\n")
            raise
        return keys

    def ephemeral(self, line: str) -> dict[str, Any]:
        """Type a command and wait for what only I see."""
        before = {m["ts"] for m in self.workspace.messages() if m.get("is_ephemeral")}
        answer = self.workspace.command(line)
        assert answer["delivered"], answer

        def answered() -> dict[str, Any] | None:
            return next(
                (m for m in self.workspace.messages()
                 if m.get("is_ephemeral") and m["ts"] not in before), None,
            )  # fmt: skip

        message: dict[str, Any] = self.workspace.wait_for(answered)
        return message


def key(message: dict[str, Any]) -> str:
    payload = (message.get("metadata") or {}).get("event_payload") or {}
    return str(payload.get("key", "")).partition(":")[2]


def shown(message: dict[str, Any]) -> str:
    """Everything that a message says, as one text."""
    return yaml.safe_dump([message["text"], message.get("blocks")], allow_unicode=True, width=10**6)


@pytest.fixture
def make_bot(tmp_path: Path) -> Iterator[Callable[[], Bot]]:
    manifest = yaml.safe_load(MANIFEST.read_text())
    state = tmp_path / "state"
    state.mkdir()
    workspace = RunningWorkspace(tmp_path / "workspace", manifest)
    bot = Bot(workspace, state)

    def make() -> Bot:
        bot.start()
        return bot

    yield make
    bot.open_gate()
    if bot.is_running:
        bot.stop()
    LocalEngine(state, allow_code=True, start=False).shutdown()
    workspace.stop()


@pytest.fixture
def bot(make_bot: Callable[[], Bot]) -> Bot:
    return make_bot()
