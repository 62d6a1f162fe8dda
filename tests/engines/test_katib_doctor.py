"""What `doctor` says of the trials' settings, without a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.engines.katib_doctor import examine_trials
from bot.findings import Finding

IMAGE = "registry.example/katib-tune-trainer:0.1.0"


@pytest.mark.parametrize(
    ("image", "verdict", "said"),
    [
        ("registry.example:5000/trainer", "wrong", "has no tag"),
        ("registry.example:5000/trainer:latest", "wrong", "may be another one"),
        ("trainer", "wrong", "has no tag"),
        ("katib-tune-trainer:0.1.0", "note", "names no registry"),
        ("registry.example/trainer@sha256:abc", "ok", "The trainer image is"),
        (IMAGE, "ok", "The trainer image is"),
    ],
)
def test_an_image_is_judged_by_its_tag(image: str, verdict: str, said: str) -> None:
    _, found = examine_trials(image, None)
    assert (found.verdict, found.topic) == (verdict, "trials")
    assert image in found.sentence
    assert said in found.sentence


def test_a_template_is_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "template.yaml"
    path.write_text("trial_kind: TrainJob\ngpu_resource: amd.com/gpu\n")
    found, _ = examine_trials(IMAGE, path)
    said = (
        f"The trial template {path} is used: trials are TrainJobs, and a GPU is called amd.com/gpu."
    )
    assert found == Finding("ok", "trials", said)


def test_without_a_file_there_is_a_template_too() -> None:
    assert next(examine_trials(IMAGE, None)).verdict == "ok"


def test_a_template_that_cannot_be_read_is_wrong_and_named(tmp_path: Path) -> None:
    found, image = examine_trials(IMAGE, tmp_path / "gone.yaml")
    assert found.verdict == "wrong"
    assert "gone.yaml cannot be read" in found.sentence
    assert image.verdict == "ok"
