"""Training throughput of the trial program on one thread, at equal results: prints a table.

Beside it, in the same process and in turns: Hugging Face's Trainer as it comes, and a tight loop
written by hand with the same padding and precision. Every seed is one round: the same rows in the
same batches. Run it from the repository's root with `python -m tests.bench.trainer_throughput`
(five minutes on an idle machine).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.bench import trials
from tests.bench.machine import Spent, headline, plus_minus, row, spent, table
from trainer.precision import choose_matmul_precision, has_bf16

FIELDS = {"learning_rate": 2e-3, "per_device_train_batch_size": 16, "weight_decay": 0.0}
UNTOLD = {"eval_strategy": "no", "logging_strategy": "no"}
EVAL = "validation[:400]"
SIDE_ROUNDS = 2  # the accuracy of the other arms is `trainer_parity`'s


@dataclass
class Arm:
    """One way to train, and what it came to in each round."""

    name: str
    train: Callable[[int], tuple[Spent, float | None]]
    is_main: bool = True
    spent: list[Spent] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)

    def rates(self, rows: int) -> list[float]:
        """Rows per CPU second of each round."""
        return [rows / each.cpu_s for each in self.spent]


def arms(folder: Path, rows: int, epochs: int) -> list[Arm]:
    chosen, bf16 = choose_matmul_precision(), has_bf16()
    own = "bf16" if bf16 else f"float32, {chosen}"
    fields = {**FIELDS, "num_train_epochs": epochs}

    def with_trainer(make: Callable[..., Any], precision: str, **more: object) -> Any:
        def run(seed: int) -> tuple[Spent, float]:
            trainer = make(folder, rows, EVAL, seed, {**fields, **UNTOLD, **more})
            torch.set_float32_matmul_precision(precision)
            used = spent(trainer.train)
            return used, trainer.evaluate()["eval_accuracy"]

        return run

    def by_hand(seed: int) -> tuple[Spent, None]:
        loop = trials.TightLoop(rows, seed, fields, bf16=bf16)
        torch.set_float32_matmul_precision(chosen)
        return spent(loop.train), None

    grouped = {"train_sampling_strategy": "group_by_length"}
    others = [name for name in dict.fromkeys((chosen, "highest")) if bf16 or name != chosen]
    full = [
        Arm(f"trial program (float32, {name})", with_trainer(trials.ours, name, bf16=False), False)
        for name in others
    ]
    return [
        Arm("Trainer as it comes", with_trainer(trials.stock, "highest")),
        Arm(f"trial program ({own})", with_trainer(trials.ours, chosen)),
        Arm(f"tight loop ({own})", by_hand),
        *full,
        Arm("trial program by length", with_trainer(trials.ours, chosen, **grouped), False),
    ]


def gflops(precision: str, seconds: float = 0.5) -> float:
    """The rate of one large product, GFLOP per CPU second: what this machine has to give."""
    torch.set_float32_matmul_precision(precision)
    size = 2048
    left, right = torch.randn(size, size), torch.randn(size, size)
    torch.nn.functional.linear(left, right)
    begun, count = time.process_time(), 0
    while time.process_time() - begun < seconds:
        torch.nn.functional.linear(left, right)
        count += 1
    return 2 * size**3 * count / (time.process_time() - begun) / 1e9


def work_gflop(rows: int, epochs: int) -> float:
    """GFLOP of the whole training, padding included: those of one step's tokens, times all."""
    loop = trials.TightLoop(rows, 0, {**FIELDS, "num_train_epochs": epochs})
    batch = next(loop.batches())
    with FlopCounterMode(display=False) as counter:
        loop.loss(*batch).backward()  # type: ignore[no-untyped-call]
    return counter.get_total_flops() / batch[0].numel() * loop.padded_tokens() / 1e9


def report(found: list[Arm], rows: int, epochs: int) -> None:
    seen = rows * epochs
    first = found[0]
    table("", "rows per CPU s", "rows per s", "× the Trainer's", "accuracy", "difference")
    for arm in found:
        paired = zip(arm.rates(seen), first.rates(seen), strict=False)
        ratio = statistics.median(ours / theirs for ours, theirs in paired)
        wall = statistics.median(seen / each.wall_s for each in arm.spent)
        apart = [a - b for a, b in zip(arm.accuracy, first.accuracy, strict=False)]
        shown = (plus_minus(arm.accuracy), plus_minus(apart)) if arm.accuracy else ("", "")
        cpu = statistics.median(arm.rates(seen))
        row(arm.name, f"{cpu:.1f}", f"{wall:.1f}", f"{ratio:.2f}", *shown)
    by_name = {arm.name.partition(" (")[0]: arm for arm in reversed(found)}
    ours, tight = by_name["trial program"], by_name["tight loop"]
    pairs = zip(ours.rates(seen), tight.rates(seen), strict=True)
    print(f"\nTrial program / tight loop: {statistics.median(a / b for a, b in pairs):.2f}")
    done = work_gflop(rows, epochs) / statistics.median(each.cpu_s for each in ours.spent)
    chosen = choose_matmul_precision()
    peaks = {name: gflops(name) for name in dict.fromkeys((chosen, "highest"))}
    for name, peak in peaks.items():
        print(f"{done:.0f} GFLOP/s are {done / peak:.0%} of one {name} product's {peak:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=240)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{headline()}; {given.rows} rows, {given.epochs} epochs, {given.seeds} seeds, 1 thread")
    with tempfile.TemporaryDirectory() as folder:
        found = arms(Path(folder), given.rows, given.epochs)
        for seed in range(given.seeds):
            for arm in found:
                if not arm.is_main and seed >= SIDE_ROUNDS:
                    continue
                used, accuracy = arm.train(seed)
                arm.spent.append(used)
                if accuracy is not None:
                    arm.accuracy.append(accuracy)
                print(f"seed {seed}, {arm.name}: {used.cpu_s:.1f} CPU s, {accuracy}", flush=True)
    report(found, given.rows, given.epochs)
    print(headline())


if __name__ == "__main__":
    main()
