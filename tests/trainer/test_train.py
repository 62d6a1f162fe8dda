"""Real training of small real weights, in this process: numbers, not only "it ran"."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from trainer import train
from trainer.arguments import training_arguments
from trainer.config import TrialConfig, read_config, trial_parser
from trainer.errors import TrialError
from trainer.loop import is_looked_at
from trainer.metrics import Reporter
from trainer.result import Recorder

Run = Callable[..., Recorder]
QUICK = {"num_train_epochs": "4", "per_device_train_batch_size": "16", "learning_rate": "1e-2"}


@pytest.fixture
def asked(tiny_bert: Path, reviews: Path) -> Callable[..., TrialConfig]:
    """A trial of the tiny BERT on the reviews; keywords are fields of TrainingArguments."""

    def build(*flags: str, lora: dict[str, Any] | None = None, **training: Any) -> TrialConfig:
        basic = ["--output-dir", "out", "--model-uri", str(tiny_bert), "--dataset", str(reviews)]
        basic += ["--max-length", "32", "--training-parameters", json.dumps({**QUICK, **training})]
        basic += ["--lora-config", json.dumps(lora)] if lora else []
        return read_config(trial_parser().parse_args([*basic, *flags]))

    return build


@pytest.fixture
def tried(asked: Callable[..., TrialConfig], tmp_path: Path) -> Run:
    """Runs a whole trial and returns what was recorded."""

    def run(*flags: str, **more: Any) -> Recorder:
        config = asked(*flags, **more)
        recorder = fresh(tmp_path, config)
        train.run(config, tmp_path, recorder)
        recorder.drop_checkpoints()  # as the program does when result.json is there
        return recorder

    return run


def fresh(folder: Path, config: TrialConfig) -> Recorder:
    silent = Reporter(lambda line: None)
    return Recorder(folder, config.objective_metric, config.objective_type, silent)


def curve(recorder: Recorder, metric: str) -> list[float]:
    points = (point["metrics"] for point in recorder.curve)
    return [metrics[metric] for metrics in points if metric in metrics]


@pytest.mark.parametrize("flags", [(), ("--method", "full")])
def test_the_loss_falls_and_the_held_out_accuracy_beats_the_majority(
    tried: Run, flags: tuple[str, ...]
) -> None:
    recorder = tried(*flags)
    losses = curve(recorder, "eval_loss")
    assert len(losses) == 4
    assert losses[-1] < losses[0] < 0.75
    assert recorder.best is not None
    assert recorder.best["metrics"]["eval_accuracy"] > 0.9
    assert recorder.facts["rows"] == {
        **{"train": 160, "eval": 40, "majority": 0.5},
        "labels": {"negative": 20, "positive": 20},
    }
    summary = recorder.summary()
    assert summary["train_samples_per_second"]["latest"] > 0
    assert summary["train_loss"]["latest"] == pytest.approx(
        sum(curve(recorder, "loss")) / 4, abs=1e-3
    )


def test_every_evaluation_says_what_the_trial_has_cost_so_far(tried: Run, reviews: Path) -> None:
    recorder = tried("--split", "train[:80]", "--eval-split", "train[80:]", num_train_epochs="2")
    # [CLS], the words and [SEP] of the first 80 texts, without padding.
    texts = [line.split(",")[0] for line in reviews.read_text().splitlines()[1:81]]
    per_epoch = sum(len(text.split()) + 2 for text in texts)
    assert curve(recorder, "tokens") == [per_epoch, 2 * per_epoch]
    losses = curve(recorder, "loss")
    assert curve(recorder, "train_loss") == pytest.approx([losses[0], sum(losses) / 2], rel=1e-5)
    evaluated = [point["metrics"] for point in recorder.curve if "eval_loss" in point["metrics"]]
    for metrics in evaluated:
        assert metrics["peak_memory_mb"] > 100
        assert "gpu_seconds" not in metrics, "there is no GPU"
        rates = metrics["train_tokens_per_second"] / metrics["train_samples_per_second"]
        assert rates == pytest.approx(per_epoch / 80)
    assert 160 / evaluated[1]["train_samples_per_second"] == pytest.approx(
        recorder.seconds("train"), rel=0.2
    ), "evaluations are not training"


def test_lora_trains_the_matrices_and_the_head_and_nothing_else(
    asked: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    config = asked()
    ready = train.prepare(config, tmp_path, fresh(tmp_path, config))
    before = {name: weight.clone() for name, weight in ready.network.named_parameters()}
    ready.trainer.train()
    changed = {
        name
        for name, weight in ready.network.named_parameters()
        if not torch.equal(weight, before[name])
    }
    assert changed == {name for name in before if "lora_" in name or "modules_to_save" in name}
    assert any("classifier.modules_to_save" in name and "weight" in name for name in changed)


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others(tried: Run) -> None:
    one, same, other = (tried("--seed", seed, num_train_epochs=1) for seed in ("1", "1", "2"))
    assert curve(one, "eval_loss") == curve(same, "eval_loss")
    assert curve(one, "loss") == curve(same, "loss")
    assert curve(one, "eval_loss") != curve(other, "eval_loss")


def test_a_seed_among_the_training_parameters_wins(tried: Run) -> None:
    one, other = (
        tried("--seed", seed, seed="7", num_train_epochs=1).facts["parameters"]["seed"]
        for seed in ("1", "2")
    )
    assert one == other == 7


# The worst evaluation is the first one: a "best" that is not simply the last.
WORST_LOSS = ("--save-best", "--objective-metric", "eval_loss", "--objective-type", "maximize")


def test_the_saved_model_is_the_best_checkpoint_not_the_last(tried: Run, tmp_path: Path) -> None:
    recorder = tried(*WORST_LOSS, "--method", "full")
    saved = tmp_path / "best"
    again = tried("--model-uri", str(saved), "--method", "full", learning_rate="0")
    assert recorder.best is not None
    assert recorder.best["epoch"] == 1
    assert curve(again, "eval_loss")[0] == pytest.approx(curve(recorder, "eval_loss")[0], rel=1e-5)
    assert curve(recorder, "eval_loss")[-1] < curve(recorder, "eval_loss")[0]
    assert list(tmp_path.iterdir()) == [saved]
    assert json.loads((saved / "config.json").read_text())["id2label"]["1"] == "positive"


def test_the_saved_adapter_is_the_best_checkpoint_not_the_last(
    tried: Run, asked: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    recorder = tried(*WORST_LOSS)
    config = asked()
    ready = train.prepare(config, tmp_path, fresh(tmp_path, config))
    ready.network.load_adapter(tmp_path / "best", "default")
    loss = ready.trainer.evaluate()["eval_loss"]
    assert loss == pytest.approx(curve(recorder, "eval_loss")[0], rel=1e-5)
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= {
        file.name for file in (tmp_path / "best").iterdir()
    }


def test_nothing_is_saved_unless_asked(tried: Run, tmp_path: Path) -> None:
    tried(num_train_epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_accumulated_batches_are_one_step_whose_loss_is_the_mean_of_its_rows(tried: Run) -> None:
    # NB: the Trainer adds the means of BERT's batches up.
    small = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    recorder = tried(**small, num_train_epochs=1)
    assert curve(recorder, "loss")[0] == pytest.approx(0.69, abs=0.05)
    assert recorder.curve[-1]["step"] == 10
    assert recorder.facts["rows_per_step"] == 16


def test_smoothed_labels_are_for_training_not_for_the_evaluation(tried: Run) -> None:
    plain, smooth = (
        tried(label_smoothing_factor=factor, learning_rate="0", num_train_epochs=1)
        for factor in ("0", "0.5")
    )
    assert curve(plain, "eval_loss") == curve(smooth, "eval_loss")


def test_a_model_without_a_pad_token_trains_in_batches(tried: Run, tiny_llama: Path) -> None:
    recorder = tried("--model-uri", str(tiny_llama))
    losses = curve(recorder, "eval_loss")
    assert losses[-1] < losses[0]


def test_hyperparameters_are_reported_as_they_really_were(tried: Run) -> None:
    recorder = tried(
        "--max-length",
        "512",
        lora={"r": "4", "target_modules": "query,value"},
        num_train_epochs="1",
        warmup_ratio="0.1",
        lr_scheduler_type="cosine",
        group_by_length="True",
        adam_beta2="0.98",
    )
    found = recorder.facts["parameters"]
    assert found["r"] == 4
    assert found["lora_alpha"] == 8, "alpha is 2r unless given"
    assert found["target_modules"] == ["query", "value"]
    assert found["warmup_steps"] == 0.1
    assert found["lr_scheduler_type"] == "cosine"
    assert found["train_sampling_strategy"] == "group_by_length"
    assert found["adam_beta2"] == 0.98
    assert found["max_length"] == 40
    assert recorder.warnings == [
        "The model takes 40 tokens at most, so max length is 40 and not 512."
    ]
    json.dumps(recorder.facts)


@pytest.mark.parametrize(
    "training",
    [
        {"gradient_checkpointing": "True"},
        {"bf16": "True"},
        {"gradient_accumulation_steps": "2"},
        {"eval_steps": "3", "logging_steps": "2", "max_steps": "7"},
        {"eval_strategy": "no"},
        {"optim": "adafactor"},
    ],
    ids=lambda training: next(iter(training)),
)
def test_what_trainingarguments_can_do_is_done(tried: Run, training: dict[str, str]) -> None:
    recorder = tried(**{"num_train_epochs": "1", **training})
    last = recorder.curve[-1]
    evaluated = [point["step"] for point in recorder.curve if "eval_loss" in point["metrics"]]
    assert evaluated[-1] == last["step"], "the end is always evaluated"
    if "eval_steps" in training:
        assert evaluated == [3, 6, 7]
        assert last["step"] == 7
    assert recorder.best is not None


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"warmup_ratio": "0.1"}, 0.1),
        ({"warmup_ratio": "0.1", "warmup_steps": "0"}, 0.1),
        ({"warmup_ratio": "0.1", "warmup_steps": "5"}, 5),
        ({"warmup_steps": "5"}, 5),
    ],
)
def test_a_warm_up_is_a_ratio_or_a_number_of_steps(
    asked: Callable[..., TrialConfig], tmp_path: Path, training: dict[str, str], expected: float
) -> None:
    config = asked(**training)
    arguments = training_arguments(config, tmp_path, fresh(tmp_path, config))
    assert arguments.warmup_steps == expected


def test_settings_of_saving_and_reporting_are_ours_and_that_is_said(tried: Run) -> None:
    recorder = tried(
        num_train_epochs="1", save_strategy="epoch", report_to="none", output_dir="elsewhere"
    )
    assert recorder.warnings == ["save_strategy is decided by the trial program and stays 'no'."]


@pytest.mark.parametrize(
    ("training", "lora", "said"),
    [
        ({"learning_rte": "1"}, {}, "TrainingArguments has no field 'learning_rte'. Did you mean"),
        ({"num_train_epochs": "0"}, {}, "num_train_epochs must be above 0, received 0.0."),
        ({"optim": "adamw_bnb_8bit"}, {}, "TrainingArguments refused: "),
        ({"warmup_steps": "-1"}, {}, "TrainingArguments refused: "),
        ({"warmup_ratio": "1"}, {}, "warmup_ratio must be from 0 to below 1."),
        ({"group_by_length": "perhaps"}, {}, "group_by_length: expected true or false, received"),
        ({}, {"r": "0"}, "LoRA cannot be applied: "),
        ({}, {"rank": "8"}, "LoraConfig has no field 'rank'. Did you mean"),
        ({}, {"target_modules": "q_proj"}, "target_modules: the model has no module 'q_proj'."),
        ({}, {"task_type": "CAUSAL_LM"}, "task_type is SEQ_CLS here and nothing else."),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused_before_the_first_step(
    asked: Callable[..., TrialConfig],
    tmp_path: Path,
    training: dict[str, str],
    lora: dict[str, str],
    said: str,
) -> None:
    config = asked(lora=lora, **training)
    with pytest.raises(TrialError) as caught:
        train.prepare(config, tmp_path, fresh(tmp_path, config))
    assert caught.value.reason == "BadParameter"
    assert str(caught.value).startswith(said)


def test_a_loss_that_is_not_finite_ends_the_trial_at_once(
    asked: Callable[..., TrialConfig], tmp_path: Path
) -> None:
    config = asked("--method", "full")
    recorder = fresh(tmp_path, config)
    ready = train.prepare(config, tmp_path, recorder)
    with torch.no_grad():
        ready.network.classifier.weight[0, 0] = float("inf")
    with pytest.raises(TrialError, match=r"training loss became (nan|inf) in step 1;") as caught:
        ready.trainer.train()
    assert caught.value.reason == "Diverged"
    assert recorder.curve == []


def test_a_gpu_is_waited_for_in_the_first_step_and_then_in_one_of_sixteen() -> None:
    assert [step for step in range(1, 50) if is_looked_at(step, "cuda")] == [1, 17, 33, 49]
    assert all(is_looked_at(step, "cpu") for step in range(1, 50))


def test_a_learning_rate_of_1e30_diverges(tried: Run) -> None:
    with pytest.raises(TrialError) as caught:
        tried("--method", "full", learning_rate="1e30")
    assert caught.value.reason == "Diverged"


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_model_folder_that_lacks_a_file_is_said_in_a_sentence(
    tried: Run, tiny_bert: Path, tmp_path: Path, missing: str
) -> None:
    folder = tmp_path / "half"
    folder.mkdir()
    for file in tiny_bert.iterdir():
        if file.name != missing:
            (folder / file.name).write_bytes(file.read_bytes())
    with pytest.raises(TrialError, match=f"The model '{folder}' has no") as caught:
        tried("--model-uri", str(folder))
    assert caught.value.reason == "ModelNotFound"
