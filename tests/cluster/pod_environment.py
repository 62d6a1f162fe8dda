"""A container's variables, command and paths as a process on this machine gets them."""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.api import Api
from tests.cluster.resources import CONFIG_MAPS, SECRETS, Json, key_of

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_.][-\w.]*)\))")
LABEL_PATH = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """A container cannot be made: CreateContainerConfigError, with this message."""


@dataclass(frozen=True)
class Process:
    """What to start."""

    command: list[str]
    variables: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Places:
    """Paths and names in a pod, and what stands for them here."""

    paths: Mapping[str, Path]
    names: Mapping[str, str]

    def here(self, text: str) -> str:
        """The text with every path below a mount, and every host name, replaced."""
        for path in sorted(self.paths, key=len, reverse=True):
            pattern = rf"(?<![\w./-]){re.escape(path.rstrip('/'))}(?=[/\s'\";:,)\]]|$)"
            text = re.sub(pattern, str(self.paths[path]).replace("\\", r"\\"), text)
        for name, address in self.names.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", address, text)
        return text


def process(
    api: Api, pod: Json, container: Json, places: Places, extra: Mapping[str, str], cwd: Path
) -> Process:
    """Command and variables as a kubelet expands them, then with this machine's paths.

    The image is this environment: the program search path begins with this Python's folder, and
    `trainer` is this checkout's.
    Raises ConfigError for a secret or config map that is not there.
    """
    given = variables(api, pod, container)
    given.update({name: value for name, value in extra.items() if name in given})
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    if not words:
        raise ConfigError("The container has no command, and there is no image to ask for one.")
    command = [places.here(expand(word, given)) for word in words]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    own = {"PATH": path, "HOME": str(cwd), "PYTHONPATH": str(ROOT)}
    mapped = {name: places.here(value) for name, value in given.items()}
    folder = Path(places.here(container["workingDir"])) if container.get("workingDir") else cwd
    return Process(command, {**own, **mapped}, folder if folder.is_dir() else cwd)


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes the variable, if there is one, and `$$` a dollar sign."""

    def one(match: re.Match[str]) -> str:
        if match[1] == "$":
            return "$"
        return values.get(match[2], match[0])

    return REFERENCE.sub(one, text)


def variables(api: Api, pod: Json, container: Json) -> dict[str, str]:
    """envFrom, then env in order, each seeing those before it."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        prefix = source.get("prefix", "")
        if "secretRef" in source:
            data = _secret(api, pod, source["secretRef"])
        else:
            data = _config_map(api, pod, source["configMapRef"])
        found.update({f"{prefix}{name}": value for name, value in data.items()})
    for one in container.get("env") or ():
        if "valueFrom" in one:
            value = _referred(api, pod, one["valueFrom"])
            if value is not None:
                found[one["name"]] = value
        else:
            found[one["name"]] = expand(one.get("value", ""), found)
    return found


def _referred(api: Api, pod: Json, source: Json) -> str | None:
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    if "secretKeyRef" in source:
        reference, kind, data = source["secretKeyRef"], "secret", _secret
    elif "configMapKeyRef" in source:
        reference, kind, data = source["configMapKeyRef"], "configmap", _config_map
    else:
        return ""  # resource fields: nothing here asks for them
    found = data(api, pod, reference)
    if reference["key"] in found:
        return str(found[reference["key"]])
    if reference.get("optional"):
        return None
    name, namespace = reference["name"], pod["metadata"]["namespace"]
    raise ConfigError(f"couldn't find key {reference['key']} in {kind} {namespace}/{name}")


def _field(pod: Json, path: str) -> str:
    if match := LABEL_PATH.fullmatch(path):
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    plain = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "status.podIP": "127.0.0.1",
        "status.hostIP": "127.0.0.1",
    }
    found: str = plain.get(path, "")
    return found


def _secret(api: Api, pod: Json, reference: Json) -> dict[str, str]:
    found = api.find(SECRETS, key_of(pod)[0], reference["name"])
    if found is None:
        return _absent("secret", reference)
    data = found.get("data") or {}
    return {name: base64.b64decode(text).decode() for name, text in data.items()}


def _config_map(api: Api, pod: Json, reference: Json) -> dict[str, str]:
    found = api.find(CONFIG_MAPS, key_of(pod)[0], reference["name"])
    return _absent("configmap", reference) if found is None else dict(found.get("data") or {})


def _absent(kind: str, reference: Json) -> dict[str, str]:
    if reference.get("optional"):
        return {}
    raise ConfigError(f'{kind} "{reference["name"]}" not found')


def places(pod: Json, volumes: Mapping[str, Path], names: Mapping[str, str]) -> Places:
    """Every mount of the pod's containers as a folder here."""
    found: dict[str, Path] = {}
    containers: Sequence[Json] = [
        *(pod["spec"].get("initContainers") or ()),
        *pod["spec"]["containers"],
    ]
    for container in containers:
        for mount in container.get("volumeMounts") or ():
            if mount["name"] in volumes:
                folder = volumes[mount["name"]] / mount.get("subPath", "")
                folder.mkdir(parents=True, exist_ok=True)
                found[mount["mountPath"]] = folder
    return Places(found, names)
