"""From the start of a trial to its first step, in CPU seconds: prints a table.

In a fresh process beside what a user's own script needs for the same (imports, data, model,
tokens, Trainer), and in a child of a host. Run it from the
repository's root with `python -m tests.bench.trainer_start` (two minutes on an idle machine).
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.machine import headline, row, table
from trainer import defaults, shipped, sources

ROOT = Path(__file__).resolve().parents[2]
BEGUN = "progress 0/"  # what the trial program prints when it begins to train
SHOWN_MS = 5.0
# What one writes who follows the libraries' own examples.
NAIVE = f"""
import sys
import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

class Begun(TrainerCallback):
    def on_train_begin(self, *args, **more):
        print("{BEGUN}", flush=True)

model, data, rows, held_out, out = sys.argv[1:]
data = load_dataset(data)
tokenizer = AutoTokenizer.from_pretrained(model)
def tokens(batch):
    return tokenizer(batch["text"], truncation=True, max_length=128)
def encoded(split, count):
    return data[split].select(range(int(count))).map(tokens, batched=True)
train, held_out = encoded("train", rows), encoded("validation", held_out)
network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2)
lora = LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules="all-linear")
trainer = Trainer(
    model=get_peft_model(network, lora),
    args=TrainingArguments(out, report_to="none", disable_tqdm=True, use_cpu=True),
    train_dataset=train,
    eval_dataset=held_out,
    data_collator=DataCollatorWithPadding(tokenizer),
    callbacks=[Begun()],
)
trainer.train()
"""


def flags(rows: int, held_out: int, out: Path) -> list[str]:
    return [
        *(f"--split=train[:{rows}]", f"--eval-split=validation[:{held_out}]"),
        *('--lora-config={"r": 8, "lora_alpha": 16}', f"--output-dir={out}"),
    ]


def until_begun(command: Sequence[str], out: Path) -> tuple[float, float]:
    """CPU and wall seconds of a process until it begins to train, where it is ended."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment["HF_HOME"] = str(out / "hf")  # everybody's caches are empty but the page cache
    begun = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        if not any(BEGUN.encode() in line for line in process.stdout):
            raise SystemExit(f"ended before it trained: {' '.join(command[:4])}")
        wall = time.perf_counter() - begun
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        process.kill()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK"), wall


def fresh(given: argparse.Namespace) -> None:
    """Both in new processes, in turns."""
    sizes = (str(given.rows), str(given.held_out))
    folders = (str(shipped.folder(sources.DEFAULT)), str(defaults.default_dataset()))
    ours: list[tuple[float, float]] = []
    naive: list[tuple[float, float]] = []
    for _ in range(given.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            own = [sys.executable, "-m", "trainer", *flags(given.rows, given.held_out, out)]
            ours.append(until_begun(own, out))
            script = [sys.executable, "-c", NAIVE, *folders, *sizes, folder]
            naive.append(until_begun(script, out))
    for place, unit in enumerate(("CPU s", "wall s")):
        mine, theirs = ([each[place] for each in found[1:]] for found in (ours, naive))
        ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
        cells = (f"{statistics.median(each):.2f}" for each in (mine, theirs))
        row(f"fresh process, {unit}", *cells, f"{ratio:.2f}", "0.9")


def warm(given: argparse.Namespace) -> None:
    """Children of this process, which has loaded what a host loads."""
    from tests.bench import trials
    from trainer import config, host
    from trainer.train import prepare

    parser = config.trial_parser()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        asked = config.read_config(parser.parse_args(flags(given.rows, given.held_out, out)))
        base = host.load(asked)

        def begin() -> None:
            prepare(asked, out, trials.silent(out), base=base)

        used = [in_child(begin) for _ in range(6)]
        row("child of a host, CPU s", f"{statistics.median(used[1:]):.2f}", "", "", "0.05")
        print("\nOf that, profiled (a profile costs time, too):\n", flush=True)
        in_child(lambda: profiled(prepare, asked, out, trials.silent(out), base=base))


def in_child(act: Any) -> float:
    """CPU seconds of a forked child that does `act`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        begun = time.process_time()
        act()
        sys.stdout.flush()
        os.write(writer, str(time.process_time() - begun).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        used = float(said.read())
    os.waitpid(child, 0)
    return used


def profiled(act: Any, *given: Any, **named: Any) -> None:
    """Prints what `act` itself calls, by milliseconds."""
    profile = cProfile.Profile()
    profile.runcall(act, *given, **named)
    place = (act.__code__.co_filename, act.__code__.co_firstlineno, act.__name__)
    found = []
    for (file, _, name), entry in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if place in entry[4]:
            found.append((entry[4][place][3] * 1000, f"{Path(file).stem}.{name}"))
    for milliseconds, what in sorted(found, reverse=True):
        if milliseconds >= SHOWN_MS:
            print(f"  {milliseconds:6.0f} ms  {what}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--held-out", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    print(f"{headline()}; {given.rows} rows, {given.held_out} held out")
    table("to the first step", "trial program", "own script", "ratio", "at most")
    fresh(given)
    warm(given)
    print(headline())


if __name__ == "__main__":
    main()
