"""Real sentences with real tags: a part of CoNLL-2000, and questions made of it by rule.

823 sentences to train on and 77 to test on, from the Wall Street Journal, each word with its part
of speech and its chunk; in the source archive of libwapiti on the package index. The rights in the
texts were not checked, so nothing of them is in this repository.
"""

from __future__ import annotations

import itertools
import json
import tarfile
from pathlib import Path
from typing import Any

from trainer import defaults, entities, sources

PACKAGE = defaults.Package(
    "libwapiti==0.2.1",
    "1ee047ada85f7abf076b70aa7d5793b28bb1327274f403d2c6923e27bb01097e",
    233_613,
    "BSD for the program; the rights in the texts were not checked",
    ("--no-binary", "libwapiti", "--no-build-isolation"),
)
FILES = {"train": "chtrain.txt", "test": "chtest.txt"}

Sentence = list[list[str]]  # of each word: itself, its part of speech, its chunk


def folder() -> Path:
    """Fetched once per machine: the folders `tags`, with `tokens`, `pos_tags` and `chunk_tags`, and
    `questions`, in SQuAD's form, each with `train.jsonl` and `test.jsonl`."""
    path = sources.cache_folder() / "tests" / "chunks"
    if not path.is_dir():
        with defaults.new_folder(path) as partial, defaults.downloaded(PACKAGE) as archive:
            for kind in ("tags", "questions"):
                (partial / kind).mkdir()
            for split, name in FILES.items():
                sentences = _read(archive, name)
                _write(
                    partial / "tags" / f"{split}.jsonl", [_row(sentence) for sentence in sentences]
                )
                asked = [row for sentence in sentences for row in _questions(sentence)]
                _write(partial / "questions" / f"{split}.jsonl", asked)
    return path


def _read(archive: Path, ending: str) -> list[Sentence]:
    with tarfile.open(archive) as files:
        name = next(name for name in files.getnames() if name.endswith(f"/{ending}"))
        file = files.extractfile(name)
        assert file is not None
        text = file.read().decode()
    return [[line.split() for line in block.splitlines()] for block in text.split("\n\n") if block]


def _row(sentence: Sentence) -> dict[str, list[str]]:
    columns = zip(*sentence, strict=True)
    return {name: list(next(columns)) for name in ("tokens", "pos_tags", "chunk_tags")}


def _questions(sentence: Sentence) -> list[dict[str, Any]]:
    """`Who or what VERBS?` for each verb phrase right behind a noun phrase, which is the answer."""
    words, _, tags = (list(column) for column in zip(*sentence, strict=True))
    context = " ".join(words)
    found, chunks = [], entities.entities(tags)
    for noun, verb in itertools.pairwise(chunks):
        if (noun[0], verb[0], verb[1]) == ("NP", "VP", noun[2] + 1):
            start = len(" ".join([*words[: noun[1]], ""]))
            answer = " ".join(words[noun[1] : noun[2] + 1])
            asked = f"Who or what {' '.join(words[verb[1] : verb[2] + 1])}?"
            answers = {"text": [answer], "answer_start": [start]}
            found.append({"question": asked, "context": context, "answers": answers})
    return found


def _write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
