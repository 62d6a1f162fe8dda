"""What a trial would refuse is said before anything starts, and the tables are the trainer's."""

from __future__ import annotations

from typing import Any

import pytest

from bot import hyperparameters, prior, spec, tasks, trial_check
from bot.errors import SpecError
from bot.spec import TuneSpec
from trainer import config


def asked(kind: str = "SequenceClassification", **fields: Any) -> TuneSpec:
    data = {
        "name": "a", "model_uri": "org/model", "dataset": "imdb",
        "transformer_type": f"AutoModelFor{kind}", **fields,
    }  # fmt: skip
    return spec.read(prior.complete(data))


def found(kind: str = "SequenceClassification", **fields: Any) -> list[SpecError]:
    return list(trial_check.problems(asked(kind, **fields)))


def test_the_metrics_of_every_type_are_those_that_its_trials_report() -> None:
    assert set(tasks.TASK_METRICS) == set(config.TRANSFORMER_TYPES) == set(
        spec.choices("transformer_type")
    )  # fmt: skip
    for kind in config.TRANSFORMER_TYPES:
        assert set(tasks.metrics_of(kind)) == set(config.metrics_of(kind)), kind


def test_every_types_objective_is_one_of_its_metrics() -> None:
    for kind, metric in tasks.OBJECTIVES.items():
        assert metric in tasks.metrics_of(kind)


def test_hyperparameters_of_ours_are_those_of_the_trial_program_with_their_kinds() -> None:
    kinds = {int: "int", float: "float", bool: "bool", str: "text"}
    real = {name: kinds.get(each, "text") for name, each in config.OWN_PARAMETERS.items()}
    assert real.items() <= hyperparameters.OWN.items()
    assert not set(hyperparameters.OWN) & {*hyperparameters.TRAINING, *hyperparameters.LORA}


@pytest.mark.parametrize(
    ("kind", "metric", "nearest"),
    [
        ("SequenceClassification", "eval_acuracy", "`eval_accuracy`"),
        ("TokenClassification", "f1", "`eval_f1`"),
        ("QuestionAnswering", "exact_match", "`eval_exact_match`"),
        ("CausalLM", "perplexity", "`eval_perplexity`"),
        ("MaskedLM", "eval_matthews", "There is: eval_loss, eval_perplexity"),
    ],
)
def test_an_unknown_metric_is_refused_with_the_nearest_of_its_type(
    kind: str, metric: str, nearest: str
) -> None:
    (error,) = found(kind, objective_metric_name=metric)
    assert error.field == "objective_metric_name"
    assert str(error).startswith(f"`{metric}` is no metric of AutoModelFor{kind}. ")
    assert nearest in str(error)


def test_an_unknown_further_metric_is_refused_too() -> None:
    (error,) = found(additional_metric_names=["eval_f1", "eval_rouge"])
    assert error.field == "additional_metric_names"
    assert "`eval_rouge`" in str(error)


@pytest.mark.parametrize(
    ("metric", "wrong", "right"),
    [
        ("eval_loss", "maximize", "objective=minimize:eval_loss"),
        ("train_loss", "maximize", "objective=minimize:train_loss"),
        ("eval_accuracy", "minimize", "objective=maximize:eval_accuracy"),
    ],
)
def test_a_direction_that_looks_for_the_worst_trial_is_refused(
    metric: str, wrong: str, right: str
) -> None:
    (error,) = found(objective_metric_name=metric, objective_type=wrong)
    assert error.field == "objective_type"
    assert right in str(error)
    assert found(objective_metric_name=metric) == []


def test_a_custom_objective_may_be_anything() -> None:
    custom = spec.read(
        {
            "name": "c", "objective_function": "f", "objective_source": "def f(p): ...",
            "objective_metric_name": "my_loss", "objective_type": "maximize",
            "parameters": {"a": {"min": 1, "max": 2}},
        }
    )  # fmt: skip
    assert list(trial_check.problems(custom)) == []


@pytest.mark.parametrize(
    ("kind", "fields", "name"),
    [
        ("SequenceClassification", {"packing": True}, "packing"),
        ("MaskedLM", {"loss_on": "all"}, "loss_on"),
        ("CausalLM", {"num_labels": 2}, "num_labels"),
        ("CausalLM", {"training_parameters": {"mlm_probability": 0.2}}, "mlm_probability"),
        (
            "TokenClassification",
            {"training_parameters": {"prompt_template": {"list": ["chat", "alpaca"]}}},
            "prompt_template",
        ),
    ],
)
def test_what_means_nothing_to_a_type_is_refused(
    kind: str, fields: dict[str, Any], name: str
) -> None:
    (error,) = found(kind, **fields)
    assert f"`{name}` means nothing to AutoModelFor{kind}; it is for AutoModelFor" in str(error)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"frozen_layers": -1}, "0 or more, not -1."),
        ({"frozen_layers": {"min": -2, "max": 4}}, "0 or more, not -2."),
        ({"frozen_layers": 1.5}, "`frozen_layers` is a whole number, not 1.5."),
        ({"frozen_layers": "all"}, "`frozen_layers` is a number, not `all`."),
        ({"train_fraction": {"min": 0.0, "max": 0.5}}, "above 0 and at most 1, not 0.0."),
        ({"train_fraction": 0}, "above 0 and at most 1, not 0."),
        ({"train_fraction": {"list": [0.5, 2]}}, "above 0 and at most 1, not 2."),
        ({"max_length": {"min": 1, "max": 256}}, "3 or more, not 1."),
    ],
)
def test_hyperparameters_of_ours_have_limits(parameters: dict[str, Any], said: str) -> None:
    (error,) = found(training_parameters=parameters)
    assert (error.field, said in str(error)) == ("training_parameters", True), str(error)


def test_hyperparameters_of_ours_within_their_limits_are_searched() -> None:
    space = {
        "max_length": {"min": 64, "max": 256}, "train_fraction": {"list": [0.25, 1]},
        "frozen_layers": {"min": 0, "max": 4}, "label_smoothing_factor": {"min": 0.0, "max": 0.1},
    }  # fmt: skip
    wanted = asked(training_parameters=space)
    assert list(trial_check.problems(wanted)) == []
    best = prior.known_good(wanted)
    assert best == {
        "max_length": 128, "train_fraction": 1, "frozen_layers": 0, "label_smoothing_factor": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        (
            {"max_length": 64, "training_parameters": {"max_length": {"min": 32, "max": 64}}},
            "max_length",
        ),
        ({"method": "full", "quantization": "4bit"}, "quantization"),
        ({"text_column": "a", "columns": {"text": "b"}}, "columns"),
        ({"columns": {"texts": "b"}}, "columns"),
        ({"streaming": True}, "streaming"),
        (
            {
                "streaming": True,
                "split": "train[:9000]",
                "training_parameters": {"train_fraction": {"list": [0.5, 1]}},
            },
            "training_parameters",
        ),
        ({"eval_split": "test", "test_split": "test"}, "test_split"),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], field: str) -> None:
    assert [error.field for error in found(**fields)] == [field]


@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        (
            "CausalLM",
            {"model_uri": "default"},
            "The model `default` is not for AutoModelForCausalLM. Take `smollm2`.",
        ),
        (
            "ImageClassification",
            {"model_uri": "smollm2"},
            "The model `smollm2` is not for AutoModelForImageClassification. Take one of your own.",
        ),
        (
            "QuestionAnswering",
            {"dataset": "default"},
            "The dataset `default` is not for AutoModelForQuestionAnswering. Take one of your own.",
        ),
    ],
)
def test_what_ships_is_refused_for_a_type_that_it_is_not_for(
    kind: str, fields: dict[str, Any], said: str
) -> None:
    assert [str(error) for error in found(kind, **fields)] == [said]


def test_the_shipped_language_model_learns_from_the_shipped_reviews() -> None:
    assert found("CausalLM", model_uri="smollm2", dataset="default") == []
    assert found(model_uri="default", dataset="default") == []


def test_streaming_knows_its_end_by_steps_or_by_rows() -> None:
    assert found(streaming=True, split="train[:100000]") == []
    assert found(streaming=True, training_parameters={"max_steps": 100}) == []
    (error,) = found("CausalLM", streaming=True, packing=True, split="train[:9000]")
    assert error.field == "packing"
    (error,) = found("QuestionAnswering", streaming=True, split="train[:100000]")
    assert str(error) == (
        "With `streaming` nobody knows how many parts the contexts are cut into. "
        "Write max_steps=1000."
    )


def test_a_column_that_a_type_has_no_use_for_is_refused_with_those_it_has() -> None:
    (error,) = found("QuestionAnswering", text_column="body")
    assert error.field == "text_column"
    assert str(error) == (
        "AutoModelForQuestionAnswering has no use for a column `text`; it takes question, context, "
        "answers, answer and answer_start."
    )
    assert found("CausalLM", columns={"prompt": "ask", "completion": "say"}) == []
    assert found("TokenClassification", columns={"tokens": "words", "tags": "ner"}) == []


def test_the_columns_of_every_type_are_those_that_its_trials_take() -> None:
    assert set(tasks.COLUMNS) == set(config.TRANSFORMER_TYPES)
    for kind, keys in config.COLUMN_KEYS.items():
        assert set(tasks.COLUMNS[kind]) == set(keys), kind
