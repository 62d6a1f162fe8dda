"""What the local engine refuses before anything exists (pure)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from bot import trial_check
from bot.errors import SpecError
from bot.spec import FIELDS, TuneSpec

ALGORITHMS = ("random", "grid", "tpe", "multivariate-tpe")
KATIB_ONLY = {
    "objective_image": "images run on Katib; this engine runs a Python function",
    "early_stopping": "this engine ends no trial early yet",
    "num_workers": "a trial is one process on this machine",
    "num_procs_per_worker": "a trial is one process on this machine",
    "memory": "memory cannot be promised to a process on this machine",
    "storage_size": "there are no volumes on this machine",
    "storage_class": "there are no volumes on this machine",
    "storage_access_modes": "there are no volumes on this machine",
    "namespace": "there is no cluster",
    "metrics_collector": "this engine reads what a trial prints",
    "packages_to_install": "install them into this environment",
    "pip_index_urls": "install packages into this environment",
    "model_access_token": "there are no Secrets on this machine: set HF_TOKEN for the bot",
    "dataset_access_token": "there are no Secrets on this machine: set HF_TOKEN for the bot",
    "s3_access_key": "there are no Secrets on this machine: set AWS_ACCESS_KEY_ID for the bot",
    "s3_secret_key": "there are no Secrets on this machine: set AWS_SECRET_ACCESS_KEY for the bot",
}


def refusals(
    spec: TuneSpec, *, allow_code: bool, cores: int, gpus: int, has_bitsandbytes: bool = True
) -> Iterator[SpecError]:
    """Every field that this engine cannot honour, each with its sentence.

    Args:
        allow_code: whether Python code from a spec may be run.
        cores, gpus, has_bitsandbytes: what this machine has.
    """
    if spec.algorithm_name not in ALGORITHMS:
        yield SpecError(
            f"`{spec.algorithm_name}` runs on Katib; this engine has "
            f"{', '.join(ALGORITHMS[:-1])} and {ALGORITHMS[-1]}.",
            hint="Take algorithm=multivariate-tpe.",
            field="algorithm_name",
        )
    for field, why in KATIB_ONLY.items():
        # NB: a form sends every field: a value that is the default was not asked for.
        if field in spec.model_fields_set and getattr(spec, field) != FIELDS[field].get_default():
            shown = f"`{field}={getattr(spec, field)}`"[:80]
            yield SpecError(f"{shown} cannot be had here: {why}.", field=field)
    if spec.quantization and not has_bitsandbytes:
        yield SpecError(
            f"`quantization={spec.quantization}` needs bitsandbytes, which is not installed here.",
            hint="pip install bitsandbytes, or leave `quantization` out.",
            field="quantization",
        )
    yield from trial_check.problems(spec)
    if spec.objective_source and not allow_code:
        yield SpecError(
            "Python code from a spec is not run here.",
            hint="Whoever runs the bot can allow it.",
            field="objective_source",
        )
    if spec.trust_remote_code and not allow_code:
        yield SpecError(
            "Python code that comes with a model is not run here.",
            hint="Whoever runs the bot can allow it; else leave `trust_remote_code` out.",
            field="trust_remote_code",
        )
    yield from _resources(spec, cores, gpus)


def _resources(spec: TuneSpec, cores: int, gpus: int) -> Iterator[SpecError]:
    if spec.gpu > gpus:
        yield SpecError(
            f"`gpu={spec.gpu}`: this machine has {gpus} visible GPUs.",
            hint="Take gpu=0." if not gpus else f"Take at most gpu={gpus}.",
            field="gpu",
        )
    if spec.cpu is not None and cpus(spec.cpu) > cores:
        yield SpecError(
            f"`cpu={spec.cpu}`: this machine has {cores}.", hint=f"Take cpu={cores}.", field="cpu"
        )


def cpus(quantity: str) -> int:
    """Whole CPUs in a Kubernetes quantity, at least 1: `500m` is 1, `4` is 4."""
    number, unit = re.fullmatch(r"([0-9.]+)(\D*)", quantity).groups()  # type: ignore[union-attr]
    factor = {"": 1.0, "m": 0.001, "k": 1e3}.get(unit, 1e6)
    return max(1, math.ceil(float(number) * factor))
