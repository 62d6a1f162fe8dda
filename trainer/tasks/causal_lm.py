"""Causal language models: which rows, what of them is learned, how batches are made and scored."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM

from trainer import data, model, prompts, tokens
from trainer.config import ALL, TrialConfig
from trainer.conversations import Layout, Turns, check_layout, find_layout
from trainer.errors import TrialError
from trainer.model import Weights
from trainer.reading import Splits
from trainer.tasks.base import NO_LABEL, Collator, Encoded, Features, Task, Warn

PACKING_TOLERANCE = 1e-3
PLAINLY = (
    "The tokenizer has no chat template, so turns are written plainly, as `User: …` and "
    "`Assistant: …` (prompt_template plain)."
)


@dataclass(frozen=True)
class CausalLM(Task):
    """Conversations to train on and to evaluate on, and how they are written and learned."""

    train: tuple[Turns, ...]
    eval: tuple[Turns, ...]
    layout: Layout
    prompt_template: str | None
    learns_all: bool
    packs: bool
    trims: bool = False  # whether the network can leave out logits that no label is for

    peft_task_type: ClassVar[str] = "CAUSAL_LM"

    @classmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        layout = find_layout(data.take(splits, config.split), config)
        train, held_out = data.train_and_eval(
            splits,
            config,
            complete=lambda rows, spec: _complete(rows, layout, spec, warn),
            strata=layout.strata,
        )
        return cls(
            _turns(train, layout),
            _turns(held_out, layout),
            layout,
            config.prompt_template,
            config.loss_on == ALL,
            config.packing,
        )

    def counts(self) -> dict[str, Any]:
        return {"train": len(self.train), "eval": len(self.eval), "form": self.layout.form.name}

    def load_network(self, weights: Weights, processor: Any) -> Any:
        network = model.load(AutoModelForCausalLM, weights)
        network.config.use_cache = False  # NB: with a cache a model does not see what is packed.
        return network

    def knowing(self, network: Any, warn: Warn) -> Self:
        if self.packs:
            check_packing(network)
        taken = inspect.signature(network.forward).parameters
        trims = {"logits_to_keep", "position_ids"} <= set(taken)
        if trims and (head := network.get_output_embeddings()) is not None:
            head.register_forward_pre_hook(_in_one_piece)
        return replace(self, trims=trims)

    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        if max_length is None:
            raise TrialError("BadParameter", "A language model needs --max-length.")
        template = self._template(processor)
        plainly = template != self.layout.template(self.prompt_template, processor)
        train, notes = self._rows(self.train, "train on", template, processor, max_length)
        held_out, more = self._rows(self.eval, "evaluate on", template, processor, max_length)
        for found, rows, what in ((train, self.train, "train"), (held_out, self.eval, "evaluate")):
            if not found:
                raise TrialError(
                    "EmptyDataset", f"None of {len(rows)} rows to {what} on has anything to learn."
                )
        facts = {
            "prompt_template": template,
            "tokens": sum(len(row["input_ids"]) for row in train),
            "learned_tokens": sum(_count(row) for row in train),
        }
        if self.packs:
            train = tokens.packed(train, max_length)
            facts["sequences"] = len(train)
        held_out.sort(key=lambda row: len(row["input_ids"]))
        return Encoded(train, held_out, facts, [PLAINLY] * plainly + notes + more)

    def _template(self, processor: Any) -> str:
        """The prompt template that holds, which needs nothing that the tokenizer lacks."""
        template = self.layout.template(self.prompt_template, processor)
        return "plain" if template == prompts.CHAT and not processor.chat_template else template

    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> list[Features]:
        assert max_length is not None and not self.packs  # see encode, and config
        turns = _turns(rows, self.layout)
        return self._rows(turns, "train on", self._template(processor), processor, max_length)[0]

    def _rows(
        self, rows: Sequence[Turns], what: str, template: str, processor: Any, limit: int
    ) -> tuple[list[Features], list[str]]:
        """The rows as tokens and labels, with notes of those that were cut or left out."""
        pieces = [prompts.render(template, turns, processor) for turns in rows]
        if self.learns_all:
            pieces = [[prompts.Piece(p.text, True) for p in row] for row in pieces]
        begins = template != prompts.CHAT
        whole = tokens.tokenized(pieces, processor, begins=begins)
        cut = [tokens.fitted(*row, limit, processor.bos_token_id) for row in whole]
        found = [row for row in (tokens.row_of(*each) for each in cut) if row]
        of = f"of {len(rows)} rows to {what}"
        notes = []
        if too_long := sum(len(ids) > limit for ids, _ in whole):
            notes.append(f"{too_long} {of} are longer than {limit} tokens and were cut.")
        if left_out := len(rows) - len(found):
            notes.append(f"{left_out} {of} have nothing to learn and were left out.")
        return found, notes

    def collator(self, processor: Any) -> Collator:
        return Batches(processor.pad_token_id or 0, self.trims)

    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (tokens.right_tokens(logits, labels),)

    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        right, counts = found[0], (labels != NO_LABEL).sum(1)
        return {
            "token_accuracy": float(right.sum() / counts.sum()),
            "accuracy": float((right == counts).mean()),
        }

    def of_loss(self, loss: float) -> dict[str, float]:
        return {"perplexity": tokens.perplexity(loss)}


TASK = CausalLM


def _in_one_piece(head: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """NB: given a part of a tensor, PyTorch copies the head's weights for each row of a batch."""
    return (given[0].contiguous(), *given[1:])


def _count(row: Features) -> int:
    return sum(label != NO_LABEL for label in row["labels"])


def _complete(rows: Dataset, layout: Layout, spec: str, warn: Warn) -> Dataset:
    """The rows from which something can be learned; none left is EmptyDataset."""
    check_layout(rows, layout, f"split {spec!r}")
    kept = [i for i, turns in enumerate(layout.read(rows)) if turns]
    columns = " and ".join(repr(layout.columns[key]) for key in layout.form.needed)
    lost = {f"lack {columns}": len(rows) - len(kept)}
    return data.usable(rows, kept, spec, lost, f"No row of {spec!r} has {columns}.", warn)


def _turns(rows: Dataset, layout: Layout) -> tuple[Turns, ...]:
    return tuple(turns for turns in layout.read(rows) if turns)


@dataclass(frozen=True)
class Batches:
    """Makes a batch of rows, padded to the longest.

    Rows are padded on the left, so that answers stand together at the end, and the network need
    not compute logits where no row has a label; with a vocabulary of 49,000 these are most of the
    memory. Packed rows are padded on the right without a mask: positions tell who sees whom.
    """

    pad_id: int
    trims: bool

    def __call__(self, features: list[Features]) -> dict[str, Any]:
        longest = max(len(row["input_ids"]) for row in features)
        is_packed = "position_ids" in features[0]
        from_left = self.trims and not is_packed
        batch = {
            name: torch.tensor([_padded(row[name], longest, filler, from_left) for row in features])
            for name, filler in (("input_ids", self.pad_id), ("labels", NO_LABEL))
        }
        if is_packed:
            positions = (row["position_ids"] for row in features)
            batch["position_ids"] = torch.tensor(
                [[*p, *range(longest - len(p))] for p in positions]
            )
            return batch
        ones = ([1] * len(row["input_ids"]) for row in features)
        mask = torch.tensor([_padded(row, longest, 0, from_left) for row in ones])
        batch["attention_mask"] = mask
        return _trimmed(batch, mask, longest) if from_left else batch


def _trimmed(batch: dict[str, Any], mask: torch.Tensor, longest: int) -> dict[str, Any]:
    wanted = (batch["labels"] != NO_LABEL).any(0)
    kept = longest - int(wanted.int().argmax()) if wanted.any() else 1
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    labels = batch["labels"][:, -kept:]
    return {**batch, "labels": labels, "position_ids": positions, "logits_to_keep": kept}


def _padded(values: list[int], size: int, filler: int, from_left: bool) -> list[int]:
    fill = [filler] * (size - len(values))
    return fill + values if from_left else values + fill


def check_packing(network: Any) -> None:
    """BadParameter unless rows that are packed give the same logits as by themselves."""
    chance = torch.Generator().manual_seed(0)
    row = torch.randint(network.config.vocab_size, (1, 6), generator=chance).to(network.device)
    positions = torch.tensor([[0, 1, 2, 0, 1, 2]], device=network.device)
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            alone = network(input_ids=row[:, 3:]).logits
            together = network(input_ids=row, position_ids=positions).logits[:, 3:]
        found = float((alone - together).abs().max() / alone.abs().max())
    except TypeError:
        found = float("inf")
    network.train(was_training)
    if not found <= PACKING_TOLERANCE:
        raise TrialError(
            "BadParameter",
            f"{type(network).__name__} lets packed rows see each other; leave out --packing.",
        )
