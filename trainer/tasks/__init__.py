"""The transformer types, each in a file of its own, so that a trial imports only the one it has."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.tasks.base import Task

FILES = {
    "AutoModelForSequenceClassification": "sequence_classification",
    "AutoModelForTokenClassification": "token_classification",
    "AutoModelForCausalLM": "causal_lm",
    "AutoModelForMaskedLM": "masked_lm",
    "AutoModelForQuestionAnswering": "question_answering",
    "AutoModelForImageClassification": "image_classification",
}


def load(transformer_type: str) -> type[Task]:
    """The task of a transformer type."""
    module = importlib.import_module(f"trainer.tasks.{FILES[transformer_type]}")
    task: type[Task] = module.TASK
    return task
