"""The command line: its words, its exit codes, and what it does not import."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.__main__ import main, parser
from bot.engines.local import LocalEngine
from bot.workspace.person import Person

WORDS = {"run", "workspace", "serve", "tune", "render", "best", "list", "doctor"}


def run(*arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    place = ("--state", str(state)) if state else ()
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments, *place],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_words_of_the_command_line_stay() -> None:
    actions = [a for a in parser()._actions if a.dest == "word"]
    assert set(actions[0].choices or ()) == WORDS


HEAVY = {
    "pydantic", "slack_sdk", "slack_bolt", "yaml", "apscheduler", "kubernetes", "aiohttp", "optuna",
    "torch", "transformers",
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "used"),
    [
        ("--help", set()),
        ("tune --help", set()),
        ("render default+on+default", {"pydantic", "yaml"}),
        ("list", {"pydantic", "yaml", "optuna"}),
        ("best", {"pydantic", "yaml", "optuna"}),
        ("workspace --port 1 --manifest /nowhere", {"pydantic", "yaml", "aiohttp"}),
        ("serve", {"pydantic", "yaml", "slack_sdk", "slack_bolt", "apscheduler"}),
    ],
)
def test_a_command_imports_only_what_it_uses(words: str, used: set[str], tmp_path: Path) -> None:
    code = (
        "import sys; from bot.__main__ import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        f"print(*sorted({HEAVY} & set(sys.modules)))"
    )
    arguments = [word.replace("+", " ") for word in words.split()]
    state = [] if "help" in words or "render" in words else ["--state", str(tmp_path / "state")]
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments, *state],
        capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parent.parent), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert set(answer.stdout.splitlines()[-1].split()) <= used


def test_the_workspace_says_first_how_to_reach_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bot", "workspace", "--port", "0", "--state", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        facts = json.loads(process.stdout.readline())
        keys = {"url", "page_url", "token", "api_url", "bot_token", "app_token", "signing_secret"}
        assert keys <= set(facts)
        assert facts["api_url"].endswith("/api/")
        channels = Person.at(facts["page_url"]).state()["channels"]
        assert [c["bot_is_member"] for c in channels if c["name"] == "tuning"] == [True]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_page_token_that_is_set_stands_in_the_pages_address(tmp_path: Path, by: str) -> None:
    command = [sys.executable, "-m", "bot", "workspace", "--port", "0", "--state", str(tmp_path)]
    given = ["--token", "mine"] if by == "option" else []
    environment = os.environ | ({"KATIB_TUNE_WORKSPACE_TOKEN": "mine"} if not given else {})
    process = subprocess.Popen(
        [*command, *given], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    try:
        facts = json.loads(process.stdout.readline())
        assert facts["page_url"] == f"{facts['url']}/?token=mine"
        assert Person.at(facts["page_url"]).state()["ok"]
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = run("run", "--port", str(port), state=tmp_path)
    assert answer.returncode == 1
    assert f"Port {port}" in answer.stderr
    assert "KATIB_TUNE_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_render_prints_a_spec_that_render_takes(tmp_path: Path) -> None:
    line = "default on default learning_rate=1e-5..5e-4:log r=8,16 trials=6 name=six"
    rendered = run("render", line)
    assert rendered.returncode == 0, rendered.stderr
    file = tmp_path / "spec.yaml"
    file.write_text(rendered.stdout)
    assert run("render", "-f", str(file)).stdout == rendered.stdout


def test_a_wrong_line_is_a_sentence_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", "default on default trials=ten"]) == 1
    error = capsys.readouterr().err
    assert "trials" in error
    assert "Traceback" not in error


def test_neither_line_nor_file_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render"]) == 1
    assert "typed line or -f" in capsys.readouterr().err


def test_readers_of_an_empty_state_folder_say_so(tmp_path: Path) -> None:
    assert "No Experiments yet" in run("list", state=tmp_path / "none").stdout
    best = run("best", state=tmp_path / "none")
    assert best.returncode == 1
    assert "No optimum yet" in best.stderr
    assert not (tmp_path / "none").exists()  # a reader makes nothing


OBJECTIVE = """
def objective(parameters):
    a, b = parameters["a"], parameters["b"]
    print(f"result={4 * a - b ** 2}")
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    """A state folder whose engine process, left behind by `tune` for the next one, is ended."""
    yield tmp_path
    LocalEngine(tmp_path, allow_code=False, start=False).shutdown()


def test_tune_runs_an_experiment_to_its_optimum(state: Path) -> None:
    file = state / "o.py"
    file.write_text(OBJECTIVE)
    line = (
        f"{file}:objective a=10..20 b=0.1..0.2 objective=result objective_type=maximize "
        "trials=4 name=four"
    )
    answer = run("tune", line, "--json", state=state)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    events = [json.loads(each) for each in answer.stdout.splitlines()]
    assert [each["event"] for each in events] == ["started", *["trial"] * 4, "ended"]
    optimal = events[-1]["optimal"]
    assert optimal["result"] == max(each["result"] for each in events[1:5])

    found = run("best", "four", state=state)
    assert found.returncode == 0
    assert f"a={optimal['parameters']['a']}" in found.stdout
    again = state / "again.yaml"
    again.write_text(found.stdout)
    assert run("render", "-f", str(again)).returncode == 0, "what `best` prints, `-f` takes"
    assert "four" in run("list", state=state).stdout


def test_tune_without_an_optimum_exits_1(state: Path) -> None:
    file = state / "o.py"
    file.write_text("def objective(parameters):\n    raise RuntimeError('no luck')\n")
    line = f"{file}:objective a=1..3 objective=result objective_type=maximize trials=3 failed=1"
    answer = run("tune", line, state=state)
    assert answer.returncode == 1
    assert "no luck" in answer.stdout
