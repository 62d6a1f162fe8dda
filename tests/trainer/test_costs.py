"""What a trial has cost, of several processes and after an interruption."""

from __future__ import annotations

import pytest
import torch

from trainer.costs import Costs

CPU = torch.device("cpu")
BATCH = {
    "input_ids": torch.ones(3, 4, dtype=torch.long),
    "attention_mask": torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]),
}
TWO_REAL = torch.tensor([True, True, False])


def twice(part: torch.Tensor) -> torch.Tensor:
    """What two processes have that count the same."""
    return torch.cat((part.reshape(-1), part.reshape(-1)))


def test_rows_and_tokens_are_added_up_over_processes_without_padding_and_fillers() -> None:
    costs = Costs(gpus=0)
    for loss in (2.0, 1.0):
        costs.count(BATCH, TWO_REAL, torch.tensor(loss))
    found = costs.so_far(twice, 2, train_s=4.0, eval_s=1.0, device=CPU)
    assert found["tokens"] == 2 * 2 * 6
    assert found["train_samples_per_second"] == 2 * 2 * 2 / 4
    assert found["train_tokens_per_second"] == 24 / 4
    assert found["train_loss"] == 1.5, "each process' loss is a mean already"


def test_rows_without_a_mask_are_all_tokens_and_images_have_none() -> None:
    texts, images = Costs(gpus=0), Costs(gpus=0)
    texts.count({"input_ids": BATCH["input_ids"]}, TWO_REAL, torch.tensor(1.0))
    images.count({"pixel_values": torch.ones(3, 3, 8, 8)}, TWO_REAL, torch.tensor(1.0))
    assert texts.so_far(twice, 1, 1.0, 0.0, CPU)["tokens"] == 2 * 8
    assert "tokens" not in images.so_far(twice, 1, 1.0, 0.0, CPU)


def test_gpus_cost_their_number_times_the_time_of_training_and_evaluating() -> None:
    assert Costs(gpus=4).so_far(twice, 0, 10.0, 2.0, CPU)["gpu_seconds"] == 48


def test_what_was_spent_before_an_interruption_counts() -> None:
    before, after = Costs(gpus=1), Costs(gpus=1)
    before.count(BATCH, TWO_REAL, torch.tensor(3.0))
    before.so_far(twice, 1, 5.0, 1.0, CPU)
    before.count(BATCH, TWO_REAL, torch.tensor(2.0))
    after.go_on(before.kept())
    after.count(BATCH, TWO_REAL, torch.tensor(1.0))
    found = after.so_far(twice, 3, 7.0, 2.0, CPU)
    assert (found["train_loss"], found["tokens"], found["gpu_seconds"]) == (2.0, 36, 9.0)
    assert found["train_samples_per_second"] == pytest.approx(12 / 7)
