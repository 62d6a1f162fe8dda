"""What the training operator's webhook refuses in a PyTorchJob (training operator v1.9)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.cluster.katib_sentences import forbidden, invalid, required
from tests.cluster.resources import Json

ROLES = ("Master", "Worker")
CONTAINER = "pytorch"
REPLICAS = "spec.pytorchReplicaSpecs"


def pytorchjob_refusals(job: Json) -> list[str]:
    """Every reason to refuse a PyTorchJob that its CRD's schema lets pass."""
    return [*_name(job), *_roles(job["spec"].get("pytorchReplicaSpecs"))]


def _name(job: Json) -> Iterator[str]:
    name = job["metadata"].get("name", "")
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name):
        yield invalid(
            "metadata.name",
            name,
            "should match: a DNS-1035 label must consist of lower case alphanumeric characters or "
            "'-', start with an alphabetic character, and end with an alphanumeric character "
            "(e.g. 'my-name',  or 'abc-123', regex used for validation is "
            "'[a-z]([-a-z0-9]*[a-z0-9])?')",
        )


def _roles(roles: Json | None) -> Iterator[str]:
    if not roles:
        yield required(REPLICAS, "must be specified")
        return
    for role, spec in roles.items():
        path = f"{REPLICAS}[{role}]"
        if role not in ROLES:
            yield f'{path}: Unsupported value: "{role}": supported values: "Master", "Worker"'
        yield from _containers(path, spec)
        if role == "Master" and spec.get("replicas", 1) != 1:
            yield forbidden(f"{path}.replicas", "must be 1")


def _containers(path: str, role: Json) -> Iterator[str]:
    where = f"{path}.template.spec.containers"
    containers = role.get("template", {}).get("spec", {}).get("containers") or []
    if not containers:
        yield required(where, "must be specified")
        return
    for number, container in enumerate(containers):
        if not container.get("image"):
            yield required(f"{where}[{number}].image", "must be required")
    if not any(container["name"] == CONTAINER for container in containers):
        yield required(where, f"must have at least one container with name {CONTAINER}")
