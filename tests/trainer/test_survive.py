"""A trial that is stopped, however often and wherever, has the numbers of one that is not."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from safetensors.torch import load_file

from tests.trainer.conftest import Begun
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
    measured = ("train_samples_per_second", "train_tokens_per_second", "peak_memory_mb")
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
        ((), {}, 5),
        (("--method=full",), {"gradient_accumulation_steps": "3", "optim": "adafactor"}, 3),
        ((), {"eval_steps": "3", "logging_steps": "2", "max_steps": "10"}, 5),
        (("--streaming", "--eval-split=train[100:140]"), {"logging_steps": "3"}, 4),
        ((), {"group_by_length": "True", "logging_strategy": "steps", "logging_steps": "4"}, 4),
        (
            ("--streaming", "--split=train[:51]", "--eval-split=train[51:64]"),
            {"eval_steps": "4"},
            5,
        ),
        (
            ("--objective-metric=eval_loss", "--objective-type=maximize"),
            {"eval_on_start": "True", "lr_scheduler_type": "cosine", "warmup_steps": "3"},
            4,
        ),
    ],
    ids=[
        "epochs",
        "accumulated",
        "steps",
        "stream",
        "by length",
        "streaming",
        "the first is the best",
    ],
)
def test_a_trial_that_is_stopped_all_the_time_has_the_same_numbers_and_weights(
    asked: Asked, tmp_path: Path, flags: tuple[str, ...], training: dict[str, str], looks: int
) -> None:
    config = asked(*flags, **training)
    whole = recorder(tmp_path / "whole", config)
    train.run(config, tmp_path / "whole", whole)
    broken, steps = stopped_again_and_again(config, tmp_path / "broken", looks)
    assert len(steps) >= 2
    assert numbers(broken) == numbers(whole)
    assert broken.best and whole.best and broken.best["step"] == whole.best["step"]
    assert broken.facts["resumes"] == len(steps)
    assert broken.facts["resumed_from_step"] == steps[-1]
    one, other = (weights(tmp_path / name) for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one), "bit by bit"


def test_a_trial_that_is_stopped_twice_in_the_same_evaluation_goes_on(
    asked: Asked, tmp_path: Path
) -> None:
    config = asked(eval_steps="3", max_steps="6")
    whole = recorder(tmp_path / "whole", config)
    train.run(config, tmp_path / "whole", whole)
    for looks in (3, 1):  # after three steps, and in the evaluation that is due when it goes on
        stop = AfterLooks(looks)
        with pytest.raises(TrialError, match="goes on from step 3"):
            train.run(config, tmp_path / "broken", recorder(tmp_path / "broken", config), stop)
    broken = recorder(tmp_path / "broken", config)
    train.run(config, tmp_path / "broken", broken)
    assert numbers(broken) == numbers(whole)


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


METRICS = re.compile(r"\S+Z epoch=(\S+) step=(\d+) eval_loss=(\S+) eval_accuracy=(\S+) ")


def test_a_trial_goes_on_after_kill_9_and_sigterm(asked: Asked, tmp_path: Path) -> None:
    config = asked(num_train_epochs="40", learning_rate="1e-3")
    whole = recorder(tmp_path / "whole", config)
    train.run(config, tmp_path / "whole", whole)
    out = tmp_path / "out"
    flags = [f"--model-uri={config.model_uri}", f"--dataset={config.dataset}", "--max-length=32"]
    flags += ["--split=train[:64]", "--save-best", f"--output-dir={out}"]
    flags += [f"--training-parameters={json.dumps(config.training_parameters)}"]
    killed = Begun(flags)
    killed.until(METRICS, 4)
    killed.process.kill()
    assert killed.end()[0] == -signal.SIGKILL
    assert not (out / "result.json").exists()
    stopped = Begun(flags)
    stopped.until(re.compile(r"\S+Z note The trial goes on from the checkpoint of step \d+\."), 1)
    stopped.until(METRICS, 6)
    stopped.process.send_signal(signal.SIGTERM)
    code, words = stopped.end()
    result = json.loads((out / "result.json").read_text())
    assert (code, result["reason"]) == (143, "Killed")
    goes_on = re.fullmatch(
        r"error: The trial was stopped by SIGTERM before it finished; started again, it goes on "
        r"from step (\d+)\.",
        words,
    )
    assert goes_on
    lines: list[str] = []
    last = recorder(out, config, lines)
    train.run(config, out, last)
    assert last.facts["resumes"] == 2
    assert last.facts["resumed_from_step"] == int(goes_on[1])
    assert numbers(last) == numbers(whole)
    told = [float(found[3]) for found in map(METRICS.match, lines) if found]
    assert len(told) == 40, "what an earlier process has told is told again"
    assert all(
        torch.equal(weights(out)[name], w) for name, w in weights(tmp_path / "whole").items()
    )
    assert last.kept()["cpu_seconds"] > result["cpu_seconds"], "of all processes"


def test_two_processes_stop_in_the_same_step_and_go_on_with_the_same_numbers(
    asked: Asked, tmp_path: Path
) -> None:
    config = asked(eval_steps="5", logging_steps="2", group_by_length="True")
    [whole] = together(config, tmp_path / "whole", 1000)
    legs = together(config, tmp_path / "broken", 6)
    assert [leg["step"] for leg in legs] == [5, 8, None], "at 5 it was about to evaluate"
    assert legs[-1]["numbers"] == whole["numbers"]
    one, other = (weights(tmp_path / name / "0") for name in ("whole", "broken"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert list((tmp_path / "broken" / "1").iterdir()) == [], "that node has no checkpoint"


def together(config: TrialConfig, folder: Path, looks: int) -> list[dict[str, Any]]:
    """A trial of two processes whose rank 0 is stopped after so many looks, until it is done."""
    legs: list[dict[str, Any]] = []
    forks = multiprocessing.get_context("fork")
    while not legs or legs[-1]["step"] is not None:
        assert len(legs) < 20
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        given = [(config, folder / str(rank), looks, rank, port) for rank in (0, 1)]
        started = [forks.Process(target=one_of_two, args=each) for each in given]
        for process in started:
            process.start()
        for process in started:
            process.join(60)
            assert process.exitcode == 0
        legs.append(json.loads((folder / "0" / "leg.json").read_text()))
        (folder / "0" / "leg.json").unlink()
    return legs


def one_of_two(config: TrialConfig, folder: Path, looks: int, rank: int, port: str) -> None:
    names = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ.update({name: str(value) for name, value in names.items()})
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    AcceleratorState._reset_state(reset_partial_state=True)
    found = recorder(folder, config)
    stop = AfterLooks(looks) if rank == 0 else Stop()
    step = None
    try:
        train.run(config, folder, found, stop)
    except TrialError as error:
        assert error.reason == "Killed"
        step = stop.checkpoint_step
        assert step is not None, "each rank can tell it"
    if rank == 0:
        leg = json.dumps({"step": step, "numbers": numbers(found)})
        (folder / "leg.json").write_text(leg)
