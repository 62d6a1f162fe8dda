"""Katib's Experiment as its server decodes it: another type is refused before any check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.cluster.resources import Json


@dataclass(frozen=True)
class Leaf:
    """A plain value; `go` is the type that the server's sentence names."""

    go: str
    accepts: str  # string, number, integer, bool


@dataclass(frozen=True)
class Struct:
    go: str
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Many:
    """A list of `of`."""

    of: Any
    go: str = ""


STRING = Leaf("string", "string")
INT32 = Leaf("int32", "integer")
INT = Leaf("int", "integer")
BOOL = Leaf("bool", "bool")
FLOAT = Leaf("float64", "number")
STRINGS = Many(STRING, "[]string")


def named(go: str) -> Leaf:
    return Leaf(go, "string")


SETTINGS = Many(Struct("AlgorithmSetting", {"name": STRING, "value": STRING}))
SPEC = Struct(
    "ExperimentSpec",
    {
        "parameters": Many(
            Struct(
                "ParameterSpec",
                {
                    "name": STRING,
                    "parameterType": named("v1beta1.ParameterType"),
                    "feasibleSpace": Struct(
                        "FeasibleSpace",
                        {
                            "max": STRING,
                            "min": STRING,
                            "list": STRINGS,
                            "step": STRING,
                            "distribution": named("v1beta1.Distribution"),
                        },
                    ),
                },
            ),
            "[]v1beta1.ParameterSpec",
        ),
        "objective": Struct(
            "ObjectiveSpec",
            {
                "type": named("v1beta1.ObjectiveType"),
                "goal": FLOAT,
                "objectiveMetricName": STRING,
                "additionalMetricNames": STRINGS,
                "metricStrategies": Many(
                    Struct(
                        "MetricStrategy",
                        {"name": STRING, "value": named("v1beta1.MetricStrategyType")},
                    )
                ),
            },
        ),
        "algorithm": Struct(
            "AlgorithmSpec", {"algorithmName": STRING, "algorithmSettings": SETTINGS}
        ),
        "earlyStopping": Struct(
            "EarlyStoppingSpec", {"algorithmName": STRING, "algorithmSettings": SETTINGS}
        ),
        "trialTemplate": Struct(
            "TrialTemplate",
            {
                "retain": BOOL,
                "primaryContainerName": STRING,
                "successCondition": STRING,
                "failureCondition": STRING,
                "trialParameters": Many(
                    Struct(
                        "TrialParameterSpec",
                        {"name": STRING, "description": STRING, "reference": STRING},
                    )
                ),
                "configMap": Struct(
                    "ConfigMapSource",
                    {"configMapName": STRING, "configMapNamespace": STRING, "templatePath": STRING},
                ),
            },
        ),
        "parallelTrialCount": INT32,
        "maxTrialCount": INT32,
        "maxFailedTrialCount": INT32,
        "metricsCollectorSpec": Struct(
            "MetricsCollectorSpec",
            {
                "collector": Struct("CollectorSpec", {"kind": named("v1beta1.CollectorKind")}),
                "source": Struct(
                    "SourceSpec",
                    {
                        "fileSystemPath": Struct(
                            "FileSystemPath", {"path": STRING, "kind": STRING, "format": STRING}
                        ),
                        "filter": Struct("FilterSpec", {"metricsFormat": STRINGS}),
                    },
                ),
            },
        ),
        "resumePolicy": named("v1beta1.ResumePolicyType"),
    },
)


def wrong_type(experiment: Json) -> str | None:
    """The sentence of the first value with a wrong type, None if all can be decoded."""
    return _wrong(experiment.get("spec"), SPEC, "spec", "Experiment.spec")


def _wrong(value: Any, kind: Any, path: str, where: str) -> str | None:
    if value is None:
        return None
    if isinstance(kind, Struct):
        if not isinstance(value, dict):
            return _sentence(value, where, f"v1beta1.{kind.go}")
        found = (
            _wrong(value.get(name), of, f"{path}.{name}", f"{kind.go}.{path}.{name}")
            for name, of in kind.fields.items()
        )
        return next((sentence for sentence in found if sentence), None)
    if isinstance(kind, Many):
        if not isinstance(value, list):
            return _sentence(value, where, kind.go or f"[]v1beta1.{kind.of.go}")
        found = (_wrong(item, kind.of, path, where) for item in value)
        return next((sentence for sentence in found if sentence), None)
    return None if _fits(value, kind) else _sentence(value, where, kind.go)


def _fits(value: Any, leaf: Leaf) -> bool:
    if leaf.accepts == "string":
        return isinstance(value, str)
    if leaf.accepts == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (leaf.accepts == "number" and isinstance(value, float))


def _sentence(value: Any, where: str, go: str) -> str:
    words = {str: "string", bool: "bool", list: "array", dict: "object"}
    word = words.get(type(value)) or (f"number {value}" if isinstance(value, float) else "number")
    return f"json: cannot unmarshal {word} into Go struct field {where} of type {go}"
