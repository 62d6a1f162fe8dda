"""What a trial has cost so far: rows, tokens, seconds, memory, over all of its processes.

Counted while it trains without waiting for the device; the processes' counts are put together at an
evaluation only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from trainer import result

Gather = Callable[[torch.Tensor], torch.Tensor]


class Costs:
    """Sums over all steps of a training.

    Args:
        gpus: how many GPUs the trial has, all processes together; 0 on CPUs.
    """

    def __init__(self, gpus: int) -> None:
        self._gpus = gpus
        self._loss, self._rows, self._tokens = 0.0, 0, 0
        self._new: list[torch.Tensor] = []

    def count(
        self, batch: Mapping[str, torch.Tensor], real: torch.Tensor, loss: torch.Tensor
    ) -> None:
        """Adds one batch of this process; `real` says of each row whether it has a label."""
        found = (loss.detach().float(), real.sum(), _tokens(batch, real))
        new = [each.to(loss.device) for each in found]
        self._new = (
            [a.to(b.device) + b for a, b in zip(self._new, new, strict=True)] if self._new else new
        )

    def so_far(
        self, gather: Gather, steps: int, train_s: float, eval_s: float, device: torch.device
    ) -> dict[str, float]:
        """The costs as metrics; all processes must ask together.

        Args:
            steps: optimizer steps since the training began, before an interruption, too.
            train_s, eval_s: seconds since the training began, before an interruption, too.

        Returns:
            train_loss: mean over all steps. tokens: without padding; left out if a row has none.
            train_samples_per_second, train_tokens_per_second: without the time of evaluations.
            peak_memory_mb: of the process that has most; of its GPU if there is one.
            gpu_seconds: GPUs times seconds, evaluations included; left out on CPUs.
        """
        peak = torch.tensor([_peak_memory_mb(device)], dtype=torch.float32, device=device)
        found = {"peak_memory_mb": round(float(gather(peak).max()), 1)}
        if self._new:
            self._put_together(gather, device)
        if steps:
            found["train_loss"] = self._loss / steps
        if self._tokens:
            found["tokens"] = self._tokens
        if self._rows and train_s:
            found["train_samples_per_second"] = self._rows / train_s
        if self._tokens and train_s:
            found["train_tokens_per_second"] = self._tokens / train_s
        if self._gpus:
            found["gpu_seconds"] = self._gpus * (train_s + eval_s)
        return found

    def kept(self) -> tuple[float, int, int, list[torch.Tensor]]:
        """What a checkpoint keeps of this process, for `go_on`."""
        return self._loss, self._rows, self._tokens, self._new

    def go_on(self, kept: tuple[float, int, int, list[torch.Tensor]]) -> None:
        """Goes on from what the same process had before the training was interrupted."""
        self._loss, self._rows, self._tokens, self._new = kept

    def _put_together(self, gather: Gather, device: torch.device) -> None:
        loss, *counts = (gather(each.to(device).reshape(1)) for each in self._new)
        rows, tokens = (int(each.sum()) for each in counts)
        # NB: each process' loss is its part times the number of processes, as gradients are means.
        self._loss += float(loss.mean())
        self._rows += rows
        self._tokens += tokens
        self._new = []


def _tokens(batch: Mapping[str, torch.Tensor], real: torch.Tensor) -> torch.Tensor:
    """The tokens of the real rows, without padding; none for rows that are no text."""
    mask, ids = batch.get("attention_mask"), batch.get("input_ids")
    if mask is not None and mask.dim() == 2:
        return (mask.sum(1) * real.to(mask.device)).sum()
    return real.sum() * (ids.shape[1] if ids is not None else 0)


def _peak_memory_mb(device: torch.device) -> float:
    """The most memory that this process has held so far, in MB (10^6 bytes).

    Of its GPU what PyTorch has allocated there, if it has one; else what is resident.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return result.peak_memory_mb()
