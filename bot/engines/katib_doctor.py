"""What a cluster lacks for Katib's Experiments: one sentence for everything that could be wrong.

Changes nothing, and asks the API server itself what the account may do. What the account is not
allowed to look at is a note and never an error: the bot works without.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bot import spec
from bot.engines import (
    katib_access,
    katib_installed,
    katib_objects,
    katib_offers,
    katib_permissions,
    katib_template,
)
from bot.engines.katib_objects import Cluster
from bot.engines.katib_template import TrialKind, TrialTemplate
from bot.engines.katib_wire import Meta
from bot.engines.kube import EXPERIMENTS, NAMESPACES, Kube
from bot.engines.kube_errors import ApiError, Unreachable
from bot.errors import TuneError
from bot.findings import Finding

FORBIDDEN, NOT_FOUND = 403, 404
INJECTION_LABEL = "katib.kubeflow.org/metrics-collector-injection"
# An Experiment that every Katib accepts; it is never made.
TRIED = {
    "name": "katib-tune-doctor",
    "objective_image": "none:1",
    "objective_command": ("true", "${trialParameters.x}"),
    "objective_metric_name": "result",
    "parameters": {"x": {"min": 1, "max": 2}},
    "max_trial_count": 1,
    "parallel_trial_count": 1,
}


@dataclass(frozen=True)
class Served:
    """What is to be served, as the settings say.

    Args:
        namespaces: where Experiments are made.
        trainer_image: of the trials.
        template: the trial template's file.
        own_namespace: where the bot keeps its Lease; None without replicas.
        storage_class: of the volumes; "" the cluster's default.
    """

    namespaces: Sequence[str]
    trainer_image: str
    template: Path | None = None
    own_namespace: str | None = None
    storage_class: str = ""


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    git_version: str = "of an unknown version"


class _Phase(msgspec.Struct, frozen=True):
    phase: str = ""


class _Namespace(msgspec.Struct, frozen=True):
    metadata: Meta
    status: _Phase = _Phase()


def examine_trials(trainer_image: str, template: Path | None) -> Iterator[Finding]:
    """What the settings say of the trials, whatever the cluster."""
    yield _template(template)[1]
    yield _image(trainer_image)


def examine(kube: Kube, served: Served) -> Iterator[Finding]:
    """Every finding in one cluster; ends early if it cannot be asked at all."""
    template, _ = _template(served.template)
    try:
        yield from _cluster(kube, served, template)
    except (ApiError, Unreachable) as error:
        yield Finding("wrong", "cluster", str(error))


def _cluster(kube: Kube, served: Served, template: TrialTemplate) -> Iterator[Finding]:
    version = msgspec.json.decode(kube.get("/version"), type=_Version).git_version
    said = f"The API server at {kube.server} answers (Kubernetes {version})."
    yield Finding("ok", "cluster", said)
    yield from katib_installed.katib(kube)
    yield from katib_installed.operator(kube, template)
    yield from katib_offers.storage(kube, served.storage_class)
    for namespace in served.namespaces:
        there = list(_namespace(kube, namespace))
        yield from there
        yield from katib_offers.quota(kube, namespace, template.gpu_resource)
        yield from _permissions(kube, namespace, template.trial_kind)
        # NB: what is wrong with the namespace, the webhooks would only say again.
        if not any(each.verdict == "wrong" for each in there):
            cluster = Cluster(namespace=namespace, trainer_image=served.trainer_image)
            yield from _tried(kube, cluster)
    if served.own_namespace is not None:
        own = [each for each in katib_permissions.PERMISSIONS if each.own_namespace]
        yield from katib_access.lacking(kube, served.own_namespace, own)


# --- settings -------------------------------------------------------------------------------------


def _template(path: Path | None) -> tuple[TrialTemplate, Finding]:
    try:
        template = katib_template.from_file(path)
    except TuneError as error:
        return TrialTemplate(), Finding("wrong", "trials", str(error))
    which = f"The trial template {path}" if path else "My own trial template"
    kind, gpu = template.trial_kind, template.gpu_resource
    said = f"{which} is used: trials are {kind}s, and a GPU is called {gpu}."
    return template, Finding("ok", "trials", said)


def _image(image: str) -> Finding:
    registry, _, rest = image.rpartition("/")
    setting = "KATIB_TUNE_TRAINER_IMAGE"
    if "@" not in rest and ":" not in rest:
        return Finding(
            "wrong", "trials", f"The trainer image {image} has no tag: nobody could say later "
            f"which one trained. Give {setting} a tag or a digest.",
        )  # fmt: skip
    if rest.endswith(":latest"):
        return Finding(
            "wrong", "trials", f"The trainer image {image} may be another one at each trial. Give "
            f"{setting} a tag of its own.",
        )  # fmt: skip
    if not registry:
        return Finding(
            "note", "trials", f"The trainer image {image} names no registry: nodes find it only if "
            f"it was loaded there (as kind does), or on Docker Hub. Else set {setting}.",
        )  # fmt: skip
    return Finding("ok", "trials", f"The trainer image is {image}.")


# --- a namespace ----------------------------------------------------------------------------------


def _namespace(kube: Kube, name: str) -> Iterator[Finding]:
    label = f"kubectl label namespace {name} {INJECTION_LABEL}=enabled"
    try:
        found = msgspec.json.decode(kube.get(NAMESPACES.path(name=name)), type=_Namespace)
    except ApiError as error:
        if error.is_missing:
            yield Finding(
                "wrong", "namespace", f"The namespace {name} does not exist. Create it: "
                f"`kubectl create namespace {name}`, then `{label}`.",
            )  # fmt: skip
        elif error.status == FORBIDDEN:
            yield Finding(
                "note", "namespace", f"Whether the namespace {name} has the label "
                f"{INJECTION_LABEL}=enabled cannot be seen from here. Without it no trial reports "
                f"anything: `{label}`.",
            )  # fmt: skip
        else:
            raise
        return
    if found.status.phase == "Terminating":
        yield Finding(
            "wrong", "namespace", f"The namespace {name} is being deleted. Use another one."
        )
    elif found.metadata.labels.get(INJECTION_LABEL) != "enabled":
        yield Finding(
            "wrong", "namespace", f"The namespace {name} lacks the label {INJECTION_LABEL}=enabled:"
            f" no trial could report its metrics. Set it: `{label}`.",
        )  # fmt: skip
    else:
        yield Finding(
            "ok", "namespace", f"The namespace {name} exists and lets metrics be collected."
        )


def _permissions(kube: Kube, namespace: str, kind: TrialKind) -> Iterator[Finding]:
    asked = [each for each in katib_permissions.needed(kind) if not each.own_namespace]
    found = list(katib_access.lacking(kube, namespace, asked))
    yield from found
    if not any(each.verdict == "wrong" for each in found):
        yield Finding("ok", "access", f"The account may do everything needed in {namespace}.")


def _tried(kube: Kube, cluster: Cluster) -> Iterator[Finding]:
    """What Katib's webhooks say to a small Experiment, by a dry run on the server."""
    body = katib_objects.experiment(spec.read(TRIED), cluster)
    try:
        kube.post(EXPERIMENTS.path(cluster.namespace), body, dryRun="All")
    except ApiError as error:
        if error.status in (FORBIDDEN, NOT_FOUND):
            return  # said above: no Katib, no namespace, or no right to it
        yield Finding("wrong", "Katib", str(error))
    else:
        yield Finding("ok", "Katib", f"An Experiment would be accepted in {cluster.namespace}.")
