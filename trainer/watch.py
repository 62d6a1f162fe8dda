"""What the Trainer tells while it trains, handed to the recorder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainer.config import COST_METRICS, STEP_METRICS
from trainer.result import Recorder


class Watch(TrainerCallback):
    """Hands what happens to the recorder; keeps the best trainable weights if asked to."""

    def __init__(self, recorder: Recorder, metrics: Sequence[str], keep: Any | None) -> None:
        self.recorder = recorder
        self._metrics = metrics
        self.evaluated_at = -1
        self.evaluations = 0
        self._keep = keep
        self.best: dict[str, torch.Tensor] = {}

    def go_on(self, kept: dict[str, Any], evaluated_at: int, best: dict[str, torch.Tensor]) -> None:
        """Goes on from what was recorded and kept at a checkpoint."""
        self.recorder.go_on(kept)
        self.evaluated_at = evaluated_at
        self.evaluations = sum("eval_loss" in point["metrics"] for point in kept["curve"])
        self.best = best

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.recorder.progress(state.global_step, state.max_steps)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.recorder.progress(state.global_step, state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **more: Any,
    ) -> None:
        logs = more["logs"]
        found = {name: float(logs[name]) for name in STEP_METRICS if name in logs}
        if args.fp16 and not math.isfinite(found.get("grad_norm", 0.0)):
            del found["grad_norm"]  # a step that the scaling of float16 leaves out
        if found:
            self.recorder.record(state.epoch or 0, state.global_step, found)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **more: Any,
    ) -> None:
        self.evaluated_at = state.global_step
        self.evaluations += 1
        metrics = more["metrics"]
        found = {name: metrics[name] for name in self._metrics}
        found |= {name: metrics[name] for name in COST_METRICS if name in metrics}
        is_best = self.recorder.record(state.epoch or 0, state.global_step, found)
        if is_best and self._keep is not None:
            weights = trainable(self._keep).items()
            self.best = {name: weight.detach().to("cpu", copy=True) for name, weight in weights}

    def restore_best(self) -> None:
        """Puts the best weights back, where the objective is measured by evaluations."""
        weights = trainable(self._keep)
        with torch.no_grad():
            for name, weight in self.best.items():
                weights[name].copy_(weight)


def trainable(network: Any) -> dict[str, torch.nn.Parameter]:
    """The weights that training changes, by name."""
    return {name: p for name, p in network.named_parameters() if p.requires_grad}
