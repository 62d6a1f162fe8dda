"""What is handed on of a finished trial: it loads elsewhere, scores the same, and can be remade."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import AutoPeftModelForSequenceClassification
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from tests.trainer.conftest import ROOT, SIDES, Ended, text_of
from trainer import card, provenance, train
from trainer.__main__ import main
from trainer.config import read_config, trial_parser
from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder

TEXTS = [text_of(0, 0), text_of(1, 1), "and so it was"]
WEIGHTS = "merged/model.safetensors"
AUTO = "AutoModelForSequenceClassification"
TESTED = "--test-split=train[160:]"
# Numbers are compared with those of plain libraries, in float32.
QUICK = '--training-parameters={"num_train_epochs": 3, "learning_rate": 0.01, "bf16": false}'


@pytest.fixture(scope="module")
def trained(
    tiny_bert: Path, reviews: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """A trial of these flags that has ended, in this process; trained once."""

    @cache
    def run(*more: str) -> Path:
        folder = tmp_path_factory.mktemp("trial")
        flags = [f"--model-uri={tiny_bert}", f"--dataset={reviews}", f"--output-dir={folder}"]
        flags += ["--split=train[:120]", "--eval-split=train[120:160]", QUICK, *more]
        asked = read_config(trial_parser().parse_args(flags))
        silent = Reporter(lambda line: None)
        recorder = Recorder(folder, asked.objective_metric, asked.objective_type, silent)
        recorder.facts["command"] = provenance.command(flags, {})
        train.run(asked, folder, recorder)
        recorder.write(None)
        return folder

    return run


@pytest.fixture
def finished(trained: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """A copy of such a trial, which has kept its best weights."""

    def copied(*more: str) -> Path:
        return Path(shutil.copytree(trained("--save-best", *more), tmp_path / "trial"))

    return copied


def exported(trial: Path, target: Path, *flags: str) -> int:
    return main(["export", f"--trial={trial}", f"--to={target}", *flags])


def logits(model: Any, folder: Path) -> torch.Tensor:
    """What a model, in evaluation, says of some texts."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        found: torch.Tensor = model.eval()(**tokenizer(TEXTS, padding=True, return_tensors="pt"))
    return found.logits


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The model, in evaluation, and the processor that the card's own lines of Python load."""
    block = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert block
    found: dict[str, Any] = {}
    monkeypatch.chdir(folder)
    exec(block[1], found)
    return found["model"].eval(), found["processor"]


def by_the_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    """What the model says that the card's own lines of Python load."""
    return logits(loaded(folder, monkeypatch)[0], folder)


def test_the_command_on_the_card_makes_the_same_weights_bit_by_bit(
    trainer: Callable[..., Ended], tiny_bert: Path, reviews: Path, tmp_path: Path
) -> None:
    flags = [f"--model-uri={tiny_bert}", f"--dataset={reviews}", "--split=train[:64]", QUICK]
    ended = trainer(*flags, "--output-dir={out}", "--save-best", "--seed=7")
    assert ended.code == 0, ended.err
    assert exported(tmp_path / "out", tmp_path / "shop") == 0
    shell = re.search(r"```sh\n(.*?)```", (tmp_path / "shop" / "README.md").read_text(), re.DOTALL)
    assert shell
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        ["sh", "-c", shell[1]],
        env={**os.environ, "PATH": python, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    one, again = (
        (tmp_path / folder / "adapter_model.safetensors").read_bytes()
        for folder in ("shop", "again/best")
    )
    assert one == again
    first, second = (
        json.loads((tmp_path / folder / "result.json").read_text()) for folder in ("out", "again")
    )
    for same in ("data_fingerprint", "versions", "device", "parameters"):
        assert first[same] == second[same]


def test_an_adapter_loads_by_peft_alone_and_merged_it_needs_no_peft(
    finished: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop"
    trial = finished()
    assert exported(trial, target, "--merge", "--test-split=none") == 0
    adapted = AutoPeftModelForSequenceClassification.from_pretrained(target)
    expected = logits(adapted, target)
    assert expected[0].argmax() != expected[1].argmax(), "it has learned something"
    merged = AutoModelForSequenceClassification.from_pretrained(target / "merged")
    assert not any("lora" in name for name, _ in merged.named_parameters())
    assert torch.allclose(logits(merged, target / "merged"), expected, atol=1e-5)
    assert torch.equal(by_the_card(target, monkeypatch), expected)
    halved = target.with_name("halved")
    flags = ("--merge", "--dtype=bfloat16", "--test-split=none")
    assert exported(trial, halved, *flags) == 0
    half, whole = ((each / WEIGHTS).stat().st_size for each in (halved, target))
    assert half == pytest.approx(whole / 2, rel=0.1)
    assert merged.config.id2label == {0: "negative", 1: "positive"}


def test_a_whole_model_loads_by_transformers_alone_with_all_its_labels(
    finished: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop"
    trial = finished("--method=full", "--num-labels=3")
    config = json.loads((trial / "best" / "config.json").read_text())
    (trial / "best" / "config.json").write_text(json.dumps(config | {"use_cache": False}))
    assert exported(trial, target, "--test-split=none") == 0
    found = by_the_card(target, monkeypatch)
    assert found.shape == (3, 3)
    told = json.loads((target / "config.json").read_text())
    assert told["use_cache"], "what a language model is trained without it generates with"
    assert found[0].argmax() != found[1].argmax()


def test_an_adapter_of_three_labels_loads_as_its_card_says(
    finished: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "shop"
    assert exported(finished("--num-labels=3"), target, "--test-split=none") == 0
    assert by_the_card(target, monkeypatch).shape == (3, 3)


def test_another_task_is_exported_tested_and_merged_in_the_same_way(
    finished: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "tags.jsonl", tmp_path / "shop"
    words = [text_of(i, i % 2).split() for i in range(160)]
    sides = {word: name for name, side in (("BAD", 0), ("GOOD", 1)) for word in SIDES[side]}
    rows = ({"tokens": row, "tags": [sides.get(word, "O") for word in row]} for row in words)
    file.write_text("\n".join(map(json.dumps, rows)))
    kind = ("--transformer-type=AutoModelForTokenClassification", "--objective-metric=eval_f1")
    data = (f"--dataset={file}", "--split=train[:100]", "--eval-split=train[100:130]")
    trial = finished(*kind, *data, "--test-split=train[130:]")
    assert exported(trial, target, "--merge") == 0
    test = json.loads((trial / "test.json").read_text())
    assert set(test["metrics"]) >= {"test_loss", "test_f1", "test_precision"}
    assert test["metrics"]["test_accuracy"] > 0.8
    expected = by_the_card(target, monkeypatch)
    assert expected.shape[::2] == (3, 3), "texts and tags"
    merged = AutoModelForTokenClassification.from_pretrained(target / "merged")
    assert torch.allclose(logits(merged, target / "merged"), expected, atol=1e-5)
    assert set(merged.config.label2id) == {"BAD", "GOOD", "O"}


OWN_CODE = """
from transformers import BertConfig, BertForSequenceClassification


class OwnConfig(BertConfig):
    model_type = "own"


class OwnModel(BertForSequenceClassification):
    config_class = OwnConfig
"""


@pytest.mark.parametrize(
    "where",
    [
        ["--output-dir=out", "--push-metrics"],
        ["--push-metrics", "katib:6789", "--output-dir", "out"],
        ["--output-dir", "out", "--push-metrics=katib:6789"],
    ],
)
def test_the_command_on_the_card_leaves_out_where_the_trial_wrote_and_reported(
    where: list[str],
) -> None:
    words = ["python", "-m", "trainer", "--split", "train", *where, "--save-best"]
    result = {"command": words, "device": {"type": "cuda", "threads": 2}}
    expected = "python -m trainer --split train --save-best --output-dir=again"
    assert card.command(result) == expected


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_model_with_code_of_its_own_is_exported_with_it(
    finished: Callable[..., Path],
    tiny_bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    own, target = tmp_path / "own", tmp_path / "shop"
    shutil.copytree(tiny_bert, own)
    (own / "own.py").write_text(OWN_CODE)
    config = json.loads((own / "config.json").read_text())
    auto = {"AutoConfig": "own.OwnConfig", AUTO: "own.OwnModel"}
    (own / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": auto}))
    more = ["--merge"] if method == "lora" else []
    trial = finished(f"--model-uri={own}", "--trust-remote-code", f"--method={method}", TESTED)
    assert exported(trial, target, *more) == 0
    assert "test_loss" in json.loads((trial / "test.json").read_text())["metrics"]
    expected = by_the_card(target, monkeypatch)
    assert expected[0].argmax() != expected[1].argmax(), "it has learned something"
    if more:
        merged = AutoModelForSequenceClassification.from_pretrained(
            target / "merged", trust_remote_code=True
        )
        assert torch.allclose(logits(merged, target / "merged"), expected, atol=1e-5)


def test_the_card_says_what_the_trial_was_and_what_it_scored(
    finished: Callable[..., Path], tmp_path: Path
) -> None:
    trial = finished(
        "--test-split=train[160:]", '--lora-config={"target_modules": ".*(query|dense)"}'
    )
    assert exported(trial, tmp_path / "shop") == 0
    result = json.loads((trial / "result.json").read_text())
    test = json.loads((trial / "test.json").read_text())
    assert (test["split"], test["rows"]) == ("train[160:]", 40)
    card = ModelCard.load(tmp_path / "shop" / "README.md")
    assert card.data.library_name == "peft"
    assert card.data.pipeline_tag == "text-classification"
    assert card.data.tags == ["katib-tune", "lora"]
    assert card.data.metrics == ["accuracy", "f1", "matthews_correlation"]
    scores = {found.metric_type: found.metric_value for found in card.data.eval_results}
    assert scores["accuracy"] == test["metrics"]["test_accuracy"] > 0.8
    assert {found.dataset_split for found in card.data.eval_results} == {"train[160:]"}
    text = card.text
    assert f"| accuracy | {result['best']['metrics']['eval_accuracy']:.4f} |" in text
    assert f" {test['metrics']['test_loss']:.4f} |" in text
    assert "| learning_rate | `0.01` |" in text
    assert r"| target_modules | `.*(query\|dense)` |" in text
    assert f"data `{result['data_fingerprint']}`" in text
    assert f"torch {torch.__version__}" in text
    assert len(re.findall(r"^\| \d+ \| [123] \|", text, re.MULTILINE)) == 3, "the curve"


def test_the_test_rows_are_scored_once_and_by_the_best_weights(
    finished: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The worst evaluation is the first one: a "best" that is not simply the last.
    worst = ("--objective-metric=eval_loss", "--objective-type=maximize")
    trial = finished(*worst, "--test-split=train[160:]")
    assert exported(trial, tmp_path / "one") == 0
    first = (trial / "test.json").read_bytes()
    result = json.loads((trial / "result.json").read_text())
    losses = result["metrics"]["eval_loss"]
    assert (
        abs(json.loads(first)["metrics"]["test_loss"] - losses["max"])
        < 0.1
        < (losses["max"] - losses["latest"])
    )
    assert exported(trial, tmp_path / "two") == 0
    assert (trial / "test.json").read_bytes() == first
    capfd.readouterr()
    assert exported(trial, tmp_path / "three", "--test-split=train[170:]") == 2
    assert "has been scored on 'train[160:]' already" in capfd.readouterr().err
    assert not (tmp_path / "three").exists()


def test_weights_of_another_trial_in_the_same_folder_are_not_taken_for_this_ones(
    finished: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trial = finished()
    result = json.loads((trial / "result.json").read_text())
    (trial / "test.json").write_text("{}")
    asked = read_config(trial_parser().parse_args(result["command"][3:]))
    again = Recorder(trial, "eval_accuracy", "maximize", Reporter(lambda line: None))
    train.run(asked, trial, again)
    assert not (trial / "test.json").exists(), "new weights have no score yet"
    result["command"].remove("--save-best")
    (trial / "result.json").write_text(json.dumps(result))
    assert exported(trial, tmp_path / "shop", "--test-split=none") == 2
    assert "kept no weights; run it again with --save-best" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("split", "why"),
    [("train[100:130]", "was trained on"), ("train[150:170]", "has chosen the best checkpoint")],
)
def test_rows_that_the_trial_has_seen_are_no_test(
    finished: Callable[..., Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    split: str,
    why: str,
) -> None:
    assert exported(finished(), tmp_path / "shop", f"--test-split={split}") == 3
    assert why in capfd.readouterr().err
    assert not (tmp_path / "shop").exists()


def test_what_cannot_be_exported_is_refused_with_a_sentence(
    finished: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "shop"

    def refused(trial: Path, *flags: str, code: int = 2) -> str:
        assert exported(trial, target, "--test-split=none", *flags) == code
        assert not target.exists() or list(target.iterdir()) == [target / "kept"]
        return capfd.readouterr().err

    assert "holds no finished trial: there is no result.json" in refused(tmp_path)
    trial = finished("--method=full", "--num-labels=3")
    (trial / "best").rename(tmp_path / "elsewhere")
    assert "kept no weights; run it again with --save-best" in refused(trial)
    (tmp_path / "elsewhere").rename(trial / "best")
    assert "There is nothing to merge" in refused(trial, "--merge")
    target.mkdir()
    (target / "kept").touch()
    assert "is there and not an empty folder; give another --to" in refused(trial)
    (target / "kept").unlink()
    target.rmdir()
    result = json.loads((trial / "result.json").read_text())
    del result["command"]
    (trial / "result.json").write_text(json.dumps(result))
    assert "does not say by which command" in refused(trial)
    failed = Recorder(trial, "eval_accuracy", "maximize", Reporter(lambda line: None))
    failed.write(TrialError("Diverged", "The loss became nan."))
    assert "failed, Diverged: The loss became nan. Only one" in refused(trial)


@pytest.mark.parametrize("flag", ["--model-uri", "--dataset"])
def test_what_a_whole_model_was_made_from_may_be_gone(
    finished: Callable[..., Path], tmp_path: Path, flag: str
) -> None:
    trial = finished("--method=full", "--num-labels=3")
    made_from_what_is_gone(trial, flag)
    assert exported(trial, tmp_path / "shop", "--test-split=none") == 0
    assert "/gone`" in (tmp_path / "shop" / "README.md").read_text()


def test_a_whole_model_is_tested_without_the_one_in_s3_that_it_was_made_from(
    finished: Callable[..., Path], tmp_path: Path
) -> None:
    trial = finished("--method=full", "--num-labels=3")
    made_from_what_is_gone(trial, "--model-uri", "s3://models/gone")
    result = json.loads((trial / "result.json").read_text())
    result["command"].append("--s3-endpoint-url=http://127.0.0.1:9")
    (trial / "result.json").write_text(json.dumps(result))
    assert exported(trial, tmp_path / "shop", TESTED) == 0
    assert json.loads((trial / "test.json").read_text())["metrics"]["test_accuracy"] > 0.8


def made_from_what_is_gone(trial: Path, flag: str, gone: str = "/gone") -> None:
    result = json.loads((trial / "result.json").read_text())
    result["command"] = [
        f"{flag}={gone}" if word.startswith(f"{flag}=") else word for word in result["command"]
    ]
    (trial / "result.json").write_text(json.dumps(result))


def test_an_adapter_whose_base_model_is_gone_is_refused(
    finished: Callable[..., Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trial = finished()
    made_from_what_is_gone(trial, "--model-uri")
    assert exported(trial, tmp_path / "shop", "--merge", "--test-split=none") == 4
    assert "There is no model at /gone" in capfd.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["trial"], "nothing half done is left"
