"""The trial program as the engines start it: flags in; lines, an exit code and a result out."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trainer.conftest import ROOT, Begun, Ended, command, text_of
from trainer import tasks
from trainer.stop import SAME_SIGNAL_S

Trainer = Callable[..., Ended]
METRICS = re.compile(r"\S+Z epoch=(\S+) step=(\d+) eval_loss=(\S+) eval_accuracy=(\S+) ")


def test_help_is_quick_because_it_imports_nothing_slow() -> None:
    probe = "import sys, trainer.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\n"
    probe += "print(*sorted({n.split('.')[0] for n in sys.modules}), file=sys.stderr)"
    done = subprocess.run(
        [*command([])[:1], "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "python -m trainer fetch" in done.stdout
    assert not {"torch", "transformers", "datasets", "numpy"} & set(done.stderr.split())


def test_a_trial_imports_nothing_that_it_does_not_need(
    tiny_bert: Path, reviews: Path, tmp_path: Path
) -> None:
    flags = [f"--model-uri={tiny_bert}", f"--dataset={reviews}", f"--output-dir={tmp_path}"]
    flags += ["--split=train[:40]", '--training-parameters={"max_steps": 1}']
    probe = "import sys, trainer.__main__ as m\nassert m.main(sys.argv[1:]) == 0\n"
    probe += "print('imported', *sys.modules)"
    done = subprocess.run(
        [*command([])[:1], "-c", probe, *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    assert {"trainer.train", "trainer.tasks.sequence_classification"} <= imported
    ours = {"trainer.export", "trainer.fetch", "trainer.gguf", "trainer.pictures", "trainer.s3"}
    ours |= {f"trainer.tasks.{name}" for name in tasks.FILES.values()}
    assert ours & imported == {"trainer.tasks.sequence_classification"}
    assert not {"grpc", "optuna", "sklearn", "scipy", "torchvision", "trl"} & imported


@pytest.mark.usefixtures("default_data")
def test_the_default_model_learns_from_the_default_data_and_says_so(trainer: Trainer) -> None:
    ended = trainer(
        *("--split=train[:64]", "--eval-split=validation[:32]", "--output-dir={out}"),
        '--training-parameters={"learning_rate": "3e-3", "num_train_epochs": "2"}',
        '--lora-config={"r": "8", "target_modules": "query,value"}',
    )
    assert ended.code == 0, ended.err
    told = METRICS.findall(ended.out)
    assert [(epoch, step) for epoch, step, _, _ in told] == [("1", "8"), ("2", "16")]
    curve = [point for point in ended.result["curve"] if "eval_loss" in point["metrics"]]
    assert [point["metrics"]["eval_loss"] for point in curve] == [float(line[2]) for line in told]
    losses = ended.result["metrics"]["loss"]
    assert losses["latest"] < losses["max"]
    assert ended.result["rows"]["labels"] == {"negative": 16, "positive": 16}
    assert ended.result["parameters"]["lora_alpha"] == 16
    assert ended.result["seconds"]["total"] >= ended.result["seconds"]["train"] > 0
    assert ended.result["cpu_seconds"] > 0 and ended.result["peak_memory_mb"] > 100
    assert re.search(r"Z progress 0/16\n", ended.out)
    assert ended.err == "", "nothing noisy"


def test_two_runs_with_the_same_seed_print_the_same_numbers(
    trainer: Trainer, tiny_bert: Path, reviews: Path
) -> None:
    flags = [f"--model-uri={tiny_bert}", f"--dataset={reviews}", "--output-dir={out}"]
    runs = [trainer(*flags, "--split=train[:64]", name=name) for name in ("one", "two")]
    one, two = (METRICS.findall(run.out) for run in runs)
    assert one == two
    assert len(one) == 3


def test_a_default_that_is_not_fetched_is_said_at_once(trainer: Trainer, tmp_path: Path) -> None:
    ended = trainer("--output-dir={out}", env={"KATIB_TUNE_CACHE": str(tmp_path / "empty")})
    assert ended.code == 7
    assert re.fullmatch(
        r"error: The default (model|dataset) is not here yet: run `python -m trainer fetch`\.",
        ended.last_words,
    )
    assert ended.result["reason"] == "NotFetched"
    assert ended.result["cpu_seconds"] < 1, "before anything slow is imported"


@pytest.mark.parametrize(
    ("flags", "code", "reason"),
    [
        (("--model-uri=/nowhere",), 4, "ModelNotFound"),
        (("--model-uri=.", "--dataset=nowhere.csv"), 3, "DatasetNotFound"),
        (("--training-parameters={",), 2, "BadParameter"),
    ],
)
def test_what_can_be_known_early_fails_early_with_its_own_exit_code(
    trainer: Trainer, flags: tuple[str, ...], code: int, reason: str
) -> None:
    ended = trainer("--output-dir={out}", *flags)
    assert (ended.code, ended.result["reason"]) == (code, reason)
    assert ended.last_words == f"error: {ended.result['message']}"
    assert "Traceback" not in ended.err


def test_what_only_the_data_tells_has_its_exit_code_too(
    trainer: Trainer, tiny_bert: Path, reviews: Path
) -> None:
    flags = (f"--model-uri={tiny_bert}", f"--dataset={reviews}", "--output-dir={out}")
    ended = trainer(*flags, "--split=trian")
    assert (ended.code, ended.result["reason"]) == (3, "BadSplit")
    assert ended.last_words == f"error: {ended.result['message']}"
    assert "'trian'; this dataset has train (200 rows)" in ended.last_words


def test_a_second_sigterm_ends_a_trial_at_once(tiny_bert: Path, tmp_path: Path) -> None:
    rows = (f"{text_of(i, i % 2)},{i % 2}" for i in range(9000))
    (tmp_path / "many.csv").write_text("\n".join(["text,label", *rows]))
    flags = [f"--model-uri={tiny_bert}", f"--dataset={tmp_path}/many.csv"]
    # A step of many seconds.
    fields = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 9000}
    flags += [f"--training-parameters={json.dumps(fields)}", f"--output-dir={tmp_path}/out"]
    running = Begun(flags)
    running.until(re.compile(r"\S+Z progress 0/"), 1)
    running.process.send_signal(signal.SIGTERM)
    time.sleep(SAME_SIGNAL_S + 0.1)
    assert running.process.poll() is None, "it would end the step"
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == (143, "error: The trial was stopped by SIGTERM before it finished.")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["state"], result["reason"]) == ("Failed", "Killed")
