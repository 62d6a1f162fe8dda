"""What each transformer type is scored by, and what only some of them take.

The bot never imports the trial program; tests compare these tables with the trial program's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

SEQUENCE_CLASSIFICATION = "AutoModelForSequenceClassification"
TOKEN_CLASSIFICATION = "AutoModelForTokenClassification"
QUESTION_ANSWERING = "AutoModelForQuestionAnswering"
CAUSAL_LM = "AutoModelForCausalLM"
MASKED_LM = "AutoModelForMaskedLM"
IMAGE_CLASSIFICATION = "AutoModelForImageClassification"
LANGUAGE_MODELS = (CAUSAL_LM, MASKED_LM)

# What a trial of each type reports of its held-out rows; `eval_` stands before the names, and
# `eval_loss` is among them.
TASK_METRICS: Mapping[str, tuple[str, ...]] = {
    SEQUENCE_CLASSIFICATION: ("accuracy", "f1", "matthews"),
    TOKEN_CLASSIFICATION: ("accuracy", "precision", "recall", "f1"),
    QUESTION_ANSWERING: ("exact_match", "f1"),
    CAUSAL_LM: ("perplexity", "token_accuracy", "accuracy"),
    MASKED_LM: ("perplexity", "token_accuracy"),
    IMAGE_CLASSIFICATION: ("accuracy", "f1", "matthews"),
}
# What a trial of any type reports of its training.
TRAINING_METRICS = (
    "loss", "grad_norm", "train_loss", "train_samples_per_second", "train_tokens_per_second",
    "tokens", "peak_memory_mb", "gpu_seconds",
)  # fmt: skip
# The objective where none is asked for.
OBJECTIVES: Mapping[str, str] = {
    SEQUENCE_CLASSIFICATION: "eval_accuracy",
    TOKEN_CLASSIFICATION: "eval_f1",
    QUESTION_ANSWERING: "eval_f1",
    CAUSAL_LM: "eval_loss",
    MASKED_LM: "eval_loss",
    IMAGE_CLASSIFICATION: "eval_accuracy",
}
# What `columns` may name for each type.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    SEQUENCE_CLASSIFICATION: ("text", "label"),
    TOKEN_CLASSIFICATION: ("tokens", "tags"),
    QUESTION_ANSWERING: ("question", "context", "answers", "answer", "answer_start"),
    CAUSAL_LM: (
        "messages", "instruction", "input", "output", "prompt", "completion", "question", "answer",
        "text", "label",
    ),
    MASKED_LM: ("text",),
    IMAGE_CLASSIFICATION: ("image", "label"),
}  # fmt: skip
# What ships with katib-tune, and the types that it is for.
SHIPPED_MODELS: Mapping[str, tuple[str, ...]] = {
    "default": (SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION, QUESTION_ANSWERING, MASKED_LM),
    "smollm2": (SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION, QUESTION_ANSWERING, CAUSAL_LM),
}
SHIPPED_DATASETS: Mapping[str, tuple[str, ...]] = {
    "default": (SEQUENCE_CLASSIFICATION, CAUSAL_LM, MASKED_LM),
}
LOWER_IS_BETTER = re.compile(
    r"(^|[_|-])(loss|perplexity|ppl|error|mse|rmse|mae|runtime|seconds|memory)($|[_|-])"
)
# Fields and hyperparameters that mean something for these types alone.
ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    "num_labels": (SEQUENCE_CLASSIFICATION, TOKEN_CLASSIFICATION, IMAGE_CLASSIFICATION),
    "loss_on": (CAUSAL_LM,),
    "packing": (CAUSAL_LM,),
    "prompt_template": (CAUSAL_LM,),
    "mlm_probability": (MASKED_LM,),
    "augment": (IMAGE_CLASSIFICATION,),
}


def metrics_of(transformer_type: str) -> tuple[str, ...]:
    """Every metric that a trial of this type reports; the objective is one of them."""
    own = (f"eval_{name}" for name in ("loss", *TASK_METRICS[transformer_type]))
    return (*own, *TRAINING_METRICS)


def direction(metric: str) -> Literal["minimize", "maximize"]:
    """The direction that a metric's name stands for."""
    return "minimize" if LOWER_IS_BETTER.search(metric.lower()) else "maximize"


def table() -> str:
    """Columns, metrics and objective of every type as a Markdown table, as in the README."""
    rows = ["| `transformer_type=` | `columns.` | Metrics, beside `eval_loss` | Objective |"]
    rows.append("|---|---|---|---|")
    for kind, names in TASK_METRICS.items():
        columns = ", ".join(f"`{name}`" for name in COLUMNS[kind])
        metrics = ", ".join(f"`eval_{name}`" for name in names)
        rows.append(f"| `{kind}` | {columns} | {metrics} | `{OBJECTIVES[kind]}` |")
    return "\n".join(rows)
