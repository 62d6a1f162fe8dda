"""`katib-tune run`: one command starts everything, and one end ends everything."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest

from bot.engines.local import LocalEngine
from bot.engines.local_wire import read_address
from bot.workspace.person import Person
from tests.scenarios.conftest import OBJECTIVE, key


class Run:
    def __init__(self, state: Path) -> None:
        self.state = state
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "bot", "run", "--port", "0", "--state", str(self.state)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.welcome = ""
        for line in self.process.stdout:
            self.welcome += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"http\S+", self.welcome)
        assert found, self.welcome
        self.ada = Person.at(found[0])

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode

    def keys(self) -> list[str]:
        cards = [m for m in self.ada.messages() if m.get("bot_id") and not m.get("is_ephemeral")]
        return [key(m) for m in self.ada.thread(cards[0]["ts"])[1:]] if cards else []

    def wait_for(self, told: str) -> list[str]:
        give_up = time.monotonic() + 60
        while told not in (keys := self.keys()):
            assert time.monotonic() < give_up, keys
            time.sleep(0.1)
        return keys


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    running = Run(tmp_path / "state")
    yield running
    if running.process.poll() is None:
        running.stop()
    LocalEngine(running.state, allow_code=True, start=False).shutdown()


def begin(run: Run) -> Path:
    """An Experiment whose trials wait for the returned file."""
    gate, objective = run.state / "gate", run.state / "objective.py"
    objective.write_text(OBJECTIVE)
    run.ada.command(
        f"/katib-tune {objective}:objective a=1..9 b=1..9 wait={gate} name=long trials=3 "
        "objective=maximize:score"
    )
    run.wait_for("started")
    return gate


def is_up(person: Person) -> bool:
    try:
        person.state()
    except (URLError, ConnectionError):
        return False
    return True


def test_killed_in_the_middle_it_takes_its_workspace_along_and_the_next_run_goes_on(
    run: Run,
) -> None:
    gate = begin(run)
    before, ts = run.ada, run.ada.messages()[0]["ts"]
    run.kill()
    give_up = time.monotonic() + 20
    while is_up(before):
        assert time.monotonic() < give_up, "the workspace outlived the run that started it"
        time.sleep(0.05)
    gate.touch()
    run.start()
    assert "1 Experiment" in run.welcome
    keys = run.wait_for("ended")
    assert len(keys) == len(set(keys))
    assert run.ada.messages()[0]["ts"] == ts, "yesterday's messages are there"


def test_ctrl_c_ends_the_workspace_the_engine_and_its_trials(run: Run) -> None:
    begin(run)
    address = read_address(run.state)
    assert address is not None
    running = subprocess.run(["pgrep", "-f", str(run.state)], capture_output=True, text=True)
    assert len(running.stdout.split()) >= 5, "run, workspace, engine and two trials"
    assert run.stop() == 0
    left = subprocess.run(["pgrep", "-af", str(run.state)], capture_output=True, text=True)
    assert left.stdout == ""
