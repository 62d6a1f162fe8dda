"""Memory that runs out, disks that are full, deadlines: each has its sentence and its exit code."""

from __future__ import annotations

import json
import multiprocessing
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.trainer.conftest import ROOT, Ended
from tests.trainer.test_survive import AfterLooks, Asked, asked, folder_of, numbers, recorder
from trainer import checkpoints, machine, memory, train
from trainer.config import TrialConfig
from trainer.ending import recorded
from trainer.errors import TrialError
from trainer.out_of_memory import Batch, retry
from trainer.peers import silent
from trainer.stop import Stop

__all__ = ["asked"]
Trainer = Callable[..., Ended]
Limits = dict[int, int]


@pytest.fixture(scope="session")
def wide_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of one layer whose activations are large: 1 MB per token."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    size |= {"intermediate_size": 1 << 18, "max_position_embeddings": 40}
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(vocab_size=64, hidden_act="relu", **size, **still)
    folder = tmp_path_factory.mktemp("models") / "wide-bert"
    BertModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_bert).save_pretrained(folder)
    return folder


def limited(config: TrialConfig, folder: Path, limits: Limits) -> dict[str, Any]:
    """The result.json of a trial in a process with such limits, `lines` of its report, `code`.

    RLIMIT_AS is what the trial may take beside what the process has when it begins.
    """
    # NB: a new process: a fork would first use up what this one has freed, which has no limit.
    child = multiprocessing.get_context("spawn").Process(target=_run, args=(config, folder, limits))
    child.start()
    child.join(100)
    result = json.loads((folder / "result.json").read_text())
    return {**result, "code": child.exitcode}


def _run(config: TrialConfig, folder: Path, limits: Limits) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    for kind, limit in limits.items():
        has = pages * resource.getpagesize() if kind == resource.RLIMIT_AS else 0
        resource.setrlimit(kind, (has + limit, has + limit))
    found = recorder(folder, config)
    try:
        code = recorded(found, lambda end: train.run(config, folder, found, end.stop))
    except BaseException:
        sys.excepthook(*sys.exc_info())  # as the interpreter does; multiprocessing does not
        raise
    raise SystemExit(code)


@pytest.mark.timeout(300)
def test_a_trial_that_runs_out_of_memory_says_with_what_and_may_try_half_the_batch(
    asked: Asked, wide_bert: Path, tmp_path: Path
) -> None:
    flags = (f"--model-uri={wide_bert}", "--no-checkpoints")
    fields = {"per_device_train_batch_size": "32", "num_train_epochs": "1", "learning_rate": "1e-4"}
    fields["bf16"] = "false"
    room = {resource.RLIMIT_AS: 1_300_000_000}
    failed = limited(asked(*flags, **fields), tmp_path / "failed", room)
    assert (failed["code"], failed["reason"]) == (6, "OutOfMemory")
    said = failed["message"]
    assert (
        "with per_device_train_batch_size 32 and gradient_accumulation_steps 1, max_length 32;"
        in said
    )
    assert f"({machine.memory_limit() / 1e6:,.0f} MB) ran out at a peak of " in said
    again = limited(asked(*flags, "--retry-out-of-memory", **fields), tmp_path / "again", room)
    assert again["code"] == 0, again["message"]
    assert again["retried_out_of_memory"] == {
        "per_device_train_batch_size": 16,
        "gradient_accumulation_steps": 2,
    }
    assert again["parameters"]["per_device_train_batch_size"] == 16
    assert again["rows_per_step"] == failed["rows_per_step"] == 32
    assert again["warnings"][0].endswith(
        "It is tried once more with per_device_train_batch_size 16 and "
        "gradient_accumulation_steps 2."
    )
    config = asked(*flags, **fields)
    plain = recorder(tmp_path / "plain", config)
    train.run(config, tmp_path / "plain", plain)
    for point, same in zip(again["curve"], plain.curve, strict=True):
        for name in ("loss", "eval_loss", "train_loss"):
            if name in same["metrics"]:
                close = pytest.approx(same["metrics"][name], rel=1e-5)
                assert point["metrics"][name] == close, name


@pytest.mark.parametrize(
    ("batch", "smaller"),
    [
        (Batch(8, 1), Batch(4, 2)),
        (Batch(9, 2), Batch(3, 6)),
        (Batch(7, 1), Batch(1, 7)),
        (Batch(1, 8), None),
    ],
)
def test_a_smaller_batch_has_the_same_rows_per_step(batch: Batch, smaller: Batch | None) -> None:
    assert batch.smaller() == smaller


def test_several_processes_are_not_tried_again_and_that_is_said(
    asked: Asked, tmp_path: Path
) -> None:
    found = recorder(tmp_path, asked())
    found.facts["parameters"] = {
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": 1,
    }
    found.facts["processes"] = 2
    told = TrialError("OutOfMemory", "It ran out.")
    with pytest.raises(TrialError, match=r"It ran out\. Several processes are not tried again\."):
        retry(told, found, is_allowed=True)


def test_a_full_disk_costs_the_checkpoint_and_not_the_trial(asked: Asked, tmp_path: Path) -> None:
    config = asked("--method=full", num_train_epochs="1")
    whole = recorder(tmp_path / "whole", config)
    train.run(config, tmp_path / "whole", whole)
    size = checkpoints.folder(tmp_path / "whole", whole.facts["fingerprint"])
    [file] = size.glob("*/state.pt")
    best = tmp_path / "whole" / "best" / "model.safetensors"
    between = (file.stat().st_size + best.stat().st_size) // 2
    ended = limited(config, tmp_path / "full", {resource.RLIMIT_FSIZE: between})
    assert ended["code"] == 0, ended["message"]
    [warning] = ended["warnings"]
    assert warning.startswith(
        "The checkpoint of step 7 was not written, and the trial goes on without it: "
    )
    assert warning.endswith(" MB are free on that disk)")
    assert [path.name for path in (tmp_path / "full").rglob("*") if "state" in path.name] == []


def test_a_disk_without_room_for_the_best_weights_is_a_full_disk(
    asked: Asked, tmp_path: Path
) -> None:
    config = asked("--method=full", "--no-checkpoints", num_train_epochs="1")
    ended = limited(config, tmp_path, {resource.RLIMIT_FSIZE: 50_000})
    assert (ended["code"], ended["reason"]) == (1, "DiskFull")
    assert ended["message"] == "The disk is full; free some space and try again."
    assert ended["metrics"]["eval_loss"]["latest"] > 0, "what was measured is kept"


def test_a_folder_that_nobody_can_write_to_is_said_before_anything_is_loaded(
    trainer: Trainer,
) -> None:
    ended = trainer("--output-dir=/proc/self/task")
    assert ended.code == 2
    assert ended.last_words.startswith("error: --output-dir /proc/self/task cannot be written to: ")
    assert "Traceback" not in ended.err


def test_a_deadline_ends_a_trial_with_an_evaluation_as_a_success(
    asked: Asked, tmp_path: Path
) -> None:
    config = asked(num_train_epochs="100000")
    found = recorder(tmp_path, config)
    stop = Stop(deadline_s=6.0)
    train.run(config, tmp_path, found, stop)
    reached = found.facts["deadline_reached"]
    assert 0 < reached["step"] < reached["of"] == 700_000
    assert found.curve[-1]["step"] == reached["step"]
    assert "eval_loss" in found.curve[-1]["metrics"]
    assert (tmp_path / "best" / "adapter_model.safetensors").exists()
    assert found.warnings == [
        f"The deadline of 6 s was near after step {reached['step']} of 700000: "
        "the trial ends early."
    ]


def test_a_deadline_before_the_first_evaluation_is_a_failure(trainer: Trainer) -> None:
    ended = trainer(
        "--model-uri=.", "--dataset=tests", "--output-dir={out}", "--deadline-seconds=1"
    )
    assert (ended.code, ended.result["reason"]) == (8, "DeadlineExceeded")
    assert ended.last_words == (
        "error: The deadline of 1 s came before the first evaluation; allow more time, or evaluate "
        "more often (eval_steps)."
    )


def test_a_checkpoint_that_is_half_written_or_cut_is_left_out(tmp_path: Path) -> None:
    folder = checkpoints.folder(tmp_path, "mark")

    def fails(file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    checkpoints.write(folder, {"step": 1}, lambda file: file.write_bytes(b"first") and None)
    with pytest.raises(OSError, match="No space"):
        checkpoints.write(folder, {"step": 2}, fails)
    (folder / ".0002.77").mkdir()  # what kill -9 leaves
    (folder / ".0002.77" / "state.pt").write_bytes(b"ha")
    assert [found.step for found in checkpoints.whole(folder)] == [1]
    checkpoints.write(folder, {"step": 3}, lambda file: file.write_bytes(b"third") and None)
    [third] = checkpoints.whole(folder)
    assert [path.name for path in folder.iterdir()] == ["0002-step-3"], "the rest is cleaned up"
    third.state.write_bytes(b"thi")
    assert list(checkpoints.whole(folder)) == []


def test_a_checkpoint_of_other_hyperparameters_is_left_alone(asked: Asked, tmp_path: Path) -> None:
    one, other = asked(), asked(learning_rate="5e-3")
    first = recorder(tmp_path, one)
    with pytest.raises(TrialError, match="goes on from step 3"):
        train.run(one, tmp_path, first, AfterLooks(2))
    lines: list[str] = []
    second = recorder(tmp_path, other, lines)
    train.run(other, tmp_path, second)
    assert "resumed_from_step" not in second.facts
    assert any("holds a checkpoint of another trial; it stays there." in line for line in lines)
    second.write(None)
    second.drop_checkpoints()
    assert [found.step for found in checkpoints.whole(folder_of(first))] == [3]
    third = recorder(tmp_path, one)
    train.run(one, tmp_path, third)
    assert third.facts["resumed_from_step"] == 3
    assert len(numbers(third)) > len(numbers(first)) == 0


def test_a_process_that_the_kernel_killed_for_memory_is_told_from_one_that_just_vanished(
    tmp_path: Path,
) -> None:
    (tmp_path / "memory.events").write_text("low 0\nmax 7\noom 3\noom_kill 2\n")
    (tmp_path / "memory.max").write_text("512000000\n")
    assert machine.oom_kills(tmp_path) == 2
    assert machine.memory_limit(tmp_path) == 512_000_000
    assert silent(1, tmp_path).reason == "OutOfMemory"
    assert silent(2, tmp_path).reason == "CodeError"


def test_the_forecast_is_near_the_real_peak_and_adds_up() -> None:
    # MiniLM on a CPU; peaks in MB as measured with this program, none of them fitted to.
    config = {"num_hidden_layers": 6, "hidden_size": 384, "intermediate_size": 1536}
    config |= {"num_attention_heads": 12, "attention_probs_dropout_prob": 0.1, "vocab_size": 30522}
    for has_lora, trainable, rows, tokens, peak in (
        (True, 338_690, 16, 128, 1450),
        (True, 338_690, 64, 32, 1268),
        (False, 22_713_986, 16, 128, 1502),
        (False, 22_713_986, 24, 96, 1552),
    ):
        shape = memory.shape_of(config, 4 * (22_713_986 + 338_690 * has_lora), trainable,
                                has_lora=has_lora)  # fmt: skip
        load = memory.Load(rows, tokens, 8, "adamw_torch", is_language_model=False)
        assert memory.forecast(shape, load).total == pytest.approx(peak, rel=0.05)


@pytest.mark.parametrize(
    ("name", "size"),
    [("adamw_torch_fused", 8), ("sgd", 0), ("adamw_bnb_8bit", 2), ("adafactor", 0.1), ("lion", 4)],
)
def test_an_optimizer_keeps_so_many_bytes_per_trainable_parameter(name: str, size: float) -> None:
    assert memory.optimizer_bytes(name) == size


def test_logits_over_the_vocabulary_and_checkpointing_of_gradients_count() -> None:
    shape = memory.Shape(16, 2048, 8192, 32, 128_256, True, False, 4.9e9, 0, has_lora=True)
    load = memory.Load(4, 1024, 1, "adamw", is_language_model=True)
    less = memory.forecast(shape, replace(load, gradient_checkpointing=True))
    logits = 3 * 4 * 1024 * 128_256 * 4 / 1e6
    assert less.activations > logits
    assert memory.forecast(shape, load).activations - logits > 5 * (less.activations - logits)


@pytest.mark.usefixtures("default_data")
def test_the_forecast_command_says_what_a_trial_needs_without_torch() -> None:
    probe = (
        "import sys, trainer.__main__ as m\nm.main(['forecast', '--output-dir=out', *sys.argv[1:]])"
    )
    probe += "\nassert 'torch' not in sys.modules"
    flags = [
        "--max-length=128",
        '--training-parameters={"per_device_train_batch_size": "16", "bf16": "auto"}',
    ]
    done = subprocess.run(
        [sys.executable, "-c", probe, *flags], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    found = re.match(r"This trial needs about ([\d,]+) MB: weights 92, gradients 1, ", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1].replace(",", "")) == pytest.approx(1428, rel=0.02)
