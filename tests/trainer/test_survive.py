"""A trial that is stopped, however often and wherever, has the numbers of one that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from trainer import checkpoints, train
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder
from trainer.stop import Ask, Stop

Asked = Callable[..., TrialConfig]
SMALL = {"num_train_epochs": "2", "per_device_train_batch_size": "8", "learning_rate": "1e-2"}


class AfterLooks(Stop):
    """Is asked to end when the training has looked so many times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def wants(self, needed_s: float) -> Ask:
        self._looks -= 1
        if self._looks < 0:
            self.ask()
        return super().wants(needed_s)


@pytest.fixture
def asked(tiny_bert: Path, reviews: Path) -> Asked:
    """A trial of the tiny BERT, with dropout, on 51 reviews; keywords are TrainingArguments."""

    def build(*flags: str, **training: Any) -> TrialConfig:
        basic = ["--output-dir=out", f"--model-uri={tiny_bert}", f"--dataset={reviews}"]
        basic += ["--split=train[:64]", "--max-length=32", "--save-best"]
        basic += ["--training-parameters", json.dumps({**SMALL, **training})]
        return read_config(trial_parser().parse_args([*basic, *flags]))

    return build


def recorder(folder: Path, config: TrialConfig, lines: list[str] | None = None) -> Recorder:
    say = (lambda line: None) if lines is None else lines.append
    made = Recorder(folder, config.objective_metric, config.objective_type, Reporter(say))
    made.start()
    return made


def numbers(found: Recorder) -> list[tuple[Any, ...]]:
    """The curve without what is measured with a clock."""
    measured = ("train_samples_per_second", "peak_memory_mb")
    return [
        (
            point["step"],
            point["epoch"],
            {name: value for name, value in point["metrics"].items() if name not in measured},
        )
        for point in found.curve
    ]


def stopped_again_and_again(
    config: TrialConfig, folder: Path, looks: int
) -> tuple[Recorder, list[int]]:
    """The trial's last process, and the steps at which those before it were stopped."""
    steps: list[int] = []
    while True:
        found = recorder(folder, config)
        stop = AfterLooks(looks)
        try:
            train.run(config, folder, found, stop)
        except TrialError as error:
            assert error.reason == "Killed"
            assert stop.checkpoint_step is not None
            steps.append(stop.checkpoint_step)
            assert len(steps) < 50
            continue
        return found, steps


@pytest.mark.parametrize(
    ("flags", "training", "looks"),
    [
        ((), {}, 2),
        (("--method=full",), {"gradient_accumulation_steps": "3", "optim": "adafactor"}, 2),
        ((), {"eval_steps": "3", "logging_steps": "2", "max_steps": "10"}, 5),
        ((), {"group_by_length": "True", "logging_strategy": "steps", "logging_steps": "4"}, 3),
        (
            ("--objective-metric=eval_loss", "--objective-type=maximize"),
            {"eval_on_start": "True", "lr_scheduler_type": "cosine", "warmup_steps": "3"},
            4,
        ),
    ],
    ids=["epochs", "accumulated", "steps", "by length", "the first is the best"],
)
def test_a_trial_that_is_stopped_all_the_time_has_the_same_numbers_and_weights(
    asked: Asked, tmp_path: Path, flags: tuple[str, ...], training: dict[str, str], looks: int
) -> None:
    config = asked(*flags, **training)
    whole = recorder(tmp_path / "whole", config)
    train.run(config, tmp_path / "whole", whole)
    broken, steps = stopped_again_and_again(config, tmp_path / "broken", looks)
    assert len(steps) >= 3
    assert numbers(broken) == numbers(whole)
    assert broken.best == whole.best
    assert broken.facts["resumes"] == len(steps)
    assert broken.facts["resumed_from_step"] == steps[-1]
    one, other = (weights(tmp_path / name) for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one), "bit by bit"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    [file] = (folder / "best").glob("*model.safetensors")
    return load_file(file)


def test_checkpoints_are_dropped_when_the_result_is_there(asked: Asked, tmp_path: Path) -> None:
    config = asked()
    found = recorder(tmp_path, config)
    train.run(config, tmp_path, found)
    assert len(list(checkpoints.whole(folder_of(found)))) == 1, "the last one"
    found.drop_checkpoints()
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


def folder_of(found: Recorder) -> Path:
    return checkpoints.folder(found.output_dir, found.facts["fingerprint"])
