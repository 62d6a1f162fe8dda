"""Where models and datasets come from, by the way their URI is spelled."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer import sources
from trainer.errors import TrialError


@pytest.mark.parametrize(
    ("uri", "kind", "value"),
    [
        ("default", "default", "default"),
        ("hf://org/name", "hub", "org/name"),
        ("hf://datasets/org/name", "hub", "org/name"),
        ("org/name", "hub", "org/name"),
        ("imdb", "hub", "imdb"),
        ("meta-llama/Llama-3.2-1B", "hub", "meta-llama/Llama-3.2-1B"),
    ],
)
def test_names_are_hub_names_unless_they_are_default(uri: str, kind: str, value: str) -> None:
    source = sources.read(uri, "model")
    assert (source.kind, source.value) == (kind, value)


def test_a_folder_that_exists_wins_over_a_hub_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imdb").mkdir()
    monkeypatch.chdir(tmp_path)
    assert sources.read("imdb", "dataset").value == str(tmp_path / "imdb")
    assert sources.read(f"file://{tmp_path}/imdb", "dataset").value == str(tmp_path / "imdb")
    assert sources.read("hf://imdb", "dataset").kind == "hub"


def test_a_package_path_is_found_without_importing_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "weights_in_a_package"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    found = sources.read("package:weights_in_a_package/model", "model")
    assert (found.kind, found.value) == ("local", str(package / "model"))
    with pytest.raises(TrialError, match="has no 'weights' inside"):
        sources.read("package:weights_in_a_package/weights", "model")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("/nowhere/model", "There is no model at /nowhere/model"),
        ("./model", "There is no model at ./model"),
        ("a/b/c", "There is no model at a/b/c"),
        ("no spaces here", "'no spaces here' does not name a model"),
        ("s3://bucket", "There is no model at s3://bucket"),
        ("package:no_such_package/x", "no Python package 'no_such_package' is installed here"),
        ("package:os.path/x", "no Python package 'os.path' is installed here"),
    ],
)
def test_what_is_nowhere_is_said_with_its_name(uri: str, said: str) -> None:
    with pytest.raises(TrialError) as caught:
        sources.read(uri, "model")
    assert said in str(caught.value)
    assert caught.value.reason == "ModelNotFound"


def test_a_missing_dataset_is_a_dataset_not_found() -> None:
    with pytest.raises(TrialError) as caught:
        sources.read("rows.parquet", "dataset")
    assert (caught.value.reason, caught.value.exit_code) == ("DatasetNotFound", 3)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KATIB_TUNE_CACHE", "/somewhere")
    assert sources.cache_folder() == Path("/somewhere")
    monkeypatch.delenv("KATIB_TUNE_CACHE")
    assert sources.cache_folder() == Path.home() / ".cache" / "katib-tune"
