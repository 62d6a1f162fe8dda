"""What result.json says, and that it is there as a whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder


def recorder(folder: Path, metric: str = "eval_accuracy", kind: str = "maximize") -> Recorder:
    return Recorder(folder, metric, kind, Reporter(lambda line: None))


def written(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return document


def test_smallest_largest_and_latest_of_every_metric_are_kept(tmp_path: Path) -> None:
    trial = recorder(tmp_path)
    for step, value in enumerate((0.6, 0.8, 0.7), start=1):
        trial.record(step, step * 10, {"eval_accuracy": value})
    trial.record(3, 30, {"train_loss": 0.5})
    trial.write(None)
    result = written(tmp_path)
    assert (result["version"], result["state"], result["reason"]) == (1, "Succeeded", None)
    assert result["metrics"] == {
        "eval_accuracy": {"min": 0.6, "max": 0.8, "latest": 0.7},
        "train_loss": {"min": 0.5, "max": 0.5, "latest": 0.5},
    }
    assert [point["step"] for point in result["curve"]] == [10, 20, 30, 30]
    assert result["best"] == {"step": 20, "epoch": 2, "metrics": {"eval_accuracy": 0.8}}
    assert result["message"] == "The trial finished; best eval_accuracy 0.8."


def test_the_best_is_the_smallest_where_the_objective_is_minimized(tmp_path: Path) -> None:
    trial = recorder(tmp_path, "eval_loss", "minimize")
    is_best = [trial.record(i, i, {"eval_loss": value}) for i, value in enumerate((3, 1, 1, 2))]
    assert is_best == [True, True, False, False]


def test_a_failure_keeps_what_was_measured_before_it(tmp_path: Path) -> None:
    trial = recorder(tmp_path)
    trial.record(1, 10, {"eval_accuracy": 0.6})
    with pytest.raises(TrialError):
        trial.record(2, 20, {"eval_accuracy": float("nan")})
    trial.write(TrialError("Diverged", "It diverged."))
    result = written(tmp_path)
    assert (result["state"], result["reason"], result["message"]) == (
        *("Failed", "Diverged"),
        "It diverged.",
    )
    assert result["metrics"]["eval_accuracy"]["latest"] == 0.6


def test_the_first_ending_counts(tmp_path: Path) -> None:
    trial = recorder(tmp_path)
    trial.write(None)
    trial.write(TrialError("Killed", "Too late."))
    assert written(tmp_path)["state"] == "Succeeded"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_new_trial_in_the_same_folder_begins_without_the_old_result(tmp_path: Path) -> None:
    recorder(tmp_path).write(None)
    recorder(tmp_path).start()
    assert list(tmp_path.iterdir()) == []


def test_a_phase_inside_another_is_counted_once(tmp_path: Path) -> None:
    trial = recorder(tmp_path)
    with trial.phase("train"), trial.phase("eval"):
        sum(range(2_000_000))
    assert trial.seconds("eval") > 0
    assert trial.seconds("train") < trial.seconds("eval")
