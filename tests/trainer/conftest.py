"""Small real things to train on, and the trial program as a process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
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
def default_data() -> Iterator[Path]:
    """The default dataset, made available as a user would; once per machine."""
    subprocess.run(command(["fetch"]), cwd=ROOT, check=True, timeout=300)
    from trainer import defaults

    yield defaults.default_dataset()
