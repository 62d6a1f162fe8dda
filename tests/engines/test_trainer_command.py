"""The trial program's command line and its lines, as text; and as the trial program reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot import spec
from bot.engines.trainer_command import (
    EXIT_REASONS,
    MetricLine,
    Progress,
    fetch_command,
    last_reason,
    last_words,
    read_command,
    read_line,
    read_result,
    trial_command,
    trial_environment,
)
from bot.spec import TuneSpec
from bot.status import Observation
from trainer import config, errors


def training(**changes: Any) -> TuneSpec:
    data = {
        "name": "t",
        "model_uri": "org/model",
        "dataset": "imdb",
        "split": "train[:1000]",
        "training_parameters": {
            "learning_rate": {"min": 1e-5, "max": 5e-5},
            "num_train_epochs": 3,
            "bf16": {"list": [True, False]},
        },
        "lora_config": {"r": {"min": 8, "max": 32}, "lora_dropout": 0.1, "bias": "none"},
    }
    return spec.read({**data, **changes})


def custom(**changes: Any) -> TuneSpec:
    data = {
        "name": "c",
        "objective_function": "f",
        "objective_source": "def f(p): ...",
        "objective_metric_name": "result",
        "parameters": {"a": {"min": 10, "max": 20}, "text": "it's $HOME; rm -rf"},
    }
    return spec.read({**data, **changes})


def test_the_trial_program_understands_every_flag() -> None:
    wanted = training(
        num_labels=3,
        eval_split="test[-100:]",
        text_column="-odd",
        label_column="y",
        max_length=64,
        seed=7,
        objective_metric_name="eval_loss",
        objective_type="minimize",
    )
    _, _, program, *flags = trial_command(
        wanted, {"learning_rate": 2e-5, "bf16": True, "r": 9}, "/o"
    )
    args = config.trial_parser().parse_args(flags)
    assert program == "trainer"
    assert (args.model_uri, args.dataset, args.split) == ("org/model", "imdb", "train[:1000]")
    assert (args.eval_split, args.text_column, args.label_column) == ("test[-100:]", "-odd", "y")
    assert (args.num_labels, args.max_length, args.seed) == (3, 64, 7)
    assert (args.objective_metric, args.objective_type) == ("eval_loss", "minimize")
    assert str(args.output_dir) == "/o"


def test_searched_values_travel_as_text_and_fixed_ones_as_they_are() -> None:
    command = trial_command(training(), {"learning_rate": 2e-5, "bf16": True, "r": 9}, "/o")
    args = config.trial_parser().parse_args(command[3:])
    assert json.loads(args.training_parameters) == {
        "learning_rate": "2e-05",
        "num_train_epochs": 3,
        "bf16": "True",
    }
    assert json.loads(args.lora_config) == {"r": "9", "lora_dropout": 0.1, "bias": "none"}


def test_what_was_not_asked_is_left_to_the_trial_program() -> None:
    flags = " ".join(trial_command(training(), {"learning_rate": 1, "bf16": 1, "r": 1}, "/o"))
    for flag in ("--num-labels", "--eval-split", "--text-column", "--seed", "None"):
        assert flag not in flags


EVERYTHING: dict[str, Any] = {
    "transformer_type": "AutoModelForCausalLM",
    "objective_metric_name": "eval_loss",
    "objective_type": "minimize",
    "columns": {"prompt": "question", "completion": "-answer"},
    "test_split": "test",
    "quantization": "4bit",
    "attn_implementation": "eager",
    "loss_on": "all",
    "trust_remote_code": True,
    "streaming": True,
    "packing": True,
    "retry_out_of_memory": True,
    "checkpoints": False,
    "save_best": True,
}
VALUES = {"learning_rate": 2e-5, "bf16": True, "r": 9}


def test_the_trial_program_has_every_flag_that_can_be_written() -> None:
    wanted = training(
        **EVERYTHING, **S3, num_labels=2, eval_split="dev", text_column="a", label_column="b",
        seed=1, trial_active_deadline_seconds=600, metrics_collector="Push",
    )  # fmt: skip
    words = trial_command(wanted, VALUES, "/o")[3:]
    written = {word[2:].partition("=")[0] for word in words}
    real = {
        option.removeprefix("--")
        for action in config.trial_parser()._actions
        for option in action.option_strings
    }
    assert written <= real
    named = {name.replace("_", "-") for name in TuneSpec.model_fields} & real
    assert named - {"max-length", "dataset"} <= written, "every field that is a flag is written"


def test_fields_at_their_defaults_are_no_flags() -> None:
    words = " ".join(trial_command(training(), VALUES, "/o"))
    for name in (*EVERYTHING, "checkpoints", "no_checkpoints", "deadline_seconds", "push_metrics"):
        if name not in ("transformer_type", "objective_metric_name", "objective_type"):
            assert f"--{name.replace('_', '-')}" not in words


def test_a_command_is_read_back_with_every_field() -> None:
    fields = read_command(trial_command(training(**EVERYTHING), VALUES, "/o"))
    assert fields is not None
    asked = {name: value for name, value in EVERYTHING.items() if "objective" not in name}
    assert {name: fields[name] for name in asked} == asked
    plain = read_command(trial_command(training(), VALUES, "/o"))
    assert plain is not None
    assert not set(asked) - {"transformer_type"} & set(plain)


@pytest.mark.parametrize(("asked", "own"), [(3600, 3540), (600, 570), (20, 18), (2, 1), (1, 1)])
def test_a_trial_ends_by_itself_a_little_before_it_would_be_ended(asked: int, own: int) -> None:
    words = trial_command(training(trial_active_deadline_seconds=asked), VALUES, "/o")
    assert f"--deadline-seconds={own}" in words


def test_metrics_are_pushed_only_if_that_is_how_they_are_collected() -> None:
    words = trial_command(training(metrics_collector="Push"), VALUES, "/o")
    assert "--push-metrics" in words
    assert config.trial_parser().parse_args(words[3:]).push_metrics
    assert "--push-metrics" not in trial_command(training(metrics_collector="File"), VALUES, "/o")


def test_full_fine_tuning_has_no_lora_config() -> None:
    command = trial_command(
        training(method="full", lora_config={}), {"learning_rate": 1e-5, "bf16": True}, "/o"
    )
    assert not any(word.startswith("--lora-config") for word in command)


def test_a_custom_objective_gets_its_own_command() -> None:
    command = trial_command(custom(), {"a": 12}, "/o", python="py")
    assert command[:4] == ("py", "-m", "trainer", "objective")
    args = config.objective_parser().parse_args(command[4:])
    assert (str(args.file), args.function) == ("/o/objective.py", "f")
    assert json.loads(args.parameters) == {"a": "12", "text": "it's $HOME; rm -rf"}
    assert (args.objective_metric, str(args.output_dir)) == ("result", "/o")


@pytest.mark.parametrize(
    ("model", "dataset", "needed"),
    [
        ("default", "default", True),
        ("/models/a", "default", True),
        ("/models/a", "./data.csv", False),
        ("package:llm/model", "~/data", False),
        ("org/name", "/data", True),
    ],
)
def test_what_is_not_here_is_fetched(model: str, dataset: str, needed: bool) -> None:
    command = fetch_command(training(model_uri=model, dataset=dataset))
    assert (command is not None) == needed
    if command:
        args = config.fetch_parser().parse_args(command[4:])
        assert (args.model, args.dataset) == (model, dataset)


S3 = {
    "dataset": "",
    "s3_endpoint_url": "https://s3.example",
    "s3_bucket_name": "reviews",
    "s3_file_key": "imdb/train",
    "s3_region_name": "eu-central-1",
    "s3_access_key": "s3-keys/access",
    "s3_secret_key": "s3-keys/secret",
}


def test_data_in_s3_are_named_alike_for_fetching_and_for_the_trial() -> None:
    wanted = training(**S3)
    fetch = fetch_command(wanted)
    trial = trial_command(wanted, {"learning_rate": 2e-5, "bf16": True, "r": 9}, "/o")
    assert fetch is not None
    place = config.s3_place(config.fetch_parser().parse_args(fetch[4:]))
    assert place is not None
    assert (place.endpoint_url, place.bucket_name) == ("https://s3.example", "reviews")
    assert (place.file_key, place.region_name) == ("imdb/train", "eu-central-1")
    assert config.read_config(config.trial_parser().parse_args(trial[3:])).s3 == place
    assert "s3-keys" not in " ".join((*fetch, *trial)), "keys are in the environment alone"


def test_data_in_s3_are_fetched_for_a_model_that_is_here_and_for_no_region() -> None:
    fetch = fetch_command(training(**{**S3, "model_uri": "/models/a", "s3_region_name": None}))
    assert fetch is not None
    place = config.s3_place(config.fetch_parser().parse_args(fetch[4:]))
    assert place is not None and place.region_name is None


def test_a_trials_command_is_read_back_with_its_data_in_s3() -> None:
    wanted = training(**S3)
    words = trial_command(wanted, {"learning_rate": 2e-5, "bf16": True, "r": 9}, "/o")
    fields = read_command(words)
    assert fields is not None and "dataset" not in fields
    for name in ("s3_endpoint_url", "s3_bucket_name", "s3_file_key", "s3_region_name"):
        assert fields[name] == S3[name]


def test_a_model_with_code_of_its_own_is_fetched_with_it_if_that_was_asked() -> None:
    for is_asked in (True, False):
        command = fetch_command(training(trust_remote_code=is_asked))
        assert command is not None
        assert ("--trust-remote-code" in command) == is_asked


def test_a_custom_objective_fetches_nothing() -> None:
    assert fetch_command(custom()) is None


def test_the_environment_asked_for_wins() -> None:
    environment = trial_environment(custom(env_per_trial={"OMP_NUM_THREADS": 8, "X": "y"}), 1)
    assert (environment["OMP_NUM_THREADS"], environment["X"]) == ("8", "y")
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


NOON = datetime(2026, 11, 24, 4, 30, 26, 120000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "2026-11-24T04:30:26.120Z epoch=1 step=40 eval_loss=0.6012 eval_accuracy=7.1e-01",
            MetricLine(time=NOON, metrics={"eval_loss": 0.6012, "eval_accuracy": 0.71}),
        ),
        ("2026-11-24T04:30:26Z progress 40/80", Progress(done=40, total=80)),
        ("progress 40/80, 95 s to go", Progress(done=40, total=80, left_s=95)),
        ("result=-3", MetricLine(time=None, metrics={"result": -3.0})),
        ("loss = .5, f1-score=1.", MetricLine(time=None, metrics={"loss": 0.5, "f1-score": 1.0})),
        ("eval_loss=nan", None),
        ("eval_loss=1e999", None),
        ("version=1.2.3", None),
        ("epoch=1 step=2", None),
        ("progress 1/0", None),
        ("Loading weights: 100%", None),
        ("", None),
    ],
)
def test_lines_are_read(line: str, said: object) -> None:
    assert read_line(line) == said


def test_progress_is_never_more_than_all() -> None:
    assert Progress(done=9, total=8).part == 1.0


def test_a_result_is_read() -> None:
    text = json.dumps(
        {
            "version": 1,
            "state": "Succeeded",
            "reason": None,
            "message": "",
            "metrics": {"eval_loss": {"min": 0.1, "max": 0.3, "latest": 0.2}},
            "finished": "2026-11-24T04:30:26.120Z",
            "something": "new",
        }
    )
    result = read_result(text)
    assert (result.state, result.reason, result.finished) == ("Succeeded", "", NOON)
    assert result.metrics == {"eval_loss": Observation(min=0.1, max=0.3, latest=0.2)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"state": "Odd"}',
        '{"state": "Succeeded", "metrics": {"x": {"min": NaN, "max": 1, "latest": 1}}}',
        '{"state": "Succeeded", "metrics": {"x": 3}}',
    ],
)
def test_a_result_that_makes_no_sense_is_a_failure_that_says_so(text: str) -> None:
    result = read_result(text)
    assert (result.state, result.reason) == ("Failed", "CorruptResult")
    assert "result.json" in result.message


def test_an_exit_code_stands_for_one_of_the_trial_programs_reasons() -> None:
    for code, reason in EXIT_REASONS.items():
        assert errors.EXIT_CODES.get(reason, code) == code
    told = {code for code in errors.EXIT_CODES.values() if code > 1}
    assert told <= set(EXIT_REASONS)


def test_the_last_words_are_the_last_error_or_the_last_line() -> None:
    assert last_words("a\nerror: one\nerror: two\n  at exit\n") == "two"
    assert last_words("a\n\nb\n") == "b"
    assert last_words("") == ""


def test_the_last_words_are_the_failed_process_s_and_not_torchruns() -> None:
    torchrun = (
        "W1124 10:00:00.1 71 torch/distributed/elastic/multiprocessing/api.py:900] Closing\n"
        "E1124 10:00:01.1 71 torch/distributed/elastic/multiprocessing/api.py:874] failed\n"
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:\n=====\n"
    )
    assert last_words(f"step 1\n[rank0]: ValueError: no\n{torchrun}") == "[rank0]: ValueError: no"
    assert last_words(f"error: no label\n{torchrun}") == "no label"
    assert last_words(torchrun).endswith("errors.ChildFailedError:")


def test_the_last_reason_is_a_line_of_its_own() -> None:
    log = "reason: BadSplit\nerror: one\nreason: Diverged\r\nerror: for some reason: two\n"
    assert last_reason(log + "the reason: none\n") == "Diverged"
    assert last_reason("error: one\n") == ""
    assert last_reason("") == ""
