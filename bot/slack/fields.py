"""The fields of the form: section, label, kind of input, and their values as text, both ways."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args

from bot import algorithms, prior, spec
from bot.errors import SpecError
from bot.slack import blocks as b
from bot.slack import command, quotes
from bot.slack.blocks import Element

ALWAYS: Mapping[str, str] = {
    "name": "Name",
    "model_uri": "Model",
    "dataset": "Dataset",
    "split": "Rows to train on",
    "eval_split": "Held-out rows",
    "method": "Method",
    "training_parameters": "Training parameters",
    "lora_config": "LoRA parameters",
    "objective_metric_name": "Objective metric",
    "objective_type": "Direction",
    "algorithm_name": "Search algorithm",
    "max_trial_count": "Trials in all",
    "parallel_trial_count": "Trials at the same time",
    "max_duration_seconds": "Time budget",
    "seed": "Seed",
}
SECTIONS: Mapping[str, Mapping[str, str]] = {
    "data": {
        "transformer_type": "Class of the model",
        "num_labels": "Number of classes",
        "max_length": "Tokens per text",
        "model_access_token": "Secret of the model",
        "trust_remote_code": "Run the model's own code",
        "test_split": "Rows that no trial sees",
        "streaming": "Read rows while training",
        "columns": "Columns",
        "text_column": "Column of the text",
        "label_column": "Column of the label",
        "dataset_access_token": "Secret of the dataset",
        "s3_endpoint_url": "S3 endpoint",
        "s3_bucket_name": "S3 bucket",
        "s3_file_key": "S3 key",
        "s3_region_name": "S3 region",
        "s3_access_key": "Secret of the S3 access key",
        "s3_secret_key": "Secret of the S3 secret key",
    },
    "training": {
        "quantization": "Bits of the model's weights",
        "attn_implementation": "Attention",
        "loss_on": "Tokens that count",
        "packing": "Several texts in a row",
        "checkpoints": "Save checkpoints",
        "save_best": "Keep the best weights",
        "retry_out_of_memory": "Once more with half the batch",
    },
    "objective": {
        "objective_goal": "Goal",
        "objective_strategy": "Value that counts",
        "additional_metric_names": "Further metrics",
        "objective_function": "Function of a custom objective",
        "objective_source": "Python source of a custom objective",
        "objective_image": "Image of a custom objective",
        "objective_command": "Command in the image",
        "parameters": "Parameters of a custom objective",
    },
    "search": {
        "known_good_trial": "Known-good default as trial 0",
        "algorithm_settings": "Settings of the algorithm",
        "early_stopping": "Early stopping",
        "early_stopping_settings": "Settings of early stopping",
        "max_failed_trial_count": "Failed trials that end it",
        "trial_active_deadline_seconds": "Time for one trial",
    },
    "resources": {
        "num_workers": "Workers",
        "num_procs_per_worker": "Processes per worker",
        "cpu": "CPUs",
        "memory": "Memory",
        "gpu": "GPUs",
        "storage_size": "Size of the volume",
        "storage_class": "Storage class",
        "storage_access_modes": "Access modes of the volume",
    },
    "cluster": {
        "namespace": "Namespace",
        "env_per_trial": "Environment of a trial",
        "packages_to_install": "Packages to install",
        "pip_index_urls": "Package indexes",
        "retain_trials": "Keep finished trials",
        "metrics_collector": "Metrics collector",
        "resume_policy": "Resume policy",
    },
}
SECTION_TITLES: Mapping[str, str] = {
    "data": "Model and data",
    "training": "Language models, memory, weights",
    "objective": "Objective, custom objective",
    "search": "Search and budget",
    "resources": "Resources of a trial",
    "cluster": "Cluster",
}
NONE = "none"  # a choice that leaves an optional field empty
EMPTY = "[]"  # no line, where none would mean the default
DEFAULTS: Mapping[str, Any] = {
    name: field.get_default(call_default_factory=True) for name, field in spec.FIELDS.items()
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": spec.choices("method"),
    "transformer_type": spec.choices("transformer_type"),
    "objective_type": spec.choices("objective_type"),
    "objective_strategy": (NONE, *map(str, get_args(spec.Strategy))),
    "algorithm_name": tuple(n for n, a in algorithms.ALGORITHMS.items() if not a.refused),
    "early_stopping": (NONE, *algorithms.EARLY_STOPPING),
    "quantization": (NONE, *spec.choices("quantization")),
    "loss_on": (NONE, *spec.choices("loss_on")),
    "attn_implementation": (NONE, *spec.choices("attn_implementation")),
    **{name: ("true", "false") for name, value in DEFAULTS.items() if isinstance(value, bool)},
    "metrics_collector": spec.choices("metrics_collector"),
    "resume_policy": spec.choices("resume_policy"),
}
WHOLE = (
    "seed", "max_trial_count", "parallel_trial_count", "max_failed_trial_count", "num_labels",
    "max_length", "num_workers", "num_procs_per_worker", "gpu",
)  # fmt: skip
DURATIONS = ("max_duration_seconds", "trial_active_deadline_seconds")
LINES = (
    "additional_metric_names", "objective_command", "packages_to_install", "pip_index_urls",
    "storage_access_modes",
)  # fmt: skip
PAIRS = ("algorithm_settings", "early_stopping_settings", "env_per_trial", "columns")
MULTILINE = (*spec.HYPERPARAMETER_FIELDS, *LINES, *PAIRS, "objective_source")
PLACEHOLDERS: Mapping[str, str] = {
    "training_parameters": "learning_rate=1e-5..1e-3:log",
    "lora_config": "r=8,16,32",
    "parameters": "a=10..20",
    "max_duration_seconds": "2h",
    "trial_active_deadline_seconds": "30m",
    "env_per_trial": "NAME=value",
    "columns": "text=review",
    "algorithm_settings": "gamma=0.25",
    "early_stopping_settings": "min_trials_required=3",
    "memory": "10Gi",
    "objective_source": "def objective(parameters): …",
}
HYPERPARAMETER_HINT = (
    "One name=value per line: a range as 1e-5..1e-3:log, a list as 8,16,32, or one fixed value."
)
FOLLOWS = "Left as it is, it follows the model and the method."


def label(field: str, words: str) -> str:
    """Trials in all (max_trial_count): words for people, and the word to type."""
    return words if words.lower() == field else f"{words} ({field})"


def hints(filled: Mapping[str, Any]) -> dict[str, str]:
    """What stands under each input: the spec's description, and for ranges why they are so."""
    found = {
        name: str(field.description or "").replace("`", "") for name, field in spec.FIELDS.items()
    }
    found["name"] += f" When it is empty: {prior.suggest_name(filled, '…')}"
    found["max_duration_seconds"] = "Wall-clock budget, as 90s, 30m, 2h or 1h30m."
    found["trial_active_deadline_seconds"] = "A trial that takes longer is ended; as 30m or 2h."
    for field in (*LINES, *PAIRS):
        found[field] += " One per line."
    for field in spec.HYPERPARAMETER_FIELDS:
        found[field] = f"{HYPERPARAMETER_HINT} {_reasons(filled, field)}".strip()
    found["lora_config"] += " For method lora alone."
    return found


def _reasons(filled: Mapping[str, Any], field: str) -> str:
    """Why the searched ones are searched so; "" when the spec cannot be run yet."""
    try:
        wanted = spec.read({**filled, "name": "form"})
    except SpecError:
        return ""
    known = {
        name: prior.why(name, wanted) for name in getattr(wanted, field) if name in wanted.searched
    }
    reasons = [f"{name}: {why}" for name, why in known.items() if why]
    return " ".join([FOLLOWS, *reasons[:2]] if reasons else [])


def element(field: str, text: str, action_id: str) -> Element:
    """The input of a field, holding its text."""
    if field in CHOICES:
        # NB: what was typed may be no choice; it is shown, so that it can be refused and seen.
        choices = CHOICES[field] if text in (*CHOICES[field], "") else (*CHOICES[field], text)
        return b.select(action_id, {b.clip(c, b.MAX_OPTION): c for c in choices}, text)
    placeholder = PLACEHOLDERS.get(field, "")
    return b.text_input(action_id, text, placeholder=placeholder, multiline=field in MULTILINE)


def show(field: str, value: Any) -> str:
    """The text of a value of spec data; "" for none."""
    if value is None:
        return NONE if NONE in CHOICES.get(field, ()) else ""
    for kind, (_read, write) in KINDS.items():
        if field in kind:
            return write(field, value)
    return str(value) if field in MULTILINE else _quoted(str(value)) if value else ""


def read(field: str, text: str) -> Any:
    """The value that a text of the form stands for.

    Raises:
        SpecError: it cannot be read; `field` is set.
    """
    for kind, (parse, _write) in KINDS.items():
        if field in kind:
            return parse(field, text)
    return text if field in MULTILINE else _unquoted(field, text.strip())


def _read_hyperparameters(field: str, text: str) -> dict[str, Any]:
    return command.parse_hyperparameters(text, field)


def _show_hyperparameters(field: str, value: Any) -> str:
    return command.show_hyperparameters(value, field) if isinstance(value, Mapping) else str(value)


def _read_choice(_field: str, text: str) -> Any:
    return {NONE: None, "true": True, "false": False}.get(text, text)


def _show_choice(_field: str, value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_whole(field: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise SpecError(f"`{field}` must be a whole number, not `{text}`.", field=field) from error


def _read_goal(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SpecError(f"`{field}` must be a number, not `{text}`.", field=field) from error


def _read_duration(field: str, text: str) -> int:
    seconds = quotes.read_duration(text.strip())
    if seconds is None:
        raise SpecError(f"`{field}` is a time like 90s, 30m or 2h, not `{text}`.", field=field)
    return seconds


def _show_duration(_field: str, value: Any) -> str:
    return quotes.show_duration(value) if isinstance(value, int) else str(value)


def _read_lines(field: str, text: str) -> list[str]:
    if text.strip() == EMPTY:
        return []
    return [_unquoted(field, line.strip()) for line in text.splitlines() if line.strip()]


def _show_lines(field: str, value: Any) -> str:
    if not value and DEFAULTS[field]:
        return EMPTY
    items = re.split(r"[,\s]+", value.strip()) if isinstance(value, str) else value
    return "\n".join(_quoted(str(item)) for item in items)


def _read_pairs(field: str, text: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if line.strip() and not equals:
            raise SpecError(
                f"`{line.strip()}` is no `name=value`.", hint="One per line.", field=field
            )
        if line.strip():
            pairs[name.strip()] = _unquoted(field, value.strip())
    return pairs


def _show_pairs(_field: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return "\n".join(f"{name}={_quoted(_text(item))}" for name, item in value.items())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    """`text` as it is, or in quotes where a line would not give it back."""
    plain = text and text == text.strip() and len(text.splitlines()) == 1
    return text if plain and text[0] not in quotes.QUOTES else quotes.quote(text)


def _unquoted(field: str, text: str) -> str:
    if not text or text[0] not in quotes.QUOTES:
        return text
    try:
        inner, end = quotes.read_quoted(text, 0)
    except quotes.Unreadable as error:
        raise SpecError(error.message, hint=error.hint, field=field) from error
    return inner if end == len(text) else text


Read = Callable[[str, str], Any]
Show = Callable[[str, Any], str]
KINDS: Mapping[tuple[str, ...], tuple[Read, Show]] = {
    spec.HYPERPARAMETER_FIELDS: (_read_hyperparameters, _show_hyperparameters),
    tuple(CHOICES): (_read_choice, _show_choice),
    WHOLE: (_read_whole, lambda _field, value: str(value)),
    ("objective_goal",): (_read_goal, lambda _field, value: repr(value)),
    DURATIONS: (_read_duration, _show_duration),
    LINES: (_read_lines, _show_lines),
    PAIRS: (_read_pairs, _show_pairs),
}
