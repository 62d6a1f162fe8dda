"""Waits for what the cluster will come to, with the last state in the error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tests.cluster.api import Api
from tests.cluster.resources import EVENTS, EXPERIMENTS, Json

LOOK_S = 0.02
WAIT_S = 60.0
Found = TypeVar("Found")


def until(probe: Callable[[], Found | None], what: str, wait_s: float = WAIT_S) -> Found:
    """The first true answer of `probe`. Raises AssertionError after `wait_s` seconds."""
    end = time.monotonic() + wait_s
    while not (found := probe()):
        assert time.monotonic() < end, f"{what} did not come within {wait_s} s"
        time.sleep(LOOK_S)
    return found


def until_experiment(
    api: Api, namespace: str, name: str, holds: Callable[[Json], bool], wait_s: float = WAIT_S
) -> Json:
    """The Experiment as soon as its status fits."""
    last: list[Json] = []

    def probe() -> Json | None:
        found = api.get(EXPERIMENTS, namespace, name)
        last[:] = [found.get("status", {})]
        return found if holds(last[0]) else None

    try:
        return until(probe, f"The Experiment {name}'s wanted status", wait_s)
    except AssertionError as error:
        raise AssertionError(f"{error}; the last status was {last}") from error


def has(kind: str, reason: str = "", status: str = "True") -> Callable[[Json], bool]:
    """Whether a status has this condition."""

    def holds(found: Json) -> bool:
        return any(
            one["type"] == kind and one["status"] == status and one["reason"].startswith(reason)
            for one in found.get("conditions", ())
        )

    return holds


def reasons(status: Json) -> list[tuple[str, str, str]]:
    """Type, status and reason of every condition, in order."""
    return [(one["type"], one["status"], one["reason"]) for one in status["conditions"]]


def events(api: Api, namespace: str, name: str) -> list[Json]:
    """The events about objects of a name."""
    found = api.list(EVENTS, namespace)
    return [one for one in found if one["involvedObject"]["name"] == name]
