"""What every trial's pods have besides the trial itself: a value that a cluster's owner edits.

Read from a YAML file (`KATIB_TUNE_TRIAL_TEMPLATE`; manifests/trial-template.yaml is the example).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeGuard

import yaml
from pydantic import Field, ValidationError

from bot.errors import TuneError
from bot.spec import AccessMode, Frozen

TrialKind = Literal["PyTorchJob", "TrainJob"]
# Katib's own metrics sidecar shares the pod's processes, and the trainer needs no API server.
POD_SPEC: Mapping[str, Any] = {
    "automountServiceAccountToken": False,
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
CONTAINER: Mapping[str, Any] = {
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
}


class TrialTemplate(Frozen):
    """The parts of a trial that belong to the cluster.

    `pod_spec` and `container` are merged into every pod of a trial and into its training container:
    mappings key by key, lists of named things (volumes, env, …) by name, all else replaced.
    """

    trial_kind: TrialKind = Field(
        default="PyTorchJob", description="Kind of a trial with the trainer."
    )
    runtime: str = Field(
        default="torch-distributed", description="ClusterTrainingRuntime of a TrainJob."
    )
    gpu_resource: str = Field(default="nvidia.com/gpu", description="What one GPU is called here.")
    access_modes: tuple[AccessMode, ...] = Field(
        default=(),
        description="Access modes of volumes here where a spec asks for none; with ReadWriteMany "
        "trials run on every node.",
    )
    shared_memory: str = Field(default="", description="Size of /dev/shm, e.g. `8Gi`; else 64Mi.")
    labels: Mapping[str, str] = Field(
        default={}, description="On job and pods, e.g. Kueue's queue-name."
    )
    annotations: Mapping[str, str] = Field(default={}, description="On the pods.")
    pod_spec: Mapping[str, Any] = Field(default={}, description="Merged into each pod's spec.")
    container: Mapping[str, Any] = Field(
        default={}, description="Merged into the training container."
    )


def from_file(path: Path | None) -> TrialTemplate:
    """The template in a file; the default one without a file.

    Raises:
        TuneError: the file cannot be read, or holds no template.
    """
    if path is None:
        return TrialTemplate()
    try:
        return from_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise TuneError(f"The trial template {path} cannot be read: {error}.") from error


def from_yaml(text: str, where: str) -> TrialTemplate:
    """The template in a YAML text.

    Raises:
        TuneError: no YAML, an unknown field or a wrong value; `where` names the file.
    """
    try:
        data = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise TuneError(f"The trial template {where}{line} is no YAML.") from error
    if not isinstance(data, dict):
        raise TuneError(f"The trial template {where} is no list of `field: value` lines.")
    try:
        return TrialTemplate.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(TrialTemplate.model_fields)
            raise TuneError(
                f"The trial template {where} has no field `{field}`.", hint=f"There are {known}."
            ) from error
        raise TuneError(
            f"The trial template {where}: `{field}` is {first['input']!r}: {first['msg'].lower()}."
        ) from error


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid on it, as TrialTemplate says."""
    out = dict(base)
    for key, value in over.items():
        held = out.get(key)
        if isinstance(held, Mapping) and isinstance(value, Mapping):
            out[key] = merged(held, value)
        elif _is_named(held) and _is_named(value):
            out[key] = _merged_by_name(held, value)
        else:
            out[key] = value
    return out


def _is_named(value: Any) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and all(isinstance(v, Mapping) and "name" in v for v in value)


def _merged_by_name(
    base: list[Mapping[str, Any]], over: list[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    # NB: one volume may be mounted twice under one name; what is mounted elsewhere is another.
    def key(item: Mapping[str, Any]) -> tuple[Any, Any]:
        return item["name"], item.get("mountPath")

    laid = {key(item): item for item in base}
    for item in over:
        laid[key(item)] = merged(laid.get(key(item), {}), item)
    return list(laid.values())
