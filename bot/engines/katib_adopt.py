"""An Experiment on a cluster -> the tune spec that it stands for (pure).

Of an Experiment of ours everything that it holds comes back: `katib_objects.experiment` of the spec
is the same Experiment. It does not hold, and only the record knows: trial 0, the budget of time,
tokens, keys and S3, the volume, package indexes where nothing is installed, fixed parameters of an
image, and a TrainJob's deadline. Of others' Experiments we keep what a thread tells of: objective,
algorithm, counts, hyperparameters with their types, pods, resources, image and command; not their
environment, and no way of collecting metrics that we do not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from bot.engines import katib_reader
from bot.engines.katib_objects import LABEL_MANAGED, MANAGED
from bot.errors import EngineError, SpecError
from bot.spec import Number, ParameterType, Scalar, TuneSpec, choices, read

Json = Mapping[str, Any]

PARALLEL = 3  # Katib's own default


def spec_of(experiment: Json) -> TuneSpec:
    """The spec of an Experiment: of ours, of the SDK's, of anybody's.

    Raises:
        EngineError: it is no search of hyperparameters, or not one that a spec can say; names it.
    """
    metadata, body = experiment.get("metadata") or {}, experiment.get("spec") or {}
    name = str(metadata.get("name", ""))
    if body.get("nasConfig"):
        raise refusal(name, "it designs a network architecture (NAS), and has no hyperparameters")
    template = body.get("trialTemplate") or {}
    spaces = {str(p.get("name")): _space(name, p) for p in body.get("parameters") or ()}
    ours = (metadata.get("labels") or {}).get(LABEL_MANAGED) == MANAGED
    data = {
        "name": name,
        "namespace": metadata.get("namespace"),
        **_objective(body.get("objective") or {}),
        **_search(body),
        **_counts(name, body),
        **_collector(body),
        **katib_reader.fields_of(template, spaces, ours=ours),
        "retain_trials": bool(template.get("retain")),
        "known_good_trial": False,
    }
    try:
        return read({field: value for field, value in data.items() if value is not None})
    except SpecError as error:
        raise refusal(name, error.message) from error


def refusal(name: str, why: str) -> EngineError:
    """Why an Experiment cannot be followed."""
    return EngineError(
        f"The Experiment `{name}` cannot be followed here: {why.rstrip('.')}.",
        hint="Katib's own page shows it.",
    )


def _objective(objective: Json) -> dict[str, Any]:
    metric = objective.get("objectiveMetricName")
    strategies = {s.get("name"): s.get("value") for s in objective.get("metricStrategies") or ()}
    return {
        "objective_metric_name": metric,
        "objective_type": objective.get("type"),
        "objective_goal": objective.get("goal"),
        "objective_strategy": strategies.get(metric),
        "additional_metric_names": list(objective.get("additionalMetricNames") or ()),
    }


def _search(body: Json) -> dict[str, Any]:
    algorithm, rule = body.get("algorithm") or {}, body.get("earlyStopping") or {}
    return {
        "algorithm_name": algorithm.get("algorithmName"),
        "algorithm_settings": _settings(algorithm),
        "early_stopping": rule.get("algorithmName"),
        "early_stopping_settings": _settings(rule),
        "resume_policy": body.get("resumePolicy"),
    }


def _settings(algorithm: Json) -> dict[str, str]:
    return {s["name"]: s["value"] for s in algorithm.get("algorithmSettings") or ()}


def _counts(name: str, body: Json) -> dict[str, Any]:
    most = body.get("maxTrialCount")
    if most is None:
        raise EngineError(
            f"The Experiment `{name}` cannot be followed here: it has no maxTrialCount, so it has "
            "no end.",
            hint=f"kubectl patch experiment {name} --type merge "
            """-p '{"spec": {"maxTrialCount": 20}}'""",
        )
    failed = body.get("maxFailedTrialCount")
    return {
        "max_trial_count": most,
        "parallel_trial_count": body.get("parallelTrialCount") or min(PARALLEL, most),
        # None: it never fails, however many of its trials do.
        "max_failed_trial_count": most if failed is None else failed,
    }


def _collector(body: Json) -> dict[str, Any]:
    collector = (body.get("metricsCollectorSpec") or {}).get("collector") or {}
    kind = collector.get("kind")
    return {"metrics_collector": kind} if kind in choices("metrics_collector") else {}


def _space(name: str, parameter: Json) -> dict[str, Any] | Scalar:
    """A feasible space as plain data of a spec; a space of one value is that value."""
    kind, feasible = parameter.get("parameterType"), parameter.get("feasibleSpace") or {}
    scale = feasible.get("distribution") or "uniform"
    if kind not in get_args(ParameterType):
        raise refusal(name, f"`{parameter.get('name')}` has the parameterType `{kind}`")
    if scale not in ("uniform", "logUniform"):
        raise refusal(
            name, f"the distribution of `{parameter.get('name')}` is `{scale}`, which no spec says"
        )
    space: dict[str, Any] = {"parameter_type": kind}
    for end in ("min", "max", "step"):
        if feasible.get(end) not in (None, ""):
            space[end] = _number(str(feasible[end]))
    if feasible.get("list") is not None:
        read_text = _number if kind == "discrete" else _value
        space["list"] = [read_text(str(each)) for each in feasible["list"]]
    if scale != "uniform":
        space["distribution"] = scale
    return _single(space)


def _single(space: dict[str, Any]) -> dict[str, Any] | Scalar:
    low, high, values = space.get("min"), space.get("max"), space.get("list")
    only: Scalar = values[0] if values else low
    return only if len(values or ()) == 1 or (low is not None and low == high) else space


def _number(text: str) -> Number | str:
    """The number in a text; a text that is none for the spec to refuse."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _value(text: str) -> Scalar:
    """The value that is written as this text, as we write values; else the text itself."""
    words: Mapping[str, Scalar] = {"True": True, "False": False, "None": None}
    number = _number(text)
    exact = not isinstance(number, str) and math.isfinite(number) and str(number) == text
    return words.get(text, number if exact else text)
