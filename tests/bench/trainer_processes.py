"""Two processes of one thread each against one, training phase only: prints a table.

The same rows in the same steps: the batch of the one is shared by the two, which meet by gloo as
torchrun starts them. Run it from the repository's root with `python -m
tests.bench.trainer_processes` (two minutes on an idle machine).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.machine import headline, row, spent, table

ROOT = Path(__file__).resolve().parents[2]
ROWS_PER_STEP = 16


def measure(rows: int, folder: Path) -> None:
    """One process' training; its figures and the curve's last loss go to `folder`."""
    import gc

    import torch

    from tests.bench import trials

    gc.freeze()  # as the trial program does after its imports
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fields = {"learning_rate": 1e-3, "num_train_epochs": 1, "eval_strategy": "no"}
    fields["per_device_train_batch_size"] = ROWS_PER_STEP // world
    trainer = trials.ours(folder, rows, "validation[:16]", 0, fields)
    trainer.accelerator.wait_for_everyone()
    used = spent(trainer.train)
    losses = [point["loss"] for point in trainer.state.log_history if "loss" in point]
    said = {"wall_s": used.wall_s, "cpu_s": used.cpu_s, "loss": losses[-1]}
    (folder / f"{os.environ.get('RANK', '0')}.json").write_text(json.dumps(said))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def run(processes: int, rows: int) -> tuple[float, float, float]:
    """Wall seconds of the slowest, CPU seconds of all, the loss."""
    with tempfile.TemporaryDirectory() as folder:
        launcher = [sys.executable]
        if processes > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone"]
            launcher += [f"--nproc-per-node={processes}"]
        command = [*launcher, "-m", "tests.bench.trainer_processes"]
        subprocess.run(
            [*command, f"--rows={rows}", f"--measure={folder}"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
            check=True,
        )
        said = [json.loads(file.read_text()) for file in Path(folder).glob("*.json")]
    assert len(said) == processes
    return max(s["wall_s"] for s in said), sum(s["cpu_s"] for s in said), said[0]["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.rows, given.measure)
        return
    print(f"{headline()}; {given.rows} rows, {ROWS_PER_STEP} a step, 1 thread each")
    table("", "one process", "two", "ratio", "at most")
    found = [[run(processes, given.rows) for processes in (1, 2)] for _ in range(given.rounds)]
    for place, (what, limit) in enumerate((("wall s", "0.65"), ("CPU s of all", "1.1"))):
        one, two = zip(*[(a[place], b[place]) for a, b in found], strict=True)
        ratio = statistics.median(b / a for a, b in zip(one, two, strict=True))
        shown = (f"{statistics.median(each):.1f}" for each in (one, two))
        row(what, *shown, f"{ratio:.2f}", limit)
    print(f"\nLoss of the epoch: {found[0][0][2]:.5f} and {found[0][1][2]:.5f} (dropout differs)")
    print(headline())


if __name__ == "__main__":
    main()
