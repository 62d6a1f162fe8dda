"""What we know about tuning LLMs: default ranges, the known-good first trial, and why.

Every number has a reason that users can read (`why`). Nothing is invented for custom objectives.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal, TypeGuard

from pydantic import ValidationError

from bot import algorithms, tasks
from bot.spec import (
    FIELDS,
    HYPERPARAMETER_FIELDS,
    MAX_NAME_LENGTH,
    Number,
    Parameter,
    Scalar,
    TuneSpec,
    is_searched,
    read,
)

Data = Mapping[str, Any]


@dataclass(frozen=True)
class Prior:
    """What is known of one hyperparameter.

    `known_good` is the value of trial 0; `low` and `high` are the ends of a range on a log line.
    """

    known_good: Scalar
    why: str = ""
    low: float = 0.0
    high: float = 0.0


SMALL_MILLIONS, LARGE_MILLIONS = 100, 500
SMALL_NAMES = re.compile(r"minilm|tinybert|distilbert|(bert|electra|roberta)[-_]?(tiny|mini|small)")
SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([mb])(?![a-z0-9])")
# Millions of weights of the models that go by a name of ours.
NAMED = {"default": 22.7, "smollm2": 134.5}
Kind = Literal["small", "new head", "little", "large"]

# (method, kind of model) -> the learning rate, by far the most important hyperparameter.
LEARNING_RATES: Mapping[tuple[str, Kind], Prior] = {
    ("lora", "large"): Prior(
        2e-4,
        "LoRA wants about 10 times the rate of full fine-tuning, nearly whatever the rank: "
        "2e-4 is the usual start, and good values lie within a factor of 10 of it.",
        2e-5,
        2e-3,
    ),
    ("full", "large"): Prior(
        2e-5,
        "2e-5 is the usual start for training all weights of an LLM; "
        "good values lie within a factor of 10 of it.",
        2e-6,
        2e-4,
    ),
    ("lora", "little"): Prior(
        5e-4,
        "The best rate falls with the square root of the number of weights: 2e-4 is the usual "
        "start for LoRA on a billion, 5e-4 on 135 million, where SmolLM2 reached accuracy 0.85 on "
        "640 movie-review sentences; good values lie within a factor of 10.",
        5e-5,
        5e-3,
    ),
    ("full", "little"): Prior(
        5e-5,
        "The best rate falls with the square root of the number of weights: 2e-5 is the usual "
        "start for a billion, 5e-5 for 135 million; good values lie within a factor of 10.",
        5e-6,
        5e-4,
    ),
    # What PEFT's own examples take for encoders, and their papers for all weights.
    ("lora", "new head"): Prior(
        1e-3,
        "The head is new and learns from nothing: PEFT's examples for tokens and images take "
        "1e-3 to 5e-3 with LoRA.",
        1e-4,
        5e-3,
    ),
    ("full", "new head"): Prior(
        5e-5,
        "2e-5 to 5e-5 is the usual start for all weights of an encoder with a new head.",
        5e-6,
        5e-4,
    ),
    # Measured with this trainer: 640 texts, 2 epochs, batch 16, one seed, 400 held-out texts.
    ("lora", "small"): Prior(
        1e-3,
        "Small encoders need more than LLMs: on 640 movie-review sentences MiniLM with LoRA (r=16) "
        "reached accuracy 0.71 at 3e-4, 0.81 at 1e-3, 0.80 at 2e-3, and chance at 5e-3.",
        2e-4,
        4e-3,
    ),
    ("full", "small"): Prior(
        1e-4,
        "A tenth of the LoRA rate: on 640 movie-review sentences all weights of MiniLM reached "
        "accuracy 0.79 at 5e-5, 0.82 at 1e-4 and 0.81 at 2e-4.",
        2e-5,
        5e-4,
    ),
}
NEW_HEADS = (tasks.TOKEN_CLASSIFICATION, tasks.QUESTION_ANSWERING, tasks.IMAGE_CLASSIFICATION)
# Tokens per row where 128 cut too much; padding goes to the longest row of a batch, not to these.
LENGTHS: Mapping[str, int] = {
    tasks.CAUSAL_LM: 512,
    tasks.MASKED_LM: 512,
    tasks.QUESTION_ANSWERING: 384,
}
R = Prior(16, "The rank matters little until its capacity binds: 8, 16 and 32 are enough to see.")
RANKS = (8, 16, 32)
ALPHA = "Tied to the rank (2r): beside the learning rate it is redundant, so it is not searched."
EPOCHS = Prior(2, "Two passes; the best evaluation counts, and more passes mostly overfit.")
BATCH = "LoRA loses at large batches: stay at 32 or below."

# What trial 0 takes for the others: mostly the trainer's own defaults.
KNOWN_GOOD: Mapping[str, Prior] = {
    "r": R,
    "num_train_epochs": EPOCHS,
    "target_modules": Prior(
        "all-linear", "Adapters on all linear layers beat adapters on attention alone."
    ),
    "lora_dropout": Prior(0.05, "A little dropout is enough on small data; it matters little."),
    "bias": Prior("none"),
    "use_rslora": Prior(False),
    "use_dora": Prior(False, "Variants of LoRA differ by 1-2 % once the learning rate is tuned."),
    "weight_decay": Prior(0.0, "LoRA itself regularises more than weight decay does."),
    "warmup_ratio": Prior(0.0, "Matters little; 3 to 10 % of the steps are usual."),
    "warmup_steps": Prior(0, "Matters little; 3 to 10 % of the steps are usual."),
    "gradient_accumulation_steps": Prior(1, BATCH),
    "lr_scheduler_type": Prior("linear"),
    "optim": Prior("adamw_torch"),
    "adam_beta1": Prior(0.9),
    "adam_beta2": Prior(0.999),
    "adam_epsilon": Prior(1e-8),
    "max_grad_norm": Prior(1.0),
    "label_smoothing_factor": Prior(0.0),
    "seed": Prior(42),
    "max_length": Prior(
        FIELDS["max_length"].default, "Longer texts are cut; what fits costs nothing more."
    ),
    "train_fraction": Prior(1.0, "All rows: fewer are for trials that shall be quick."),
    "frozen_layers": Prior(
        0, "None: freezing the first layers saves time, and is worth a try with few rows."
    ),
    "mlm_probability": Prior(0.15, "15 % of the tokens, as BERT was trained."),
    "augment": Prior("none", "The pictures as they are; with few of them, turned ones help."),
}
SMALL_DROPOUT = Prior(
    0.0, "On a CPU dropout costs a quarter of a small model's training, and it changes little."
)
FIXED = {
    "training_parameters": ("learning_rate", "num_train_epochs", "per_device_train_batch_size"),
    "lora_config": ("r", "target_modules", "lora_dropout"),
}
SHIPPED_DATASET = {"split": "train[:640]", "eval_split": "validation[:400]"}


def complete(data: Data) -> dict[str, Any]:
    """Spec data as typed, with what was left out filled in; never checks, never changes a value."""
    done = dict(data)
    if not _is_custom(data):
        _complete_data(done)
        _complete_hyperparameters(done)
    _complete_objective(done)
    _complete_algorithm(done)
    _complete_counts(done)
    return done


def to_spec(data: Data, suffix: str) -> TuneSpec:
    """The spec that typed data stand for, completed and named.

    Args:
        suffix: makes a suggested name unique; see `suggest_name`.

    Raises:
        SpecError: it cannot be run.
    """
    done = complete(data)
    if not done.get("name"):
        done["name"] = suggest_name(done, suffix)
    return read(done)


def known_good(spec: TuneSpec) -> dict[str, Scalar] | None:
    """A value for every searched hyperparameter: the known-good one, or the nearest feasible.

    None when nothing is known (a custom objective) or nothing is searched.
    """
    if spec.is_custom or not spec.searched:
        return None
    known = _known_of(spec)
    point = {
        name: _feasible(known[name].known_good if name in known else None, value)
        for name, value in spec.searched.items()
    }
    alpha = spec.searched.get("lora_alpha")
    rank = point.get("r", spec.lora_config.get("r", R.known_good))
    if alpha and _is_number(rank):
        point["lora_alpha"] = _feasible(tied_alpha(int(rank)), alpha)
    return point


def tied_alpha(rank: int) -> int:
    """The lora_alpha that goes with a rank; the trainer takes the same when none is given."""
    return 2 * rank


def why(name: str, spec: TuneSpec) -> str:
    """The reason for a hyperparameter's default range or first value; "" when there is none."""
    if spec.is_custom:
        return ""
    known = _known_of(spec).get(name)
    return known.why if known else ALPHA if name == "lora_alpha" else ""


def suggest_name(data: Data, suffix: str) -> str:
    """A valid Experiment name, such as `minilm-movie-reviews-k3f9`.

    Args:
        data: spec data as typed.
        suffix: what makes the name unique; a-z and 0-9.
    """
    if _is_custom(data):
        parts = [data.get("objective_function") or _last_part(data.get("objective_image"))]
    else:
        source = data.get("dataset") or data.get("s3_file_key") or data.get("s3_bucket_name")
        parts = [
            "minilm" if data.get("model_uri") == "default" else _last_part(data.get("model_uri")),
            "movie-reviews" if source == "default" else _last_part(source),
        ]
    slugs = [slug for part in parts if (slug := _slug(part))] or ["tune"]
    if not slugs[0][0].isalpha():
        slugs.insert(0, "tune")
    return f"{_fit(slugs, MAX_NAME_LENGTH - len(suffix) - 1)}-{suffix}"


def _is_custom(data: Data) -> bool:
    return any(data.get(f"objective_{part}") for part in ("function", "source", "image", "command"))


def _is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _kind(model_uri: str, transformer_type: str) -> Kind:
    """What is known of models like this one, from the name and the type."""
    name = model_uri.lower()
    size = SIZE.search(name)
    millions = NAMED.get(model_uri) or (
        float(size[1]) * {"m": 1, "b": 1000}[size[2]] if size else math.inf
    )
    if millions < SMALL_MILLIONS or SMALL_NAMES.search(name):
        return "small"
    if transformer_type in NEW_HEADS and (millions < LARGE_MILLIONS or not size):
        return "new head"
    return "little" if millions < LARGE_MILLIONS else "large"


def _known_of(spec: TuneSpec) -> dict[str, Prior]:
    return _known(spec.method, spec.model_uri, spec.transformer_type)


def _known(method: str, model_uri: str, transformer_type: str) -> dict[str, Prior]:
    kind = _kind(model_uri, transformer_type)
    small = kind == "small"
    length = LENGTHS.get(transformer_type, KNOWN_GOOD["max_length"].known_good)
    return {
        **KNOWN_GOOD,
        "learning_rate": LEARNING_RATES["full" if method == "full" else "lora", kind],
        "per_device_train_batch_size": Prior(16 if small else 8, BATCH),
        "lora_dropout": SMALL_DROPOUT if small else KNOWN_GOOD["lora_dropout"],
        "max_length": replace(KNOWN_GOOD["max_length"], known_good=length),
    }


def _complete_data(done: dict[str, Any]) -> None:
    if done.get("dataset") == "default":
        for field, value in SHIPPED_DATASET.items():
            done.setdefault(field, value)
    typed = done.get("training_parameters")
    length = LENGTHS.get(_type(done))
    if length and not (isinstance(typed, Mapping) and "max_length" in typed):
        done.setdefault("max_length", length)


def _type(data: Data) -> str:
    return str(data.get("transformer_type", FIELDS["transformer_type"].default))


def _complete_hyperparameters(done: dict[str, Any]) -> None:
    """The default search space if nothing is searched; known-good values for the rest."""
    method = done.get("method", FIELDS["method"].default)
    known = _known(str(method), str(done.get("model_uri", "")), _type(done))
    typed = {field: done.get(field, {}) for field in FIXED}
    if not all(isinstance(group, Mapping) for group in typed.values()):
        return
    searched = any(is_searched(v) for group in typed.values() for v in group.values())
    space = {} if searched else _space(str(done.get("algorithm_name")), known["learning_rate"])
    for field, names in FIXED.items():
        if field == "lora_config" and method == "full":
            continue
        filled = {name: space.get(name, known[name].known_good) for name in names}
        if not searched and field == "training_parameters":
            filled |= _resource(done)
        done[field] = {**typed[field], **{k: v for k, v in filled.items() if k not in typed[field]}}


def _space(algorithm: str, rate: Prior) -> dict[str, dict[str, Any]]:
    """The default search space, in the form that the algorithm can search."""
    line = {"parameter_type": "double", "min": rate.low, "max": rate.high}
    ranks: dict[str, Any] = {"parameter_type": "discrete", "list": list(RANKS)}
    if algorithm == "grid":
        return {"learning_rate": _log_points(rate), "r": ranks}
    if algorithm == "pbt":
        return {"learning_rate": {**line, "step": rate.low}, "r": ranks}
    if algorithm == "cmaes":
        ranks = {"parameter_type": "int", "min": RANKS[0], "max": RANKS[-1]}
    return {"learning_rate": {**line, "distribution": "logUniform"}, "r": ranks}


def _log_points(rate: Prior) -> dict[str, Any]:
    ratio = rate.high / rate.low
    points = [float(f"{rate.low * ratio ** (i / 4):.1e}") for i in range(5)]
    return {"parameter_type": "discrete", "list": points}


def _resource(done: Data) -> dict[str, Any]:
    """hyperband spends its resource, which must be searched."""
    if done.get("algorithm_name") != "hyperband":
        return {}
    return {"num_train_epochs": {"parameter_type": "int", "min": 1, "max": 9}}


def _complete_objective(done: dict[str, Any]) -> None:
    if not _is_custom(done):
        metric = tasks.OBJECTIVES.get(_type(done), FIELDS["objective_metric_name"].default)
        done.setdefault("objective_metric_name", metric)
    if metric := str(done.get("objective_metric_name", "")):
        done.setdefault("objective_type", tasks.direction(metric))


def _complete_algorithm(done: dict[str, Any]) -> None:
    name, settings = done.get("algorithm_name"), done.get("algorithm_settings", {})
    known = isinstance(name, str) and name in algorithms.ALGORITHMS
    if not known or not isinstance(settings, Mapping):
        return
    settings = algorithms.with_defaults(str(name), settings)
    if name == "hyperband" and "r_l" not in settings:
        resource = _searched(done).get(settings["resource_name"])
        if resource and resource.max is not None:
            settings["r_l"] = str(resource.max)
    if settings:
        done["algorithm_settings"] = settings


def _complete_counts(done: dict[str, Any]) -> None:
    """The counts that were not asked for follow the one that was, or the algorithm's needs."""
    algorithm = done.get("algorithm_name")
    if algorithm == "hyperband":
        _complete_hyperband_counts(done)
    points = math.prod(value.size for value in _searched(done).values())
    if algorithm == "grid" and 1 <= points < _default("max_trial_count"):
        done.setdefault("max_trial_count", int(points))
    trials = _whole(done.get("max_trial_count"))
    for field in ("parallel_trial_count", "max_failed_trial_count"):
        if trials is not None and 1 <= trials < _default(field):
            done.setdefault(field, trials)


def _complete_hyperband_counts(done: dict[str, Any]) -> None:
    try:
        width = algorithms.hyperband_width(done.get("algorithm_settings", {}))
    except (ValueError, TypeError):  # wrong settings: the spec says so
        return
    trials = _whole(done.get("max_trial_count"))
    if trials is not None and trials < width:  # the spec says so
        return
    done.setdefault("parallel_trial_count", max(width, _default("parallel_trial_count")))
    parallel = _whole(done["parallel_trial_count"])
    if parallel is not None and parallel > _default("max_trial_count"):
        done.setdefault("max_trial_count", parallel)


def _searched(data: Data) -> dict[str, Parameter]:
    """The searched hyperparameters that can be read; what cannot, the spec refuses."""
    found = {}
    for field in HYPERPARAMETER_FIELDS:
        group = data.get(field)
        for name, value in group.items() if isinstance(group, Mapping) else ():
            if is_searched(value):
                try:
                    found[str(name)] = Parameter.model_validate(value)
                except ValidationError:
                    continue
    return found


def _default(field: str) -> int:
    return int(FIELDS[field].default)


def _whole(value: object) -> int | None:
    """A count as typed, a number or its text."""
    try:
        return int(str(value))
    except ValueError:
        return None


def _feasible(target: Scalar, space: Parameter) -> Scalar:
    """The value in `space` that is nearest to `target`; its middle or first if there is none."""
    if not space.is_range:
        return _nearest_choice(target, space.list or ())
    low, high = space.min, space.max
    assert low is not None and high is not None  # a checked spec
    if not _is_number(target):
        log = space.distribution == "logUniform"
        target = math.sqrt(low * high) if log else (low + high) / 2
    assert isinstance(target, (int, float))
    return _on_grid(min(max(target, low), high), space, low, high)


def _on_grid(value: float, space: Parameter, low: Number, high: Number) -> Number:
    step = space.step or (1 if space.parameter_type == "int" else None)
    if step is None:
        return value
    steps = min(round((value - low) / step), math.floor((high - low) / step + 1e-9))
    if space.parameter_type == "int":
        return int(low + steps * step)
    # NB: in floats 0.1 + 2 * 0.1 is 0.30000000000000004, no point of anybody's grid.
    return min(float(Decimal(str(low)) + steps * Decimal(str(step))), high)


def _nearest_choice(target: Scalar, choices: tuple[Scalar, ...]) -> Scalar:
    same = [choice for choice in choices if str(choice).lower() == str(target).lower()]
    if same or not _is_number(target) or not all(map(_is_number, choices)):
        return (same or choices)[0]
    numbers = [choice for choice in (target, *choices) if isinstance(choice, (int, float))]
    scale = math.log if all(number > 0 for number in numbers) else float
    return min(numbers[1:], key=lambda choice: abs(scale(choice) - scale(numbers[0])))


def _last_part(uri: object) -> str:
    """`hf://meta-llama/Llama-3.2-1B` -> `Llama-3.2-1B`, `data/reviews.csv` -> `reviews`."""
    text = str(uri or "").rstrip("/")
    if text.startswith("package:"):
        text = text.removeprefix("package:").partition("/")[0]
    last = re.split(r"[/@]", text)[-1]
    return re.sub(r"\.(csv|json|jsonl|parquet|txt)$", "", last)


def _slug(text: object) -> str:
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")


def _fit(slugs: list[str], length: int) -> str:
    """The parts joined, the longest one cut until they fit."""
    while len("-".join(slugs)) > length:
        longest = max(range(len(slugs)), key=lambda index: len(slugs[index]))
        slugs[longest] = slugs[longest][:-1]
    return "-".join(slug.strip("-") for slug in slugs)
