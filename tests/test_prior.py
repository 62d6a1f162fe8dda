"""What is known about tuning LLMs: what is filled in, the known-good first trial, and why."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import prior, trial_check
from bot.algorithms import ALGORITHMS
from bot.spec import NAME, Parameter, Scalar, TuneSpec, read
from tests.specs import SPACES

SHIPPED = {"model_uri": "default", "dataset": "default"}
LLAMA = {"model_uri": "hf://meta-llama/Llama-3.2-1B", "dataset": "imdb"}
CUSTOM = {
    "objective_function": "f",
    "objective_source": "def f(p): ...",
    "objective_metric_name": "result",
    "parameters": {"x": {"min": 1, "max": 3}},
}


def completed(**data: Any) -> TuneSpec:
    return read(prior.complete({"name": "a", **SHIPPED, **data}))


def searching(name: str, **space: Any) -> Scalar:
    """The known-good value of one searched hyperparameter of a Llama."""
    group = "lora_config" if name in ("r", "lora_alpha", "bias") else "training_parameters"
    point = prior.known_good(completed(**LLAMA, **{group: {name: space}}))
    assert point is not None
    return point[name]


# What is filled in


def test_the_shipped_model_on_the_shipped_data_is_a_sensible_search() -> None:
    spec = completed()
    assert set(spec.searched) == {"learning_rate", "r"}
    assert spec.searched["learning_rate"].distribution == "logUniform"
    assert spec.searched["r"].list == (8, 16, 32)
    assert spec.lora_config["target_modules"] == "all-linear"
    assert (spec.split, spec.eval_split) == ("train[:640]", "validation[:400]")
    assert spec.training_parameters["num_train_epochs"] == 2
    assert spec.training_parameters["per_device_train_batch_size"] == 16
    assert (spec.objective_metric_name, spec.objective_type) == ("eval_accuracy", "maximize")


def test_alpha_is_left_to_be_tied_to_the_rank() -> None:
    assert "lora_alpha" not in completed().lora_config
    assert "Tied to the rank" in prior.why("lora_alpha", completed())


def test_full_fine_tuning_searches_lower_rates_and_no_lora() -> None:
    lora, full = completed(**LLAMA), completed(**LLAMA, method="full")
    assert full.lora_config == {}
    assert set(full.searched) == {"learning_rate"}
    ends = [
        (s.searched["learning_rate"].min, s.searched["learning_rate"].max) for s in (lora, full)
    ]
    assert ends == [(2e-5, 2e-3), (2e-6, 2e-4)]


@pytest.mark.parametrize(
    ("model", "rate"),
    [
        ("default", 1e-3),
        ("sentence-transformers/all-MiniLM-L6-v2", 1e-3),
        ("distilbert/distilbert-base-uncased", 1e-3),
        ("EleutherAI/pythia-70m", 1e-3),
        ("smollm2", 5e-4),
        ("HuggingFaceTB/SmolLM2-135M", 5e-4),
        ("hf://meta-llama/Llama-3.2-1B", 2e-4),
        ("Qwen/Qwen2.5-0.05B", 1e-3),
        ("google-bert/bert-base-uncased", 2e-4),
    ],
)
def test_small_models_get_higher_rates(model: str, rate: float) -> None:
    best = prior.known_good(completed(model_uri=model))
    assert best is not None
    assert best["learning_rate"] == rate


@pytest.mark.parametrize(
    ("model", "kind", "rates"),
    [
        ("google-bert/bert-base-cased", "TokenClassification", (1e-3, 5e-5)),
        ("google/vit-base-patch16-224", "ImageClassification", (1e-3, 5e-5)),
        ("default", "QuestionAnswering", (1e-3, 1e-4)),
        ("meta-llama/Llama-3.2-1B", "QuestionAnswering", (2e-4, 2e-5)),
        ("smollm2", "CausalLM", (5e-4, 5e-5)),
        ("meta-llama/Llama-3.2-1B", "CausalLM", (2e-4, 2e-5)),
    ],
)
def test_an_encoder_with_a_new_head_gets_a_higher_rate_than_an_llm(
    model: str, kind: str, rates: tuple[float, float]
) -> None:
    asked = {"model_uri": model, "transformer_type": f"AutoModelFor{kind}"}
    for method, rate in zip(("lora", "full"), rates, strict=True):
        wanted = completed(**asked, method=method)
        best = prior.known_good(wanted)
        assert best is not None and best["learning_rate"] == rate
        space = wanted.searched["learning_rate"]
        assert space.min is not None and space.max is not None
        assert space.min <= rate / 4 and rate * 4 <= space.max


@pytest.mark.parametrize(
    ("kind", "length"),
    [("CausalLM", 512), ("QuestionAnswering", 384), ("TokenClassification", 128)],
)
def test_long_rows_are_not_cut_at_the_length_of_a_sentence(kind: str, length: int) -> None:
    asked = {**LLAMA, "transformer_type": f"AutoModelFor{kind}"}
    assert completed(**asked).max_length == length
    assert completed(**asked, max_length=64).max_length == 64
    searched = completed(**asked, training_parameters={"max_length": {"min": 64, "max": 1024}})
    assert "max_length" not in searched.model_fields_set
    best = prior.known_good(searched)
    assert best is not None and best["max_length"] == length


def test_what_was_typed_is_never_changed() -> None:
    typed = {
        "split": "train[:10]",
        "training_parameters": {"learning_rate": 1e-4, "num_train_epochs": 5},
        "lora_config": {"r": {"min": 1, "max": 4}, "lora_alpha": 8},
        "objective_type": "minimize",
        "parallel_trial_count": 1,
    }
    done = prior.complete({**SHIPPED, **typed})
    for field, value in typed.items():
        if isinstance(value, dict):
            assert done[field] | value == done[field]
        else:
            assert done[field] == value


def test_when_something_is_searched_the_rest_is_fixed_at_known_good_values() -> None:
    spec = completed(**LLAMA, training_parameters={"weight_decay": {"min": 0.0, "max": 0.1}})
    assert set(spec.searched) == {"weight_decay"}
    assert spec.training_parameters["learning_rate"] == 2e-4
    assert spec.lora_config["r"] == 16


def test_what_was_fixed_is_not_searched_by_default() -> None:
    assert set(completed(training_parameters={"learning_rate": 1e-4}).searched) == {"r"}


def test_completing_twice_changes_nothing_more() -> None:
    done = prior.complete(SHIPPED)
    assert prior.complete(done) == done


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("eval_loss", "minimize"),
        ("train_loss", "minimize"),
        ("perplexity", "minimize"),
        ("val-error", "minimize"),
        ("eval_accuracy", "maximize"),
        ("glossary_f1", "maximize"),
    ],
)
def test_the_direction_follows_the_metrics_name(metric: str, direction: str) -> None:
    assert completed(objective_metric_name=metric).objective_type == direction
    custom = prior.complete({**CUSTOM, "objective_metric_name": metric})
    assert custom["objective_type"] == direction


@pytest.mark.parametrize(
    ("kind", "objective"),
    [
        ("SequenceClassification", ("eval_accuracy", "maximize")),
        ("ImageClassification", ("eval_accuracy", "maximize")),
        ("TokenClassification", ("eval_f1", "maximize")),
        ("QuestionAnswering", ("eval_f1", "maximize")),
        ("CausalLM", ("eval_loss", "minimize")),
        ("MaskedLM", ("eval_loss", "minimize")),
    ],
)
def test_each_type_is_judged_by_its_own_held_out_metric(
    kind: str, objective: tuple[str, str]
) -> None:
    spec = completed(**LLAMA, transformer_type=f"AutoModelFor{kind}")
    assert (spec.objective_metric_name, spec.objective_type) == objective
    assert list(trial_check.problems(spec)) == []
    assert spec.searched["learning_rate"].distribution == "logUniform"


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if not ALGORITHMS[name].refused])
@pytest.mark.parametrize("model", [SHIPPED, LLAMA])
def test_the_default_space_can_be_searched_by_every_algorithm(
    name: str, model: dict[str, str]
) -> None:
    spec = completed(**model, algorithm_name=name)
    assert prior.known_good(spec) is not None


def test_hyperband_gets_its_resource_and_enough_trials_at_once() -> None:
    spec = completed(algorithm_name="hyperband")
    assert spec.algorithm_settings == {"resource_name": "num_train_epochs", "eta": "3", "r_l": "9"}
    assert spec.parallel_trial_count == 9
    wide = completed(
        algorithm_name="hyperband",
        training_parameters={"num_train_epochs": {"min": 1, "max": 27}},
    )
    assert wide.algorithm_settings["r_l"] == "27"
    assert (wide.parallel_trial_count, wide.max_trial_count) == (27, 27)
    few = prior.complete({"algorithm_name": "hyperband", "max_trial_count": 6})
    assert "parallel_trial_count" not in few, "the spec says that it has too few trials"


def test_a_grid_gets_as_many_trials_as_it_has_points() -> None:
    spec = completed(algorithm_name="grid", lora_config={"r": {"list": [8, 16]}})
    assert spec.max_trial_count == 2


@pytest.mark.parametrize(("trials", "parallel", "failed"), [(1, 1, 1), ("2", 2, 2), (10, 2, 3)])
def test_counts_that_were_not_asked_for_follow(trials: Any, parallel: int, failed: int) -> None:
    spec = completed(max_trial_count=trials)
    assert (spec.parallel_trial_count, spec.max_failed_trial_count) == (parallel, failed)


def test_nothing_is_invented_for_a_custom_objective() -> None:
    done = prior.complete(CUSTOM)
    assert done == {**CUSTOM, "objective_type": "maximize"}
    spec = read({"name": "a", **done})
    assert prior.known_good(spec) is None
    assert prior.why("x", spec) == ""


@pytest.mark.parametrize(
    "data",
    [
        {"training_parameters": "x"},
        {"training_parameters": {"r": {"min": "x"}}},
        {"algorithm_name": 3, "max_trial_count": "ten"},
        {"algorithm_name": "hyperband", "algorithm_settings": {"eta": "x"}},
        {"algorithm_name": "hyperband", "algorithm_settings": "x", "parallel_trial_count": "x"},
        {"algorithm_name": "grid", "training_parameters": {"r": {"list": []}}},
    ],
)
def test_what_is_wrong_is_left_for_the_spec_to_refuse(data: dict[str, Any]) -> None:
    done = prior.complete({**SHIPPED, **data})
    assert all(done[field] == value for field, value in data.items() if isinstance(value, str))


# Trial 0


@pytest.mark.parametrize(
    ("space", "point"),
    [
        ({"min": 1e-5, "max": 1e-3}, 2e-4),
        ({"min": 1e-5, "max": 5e-5}, 5e-5),
        ({"min": 1e-3, "max": 1e-2, "distribution": "logUniform"}, 1e-3),
        ({"min": 0.0, "max": 1.0, "step": 0.25}, 0.0),
        ({"list": [1e-5, 1e-4, 1e-3]}, 1e-4),
        ({"list": [0, 1e-3]}, 0),
        ({"parameter_type": "categorical", "list": ["0.0002", "x"]}, "0.0002"),
        ({"parameter_type": "categorical", "list": ["x", 1]}, "x"),
    ],
)
def test_the_first_trial_takes_the_nearest_feasible_value(
    space: dict[str, Any], point: Scalar
) -> None:
    assert searching("learning_rate", **space) == point


def test_the_nearest_rate_of_a_list_is_the_nearest_by_factor() -> None:
    assert searching("learning_rate", list=[1e-4, 3.5e-4]) == 3.5e-4


@pytest.mark.parametrize(
    ("name", "space", "point"),
    [
        ("r", {"min": 8, "max": 32}, 16),
        ("r", {"min": 1, "max": 9, "step": 3}, 7),
        ("r", {"min": 20, "max": 64}, 20),
        ("weight_decay", {"min": 0.1, "max": 0.3, "step": 0.1}, 0.1),
        ("adam_beta1", {"min": 0.1, "max": 0.95, "step": 0.1}, 0.9),
        ("bias", {"list": ["all", "none"]}, "none"),
        ("bf16", {"list": [True, False]}, True),
        ("lora_alpha", {"list": [8, 32, 64]}, 32),
        ("data_seed", {"min": 0, "max": 10}, 5),
        ("data_seed", {"min": 1, "max": 10000, "distribution": "logUniform"}, 100),
    ],
)
def test_trial_0_has_a_value_for_every_kind_of_space(
    name: str, space: dict[str, Any], point: Scalar
) -> None:
    found = searching(name, **space)
    assert found == point
    assert type(found) is type(point)


def test_alpha_is_twice_the_rank_of_trial_0() -> None:
    alpha = {"list": [8, 16, 32, 64]}
    for rank, expected in (({"list": [8, 64]}, 16), (4, 8)):
        point = prior.known_good(completed(lora_config={"r": rank, "lora_alpha": alpha}))
        assert point is not None
        assert point["lora_alpha"] == expected


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    space=SPACES,
    name=st.sampled_from(["learning_rate", "r", "lora_alpha", "seed", "optim", "own"]),
)
def test_trial_0_is_always_feasible(space: dict[str, Any], name: str) -> None:
    point = prior.known_good(completed(lora_config={name: space}))
    assert point is not None
    checked = Parameter.model_validate(space)
    value = point[name]
    if not checked.is_range:
        assert value in (checked.list or ())
        return
    assert isinstance(value, (int, float))
    assert checked.min is not None
    assert checked.max is not None
    assert checked.min <= value <= checked.max
    if checked.parameter_type == "int":
        assert isinstance(value, int)
    if checked.step:
        steps = (value - checked.min) / checked.step
        assert steps == pytest.approx(round(steps), abs=1e-6)


@pytest.mark.parametrize("data", [SHIPPED, LLAMA, {**LLAMA, "method": "full"}])
def test_every_default_range_and_first_value_has_its_reason(data: dict[str, Any]) -> None:
    spec = completed(**data)
    for name in (*spec.searched, *spec.training_parameters, *spec.lora_config):
        reason = prior.why(name, spec)
        assert reason.endswith((".", "searched.")), name


def test_there_is_no_reason_for_what_is_not_known() -> None:
    assert prior.why("own", completed()) == ""


# Names


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (SHIPPED, "minilm-movie-reviews-k3f9"),
        (LLAMA, "llama-3-2-1b-imdb-k3f9"),
        ({"model_uri": "default", "dataset": "data/My Reviews.csv"}, "minilm-my-reviews-k3f9"),
        ({"model_uri": "package:a_b/c/d", "dataset": "org/x/"}, "a-b-x-k3f9"),
        ({"model_uri": "01-ai/6B", "dataset": "imdb"}, "tune-6b-imdb-k3f9"),
        ({"model_uri": "default", "s3_file_key": "imdb/train"}, "minilm-train-k3f9"),
        ({"model_uri": "模型", "dataset": "数据"}, "tune-k3f9"),
        ({}, "tune-k3f9"),
        (CUSTOM, "f-k3f9"),
        ({"objective_image": "ghcr.io/team/objective:1.2"}, "objective-1-2-k3f9"),
        ({"objective_source": "def f(): ..."}, "tune-k3f9"),
    ],
)
def test_a_name_says_what_is_tuned(data: dict[str, Any], name: str) -> None:
    assert prior.suggest_name(data, "k3f9") == name


@settings(max_examples=200, deadline=None)
@given(model=st.text(max_size=80), dataset=st.text(max_size=80))
def test_a_suggested_name_is_always_valid(model: str, dataset: str) -> None:
    name = prior.suggest_name({"model_uri": model, "dataset": dataset}, "k3f9")
    assert NAME.fullmatch(name)
    assert len(name) <= 40


def test_to_spec_completes_and_names() -> None:
    assert prior.to_spec(SHIPPED, "k3f9").name == "minilm-movie-reviews-k3f9"
    assert prior.to_spec({**SHIPPED, "name": "mine"}, "k3f9").name == "mine"
