"""The kinds of objects that the test bed touches, and their addresses on the API server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]  # namespace ("" for cluster-wide objects), name


@dataclass(frozen=True)
class Resource:
    """One kind as the API server serves it; `api_version` is `v1` or `group/version`."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", sub: str = "") -> str:
        """The address of a collection, an object or a subresource."""
        parts = ["api" if "/" not in self.api_version else "apis", self.api_version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        return "/" + "/".join([*parts, self.plural, *[part for part in (name, sub) if part]])


KATIB = "kubeflow.org/v1beta1"
EXPERIMENTS = Resource(KATIB, "Experiment", "experiments")
SUGGESTIONS = Resource(KATIB, "Suggestion", "suggestions")
TRIALS = Resource(KATIB, "Trial", "trials")
PYTORCHJOBS = Resource("kubeflow.org/v1", "PyTorchJob", "pytorchjobs")
JOBS = Resource("batch/v1", "Job", "jobs")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
PODS = Resource("v1", "Pod", "pods")
SERVICES = Resource("v1", "Service", "services")
EVENTS = Resource("v1", "Event", "events")
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
SECRETS = Resource("v1", "Secret", "secrets")
CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
VOLUMES = Resource("v1", "PersistentVolume", "persistentvolumes", namespaced=False)
NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
NODES = Resource("v1", "Node", "nodes", namespaced=False)
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")
MUTATING = Resource(
    "admissionregistration.k8s.io/v1",
    "MutatingWebhookConfiguration",
    "mutatingwebhookconfigurations",
    namespaced=False,
)
VALIDATING = Resource(
    "admissionregistration.k8s.io/v1",
    "ValidatingWebhookConfiguration",
    "validatingwebhookconfigurations",
    namespaced=False,
)
CRDS = Resource(
    "apiextensions.k8s.io/v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    namespaced=False,
)


def key_of(obj: Json) -> Key:
    """Namespace and name."""
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
