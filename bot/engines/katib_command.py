"""The command lines of a trial's pods: whole through Katib's shell on the primary pod, and the
same without it everywhere else (pure).

Katib joins command and args of the primary container with spaces and gives them to a shell, its own
`sh -c` or the one that the container begins with. Other pods are left alone. So every command here
is one script behind `sh -c`: Katib only adds its redirect to the script, and both pods read the
same words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from bot.engines import trainer_command
from bot.errors import SpecError
from bot.spec import TuneSpec

SHELL = ("sh", "-c")
WORKSPACE = "/workspace"
OUTPUT = "/tmp/trial"
# What a value may not hold: Katib puts it as it is into a JSON text, which is inside a shell's '…'.
_UNSAFE = re.compile(r"""['"\\\x00-\x1f\x7f]|\$\(""")
_PLACEHOLDER = re.compile(r"\$\{trialParameters\.[^}]+\}")
# Model and data were fetched before the first trial: a trial asks no network for them.
_PLACES = (
    f"KATIB_TUNE_CACHE={WORKSPACE}",
    f"HF_HOME={WORKSPACE}/huggingface",
    "HF_DATASETS_CACHE=/tmp/datasets",
    "HF_HUB_OFFLINE=1",
)
_FETCH_PLACES = _PLACES[:2]
_PIP = ["python", "-m", "pip", "install", "--no-cache-dir", "--quiet"]


def placeholder(name: str) -> str:
    """Where Katib puts the value of a searched hyperparameter."""
    return f"${{trialParameters.{name}}}"


def trial_script(spec: TuneSpec, values: dict[str, str]) -> str:
    """The script of a trial. `values` are the placeholders, or the values of a trial of our own."""
    if spec.objective_image:
        return _own_script(spec.objective_command, values)
    # torchrun reads what the training operator says of the other pods from PET_* variables.
    python = "torchrun" if is_distributed(spec) else "python"
    words = trainer_command.trial_command(spec, values, OUTPUT, python, carries_source=True)
    return _escaped(_installs(spec) + shlex.join(("env", *_PLACES, *words)))


def read_script(script: str) -> dict[str, Any] | None:
    """The fields of the spec in a script that `trial_script` wrote for the trainer; else None.

    A searched hyperparameter has its placeholder for a value.
    """
    try:
        words = shlex.split(_unescaped(script))
    except ValueError:
        return None
    installs: list[str] = []
    if "&&" in words and words[: len(_PIP)] == _PIP:
        end = words.index("&&")
        installs, words = words[len(_PIP) : end], words[end + 1 :]
    if words[: 1 + len(_PLACES)] != ["env", *_PLACES]:
        return None
    fields = trainer_command.read_command(words[1 + len(_PLACES) :])
    return {**fields, **_installed(installs)} if fields is not None else None


def fetch_script(spec: TuneSpec) -> str | None:
    """The script that brings model and dataset into the volume; None if there is nothing to do."""
    words = trainer_command.fetch_command(spec, python="python")
    return _escaped(shlex.join(("env", *_FETCH_PLACES, *words))) if words else None


def is_distributed(spec: TuneSpec) -> bool:
    """Whether a trial is more than one process."""
    return spec.num_workers > 1 or spec.num_procs_per_worker > 1


def refusals(spec: TuneSpec) -> Iterator[SpecError]:
    """Values that cannot pass through Katib's substitution unharmed, and what no pod can keep."""
    if spec.save_best:
        yield SpecError(
            "`save_best` keeps nothing on a cluster: a trial's folder goes with its pod.",
            hint="Leave it out, and train the optimum again with `python -m trainer` elsewhere.",
            field="save_best",
        )
    for name, space in spec.searched.items():
        for choice in space.list or ():
            if isinstance(choice, str) and (found := _UNSAFE.search(choice)):
                yield SpecError(
                    f"`{name}`: the value `{choice}` cannot pass through Katib: it holds "
                    f"{found[0]!r}.",
                    hint="Katib puts values into a command line as they are; leave out quotes, "
                    "backslashes, control characters and `$(`.",
                    field=name,
                )


def _own_script(command: Sequence[str], values: dict[str, str]) -> str:
    filled = [_filled(word, values) for word in command]
    if len(filled) == 3 and filled[0] in ("sh", "bash", "/bin/sh", "/bin/bash"):
        return filled[2] if filled[1] == "-c" else shlex.join(filled)
    return shlex.join(filled)


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(placeholder(name), value)
    return word


def _installs(spec: TuneSpec) -> str:
    if not spec.packages_to_install:
        return ""
    first, *rest = spec.pip_index_urls or ("",)
    indexes = ["--index-url", first] if first else []
    indexes += [word for url in rest for word in ("--extra-index-url", url)]
    return f"{shlex.join([*_PIP, *indexes, *spec.packages_to_install])} && "


def _installed(words: Sequence[str]) -> dict[str, Any]:
    """The fields that `_installs` wrote, from what follows `pip install`."""
    words, indexes = list(words), []
    while words and words[0] in ("--index-url", "--extra-index-url"):
        indexes.append(words[1])
        del words[:2]
    return {"packages_to_install": words, "pip_index_urls": indexes} if words else {}


def _escaped(script: str) -> str:
    """For the kubelet, which takes $(NAME) in a command for a variable, and $$ for one $."""
    kept = _PLACEHOLDER.split(script)
    marks = _PLACEHOLDER.findall(script)
    parts = [re.sub(r"\$(?=[($])", "$$", part) for part in kept]
    return "".join(a + b for a, b in zip(parts, [*marks, ""], strict=True))


def _unescaped(script: str) -> str:
    """What the kubelet makes of a script, placeholders left alone."""
    marks = _PLACEHOLDER.findall(script)
    parts = [part.replace("$$", "$") for part in _PLACEHOLDER.split(script)]
    return "".join(a + b for a, b in zip(parts, [*marks, ""], strict=True))
