"""Values arrive as text; what they become is decided by the real classes' types."""

from __future__ import annotations

import dataclasses
import json
from enum import Enum
from typing import Any, get_type_hints

import pytest
from peft import LoraConfig
from transformers import TrainingArguments

from trainer.casting import cast, cast_fields
from trainer.errors import TrialError

HINTS = {
    "TrainingArguments": get_type_hints(TrainingArguments),
    "LoraConfig": get_type_hints(LoraConfig),
}


@pytest.mark.parametrize(
    ("owner", "name", "text", "expected"),
    [
        ("TrainingArguments", "learning_rate", "1e-05", 1e-5),
        ("TrainingArguments", "weight_decay", "0.01", 0.01),
        ("TrainingArguments", "num_train_epochs", "2", 2.0),
        ("TrainingArguments", "max_steps", "16", 16),
        ("TrainingArguments", "per_device_train_batch_size", "8.0", 8),
        ("TrainingArguments", "seed", "9007199254740993", 9007199254740993),
        ("TrainingArguments", "bf16", "False", False),
        ("TrainingArguments", "bf16", "true", True),
        ("TrainingArguments", "gradient_checkpointing", "False", False),
        ("TrainingArguments", "gradient_checkpointing", "None", None),
        ("TrainingArguments", "lr_scheduler_type", "cosine", "cosine"),
        ("TrainingArguments", "optim", "adafactor", "adafactor"),
        ("TrainingArguments", "eval_strategy", "steps", "steps"),
        ("TrainingArguments", "eval_steps", "10", 10.0),
        ("TrainingArguments", "data_seed", "7", 7),
        ("TrainingArguments", "neftune_noise_alpha", "5", 5.0),
        ("TrainingArguments", "lr_scheduler_kwargs", '{"num_cycles": 2}', {"num_cycles": 2}),
        ("LoraConfig", "r", "16", 16),
        ("LoraConfig", "lora_dropout", "0.05", 0.05),
        ("LoraConfig", "use_rslora", "False", False),
        ("LoraConfig", "bias", "lora_only", "lora_only"),
        ("LoraConfig", "target_modules", "all-linear", "all-linear"),
        ("LoraConfig", "target_modules", "query,value", ["query", "value"]),
        ("LoraConfig", "target_modules", '["query", "value"]', ["query", "value"]),
        ("LoraConfig", "target_modules", ["query"], ["query"]),
        ("LoraConfig", "target_modules", r".*\.(query|value){1,2}", r".*\.(query|value){1,2}"),
        ("LoraConfig", "modules_to_save", "classifier", ["classifier"]),
        ("LoraConfig", "init_lora_weights", "False", False),
        ("LoraConfig", "init_lora_weights", "gaussian", "gaussian"),
        ("LoraConfig", "layers_to_transform", "1", 1),
        ("LoraConfig", "layers_to_transform", "0,1", [0, 1]),
        ("LoraConfig", "rank_pattern", '{"query": 4}', {"query": 4}),
    ],
)
def test_text_becomes_the_type_of_its_field(
    owner: str, name: str, text: object, expected: object
) -> None:
    typed = cast(text, HINTS[owner][name])
    assert typed == expected
    assert type(typed) is type(expected) or isinstance(typed, Enum)


def defaults(owner: type) -> list[Any]:
    """(owner, field, default) of every field whose default can be written as text.

    Not report_to: its default "none" is read as None, which means the same there.
    """
    plain = (bool, int, float, str, type(None), Enum)
    return [
        pytest.param(owner, field.name, field.default, id=f"{owner.__name__}.{field.name}")
        for field in dataclasses.fields(owner)
        if isinstance(field.default, plain) and field.init and field.name != "report_to"
    ]


@pytest.mark.parametrize(
    ("owner", "name", "default"), defaults(TrainingArguments) + defaults(LoraConfig)
)
def test_every_default_survives_its_way_through_text(owner: type, name: str, default: Any) -> None:
    text = default.value if isinstance(default, Enum) else str(default)
    again = cast(text, HINTS[owner.__name__][name])
    # A list field whose default is "" reads it as no items, which means the same.
    assert again == default or not (again or default)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("learning_rate", "fast", "learning_rate: expected a number, received 'fast'."),
        ("learning_rate", "nan", "learning_rate: expected a finite number, received 'nan'."),
        ("max_steps", "1.5", "max_steps: expected a whole number, received '1.5'."),
        ("bf16", "maybe", "bf16: expected true or false, received 'maybe'."),
        ("seed", True, "seed: expected a number, received True."),
        ("fsdp_config", 3, "fsdp_config: expected a JSON object"),
        ("lr_scheduler_type", "cosin", "lr_scheduler_type: expected one of linear, cosine,"),
    ],
)
def test_a_wrong_value_is_refused_with_what_was_expected(
    name: str, value: object, said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        cast_fields({name: value}, HINTS["TrainingArguments"], "TrainingArguments")
    assert caught.value.reason == "BadParameter"
    assert str(caught.value).startswith(said)


def test_an_unknown_name_is_refused_with_the_nearest_known_ones() -> None:
    with pytest.raises(TrialError, match=r"no field 'learning_rat'\. Did you mean learning_rate"):
        cast_fields({"learning_rat": 1}, HINTS["TrainingArguments"], "TrainingArguments")


def test_broken_json_is_refused() -> None:
    with pytest.raises(TrialError, match="rank_pattern: expected valid JSON"):
        cast_fields({"rank_pattern": '{"query": '}, HINTS["LoraConfig"], "LoraConfig")


def test_nested_configurations_are_built_from_json_objects() -> None:
    value = cast(
        json.dumps({"ephemeral_gpu_offload": "True"}), HINTS["LoraConfig"]["runtime_config"]
    )
    assert value.ephemeral_gpu_offload is True
    with pytest.raises(ValueError, match="not offload"):
        cast({"offload": True}, HINTS["LoraConfig"]["runtime_config"])
