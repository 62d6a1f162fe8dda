"""The guide's example in small: are our ranges and our first trial worth having? Prints a table.

Kubeflow's guide tunes LoRA for Llama on 1,000 film reviews. Here it is SmolLM2 on 1,000 sentences,
1 epoch: ten random trials in the guide's space against ten in the space of `bot/prior.py`, the
first of which is the known-good one. The same program trains both, head included; the trial with
the best held-out accuracy wins, and its weights are scored once on test rows that no trial saw.

It takes long (60 trials at three seeds, 4 to 5 CPU minutes each: two hours on two idle cores) and
goes on where it was stopped. Run it from the repository's root with
`python -m tests.bench.guide_in_small`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot import prior
from bot.engines.trainer_command import trial_command, trial_environment
from bot.spec import Parameter, Scalar, TuneSpec
from tests.bench.kept import Found, Kept
from tests.bench.machine import cpu_s, headline, plus_minus, row, table
from trainer import sources

ROOT = Path(__file__).resolve().parents[2]
# What peft adapts in a model of this kind when nothing is said, as in the guide.
GUIDE_TARGETS = {"smollm2": ["q_proj", "v_proj"], "default": ["query", "value"]}
OBJECTIVE = "eval_accuracy"


@dataclass(frozen=True)
class Arm:
    """A search: its space, and what its first trial takes if that is not drawn."""

    name: str
    spec: TuneSpec
    first: Mapping[str, Scalar] | None


def arms(given: argparse.Namespace, seed: int) -> tuple[Arm, Arm]:
    data: dict[str, Any] = {
        "model_uri": given.model,
        "dataset": "default",
        "split": f"train[:{given.rows}]",
        "eval_split": f"validation[:{given.held_out}]",
        "test_split": f"test[:{given.test_rows}]",
        "objective_metric_name": OBJECTIVE,
        "algorithm_name": "random",
        "save_best": True,
        "checkpoints": False,
        "seed": seed,
    }
    fixed = {"num_train_epochs": 1, "per_device_train_batch_size": 8}
    guide = {
        **data,
        "training_parameters": {**fixed, "learning_rate": {"min": 1e-5, "max": 5e-5}},
        "lora_config": {
            "r": {"parameter_type": "int", "min": 8, "max": 32},
            **{"lora_alpha": 8, "lora_dropout": 0.1, "bias": "none"},
            "target_modules": GUIDE_TARGETS[given.model],
        },
    }
    own = prior.to_spec({**data, "training_parameters": fixed}, "own")
    return (
        Arm("guide", prior.to_spec(guide, "guide"), None),
        Arm("prior", own, prior.known_good(own)),
    )


def points(arm: Arm, count: int, seed: int) -> Iterator[Mapping[str, Scalar]]:
    """The hyperparameters of each trial."""
    chance = random.Random(f"{arm.name} {seed}")
    if arm.first:
        yield arm.first
    for _ in range(count - bool(arm.first)):
        yield {name: drawn(space, chance) for name, space in arm.spec.searched.items()}


def drawn(space: Parameter, chance: random.Random) -> Scalar:
    """A random value of a range or a list."""
    if not space.is_range:
        return chance.choice(space.list or ())
    assert space.min is not None and space.max is not None
    if space.parameter_type == "int":
        return chance.randint(int(space.min), int(space.max))
    if space.distribution == "logUniform":
        return math.exp(chance.uniform(math.log(space.min), math.log(space.max)))
    return chance.uniform(space.min, space.max)


def trial(arm: Arm, point: Mapping[str, Scalar], folder: Path) -> Found:
    """Runs the trial program; its objective (None if it failed) and what it cost."""
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, **trial_environment(arm.spec, 1)}
    done = subprocess.run(
        trial_command(arm.spec, point, folder), cwd=ROOT, env=environment, capture_output=True
    )
    if done.returncode not in (0, 5):  # 5: diverged, which is a trial's own affair
        raise SystemExit(done.stderr.decode())
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    best = result["best"]["metrics"][OBJECTIVE] if done.returncode == 0 else None
    return {OBJECTIVE: best, "cpu_s": result["cpu_seconds"], "folder": str(folder)}


def test_score(folder: Path) -> Found:
    """The winner on the test rows."""
    export = ["export", f"--trial={folder}", f"--to={folder / 'exported'}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-m", "trainer", *export], cwd=ROOT, env=environment, check=True
    )
    found: Found = json.loads((folder / "test.json").read_text(encoding="utf-8"))
    return found


def search(arm: Arm, given: argparse.Namespace, seed: int, kept: Kept) -> Found:
    """One search: each trial, then the winner's test score."""
    size = {name: getattr(given, name) for name in ("model", "rows", "held_out", "test_rows")}
    whole = {**size, "arm": arm.name, "seed": seed}
    place = given.folder / f"{given.model}-{given.rows}"

    def run(numbered: tuple[int, Mapping[str, Scalar]]) -> Found:
        number, point = numbered
        folder = place / f"{arm.name}-{seed}-{number}"
        of = {**whole, "trial": number, "point": dict(point)}
        return kept.get(of, lambda: trial(arm, point, folder))

    with ThreadPoolExecutor(given.parallel) as pool:
        runs = list(pool.map(run, enumerate(points(arm, given.trials, seed))))
    best = max((run for run in runs if run[OBJECTIVE] is not None), key=lambda run: run[OBJECTIVE])
    of = {**whole, "trials": given.trials, "test of": best["folder"]}
    test = kept.get(of, lambda: test_score(Path(best["folder"])))
    return {"first": runs[0][OBJECTIVE], "best": best[OBJECTIVE], "test": test}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=tuple(GUIDE_TARGETS), default="smollm2")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--held-out", type=int, default=400, metavar="ROWS")
    parser.add_argument("--test-rows", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=2, help="trials at a time, a thread each")
    folder = sources.cache_folder() / "bench" / "guide_in_small"
    parser.add_argument("--folder", type=Path, default=folder)
    given = parser.parse_args()
    print(f"{headline()}; {given.model}, {given.rows} rows, results in {given.folder}", flush=True)
    kept = Kept(given.folder / "results.jsonl")
    used = cpu_s()
    found: dict[str, list[Found]] = {"guide": [], "prior": []}
    for seed in range(given.seeds):
        for arm in arms(given, seed):
            found[arm.name].append(search(arm, given, seed, kept))
    report(found)
    print(f"{headline()}; {cpu_s() - used:.0f} CPU s now")


def report(found: Mapping[str, list[Found]]) -> None:
    table("space", "accuracy of trial 0", "of the best", "on test rows", "each")
    tests = {}
    for name, searches in found.items():
        tests[name] = [float(each["test"]["metrics"]["test_accuracy"]) for each in searches]
        shown = [plus_minus([each[what] for each in searches]) for what in ("first", "best")]
        row(name, *shown, plus_minus(tests[name]), " ".join(f"{t:.3f}" for t in tests[name]))
    apart = [ours - theirs for ours, theirs in zip(tests["prior"], tests["guide"], strict=True)]
    print(f"\nprior - guide on the test rows: {plus_minus(apart)} over {len(apart)} seeds")


if __name__ == "__main__":
    main()
