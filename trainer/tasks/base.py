"""What a transformer type decides: its rows and columns, its head, its batches, and how it scores.

Everything else is the same for all of them. Labels are NO_LABEL where they do not count. A task
gives every row `labels` of a fixed meaning (one per row, or one per token, …) and `logits` to
match, with one more dimension, the classes; the loss is the cross-entropy between them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import torch
from datasets import Dataset

from trainer import model
from trainer.config import TrialConfig
from trainer.model import Warn, Weights
from trainer.reading import Splits

NO_LABEL = -100  # PyTorch's mark for a label that does not count
Features = dict[str, Any]
Collator = Callable[[list[Features]], Mapping[str, torch.Tensor]]


@runtime_checkable
class Changing(Protocol):
    """Rows to train on, or a collator, that make what is trained on anew for every epoch."""

    def begin_epoch(self, epoch: int) -> None:
        """From now on the rows are those of this epoch, counted from 0."""


@dataclass(frozen=True)
class Encoded:
    """What the network is given: the rows to train on, and the rows to evaluate on in the order
    that costs the least padding; `facts` of them join the `rows` of a result."""

    train: Sequence[Features]
    eval: Sequence[Features]
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()  # what is to be said of them


class Task(ABC):
    """One transformer type, with the rows of one trial."""

    peft_task_type: ClassVar[str | None]  # what LoRA must know so that a new head is trained, too
    for_collator: ClassVar[tuple[str, ...]] = ()  # what rows have that the network does not take

    @classmethod
    @abstractmethod
    def read(cls, splits: Splits, config: TrialConfig, warn: Warn) -> Self:
        """Takes the rows that the configuration names out of the splits; or TrialError."""

    @abstractmethod
    def counts(self) -> dict[str, Any]:
        """The `rows` of a result: `train`, `eval`, and what else is worth knowing of them."""

    def load_processor(self, weights: Weights) -> Any:
        """What makes the network's input: a tokenizer, or an image processor."""
        return model.load_tokenizer(weights)

    @abstractmethod
    def load_network(self, weights: Weights, processor: Any) -> Any:
        """The network with the head that this task needs, in float32, on the CPU."""

    def heads(self, network: Any) -> Sequence[str]:
        """Modules that are new, so that LoRA must train them whole, beside those peft knows of."""
        return ()

    def longest(self, asked: int, processor: Any, network: Any, warn: Warn) -> int | None:
        """Tokens per row: what was asked, or what the model can take if that is less."""
        return model.longest(asked, processor, network, warn)

    def knowing(self, network: Any, warn: Warn) -> Self:
        """This task, for that network as it was loaded; or TrialError if it cannot be."""
        return self

    @abstractmethod
    def encode(self, processor: Any, max_length: int | None) -> Encoded:
        """The rows as the network takes them, not padded.

        Numbers in lists, and more of them than the network takes if the collator leaves these out.
        """

    def keep(self, encoded: Encoded) -> None:  # noqa: B027
        """Takes out of the encoded rows what the scores need besides what `digest` finds.

        Called once, before the first evaluation. What another trial has encoded is not encoded
        again, so nothing of this can be left to `encode`.
        """

    @abstractmethod
    def encode_rows(
        self, rows: Dataset, numbers: Sequence[int], processor: Any, max_length: int | None
    ) -> Sequence[Features]:
        """More rows to train on, those of a stream, as `encode` gives them; or TrialError.

        Args:
            numbers: of each row its number in the stream, which no other row has in any epoch; what
                is drawn by chance for a row may depend on it.
        """

    @abstractmethod
    def collator(self, processor: Any) -> Collator:
        """Makes a batch of some rows, padded to the longest of them."""

    def logits(self, outputs: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """What the labels are compared with, of all that the network gives."""
        return outputs[0]

    @abstractmethod
    def digest(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What an evaluation keeps of a batch, one row of each tensor per row of the batch.

        It is computed where the logits are, so that these, which may be large, need not be kept.
        """

    @abstractmethod
    def score(self, found: tuple[np.ndarray, ...], labels: np.ndarray) -> dict[str, float]:
        """The task's metrics, as `config.TASK_METRICS` names them, of all rows' digests and labels.

        Rows of different lengths are filled with NO_LABEL.
        """

    def of_loss(self, loss: float) -> dict[str, float]:
        """The task's metrics that follow from the evaluation's loss."""
        return {}
