"""Real training of tiny language models: the same numbers packed or not, in one process or two."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainer.conftest import Ended, text_of
from tests.trainer.test_distributed import Pods, ends, pods, points
from tests.trainer.test_train import curve, fresh
from trainer import loop, train
from trainer.config import read_config, trial_parser
from trainer.result import Recorder

__all__ = ["pods"]
ANSWERS = ("bad", "good")
KIND = "--transformer-type=AutoModelForCausalLM"


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 short chats whose answers are of different lengths."""
    path = tmp_path_factory.mktemp("data") / "chats.jsonl"
    lines = []
    for i in range(60):
        turns = [("user", text_of(i, i % 2)[:16]), ("assistant", ANSWERS[i % 2] * (1 + i % 3))]
        messages = [{"role": role, "content": content} for role, content in turns]
        lines.append(json.dumps({"messages": messages}))
    path.write_text("\n".join(lines) + "\n")
    return path


def flags(decoder: Path, data: Path, *more: str, **training: Any) -> list[str]:
    fields = {"learning_rate": 0.01, "num_train_epochs": 2, "per_device_train_batch_size": 6}
    fields["bf16"] = False  # numbers are compared
    return [
        *(
            KIND,
            f"--model-uri={decoder}",
            f"--dataset={data}",
            "--method=full",
            "--split=train[:57]",
        ),
        *("--max-length=96", f"--training-parameters={json.dumps({**fields, **training})}", *more),
    ]


Run = Callable[..., Recorder]


@pytest.fixture
def tried(tmp_path: Path) -> Run:
    def run(*given: str) -> Recorder:
        config = read_config(trial_parser().parse_args(["--output-dir=out", *given]))
        recorder = fresh(tmp_path, config)
        train.run(config, tmp_path, recorder)
        return recorder

    return run


def test_the_loss_falls_and_the_answers_come_right(
    tried: Run, decoder: Path, reviews: Path
) -> None:
    template = {"prompt_template": "none"}
    recorder = tried(*flags(decoder, reviews, num_train_epochs=6, **template))
    losses, right = curve(recorder, "eval_loss"), curve(recorder, "eval_token_accuracy")
    assert losses[-1] < 0.5 < losses[0]
    assert right[-1] > 0.8 > right[0]
    perplexities = curve(recorder, "eval_perplexity")
    assert perplexities == pytest.approx(torch.tensor(losses).exp().tolist(), rel=1e-5)
    assert recorder.facts["rows"]["prompt_template"] == "none"
    assert recorder.facts["parameters"]["prompt_template"] == "none"
    assert recorder.facts["rows"]["form"] == "labels"


def test_a_step_with_packed_rows_is_the_step_with_these_rows(
    tried: Run, decoder: Path, chats: Path
) -> None:
    """All 46 rows in one step, so that only the packing differs."""
    whole = {"num_train_epochs": 3, "per_device_train_batch_size": 46}
    apart = tried(*flags(decoder, chats, **whole))
    together = tried(*flags(decoder, chats, "--packing", "--max-length=128", **whole))
    assert together.facts["rows"]["sequences"] < together.facts["rows"]["train"] == 46
    for metric in ("loss", "eval_loss", "grad_norm"):
        expected = pytest.approx(curve(apart, metric), rel=1e-4)
        assert curve(together, metric) == expected, metric


def test_accumulated_batches_weigh_every_token_the_same(
    tried: Run, decoder: Path, chats: Path
) -> None:
    """Labels at the first position, which the Trainer would not count, are among them."""
    everything = "--loss-on=all"
    once = tried(*flags(decoder, chats, everything, per_device_train_batch_size=12))
    twice = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 3}
    parts = tried(*flags(decoder, chats, everything, **twice))
    for metric in ("loss", "eval_loss", "grad_norm"):
        assert curve(parts, metric) == pytest.approx(curve(once, metric), rel=1e-4), metric


def test_two_processes_with_packed_rows_have_the_curve_of_one(
    pods: Pods, tried: Run, decoder: Path, chats: Path, tmp_path: Path
) -> None:
    """Uneven shards: the number of packed sequences is no multiple of a step's."""
    packing = ("--packing", "--max-length=72")
    running = pods(flags(decoder, chats, *packing, per_device_train_batch_size=2), 1, 2)
    alone = tried(*flags(decoder, chats, *packing, per_device_train_batch_size=4))
    assert alone.facts["rows"]["sequences"] % 4
    [ended] = ends(running, tmp_path)
    assert ended.code == 0, ended.err
    assert ended.result["rows_per_step"] == 4
    compare(ended, alone)


def compare(ended: Ended, alone: Recorder) -> None:
    for name in ("loss", "eval_loss", "eval_token_accuracy", "eval_accuracy", "eval_perplexity"):
        found = [p["metrics"][name] for p in points(ended) if name in p["metrics"]]
        # Only the order of float32 sums differs.
        assert found == pytest.approx(curve(alone, name), rel=1e-4), name
        assert found, name


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_in_parts_and_its_gradients_are_those_of_the_whole(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = torch.Generator().manual_seed(0)
    labels = torch.randint(50, (4, 9), generator=chance)
    labels[:, ::3] = loop.NO_LABEL
    weights = torch.rand(labels.shape, generator=chance)

    def found() -> tuple[torch.Tensor, torch.Tensor]:
        logits = torch.randn(4, 9, 50, generator=torch.Generator().manual_seed(1)).requires_grad_()
        losses = loop.cross_entropy(logits, labels, smoothing)
        (losses * weights).sum().backward()
        assert logits.grad is not None
        return losses.detach(), logits.grad

    whole = found()
    monkeypatch.setattr(loop, "PART", 50 * 7)
    for in_parts, at_once in zip(found(), whole, strict=True):
        torch.testing.assert_close(in_parts, at_once)
    assert (whole[0] == 0).sum() == (labels == loop.NO_LABEL).sum()
