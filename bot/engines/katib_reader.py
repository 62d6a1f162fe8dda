"""What a trial's job runs, read back as fields of a spec: ours, the SDK's, anybody's (pure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from bot.engines import katib_command
from bot.engines.katib_command import placeholder
from bot.prior import KNOWN_GOOD
from bot.spec import ENV_NAME, QUANTITY

Json = Mapping[str, Any]

# Stands where a template does not say it: a container without a command runs its image's own.
NOT_SAID = "not-said-in-the-trial-template"
# Of the SDK's 120 training arguments and 13 of LoRA those are kept that people ask about.
_TOLD = {*KNOWN_GOOD, "learning_rate", "per_device_train_batch_size", "lora_alpha"}
# What follows the name of a token or key in a flag or in JSON, as an argument or after = or :.
_SECRET = re.compile(
    r"""((?:token|secret|secret_key|password|passwd|api[-_]?key|access[-_]?key)["']?\s*[=:]\s*["']?)"""
    r"""(?!null|None|\$)[^\s"',}]+""",
    re.IGNORECASE,
)
_SECRET_FLAG = re.compile(
    r"--?[\w-]*(?:token|secret|password|passwd|(?:api|access|secret)[-_]?key)", re.IGNORECASE
)


def fields_of(template: Json, spaces: Json, *, ours: bool) -> dict[str, Any]:
    """The fields of the spec that a trialTemplate holds.

    Args:
        spaces: the searched hyperparameters by name, as plain data of a spec.
        ours: this bot wrote it. Of others' trials no environment is kept, and no value that
            follows a name like `token`: they may be there in clear text.
    """
    job = _at(template, "trialSpec")
    pods = list(_pods(job))
    container = _container(job, pods, str(template.get("primaryContainerName", "")))
    marks = {
        placeholder(str(each["name"])): str(each.get("reference", ""))
        for each in template.get("trialParameters") or ()
        if "name" in each
    }
    runs = _trainer(container, spaces, marks) if ours else _sdk(pods, container, spaces, marks)
    fields = {
        **(runs or _image(template, container, spaces, marks, ours=ours)),
        **_shape(_at(job, "spec")),
        **_resources(_at(container, "resources")),
    }
    # Of an MPIJob the launcher is the primary one, and the workers hold the GPUs.
    others = [each for pod in pods for each in pod.get("containers") or ()]
    if gpus := max(_gpus(_at(each, "resources")) for each in (container, *others)):
        fields["gpu"] = gpus
    if ours and (env := _environment(container)):
        fields["env_per_trial"] = env
    return fields


# --- where things are -----------------------------------------------------------------------------


def _at(found: Any, *keys: str) -> Json:
    """The mapping under `keys`; an empty one if there is none."""
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _pods(job: Json) -> Iterator[Json]:
    """The pod specs of a job of any kind, the Master's first."""
    spec = _at(job, "spec")
    for name, replicas in spec.items():
        if name.endswith("ReplicaSpecs") and isinstance(replicas, Mapping):
            for role in sorted(replicas, key=lambda role: role not in ("Master", "Chief")):
                yield _at(replicas, role, "template", "spec")
    if pod := _at(spec, "template", "spec"):
        yield pod


def _container(job: Json, pods: Sequence[Json], name: str) -> Json:
    """The training container: the primary one, or a TrainJob's trainer."""
    if trainer := _at(job, "spec", "trainer"):
        resources = {"resources": _at(trainer, "resourcesPerNode")}
        return {**trainer, **resources}
    containers = [each for pod in pods for each in pod.get("containers") or ()]
    named = [each for each in containers if each.get("name") == name]
    return next(iter(named or containers), {})


def _shape(spec: Json) -> dict[str, Any]:
    """Pods, processes and deadline."""
    trainer = _at(spec, "trainer")
    replicas = [
        _at(roles, role).get("replicas", 1)
        for name, roles in spec.items()
        if name.endswith("ReplicaSpecs") and isinstance(roles, Mapping)
        for role in roles
    ]
    procs = str(spec.get("nprocPerNode") or trainer.get("numProcPerNode") or "")
    policy = _at(spec, "runPolicy")
    deadline = spec.get("activeDeadlineSeconds") or policy.get("activeDeadlineSeconds")
    shape = {
        "num_workers": sum(replicas) or trainer.get("numNodes"),
        # NB: it may be a word as well: auto, gpu, cpu.
        "num_procs_per_worker": int(procs) if procs.isdecimal() and int(procs) else None,
        "trial_active_deadline_seconds": deadline,
    }
    return {field: value for field, value in shape.items() if value}


def _resources(resources: Json) -> dict[str, Any]:
    """CPUs and memory; an amount that a spec cannot say (1e3, 2Pi) is left out."""
    amounts = {**_at(resources, "requests"), **_at(resources, "limits")}
    fields: dict[str, Any] = {}
    for name in ("cpu", "memory"):
        text = _amount(amounts.get(name))
        if QUANTITY.fullmatch(text):
            fields[name] = text
    return fields


def _gpus(resources: Json) -> int:
    """GPUs, or parts of GPUs, of whichever maker."""
    amounts = {**_at(resources, "requests"), **_at(resources, "limits")}
    return sum(
        int(_amount(value))
        for name, value in amounts.items()
        if "/" in name and ("gpu" in name or "/mig-" in name) and _amount(value).isdecimal()
    )


def _amount(value: object) -> str:
    """4, 4.0 and "4" are one amount."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _environment(container: Json) -> dict[str, str]:
    return {
        each["name"]: each["value"]
        for each in container.get("env") or ()
        if "value" in each and ENV_NAME.fullmatch(each["name"])
    }


# --- what it runs ---------------------------------------------------------------------------------


def _trainer(container: Json, spaces: Json, marks: Mapping[str, str]) -> dict[str, Any] | None:
    """A trial with our trainer; None for an image of the user's own."""
    args = container.get("args") or [""]
    fields = katib_command.read_script(str(args[0]))
    return _with_spaces(fields, spaces, marks) if fields else None


def _sdk(
    pods: Sequence[Json], container: Json, spaces: Json, marks: Mapping[str, str]
) -> dict[str, Any] | None:
    """A trial of `KatibClient.tune()` with its LLM trainer; None for any other."""
    inits = [each for pod in pods for each in pod.get("initContainers") or ()]
    fetch = _flags(next((i for i in inits if i.get("name") == "storage-initializer"), {}))
    flags = _flags(container)
    try:
        data = json.loads(fetch["dataset_provider_parameters"])
        fields = {
            "model_uri": flags["model_uri"],
            "transformer_type": flags["transformer_type"],
            "training_parameters": _told(flags["training_parameters"], marks),
            "lora_config": _told(flags["lora_config"], marks),
        }
    except (KeyError, ValueError, AttributeError):
        return None
    if flags.get("num_labels", "None") != "None":
        fields["num_labels"] = flags["num_labels"]
    if fetch.get("dataset_provider") == "s3":
        names = ("endpoint_url", "bucket_name", "file_key", "region_name")
        fields |= {f"s3_{name}": data[name] for name in names if data.get(name)}
    else:
        fields |= {"dataset": data.get("repo_id", "")}
        fields |= {"split": data["split"]} if data.get("split") else {}
    return _with_spaces(fields, spaces, marks)


def _flags(container: Json) -> dict[str, str]:
    words = [str(word) for word in container.get("args") or ()]
    return {
        name.removeprefix("--"): value for name, value in pairwise(words) if name.startswith("--")
    }


def _told(text: str, marks: Mapping[str, str]) -> dict[str, Any]:
    """Hyperparameters in the SDK's JSON, which has quotes around it that no shell takes off."""
    given: dict[str, Any] = json.loads(text.strip("'"))
    return {
        name: value
        for name, value in given.items()
        if (isinstance(value, str) and value in marks) or (name in _TOLD and value is not None)
    }


def _with_spaces(fields: Json, spaces: Json, marks: Mapping[str, str]) -> dict[str, Any] | None:
    """The fields with the searched hyperparameters in place; None if one has no place."""
    placed = set()
    filled: dict[str, Any] = dict(fields)
    for group in ("training_parameters", "lora_config", "parameters"):
        for name, value in fields.get(group, {}).items():
            searched = marks.get(value) if isinstance(value, str) else None
            if searched is not None and searched == name and name in spaces:
                filled[group] = {**filled[group], name: spaces[name]}
                placed.add(name)
    return filled if placed == set(spaces) else None


def _image(
    template: Json, container: Json, spaces: Json, marks: Mapping[str, str], *, ours: bool
) -> dict[str, Any]:
    """A custom objective: image and command; from a ConfigMap the template's place instead."""
    place = _at(template, "configMap")
    names = ("configMapNamespace", "configMapName", "templatePath")
    where = "/".join(str(place[name]) for name in names if place.get(name))
    image = container.get("image") or (f"configmap:{where}" if where else NOT_SAID)
    words = [str(w) for key in ("command", "args") for w in container.get(key) or ()]
    if not ours:
        words = [_named(word, marks) for word in _masked(words)]
    return {
        "objective_image": str(image),
        "objective_command": words or [NOT_SAID],
        "parameters": dict(spaces),
    }


def _named(word: str, marks: Mapping[str, str]) -> str:
    """A word with placeholders as we name them: by the hyperparameter, not by its alias."""
    for mark, reference in marks.items():
        if not reference.startswith("${"):  # trial metadata, e.g. ${trialSpec.Name}
            word = word.replace(mark, placeholder(reference))
    return word


def _masked(words: Sequence[str]) -> Iterator[str]:
    """The words of a command, tokens and keys blotted out."""
    hide = False
    for word in words:
        yield "***" if hide and not word.startswith(("-", "$")) else _SECRET.sub(r"\1***", word)
        hide = bool(_SECRET_FLAG.fullmatch(word))
