"""The Suggestion and the Trials that Katib (v0.19) makes of an Experiment."""

from __future__ import annotations

from tests.cluster.objects import owner
from tests.cluster.resources import Json, Key

EXPERIMENT_LABEL = "katib.kubeflow.org/experiment"


def experiment_key(obj: Json) -> Key:
    """Which Experiment a Trial belongs to, by its label."""
    return obj["metadata"]["namespace"], obj["metadata"].get("labels", {}).get(EXPERIMENT_LABEL, "")


def suggestion_for(experiment: Json, requests: int) -> Json:
    """The Suggestion: labels and annotations are the Experiment's, as they are now."""
    meta, spec = experiment["metadata"], experiment["spec"]
    wanted = {
        "algorithm": spec["algorithm"],
        "earlyStopping": spec.get("earlyStopping"),
        "requests": requests,
        "resumePolicy": spec["resumePolicy"],
    }
    return {
        "metadata": {
            "name": meta["name"],
            "namespace": meta["namespace"],
            "labels": meta.get("labels", {}),
            "annotations": meta.get("annotations", {}),
            "ownerReferences": [owner(experiment)],
        },
        "spec": {name: value for name, value in wanted.items() if value is not None},
    }


def trial_for(experiment: Json, assignment: Json, job: Json) -> Json:
    """The Trial of one assignment, with the job that it runs."""
    meta, spec = experiment["metadata"], experiment["spec"]
    template = spec["trialTemplate"]
    given = assignment.get("labels") or {}
    wanted = {
        "objective": spec["objective"],
        "parameterAssignments": assignment["parameterAssignments"],
        "earlyStoppingRules": assignment.get("earlyStoppingRules") or None,
        "runSpec": job,
        "retainRun": template.get("retain") or None,
        "metricsCollector": spec["metricsCollectorSpec"],
        "primaryPodLabels": template.get("primaryPodLabels"),
        "primaryContainerName": template["primaryContainerName"],
        "successCondition": template["successCondition"],
        "failureCondition": template["failureCondition"],
        "labels": given or None,
    }
    return {
        "metadata": {
            "name": assignment["name"],
            "namespace": meta["namespace"],
            "labels": {**meta.get("labels", {}), EXPERIMENT_LABEL: meta["name"], **given},
            "ownerReferences": [owner(experiment)],
        },
        "spec": {name: value for name, value in wanted.items() if value is not None},
    }
