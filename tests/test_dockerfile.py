"""The two images: what they say, and what their steps make of a clean folder (marker `image`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bot import __version__
from tests.dockerfile import ROOT, STAGES, Image, files, read, size_mb

LINE = "org/model on org/data name=tried learning_rate=1e-5..5e-5:log gpu=1"
MAX_SITE_PACKAGES_MB = 300


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with Image(tmp_path_factory.mktemp("bot"), STAGES["bot"]) as image:
        image.build()
        yield image


def test_both_images_run_as_a_number_that_is_not_root() -> None:
    # NB: with a name, `runAsNonRoot` cannot be checked and the pod does not start.
    assert [stage.last("USER") for stage in STAGES.values()] == ["10001:10001"] * 2


def test_no_shell_stands_between_the_signals_and_the_program() -> None:
    assert {name: stage.command for name, stage in STAGES.items()} == {
        "bot": ["katib-tune"],
        "trainer": ["python", "-m", "trainer"],
    }


def test_a_base_image_can_be_given_by_its_digest() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name in ("BOT_BASE", "TRAINER_BASE"):
        assert f"FROM ${{{name}}} AS {name.removesuffix('_BASE').lower()}" in text
    assert {stage.base.split(":")[0] for stage in STAGES.values()} == {"python", "pytorch/pytorch"}
    assert f"-t katib-tune-bot:{__version__}" in text


def test_what_is_copied_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for stage in STAGES.values():
        for name, rest in stage.steps:
            if name == "COPY":
                assert not set(rest.split()[:-1]) & set(ignored), rest


def test_the_reader_joins_lines_and_leaves_comments_out() -> None:
    stages = read("ARG A=b:1\nFROM ${A} AS x\n# no\nENV K=v \\\n  L='w w'\nUSER 1\nUSER 2\n")
    assert stages["x"].base == "b:1"
    assert stages["x"].environment == {"K": "v", "L": "w w"}
    assert stages["x"].last("USER") == "2"


@pytest.mark.image
@pytest.mark.timeout(900)
def test_the_bots_image_tells_its_version(bot: Image) -> None:
    assert bot.start("--version").stdout == f"katib-tune {__version__}\n"


@pytest.mark.image
def test_the_bots_packages_are_small_and_without_torch(bot: Image) -> None:
    size = size_mb(bot.site_packages)
    print(f"site-packages of the bot's image: {size:.0f} MB, of which the Kubernetes client "
          f"{size_mb(bot.site_packages / 'kubernetes'):.0f} MB")  # fmt: skip
    assert size <= MAX_SITE_PACKAGES_MB
    for package in ("torch", "transformers", "optuna", "numpy"):
        assert not (bot.site_packages / package).exists(), package


@pytest.mark.image
def test_the_bots_image_renders_every_object(bot: Image) -> None:
    rendered = bot.start("render", LINE, "--engine", "katib")
    assert rendered.returncode == 0, rendered.stderr
    assert [each["kind"] for each in yaml.safe_load_all(rendered.stdout)] == [
        "PersistentVolumeClaim", "Job", "PyTorchJob", "Experiment",
    ]  # fmt: skip


@pytest.mark.image
def test_the_bot_without_tokens_says_which_it_lacks(bot: Image, tmp_path: Path) -> None:
    served = bot.start("serve", KATIB_TUNE_STATE_DIR=str(tmp_path))
    assert served.returncode == 1
    assert "SLACK_APP_TOKEN" in served.stderr and "Traceback" not in served.stderr


@pytest.mark.image
def test_the_doctor_of_the_bots_image_speaks_in_sentences(bot: Image, tmp_path: Path) -> None:
    examined = bot.start("doctor", KATIB_TUNE_STATE_DIR=str(tmp_path))
    assert "Traceback" not in examined.stdout + examined.stderr
    assert "SLACK_BOT_TOKEN is not set." in examined.stdout


@pytest.mark.image
def test_the_bot_writes_nothing_but_its_state(bot: Image, tmp_path: Path) -> None:
    before = files(bot.folder)
    for words in (("--version",), ("render", LINE, "--engine", "katib"), ("serve",), ("doctor",)):
        bot.start(*words, KATIB_TUNE_STATE_DIR=str(tmp_path))
    assert files(bot.folder) == before
