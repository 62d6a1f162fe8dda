"""How Katib v0.19 makes a trial's job of the template: by replacing text in its JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from tests.cluster.resources import Json

META = re.compile(r"\$\{trialSpec\.(?P<key>\w+)(\[(?P<index>[^\]]+)\])?\}")
TRIAL_LIMIT = 63


class TemplateError(Exception):
    """The template and the assignments do not fit; a ReconcileError on the Experiment."""


def run_spec(experiment: Json, trial: str, assignments: Sequence[Json], text: str) -> Json:
    """The job of one Trial. `text` is the template as JSON. Raises TemplateError.

    A value with a quote or a backslash in it breaks the document, as in Katib.
    """
    namespace = experiment["metadata"]["namespace"]
    template = experiment["spec"]["trialTemplate"]
    values = {one["name"]: one["value"] for one in assignments}
    parameters = template["trialParameters"]
    plain = [one for one in parameters if not META.fullmatch(one["reference"])]
    if len(values) != len(plain):
        raise TemplateError(
            f"Number of TrialAssignment: {len(values)} does not match number of Trial parameters "
            f"in spec.trialTemplate.trialParameters: {len(plain)}"
        )
    source = json.loads(text)
    for one in parameters:
        value = _value(one["reference"], values, source, trial, namespace)
        text = text.replace(f"${{trialParameters.{one['name']}}}", value)
    try:
        run: Json = json.loads(text)
    except ValueError as error:
        raise TemplateError(f"ConvertStringToUnstructured failed: {error}") from error
    run.setdefault("metadata", {}).update({"name": trial, "namespace": namespace})
    return run


def _value(
    reference: str, values: Mapping[str, str], source: Json, trial: str, namespace: str
) -> str:
    if reference in values:
        return values[reference]
    meta = META.fullmatch(reference)
    if meta is None:
        raise TemplateError(
            f"Unable to find parameter: {reference} in parameter assignment {dict(values)}"
        )
    plain = {
        "Name": trial,
        "Namespace": namespace,
        "Kind": source.get("kind", ""),
        "APIVersion": source.get("apiVersion", ""),
    }
    if meta["index"] is None and meta["key"] in plain:
        return str(plain[meta["key"]])
    field = {"Labels": "labels", "Annotations": "annotations"}.get(meta["key"], "")
    found = (source.get("metadata", {}).get(field) or {}).get(meta["index"])
    if found is None:
        raise TemplateError(f"illegal reference of trial metadata: {reference}")
    return str(found)
