"""What controllers do to objects: conditions, owners, finalizers, events."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.cluster.api import Api, ApiError
from tests.cluster.resources import EVENTS, Json, Resource


def now() -> str:
    """This moment as Kubernetes writes it: RFC 3339, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(conditions: Sequence[Json], kind: str) -> Json | None:
    return next((one for one in conditions if one["type"] == kind), None)


def is_true(conditions: Sequence[Json], kind: str) -> bool:
    found = condition(conditions, kind)
    return found is not None and found["status"] == "True"


def with_condition(
    conditions: Sequence[Json], kind: str, reason: str, message: str, status: str = "True"
) -> list[Json]:
    """Katib v0.19: the changed condition goes to the end; an equal one changes nothing.

    lastTransitionTime moves only with the status.
    """
    old = condition(conditions, kind)
    if old and old["status"] == status and old["reason"] == reason:
        return list(conditions)
    moment = now()
    moved = old["lastTransitionTime"] if old and old["status"] == status else moment
    new = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": moment,
        "lastTransitionTime": moved,
    }
    return [*(one for one in conditions if one["type"] != kind), new]


def no_longer(conditions: Sequence[Json], kind: str) -> list[Json]:
    """Turns a condition to False under its own reason and message; absent, it stays absent."""
    old = condition(conditions, kind)
    if old is None:
        return list(conditions)
    return with_condition(conditions, kind, old["reason"], old["message"], "False")


def owner(obj: Json) -> Json:
    """The reference by which a controller owns what it makes."""
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Json) -> Json | None:
    """The owner that controls an object."""
    owners = obj["metadata"].get("ownerReferences", ())
    return next((one for one in owners if one.get("controller")), None)


def finalizers_due(obj: Json, finalizer: str) -> list[str] | None:
    """The finalizers as they should be, None if they are: on while alive, off once deleted."""
    present = list(obj["metadata"].get("finalizers", ()))
    if "deletionTimestamp" in obj["metadata"]:
        return [one for one in present if one != finalizer] if finalizer in present else None
    return None if finalizer in present else [*present, finalizer]


def with_finalizers(obj: Json, finalizers: Sequence[str]) -> Json:
    return {**obj, "metadata": {**obj["metadata"], "finalizers": list(finalizers)}}


def record_event(
    api: Api, obj: Json, resource: Resource, reason: str, message: str, kind: str, component: str
) -> None:
    """Writes an Event about an object, or counts the same one up, as event recorders do.

    One that the API server refuses, as in a namespace that ends, is left out.
    """
    meta, moment = obj["metadata"], now()
    namespace = meta.get("namespace", "default")
    same = hashlib.sha256(f"{meta['uid']} {reason} {message} {component}".encode()).hexdigest()[:16]
    name = f"{meta['name']}.{same}"
    event = {
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": meta["name"],
            "namespace": namespace,
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        },
        "reason": reason,
        "message": message[:1024],
        "type": kind,
        "source": {"component": component},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    try:
        api.create(EVENTS, event)
    except ApiError as error:
        if error.status == 409:
            _count_up(api, namespace, name)
        elif error.status not in (403, 404):
            raise


def _count_up(api: Api, namespace: str, name: str) -> None:
    if old := api.find(EVENTS, namespace, name):
        seen = {"count": old.get("count", 1) + 1, "lastTimestamp": now()}
        api.patch(EVENTS, namespace, name, seen)
