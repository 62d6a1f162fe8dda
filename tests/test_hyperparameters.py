"""The names that can be tuned are the fields of the two real classes, each of the kind it is."""

from __future__ import annotations

import dataclasses
import re
import typing
from typing import Any

import pytest

from bot import prior
from bot.hyperparameters import LORA, TRAINING, Kind

OLDER = {"warmup_ratio"}  # until transformers 4; the trainer turns it into warmup_steps


@pytest.fixture(scope="module")
def classes() -> dict[str, type]:
    """Imported here: together they take seconds."""
    from peft import LoraConfig
    from transformers import TrainingArguments

    return {"training": TrainingArguments, "lora": LoraConfig}


def fields(real: Any) -> dict[str, str]:
    """The annotation of every field that can be handed in, as text."""
    return {
        field.name: str(field.type)
        for field in dataclasses.fields(real)
        if field.init and not field.name.startswith("_")
    }


def kinds_in(annotation: str) -> set[Kind]:
    """The simple types that an annotation allows."""
    words = set(re.findall(r"\w+", annotation))
    known: dict[str, Kind] = {"int": "int", "float": "float", "bool": "bool"}
    found = {kind for word, kind in known.items() if word in words}
    return found or {"text"}


def test_training_parameters_are_the_fields_of_training_arguments(
    classes: dict[str, type],
) -> None:
    assert set(TRAINING) - OLDER == set(fields(classes["training"]))


def test_lora_config_is_the_fields_of_lora_config(classes: dict[str, type]) -> None:
    assert set(LORA) == set(fields(classes["lora"]))


@pytest.mark.parametrize(("which", "kinds"), [("training", TRAINING), ("lora", LORA)])
def test_a_kind_is_one_that_the_field_takes(
    classes: dict[str, type], which: str, kinds: dict[str, Kind]
) -> None:
    real = fields(classes[which])
    wrong = {
        name: (kind, real[name])
        for name, kind in kinds.items()
        if name in real and not _fits(kind, real[name])
    }
    assert wrong == {}


def _fits(kind: Kind, annotation: str) -> bool:
    if kind == "text":  # also what takes a number, true or false, or else a text
        texts = re.search("str|dict|list|Literal", annotation)
        return kinds_in(annotation) == {"text"} or bool(texts)
    if kind == "switch":  # the trial program takes auto, too
        return "bool" in kinds_in(annotation)
    # NB: num_train_epochs is a float there, and searched as a whole number here.
    return kind in kinds_in(annotation) or (kind == "int" and "float" in annotation)


def test_no_name_means_two_things() -> None:
    assert not set(TRAINING) & set(LORA)
    assert set(TRAINING.values()) | set(LORA.values()) <= set(typing.get_args(Kind))


def test_the_trainer_ties_alpha_to_the_rank_as_we_say_it_does() -> None:
    from trainer import lora

    assert lora.lora_config({"r": "16"}, "SEQ_CLS").lora_alpha == prior.tied_alpha(16)
