"""What Katib's pod webhook (v0.19) makes of a trial's pod: labels, collector, wrapped command."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tests.cluster.katib_defaults import CUSTOM, DEFAULT_METRICS_FILE, FILE, PUSH, STDOUT, TF_EVENT
from tests.cluster.resources import Json

TRIAL_LABEL = "katib.kubeflow.org/trial"
TRIAL_VARIABLE = "KATIB_TRIAL_NAME"
LOGGER = "metrics-logger-and-collector"
COLLECTOR = "metrics-collector"
IMAGES: Mapping[str, str] = {
    STDOUT: "kubeflow/katib/file-metrics-collector:v0.19.0",
    FILE: "kubeflow/katib/file-metrics-collector:v0.19.0",
    TF_EVENT: "kubeflow/katib/tfevent-metrics-collector:v0.19.0",
}
RESOURCES = {
    "requests": {"cpu": "50m", "memory": "10Mi", "ephemeral-storage": "500Mi"},
    "limits": {"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "5Gi"},
}
VOLUME = "metrics-volume"
COMPLETED, EARLY_STOPPED = "completed", "early-stopped"
DATABASE = "katib-db-manager.kubeflow:6789"
STRICT_IMAGE = re.compile(
    r"(?P<host>[\w.-]+(\.[\w-]+|:\d+)|localhost)/[a-z0-9._/-]+(:[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})"
)


class Refused(Exception):
    """The webhook cannot change this pod; the text is the sentence of the API server's answer."""


@dataclass(frozen=True)
class Image:
    """What an image's configuration says: the command of containers that bring none."""

    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


def mutated(pod: Json, trial: Json, images: Mapping[str, Image]) -> Json:
    """The pod as it is stored. `images` stands for the registry. Raises Refused."""
    pod = copy.deepcopy(pod)
    spec, run = pod["spec"], trial["spec"]
    _label(pod, trial)
    primary = _primary(spec["containers"], run["primaryContainerName"])
    primary.setdefault("env", []).append(
        {
            "name": TRIAL_VARIABLE,
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{TRIAL_LABEL}']"}},
        }
    )
    collecting = run["metricsCollector"]
    kind = collecting["collector"]["kind"]
    if not is_primary(pod, trial) or kind == PUSH:
        return pod
    sidecar = _collector(trial, collecting)
    spec["containers"].append(sidecar)
    spec["shareProcessNamespace"] = True
    if folder := metrics_folder(collecting):
        for container in (primary, sidecar):
            mounts = container.setdefault("volumeMounts", [])
            mounts.append({"name": VOLUME, "mountPath": folder})
        spec.setdefault("volumes", []).append({"name": VOLUME, "emptyDir": {}})
    if kind in (STDOUT, FILE, TF_EVENT):
        wrap(primary, trial, images)
    return pod


def is_primary(pod: Json, trial: Json) -> bool:
    """Whether all primary pod labels fit; without any, every pod is primary."""
    labels = pod["metadata"].get("labels", {})
    wanted = trial["spec"].get("primaryPodLabels") or {}
    return all(labels.get(name) == value for name, value in wanted.items())


def metrics_path(collecting: Json) -> str:
    """Where the program leaves its metrics, "" for collectors without a file."""
    if collecting["collector"]["kind"] == STDOUT:
        return DEFAULT_METRICS_FILE
    path: str = ((collecting.get("source") or {}).get("fileSystemPath") or {}).get("path", "")
    return path


def metrics_folder(collecting: Json) -> str:
    """The folder that the program and the collector share."""
    path = metrics_path(collecting)
    kind = ((collecting.get("source") or {}).get("fileSystemPath") or {}).get("kind", "File")
    if not path or kind == "Directory":
        return path
    return str(PurePosixPath(path).parent)


def wrap(container: Json, trial: Json, images: Mapping[str, Image]) -> None:
    """Joins the command and its arguments with spaces and has a shell run them.

    A dollar sign is doubled once for the kubelet: `$$$$` is the shell's `$$`, its process id.
    """
    words = command_of(container, images)
    shell = ["sh", "-c"]
    if words[:1] in (["sh"], ["bash"]) and words[1:2] == ["-c"]:
        shell, words = words[:2], words[2:]
    collecting = trial["spec"]["metricsCollector"]
    if collecting["collector"]["kind"] == STDOUT:
        words = [*words, f"1>{metrics_path(collecting)} 2>&1"]
    folder = metrics_folder(collecting).rstrip("/")
    if trial["spec"].get("earlyStoppingRules"):
        words = [*words, "||", _unless_stopped(folder)]
    words = [*words, "&&", f"echo {COMPLETED} > {folder}/$$$$.pid"]
    container["command"], container["args"] = shell, [" ".join(words)]


def command_of(container: Json, images: Mapping[str, Image]) -> list[str]:
    """Command and arguments; without a command those of the image, which the webhook looks up."""
    if container.get("command"):
        return [*container["command"], *(container.get("args") or ())]
    name = container["image"]
    if not STRICT_IMAGE.fullmatch(name):
        raise Refused(f'Failed to parse image "{name}": could not parse reference: {name}')
    if name not in images:
        raise Refused(f'Failed to get container image "{name}" info from registry: not found')
    image = images[name]
    return [*image.entrypoint, *(container.get("args") or image.arguments)]


def _unless_stopped(folder: str) -> str:
    return (
        f"if test -f {folder}/$$$$.pid && [ $(head -n 1 {folder}/$$.pid) = {EARLY_STOPPED} ]; "
        "then echo Training Container was Early Stopped; "
        "else echo Training Container was Failed; exit 1; fi"
    )


def _label(pod: Json, trial: Json) -> None:
    labels = pod["metadata"].setdefault("labels", {})
    labels.update(trial["metadata"].get("labels", {}))
    labels[TRIAL_LABEL] = trial["metadata"]["name"]


def _primary(containers: Sequence[Json], name: str) -> Json:
    for container in containers:
        if container["name"] == name:
            return container
    names = " ".join(container["name"] for container in containers)
    raise Refused(
        f"unable to find primary container in mutated pod containers: primary container: {name}, "
        f"mutated pod containers: [{names}]"
    )


def _collector(trial: Json, collecting: Json) -> Json:
    kind = collecting["collector"]["kind"]
    if kind == CUSTOM:
        custom: Json = copy.deepcopy(collecting["collector"]["customCollector"])
        return custom
    return {
        "name": LOGGER if kind in (STDOUT, FILE) else COLLECTOR,
        "image": IMAGES[kind],
        "imagePullPolicy": "IfNotPresent",
        "args": _collector_arguments(trial, collecting),
        "resources": copy.deepcopy(RESOURCES),
    }


def _collector_arguments(trial: Json, collecting: Json) -> list[str]:
    objective = trial["spec"]["objective"]
    names = [objective["objectiveMetricName"], *(objective.get("additionalMetricNames") or ())]
    words = ["-t", trial["metadata"]["name"], "-m", ";".join(names), "-o-type", objective["type"]]
    words += ["-s-db", DATABASE, "-path", metrics_path(collecting)]
    source = collecting.get("source") or {}
    if filters := (source.get("filter") or {}).get("metricsFormat"):
        words += ["-f", ";".join(filters)]
    kind = collecting["collector"]["kind"]
    if kind in (STDOUT, FILE):
        words += ["-format", (source.get("fileSystemPath") or {}).get("format", "TEXT")]
    for rule in trial["spec"].get("earlyStoppingRules") or ():
        parts = [rule["name"], rule["value"], rule["comparison"], str(rule.get("startStep", 0))]
        words += ["-stop-rule", ";".join(parts)]
    if trial["spec"].get("earlyStoppingRules"):
        labels = trial["metadata"].get("labels", {})
        experiment = labels.get("katib.kubeflow.org/experiment", "")
        namespace = trial["metadata"].get("namespace", "")
        words += ["-s-earlystop", f"{experiment}.{namespace}:6788"]
    return words
