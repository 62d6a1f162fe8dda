"""What a played pod does instead of running: its lines, its exit, or why it never starts."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.cluster.metrics import filters_of, metric_names
from tests.cluster.resources import Json


class Failure(enum.Enum):
    """Ends that a program does not choose itself."""

    IMAGE_PULL = "ImagePullBackOff"
    UNSCHEDULABLE = "Unschedulable"
    OOM_KILLED = "OOMKilled"
    CONFIG = "CreateContainerConfigError"


@dataclass(frozen=True)
class Line:
    """One line of output, so many seconds after the line before."""

    text: str
    after_s: float = 0.0


@dataclass(frozen=True)
class Recording:
    """The lines of a container, then how long it stays on, then how it ends.

    `why` is the message of a failure; `never_ends` keeps the pod running until it is deleted.
    """

    lines: tuple[Line, ...] = ()
    exit_code: int = 0
    last_s: float = 0.05  # long enough for controllers to see the pod run
    failure: Failure | None = None
    why: str = ""
    never_ends: bool = False


class Real:
    """Run the pod's own command, arguments and variables as processes on this machine."""


@dataclass(frozen=True)
class PodFacts:
    """What a choice may depend on. `trial` is None for other pods; `attempt` counts from 0."""

    namespace: str
    pod: Json
    trial: Json | None = None
    attempt: int = 0
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        name: str = self.pod["metadata"]["name"]
        return name

    @property
    def role(self) -> str:
        """`master`, `worker`, or "" where the operator did not say."""
        labels = self.pod["metadata"].get("labels", {})
        role: str = labels.get("training.kubeflow.org/replica-type", "")
        return role


Choose = Callable[[PodFacts], Recording | Real]


def lines(*texts: str, every_s: float = 0.0) -> tuple[Line, ...]:
    """Lines one after the other at a steady pace."""
    return tuple(Line(text, every_s) for text in texts)


def metric_lines(trial: Json, **values: float | str) -> tuple[Line, ...]:
    """`name=value` lines, in the dictionary form if the Trial's filter asks for quotes."""
    quoted = any("'" in text for text in filters_of(trial["spec"]["metricsCollector"]))
    if quoted:
        inner = ", ".join(f"'{name}': {value}" for name, value in values.items())
        return (Line("{" + inner + "}"),)
    return tuple(Line(f"{name}={value}") for name, value in values.items())


def default_recording(facts: PodFacts) -> Recording:
    """Every metric of the Trial once, a value between 0 and 1 that the parameters decide."""
    if facts.trial is None or facts.role == "worker":
        return Recording()
    text = repr(sorted(facts.parameters.items())).encode()
    share = int.from_bytes(hashlib.sha256(text).digest()[:4], "big") / 2**32
    values = {name: round(share, 6) for name in metric_names(facts.trial)}
    return Recording(metric_lines(facts.trial, **values))
