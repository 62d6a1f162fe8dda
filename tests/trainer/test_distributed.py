"""The trial program under torchrun, as the pods of a PyTorchJob start it: several processes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.trainer.conftest import KATIB, ROOT, Ended
from trainer import model, train
from trainer.config import read_config, trial_parser
from trainer.metrics import Reporter
from trainer.result import Recorder

TIMES = re.compile(r"^\S+Z ", re.MULTILINE)
MEASURED = re.compile(r"eval_loss=(\S+) eval_accuracy=(\S+)")
# What a trial of its own function does, by rank.
OBJECTIVE = """
import os, signal, time
import torch
from torch import distributed

def meet(parameters):
    distributed.init_process_group("gloo")
    distributed.all_reduce(torch.ones(1))
    return distributed.get_rank()

def speak(parameters):
    rank = meet(parameters)
    print(f"score={rank}.5")

def refuse(parameters):
    if meet(parameters) == 1:
        raise KeyError("only here")
    distributed.all_reduce(torch.ones(1))

def vanish(parameters):
    if meet(parameters) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.all_reduce(torch.ones(1))

def last(parameters):
    print(f"ready={meet(parameters)}", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def objective(tmp_path: Path) -> Callable[[str], list[str]]:
    """The flags of a trial of one of the functions above."""
    file = tmp_path / "own.py"
    file.write_text(OBJECTIVE)

    def flags(function: str) -> list[str]:
        return ["objective", f"--file={file}", f"--function={function}", "--objective-metric=score"]

    return flags


Pods = Callable[..., list["subprocess.Popen[str]"]]


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """Starts torchrun as the pods of one PyTorchJob do; each has an output folder of its own."""
    started: list[subprocess.Popen[str]] = []

    def start(flags: Sequence[str], nodes: int, processes: int) -> list[subprocess.Popen[str]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        for node in range(nodes):
            told = {"NNODES": nodes, "NPROC_PER_NODE": processes, "NODE_RANK": node}
            told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            given = {f"PET_{name}": str(value) for name, value in told.items()}
            # The operator says these too; torchrun replaces them.
            given |= {"RANK": str(node), "WORLD_SIZE": str(nodes * processes)}
            command = [str(Path(sys.executable).parent / "torchrun"), "-m", "trainer", *flags]
            started.append(
                subprocess.Popen(
                    [*command, f"--output-dir={tmp_path}/{node}"],
                    env={**os.environ, **given, "PYTHONPATH": str(ROOT)},
                    cwd=tmp_path,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return started

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ends(processes: Sequence[subprocess.Popen[str]], folder: Path) -> list[Ended]:
    """What each pod left."""
    found = []
    for node, process in enumerate(processes):
        out, err = process.communicate(timeout=100)
        file = folder / str(node) / "result.json"
        result = json.loads(file.read_text()) if file.is_file() else {}
        found.append(Ended(process.returncode, out, err, result))
    return found


def last_two(text: str) -> list[str]:
    """The trial's last words; torchrun's report follows them."""
    return [line for line in text.splitlines() if line.startswith(("reason: ", "error: "))]


def training(folder: Path, data: Path, rows_per_process: int) -> list[str]:
    # 109 rows to train on and 27 to evaluate on: no multiple of anything.
    fields: dict[str, Any] = {
        "per_device_train_batch_size": rows_per_process,
        "learning_rate": 0.01,
    }
    fields |= {"num_train_epochs": 2, "per_device_eval_batch_size": 8, "bf16": False}
    return [
        f"--model-uri={folder}",
        f"--dataset={data}",
        "--split=train[:136]",
        f"--training-parameters={json.dumps(fields)}",
        '--lora-config={"lora_dropout": 0}',
        "--max-length=32",
        "--save-best",
    ]


def test_four_processes_on_two_nodes_have_the_curve_of_one_with_the_same_rows_per_step(
    pods: Pods, trainer: Callable[..., Ended], tiny_llama: Path, reviews: Path, tmp_path: Path
) -> None:
    running = pods(training(tiny_llama, reviews, 4), nodes=2, processes=2)
    live = first_measured(running[0])
    alone = trainer(*training(tiny_llama, reviews, 16), "--output-dir={out}")
    master, worker = ends(running, tmp_path)
    assert (master.code, worker.code) == (0, 0), master.err + worker.err
    assert master.result["rows_per_step"] == alone.result["rows_per_step"] == 16
    assert (master.result["processes"], alone.result["processes"]) == (4, 1)
    for together, apart in zip(points(master), points(alone), strict=True):
        assert (together["step"], together["epoch"]) == (apart["step"], apart["epoch"])
        for name in ("loss", "eval_loss", "eval_accuracy", "eval_f1", "train_loss", "tokens"):
            if name in apart["metrics"]:
                # Only the order of float32 sums differs; after 14 steps by some 1e-6.
                close = pytest.approx(apart["metrics"][name], rel=1e-4)
                assert together["metrics"][name] == close, name
    objective = [found["eval_accuracy"] for found in read_by_katib(live + master.out)]
    assert len(objective) == 2, "rank 0 alone speaks"
    assert objective == [
        point["metrics"]["eval_accuracy"]
        for point in points(alone)
        if "eval_accuracy" in point["metrics"]
    ]
    assert (worker.out, worker.err, worker.result) == ("", "", {})
    assert sorted(path.name for path in (tmp_path / "0").iterdir()) == ["best", "result.json"]
    assert list((tmp_path / "1").iterdir()) == [], "no rank writes but rank 0"
    adapter = load_file(tmp_path / "0" / "best" / "adapter_model.safetensors")
    [head] = [weight for name, weight in adapter.items() if "score" in name]
    fresh = fresh_head(tiny_llama)
    assert head.shape == fresh.shape
    assert not head.allclose(fresh, atol=1e-3), "the head has learned"


def test_two_processes_find_the_answers_that_one_finds_in_windows_of_any_length(
    pods: Pods, tiny_llama: Path, quiz: Path, tmp_path: Path
) -> None:
    def flags(rows_per_process: int) -> list[str]:
        kind = "AutoModelForQuestionAnswering"
        task = [f"--transformer-type={kind}", "--objective-metric=eval_f1", "--max-length=16"]
        return [*training(tiny_llama, quiz, rows_per_process), *task]

    [together] = ends(pods(flags(8), nodes=1, processes=2), tmp_path)
    assert together.code == 0, together.err
    asked = read_config(trial_parser().parse_args([*flags(16), "--output-dir=out"]))
    alone = Recorder(tmp_path / "alone", "eval_f1", "maximize", Reporter(lambda line: None))
    train.run(asked, tmp_path / "alone", alone)
    assert together.result["rows_per_step"] == alone.facts["rows_per_step"] == 16
    found = [point["metrics"] for point in alone.curve if "eval_f1" in point["metrics"]]
    assert len(found) == 2
    curve = [point for point in points(together) if "eval_f1" in point["metrics"]]
    for one, other in zip(curve, found, strict=True):
        for name in ("eval_loss", "eval_f1", "eval_exact_match"):
            assert one["metrics"][name] == pytest.approx(other[name], rel=1e-4), name


def points(ended: Ended) -> list[dict[str, Any]]:
    curve: list[dict[str, Any]] = ended.result["curve"]
    return curve


def first_measured(process: subprocess.Popen[str]) -> str:
    """What is printed up to the first objective, which is there long before the end."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if MEASURED.search(line):
            break
    assert process.poll() is None, "Katib's early stopping reads while the trial runs"
    return "".join(lines)


def read_by_katib(log: str) -> list[dict[str, float]]:
    """The metrics of each line that has the objective, as Katib's collectors read them.

    As in its `ParseMetrics`: the first word is the time if it is RFC 3339.
    """
    found, times = [], []
    for line in log.splitlines():
        if "eval_accuracy" in line:
            times.append(datetime.fromisoformat(line.split(" ", 1)[0]))
            found.append({match[1]: float(match[2]) for match in KATIB.finditer(line)})
    assert times == sorted(times)
    return found


def fresh_head(folder: Path) -> Any:
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(42)
    weights = model.Weights(folder, "")
    return model.load(AutoModelForSequenceClassification, weights, num_labels=2).score.weight


def test_what_other_ranks_print_is_not_read_as_metrics(
    pods: Pods, objective: Callable[[str], list[str]], tmp_path: Path
) -> None:
    [ended] = ends(pods(objective("speak"), nodes=1, processes=2), tmp_path)
    assert ended.code == 0, ended.err
    assert re.findall(r"score=\S+", ended.out) == ["score=0.5"]
    assert ended.result["metrics"]["score"]["latest"] == 0.5


def test_the_failure_of_another_node_is_told_by_the_master_and_by_that_node(
    pods: Pods, objective: Callable[[str], list[str]], tmp_path: Path
) -> None:
    master, worker = ends(pods(objective("refuse"), nodes=2, processes=1), tmp_path)
    assert (master.code, worker.code) == (1, 1), "whatever a rank says, torchrun ends with 1"
    assert last_two(master.err) == ["reason: CodeError", "error: KeyError: 'only here'"]
    assert last_two(worker.err) == last_two(master.err)
    assert (master.result["reason"], master.result["message"]) == (
        "CodeError",
        "KeyError: 'only here'",
    )
    assert "in refuse" in worker.err, "the traceback stands where it happened"


def test_a_rank_that_is_killed_is_told_as_such_and_not_as_a_lost_connection(
    pods: Pods, objective: Callable[[str], list[str]], tmp_path: Path
) -> None:
    [ended] = ends(pods(objective("vanish"), nodes=1, processes=2), tmp_path)
    reason, words = last_two(ended.err)
    assert reason == "reason: CodeError"
    assert words.startswith("error: A process of the trial ended without a word: killed, ")
    assert ended.result["message"] == words.removeprefix("error: ")


def test_sigterm_to_torchrun_ends_all_ranks_with_one_sentence(
    pods: Pods, objective: Callable[[str], list[str]], tmp_path: Path
) -> None:
    [process] = pods(objective("last"), nodes=1, processes=2)
    assert process.stdout is not None
    assert any("ready" in line for line in process.stdout), "it runs"
    process.send_signal(signal.SIGTERM)
    [ended] = ends([process], tmp_path)
    assert last_two(ended.err) == [
        "reason: Killed",
        "error: The trial was stopped by SIGTERM before it finished.",
    ]
    assert ended.result["reason"] == "Killed"


def test_all_ranks_end_with_the_exit_code_of_what_was_refused(
    pods: Pods, tiny_llama: Path, reviews: Path, tmp_path: Path
) -> None:
    flags = [f"--model-uri={tiny_llama}", f"--dataset={reviews}", "--training-parameters={"]
    [ended] = ends(pods(flags, nodes=1, processes=2), tmp_path)
    assert last_two(ended.err)[0] == "reason: BadParameter"
    assert set(re.findall(r"exitcode\s+: (-?\d+)", ended.err)) == {"2"}
    assert len(last_two(ended.err)) == 2, "rank 0 alone speaks"
