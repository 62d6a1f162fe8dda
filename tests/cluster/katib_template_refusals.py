"""What Katib's validating webhook (v0.19) refuses in a trial template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.cluster.katib_sentences import invalid, required, shown
from tests.cluster.resources import Json

PLACEHOLDER = re.compile(r"\$\{trialParameters\..+?\}")
META_REFERENCE = re.compile(r"\$\{trialSpec\.(.+?)\}")
META_KEYS = frozenset(["Name", "Namespace", "Kind", "APIVersion"])
META_MAPS = re.compile(r"(Labels|Annotations)\[.+\]")
TEMPLATE = "spec.trialTemplate"


def template_refusals(spec: Json, config_maps: Mapping[tuple[str, str], Json]) -> Iterator[str]:
    """Every reason to refuse spec.trialTemplate; `config_maps` holds the data of those named."""
    template = spec.get("trialTemplate")
    if not template:
        yield required(TEMPLATE, "must be specified")
        return
    if not template.get("primaryContainerName"):
        yield required(f"{TEMPLATE}.primaryContainerName", "must be specified")
    if not template.get("successCondition") or not template.get("failureCondition"):
        yield required(TEMPLATE, "successCondition and failureCondition must be specified")
    if template.get("trialParameters") is None:
        yield required(f"{TEMPLATE}.trialParameters", "must be specified")
        return
    text, refusal = _template_text(template, config_maps)
    if text is None:
        yield refusal
        return
    yield from _uses(spec, template["trialParameters"], text)


def _template_text(
    template: Json, config_maps: Mapping[tuple[str, str], Json]
) -> tuple[str | None, str]:
    """The template as text, or None and the refusal."""
    spec: Json | None = template.get("trialSpec")
    source: Json = template.get("configMap") or {}
    if spec is None and not source:
        sentence = "spec.trialTemplate.trialSpec or spec.trialTemplate.configMap must be specified"
        return None, required(f"{TEMPLATE}.TrialSource", sentence)
    if spec is not None and source:
        sentence = (
            "only one of spec.trialTemplate.trialSpec or spec.trialTemplate.configMap "
            "can be specified"
        )
        return None, required(TEMPLATE, sentence)
    if spec is not None:
        return json.dumps(spec), ""
    parts = [source.get(n) for n in ("configMapName", "configMapNamespace", "templatePath")]
    if not all(parts):
        sentence = "configMapName, configMapNamespace and templatePath must be specified"
        return None, required(f"{TEMPLATE}.configMap", sentence)
    name, namespace, path = parts
    data = config_maps.get((str(namespace), str(name)))
    if data is None or path not in data:
        why = "NotFound" if data is not None else f'configmaps "{name}" not found'
        return None, invalid(TEMPLATE, "", f"unable to parse spec.trialTemplate: {why}")
    return data[path], ""


def _uses(spec: Json, parameters: list[Json], text: str) -> Iterator[str]:
    known = {one["name"] for one in spec.get("parameters") or ()}
    names: set[str] = set()
    references: set[str] = set()
    for number, one in enumerate(parameters):
        path = f"{TEMPLATE}.trialParameters[{number}]"
        name, reference = one.get("name", ""), one.get("reference", "")
        if not name or not reference or "{" in name or "}" in name:
            sentence = "name and reference must be specified and name must not contain '{' or '}'"
            yield invalid(path, "", sentence)
            continue
        twice = "can't be duplicated in spec.trialTemplate.trialParameters"
        if name in names:
            sentence = f"parameter name {name} {twice}: {shown(parameters)}"
            yield invalid(f"{path}.name", name, sentence)
            continue
        if reference in references:
            sentence = f"parameter reference {reference} {twice}: {shown(parameters)}"
            yield invalid(f"{path}.reference", reference, sentence)
            continue
        names.add(name)
        references.add(reference)
        if known and reference not in known and not _is_meta(reference):
            sentence = f"parameter reference {reference} does not exist in spec.parameters: "
            yield invalid(f"{path}.reference", reference, sentence + shown(spec["parameters"]))
        placeholder = f"${{trialParameters.{name}}}"
        if placeholder not in text:
            sentence = f"parameter name: {name} in spec.trialParameters not found in "
            yield invalid(f"{path}.name", name, f"{sentence}spec.trialTemplate: {text}")
            return
        text = text.replace(placeholder, "test-value")
    yield from _rendered(text, parameters)


def _rendered(text: str, parameters: list[Json]) -> Iterator[str]:
    """Checks of the template with every placeholder filled."""
    if left := PLACEHOLDER.findall(text):
        sentence = (
            f"parameters: [{' '.join(left)}] in spec.trialTemplate not found in "
            f"spec.trialParameters: {shown(parameters)}"
        )
        yield invalid(TEMPLATE, "", sentence)
    run = _parsed(text)
    if run is None:
        yield invalid(TEMPLATE, "", f"unable to convert spec.trialTemplate: {text} to unstructured")
        return
    meta = run.get("metadata") or {}
    if meta.get("name") or meta.get("namespace"):
        sentence = "metadata.name and metadata.namespace in spec.trialTemplate must be omitted"
        yield invalid(TEMPLATE, "", sentence)
    if not run.get("apiVersion") or not run.get("kind"):
        yield required(TEMPLATE, "APIVersion and Kind in spec.trialTemplate must be specified")
    if (run.get("apiVersion"), run.get("kind")) == ("batch/v1", "Job"):
        yield from _job(run)


def _job(run: Json) -> Iterator[str]:
    """Only batch Jobs are checked against their type; here: that they have a pod template."""
    spec: Any = run.get("spec")
    pod = spec.get("template") if isinstance(spec, dict) else None
    if not isinstance(pod, dict) or not isinstance(pod.get("spec"), dict):
        sentence = f"unable to convert spec.TrialTemplate: {shown(run)} to Job"
        yield invalid(TEMPLATE, "", f"invalid spec.trialTemplate: {sentence}")


def _is_meta(reference: str) -> bool:
    match = META_REFERENCE.match(reference)
    if match is None:
        return False
    return match[1] in META_KEYS or META_MAPS.fullmatch(match[1]) is not None


def _parsed(text: str) -> Json | None:
    try:
        run = json.loads(text)
    except ValueError:
        return None
    return run if isinstance(run, dict) else None
