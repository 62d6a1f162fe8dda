"""The trial program's command lines, and the lines and files that it writes.

The only place in `bot` that knows the trainer's flags. Nothing is run here.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
import sys
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from bot.spec import FIELDS, Frozen, Parameter, Scalar, TuneSpec
from bot.status import Observation

# The folder that holds both `bot` and `trainer`: where trials find the trial program.
PROGRAM_DIR = Path(__file__).resolve().parents[2]
OBJECTIVE_FILE = "objective.py"
RESULT_FILE = "result.json"
CHECKPOINTS_FOLDER = "checkpoints"
# What an exit code means when there is no result to say it better.
EXIT_REASONS: Mapping[int, str] = {
    2: "BadParameter",
    3: "DatasetNotFound",
    4: "ModelNotFound",
    5: "Diverged",
    6: "OutOfMemory",
    7: "NotFetched",
    8: "DeadlineExceeded",
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
    code = {"trust-remote-code": spec.trust_remote_code}
    flags = {"model": spec.model_uri, **_data_flags(spec), **code}
    return (python, "-m", "trainer", "fetch", *_written(flags))


# Flags of a training trial that are fields of the spec, but for the hyperparameters.
_FIELDS = (
    "model-uri", "transformer-type", "num-labels", "max-length", "method", "dataset", "split",
    "eval-split", "text-column", "label-column", "seed", "s3-endpoint-url", "s3-bucket-name",
    "s3-file-key", "s3-region-name", "quantization", "test-split", "loss-on",
    "attn-implementation",
)  # fmt: skip
# Flags without a value; they are written only where the field is not at its default.
_SWITCHES: Mapping[str, str] = {
    "trust-remote-code": "trust_remote_code",
    "streaming": "streaming",
    "packing": "packing",
    "retry-out-of-memory": "retry_out_of_memory",
    "no-checkpoints": "checkpoints",
    "save-best": "save_best",
}


def read_command(words: Sequence[str]) -> dict[str, Any] | None:
    """The fields of the spec in a trial's command, as `trial_command` writes it.

    A searched hyperparameter has the text that stands in its place. None for any other command.
    """
    if tuple(words[1:3]) != ("-m", "trainer"):
        return None
    flags = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    switches = {_SWITCHES[word[2:]] for word in words if word[2:] in _SWITCHES}
    try:
        if words[3:4] == ["objective"]:
            return {
                "objective_function": flags["function"],
                "objective_source": _unpacked(flags["source"]),
                "parameters": json.loads(flags["parameters"]),
            }
        fields: dict[str, Any] = {f.replace("-", "_"): flags[f] for f in _FIELDS if f in flags}
        fields["training_parameters"] = json.loads(flags["training-parameters"])
        fields["lora_config"] = json.loads(flags.get("lora-config", "{}"))
        if "columns" in flags:
            fields["columns"] = json.loads(flags["columns"])
    except (KeyError, ValueError, zlib.error):
        return None
    return fields | {field: not FIELDS[field].default for field in switches}


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


def _data_flags(spec: TuneSpec) -> dict[str, object]:
    """Where the data come from. Keys are no flags: they are in the environment."""
    return {
        "dataset": spec.dataset or None,
        "s3-endpoint-url": spec.s3_endpoint_url,
        "s3-bucket-name": spec.s3_bucket_name,
        "s3-file-key": spec.s3_file_key,
        "s3-region-name": spec.s3_region_name,
    }


def _training_flags(
    spec: TuneSpec, parameters: Mapping[str, Scalar], output_dir: Path
) -> dict[str, object]:
    return {
        "model-uri": spec.model_uri,
        "transformer-type": spec.transformer_type,
        "num-labels": spec.num_labels,
        "max-length": spec.max_length,
        "method": spec.method,
        **_data_flags(spec),
        "split": spec.split,
        "eval-split": spec.eval_split,
        "test-split": spec.test_split,
        "columns": json.dumps(dict(spec.columns)) if spec.columns else None,
        "text-column": spec.text_column,
        "label-column": spec.label_column,
        "loss-on": spec.loss_on,
        "quantization": spec.quantization,
        "attn-implementation": spec.attn_implementation,
        "training-parameters": _values(spec.training_parameters, parameters),
        "lora-config": _values(spec.lora_config, parameters) if spec.method == "lora" else None,
        "objective-metric": spec.objective_metric_name,
        "objective-type": spec.objective_type,
        "seed": spec.seed,
        "deadline-seconds": _own_deadline(spec.trial_active_deadline_seconds),
        "push-metrics": spec.metrics_collector == "Push",
        **{flag: getattr(spec, f) != FIELDS[f].default for flag, f in _SWITCHES.items()},
        "output-dir": output_dir,
    }


def _own_deadline(seconds: int | None) -> int | None:
    """When a trial ends by itself, so that it can still say what it found: a little earlier."""
    if seconds is None:
        return None
    return max(1, seconds - max(2, min(60, seconds // 20)))


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


def _unpacked(word: str) -> str:
    return zlib.decompress(base64.urlsafe_b64decode(word)).decode()


def _values(asked: Mapping[str, Any], searched: Mapping[str, Scalar]) -> str:
    """Fixed values as they are, searched ones as text."""
    values = {
        name: str(searched[name]) if isinstance(value, Parameter) else value
        for name, value in asked.items()
    }
    return json.dumps(values)


def _written(flags: Mapping[str, object]) -> tuple[str, ...]:
    # NB: `--name=value` in one word: a value may begin with a dash.
    return tuple(
        f"--{name}" if value is True else f"--{name}={value}"
        for name, value in flags.items()
        if value is not None and value is not False
    )


class MetricLine(Frozen):
    """The metrics in one line; `time` is None for a line that has none."""

    time: datetime | None
    metrics: Mapping[str, float]


class Progress(Frozen):
    """Steps done of all steps, and the seconds that the others will take, if that is said."""

    done: int
    total: int
    left_s: int | None = None

    @property
    def part(self) -> float:
        return min(1.0, self.done / self.total)


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)(?= )")
PROGRESS = re.compile(r"progress (\d+)/([1-9]\d*)(?:, (\d+) s to go)?")
# Katib's default filter, but a number is needed: `loss=nan` is no pair.
PAIR = re.compile(
    r"(?<![\w|-])([\w|-]+)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
)
NO_METRICS = ("epoch", "step")
# What torchrun says of a process that did not end by itself.
_KILLED = re.compile(r"Signal \d+ \((SIG\w+)\) received by PID")
# How torchrun begins to write of a process that failed; from there on its log is about itself.
_TORCHRUN = re.compile(r"[WE]\d{4} .*torch/distributed/elastic/|\[.*torch\.distributed\.elastic")
_REASON = re.compile(r"^reason: (\w+)\s*$", re.MULTILINE)


def read_line(text: str) -> MetricLine | Progress | None:
    """What a line says that a trial printed; None for anything else."""
    stamp = TIME.match(text)
    rest = text[stamp.end() :].strip() if stamp else text.strip()
    if progress := PROGRESS.match(rest):
        left_s = int(progress[3]) if progress[3] else None
        return Progress(done=int(progress[1]), total=int(progress[2]), left_s=left_s)
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


def why_failed(exit_code: int, log: str) -> tuple[str, str]:
    """The reason and the sentence with which a trial failed, from its exit code and last lines."""
    words, reason = last_words(log), last_reason(log)
    if NO_SPACE in words:
        return "DiskFull", DISK_FULL
    if not reason and (killed := _KILLED.search(log)):
        lack = ", most often for want of memory" if killed[1] == "SIGKILL" else ""
        return "Killed", f"A process of the trial was killed by {killed[1]}{lack}."
    reason = reason or EXIT_REASONS.get(exit_code, "CodeError")
    return reason, words or f"The trial ended with exit code {exit_code}."
