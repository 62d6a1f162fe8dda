"""A trial of the user's own function, in Katib's getting-started style."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.conftest import Ended

Objective = Callable[..., Ended]


@pytest.fixture
def objective(trainer: Callable[..., Ended], tmp_path: Path) -> Objective:
    """Writes a file of Python and runs its function `objective` as a trial."""

    def run(source: str, parameters: dict[str, Any] | None = None, *flags: str) -> Ended:
        (tmp_path / "mine.py").write_text(source)
        basic = ["objective", f"--file={tmp_path}/mine.py", "--function=objective"]
        basic += [f"--parameters={json.dumps(parameters or {})}", "--output-dir={out}"]
        return trainer(*basic, "--objective-metric=result", *flags)

    return run


GETTING_STARTED = """
def objective(parameters):
    result = 4 * int(parameters["a"]) - float(parameters["b"]) ** 2
    print(f"result={result}")
"""


def test_katibs_getting_started_example_runs_as_it_is(objective: Objective) -> None:
    ended = objective(GETTING_STARTED, {"a": "10", "b": "0.5"})
    assert (ended.code, ended.out) == (0, "result=39.75\n")
    assert ended.result["state"] == "Succeeded"
    assert ended.result["metrics"] == {"result": {"min": 39.75, "max": 39.75, "latest": 39.75}}
    assert ended.result["parameters"] == {"a": 10, "b": 0.5}


def test_the_source_may_come_in_the_command(trainer: Callable[..., Ended]) -> None:
    packed = base64.urlsafe_b64encode(zlib.compress(GETTING_STARTED.encode())).decode()
    flags = ["objective", "--function=objective", '--parameters={"a": "10", "b": "0.5"}']
    flags += ["--output-dir={out}", "--objective-metric=result"]
    assert trainer(*flags, f"--source={packed}").out == "result=39.75\n"
    broken = trainer(*flags, "--source=x")
    assert broken.code == 2
    assert broken.last_words == "error: --source is not zlib in URL-safe base64."


def test_values_become_what_they_read_as(objective: Objective) -> None:
    source = "def objective(p):\n    print(p)\n    return {'result': 1}"
    given = {"i": "3", "f": "1e-3", "s": "adam", "l": '["q", "v"]', "x": "[broken", "n": 4}
    ended = objective(source, given)
    assert ended.out.splitlines()[0] == str(
        {"i": 3, "f": 1e-3, "s": "adam", "l": ["q", "v"], "x": "[broken", "n": 4}
    )


def test_a_returned_number_is_printed_under_the_objectives_name(objective: Objective) -> None:
    ended = objective("def objective(p):\n    return p['x'] ** 2", {"x": "3"})
    assert ended.code == 0
    assert ended.out.endswith("Z epoch=0 step=0 result=9\n")
    assert ended.result["best"]["metrics"] == {"result": 9}


def test_returned_and_printed_metrics_are_both_collected(objective: Objective) -> None:
    source = """
import sys
def objective(p):
    for i in range(3):
        print(f"2026-11-24T04:30:26Z result={i / 10}, loss = {3 - i}", end="\\n")
    sys.stdout.write("result=0.15")
    return {"size": 7, "speed": 1.5}
"""
    ended = objective(source)
    assert ended.result["metrics"]["result"] == {"min": 0.0, "max": 0.2, "latest": 0.15}
    assert ended.result["metrics"]["loss"]["latest"] == 1
    assert ended.result["metrics"]["size"]["latest"] == 7
    assert [point["step"] for point in ended.result["curve"]] == [1, 2, 3, 4, 4]
    assert "speed=1.5" in ended.out


def test_modules_beside_the_file_can_be_imported(objective: Objective, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("VALUE = 5")
    ended = objective("import beside\ndef objective(p):\n    return beside.VALUE")
    assert ended.result["metrics"]["result"]["latest"] == 5


@pytest.mark.parametrize(
    ("source", "code", "reason", "said"),
    [
        ("def objectiv(p): pass", 2, "BadParameter", "mine.py has no function 'objective'; it has"),
        ("def objective(p):\n    1 / 0", 1, "CodeError", "ZeroDivisionError: division by zero"),
        ("def objective(p:", 1, "CodeError", "SyntaxError: '(' was never closed"),
        ("import sys\ndef objective(p):\n    sys.exit(3)", 1, "CodeError", "ended the program"),
        ("def objective(p):\n    print('x=1')", 1, "CodeError", "neither printed result=<number>"),
        ("def objective(p):\n    return 'high'", 1, "CodeError", "must return a number, a dict"),
        ("def objective(p):\n    return float('nan')", 5, "Diverged", "result became nan"),
        ("def objective(p):\n    print('result=nan')", 5, "Diverged", "result became nan"),
        ("def objective(p):\n    print('result=-inf')", 5, "Diverged", "result became -inf"),
        ("def objective(p):\n    raise MemoryError", 6, "OutOfMemory", "ran out of memory"),
    ],
)
def test_what_goes_wrong_has_an_exit_code_a_reason_and_a_last_sentence(
    objective: Objective, source: str, code: int, reason: str, said: str
) -> None:
    ended = objective(source)
    assert ended.code == code
    assert ended.last_words.startswith("error: ")
    assert said in ended.last_words
    assert (ended.result["state"], ended.result["reason"]) == ("Failed", reason)
    assert said in ended.result["message"]
    assert ("Traceback" in ended.err) == ("Error: " in said or reason == "OutOfMemory")


def test_a_missing_file_is_said_in_a_sentence(trainer: Callable[..., Ended]) -> None:
    ended = trainer("objective", "--file=no.py", "--function=f", "--output-dir={out}")
    assert (ended.code, ended.last_words) == (2, "error: There is no file no.py.")


def test_an_output_folder_that_cannot_be_made_is_said_in_a_sentence(
    objective: Objective, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("in the way")
    ended = objective(GETTING_STARTED, {"a": 1, "b": 1})
    assert ended.code == 2
    assert ended.last_words.endswith("cannot be written to: File exists; name another folder.")
