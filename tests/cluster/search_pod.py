"""The objects around a search pod: Deployment, Service and, to resume from a volume, a claim."""

from __future__ import annotations

from collections.abc import Mapping

from tests.cluster.resources import Json

SUGGESTION_LABEL = "katib.kubeflow.org/suggestion"
IMAGES: Mapping[str, str] = {
    "random": "hyperopt",
    "tpe": "hyperopt",
    "grid": "optuna",
    "multivariate-tpe": "optuna",
    "bayesianoptimization": "skopt",
    "cmaes": "goptuna",
    "sobol": "goptuna",
}
RESOURCES = {
    "requests": {"cpu": "50m", "memory": "10Mi", "ephemeral-storage": "500Mi"},
    "limits": {"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "5Gi"},
}


def pod_name(suggestion: Json) -> str:
    """`<experiment>-<algorithm>`: the name of Deployment, Service and claim."""
    return f"{suggestion['metadata']['name']}-{suggestion['spec']['algorithm']['algorithmName']}"


def deployment(suggestion: Json) -> Json:
    labels = _labels(suggestion)
    algorithm = suggestion["spec"]["algorithm"]["algorithmName"]
    image = IMAGES.get(algorithm, algorithm)
    containers = [_container("suggestion", f"suggestion-{image}", "katib-api", 6789)]
    if suggestion["spec"].get("earlyStopping"):
        name = suggestion["spec"]["earlyStopping"]["algorithmName"]
        containers.append(
            _container("early-stopping", f"earlystopping-{name}", "earlystop-api", 6788)
        )
    pod: Json = {"containers": containers}
    if suggestion["spec"]["resumePolicy"] == "FromVolume":
        mount = {"name": "suggestion-volume", "mountPath": "/opt/katib/data"}
        containers[0]["volumeMounts"] = [mount]
        source = {"claimName": pod_name(suggestion)}
        pod["volumes"] = [{"name": "suggestion-volume", "persistentVolumeClaim": source}]
    return {
        "metadata": _meta(suggestion),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}},
                "spec": pod,
            },
        },
    }


def service(suggestion: Json) -> Json:
    ports = [{"name": "katib-api", "port": 6789}]
    if suggestion["spec"].get("earlyStopping"):
        ports.append({"name": "earlystop-api", "port": 6788})
    selector = {"katib.kubeflow.org/deployment": pod_name(suggestion)}
    spec = {"ports": ports, "selector": selector}
    return {"metadata": _meta(suggestion), "spec": spec}


def claim(suggestion: Json) -> Json:
    return {
        "metadata": _meta(suggestion),
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


def _meta(suggestion: Json) -> Json:
    return {"name": pod_name(suggestion), "namespace": suggestion["metadata"]["namespace"]}


def _labels(suggestion: Json) -> dict[str, str]:
    name = suggestion["metadata"]["name"]
    return {
        "katib.kubeflow.org/deployment": pod_name(suggestion),
        "katib.kubeflow.org/experiment": name,
        SUGGESTION_LABEL: name,
    }


def _container(name: str, image: str, port: str, number: int) -> Json:
    return {
        "name": name,
        "image": f"kubeflow/katib/{image}:v0.19.0",
        "ports": [{"name": port, "containerPort": number}],
        "resources": RESOURCES,
    }
