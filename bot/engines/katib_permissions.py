"""What the bot's account must be allowed on a cluster, and why: one table (pure).

`doctor` asks the cluster for each line, and the Role in manifests/ is held against it by a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.engines.katib_template import TrialKind


@dataclass(frozen=True)
class Permission:
    """One rule of a Role.

    Args:
        group: the API group, "" for the core group.
        resource: plural, lower case.
        verbs: get, list, watch, create, update, patch, delete.
        why: what the bot does with it, as the end of "… is needed to …".
        subresource: such as `log`.
        cluster: asked for without a namespace (ClusterRole).
        optional: only `doctor` looks at it; the bot works without.
        trial_kind: needed only if trials are of that kind; None always.
        own_namespace: needed only in the namespace where the bot itself runs.
    """

    group: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    subresource: str = ""
    cluster: bool = False
    optional: bool = False
    trial_kind: TrialKind | None = None
    own_namespace: bool = False

    @property
    def rule(self) -> str:
        """The resource as a Role's rule spells it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


PERMISSIONS: tuple[Permission, ...] = (
    Permission(
        "", "configmaps", ("get", "list", "watch", "create", "update"),
        "keep the record of each Experiment",
    ),
    Permission(
        "kubeflow.org", "experiments", ("get", "list", "watch", "create", "patch", "delete"),
        "start, follow, extend and stop Experiments",
    ),
    Permission("kubeflow.org", "trials", ("list", "watch"), "follow the trials"),
    Permission("kubeflow.org", "suggestions", ("get",), "say why a search does not start"),
    Permission("", "pods", ("list", "watch"), "say why a trial does not start"),
    Permission("", "pods", ("get",), "show what a trial printed", subresource="log"),
    Permission("", "events", ("list", "watch"), "say what Kubernetes refuses"),
    Permission(
        "", "persistentvolumeclaims", ("get", "create", "patch", "delete"),
        "keep model and data for the trials",
    ),
    Permission(
        "batch", "jobs", ("get", "create", "delete"),
        "fetch model and data, and run trial 0 of a Job",
    ),
    Permission(
        "kubeflow.org", "pytorchjobs", ("get", "create", "delete"),
        "run trial 0 and repeat trials", trial_kind="PyTorchJob",
    ),
    Permission(
        "trainer.kubeflow.org", "trainjobs", ("get", "create", "delete"),
        "run trial 0 and repeat trials", trial_kind="TrainJob",
    ),
    Permission(
        "coordination.k8s.io", "leases", ("get", "create", "update"),
        "let one of several replicas tell", own_namespace=True,
    ),
    Permission(
        "", "namespaces", ("get",), "check the label of a namespace", cluster=True, optional=True
    ),
    Permission(
        "storage.k8s.io", "storageclasses", ("list",), "check the storage class",
        cluster=True, optional=True,
    ),
    Permission(
        "apiextensions.k8s.io", "customresourcedefinitions", ("get",),
        "check Katib's and the training operator's versions", cluster=True, optional=True,
    ),
)  # fmt: skip


def needed(trial_kind: TrialKind) -> Sequence[Permission]:
    """The table without the other kinds of trials."""
    return [each for each in PERMISSIONS if each.trial_kind in (None, trial_kind)]
