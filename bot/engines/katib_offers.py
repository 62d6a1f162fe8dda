"""What a cluster offers for the volumes and GPUs that Experiments ask for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bot.engines.katib_wire import Listed, Meta
from bot.engines.kube import QUOTAS, STORAGE_CLASSES, Kube
from bot.engines.kube_errors import ApiError
from bot.findings import Finding

FORBIDDEN, NOT_FOUND = 403, 404
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


class _StorageClass(msgspec.Struct, frozen=True):
    metadata: Meta
    provisioner: str = ""


class _Amounts(msgspec.Struct, frozen=True):
    hard: dict[str, str] = {}
    used: dict[str, str] = {}


class _Quota(msgspec.Struct, frozen=True):
    metadata: Meta
    status: _Amounts = _Amounts()


def storage(kube: Kube, wanted: str) -> Iterator[Finding]:
    """Whether the storage class that volumes take (`wanted`, "" the default one) is there."""
    try:
        answer = kube.get(STORAGE_CLASSES.path(), limit=500)
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        yield Finding(
            "note", "storage", "Which storage classes there are cannot be seen from here."
        )
        return
    classes = msgspec.json.decode(answer, type=Listed[_StorageClass]).items or ()
    names = ", ".join(each.metadata.name for each in classes) or "none"
    if wanted:
        found = next((each for each in classes if each.metadata.name == wanted), None)
        missing = f"The storage class {wanted} does not exist here; there are: {names}."
    else:
        found = next(
            (c for c in classes if c.metadata.annotations.get(DEFAULT_CLASS) == "true"), None
        )
        missing = (
            f"No storage class is the default (there are: {names}): the volume for model and data "
            "would wait for ever. Mark one as the default, or say `storage_class=` each time."
        )
    if found is None:
        yield Finding("wrong", "storage", missing)
        return
    which = "" if wanted else "default "
    yield Finding(
        "ok", "storage",
        f"The {which}storage class is {found.metadata.name} ({found.provisioner}). Whether "
        "it can do ReadWriteMany cannot be asked: with `storage_access_modes=ReadWriteOnce` "
        "all trials run on the node that has the volume.",
    )  # fmt: skip


def quota(kube: Kube, namespace: str, gpu_resource: str) -> Iterator[Finding]:
    """Notes on quotas that leave no GPU; nothing where they cannot be read."""
    try:
        answer = kube.get(QUOTAS.path(namespace), limit=100)
    except ApiError as error:
        if error.status in (FORBIDDEN, NOT_FOUND):
            return
        raise
    name = f"requests.{gpu_resource}"
    for each in msgspec.json.decode(answer, type=Listed[_Quota]).items or ():
        hard, used = each.status.hard.get(name), each.status.used.get(name, "0")
        if hard is not None and hard.isdecimal() and used.isdecimal() and int(used) >= int(hard):
            yield Finding(
                "note", "quota",
                f"The quota {each.metadata.name} leaves no {gpu_resource} in {namespace} "
                f"({used} of {hard} are used): a trial with a GPU would be refused there.",
            )  # fmt: skip
