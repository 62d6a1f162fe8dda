"""TuneSpec: what it refuses, what it fills in, and that YAML loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bot import spec
from bot.errors import SpecError
from bot.spec import Parameter, TuneSpec, from_yaml, read, to_data, to_yaml
from tests.specs import SPECS

LEARNING_RATE = {"min": 1e-5, "max": 1e-3, "distribution": "logUniform"}
BASE: dict[str, Any] = {
    "name": "a",
    "model_uri": "default",
    "dataset": "default",
    "training_parameters": {"learning_rate": LEARNING_RATE},
}
S3: dict[str, Any] = {
    "dataset": "",
    "s3_endpoint_url": "https://s3.example",
    "s3_bucket_name": "reviews",
    "s3_file_key": "imdb/train",
}
CUSTOM: dict[str, Any] = {
    "name": "a",
    "objective_function": "f",
    "objective_source": "def f(p): ...",
    "objective_metric_name": "result",
    "parameters": {"x": {"min": 1, "max": 3}},
}


def searching(**space: Any) -> dict[str, Any]:
    return {**BASE, "training_parameters": {"learning_rate": space}}


def refusals(data: dict[str, Any]) -> list[SpecError]:
    with pytest.raises(SpecError) as caught:
        read(data)
    return list(caught.value.all)


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # what it is about: (data, field, words of the sentence)
    "no name": ({**BASE, "name": ""}, "name", "needs a `name`"),
    "a long name": ({**BASE, "name": "a" * 41}, "name", "40 characters"),
    "capitals in the name": ({**BASE, "name": "Llama"}, "name", "a-z, 0-9 and -"),
    "a digit in front": ({**BASE, "name": "1a"}, "name", "from a letter on"),
    "a hyphen at the end": ({**BASE, "name": "a-"}, "name", "a-z, 0-9 and -"),
    "no model": ({**BASE, "model_uri": ""}, "model_uri", "is missing"),
    "no dataset": ({**BASE, "dataset": ""}, "dataset", "is missing"),
    "an unknown field": ({**BASE, "max_trials": 3}, "max_trials", "`max_trial_count`"),
    "half of S3": (
        {**BASE, "dataset": "", "s3_bucket_name": "b", "s3_file_key": "k"},
        "s3_endpoint_url",
        "also needs",
    ),
    "two sources of data": (
        {**BASE, **S3, "dataset": "imdb"},
        "dataset",
        "one place",
    ),
    "a bucket without a key": ({**BASE, **S3, "s3_file_key": None}, "s3_file_key", "also needs"),
    "a key without a bucket": (
        {**BASE, **S3, "s3_bucket_name": None},
        "s3_bucket_name",
        "also needs",
    ),
    "an access key without its secret key": (
        {**BASE, **S3, "s3_access_key": "s3/access"},
        "s3_secret_key",
        "also needs",
    ),
    "an S3 endpoint that is no address": (
        {**BASE, **S3, "s3_endpoint_url": "minio:9000"},
        "s3_endpoint_url",
        "http or https",
    ),
    "a bucket with a path": (
        {**BASE, **S3, "s3_bucket_name": "reviews/imdb"},
        "s3_bucket_name",
        "name alone",
    ),
    "S3 for a custom objective": (
        {**CUSTOM, "s3_endpoint_url": "https://u"},
        "s3_endpoint_url",
        "takes no",
    ),
    "an unknown type": ({**BASE, "transformer_type": "GPT"}, "transformer_type", "one of"),
    "no labels": ({**BASE, "num_labels": 0}, "num_labels", "at least 1"),
    "text for a count": ({**BASE, "max_trial_count": "ten"}, "max_trial_count", "whole number"),
    "half a trial": ({**BASE, "max_trial_count": 1.5}, "max_trial_count", "whole number"),
    "no trials": ({**BASE, "max_trial_count": 0}, "max_trial_count", "at least 1"),
    "no parallel trials": ({**BASE, "parallel_trial_count": 0}, "parallel_trial_count", "least"),
    "negative failures": (
        {**BASE, "max_failed_trial_count": -1},
        "max_failed_trial_count",
        "least",
    ),
    "more parallel than in all": (
        {**BASE, "max_trial_count": 3, "parallel_trial_count": 4},
        "parallel_trial_count",
        "more than `max_trial_count` (3)",
    ),
    "more failures than trials": (
        {**BASE, "max_trial_count": 3, "max_failed_trial_count": 4},
        "max_failed_trial_count",
        "more than `max_trial_count` (3)",
    ),
    "nothing searched": ({**BASE, "training_parameters": {}}, "training_parameters", "searched"),
    "min above max": (searching(min=1e-3, max=1e-5), "training_parameters", "above the upper end"),
    "one value": (searching(min=1, max=1), "training_parameters", "is one value"),
    "no max": (searching(min=1), "training_parameters", "needs `min` and `max`"),
    "a range with a list": (
        searching(parameter_type="double", min=1, max=2, list=[1, 2]),
        "training_parameters",
        "no list",
    ),
    "log from zero": (
        searching(min=0, max=1.5, distribution="logUniform"),
        "training_parameters",
        "begins above 0",
    ),
    "log from below zero": (
        searching(min=-1, max=1.5, distribution="logUniform"),
        "training_parameters",
        "begins above 0",
    ),
    "log with a step": (
        searching(min=1, max=9.5, step=1, distribution="logUniform"),
        "training_parameters",
        "no steps",
    ),
    "a step wider than the range": (
        searching(min=0, max=0.1, step=1),
        "training_parameters",
        "does not fit",
    ),
    "a step of nothing": (searching(min=0, max=1.5, step=0), "training_parameters", "not fit"),
    "a step backwards": (searching(min=0, max=1.5, step=-1), "training_parameters", "not fit"),
    "an int with a fraction": (
        searching(parameter_type="int", min=1, max=1.5),
        "training_parameters",
        "whole numbers",
    ),
    "an unknown distribution": (
        searching(min=1, max=2, distribution="normal"),
        "training_parameters",
        "'uniform' or 'logUniform'",
    ),
    "an infinite end": (searching(min=1, max=float("inf")), "training_parameters", "finite"),
    "text for an end": (searching(min=1, max="x"), "training_parameters", "a number"),
    "an empty list": (
        searching(parameter_type="categorical", list=[]),
        "training_parameters",
        "at least two values",
    ),
    "a list of one": (searching(list=["a"]), "training_parameters", "at least two values"),
    "a list that repeats": (searching(list=[1, 1]), "training_parameters", "twice"),
    "texts called discrete": (
        searching(parameter_type="discrete", list=["a", "b"]),
        "training_parameters",
        "its values are numbers",
    ),
    "a list with a step": (
        searching(list=[1, 2], step=1),
        "training_parameters",
        "no `min`, `max` or `step`",
    ),
    "a list on a log scale": (
        searching(list=[1, 2], distribution="logUniform"),
        "training_parameters",
        "no scale",
    ),
    "a name that would break the template": (
        {**BASE, "lora_config": {"r}": 1}},
        "lora_config",
        "letters, digits",
    ),
    "LoRA without LoRA": (
        {**BASE, "method": "full", "lora_config": {"r": 8}},
        "lora_config",
        "belongs to LoRA",
    ),
    "parameters without an objective": (
        {**BASE, "parameters": {"x": 1}},
        "parameters",
        "no custom objective",
    ),
    "a metric with a space": (
        {**BASE, "objective_metric_name": "a b"},
        "objective_metric_name",
        "letters, digits",
    ),
    "the objective as an additional metric": (
        {**BASE, "additional_metric_names": ["eval_accuracy"]},
        "additional_metric_names",
        "objective already",
    ),
    "a wrong direction": ({**BASE, "objective_type": "up"}, "objective_type", "one of"),
    "an endless goal": ({**BASE, "objective_goal": float("nan")}, "objective_goal", "finite"),
    "settings of no rule": (
        {**BASE, "early_stopping_settings": {"start_step": "1"}},
        "early_stopping_settings",
        "which rule",
    ),
    "an amount of memory": ({**BASE, "memory": "lots"}, "memory", "10Gi"),
    "an amount of cpu": ({**BASE, "cpu": "-1"}, "cpu", "500m"),
    "an environment variable": ({**BASE, "env_per_trial": {"A B": "1"}}, "env_per_trial", "`A B`"),
    "a function and an image": (
        {**CUSTOM, "objective_image": "a", "objective_command": ["b"]},
        "objective_function",
        "not both",
    ),
    "a function without source": (
        {**CUSTOM, "objective_source": None},
        "objective_source",
        "also needs",
    ),
    "an image without a command": (
        {
            "name": "a",
            "objective_image": "a",
            "objective_metric_name": "m",
            "parameters": CUSTOM["parameters"],
        },
        "objective_command",
        "also needs",
    ),
    "a custom objective with a model": (
        {**CUSTOM, "model_uri": "default"},
        "model_uri",
        "takes no",
    ),
    "a custom objective without its metric": (
        {key: value for key, value in CUSTOM.items() if key != "objective_metric_name"},
        "objective_metric_name",
        "the metric that it prints",
    ),
    "a custom objective that searches nothing": (
        {**CUSTOM, "parameters": {"x": 1}},
        "parameters",
        "Nothing is searched",
    ),
}


def test_a_model_in_s3_needs_an_address_and_leaves_the_dataset_where_it_is() -> None:
    model = {**BASE, "model_uri": "s3://models/llama", "s3_endpoint_url": "https://s3.example"}
    assert read(model).dataset == "default"
    keys = {"s3_access_key": "s3/access", "s3_secret_key": "s3/secret"}
    assert read({**model, **keys}).s3_uri == ""
    both = read({**BASE, **S3, "model_uri": "s3://models/llama"})
    assert both.s3_uri == "s3://reviews/imdb/train"
    assert [e.field for e in refusals({**model, "dataset": ""})] == ["dataset"]
    assert [
        e.field for e in refusals({**model, "s3_endpoint_url": None, "s3_region_name": "eu"})
    ] == ["s3_endpoint_url"]


@pytest.mark.parametrize(("data", "field", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_is_refused_at_once(data: dict[str, Any], field: str, words: str) -> None:
    found = refusals(data)
    assert [error.field for error in found] == [field]
    assert words in str(found[0])


ALGORITHM_REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "grid without a step": (
        {"algorithm_name": "grid"},
        "algorithm_name",
        "needs a step",
    ),
    "grid with too many trials": (
        {
            "algorithm_name": "grid",
            "max_trial_count": 7,
            "training_parameters": {"seed": {"list": [1, 2, 3]}},
            "lora_config": {"r": {"min": 8, "max": 16, "step": 8}},
        },
        "max_trial_count",
        "the grid has 6 points",
    ),
    "cmaes with one range": ({"algorithm_name": "cmaes"}, "algorithm_name", "there is 1"),
    "cmaes with a range and a list": (
        {"algorithm_name": "cmaes", "lora_config": {"r": {"list": [8, 16]}}},
        "algorithm_name",
        "there is 1",
    ),
    "hyperband without its resource": (
        {"algorithm_name": "hyperband", "algorithm_settings": {"r_l": "9"}},
        "algorithm_settings",
        "`num_train_epochs` must be a searched",
    ),
    "hyperband with too few at once": (
        {
            "algorithm_name": "hyperband",
            "algorithm_settings": {"r_l": "9"},
            "training_parameters": {"num_train_epochs": {"min": 1, "max": 9}},
        },
        "parallel_trial_count",
        "runs 9 trials at the same time",
    ),
    "hyperband with too few in all": (
        {
            "algorithm_name": "hyperband",
            "max_trial_count": 6,
            "training_parameters": {"num_train_epochs": {"min": 1, "max": 9}},
        },
        "max_trial_count",
        "begins with 9 trials, `max_trial_count` is 6. Write max_trial_count=9",
    ),
    "pbt without a step": ({"algorithm_name": "pbt"}, "algorithm_name", "needs a step"),
}


@pytest.mark.parametrize(
    ("data", "field", "words"), ALGORITHM_REFUSED.values(), ids=ALGORITHM_REFUSED
)
def test_a_space_that_the_algorithm_cannot_search_is_refused(
    data: dict[str, Any], field: str, words: str
) -> None:
    found = refusals({**BASE, **data})
    assert [error.field for error in found] == [field]
    assert words in str(found[0])


def test_a_grid_may_have_exactly_as_many_trials_as_points() -> None:
    space = {"weight_decay": {"min": 0, "max": 0.3, "step": 0.1}}
    data = {**BASE, "algorithm_name": "grid", "training_parameters": space, "max_trial_count": 4}
    assert read(data).searched["weight_decay"].size == 4


def test_hyperband_runs_when_enough_trials_run_at_once() -> None:
    data = {
        **BASE,
        "algorithm_name": "hyperband",
        "parallel_trial_count": 9,
        "training_parameters": {"num_train_epochs": {"min": 1, "max": 9}},
    }
    assert read(data).parallel_trial_count == 9


def test_several_errors_are_told_at_once() -> None:
    data = {**searching(min=2, max=1), "name": "A", "memory": "x"}
    assert [error.field for error in refusals(data)] == ["name", "training_parameters", "memory"]


def test_wrong_types_are_told_together_one_per_field() -> None:
    data = {
        **BASE,
        "gpu": "x",
        "max_trial_count": "y",
        "training_parameters": {"r": {"min": "x", "max": "y"}},
    }
    fields = sorted(error.field for error in refusals(data))
    assert fields == ["gpu", "max_trial_count", "training_parameters"]


@pytest.mark.parametrize("field", spec.SECRET_FIELDS)
def test_a_token_instead_of_a_secrets_name_is_refused_and_not_repeated(field: str) -> None:
    whole = {**S3, "s3_access_key": "s3/access", "s3_secret_key": "s3/secret"}
    around = whole if field.startswith("s3_") else {}
    found = refusals({**BASE, **around, field: "hf_abcdefghijklmnop"})
    assert [error.field for error in found] == [field]
    assert "hf_abc" not in str(found[0])


def test_counts_that_were_not_asked_for_follow_max_trial_count() -> None:
    assert read({**BASE, "max_trial_count": 1}).max_trial_count == 1


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"min": 1, "max": 3}, "int"),
        ({"min": 1, "max": 3, "step": 0.5}, "double"),
        ({"min": 1.0, "max": 3}, "double"),
        ({"list": [1, 2.5]}, "discrete"),
        ({"list": [1, "a"]}, "categorical"),
        ({"list": [True, False]}, "categorical"),
    ],
)
def test_a_space_without_a_type_gets_the_one_that_it_looks_like(
    data: dict[str, Any], kind: str
) -> None:
    assert Parameter.model_validate(data).parameter_type == kind


@pytest.mark.parametrize(
    ("data", "size"),
    [
        ({"min": 1, "max": 3}, 3),
        ({"min": 1, "max": 10, "step": 3}, 4),
        ({"min": 0, "max": 0.3, "step": 0.1}, 4),
        ({"min": 0.0, "max": 1.0}, float("inf")),
        ({"list": [1, 2]}, 2),
    ],
)
def test_the_size_of_a_space_counts_its_points(data: dict[str, Any], size: float) -> None:
    assert Parameter.model_validate(data).size == size


@pytest.mark.parametrize(
    ("typed", "field", "value"),
    [
        ({"pip_index_url": "https://a https://b"}, "pip_index_urls", ("https://a", "https://b")),
        ({"packages_to_install": "a,b"}, "packages_to_install", ("a", "b")),
        ({"cpu": 4}, "cpu", "4"),
        ({"gpu": 0}, "gpu", 0),
        (
            {"algorithm_name": "tpe", "algorithm_settings": {"gamma": 0.25}},
            "algorithm_settings",
            {"gamma": "0.25"},
        ),
        ({"env_per_trial": {"A": True}}, "env_per_trial", {"A": "true"}),
    ],
)
def test_other_spellings_are_accepted(typed: dict[str, Any], field: str, value: object) -> None:
    assert getattr(read({**BASE, **typed}), field) == value


@pytest.mark.parametrize(("kind", "strategy"), [("minimize", "min"), ("maximize", "max")])
def test_without_a_strategy_the_best_value_counts(kind: str, strategy: str) -> None:
    assert read({**BASE, "objective_type": kind}).strategy == strategy


def test_a_spec_is_frozen() -> None:
    asked = read(BASE)
    with pytest.raises(ValueError, match="frozen"):
        asked.name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "words"),
    [("a: [", "no YAML in line"), ("- a", "not list"), ("", "not NoneType"), ("nme: a", "`name`")],
)
def test_a_text_that_is_no_spec_is_refused_in_a_sentence(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        from_yaml(text)


def test_a_learning_rate_in_yaml_is_a_number() -> None:
    space = "training_parameters: {learning_rate: {min: 1e-5, max: 1E-3}}"
    text = f"name: a\nmodel_uri: m\ndataset: d\n{space}"
    assert from_yaml(text).searched["learning_rate"].min == 1e-5


def test_python_source_stands_in_yaml_as_it_was_written() -> None:
    source = "def f(p):\n    print('x')\n"
    assert "  def f(p):\n      print('x')\n" in to_yaml(
        read({**CUSTOM, "objective_source": source})
    )


@pytest.mark.parametrize("field", sorted(spec.FIELDS))
def test_every_field_has_a_group_and_a_sentence(field: str) -> None:
    assert spec.group(field)
    assert (spec.FIELDS[field].description or "").endswith(".")


def test_choices_are_known_also_for_optional_and_repeated_fields() -> None:
    assert spec.choices("objective_strategy") == ("min", "max", "latest")
    assert "ReadWriteMany" in spec.choices("storage_access_modes")
    assert spec.choices("num_labels") == ()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=SPECS)
def test_yaml_loses_nothing(asked: TuneSpec) -> None:
    again = from_yaml(to_yaml(asked))
    assert again == asked
    assert repr(to_data(again)) == repr(to_data(asked))
