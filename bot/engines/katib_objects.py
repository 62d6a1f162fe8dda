"""Tune spec -> the Kubernetes objects of one Experiment (pure).

The Experiment's body is what `KatibClient.tune()` sends for the same call, but for image, command,
arguments, volumes and the metrics filter; tests hold it against the SDK's own bodies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import Field

from bot import algorithms, trial_check
from bot.engines import katib_command
from bot.engines.katib_command import SHELL, WORKSPACE, is_distributed, placeholder
from bot.engines.katib_template import CONTAINER, POD_SPEC, TrialTemplate, merged
from bot.errors import SpecError
from bot.prior import known_good
from bot.spec import AccessMode, Frozen, Parameter, Scalar, TuneSpec, algorithm_settings

Json = dict[str, Any]

LABEL_MANAGED = "app.kubernetes.io/managed-by"
LABEL_EXPERIMENT = "katib-tune/experiment"
LABEL_ROLE = "katib-tune/role"
# Katib's own label of a trial's pods, on ours too: one watch sees them all.
LABEL_KATIB_EXPERIMENT = "katib.kubeflow.org/experiment"
MANAGED = "katib-tune"
# A number is needed: with Katib's own filter `loss=nan` is a metric with an empty value, on which
# its search services crash. Two groups, as its webhook wants them.
METRICS_FORMAT = r"([\w|-]+)\s*=\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[Ee][+-]?\d+)?)(?:\s|$)"
ISTIO = {"sidecar.istio.io/inject": "false"}
VOLUME = "workspace"


class Cluster(Frozen):
    """What the objects need to know of the cluster besides the spec."""

    namespace: str
    trainer_image: str
    template: TrialTemplate = TrialTemplate()
    node: str = Field(
        default="", description="The node that holds the volume, where it cannot be shared."
    )


def as_yaml(spec: TuneSpec, cluster: Cluster) -> str:
    """Every object of the Experiment as YAML documents, in the order in which they are created.

    Raises:
        SpecError: what a trial would refuse, or a value that cannot pass through Katib.
    """
    if refused := (*trial_check.problems(spec), *katib_command.refusals(spec)):
        raise SpecError.of(refused)
    documents = objects(spec, cluster)
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=100)


def objects(spec: TuneSpec, cluster: Cluster) -> list[Json]:
    """Every object of the Experiment, in the order in which they are created."""
    made = (
        volume_claim(spec, cluster),
        fetch_job(spec, cluster),
        baseline(spec, cluster),
        experiment(spec, cluster),
    )
    return [each for each in made if each is not None]


def experiment(spec: TuneSpec, cluster: Cluster) -> Json:
    """The Experiment (kubeflow.org/v1beta1)."""
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {
            "name": spec.name,
            "namespace": cluster.namespace,
            "labels": labels(spec, "experiment"),
        },
        "spec": {
            "objective": _objective(spec),
            "algorithm": _algorithm(spec),
            **_early_stopping(spec),
            "maxTrialCount": spec.max_trial_count,
            "parallelTrialCount": min(spec.parallel_trial_count, spec.max_trial_count),
            "maxFailedTrialCount": min(spec.max_failed_trial_count, spec.max_trial_count),
            "resumePolicy": spec.resume_policy,
            "metricsCollectorSpec": _collector(spec),
            "parameters": [_parameter(name, space) for name, space in spec.searched.items()],
            "trialTemplate": {
                "primaryContainerName": _container_name(spec, cluster),
                "retain": spec.retain_trials,
                "trialParameters": [{"name": name, "reference": name} for name in spec.searched],
                "trialSpec": trial(spec, cluster, _placeholders(spec)),
            },
        },
    }


def labels(spec: TuneSpec, role: str) -> dict[str, str]:
    """The labels by which what belongs to an Experiment is found again."""
    return {LABEL_MANAGED: MANAGED, LABEL_EXPERIMENT: spec.name, LABEL_ROLE: role}


def baseline(spec: TuneSpec, cluster: Cluster) -> Json | None:
    """Trial 0, the known-good configuration, as a job of ours beside the Experiment.

    No search service of Katib takes a first point. None if the spec has no trial 0.
    """
    values = known_good(spec) if spec.known_good_trial else None
    if values is None:
        return None
    return own_trial(spec, cluster, baseline_name(spec), values, role="baseline")


def baseline_name(spec: TuneSpec) -> str:
    """The name of trial 0 and of its job."""
    return f"{spec.name}-baseline"


def own_trial(
    spec: TuneSpec, cluster: Cluster, name: str, values: Mapping[str, Scalar], *, role: str
) -> Json:
    """A trial as a job of ours: the trialSpec of the Experiment with values in it."""
    job = trial(spec, cluster, {key: str(value) for key, value in values.items()})
    own = {"name": name, "namespace": cluster.namespace}
    job["metadata"] = merged(job.get("metadata", {}), {**own, "labels": labels(spec, role)})
    for template in _pod_templates(job):
        template["metadata"] = merged(template["metadata"], {"labels": _pod_labels(spec, role)})
    return job


def _pod_templates(job: Json) -> list[Json]:
    if job["kind"] == "PyTorchJob":
        replicas = job["spec"]["pytorchReplicaSpecs"]
        # NB: Master and Workers are written from one value; each gets a copy of its own.
        for replica in replicas.values():
            replica["template"] = dict(replica["template"])
        return [replica["template"] for replica in replicas.values()]
    if job["kind"] == "TrainJob":
        return list(job["spec"]["podTemplateOverrides"])
    return [job["spec"]["template"]]


def _pod_labels(spec: TuneSpec, role: str) -> dict[str, str]:
    return {**labels(spec, role), LABEL_KATIB_EXPERIMENT: spec.name}


def volume_claim(spec: TuneSpec, cluster: Cluster) -> Json | None:
    """The volume for model and data; None if nothing is fetched."""
    if katib_command.fetch_script(spec) is None:
        return None
    claim: Json = {
        "accessModes": list(access_modes(spec, cluster)),
        "resources": {"requests": {"storage": spec.storage_size}},
    }
    if spec.storage_class:
        claim["storageClassName"] = spec.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": spec.name,
            "namespace": cluster.namespace,
            "labels": labels(spec, "volume"),
        },
        "spec": claim,
    }


def access_modes(spec: TuneSpec, cluster: Cluster) -> tuple[AccessMode, ...]:
    """The volume's access modes: the spec's, else the cluster's, else the SDK's own."""
    asked = "storage_access_modes" in spec.model_fields_set
    return (
        spec.storage_access_modes
        if asked
        else (cluster.template.access_modes or spec.storage_access_modes)
    )


def fetch_job(spec: TuneSpec, cluster: Cluster) -> Json | None:
    """The job that fetches model and data into the volume, once, before the first trial.

    A job and not an init container of each trial: no GPU waits for a download, a wrong name or a
    missing token is told before any trial exists, and trials hold no tokens and need no network.
    """
    script = katib_command.fetch_script(spec)
    if script is None:
        return None
    container: Json = {
        "name": "fetch",
        "image": cluster.trainer_image,
        "command": list(SHELL),
        "args": [script],
        "env": [*_environment(spec), *_secrets(spec)],
        "volumeMounts": [{"name": VOLUME, "mountPath": WORKSPACE}],
    }
    pod_spec: Json = {
        "restartPolicy": "Never",
        "containers": [merged(container, CONTAINER)],
        "volumes": [_volume(spec, read_only=False)],
    }
    template = cluster.template
    # What the template says of containers is said of the trials'.
    laid = {name: value for name, value in template.pod_spec.items() if name != "containers"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{spec.name}-fetch",
            "namespace": cluster.namespace,
            "labels": labels(spec, "fetch"),
        },
        "spec": {
            "backoffLimit": 2,
            "template": {
                "metadata": {
                    "annotations": {**ISTIO, **template.annotations},
                    "labels": {**template.labels, **_pod_labels(spec, "fetch")},
                },
                "spec": merged(merged(pod_spec, POD_SPEC), laid),
            },
        },
    }


# --- the trial ------------------------------------------------------------------------------------


def trial(spec: TuneSpec, cluster: Cluster, values: Mapping[str, str]) -> Json:
    """A trial's job, without a name: with placeholders the trialSpec of an Experiment, with values
    a trial of our own.
    """
    kind = trial_kind(spec, cluster)
    build = {"Job": _job, "PyTorchJob": _pytorch_job, "TrainJob": _train_job}[kind]
    job = build(spec, cluster, dict(values))
    if cluster.template.labels:
        job["metadata"] = {"labels": dict(cluster.template.labels)}
    return job


def trial_kind(spec: TuneSpec, cluster: Cluster) -> str:
    """Job, PyTorchJob or TrainJob: what a trial of this spec is."""
    if spec.is_custom and not is_distributed(spec):
        return "Job"
    return cluster.template.trial_kind


def _container_name(spec: TuneSpec, cluster: Cluster) -> str:
    return {"Job": "training-container", "PyTorchJob": "pytorch", "TrainJob": "node"}[
        trial_kind(spec, cluster)
    ]


def _job(spec: TuneSpec, cluster: Cluster, values: dict[str, str]) -> Json:
    # backoffLimit 0: a trial that fails has failed. Kubernetes' own default runs it seven times.
    body: Json = {"backoffLimit": 0}
    if spec.trial_active_deadline_seconds:
        body["activeDeadlineSeconds"] = spec.trial_active_deadline_seconds
    template = _pod(spec, cluster, values)
    template["spec"]["restartPolicy"] = "Never"
    return {"apiVersion": "batch/v1", "kind": "Job", "spec": {**body, "template": template}}


def _pytorch_job(spec: TuneSpec, cluster: Cluster, values: dict[str, str]) -> Json:
    # Running: when the Master has ended, Workers that still run are of no use.
    policy: Json = {"cleanPodPolicy": "Running", "backoffLimit": 0}
    if spec.trial_active_deadline_seconds:
        policy["activeDeadlineSeconds"] = spec.trial_active_deadline_seconds
    # Never: a failed pod fails the job. The operator's default restarts it for ever.
    replica = {"restartPolicy": "Never", "template": _pod(spec, cluster, values)}
    replicas: Json = {"Master": {"replicas": 1, **replica}}
    if spec.num_workers > 1:
        replicas["Worker"] = {"replicas": spec.num_workers - 1, **replica}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "spec": {
            "nprocPerNode": str(spec.num_procs_per_worker),
            "runPolicy": policy,
            "pytorchReplicaSpecs": replicas,
        },
    }


def _train_job(spec: TuneSpec, cluster: Cluster, values: dict[str, str]) -> Json:
    template = _pod(spec, cluster, values)
    pod = template["spec"]
    container = pod["containers"][0]
    # NB: Trainer knows activeDeadlineSeconds from 2.2 on; an older one drops it.
    late = spec.trial_active_deadline_seconds
    overrides = {
        name: value
        for name, value in pod.items()
        if name not in ("containers", "automountServiceAccountToken")
    }
    mounts = {"name": "node", "volumeMounts": container.get("volumeMounts", [])}
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {
            **({"activeDeadlineSeconds": late} if late else {}),
            "runtimeRef": {
                "apiGroup": "trainer.kubeflow.org",
                "kind": "ClusterTrainingRuntime",
                "name": cluster.template.runtime,
            },
            "trainer": {
                "image": container["image"],
                "command": container["command"],
                "args": container["args"],
                "numNodes": spec.num_workers,
                "numProcPerNode": spec.num_procs_per_worker,
                "env": container.get("env", []),
                "resourcesPerNode": container.get("resources", {}),
            },
            "podTemplateOverrides": [
                {
                    "targetJobs": [{"name": "node"}],
                    "metadata": template["metadata"],
                    "spec": {**overrides, "containers": [mounts]},
                }
            ],
        },
    }


def _pod(spec: TuneSpec, cluster: Cluster, values: dict[str, str]) -> Json:
    template = cluster.template
    container: Json = {
        "name": _container_name(spec, cluster),
        "image": spec.objective_image or cluster.trainer_image,
        "command": list(SHELL),
        "args": [katib_command.trial_script(spec, values)],
    }
    if resources := _resources(spec, template):
        container["resources"] = {"requests": dict(resources), "limits": dict(resources)}
    if spec.env_per_trial:
        container["env"] = _environment(spec)
    volumes, mounts = _volumes(spec, template)
    if mounts:
        container["volumeMounts"] = mounts
    # NB: an image of somebody else's may need root; only ours is known not to.
    own = not spec.objective_image
    pod_spec: Json = {"containers": [merged(container, CONTAINER if own else {})]}
    if volumes:
        pod_spec["volumes"] = volumes
    if cluster.node and katib_command.fetch_script(spec) is not None:
        pod_spec["nodeSelector"] = {"kubernetes.io/hostname": cluster.node}
    pod_spec = merged(pod_spec, POD_SPEC if own else {"automountServiceAccountToken": False})
    laid = dict(template.pod_spec)
    if template.container:
        named = {"name": container["name"], **template.container}
        laid["containers"] = [*laid.get("containers", []), named]
    metadata: Json = {"annotations": {**ISTIO, **template.annotations}}
    if template.labels:
        metadata["labels"] = dict(template.labels)
    return {"metadata": metadata, "spec": merged(pod_spec, laid)}


def _resources(spec: TuneSpec, template: TrialTemplate) -> Json:
    """Requests and limits of a pod, numbers as numbers, as the SDK sends them."""
    asked: Json = {}
    if spec.cpu is not None:
        asked["cpu"] = int(spec.cpu) if spec.cpu.isdecimal() else spec.cpu
    if spec.memory is not None:
        asked["memory"] = spec.memory
    if spec.gpu:
        asked[template.gpu_resource] = spec.gpu
    return asked


def _volumes(spec: TuneSpec, template: TrialTemplate) -> tuple[list[Json], list[Json]]:
    volumes: list[Json] = []
    mounts: list[Json] = []
    if katib_command.fetch_script(spec) is not None:
        volumes.append(_volume(spec, read_only=True))
        mounts.append({"name": VOLUME, "mountPath": WORKSPACE, "readOnly": True})
    if template.shared_memory:
        memory = {"medium": "Memory", "sizeLimit": template.shared_memory}
        volumes.append({"name": "shared-memory", "emptyDir": memory})
        mounts.append({"name": "shared-memory", "mountPath": "/dev/shm"})
    return volumes, mounts


def _volume(spec: TuneSpec, *, read_only: bool) -> Json:
    claim: Json = {"claimName": spec.name}
    if read_only:
        claim["readOnly"] = True
    return {"name": VOLUME, "persistentVolumeClaim": claim}


def _environment(spec: TuneSpec) -> list[Json]:
    return [{"name": name, "value": value} for name, value in spec.env_per_trial.items()]


def _secrets(spec: TuneSpec) -> list[Json]:
    """Tokens and keys, by reference only."""
    named = {
        "HF_TOKEN": spec.model_access_token or spec.dataset_access_token,
        "AWS_ACCESS_KEY_ID": spec.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": spec.s3_secret_key,
    }
    env: list[Json] = []
    for name, reference in named.items():
        if reference:
            secret, key = reference.split("/", 1)
            source = {"secretKeyRef": {"name": secret, "key": key}}
            env.append({"name": name, "valueFrom": source})
    return env


# --- objective, search, metrics -------------------------------------------------------------------


def _objective(spec: TuneSpec) -> Json:
    objective: Json = {
        "type": spec.objective_type,
        "objectiveMetricName": spec.objective_metric_name,
        "additionalMetricNames": list(spec.additional_metric_names),
    }
    if spec.objective_goal is not None:
        objective["goal"] = spec.objective_goal
    if spec.objective_strategy is not None:
        strategy = {"name": spec.objective_metric_name, "value": spec.objective_strategy}
        objective["metricStrategies"] = [strategy]
    return objective


def _algorithm(spec: TuneSpec) -> Json:
    settings = algorithm_settings(spec)
    known = algorithms.ALGORITHMS[spec.algorithm_name].settings
    if spec.seed is not None and "random_state" in known:
        settings.setdefault("random_state", str(spec.seed))
    return {"algorithmName": spec.algorithm_name, **_settings(settings)}


def _early_stopping(spec: TuneSpec) -> Json:
    if not spec.early_stopping:
        return {}
    rule = {"algorithmName": spec.early_stopping, **_settings(spec.early_stopping_settings)}
    return {"earlyStopping": rule}


def _settings(settings: Mapping[str, str]) -> Json:
    if not settings:
        return {}
    return {"algorithmSettings": [{"name": k, "value": v} for k, v in settings.items()]}


def _collector(spec: TuneSpec) -> Json:
    collector: Json = {"collector": {"kind": spec.metrics_collector}}
    if spec.metrics_collector == "StdOut" and not spec.objective_image:
        collector["source"] = {"filter": {"metricsFormat": [METRICS_FORMAT]}}
    return collector


def _parameter(name: str, space: Parameter) -> Json:
    return {
        "name": name,
        "parameterType": space.parameter_type,
        "feasibleSpace": _feasible_space(space),
    }


def _feasible_space(space: Parameter) -> Json:
    if not space.is_range:
        return {"list": [_text(choice) for choice in space.list or ()]}
    feasible: Json = {"min": _text(space.min), "max": _text(space.max)}
    if space.step is not None:
        feasible["step"] = _text(space.step)
    if space.distribution != "uniform":
        feasible["distribution"] = space.distribution
    return feasible


def _text(value: Scalar) -> str:
    """A value as Katib carries it."""
    return str(value)


def _placeholders(spec: TuneSpec) -> dict[str, str]:
    return {name: placeholder(name) for name in spec.searched}
