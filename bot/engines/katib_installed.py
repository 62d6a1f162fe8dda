"""Whether Katib and the trials' kind of job are installed, and in an order that works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from bot.engines.katib_template import TrialKind, TrialTemplate
from bot.engines.katib_wire import Listed, Object, Pod
from bot.engines.kube import CRDS, PODS, Kube
from bot.engines.kube_errors import ApiError
from bot.findings import Finding

FORBIDDEN, NOT_FOUND = 403, 404
KATIB = "kubeflow.org/v1beta1"
KATIB_KINDS = ("experiments", "suggestions", "trials")
# kind of a trial -> (served as, plural, who serves it)
OPERATORS: dict[TrialKind, tuple[str, str, str]] = {
    "PyTorchJob": ("kubeflow.org/v1", "pytorchjobs", "the training operator"),
    "TrainJob": ("trainer.kubeflow.org/v1alpha1", "trainjobs", "the Kubeflow Trainer"),
}
CONTROLLER_LABEL = "katib.kubeflow.org/component=controller"


class _ApiResource(msgspec.Struct, frozen=True):
    name: str


class _ApiResources(msgspec.Struct, frozen=True):
    resources: tuple[_ApiResource, ...] | None = ()


def katib(kube: Kube) -> Iterator[Finding]:
    """Whether Katib's kinds are served, in the version that the engine speaks."""
    missing = [kind for kind in KATIB_KINDS if kind not in _served(kube, KATIB)]
    if not missing:
        yield Finding("ok", "Katib", f"Katib's kinds are served ({KATIB}).")
        return
    yield Finding(
        "wrong", "Katib",
        f"Katib is not installed here: the cluster does not serve {', '.join(missing)} of "
        f"{KATIB}. Install Katib 0.19 or newer.",
    )  # fmt: skip


def operator(kube: Kube, template: TrialTemplate) -> Iterator[Finding]:
    """Whether the trials' kind of job is served, and Katib knows it.

    A missing one is wrong if the template names it; else it may be that all trials are Jobs.
    """
    kind = template.trial_kind
    version, plural, who = OPERATORS[kind]
    if plural in _served(kube, version):
        yield Finding("ok", "Katib", f"The trials' kind is served ({kind}, {version}).")
        yield from _order_of_start(kube, kind, plural, version.partition("/")[0])
        return
    yield Finding(
        "wrong" if "trial_kind" in template.model_fields_set else "note", "Katib",
        f"{who[0].upper()}{who[1:]} is not installed here: the cluster does not serve {plural} of "
        f"{version}. Custom objectives run as Jobs and need none; for trials with the trainer "
        "install it, and restart Katib's controller afterwards.",
    )  # fmt: skip


def _order_of_start(kube: Kube, kind: TrialKind, plural: str, group: str) -> Iterator[Finding]:
    # NB: Katib's controller watches only the kinds of jobs that were there when it started.
    try:
        crd = msgspec.json.decode(kube.get(CRDS.path(name=f"{plural}.{group}")), type=Object)
        started = _controller_started(kube)
    except ApiError as error:
        if error.status not in (FORBIDDEN, NOT_FOUND):
            raise
        crd, started = None, None
    made = crd.metadata.creation_timestamp if crd else None
    if made is None or started is None:
        yield Finding(
            "note", "Katib",
            f"Whether Katib's controller started after the kind {kind} was installed "
            "cannot be seen from here. If trials never end, restart it: "
            "`kubectl -n kubeflow rollout restart deployment katib-controller`.",
        )  # fmt: skip
    elif started < made:
        yield Finding(
            "wrong", "Katib",
            f"Katib's controller started {started:%Y-%m-%d %H:%M:%S}, before the kind "
            f"{kind} was installed ({made:%Y-%m-%d %H:%M:%S}): it does not see such trials end. "
            "Restart it: `kubectl -n kubeflow rollout restart deployment katib-controller`.",
        )  # fmt: skip
    else:
        yield Finding(
            "ok", "Katib", f"Katib's controller started after the kind {kind} was installed."
        )


def _controller_started(kube: Kube) -> datetime | None:
    """When the oldest of Katib's controllers that run now started; None if none is seen."""
    answer = kube.get(PODS.path(), labelSelector=CONTROLLER_LABEL, limit=10)
    started = [
        status.state.running.started_at
        for pod in msgspec.json.decode(answer, type=Listed[Pod]).items or ()
        for status in pod.status.container_statuses or ()
        if status.state.running is not None
    ]
    return min((at for at in started if at is not None), default=None)


def _served(kube: Kube, version: str) -> frozenset[str]:
    """What the cluster serves of a group's version; anybody may ask that."""
    try:
        answer = kube.get(f"/apis/{version}")
    except ApiError as error:
        if error.status == NOT_FOUND:
            return frozenset()
        raise
    found = msgspec.json.decode(answer, type=_ApiResources).resources or ()
    return frozenset(each.name for each in found)
