"""Models and datasets of the hub, from a stand-in that speaks its HTTP interface."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from tests.trainer import stand_in_hub
from tests.trainer.conftest import Ended

Trainer = Callable[..., Ended]


@pytest.fixture
def hub(tiny_bert: Path, reviews: Path, tmp_path: Path) -> Iterator[stand_in_hub.Hub]:
    """A hub with a model `org/tiny` and a dataset `org/reviews`."""
    with stand_in_hub.running() as hub:
        model = Path(shutil.copytree(tiny_bert, tmp_path / "org-tiny"))
        (model / "README.md").write_text("---\nlicense: bsd-3-clause\n---\n\n# Tiny\n")
        hub.repositories["models/org/tiny"] = model
        data = tmp_path / "org-reviews"
        data.mkdir()
        (data / "train.csv").write_bytes(reviews.read_bytes())
        hub.repositories["datasets/org/reviews"] = data
        yield hub


def reaching(hub: stand_in_hub.Hub, home: Path) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "0"}


def test_a_fetched_model_and_dataset_are_trained_on_without_the_network(
    hub: stand_in_hub.Hub, trainer: Trainer, tmp_path: Path
) -> None:
    env = reaching(hub, tmp_path)
    names = ("--model=hf://org/tiny", "--dataset=org/reviews")
    sized = trainer("fetch", "--size", *names, env=env)
    assert sized.out.startswith("Would download 0.") and "org/reviews (0.0 MB)" in sized.out
    fetched = trainer("fetch", *names, env=env)
    assert fetched.code == 0, fetched.err
    assert "Model org/tiny: downloading 0." in fetched.out
    assert "licence cc0-1.0." in fetched.out

    before = len(hub.requests)
    assert "Model org/tiny is here" in trainer("fetch", *names, env=env).out
    ended = trainer(
        *("--model-uri=org/tiny", "--dataset=hf://datasets/org/reviews", "--output-dir={out}"),
        *("--split=train[:64]", '--training-parameters={"num_train_epochs": 1}', "--save-best"),
        env=env,
    )
    assert ended.code == 0, ended.err
    assert ended.result["rows"]["train"] == 52
    shop = tmp_path / "shop"
    ended = trainer("export", f"--trial={tmp_path}/out", f"--to={shop}", env=env)
    assert ended.code == 0, ended.err
    assert hub.requests[before:] == [], "what is in the cache asks nobody"
    adapter = json.loads((shop / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == "org/tiny"
    assert adapter["revision"] == stand_in_hub.COMMIT
    card = ModelCard.load(shop / "README.md")
    assert (card.data.base_model, card.data.datasets) == ("org/tiny", ["org/reviews"])
    assert card.data.license == "bsd-3-clause"
    assert card.data.eval_results[0].dataset_type == "org/reviews"
    assert f'"org/tiny", config=config, revision="{stand_in_hub.COMMIT}"' in card.text


def test_a_name_that_the_hub_does_not_know_is_one_sentence(
    hub: stand_in_hub.Hub, trainer: Trainer, tmp_path: Path
) -> None:
    env = reaching(hub, tmp_path)
    ended = trainer("fetch", "--model=org/nothing", "--dataset=org/reviews", env=env)
    assert ended.code == 4
    assert ended.last_words == (
        "error: The hub has no model 'org/nothing' that this account may read; check the name, and "
        "set HF_TOKEN if it is private or gated."
    )
    ended = trainer("fetch", "--model=org/tiny", "--dataset=org/nothing", env=env)
    assert ended.code == 3
    assert "The hub has no dataset 'org/nothing'" in ended.last_words


@pytest.mark.parametrize(
    ("refusal", "token", "said"),
    [
        (
            (403, "GatedRepo"),
            "",
            "The model 'org/shut' is gated: ask for access on its page on ",
        ),
        (
            (401, ""),
            "",
            "The hub has no model 'org/shut' that this account may read; check the ",
        ),
        ((500, ""), "", "The hub did not give the model 'org/shut': "),
        ((401, ""), "hf_stale", "The hub does not accept HF_TOKEN for the model 'org/shut': the "),
    ],
    ids=["gated", "no-token", "broken", "bad-token"],
)
def test_what_the_hub_refuses_is_told_apart(
    hub: stand_in_hub.Hub,
    trainer: Trainer,
    tmp_path: Path,
    refusal: tuple[int, str],
    token: str,
    said: str,
) -> None:
    hub.refusals["models/org/shut"] = refusal
    env = {**reaching(hub, tmp_path), "HF_TOKEN": token}
    ended = trainer("fetch", "--model=org/shut", "--dataset=org/reviews", env=env)
    assert ended.code == 4
    assert ended.last_words.removeprefix("error: ").startswith(said)
    assert "hf_stale" not in ended.out + ended.err


def test_a_models_own_code_is_downloaded_only_if_it_is_trusted(
    hub: stand_in_hub.Hub, trainer: Trainer, tiny_bert: Path, tmp_path: Path
) -> None:
    own = tmp_path / "org-own"
    own.mkdir()
    for file in tiny_bert.iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    (own / "own.py").write_text("raise SystemExit('was run')")
    hub.repositories["models/org/own"] = own
    env = reaching(hub, tmp_path)
    fetch = ("fetch", "--model=org/own", "--dataset=org/reviews")
    for flags, expected in (((), []), (("--trust-remote-code",), ["own.py"])):
        assert trainer(*fetch, *flags, env=env).code == 0
        found = (tmp_path / "hf").glob("hub/models--org--own/snapshots/*/*.py")
        assert [file.name for file in found] == expected


def test_a_hub_that_cannot_be_reached_is_one_sentence(trainer: Trainer, tmp_path: Path) -> None:
    with stand_in_hub.running() as hub:
        env = reaching(hub, tmp_path)
    ended = trainer("fetch", "--model=org/tiny", "--dataset=org/reviews", env=env)
    assert ended.code == 4
    assert "is not in the local cache and the hub cannot be reached" in ended.last_words
    assert "Traceback" not in ended.err
