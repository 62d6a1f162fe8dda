"""The lines that a trial prints, as an engine and Katib read them."""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime

import pytest

from tests.trainer.conftest import KATIB
from trainer.errors import TrialError
from trainer.metrics import Reporter, finite

MOMENT = datetime(2026, 11, 24, 4, 30, 26, 120_000, tzinfo=UTC)
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z ")


def told(rank: int = 0) -> tuple[list[str], Reporter]:
    lines: list[str] = []
    return lines, Reporter(lines.append, rank)


def test_a_metric_line_is_a_timestamp_and_pairs() -> None:
    lines, reporter = told()
    reporter.metrics(MOMENT, 1.0, 40, {"eval_loss": 0.6012, "eval_accuracy": 0.712})
    assert lines == [
        "2026-11-24T04:30:26.120Z epoch=1 step=40 eval_loss=0.6012 eval_accuracy=0.712"
    ]


@pytest.mark.parametrize("value", [0.0, 1.0, -0.5, 1e-9, 123456789.0, 1e20, 0.1 + 0.2])
def test_katibs_filter_reads_every_value_back(value: float) -> None:
    lines, reporter = told()
    found = finite({"eval_loss": value})
    reporter.metrics(MOMENT, 0.5, 3, found)
    pairs = {match[1]: float(match[2]) for match in KATIB.finditer(lines[0])}
    assert pairs == {"epoch": 0.5, "step": 3.0, "eval_loss": found["eval_loss"]}
    assert found["eval_loss"] == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_a_divergence(value: float) -> None:
    with pytest.raises(TrialError, match=f"eval_loss became {value}") as caught:
        finite({"eval_accuracy": 0.5, "eval_loss": value})
    assert (caught.value.reason, caught.value.exit_code) == ("Diverged", 5)


def test_progress_is_told_at_most_every_two_seconds_and_holds_no_metric() -> None:
    lines, reporter = told()
    for step in range(1000):
        reporter.progress(step, 1000)
    assert len(lines) < 10
    assert lines[0].endswith(" progress 0/1000")
    assert not any(KATIB.search(line) for line in lines)


def test_progress_says_how_long_the_rest_takes_at_the_pace_so_far() -> None:
    lines, reporter = told()
    reporter.progress(40, 80)  # after an interruption: the first steps say nothing of the pace
    time.sleep(2.05)
    reporter.progress(44, 80)
    assert lines[0].endswith(" progress 40/80")
    seconds = re.fullmatch(r"\S+Z progress 44/80, (\d+) s to go", lines[1])
    assert seconds and 18 <= int(seconds[1]) <= 22


def test_every_line_begins_with_a_timestamp() -> None:
    lines, reporter = told()
    reporter.metrics(MOMENT, 1, 1, {"loss": 1.0})
    reporter.progress(1, 2)
    reporter.note("Something to know.")
    assert all(RFC_3339.match(line) for line in lines)
    assert len(lines) == 3


def test_only_rank_0_speaks() -> None:
    lines, reporter = told(rank=1)
    reporter.metrics(MOMENT, 1, 1, {"loss": 1.0})
    reporter.progress(1, 2)
    reporter.note("Something to know.")
    assert lines == []
