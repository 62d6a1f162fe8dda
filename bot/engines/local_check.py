"""What the local engine refuses before anything exists (pure)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping

from bot import trial_check
from bot.engines import local_hyperband
from bot.errors import SpecError
from bot.spec import FIELDS, TuneSpec

ALGORITHMS = (
    "random", "grid", "tpe", "multivariate-tpe", "bayesianoptimization", "cmaes", "sobol",
    "hyperband",
)  # fmt: skip
# What an algorithm needs besides Optuna.
PACKAGES = {
    "bayesianoptimization": ("scipy", "torch"),
    "cmaes": ("cmaes",),
    "sobol": ("scipy",),
}
# Katib's settings that are not free here: the values that this engine has, and why.
SETTINGS: Mapping[str, Mapping[str, tuple[tuple[str, ...], str]]] = {
    "bayesianoptimization": {
        "base_estimator": (("GP",), "the model is a Gaussian process"),
        "acq_func": (("EI",), "points are chosen by their expected improvement"),
        "acq_optimizer": (("auto", "lbfgs"), "the best point is found by L-BFGS"),
    },
    "cmaes": {
        "restart_strategy": (("none",), "the search is not started over"),
        # NB: Katib measures it in the hyperparameters' own units, however unlike they are.
        "sigma": ((), "it begins with a sixth of each range"),
    },
}
KATIB_ONLY = {
    "objective_image": "images run on Katib; this engine runs a Python function",
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
    spec: TuneSpec,
    *,
    allow_code: bool,
    cores: int,
    gpus: int,
    is_installed: Callable[[str], bool] = lambda _package: True,
) -> Iterator[SpecError]:
    """Every field that this engine cannot honour, each with its sentence.

    Args:
        allow_code: whether Python code from a spec may be run.
        cores, gpus: what this machine has.
        is_installed: whether a package can be imported here.
    """
    yield from _search(spec, is_installed)
    for field, why in KATIB_ONLY.items():
        # NB: a form sends every field: a value that is the default was not asked for.
        if field in spec.model_fields_set and getattr(spec, field) != FIELDS[field].get_default():
            shown = f"`{field}={getattr(spec, field)}`"[:80]
            yield SpecError(f"{shown} cannot be had here: {why}.", field=field)
    if spec.quantization and not is_installed("bitsandbytes"):
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


def _search(spec: TuneSpec, is_installed: Callable[[str], bool]) -> Iterator[SpecError]:
    name = spec.algorithm_name
    if name not in ALGORITHMS:
        yield SpecError(
            f"`{name}` runs on Katib; this engine has "
            f"{', '.join(ALGORITHMS[:-1])} and {ALGORITHMS[-1]}.",
            hint="Take algorithm=multivariate-tpe.",
            field="algorithm_name",
        )
    for package in PACKAGES.get(name, ()):
        if not is_installed(package):
            yield SpecError(
                f"`{name}` needs the package {package}, which is not installed here.",
                hint="pip install 'katib-tune[local]', or take algorithm=multivariate-tpe.",
                field="algorithm_name",
            )
    if name == "hyperband" and (found := local_hyperband.untakeable(spec)):
        resource, amounts = local_hyperband.resource(spec), ", ".join(map(str, found))
        yield SpecError(
            f"hyperband would set `{resource}` to {amounts}, which it may not be here.",
            hint=f"Give {resource} a range from 1 to r_l.",
            field="algorithm_settings",
        )
    for setting, (had, why) in SETTINGS.get(name, {}).items():
        asked = spec.algorithm_settings.get(setting)
        if asked is not None and asked not in had:
            yield SpecError(
                f"`{setting}={asked}` of `{name}` cannot be had here: {why}.",
                hint=f"Write {setting}={had[0]}, or leave it out." if had else "Leave it out.",
                field="algorithm_settings",
            )


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
