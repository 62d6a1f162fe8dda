"""What to do about what Kubernetes says of pods that wait: tables from its words to ours (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence

Hints = Sequence[tuple[str, str]]  # a pattern in the cluster's words, and what to do then

IMAGE: Hints = (
    (r"(?i)no match for platform|exec format", "The image is not built for the node's processor."),
    (
        r"(?i)unauthorized|denied|forbidden|no basic auth|40[13]\b|authorization failed",
        "The registry wants credentials, or there is no such image: check the name, or name an "
        "image pull secret in the trial template (imagePullSecrets).",
    ),
    (
        r"(?i)not found|manifest unknown|does not exist|repository name not known",
        "Check the image's name and tag.",
    ),
    (
        r"(?i)toomanyrequests|too many requests|rate limit|429",
        "The registry limits pulls for a while: log in to it by an image pull secret, or copy the "
        "image to a registry of your own.",
    ),
    (r"(?i)couldn't parse image|invalid reference|InvalidImageName", "Write it as name:tag."),
    (
        r"(?i)no such host|i/o timeout|connection refused|timed? ?out|TLS|x509|proxyconnect",
        "The node cannot reach the registry: use an image from one that it can reach.",
    ),
    ("", "Check the image's name and tag, and whether the nodes may pull it."),
)
CONFIG: Hints = (
    (r"(?i)in Secret |in ConfigMap ", "Add that key, or name the one that is there."),
    (r"(?i)secret .*not found", "Create it in the namespace {namespace}; the trial then starts."),
    (
        r"(?i)configmap .*not found",
        "Create it in the namespace {namespace}; the trial then starts.",
    ),
    (
        r"runAsNonRoot",
        "The image has to say a numeric user that is not root, or the trial template has to "
        "(securityContext.runAsUser).",
    ),
    ("", "Check what the trial template asks for."),
)
NO_ROOM: Hints = (
    (
        r"Insufficient \S*gpu",
        "It starts as soon as GPUs are free, if there are such in the cluster. To need fewer at a "
        "time, lower parallel_trial_count, gpu or num_workers.",
    ),
    (
        r"Insufficient ",
        "It starts as soon as there is room. To need less, lower cpu, memory or "
        "parallel_trial_count.",
    ),
    (
        r"volume node affinity conflict",
        "The volume lives on another node: use a storage class that all nodes reach "
        "(storage_class), or parallel_trial_count=1.",
    ),
    (r"taint", "Let the trial template tolerate the taint, or free the nodes of it."),
    (
        r"affinity/selector|node selector|node affinity",
        "No node has the labels of the trial template's nodeSelector or affinity.",
    ),
    (r"(?i)pod ?group|gang", "It starts as soon as there is room for all pods of the trial."),
    ("", "It starts as soon as a node can take it."),
)
QUEUED = "It starts when its queue admits it."
VOLUME: Hints = (
    (
        r"(?i)multi-attach|already used by|already exclusively attached",
        "The volume can be on one node at a time: ask for storage_access_modes=ReadWriteMany, or "
        "parallel_trial_count=1.",
    ),
    (
        r"(?i)persistentvolumeclaim \S+ not found",
        "The volume was deleted: stop the Experiment and start it again.",
    ),
    (r"(?i)secret .*not found", "Create it in the namespace {namespace}."),
    (
        r"(?i)storageclass\S* \S+ not found|no storage class",
        "Name a storage class that the cluster has (storage_class=…); `kubectl get storageclass` "
        "lists them.",
    ),
    (
        r"(?i)access ?modes?|ReadWriteMany|multi_node_multi_writer|not supported",
        "The storage class cannot do what storage_access_modes asks for: use another "
        "(storage_class=…), or storage_access_modes=ReadWriteOnce.",
    ),
    ("", "Look at the volume: kubectl describe pvc -n {namespace}."),
)
CREATION: Hints = (
    (
        r"must specify",
        "The namespace's quota wants every pod to say them: give cpu and memory.",
    ),
    (
        r"exceeded quota",
        "It goes on once others end. Or lower parallel_trial_count, gpu, cpu or memory, or have "
        "the quota raised.",
    ),
    (
        r"failed calling webhook",
        "The webhook does not answer: whoever runs the cluster has to look at it.",
    ),
    (
        r"(?i)parse (the )?image|could not parse reference|from registry",
        "Katib looks up an image that brings no command of its own: give the trial a command, or "
        "an image with registry and tag.",
    ),
    (
        r"violates PodSecurity",
        "Let the trial template meet the namespace's pod security standard (securityContext).",
    ),
    (r"serviceaccount \S+ not found", "Create that service account, or name another."),
    (r"PriorityClass", "Name a priority class that the cluster has, in the trial template."),
    (
        r"(?i)(maximum|minimum) .* (usage )?per (Container|Pod)",
        "Keep within the limits of the namespace: change gpu, cpu or memory.",
    ),
    (
        r"no matches for kind",
        "The operator for this kind of trial is not installed; if it came after Katib, restart "
        "katib-controller.",
    ),
    ("", "Whoever runs the cluster knows this rule; stop the Experiment if it cannot be met."),
)
RECONCILE: Hints = (
    (
        r"An unknown trial has been passed",
        "Katib's search has forgotten the trials and will not go on: stop the Experiment and start "
        "it again, with random or tpe if it happens often.",
    ),
    (
        r"(?i)db-manager|:6789|connection refused|Unavailable|DeadlineExceeded|no such host",
        "A service of Katib does not answer: whoever runs Katib has to look at it.",
    ),
    ("", "Katib tries again; if it stays so, stop the Experiment."),
)
SEARCH = (
    "Whoever runs Katib has to look at its search pod; without it no further trial is made.",
    "Give the search more memory in katib-config (runtime.suggestions), or stop here: finished "
    "trials are kept.",
    "This search forgets its trials when it is restarted and will not go on: stop the Experiment "
    "and start it again, with random or tpe if it happens often.",
)
RESTARTS = "Its log says why; a trial that cannot end otherwise ends when you stop the Experiment."
NODE_LOST = "It goes on if the node comes back; else the trial fails and may be tried again."


def hint(table: Hints, said: str, namespace: str = "") -> str:
    """The first hint whose pattern is in the cluster's words."""
    found = next(text for pattern, text in table if re.search(pattern, said))
    return found.replace("{namespace}", namespace)
