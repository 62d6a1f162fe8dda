"""The training loop of a trial that may be stopped after any step and goes on as if it was not.

Hugging Face's Trainer skips the rows that were seen and restores its own state. But its checkpoints
may be half written, hold no order of the rows but one that follows from the epoch's number, forget
the loss that is not logged yet and the evaluation that is due, and are not there on a second node.
So what it saves and loads is replaced here, and what it does with that is kept.
"""

from __future__ import annotations

import json
import pickle
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME

from trainer import checkpoints, draws
from trainer.checkpoints import Checkpoint
from trainer.errors import TrialError, one_line
from trainer.loop import WatchedTrainer
from trainer.stop import Ask, Stop
from trainer.watch import Watch, trainable


@dataclass(frozen=True)
class Keeping:
    """What a trial's checkpoints are about.

    `about` goes into each of them; `is_on` is False for none at all.
    """

    folder: Path
    about: Mapping[str, Any]
    is_on: bool


def read(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What a checkpoint holds; None if it cannot be read."""
    try:
        state = torch.load(checkpoint.state, "cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        return None
    return {**state, "recorder": checkpoint.about["recorder"]}


class _Stopped(Exception):
    """The evaluation is broken off."""


class _Events(TrainerCallback):
    """What the Trainer tells of training that it has no method for."""

    def __init__(self, trainer: SurvivingTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._trainer.begin()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        self._trainer.at_end_of_epoch = True


class SurvivingTrainer(WatchedTrainer):
    """Looks after every step whether it is to end, and saves what is needed to go on."""

    def __init__(self, *parts: Any, watch: Watch, keeping: Keeping, stop: Stop, **options: Any):
        super().__init__(*parts, callbacks=[watch, _Events(self)], **options)
        self._watch = watch
        self._keeping = keeping
        self._stop = stop
        self._earlier: dict[str, Any] | None = None  # the state that is gone on from
        self._epoch_draws: dict[str, Any] = {}
        self.at_end_of_epoch = False
        self._cost_s = 0.0
        self._saved_at = time.monotonic()
        self._step_began, self._longest_s = time.monotonic(), 0.0

    def go_on(self, earlier: Mapping[str, Any] | None) -> Any:
        """Trains, from what `read` has found on rank 0, if it has."""
        earlier = _shared(earlier, self.args)
        if earlier is None:
            return self.train()
        self._earlier = earlier
        self.args.eval_on_start = False
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, TRAINER_STATE_NAME).write_text(json.dumps(earlier["trainer"]))
            return self.train(resume_from_checkpoint=folder)

    # What the Trainer restores, and when.

    def _load_from_checkpoint(self, folder: str, model: Any = None) -> None:
        assert self._earlier is not None
        weights = trainable(self.model)
        with torch.no_grad():
            for name, weight in self._earlier["weights"].items():
                weights[name].copy_(weight)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self._earlier is not None:
            self.optimizer.load_state_dict(self._earlier["optimizer"])
            self.lr_scheduler.load_state_dict(self._earlier["scheduler"])

    def _load_scaler(self, checkpoint: str | None) -> None:
        if self._earlier is not None and self._earlier["scaler"]:
            self.accelerator.scaler.load_state_dict(self._earlier["scaler"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self._earlier is not None:
            draws.redraw(self._mine()["draws"])

    def _mine(self) -> dict[str, Any]:
        """What this process had for itself."""
        assert self._earlier is not None
        found: dict[str, Any] = self._earlier["processes"][self.args.process_index]
        return found

    def begin(self) -> None:
        """Called when training begins: restores what the Trainer has just set to nothing, and does
        what was due when the checkpoint was made."""
        self._step_began = self._saved_at = time.monotonic()
        if self._earlier is None:
            return
        mine, earlier = self._mine(), self._earlier
        self._tr_loss.fill_(mine["loss"])
        self.costs.go_on(mine["costs"])
        self._total_loss_scalar = earlier["loss_sum"]
        self._globalstep_last_logged = earlier["logged_at"]
        self._initial_global_step = 0
        self._watch.go_on(earlier["recorder"], earlier["evaluated_at"], earlier["best"])
        self._epoch_draws = mine["epoch_draws"]
        draws.redraw(mine["draws"])
        self._catch_up(earlier)
        mine["draws"] = draws.taken()

    def _catch_up(self, earlier: Mapping[str, Any]) -> None:
        due, control = earlier["due"], self.control
        self._per_epoch = due["steps_per_epoch"]
        self.at_end_of_epoch = earlier["ended_epoch"]
        control.should_log, control.should_evaluate = due["log"], due["evaluate"]
        self._tell(due["grad_norm"], due["learning_rate"])
        step = self.state.global_step
        is_last = step % self._per_epoch == 0 or step >= self.state.max_steps
        if is_last and not earlier["ended_epoch"]:
            self.control = self.callback_handler.on_epoch_end(self.args, self.state, control)
            self._tell(due["grad_norm"], due["learning_rate"])

    def _tell(self, grad_norm: Any, learning_rate: Any) -> None:
        self._maybe_log_save_evaluate(
            self._tr_loss, grad_norm, self.model_wrapped, None, 0, None, 0.0, learning_rate
        )

    def _run_epoch(self, **at: Any) -> None:
        self._per_epoch = at["num_update_steps_per_epoch"]
        if self.state.global_step >= self.state.max_steps:
            self.control.should_training_stop = True  # it was stopped between its last two breaths
            return
        self.at_end_of_epoch = False
        # NB: neither Accelerate nor the Trainer reaches the sampler behind skipped batches.
        at["train_dataloader"].set_epoch(at["epoch"])
        self.begin_epoch(at["epoch"])
        if self._earlier is not None and at["epoch"] == at["epochs_trained"]:
            mine = self._mine()
            has_begun = at["steps_trained_in_current_epoch"] > 0
            draws.redraw(mine["epoch_draws"] if has_begun else mine["draws"])
        self._epoch_draws = draws.taken()
        super()._run_epoch(**at)

    # What happens after every step, and at the end of every epoch.

    def _maybe_log_save_evaluate(
        self,
        tr_loss: torch.Tensor,
        grad_norm: Any,
        model: Any,
        trial: Any,
        epoch: float,
        ignored: Any,
        start_time: float,
        learning_rate: float | None = None,
    ) -> None:
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._step_began)
        asked = self._asked()
        if asked == Ask.STOP:
            self._end(grad_norm, learning_rate)
        if asked == Ask.DEADLINE and not self.control.should_training_stop:
            self._end_early()
        is_due = self.control.should_evaluate
        before = draws.taken()
        try:
            super()._maybe_log_save_evaluate(
                tr_loss, grad_norm, model, trial, epoch, ignored, start_time, learning_rate
            )
        except _Stopped:
            draws.redraw(before)
            self._end(grad_norm, learning_rate)
        if is_due and self._is_worth_it():
            self._save({"log": False, "evaluate": False}, grad_norm, learning_rate)
        self._step_began = time.monotonic()

    def prediction_step(self, *args: Any, **options: Any) -> Any:
        # NB: an evaluation may take minutes; one that is broken off is due when the trial goes on.
        if self.is_in_train and _largest(self._stop.wants(0.0), self.args) == Ask.STOP:
            raise _Stopped
        return super().prediction_step(*args, **options)

    def _asked(self) -> Ask:
        """What is asked of all processes, which must end in the same step."""
        evaluating_s = self._recorder.seconds("eval") / max(1, self._watch.evaluations)
        if not self._watch.evaluations:
            evaluating_s = self._longest_s * self._steps_to_evaluate()
        asked = self._stop.wants(2 * self._longest_s + 1.5 * evaluating_s)
        return Ask(_largest(asked, self.args))

    def _steps_to_evaluate(self) -> float:
        """About how many training steps take as long as the first evaluation will."""
        rows = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return len(self.eval_dataset) / (rows * self.args.world_size)

    def _end(self, grad_norm: Any, learning_rate: Any) -> None:
        control = self.control
        due = {"log": control.should_log, "evaluate": control.should_evaluate}
        if self._keeping.is_on:
            self._save(due, grad_norm, learning_rate)
            # NB: rank 0 alone knows, but who tells the end first is a matter of chance.
            self._stop.checkpoint_step = (
                _largest(self._stop.checkpoint_step or 0, self.args) or None
            )
        raise TrialError("Killed", self._stop.sentence())

    def _end_early(self) -> None:
        state = self.state
        self.control.should_training_stop = True
        self.control.should_evaluate = self._watch.evaluated_at != state.global_step
        told = f"{self._stop.deadline_s:g} s was near after step {state.global_step}"
        self._recorder.facts["deadline_reached"] = {
            "step": state.global_step,
            "of": state.max_steps,
        }
        self._recorder.warn(f"The deadline of {told} of {state.max_steps}: the trial ends early.")

    def _is_worth_it(self) -> bool:
        """Whether so much time has passed since the last one that one more costs little of it."""
        passed = time.monotonic() - self._saved_at
        is_worth_it = self._keeping.is_on and passed * checkpoints.SHARE >= self._cost_s
        return bool(_largest(is_worth_it and self.args.process_index == 0, self.args))

    def _save(self, due: dict[str, Any], grad_norm: Any, learning_rate: Any) -> None:
        start = time.monotonic()
        mine = {
            "draws": draws.taken(),
            "epoch_draws": self._epoch_draws,
            "loss": float(self._tr_loss),
            "costs": self.costs.kept(),
        }
        processes = _gathered(mine, self.args)
        if self.args.process_index == 0:
            due |= {
                "grad_norm": None if grad_norm is None else float(grad_norm),
                "learning_rate": None if learning_rate is None else float(learning_rate),
                "steps_per_epoch": self._per_epoch,
            }
            self._write(self._state(processes, due))
        self._saved_at = time.monotonic()
        self._cost_s = self._saved_at - start

    def _state(self, processes: list[Any], due: Mapping[str, Any]) -> dict[str, Any]:
        scaler = getattr(self.accelerator, "scaler", None)
        return {
            "weights": {name: p.detach() for name, p in trainable(self.model).items()},
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.lr_scheduler.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "trainer": asdict(self.state),
            "processes": processes,
            "loss_sum": self._total_loss_scalar,
            "logged_at": self._globalstep_last_logged,
            "due": due,
            "ended_epoch": self.at_end_of_epoch,
            "evaluated_at": self._watch.evaluated_at,
            "best": self._watch.best,
        }

    def _write(self, state: Mapping[str, Any]) -> None:
        step = self.state.global_step
        about = {**self._keeping.about, "step": step, "recorder": self._recorder.kept()}
        try:
            checkpoints.write(self._keeping.folder, about, lambda file: torch.save(state, file))
        except (OSError, RuntimeError) as error:
            free = shutil.disk_usage(self._keeping.folder.parent.parent).free
            self._recorder.warn(
                f"The checkpoint of step {step} was not written, and the trial goes on without it: "
                f"{one_line(error, 120)} ({free / 1e6:,.0f} MB are free on that disk)"
            )
        else:
            self._stop.checkpoint_step = step


def _largest(value: int, args: Any) -> int:
    """The largest of the processes' values."""
    if args.world_size == 1:
        return int(value)
    held = torch.tensor([int(value)], device=args.device)
    distributed.all_reduce(held, distributed.ReduceOp.MAX)
    return int(held)


def _gathered(value: Any, args: Any) -> list[Any]:
    """The processes' values by rank."""
    if args.world_size == 1:
        return [value]
    values: list[Any] = [None] * args.world_size
    distributed.all_gather_object(values, value)
    return values


def _shared(value: Any, args: Any) -> Any:
    """What rank 0 has, on all processes; the folder may be on its node alone."""
    if args.world_size == 1:
        return value
    held = [value]
    distributed.broadcast_object_list(held, src=0)
    return held[0]
