"""The trial program's command lines, and the lines and files that it writes.

The only place in `bot` that knows the trainer's flags. Nothing is run here.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
import signal
import sys
import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bot.spec import Frozen, Parameter, Scalar, TuneSpec
from bot.status import Observation

# The folder that holds both `bot` and `trainer`: where trials find the trial program.
PROGRAM_DIR = Path(__file__).resolve().parents[2]
OBJECTIVE_FILE = "objective.py"
RESULT_FILE = "result.json"
# What an exit code means when there is no result to say it better.
EXIT_REASONS: Mapping[int, str] = {
    2: "BadParameter",
    3: "DatasetNotFound",
    4: "ModelNotFound",
    5: "Diverged",
    6: "OutOfMemory",
    7: "NotFetched",
    143: "Killed",
}
NO_SPACE = "No space left on device"
DISK_FULL = "The disk is full; free some space and try again."


def trial_command(
    spec: TuneSpec,
    parameters: Mapping[str, Scalar],
    output_dir: str | Path,
    python: str = sys.executable,
    *,
    carries_source: bool = False,
) -> tuple[str, ...]:
    """The command of one trial.

    Args:
        parameters: the values of the searched hyperparameters; they travel as text, as in Katib.
        output_dir: the trial's folder; a Python objective is read from OBJECTIVE_FILE in it.
        carries_source: the source of a Python objective is in the command, there is no such file.
    """
    if spec.objective_function:
        flags = _objective_flags(spec, parameters, Path(output_dir))
        if carries_source:
            flags |= {"file": None, "source": _packed(spec.objective_source or "")}
        return (python, "-m", "trainer", "objective", *_written(flags))
    flags = _training_flags(spec, parameters, Path(output_dir))
    return (python, "-m", "trainer", *_written(flags))


def fetch_command(spec: TuneSpec, python: str = sys.executable) -> tuple[str, ...] | None:
    """The command that makes model and dataset available; None if nothing needs to be fetched."""
    if spec.is_custom or (_is_here(spec.model_uri) and _is_here(spec.dataset)):
        return None
    flags = {"model": spec.model_uri, "dataset": spec.dataset}
    return (python, "-m", "trainer", "fetch", *_written(flags))


def trial_environment(spec: TuneSpec, threads: int) -> dict[str, str]:
    """What a trial's environment has besides the engine's own; `env_per_trial` wins."""
    return {
        "OMP_NUM_THREADS": str(threads),
        # NB: threads that spin while they wait make trials side by side up to six times slower.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        # NB: without it a folder `trainer` where the bot was started would be run instead of ours.
        "PYTHONSAFEPATH": "1",
        **spec.env_per_trial,
    }


def _is_here(uri: str) -> bool:
    return uri.startswith(("/", "./", "../", "~", "file:", "package:"))


def _training_flags(
    spec: TuneSpec, parameters: Mapping[str, Scalar], output_dir: Path
) -> dict[str, object]:
    return {
        "model-uri": spec.model_uri,
        "transformer-type": spec.transformer_type,
        "num-labels": spec.num_labels,
        "max-length": spec.max_length,
        "method": spec.method,
        "dataset": spec.dataset,
        "split": spec.split,
        "eval-split": spec.eval_split,
        "text-column": spec.text_column,
        "label-column": spec.label_column,
        "training-parameters": _values(spec.training_parameters, parameters),
        "lora-config": _values(spec.lora_config, parameters) if spec.method == "lora" else None,
        "objective-metric": spec.objective_metric_name,
        "objective-type": spec.objective_type,
        "seed": spec.seed,
        "output-dir": output_dir,
    }


def _objective_flags(
    spec: TuneSpec, parameters: Mapping[str, Scalar], output_dir: Path
) -> dict[str, object]:
    return {
        "file": output_dir / OBJECTIVE_FILE,
        "function": spec.objective_function,
        "parameters": _values(spec.parameters, parameters),
        "objective-metric": spec.objective_metric_name,
        "output-dir": output_dir,
    }


def _packed(source: str) -> str:
    """Python source as one word of letters, which no shell and no template reads."""
    return base64.urlsafe_b64encode(zlib.compress(source.encode(), 9)).decode()


def _values(asked: Mapping[str, Any], searched: Mapping[str, Scalar]) -> str:
    """Fixed values as they are, searched ones as text."""
    values = {
        name: str(searched[name]) if isinstance(value, Parameter) else value
        for name, value in asked.items()
    }
    return json.dumps(values)


def _written(flags: Mapping[str, object]) -> tuple[str, ...]:
    # NB: `--name=value` in one word: a value may begin with a dash.
    return tuple(f"--{name}={value}" for name, value in flags.items() if value is not None)


class MetricLine(Frozen):
    """The metrics in one line; `time` is None for a line that has none."""

    time: datetime | None
    metrics: Mapping[str, float]


class Progress(Frozen):
    """Steps done of all steps."""

    done: int
    total: int

    @property
    def part(self) -> float:
        return min(1.0, self.done / self.total)


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)(?= )")
PROGRESS = re.compile(r"progress (\d+)/([1-9]\d*)")
# Katib's default filter, but a number is needed: `loss=nan` is no pair.
PAIR = re.compile(
    r"(?<![\w|-])([\w|-]+)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
)
NO_METRICS = ("epoch", "step")
_REASON = re.compile(r"^reason: (\w+)\s*$", re.MULTILINE)
# How torchrun writes of a process that failed; from there on its log is about itself.
_TORCHRUN = re.compile(r"[WE]\d{4} .*torch/distributed/elastic/|\[.*torch\.distributed\.elastic")
_TORCHRUN_SIGNAL = re.compile(r"failed \(exitcode: -(\d+)\)")


def read_line(text: str) -> MetricLine | Progress | None:
    """What a line says that a trial printed; None for anything else."""
    stamp = TIME.match(text)
    rest = text[stamp.end() :].strip() if stamp else text.strip()
    if progress := PROGRESS.match(rest):
        return Progress(done=int(progress[1]), total=int(progress[2]))
    metrics = {
        name: float(value)
        for name, value in PAIR.findall(rest)
        if name not in NO_METRICS and math.isfinite(float(value))
    }
    if not metrics:
        return None
    return MetricLine(time=datetime.fromisoformat(stamp[0]) if stamp else None, metrics=metrics)


class Result(Frozen):
    """What a trial wrote at its end. `reason` is "" after a success."""

    state: Literal["Succeeded", "Failed"]
    reason: str = ""
    message: str = ""
    metrics: Mapping[str, Observation] = {}
    finished: datetime | None = None


def read_result(text: str) -> Result:
    """The content of RESULT_FILE; one that makes no sense is a failure, CorruptResult."""
    try:
        data = json.loads(text)
        known = {name: data[name] for name in Result.model_fields if data.get(name) is not None}
        return Result.model_validate(known)
    except (ValueError, AttributeError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        return Result(
            state="Failed",
            reason="CorruptResult",
            message=f"The trial's {RESULT_FILE} cannot be read: {first}.",
        )


def exit_cause(code: int, log: str) -> tuple[str, str]:
    """Reason and sentence of a trial that ended with an exit code above 0, from what it printed.

    A code above 128 is a signal's. torchrun ends with 1 whatever its processes ended with; a signal
    that ended one of them is in its log.
    """
    words = last_words(log)
    if NO_SPACE in words:
        return "DiskFull", DISK_FULL
    if code == 1 and (found := _TORCHRUN_SIGNAL.search(log)):
        code = 128 + int(found[1])
    reason = last_reason(log)
    if code > 128 and not reason:
        return "Killed", f"The trial was killed by {_signal(code - 128)}."
    if not reason and "out of memory" in words.lower():
        reason = "OutOfMemory"
    said = words or f"The trial ended with exit code {code}."
    return reason or EXIT_REASONS.get(code, "CodeError"), said


def last_words(log: str) -> str:
    """The sentence with which a trial ended: its last `error: …` line, else its last line.

    torchrun's own words, that one of its processes failed, count only if that process said nothing.
    """
    lines = [line.strip() for line in log.splitlines() if any(map(str.isalnum, line))]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    own = list(itertools.takewhile(lambda line: not _TORCHRUN.match(line), lines))
    return (errors or own or lines or [""])[-1]


def last_reason(log: str) -> str:
    """The reason in a trial's last `reason: …` line, "" if it printed none.

    It says what the exit code would, where the program that started the trial ends with a code of
    its own, as torchrun does.
    """
    return next(reversed(_REASON.findall(log)), "")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
