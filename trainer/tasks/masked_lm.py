"""Masked language models: texts row by row, masks that are drawn anew in training and fixed in
evaluation, and how the hidden tokens are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForMaskedLM

from trainer import data, model
from trainer.columns import cells, check_text, find_column
from trainer.config import OWN_DEFAULTS, TrialConfig
from trainer.conversations import USUAL
from trainer.errors import TrialError
from trainer.model import Weights
from trainer.reading import Splits
from trainer.tasks.base import NO_LABEL, Collator, Encoded, Features, Task, Warn
from trainer.tokens import perplexity, right_tokens

HIDDEN, REPLACED = 0.8, 0.1  # of the tokens to be told: by the mask, by any other; the rest stays


@dataclass(frozen=True)
class MaskedLM(Task):
    """Texts to train on and to evaluate on, and how much of them is to be told.

    In evaluation that is always 15 %, and the same tokens in every trial, so that trials with other
    seeds or probabilities can be compared.
    """

    train: tuple[str, ...]
    eval: tuple[str, ...]
    probability: float
    seed: int
    column: str

    peft_task_type: ClassVar[str | None] = None
    for_collator: ClassVar[tuple[str, ...]] = ("row",)

    @classmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        column = find_column(data.take(splits, config.split), "text", USUAL["text"], config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: _complete(rows, column, spec, warn),
            strata=lambda rows: [0] * len(rows),
        )
        texts = (tuple(cells(rows, column)) for rows in (train, held_out))
        return cls(*texts, config.mlm_probability, config.seed, column)

    def counts(self) -> dict[str, Any]:
        return {"train": len(self.train), "eval": len(self.eval)}

    def load_processor(self, weights: Weights) -> Any:
        tokenizer = model.load_tokenizer(weights)
        if tokenizer.mask_token_id is None:
            raise TrialError(
                "ModelNotFound",
                f"The model {weights.uri!r} has no mask token, so it cannot learn hidden tokens; "
                "take an encoder such as BERT, or AutoModelForCausalLM.",
            )
        return tokenizer

    def load_network(self, weights: Weights, processor: Any) -> Any:
        return model.load(AutoModelForMaskedLM, weights)

    def knowing(self, network: Any, warn: Warn) -> Self:
        if self.heads(network):
            warn(
                "The model has no head that tells hidden tokens, so a new one is trained; its "
                "perplexity begins near the size of the vocabulary."
            )
        return self

    def heads(self, network: Any) -> Sequence[str]:
        return _fresh_modules(network, network.missing_keys)

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        train, notes = _noted(self.train, "train on", processor, max_length)
        held_out, more = _noted(self.eval, "evaluate on", processor, max_length)
        usual = OWN_DEFAULTS["mlm_probability"]
        masks = Masks(usual, 0, processor.mask_token_id, len(processor))
        fixed = [masks.drawn(row) for row in held_out]
        fixed.sort(key=lambda row: len(row["input_ids"]))
        return Encoded(train, fixed, notes=notes + more)

    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> list[Features]:
        texts = cells(rows, self.column)
        kept = _whole(texts)
        found = ([each[i] for i in kept] for each in (texts, numbers))
        return _rows(*found, processor, max_length) if kept else []

    def collator(self, processor: Any) -> Collator:
        masks = Masks(self.probability, self.seed, processor.mask_token_id, len(processor))
        return Batches(processor.pad_token_id or 0, masks)

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (right_tokens(logits, labels),)

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        return {"token_accuracy": float(found[0].sum() / (labels != NO_LABEL).sum())}

    def of_loss(self, loss: float) -> dict[str, float]:
        return {"perplexity": perplexity(loss)}


TASK = MaskedLM


def _complete(rows: Dataset, column: str, spec: str, warn: Warn) -> Dataset:
    check_text(rows, column, f"split {spec!r}")
    kept = _whole(cells(rows, column))
    lost = {"have no text": len(rows) - len(kept)}
    return data.usable(rows, kept, spec, lost, f"No row of {spec!r} has a {column!r}.", warn)


def _whole(texts: Sequence[str | None]) -> list[int]:
    return [i for i, text in enumerate(texts) if text and not text.isspace()]


def _fresh_modules(network: Any, missing: Sequence[str]) -> tuple[str, ...]:
    """The modules of the head that the weights lack, but for those tied to the embedding."""
    modules = dict(network.named_modules())
    owners = dict.fromkeys(key.rpartition(".")[0] for key in missing)
    head = network.get_output_embeddings()
    return tuple(
        name
        for name in owners
        if name in modules and modules[name] is not head and not list(modules[name].children())
    )


def _noted(
    texts: Sequence[str], what: str, tokenizer: Any, limit: int | None
) -> tuple[list[Features], list[str]]:
    """The rows, with a note if some were cut; none is EmptyDataset."""
    rows = _rows(texts, range(len(texts)), tokenizer, limit)
    if not rows:
        raise TrialError("EmptyDataset", f"None of {len(texts)} rows to {what} has a token.")
    notes = []
    if full := sum(len(row["input_ids"]) == limit for row in rows):
        notes.append(f"{full} of {len(texts)} rows to {what} fill {limit} tokens; more was cut.")
    return rows, notes


def _rows(
    texts: Sequence[str], numbers: Sequence[int], tokenizer: Any, limit: int | None
) -> list[Features]:
    """Token ids; labels where a token may be hidden, all but the special ones; the row's number."""
    encoded = tokenizer(
        list(texts), truncation=True, max_length=limit, return_special_tokens_mask=True
    )
    rows = []
    columns = (encoded["input_ids"], encoded["special_tokens_mask"])
    for number, ids, special in zip(numbers, *columns, strict=True):
        labels = [NO_LABEL if mark else token for token, mark in zip(ids, special, strict=True)]
        if any(label != NO_LABEL for label in labels):
            rows.append({"input_ids": ids, "labels": labels, "row": number})
    return rows


@dataclass(frozen=True)
class Masks:
    """Hides tokens of a row by chance that depends on the seed, the epoch and the row alone: the
    same with any number of processes, and after a trial has gone on from a checkpoint."""

    probability: float
    seed: int
    mask_id: int
    vocabulary: int

    def drawn(self, row: Features, epoch: int = 0) -> Features:
        """The row with some tokens hidden, at least one, and labels for these."""
        ids, labels = np.array(row["input_ids"]), np.array(row["labels"])
        may = np.flatnonzero(labels != NO_LABEL)
        if not len(may):
            return {"input_ids": row["input_ids"], "labels": row["labels"]}
        chance = np.random.default_rng([abs(self.seed), epoch, row["row"]])
        told = may[chance.random(len(may)) < self.probability]
        told = told if len(told) else chance.choice(may, 1)
        how = chance.random(len(told))
        others = chance.integers(self.vocabulary, size=len(told))
        ids[told] = np.where(
            how < HIDDEN, self.mask_id, np.where(how < HIDDEN + REPLACED, others, ids[told])
        )
        kept = np.full(len(labels), NO_LABEL)
        kept[told] = labels[told]
        return {"input_ids": ids.tolist(), "labels": kept.tolist()}


class Batches:
    """Makes a batch of rows, padded to the longest; hides tokens of rows that are trained on."""

    def __init__(self, pad_id: int, masks: Masks) -> None:
        self._pad_id = pad_id
        self._masks = masks
        self._epoch = 0

    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __call__(self, features: list[Features]) -> dict[str, torch.Tensor]:
        rows = [self._masks.drawn(row, self._epoch) if "row" in row else row for row in features]
        longest = max(len(row["input_ids"]) for row in rows)
        whole = {"input_ids": self._pad_id, "labels": NO_LABEL}
        batch = {
            name: torch.tensor([row[name] + [filler] * (longest - len(row[name])) for row in rows])
            for name, filler in whole.items()
        }
        lengths = torch.tensor([[len(row["input_ids"])] for row in rows])
        return {**batch, "attention_mask": (torch.arange(longest) < lengths).long()}
