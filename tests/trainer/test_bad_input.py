"""Every bad input ends the program with its exit code, its reason and one sentence for people."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trainer import train
from trainer.__main__ import main

assert train  # what every trial imports is imported once, here


def ended(flags: list[str], folder: Path) -> tuple[int, list[str], str]:
    """The exit code of the program, in a process of its own, what it wrote to stderr, and the
    message in result.json."""
    child = multiprocessing.get_context("fork").Process(target=_main, args=(flags, folder))
    child.start()
    child.join(100)
    message = json.loads((folder / "out" / "result.json").read_text())["message"]
    assert child.exitcode is not None
    return child.exitcode, (folder / "stderr").read_text().splitlines(), message


def _main(flags: list[str], folder: Path) -> None:
    with (folder / "stderr").open("w") as file:
        os.dup2(file.fileno(), 2)
    try:
        code = main([*flags, f"--output-dir={folder}/out"])
    except BaseException:
        sys.excepthook(*sys.exc_info())  # as the interpreter does; multiprocessing does not
        raise
    raise SystemExit(code)


@pytest.fixture
def bad(tiny_bert: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A file or folder with something wrong, by a name that says what."""

    def copied(without: str) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(tiny_bert, folder)
        for file in folder.glob(without):
            file.unlink()
        return folder

    def written(text: str) -> Path:
        (tmp_path / "rows.csv").write_text(text)
        return tmp_path / "rows.csv"

    three = "".join(f"the film was good,{i % 3}\n" for i in range(30))
    makers: dict[str, Callable[[], Path]] = {
        "no tokenizer": lambda: copied("tokenizer*"),
        "no weights": lambda: copied("*.safetensors"),
        "nothing": lambda: written(""),
        "no rows": lambda: written("text,label\n"),
        "no labels": lambda: written("text,label\n" + "the film,\n" * 9),
        "three labels": lambda: written(f"text,label\n{three}"),
        "one label": lambda: written("text,label\n" + "good,yes\n" * 20),
    }
    return lambda name: makers[name]()


def kind(name: str, metric: str = "eval_loss") -> list[str]:
    return [f"--transformer-type=AutoModelFor{name}", f"--objective-metric={metric}"]


BAD = [
    (
        *(["--model-uri=/nowhere/model"], 4, "ModelNotFound"),
        "There is no model at /nowhere/model: no such file or folder.",
    ),
    (
        *(["--model-uri={no tokenizer}"], 4, "ModelNotFound"),
        "The model '…' has no tokenizer to load: no tokenizer.json, no vocabulary; there is "
        "config.json, model.safetensors.",
    ),
    (
        *(["--model-uri={no weights}"], 4, "ModelNotFound"),
        "The model '…' has no weights to load: no model.safetensors, no pytorch_model.bin; there "
        "is config.json, tokenizer.json, tokenizer_config.json.",
    ),
    (
        *(kind("CausalLM"), 4, "ModelNotFound"),
        "The model '…' is of type bert, an encoder: each of its tokens sees those after it, so it "
        "cannot learn to continue a text. Take a decoder, or AutoModelForMaskedLM.",
    ),
    (
        *(kind("MaskedLM"), 4, "ModelNotFound"),
        "The model '…' has no mask token, so it cannot learn hidden tokens; take an encoder such "
        "as BERT, or AutoModelForCausalLM.",
    ),
    (
        *(["--dataset=nowhere.csv"], 3, "DatasetNotFound"),
        "There is no dataset at nowhere.csv: no such file or folder.",
    ),
    (["--dataset={nothing}"], 3, "EmptyDataset", "… is an empty file; write it again."),
    (["--dataset={no rows}"], 3, "EmptyDataset", "… has no rows; add some."),
    (
        *(["--dataset={no labels}"], 3, "EmptyDataset"),
        "No row of 'train' has both a 'text' and a 'label'.",
    ),
    (
        *(["--split=train[5:2]"], 3, "EmptyDataset"),
        "The split 'train[5:2]' has no rows; this dataset has train (200 rows).",
    ),
    (
        *(["--split=train[:x]"], 3, "BadSplit"),
        "There is no split 'train[:x]'; this dataset has train (200 rows). Write for example "
        '"train[:1000]" or "train[:10%]".',
    ),
    (
        *(["--eval-split=train[:10]"], 3, "BadSplit"),
        "The evaluation split 'train[:10]' shares 10 rows with the training split 'train'; a score "
        "on rows that were trained on says nothing.",
    ),
    (
        *(["--dataset={three labels}", "--num-labels=2"], 3, "LabelMismatch"),
        "The column 'label' has 3 labels (0, 1, 2), but --num-labels is 2; leave it out, or give "
        "3.",
    ),
    (
        *(["--dataset={one label}"], 3, "LabelMismatch"),
        "All rows have the same 'label', 'yes'; a classifier needs two labels or more. Take other "
        "rows.",
    ),
    (
        *(["--text-column=txt"], 3, "BadColumn"),
        "The dataset has no column 'txt'; it has text, label. Did you mean text?",
    ),
    (
        *(kind("TokenClassification"), 3, "BadColumn"),
        "No tokens column was recognised among text, label; name it with "
        """--columns '{"tokens": "NAME"}'.""",
    ),
    (
        *(kind("QuestionAnswering", "eval_f1"), 3, "BadColumn"),
        "No question column was recognised among text, label; name it with "
        """--columns '{"question": "NAME"}'.""",
    ),
    (
        *([*kind("ImageClassification"), '--columns={"image": "text"}'], 3, "EmptyDataset"),
        "No row of 'train' has both a 'label' and a picture in 'text' that can be read.",
    ),
    (
        *(["--method=full", '--training-parameters={"learning_rate": "1e30"}'], 5, "Diverged"),
        "The training loss became … in step 2; try a smaller learning rate or a warm-up.",
    ),
    (
        *(['--lora-config={"r": "-1"}'], 2, "BadParameter"),
        "LoRA cannot be applied: `r` should be a positive integer value but the value passed is -1",
    ),
]


@pytest.mark.parametrize(("flags", "code", "reason", "said"), BAD)
def test_what_is_wrong_has_its_exit_code_its_reason_and_its_sentence(
    bad: Callable[[str], Path],
    tiny_bert: Path,
    reviews: Path,
    tmp_path: Path,
    flags: list[str],
    code: int,
    reason: str,
    said: str,
) -> None:
    usual = [f"--model-uri={tiny_bert}", f"--dataset={reviews}"]
    given = [re.sub(r"{([a-z ]+)}", lambda found: str(bad(found[1])), flag) for flag in flags]
    found, lines, message = ended([*usual, *given], tmp_path)
    assert (found, lines[-2:]) == (code, [f"reason: {reason}", f"error: {message}"])
    assert re.fullmatch(re.escape(said).replace("…", r"\S+"), message), message
    assert not any("Traceback" in line for line in lines)
