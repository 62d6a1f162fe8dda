"""The command line: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import pytest

from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError


def read(*flags: str) -> TrialConfig:
    return read_config(trial_parser().parse_args(["--output-dir", "out", *flags]))


def test_without_flags_a_trial_is_the_default_model_on_the_default_data() -> None:
    config = read()
    assert (config.model_uri, config.dataset, config.split) == ("default", "default", "train")
    assert (config.method, config.max_length, config.seed) == ("lora", 128, 42)
    assert (config.objective_metric, config.objective_type) == ("eval_accuracy", "maximize")
    assert config.num_labels is None and config.eval_split is None and not config.save_best


def test_hyperparameters_are_json_objects() -> None:
    config = read("--training-parameters", '{"learning_rate": "1e-3"}', "--lora-config", '{"r": 8}')
    assert config.training_parameters == {"learning_rate": "1e-3"}
    assert config.lora_config == {"r": 8}


def test_numbers_may_be_written_as_katib_writes_them() -> None:
    assert read("--max-length", "64.0").max_length == 64


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--training-parameters", "{"), "--training-parameters is not valid JSON"),
        (("--lora-config", "[1]"), "--lora-config must be a JSON object, received [1]."),
        (("--num-labels", "1"), "--num-labels must be 2 or more, not 1."),
        (("--max-length", "2"), "--max-length must be 3 or more, not 2."),
        (("--method", "full", "--lora-config", '{"r": 8}'), "--lora-config means nothing with"),
        (
            ("--transformer-type", "AutoModelForCausal"),
            "There is no transformer type 'AutoModelForCausal'. Did you mean AutoModelForCausalLM",
        ),
        (
            ("--objective-metric", "eval_acuracy"),
            "There is no metric 'eval_acuracy'. Did you mean eval_accuracy",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(flags: tuple[str, ...], said: str) -> None:
    with pytest.raises(TrialError) as caught:
        read(*flags)
    assert caught.value.reason == "BadParameter"
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--learning-rate", "1"), "error: unrecognized arguments: --learning-rate 1"),
        (("--method", "prefix"), "error: argument --method: invalid choice: 'prefix'"),
        (("--seed", "x"), "error: argument --seed: expected a number, received 'x'"),
        (("--data", "default"), "error: unrecognized arguments: --data default"),
    ],
)
def test_bad_usage_exits_with_2_and_one_last_sentence(
    flags: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        read(*flags)
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(said)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ('--columns={"txt": "review"}',),
            "AutoModelForSequenceClassification has no use for a column 'txt'. Did you mean text? "
            "--columns may name text, label.",
        ),
        (('--columns={"text": 5}',), "--columns: 'text' is the name of a column, not 5."),
        (
            ('--columns={"text": "a"}', "--label-column=a"),
            "The column 'a' cannot be 'text' and 'label'; name two columns.",
        ),
    ],
)
def test_columns_that_cannot_be_are_refused_before_any_data_are_read(
    flags: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrialError) as caught:
        read(*flags)
    assert (caught.value.reason, caught.value.exit_code) == ("BadColumn", 3)
    assert str(caught.value) == said
