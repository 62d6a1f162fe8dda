"""Whether bf16 and grouping by length cost accuracy: prints a table with 95 % intervals.

The same trial on each seed: in float32, in bf16, grouped by length, and both. It takes long (1,000
rows, 2 epochs, 8 seeds: some 40 minutes on an idle machine) and goes on where it was stopped. Run
it from the repository's root with `python -m tests.bench.trainer_parity`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tests.bench import trials
from tests.bench.kept import Found, Kept
from tests.bench.machine import headline, mean_and_error, plus_minus, row, spent, table
from trainer import sources

GROUPED = {"train_sampling_strategy": "group_by_length"}
FIRST = "float32"
ARMS: Mapping[str, Mapping[str, Any]] = {
    FIRST: {"bf16": False},
    "bf16": {"bf16": True},
    "grouped by length": {**GROUPED, "bf16": False},
    "both": {**GROUPED, "bf16": True},
}
FIELDS = {"learning_rate": 1e-3, "per_device_train_batch_size": 16, "eval_strategy": "no"}
# Student's t, two-sided 95 %, by degrees of freedom from 1.
T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


def measure(arm: str, seed: int, rows: int, epochs: int, held_out: str) -> Found:
    fields = {**FIELDS, "num_train_epochs": epochs, **ARMS[arm]}
    with tempfile.TemporaryDirectory() as folder:
        trainer = trials.ours(Path(folder), rows, held_out, seed, fields)
        used = spent(trainer.train)
        scores = trainer.evaluate()
    names = ("eval_accuracy", "eval_loss")
    return {"cpu_s": round(used.cpu_s, 2), **{name: scores[name] for name in names}}


def interval(apart: Sequence[float]) -> str:
    """`-0.002 [-0.010, 0.006]`: the mean of paired differences, and its 95 % interval."""
    mean, error = mean_and_error(apart)
    if len(apart) < 2:
        return f"{mean:+.4f}"
    reach = T95[min(len(apart) - 2, len(T95) - 1)] * error
    return f"{mean:+.4f} [{mean - reach:+.4f}, {mean + reach:+.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--held-out", default="validation", metavar="SPLIT")
    parser.add_argument("--seeds", type=int, default=8)
    folder = sources.cache_folder() / "bench"
    parser.add_argument("--file", type=Path, default=folder / "trainer_parity.jsonl")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{headline()}; {given.rows} rows, {given.epochs} epochs, results in {given.file}")
    kept = Kept(given.file)
    size = {"rows": given.rows, "epochs": given.epochs, "held_out": given.held_out}
    found: dict[str, list[Found]] = {arm: [] for arm in ARMS}
    for seed in range(given.seeds):
        for arm in ARMS:
            of = {"arm": arm, "seed": seed, **size}
            found[arm].append(kept.get(of, lambda a=arm, s=seed: measure(a, s, **size)))  # type: ignore[misc]
    table("", "CPU s", "accuracy", "difference [95 %]", "eval_loss", "difference [95 %]")
    first = found[FIRST]
    for arm, runs in found.items():
        cells = [f"{statistics.median(run['cpu_s'] for run in runs):.1f}"]
        for name in ("eval_accuracy", "eval_loss"):
            apart = [a[name] - b[name] for a, b in zip(runs, first, strict=True)]
            cells += [plus_minus([run[name] for run in runs]), interval(apart)]
        row(arm, *cells)
    print(headline())


if __name__ == "__main__":
    main()
