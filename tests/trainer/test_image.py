"""The trainer's image: the Dockerfile's steps in a clean folder, and one trial by its entry point.

PyTorch, which is in the base image, is lent by the environment of the tests: the CPU build.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.dockerfile import STAGES, Image

pytestmark = [pytest.mark.image, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with Image(tmp_path_factory.mktemp("trainer"), STAGES["trainer"]) as made:
        made.build("torch")
        yield made


def test_pip_leaves_the_pytorch_of_the_base_image_alone(image: Image) -> None:
    (metadata,) = image.site_packages.glob("torch-*.dist-info")
    assert metadata.name == f"torch-{version('torch')}.dist-info"


def test_a_trial_trains_in_it(image: Image, tiny_bert: Path, reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--model-uri", tiny_bert, "--dataset", reviews, "--output-dir", out]
    places = {"HF_HOME": str(tmp_path / "huggingface"), "OMP_NUM_THREADS": "1"}
    parameters = json.dumps({"num_train_epochs": 1, "use_cpu": True})
    ended = image.start(*map(str, words), "--training-parameters", parameters, **places)
    assert ended.returncode == 0, ended.stderr
    assert "eval_accuracy=" in ended.stdout
    assert (out / "result.json").is_file()
