"""Hugging Face's Trainer, made to count every row once: any number of processes, the same numbers.

What it leaves to chance with several processes: it repeats rows to fill the last batch, in training
and in the evaluation's loss; some models take no notice of how many rows a whole step has, and then
gradients and losses are too large by the number of processes and of accumulated batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from transformers import (
    EvalPrediction,
    Trainer,
    TrainingArguments,
)
from transformers.trainer_pt_utils import LengthGroupedSampler

from trainer.costs import Costs
from trainer.errors import TrialError
from trainer.result import Recorder
from trainer.tasks.base import NO_LABEL, Changing, Task

PART = 2**22  # logits of which the loss is computed at a time; 16 MB as float32
LOOK_EVERY = 16  # steps


class WatchedTrainer(Trainer):
    """The Trainer, with a loss that must stay finite and evaluations that can be compared."""

    def __init__(
        self, task: Task, recorder: Recorder, train_dataset: Sequence[Any], **options: Any
    ) -> None:
        self._task = task
        self._recorder = recorder
        is_stream = isinstance(train_dataset, IterableDataset)
        super().__init__(
            train_dataset=train_dataset if is_stream else Filled(train_dataset),
            compute_loss_func=self._loss,
            compute_metrics=self._scores,
            preprocess_logits_for_metrics=self._digest,
            **options,
        )
        self._loss_shifts_labels = False  # NB: else labels at the first position are not counted.
        self.costs = Costs(_gpus(self.args))

    def begin_epoch(self, epoch: int) -> None:
        """Tells rows and collator which epoch it is, so that what they draw can depend on that and
        not on how often they were asked."""
        # NB: accelerate tells a dataset, but not with several processes.
        for part in (self.train_dataset, self.data_collator):
            if isinstance(part, Changing):
                part.begin_epoch(epoch)

    def training_step(self, model: Any, inputs: Any, *more: Any) -> torch.Tensor:
        loss: torch.Tensor = super().training_step(model, inputs, *more)
        self.costs.count(inputs, _has_label(inputs["labels"]).any(1), loss)
        step = self.state.global_step + 1
        if is_looked_at(step, loss.device.type) and not torch.isfinite(loss):
            raise TrialError(
                "Diverged",
                f"The training loss became {loss.item()} in step {step}; try a smaller learning "
                "rate or a warm-up.",
            )
        return loss

    def floating_point_ops(self, inputs: Any) -> int:
        """Nothing: the Trainer walks through all weights in each step for a sum nobody reads."""
        return 0

    def evaluate(self, *args: Any, **options: Any) -> dict[str, float]:
        with self._recorder.phase("eval"):
            found: dict[str, float] = super().evaluate(*args, **options)
        return found

    def evaluation_loop(self, *args: Any, **options: Any) -> Any:
        # NB: the Trainer's own loss counts the rows that fill the last batches, too.
        output = super().evaluation_loop(*args, **options)
        output.metrics["eval_loss"] = output.metrics.pop("eval_row_loss")
        output.metrics.update(self._costs_so_far())
        return output

    def _costs_so_far(self) -> dict[str, float]:
        seconds = self._recorder.seconds
        return self.costs.so_far(
            self.accelerator.gather,
            self.state.global_step,
            seconds("train"),
            seconds("eval"),
            self.args.device,
        )

    def _loss(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None
    ) -> torch.Tensor:
        """The mean over all rows of a step, wherever they are: this process' part of it."""
        logits = self._task.logits(_values(outputs))
        # Smoothed labels are for training: trials with different smoothing must be comparable.
        smoothing = self.args.label_smoothing_factor if self.model.training else 0.0
        total = cross_entropy(logits, labels, smoothing).sum()
        count = (labels != NO_LABEL).sum() if num_items_in_batch is None else num_items_in_batch
        return total / count

    def _digest(self, outputs: Any, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Of each row: its loss, how many labels it has, and what the task needs for its scores.

        The logits are not kept, nor what some models give besides, such as their cache.
        """
        logits = self._task.logits(outputs if isinstance(outputs, tuple) else (outputs,))
        losses = (
            cross_entropy(logits, labels).flatten(1)
            if labels.dim() > 1
            else (cross_entropy(logits, labels).unsqueeze(1))
        )
        return (losses.sum(1), _has_label(labels).sum(1), *self._task.digest(logits, labels))

    def _scores(self, found: EvalPrediction) -> dict[str, float]:
        losses, counts, *rest = (np.asarray(each) for each in found.predictions)
        row_loss = float(losses.sum(dtype=np.float64) / counts.sum())
        scores = self._task.score(tuple(rest), np.asarray(found.label_ids))
        return {**scores, **self._task.of_loss(row_loss), "row_loss": row_loss}

    def get_train_dataloader(self) -> Any:
        if not isinstance(self.train_dataset, IterableDataset):
            return super().get_train_dataloader()
        # NB: a stream is this process' part already; accelerate would divide it once more.
        return StreamLoader(
            self.train_dataset, self.args.train_batch_size, collate_fn=self.data_collator
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        order = super()._get_train_sampler(train_dataset)
        shared = isinstance(order, (RandomSampler, LengthGroupedSampler, SequentialSampler))
        if self.args.world_size == 1 or not shared:
            return order
        whole = 1 if self.args.dataloader_drop_last else self._rows_per_round()
        seed = self.args.data_seed if self.args.data_seed is not None else self.args.seed
        return SharedOrder(order, whole, seed)

    def _set_signature_columns_if_needed(self) -> None:
        # NB: the Trainer gives the collator only what the network takes.
        if self._signature_columns is None:
            super()._set_signature_columns_if_needed()
            self._signature_columns += self._task.for_collator

    def _rows_per_round(self) -> int:
        return int(self.args.train_batch_size * self.args.world_size)


def is_looked_at(step: int, device: str) -> bool:
    """Whether a step's loss is looked at at once, for which a GPU must first finish all its work.

    A loss that is not finite spoils the weights and all later losses, so that a later look finds
    it, too; and at the latest the next line of the log or the next evaluation does.
    """
    return device == "cpu" or step % LOOK_EVERY == 1


class StreamLoader(DataLoader[Any]):
    """Batches of a stream, which has no end and counts its epochs itself."""

    def set_epoch(self, epoch: int) -> None:
        pass


class Filled(Sequence[Any]):
    """Rows to train on, and behind them, at index `len`, a filler that does not count."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = rows

    def begin_epoch(self, epoch: int) -> None:
        """Tells rows that change from epoch to epoch, such as augmented pictures, which it is."""
        if isinstance(self._rows, Changing):
            self._rows.begin_epoch(epoch)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def __getitem__(self, index: Any) -> Any:
        if index == len(self._rows):
            return {**self._rows[0], "labels": _no_labels(self._rows[0]["labels"])}
        return self._rows[index]


def _has_label(labels: torch.Tensor) -> torch.Tensor:
    """Where a label counts; rows times labels per row."""
    return (labels != NO_LABEL).reshape(len(labels), -1)


def _gpus(args: TrainingArguments) -> int:
    """How many GPUs the trial has, all processes together."""
    return args.world_size * max(1, args.n_gpu) if args.device.type == "cuda" else 0


def _no_labels(labels: Any) -> Any:
    return [_no_labels(each) for each in labels] if isinstance(labels, list) else NO_LABEL


class SharedOrder(Sampler[int]):
    """Each epoch's order of the rows, the same on all processes and as one process has it.

    After the last row come fillers, up to a multiple of `whole`, so that every process gets as many
    batches as the others and no row is used twice.
    """

    def __init__(self, order: Any, whole: int, seed: int) -> None:
        self._order = order
        self._fill = -len(order) % whole
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._order) + self._fill

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        # As the Trainer's own on one process: the seed and the number of the epoch.
        self._order.generator = torch.Generator().manual_seed(self._seed + self._epoch)
        self._epoch += 1
        yield from self._order
        yield from [len(self._order)] * self._fill


def _values(outputs: Any) -> tuple[torch.Tensor, ...]:
    return tuple(outputs.values()) if isinstance(outputs, dict) else tuple(outputs)


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """The loss of each label, in their shape, and 0 where there is none; `logits` have one
    dimension more, the classes.

    Large logits, as of large vocabularies, are taken in parts: of what the loss needs besides them
    one part at a time is in memory, and that of rows without a label not at all.
    """
    rows, wanted = logits.reshape(-1, logits.shape[-1]), labels.to(logits.device).reshape(-1)
    if logits.numel() <= PART:
        return _losses(rows, wanted, smoothing).view(labels.shape)
    losses: torch.Tensor = InParts.apply(rows, wanted, smoothing)
    return losses.view(labels.shape)


class InParts(torch.autograd.Function):
    """The losses of many rows of logits, computed a second time for the gradients."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, wanted: torch.Tensor, smoothing: float) -> Any:
        ctx.save_for_backward(rows, wanted)
        ctx.smoothing = smoothing
        losses = rows.new_zeros(wanted.shape, dtype=torch.float32)
        for part in _parts(rows, wanted):
            losses[part] = _losses(rows[part], wanted[part], smoothing)
        return losses

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        rows, wanted = ctx.saved_tensors
        found = torch.zeros_like(rows)
        for part in _parts(rows, wanted):
            own = rows[part].detach().requires_grad_()
            with torch.enable_grad():
                losses = _losses(own, wanted[part], ctx.smoothing)
            [found[part]] = torch.autograd.grad(losses, own, gradients[0][part])
        return found, None, None


def _parts(rows: torch.Tensor, wanted: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The indices of rows with a label, so many at a time that they are PART numbers at most."""
    at = (wanted != NO_LABEL).nonzero().squeeze(1)
    return at.split(max(1, PART // rows.shape[-1]))


def _losses(rows: torch.Tensor, wanted: torch.Tensor, smoothing: float) -> torch.Tensor:
    losses: torch.Tensor = torch.nn.functional.cross_entropy(
        rows.float(),
        wanted,
        ignore_index=NO_LABEL,
        reduction="none",
        label_smoothing=smoothing,
    )
    return losses
