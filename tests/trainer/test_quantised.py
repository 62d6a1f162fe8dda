"""A base of 4 or 8 bits: trained by LoRA for real where bitsandbytes is, refused elsewhere."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer import train
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.metrics import Reporter
from trainer.result import Recorder

HAS_BITSANDBYTES = importlib.util.find_spec("bitsandbytes") is not None


@pytest.fixture
def asked(tiny_llama: Path, reviews: Path) -> Callable[..., TrialConfig]:
    def build(*flags: str) -> TrialConfig:
        fields = {"num_train_epochs": 2, "per_device_train_batch_size": 16, "learning_rate": 1e-2}
        basic = ["--output-dir=out", f"--model-uri={tiny_llama}", f"--dataset={reviews}"]
        basic += ["--max-length=32", f"--training-parameters={json.dumps(fields)}"]
        return read_config(trial_parser().parse_args([*basic, *flags]))

    return build


def prepared(config: TrialConfig, folder: Path) -> Any:
    recorder = Recorder(folder, "eval_accuracy", "maximize", Reporter(lambda line: None))
    return train.prepare(config, folder, recorder)


def test_full_fine_tuning_of_so_few_bits_is_refused(asked: Callable[..., TrialConfig]) -> None:
    with pytest.raises(TrialError) as caught:
        asked("--quantization=8bit", "--method=full")
    assert caught.value.reason == "BadParameter"
    assert str(caught.value) == (
        "--quantization 8bit is for --method lora: weights of so few bits cannot be trained "
        "themselves."
    )


@pytest.mark.skipif(HAS_BITSANDBYTES, reason="bitsandbytes is installed")
def test_without_bitsandbytes_it_is_refused_before_anything_is_loaded(
    asked: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    config = asked("--quantization=4bit", "--dataset", str(tmp_path / "nothing.csv"))
    with pytest.raises(TrialError) as caught:
        prepared(config, tmp_path)
    assert caught.value.reason == "BadParameter"
    assert str(caught.value) == (
        "--quantization needs bitsandbytes, which is not installed: pip install bitsandbytes."
    )


@pytest.mark.skipif(not HAS_BITSANDBYTES, reason="needs bitsandbytes")
@pytest.mark.filterwarnings("ignore:MatMul8bitLt:UserWarning")
@pytest.mark.parametrize(
    ("bits", "kind", "dtype"), [("4bit", "Params4bit", "uint8"), ("8bit", "Int8Params", "int8")]
)
def test_lora_trains_on_a_base_of_few_bits(
    asked: Callable[..., TrialConfig], tmp_path: Path, bits: str, kind: str, dtype: str
) -> None:
    ready = prepared(asked(f"--quantization={bits}"), tmp_path)
    base = {name: weight for name, weight in ready.network.named_parameters()
            if "base_layer" in name}  # fmt: skip
    assert len(base) == 2 * 7
    assert {type(weight).__name__ for weight in base.values()} == {kind}
    assert {str(weight.dtype) for weight in base.values()} == {f"torch.{dtype}"}
    # NB: an evaluation before the training is what makes bitsandbytes change the weights on CPUs.
    before = {name: weight.clone() for name, weight in base.items()}
    first = ready.trainer.evaluate()["eval_loss"]
    ready.trainer.train()
    assert ready.trainer.evaluate()["eval_loss"] < first - 0.02
    assert all(torch.equal(weight, before[name]) for name, weight in base.items())
    trained = {name for name, weight in ready.network.named_parameters() if weight.requires_grad}
    assert all("lora_" in name or "score" in name for name in trained)
    if bits == "4bit":
        settings = ready.network.config.quantization_config
        assert (settings.bnb_4bit_quant_type, settings.bnb_4bit_use_double_quant) == ("nf4", True)


@pytest.mark.skipif(not HAS_BITSANDBYTES, reason="needs bitsandbytes")
def test_an_evaluation_changes_no_gradient_after_it(
    asked: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    found = []
    for evaluates in (False, True):
        ready = prepared(asked("--quantization=4bit"), tmp_path)
        if evaluates:
            ready.trainer.evaluate()
        batch = ready.trainer.data_collator([ready.trainer.train_dataset[i] for i in range(4)])
        ready.network.train()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            ready.network(**batch).loss.backward()
        gradients = {name: weight.grad for name, weight in ready.network.named_parameters()}
        found.append({name: grad for name, grad in gradients.items() if grad is not None})
    first, after = found
    assert set(first) == set(after)
    for name, gradient in first.items():
        torch.testing.assert_close(after[name], gradient)
    assert any("layers.0" in name and grad.abs().max() > 0 for name, grad in first.items())
