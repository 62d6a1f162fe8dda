"""What the tests of the controllers do and look for again and again."""

from __future__ import annotations

from collections.abc import Callable

from tests.cluster.api import Api
from tests.cluster.recordings import PodFacts, Recording, metric_lines
from tests.cluster.resources import EXPERIMENTS, TRIALS, Json
from tests.cluster.waiting import has, until

SUCCEEDED, FAILED = has("Succeeded"), has("Failed")
ENDLESS = Recording(never_ends=True)


def scores(
    function: Callable[[float], float], last_s: float = 0.05
) -> Callable[[PodFacts], Recording]:
    """Every trial prints score=function(lr)."""

    def choose(facts: PodFacts) -> Recording:
        if facts.trial is None or facts.role == "worker":
            return Recording()
        value = function(float(facts.parameters["lr"]))
        return Recording(metric_lines(facts.trial, score=value), last_s=last_s)

    return choose


def create(api: Api, body: Json) -> Json:
    """Posts an Experiment."""
    return api.create(EXPERIMENTS, body)


def trials_of(api: Api, namespace: str, name: str = "tune") -> list[Json]:
    """The Trials of an Experiment."""
    return api.list(TRIALS, namespace, labelSelector=f"katib.kubeflow.org/experiment={name}")


def until_trial(api: Api, namespace: str, holds: Callable[[Json], bool]) -> Json:
    """The first Trial whose status fits."""

    def probe() -> Json | None:
        found = trials_of(api, namespace)
        return next((one for one in found if holds(one.get("status", {}))), None)

    return until(probe, "a Trial in the wanted state")
