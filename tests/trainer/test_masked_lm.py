"""Which tokens are hidden, when, and what a masked language model learns of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from safetensors.torch import load_file
from transformers import AutoTokenizer

from tests.trainer.test_train import curve, fresh
from tests.trainer.tiny_lm import saved
from trainer import defaults, sources, train
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.result import Recorder
from trainer.tasks.masked_lm import Batches, MaskedLM, Masks

NO_LABEL, MASK = -100, 1
ROW = {"input_ids": [2, *range(10, 1010), 3], "labels": [NO_LABEL, *range(10, 1010), NO_LABEL]}


def drawn(row: int = 0, epoch: int = 0, seed: int = 0, probability: float = 0.15) -> dict[str, Any]:
    return dict(Masks(probability, seed, MASK, 2000).drawn({**ROW, "row": row}, epoch))


def told(row: dict[str, Any]) -> list[int]:
    return [i for i, label in enumerate(row["labels"]) if label != NO_LABEL]


@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_so_many_tokens_are_hidden_and_most_of_them_by_the_mask(probability: float) -> None:
    rows = [drawn(i, probability=probability) for i in range(20)]
    counts = np.array([len(told(row)) for row in rows])
    assert counts.mean() == pytest.approx(1000 * probability, rel=0.05)
    shown = [row["input_ids"][i] for row in rows for i in told(row)]
    truth = [row["labels"][i] for row in rows for i in told(row)]
    assert np.mean([token == MASK for token in shown]) == pytest.approx(0.8, abs=0.03)
    assert np.mean([a == b for a, b in zip(shown, truth, strict=True)]) == pytest.approx(
        0.1, abs=0.02
    )
    for row in rows:
        assert not {0, 1001} & set(told(row)), "special tokens are never hidden"
        rest = set(range(1002)) - set(told(row))
        assert all(row["input_ids"][i] == ROW["input_ids"][i] for i in rest)
        assert all(row["labels"][i] == ROW["input_ids"][i] for i in told(row))


def test_what_is_hidden_depends_on_seed_epoch_and_row_and_nothing_else() -> None:
    assert drawn(3, 1, 7) == drawn(3, 1, 7)
    others = [drawn(4, 1, 7), drawn(3, 2, 7), drawn(3, 1, 8)]
    assert all(told(other) != told(drawn(3, 1, 7)) for other in others)


def test_a_short_row_has_a_hidden_token_and_a_filler_none() -> None:
    short = {"input_ids": [2, 10, 3], "labels": [NO_LABEL, 10, NO_LABEL], "row": 0}
    assert Masks(0.001, 0, MASK, 20).drawn(short)["labels"] == [NO_LABEL, 10, NO_LABEL]
    filler = {**short, "labels": [NO_LABEL] * 3}
    assert Masks(0.9, 0, MASK, 20).drawn(filler)["labels"] == [NO_LABEL] * 3


def test_rows_to_train_on_are_hidden_anew_each_epoch_and_rows_to_evaluate_on_never() -> None:
    collator = Batches(0, Masks(0.15, 0, MASK, 2000))
    training, fixed = {**ROW, "row": 5}, drawn()
    first = collator([training, fixed])
    collator.begin_epoch(1)
    second = collator([training, fixed])
    assert not torch.equal(first["input_ids"][0], second["input_ids"][0])
    assert torch.equal(first["input_ids"][1], second["input_ids"][1])
    assert first["input_ids"][1].tolist() == fixed["input_ids"]


Run = Callable[..., Recorder]


@pytest.fixture
def tried(tmp_path: Path) -> Run:
    def run(folder: str | Path, data: str | Path, *flags: str, **training: Any) -> Recorder:
        fields = {"learning_rate": 0.01, "per_device_train_batch_size": 16, **training}
        config = asked(
            *(f"--model-uri={folder}", f"--dataset={data}", "--max-length=32"),
            *(f"--training-parameters={json.dumps(fields)}", *flags),
        )
        recorder = fresh(tmp_path, config)
        train.run(config, tmp_path, recorder)
        return recorder

    return run


def asked(*flags: str) -> TrialConfig:
    kind = "--transformer-type=AutoModelForMaskedLM"
    metric = ("--objective-metric=eval_loss", "--objective-type=minimize")
    return read_config(trial_parser().parse_args(["--output-dir=out", kind, *metric, *flags]))


def test_the_loss_falls_and_a_repetition_gives_the_same_numbers(
    tried: Run, tiny_masked: Path, reviews: Path
) -> None:
    once, again = (tried(tiny_masked, reviews, num_train_epochs=4) for _ in range(2))
    losses = curve(once, "eval_loss")
    assert losses[-1] < losses[0] < 4
    assert curve(again, "eval_loss") == losses
    assert curve(once, "eval_perplexity") == pytest.approx(np.exp(losses).tolist())
    assert 0 < curve(once, "eval_token_accuracy")[-1] <= 1


def test_evaluations_of_other_seeds_and_probabilities_hide_the_same(tiny_masked: Path) -> None:
    rows = Dataset.from_dict({"text": ["the film was very good and really fine"] * 9 + ["", None]})
    tokenizer = AutoTokenizer.from_pretrained(tiny_masked)
    found = []
    for seed, probability in ((1, 0.15), (2, 0.5)):
        said: list[str] = []
        parameters = f'--training-parameters={{"mlm_probability": {probability}}}'
        config = asked(f"--seed={seed}", parameters)
        task = MaskedLM.read({"train": rows}, config, said.append)
        assert said == ["2 of 11 rows of 'train' have no text and were left out."]
        encoded = task.encode(tokenizer, 6)
        assert encoded.notes[0] == "8 of 8 rows to train on fill 6 tokens; more was cut."
        found.append((encoded.eval, task.collator(tokenizer)(list(encoded.train))))
    assert found[0][0] == found[1][0]
    first, second = ((batch["labels"] != NO_LABEL).sum() for _, batch in found)
    assert second > first, "in training the probability counts"


def test_a_model_without_a_mask_token_is_refused(tried: Run, reviews: Path, tmp_path: Path) -> None:
    folder = saved(tmp_path / "decoder")
    with pytest.raises(TrialError, match="has no mask token, so it cannot learn") as caught:
        tried(folder, reviews)
    assert caught.value.reason == "ModelNotFound"


def test_minilm_learns_with_a_new_head_which_is_saved_with_the_adapter(
    tried: Run, default_data: Path, tmp_path: Path
) -> None:
    """MiniLM ships as an encoder: what tells its hidden tokens is new, but for the embedding."""
    assert defaults.model_folder(sources.cache_folder()), "the default model is here"
    recorder = tried(
        *("default", default_data, "--split=train[:96]", "--eval-split=validation[:48]"),
        *("--save-best",),
        num_train_epochs=3,
        learning_rate=1e-3,
    )
    assert any("has no head that tells hidden tokens" in said for said in recorder.warnings)
    losses = curve(recorder, "eval_loss")
    assert losses[-1] < losses[0] - 0.1
    saved_weights = load_file(tmp_path / "best" / "adapter_model.safetensors")
    heads = [name for name in saved_weights if "predictions.transform" in name]
    assert len(heads) == 4, "weight and bias of the dense layer and of the norm"
    assert not any("lora" in name for name in heads)
