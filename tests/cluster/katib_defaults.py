"""What Katib's defaulting webhook fills into an Experiment (Katib v0.19)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from tests.cluster.resources import Json

STDOUT, FILE, TF_EVENT = "StdOut", "File", "TensorFlowEvent"
PROMETHEUS, CUSTOM, PUSH = "PrometheusMetric", "Custom", "Push"
DEFAULT_METRICS_FILE = "/var/log/katib/metrics.log"
STRATEGY: Mapping[str, str] = {"minimize": "min", "maximize": "max"}
MASTER = {"training.kubeflow.org/job-role": "master"}
FIRST_NODE = {
    "jobset.sigs.k8s.io/replicatedjob-name": "node",
    "batch.kubernetes.io/job-completion-index": "0",
}


def with_defaults(experiment: Json) -> Json:
    """The Experiment as it is stored; what cannot be filled in is left for the refusals."""
    filled = copy.deepcopy(experiment)
    spec = filled.setdefault("spec", {})
    if spec.get("parallelTrialCount") is None:
        spec["parallelTrialCount"] = 3
    if not spec.get("resumePolicy"):
        spec["resumePolicy"] = "Never"
    if spec.get("objective"):
        _objective(spec["objective"])
    if spec.get("trialTemplate"):
        _trial_template(spec["trialTemplate"])
    for parameter in spec.get("parameters") or ():
        space = parameter.setdefault("feasibleSpace", {})
        if not space.get("distribution"):
            space["distribution"] = "uniform"
    _collector(spec)
    return filled


def _objective(objective: Json) -> None:
    present = objective.get("metricStrategies") or []
    named = {one["name"] for one in present}
    names = [
        objective.get("objectiveMetricName", ""),
        *(objective.get("additionalMetricNames") or ()),
    ]
    strategy = STRATEGY.get(objective.get("type", ""), "latest")
    added = [{"name": name, "value": strategy} for name in names if name not in named]
    objective["metricStrategies"] = [*present, *added]


def conditions_of(api_version: str, kind: str) -> tuple[str, str, Json] | None:
    """Success condition, failure condition and primary pod labels for a kind of trial."""

    def has(name: str) -> str:
        return f'status.conditions.#(type=="{name}")#|#(status=="True")#'

    if (api_version, kind) == ("batch/v1", "Job"):
        return has("Complete"), has("Failed"), {}
    if kind == "TrainJob":
        return has("Complete"), has("Failed"), FIRST_NODE
    if kind in ("TFJob", "PyTorchJob", "XGBoostJob", "MPIJob"):
        return has("Succeeded"), has("Failed"), MASTER
    return None


def _trial_template(template: Json) -> None:
    trial = template.get("trialSpec")
    if not isinstance(trial, dict):
        return
    defaults = conditions_of(trial.get("apiVersion", ""), trial.get("kind", ""))
    if defaults is None:
        return
    success, failure, labels = defaults
    if not template.get("successCondition"):
        template["successCondition"] = success
    if not template.get("failureCondition"):
        template["failureCondition"] = failure
    if labels and not template.get("primaryPodLabels"):
        template["primaryPodLabels"] = dict(labels)


def _collector(spec: Json) -> None:
    collecting = spec["metricsCollectorSpec"] = spec.get("metricsCollectorSpec") or {}
    collector = collecting["collector"] = collecting.get("collector") or {}
    kind = collector["kind"] = collector.get("kind") or STDOUT
    source = collecting.get("source") or {}
    if kind == FILE:
        path = source["fileSystemPath"] = source.get("fileSystemPath") or {}
        path["kind"] = path.get("kind") or "File"
        path["path"] = path.get("path") or DEFAULT_METRICS_FILE
        path["format"] = path.get("format") or "TEXT"
    elif kind == TF_EVENT:
        path = source["fileSystemPath"] = source.get("fileSystemPath") or {}
        path["kind"] = path.get("kind") or "Directory"
        path["path"] = path.get("path") or "/var/log/katib/tfevent/"
    elif kind == PROMETHEUS:
        page = source["httpGet"] = source.get("httpGet") or {}
        page["path"] = page.get("path") or "/metrics"
        page["port"] = page.get("port") or 8080
    if source:
        collecting["source"] = source
