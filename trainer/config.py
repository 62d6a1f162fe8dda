"""The command line of a trial, parsed once into one frozen value.

    python -m trainer --model-uri default --dataset default --split "train[:640]" …

Hyperparameters come as two JSON objects whose values may all be strings; `casting.py` gives them
their types once the real classes are loaded. Nothing here imports torch, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from trainer import prompts
from trainer.casting import cast, cast_fields
from trainer.errors import TrialError, nearest
from trainer.push import ADDRESS as PUSH_ADDRESS
from trainer.sources import DEFAULT, S3Place

SEQUENCE_CLASSIFICATION = "AutoModelForSequenceClassification"
IMAGE_CLASSIFICATION = "AutoModelForImageClassification"
QUESTION_ANSWERING = "AutoModelForQuestionAnswering"
CAUSAL_LM = "AutoModelForCausalLM"
TRANSFORMER_TYPES = (
    SEQUENCE_CLASSIFICATION,
    "AutoModelForTokenClassification",
    QUESTION_ANSWERING,
    CAUSAL_LM,
    "AutoModelForMaskedLM",
    IMAGE_CLASSIFICATION,
)
# What each of them is scored by; `eval_` stands before the names, and `eval_loss` is among them.
TASK_METRICS: Mapping[str, tuple[str, ...]] = {
    SEQUENCE_CLASSIFICATION: ("accuracy", "f1", "matthews"),
    "AutoModelForTokenClassification": ("accuracy", "precision", "recall", "f1"),
    QUESTION_ANSWERING: ("exact_match", "f1"),
    CAUSAL_LM: ("perplexity", "token_accuracy", "accuracy"),
    "AutoModelForMaskedLM": ("perplexity", "token_accuracy"),
    IMAGE_CLASSIFICATION: ("accuracy", "f1", "matthews"),
}
# What --columns may name for each of them; for the one that is missing, its task says it.
COLUMN_KEYS: Mapping[str, tuple[str, ...]] = {
    SEQUENCE_CLASSIFICATION: ("text", "label"),
    "AutoModelForTokenClassification": ("tokens", "tags"),
    QUESTION_ANSWERING: ("question", "context", "answers", "answer", "answer_start"),
    "AutoModelForMaskedLM": ("text",),
    IMAGE_CLASSIFICATION: ("image", "label"),
}
STEP_METRICS = ("loss", "grad_norm")
# What a trial has cost so far, at every evaluation (`trainer/costs.py` says how each is counted).
COST_METRICS = (
    *("train_loss", "train_samples_per_second", "train_tokens_per_second", "tokens"),
    *("peak_memory_mb", "gpu_seconds"),
)
# Hyperparameters of ours: they stand among the fields of TrainingArguments and can be searched.
OWN_PARAMETERS: Mapping[str, Any] = {
    "max_length": int,
    "train_fraction": float,
    "prompt_template": str,
    "mlm_probability": float,
    "frozen_layers": int,
    "augment": Literal["none", "flip", "crop-flip"],
}


OWN_DEFAULTS: Mapping[str, Any] = {
    "train_fraction": 1.0,
    "prompt_template": None,
    "mlm_probability": 0.15,
    "frozen_layers": 0,
    "augment": "none",
}
COMPLETION, ALL = "completion", "all"
QUANTIZATIONS = ("4bit", "8bit")
ATTENTION = ("sdpa", "eager", "flash_attention_2", "flex_attention")
S3_PREFIX = "s3://"


def metrics_of(transformer_type: str) -> tuple[str, ...]:
    """Every metric that a trial of this type reports; the objective is one of them."""
    own = (f"eval_{name}" for name in ("loss", *TASK_METRICS[transformer_type]))
    return (*own, *STEP_METRICS, *COST_METRICS)


EPILOG = """
other commands:
  python -m trainer fetch        make a model and a dataset available before any trial
  python -m trainer forecast     say how much memory a trial with the same flags needs
  python -m trainer export       hand on a finished trial's best weights, with a model card
  python -m trainer objective    run one trial of your own Python function
several processes:
  start it by torchrun. Batch sizes are per process: a step uses per_device_train_batch_size times
  gradient_accumulation_steps times the number of processes rows (`rows_per_step` in result.json).
  Rank 0 alone prints and writes; torchrun ends with 1 whatever the exit code is, so the last words
  are `reason: …`, a word for each exit code, and `error: …`.
exit codes:
  0 ok, 1 anything unforeseen, 2 usage or hyperparameter, 3 data, 4 model, 5 diverged,
  6 out of memory, 7 not fetched yet, 8 no evaluation before the deadline, 143 stopped by SIGTERM
stopped and started again:
  the same command goes on from the checkpoint in DIR/checkpoints, with the same numbers. SIGTERM
  ends the step and writes one within 25 s; a second SIGTERM ends at once.
"""


@dataclass(frozen=True)
class TrialConfig:
    """One trial as asked for; hyperparameters are still untyped."""

    model_uri: str
    model_s3: S3Place | None
    trust_remote_code: bool
    quantization: str | None
    attn_implementation: str | None
    transformer_type: str
    num_labels: int | None
    dataset: str
    s3: S3Place | None
    split: str
    eval_split: str | None
    test_split: str | None
    streaming: bool
    columns: Mapping[str, str]
    method: str
    training_parameters: Mapping[str, object]
    lora_config: Mapping[str, object]
    max_length: int
    train_fraction: float
    frozen_layers: int
    augment: str
    prompt_template: str | None
    mlm_probability: float
    loss_on: str
    packing: bool
    objective_metric: str
    objective_type: str
    seed: int
    save_best: bool
    checkpoints: bool
    deadline_seconds: float | None
    retry_out_of_memory: bool


class Parser(argparse.ArgumentParser):
    """argparse whose complaint is one sentence on the last line of stderr."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(2, f"error: {message}\n")


def whole_number(text: str) -> int:
    try:
        return int(cast(text, int))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected {error}, received {text!r}") from error


def add_common(parser: argparse.ArgumentParser) -> None:
    """The flags that a training trial and an objective function share."""
    parser.add_argument("--output-dir", type=Path, required=True, help="where result.json goes")
    parser.add_argument("--objective-metric", default="eval_accuracy", metavar="NAME")
    parser.add_argument(
        "--push-metrics",
        nargs="?",
        const=PUSH_ADDRESS,
        metavar="HOST:PORT",
        help=f"for Katib's collector Push: sends the metrics to its DB manager (at {PUSH_ADDRESS} "
        "if nothing follows); Katib's early stopping reads printed metrics only",
    )
    parser.add_argument("--objective-type", choices=("maximize", "minimize"), default="maximize")


def add_s3(parser: argparse.ArgumentParser) -> None:
    """The flags of a dataset in S3-compatible storage; keys are never among them."""
    group = parser.add_argument_group(
        "a dataset in S3-compatible storage, in place of --dataset",
        "Keys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
    group.add_argument("--s3-endpoint-url", metavar="URL")
    group.add_argument("--s3-bucket-name", metavar="NAME")
    group.add_argument("--s3-file-key", metavar="KEY", help="an object, or a folder of objects")
    group.add_argument("--s3-region-name", metavar="NAME", help="default: $AWS_REGION")


def add_code(parser: argparse.ArgumentParser) -> None:
    """The flag for models that are not part of transformers."""
    parser.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the Python code that the model brings with it, which may do anything; read it",
    )


def s3_place(args: argparse.Namespace) -> S3Place | None:
    """The place that the S3 flags name, None without them; BadParameter if they are not whole."""
    needed = {
        f"--s3-{name.replace('_', '-')}": getattr(args, f"s3_{name}")
        for name in ("endpoint_url", "bucket_name", "file_key")
    }
    shared = args.s3_endpoint_url or args.s3_region_name  # with a model in S3
    is_dataset = needed["--s3-bucket-name"] or needed["--s3-file-key"]
    if not is_dataset and (not shared or _model_of(args).startswith(S3_PREFIX)):
        return None
    if missing := [flag for flag, value in needed.items() if not value]:
        raise TrialError("BadParameter", f"A dataset in S3 also needs {' and '.join(missing)}.")
    if args.dataset != DEFAULT:
        raise TrialError(
            "BadParameter", f"The data come from one place, not from {args.dataset} and from S3."
        )
    return S3Place(*needed.values(), args.s3_region_name)


def model_place(uri: str, args: argparse.Namespace) -> S3Place | None:
    """The place of a model `s3://bucket/key`, at the same storage as a dataset; None elsewhere."""
    if not uri.startswith(S3_PREFIX):
        return None
    bucket, _, key = uri.removeprefix(S3_PREFIX).partition("/")
    endpoint = args.s3_endpoint_url or os.environ.get("AWS_ENDPOINT_URL")
    if not bucket or not key.strip("/"):
        raise TrialError(
            "BadParameter", f"{uri!r} does not name a model in S3: write s3://BUCKET/FOLDER."
        )
    if not endpoint:
        raise TrialError(
            "BadParameter",
            f"The model {uri} needs the address of its storage: --s3-endpoint-url or "
            "AWS_ENDPOINT_URL.",
        )
    return S3Place(endpoint, bucket, key, args.s3_region_name, "model")


def _model_of(args: argparse.Namespace) -> str:
    return str(args.model if "model" in args else args.model_uri)


def trial_parser() -> Parser:
    parser = Parser(
        prog="python -m trainer",
        description="Fine-tunes one model with one set of hyperparameters and evaluates it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    model = (
        "default, smollm2, a folder, package:NAME/path, hf://org/name, s3://bucket/key, or a hub "
        "name"
    )
    data = (
        "default, a folder, a csv/json/jsonl/parquet file, package:NAME/inner/path, or a hub name"
    )
    parser.add_argument("--model-uri", default="default", metavar="URI", help=model)
    add_code(parser)
    parser.add_argument(
        "--quantization", choices=QUANTIZATIONS, help="LoRA on a base of 4 or 8 bits (bitsandbytes)"
    )
    parser.add_argument(
        "--attn-implementation", choices=ATTENTION, help="default: the model's, usually sdpa"
    )
    parser.add_argument("--transformer-type", default=SEQUENCE_CLASSIFICATION, metavar="CLASS")
    parser.add_argument(
        "--num-labels", type=whole_number, metavar="N", help="default: from the data"
    )
    parser.add_argument("--dataset", default="default", metavar="URI", help=data)
    add_s3(parser)
    parser.add_argument("--split", default="train", help='training rows, e.g. "train[:1000]"')
    parser.add_argument("--eval-split", help="held-out rows; default: found or held out of --split")
    parser.add_argument(
        "--test-split", metavar="SPEC", help="rows that no trial sees; the winner is scored on them"
    )
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="read the training rows while training; needs max_steps or a number of rows",
    )
    parser.add_argument(
        "--columns", default="{}", metavar="JSON", help='what is where, e.g. {"text": "review"}'
    )
    parser.add_argument("--text-column", metavar="NAME", help="default: detected")
    parser.add_argument("--label-column", metavar="NAME", help="default: detected")
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument(
        "--training-parameters", default="{}", metavar="JSON", help="TrainingArguments"
    )
    parser.add_argument(
        "--lora-config", default="{}", metavar="JSON", help="peft.LoraConfig fields"
    )
    parser.add_argument(
        "--max-length", type=whole_number, default=128, metavar="N", help="tokens per text"
    )
    parser.add_argument(
        "--loss-on",
        choices=(COMPLETION, ALL),
        default=COMPLETION,
        help="what a language model learns of chats and instructions: the answers, or everything",
    )
    parser.add_argument(
        "--packing", action="store_true", help="several rows in one sequence of --max-length"
    )
    parser.add_argument("--seed", type=whole_number, default=42, metavar="N")
    parser.add_argument(
        "--save-best", action="store_true", help="keep the best checkpoint in DIR/best"
    )
    add_survival(parser)
    add_common(parser)
    return parser


def add_survival(parser: argparse.ArgumentParser) -> None:
    """The flags of what happens when a trial is stopped, takes too long, or needs too much."""
    parser.add_argument(
        "--no-checkpoints",
        action="store_false",
        dest="checkpoints",
        help="begin anew when started again; default: a checkpoint per evaluation, of which those "
        "are left out that would take more than 5 %% of the time",
    )
    parser.add_argument(
        "--deadline-seconds",
        type=float,
        metavar="N",
        help="evaluate and end shortly before this process has run so long, as a success with the "
        "best so far",
    )
    parser.add_argument(
        "--retry-out-of-memory",
        action="store_true",
        help="try once more with half the rows per device and twice the accumulation",
    )


def objective_parser() -> Parser:
    parser = Parser(
        prog="python -m trainer objective",
        description="Runs one trial of a Python function that takes a dict of parameters.",
        allow_abbrev=False,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--file", type=Path, metavar="F.py")
    source.add_argument("--source", metavar="TEXT", help="its content: zlib, then URL-safe base64")
    parser.add_argument("--function", required=True, metavar="NAME")
    parser.add_argument("--parameters", default="{}", metavar="JSON")
    add_common(parser)
    return parser


def fetch_parser() -> Parser:
    parser = Parser(
        prog="python -m trainer fetch",
        description="Makes a model and a dataset available before any trial; quick when they are.",
        allow_abbrev=False,
    )
    parser.add_argument("--model", default="default", metavar="URI")
    parser.add_argument("--dataset", default="default", metavar="URI")
    add_s3(parser)
    add_code(parser)
    parser.add_argument("--cache", type=Path, metavar="DIR", help="default: $KATIB_TUNE_CACHE")
    parser.add_argument("--size", action="store_true", help="only say how much would be downloaded")
    return parser


def read_config(args: argparse.Namespace) -> TrialConfig:
    """The parsed flags as a TrialConfig; what cannot be is a BadParameter."""
    made = ("s3", "model_s3", *(name for name in OWN_PARAMETERS if name not in vars(args)))
    values: dict[str, Any] = {
        name: getattr(args, name) for name in TrialConfig.__dataclass_fields__ if name not in made
    }
    values["s3"] = s3_place(args)
    values["model_s3"] = model_place(args.model_uri, args)
    values |= OWN_DEFAULTS
    for flag in ("training_parameters", "lora_config", "columns"):
        values[flag] = json_object(values[flag], flag)
    for name in ("text", "label"):
        if column := getattr(args, f"{name}_column"):
            values["columns"][name] = column
    values |= _own_parameters(values["training_parameters"])
    config = TrialConfig(**values)
    for check in _CHECKS:
        check(config)
    return config


def _own_parameters(training_parameters: dict[str, object]) -> dict[str, Any]:
    """Takes our own hyperparameters out from among the fields of TrainingArguments."""
    given = {name: training_parameters.pop(name) for name in OWN_PARAMETERS
             if name in training_parameters}  # fmt: skip
    return cast_fields(given, OWN_PARAMETERS, "TrainingArguments")


def json_object(text: str, flag: str) -> dict[str, object]:
    """The JSON object behind a flag."""
    spelled = f"--{flag.replace('_', '-')}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise TrialError("BadParameter", f"{spelled} is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise TrialError("BadParameter", f"{spelled} must be a JSON object, received {text}.")
    return value


def _check_type(config: TrialConfig) -> None:
    kind = config.transformer_type
    if kind not in TRANSFORMER_TYPES:
        raise TrialError(
            "BadParameter",
            f"There is no transformer type {kind!r}.{nearest(kind, TRANSFORMER_TYPES)}",
        )


def _check_numbers(config: TrialConfig) -> None:
    if config.num_labels is not None and config.num_labels < 2:
        raise TrialError(
            "BadParameter", f"--num-labels must be 2 or more, not {config.num_labels}."
        )
    if config.max_length < 3:
        raise TrialError(
            "BadParameter", f"--max-length must be 3 or more, not {config.max_length}."
        )
    if not 0 < config.train_fraction <= 1:
        raise TrialError(
            "BadParameter",
            f"train_fraction must be above 0 and at most 1, not {config.train_fraction}.",
        )


def _check_language(config: TrialConfig) -> None:
    if config.prompt_template is not None:
        prompts.check_name(config.prompt_template)
    if not 0 < config.mlm_probability < 1:
        raise TrialError(
            "BadParameter",
            f"mlm_probability must be above 0 and below 1, not {config.mlm_probability}.",
        )
    if config.packing and config.transformer_type != CAUSAL_LM:
        raise TrialError(
            "BadParameter", f"--packing is for {CAUSAL_LM}, not for {config.transformer_type}."
        )


def _check_streaming(config: TrialConfig) -> None:
    if config.streaming and config.packing:
        raise TrialError(
            "BadParameter", "--packing needs all rows at once; leave it out, or --streaming."
        )
    if config.streaming and config.train_fraction < 1:
        raise TrialError(
            "BadParameter",
            "train_fraction needs all rows at once; with --streaming take a slice such as "
            '"train[:100000]".',
        )
    is_cut = config.transformer_type == QUESTION_ANSWERING  # a context makes one row or several
    if config.streaming and is_cut and "max_steps" not in config.training_parameters:
        raise TrialError(
            "BadParameter",
            "How many parts the contexts are cut into is not known while they are read: with "
            "--streaming give max_steps.",
        )


def _check_method(config: TrialConfig) -> None:
    if config.method == "full" and config.lora_config:
        raise TrialError(
            "BadParameter", "--lora-config means nothing with --method full; leave it out."
        )
    if config.method == "full" and config.quantization:
        raise TrialError(
            "BadParameter",
            f"--quantization {config.quantization} is for --method lora: weights of so few bits "
            "cannot be trained themselves.",
        )
    if config.frozen_layers < 0:
        raise TrialError(
            "BadParameter", f"frozen_layers must be 0 or more, not {config.frozen_layers}."
        )
    if config.augment != "none" and config.transformer_type != IMAGE_CLASSIFICATION:
        raise TrialError(
            "BadParameter", f"augment is for {IMAGE_CLASSIFICATION}, not {config.transformer_type}."
        )


def _check_columns(config: TrialConfig) -> None:
    """Columns that cannot be, whatever the dataset has."""
    keys = COLUMN_KEYS.get(config.transformer_type, tuple(config.columns))
    whose: dict[str, str] = {}
    for key, name in config.columns.items():
        if key not in keys:
            raise TrialError(
                "BadColumn",
                f"{config.transformer_type} has no use for a column {key!r}.{nearest(key, keys)} "
                f"--columns may name {', '.join(keys)}.",
            )
        if not isinstance(name, str) or not name:
            raise TrialError(
                "BadColumn", f"--columns: {key!r} is the name of a column, not {name!r}."
            )
        if name in whose:
            raise TrialError(
                "BadColumn",
                f"The column {name!r} cannot be {whose[name]!r} and {key!r}; name two columns.",
            )
        whose[name] = key


def _check_objective(config: TrialConfig) -> None:
    name, known = config.objective_metric, metrics_of(config.transformer_type)
    if name not in known:
        raise TrialError(
            "BadParameter",
            f"There is no metric {name!r}.{nearest(name, known)} Known: {', '.join(known)}.",
        )


def _check_deadline(config: TrialConfig) -> None:
    if config.deadline_seconds is not None and not config.deadline_seconds > 0:
        raise TrialError(
            "BadParameter", f"--deadline-seconds must be above 0, not {config.deadline_seconds:g}."
        )


_CHECKS: Sequence[Callable[[TrialConfig], None]] = (
    _check_type,
    _check_numbers,
    _check_language,
    _check_streaming,
    _check_method,
    _check_columns,
    _check_objective,
    _check_deadline,
)
