"""An export of every transformer type has its trial's loss by transformers and peft alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.trainer.test_export import exported, finished, loaded, trained
from trainer import data, export, tasks
from trainer.loop import cross_entropy
from trainer.tasks.base import NO_LABEL

__all__ = ["finished", "trained"]


# The fixtures that are the model and the data, where they are not the tiny BERT and the reviews.
KINDS: dict[str, dict[str, str]] = {
    "AutoModelForSequenceClassification": {},
    "AutoModelForTokenClassification": {"dataset": "tagged"},
    "AutoModelForQuestionAnswering": {"dataset": "quiz"},
    "AutoModelForCausalLM": {"model-uri": "decoder"},
    "AutoModelForMaskedLM": {"model-uri": "tiny_masked"},
    "AutoModelForImageClassification": {"model-uri": "tiny_vit", "dataset": "folders"},
}


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_has_the_loss_of_its_trial_by_plain_libraries(
    finished: Callable[..., Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    method: str,
) -> None:
    places = {flag: request.getfixturevalue(name) for flag, name in KINDS[kind].items()}
    folder = finished(
        *(f"--transformer-type={kind}", f"--method={method}", "--max-length=40"),
        *("--objective-metric=eval_loss", "--objective-type=minimize"),
        *(f"--{flag}={place}" for flag, place in places.items()),
    )
    trial, target = export.read(folder), tmp_path / "shop"
    merge = ["--merge"] if method == "lora" else []
    assert exported(folder, target, "--test-split=none", *merge) == 0
    points = (point["metrics"] for point in trial.result["curve"])
    losses = [metrics["eval_loss"] for metrics in points if "eval_loss" in metrics]
    assert min(losses) < 0.99 * losses[0], "weights that have learned are told from others"
    model, processor = loaded(target, monkeypatch)
    assert loss(model, processor, trial) == pytest.approx(min(losses), rel=1e-4)
    if merge:
        whole = getattr(transformers, kind).from_pretrained(target / "merged").eval()
        assert not any("lora" in name for name, _ in whole.named_parameters())
        assert loss(whole, processor, trial) == pytest.approx(min(losses), rel=1e-4)


def loss(model: Any, processor: Any, trial: export.Trial) -> float:
    """The mean over the labels of the rows that the trial has evaluated on, row by row."""
    splits = data.load_splits(trial.asked.dataset)
    task = tasks.load(trial.asked.transformer_type).read(splits, trial.asked, lambda said: None)
    collated = task.collator(processor)
    losses = []
    for row in task.encode(processor, trial.asked.max_length).eval:
        batch = dict(collated([row]))
        labels = batch.pop("labels")
        with torch.no_grad():
            logits = task.logits(model(**batch).to_tuple())
        losses.append(cross_entropy(logits, labels)[labels != NO_LABEL])
    return float(torch.cat(losses).mean())
