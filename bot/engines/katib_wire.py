"""What is read of Kubernetes objects: small typed values, unknown fields skipped (pure).

Typed decoding costs a thirteenth of building dicts, and what is kept is small. Names are the
cluster's own, in its spelling by `rename="camel"`. Lists may be None: Go writes an empty one so.
`gc=False`: such values form no cycles, and walking thousands of them would hold up every thread.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Meta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Condition(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """`status` is "True", "False" or "Unknown"."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class Assignment(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The value that Katib gave to a parameter, as text."""

    name: str
    value: str = ""


class Metric(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One metric of an observation, as texts; `unavailable` where there is none."""

    name: str
    latest: str = ""
    min: str = ""
    max: str = ""


class KatibObservation(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    metrics: tuple[Metric, ...] | None = ()


class KatibExperimentStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    conditions: tuple[Condition, ...] | None = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None
    trials: int = 0
    trials_pending: int = 0
    trials_running: int = 0


class KatibExperimentSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The counts, which may change while it runs, and what they may change under."""

    max_trial_count: int | None = None
    parallel_trial_count: int | None = None
    max_failed_trial_count: int | None = None
    resume_policy: str = ""


class KatibExperiment(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    metadata: Meta
    spec: KatibExperimentSpec = KatibExperimentSpec()
    status: KatibExperimentStatus = KatibExperimentStatus()


class KatibTrialSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    parameter_assignments: tuple[Assignment, ...] | None = ()


class KatibTrialStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    conditions: tuple[Condition, ...] | None = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None
    observation: KatibObservation = KatibObservation()


class KatibTrial(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    metadata: Meta
    spec: KatibTrialSpec = KatibTrialSpec()
    status: KatibTrialStatus = KatibTrialStatus()


class Waiting(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    reason: str = ""
    message: str = ""


class Running(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    started_at: datetime | None = None


class Terminated(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    image: str = ""
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class Resources(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Quantities as they are written: texts or numbers."""

    limits: dict[str, str | int | float] = {}


class Container(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    image: str = ""
    resources: Resources = Resources()


class PodSpec(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    node_name: str = ""
    containers: tuple[Container, ...] | None = ()


class PodStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[Condition, ...] | None = ()
    container_statuses: tuple[ContainerStatus, ...] | None = ()
    init_container_statuses: tuple[ContainerStatus, ...] | None = ()


class Pod(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    metadata: Meta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class ObjectReference(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class EventSeries(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    count: int = 0
    last_observed_time: datetime | None = None


class Event(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A core/v1 Event. `last_timestamp` is None for events of the newer API: `event_time` then."""

    metadata: Meta
    involved_object: ObjectReference = ObjectReference()
    type: str = ""
    reason: str = ""
    message: str = ""
    count: int | None = None
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None


class JobStatus(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Of a Job, a PyTorchJob or a TrainJob: all three speak in conditions."""

    conditions: tuple[Condition, ...] | None = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None


class Job(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    metadata: Meta
    status: JobStatus = JobStatus()


class ConfigMap(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """`binary_data` is base64 text, as on the wire."""

    metadata: Meta
    data: dict[str, str] = {}
    binary_data: dict[str, str] = {}


class Object(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Any object of which only the metadata matters."""

    metadata: Meta


class ListMeta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    resource_version: str = ""
    # The field is called `continue` on the wire.
    continue_: str = msgspec.field(default="", name="continue")


class Listed(msgspec.Struct, Generic[T], frozen=True, gc=False, rename="camel"):
    """A page of a list."""

    metadata: ListMeta = ListMeta()
    items: tuple[T, ...] | None = ()


def condition(conditions: tuple[Condition, ...] | None, *types: str) -> Condition | None:
    """The newest condition of one of `types` that is True; the last in the list is the newest."""
    for each in reversed(conditions or ()):
        if each.type in types and each.status == "True":
            return each
    return None
