"""What Katib's validating webhook refuses in an Experiment, in its kind of sentence (v0.19)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tests.cluster.katib_collector_refusals import collector_refusals
from tests.cluster.katib_sentences import forbidden, invalid, required
from tests.cluster.katib_template_refusals import template_refusals
from tests.cluster.objects import condition, is_true
from tests.cluster.resources import Json

NAME_LIMIT = 40
INJECTION_LABEL = "katib.kubeflow.org/metrics-collector-injection"
ALGORITHMS = frozenset(
    [
        *["random", "tpe", "grid", "multivariate-tpe", "bayesianoptimization", "cmaes", "sobol"],
        *["hyperband", "pbt", "enas", "darts"],
    ]
)
EARLY_STOPPING = frozenset(["medianstop"])
RANGES = frozenset(["int", "double"])
LISTS = frozenset(["categorical", "discrete"])
DISTRIBUTIONS = frozenset(["uniform", "logUniform", "normal", "logNormal", "unknown"])
COUNTS = ("parallelTrialCount", "maxTrialCount", "maxFailedTrialCount")


def refusals(
    new: Json, old: Json | None = None, config_maps: Mapping[tuple[str, str], Json] | None = None
) -> list[str]:
    """Every reason to refuse a (defaulted) Experiment; `old` is what an update changes."""
    spec = new["spec"]
    found = [*_name(new), *_counts(spec)]
    if old is not None:
        found += _update(spec, old)
    objective = list(_objective(spec.get("objective")))
    if objective:
        return [*found, *objective]
    found += _algorithm(spec.get("algorithm"))
    found += _early_stopping(spec.get("earlyStopping"))
    if spec["resumePolicy"] not in ("Never", "LongRunning", "FromVolume"):
        found.append(invalid("spec.resumePolicy", spec["resumePolicy"], "invalid ResumePolicyType"))
    found += template_refusals(spec, config_maps or {})
    found += _space(spec)
    found += collector_refusals(spec["metricsCollectorSpec"])
    return found


def in_unlabelled_namespace(name: str, namespace: Json) -> str | None:
    """The sentence for a namespace whose pods the metrics collector does not enter."""
    labels = namespace["metadata"].get("labels", {})
    if labels.get(INJECTION_LABEL) == "enabled":
        return None
    return (
        f'Cannot create the Experiment "{name}" in namespace "{namespace["metadata"]["name"]}": '
        f'the namespace lacks label "{INJECTION_LABEL}: enabled"'
    )


def restartable(experiment: Json) -> bool:
    """Succeeded by reaching max trials, and a search that can go on."""
    reached = condition(experiment.get("status", {}).get("conditions", ()), "Succeeded")
    return (
        reached is not None
        and reached["status"] == "True"
        and reached["reason"] == "ExperimentMaxTrialsReached"
        and experiment["spec"].get("resumePolicy") in ("LongRunning", "FromVolume")
    )


def completed(experiment: Json) -> bool:
    conditions = experiment.get("status", {}).get("conditions", ())
    return is_true(conditions, "Succeeded") or is_true(conditions, "Failed")


def _name(experiment: Json) -> Iterator[str]:
    name = experiment["metadata"].get("name", "")
    if not re.match(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        yield invalid(
            "metadata.name",
            name,
            "name must consist of lower case alphanumeric characters or '-', start with an "
            "alphabetic character, and end with an alphanumeric character (e.g. 'my-name', or "
            "'abc-123', regex used for validation is '^[a-z]([-a-z0-9]*[a-z0-9])?)'",
        )
    if len(name) > NAME_LIMIT:
        yield invalid("metadata.name", name, "must be no more than 40 characters")


def _counts(spec: Json) -> Iterator[str]:
    parallel: int = spec["parallelTrialCount"]
    most, failed = spec.get("maxTrialCount"), spec.get("maxFailedTrialCount")
    if failed is not None and failed < 0:
        yield invalid("spec.maxFailedTrialCount", failed, "should not be less than 0")
    if most is not None and most <= 0:
        yield invalid("spec.maxTrialCount", most, "must be greater than 0")
    if parallel <= 0:
        yield invalid("spec.parallelTrialCount", parallel, "must be greater than 0")
    above = "should be less than or equal to spec.maxTrialCount"
    if most is not None and failed is not None and failed > most:
        yield invalid("spec.maxFailedTrialCount", failed, above)
    if most is not None and parallel > most:
        yield invalid("spec.parallelTrialCount", parallel, above)


def _update(spec: Json, old: Json) -> Iterator[str]:
    if spec == old["spec"]:
        return
    if completed(old) and not restartable(old):
        yield invalid(
            "spec.resumePolicy",
            spec["resumePolicy"],
            "Experiment can be restarted if it is in succeeded state by reaching max trials and "
            "spec.resumePolicy = LongRunning or spec.resumePolicy = FromVolume, when experiment "
            "is completed",
        )
    most = spec.get("maxTrialCount")
    if most is not None and most <= old.get("status", {}).get("trials", 0):
        yield invalid("spec.maxTrialCount", most, "must be greater than status.trials count")
    fixed = {name: value for name, value in spec.items() if name not in COUNTS}
    if fixed != {name: value for name, value in old["spec"].items() if name not in COUNTS}:
        yield forbidden(
            "spec",
            "only spec.parallelTrialCount, spec.maxTrialCount and spec.maxFailedTrialCount "
            "are editable",
        )


def _objective(objective: Json | None) -> Iterator[str]:
    if not objective:
        yield required("spec.objective", "must be specified")
        return
    if objective.get("type") not in ("minimize", "maximize"):
        kind = objective.get("type", "")
        yield invalid("spec.objective.type", kind, "must be minimize or maximize")
    name = objective.get("objectiveMetricName", "")
    if not name:
        yield required("spec.objective.objectiveMetricName", "must be specified")
    more = objective.get("additionalMetricNames") or []
    if name in more:
        sentence = "should not contain spec.objective.objectiveMetricName"
        yield invalid("spec.objective.additionalMetricNames", more, sentence)


def _algorithm(algorithm: Json | None) -> Iterator[str]:
    if not algorithm:
        yield required("spec.algorithm", "must be specified")
        return
    name = algorithm.get("algorithmName", "")
    if not name:
        yield required("spec.algorithm.algorithmName", "must be specified")
    if name not in ALGORITHMS:
        yield invalid(
            "spec.algorithm.algorithmName",
            name,
            f"unable to get Suggestion config data for algorithm {name}: failed to find "
            f"suggestion config for algorithm: {name} in ConfigMap: katib-config",
        )


def _early_stopping(stopping: Json | None) -> Iterator[str]:
    if stopping is None:
        return
    name = stopping.get("algorithmName", "")
    if not name:
        yield required("spec.earlyStopping.algorithmName", "must be specified")
    if name not in EARLY_STOPPING:
        yield invalid(
            "spec.earlyStopping.algorithmName",
            name,
            f"unable to get EarlyStopping config data for algorithm {name}: failed to find "
            f"early stopping config for algorithm: {name} in ConfigMap: katib-config",
        )


def _space(spec: Json) -> Iterator[str]:
    parameters, network = spec.get("parameters") or [], spec.get("nasConfig")
    if not parameters and network is None:
        yield required("spec", "spec.parameters or spec.nasConfig must be specified")
    if parameters and network is not None:
        sentence = "only one of spec.parameters and spec.nasConfig can be specified"
        yield invalid("spec", spec, sentence)
    for number, parameter in enumerate(parameters):
        yield from _parameter(f"spec.parameters[{number}]", parameter)


def _parameter(path: str, parameter: Json) -> Iterator[str]:
    kind, space = parameter.get("parameterType", ""), parameter["feasibleSpace"]
    if kind not in RANGES | LISTS | {"unknown"}:
        yield invalid(f"{path}.parameterType", kind, f"parameterType: {kind} is not supported")
    spread = space["distribution"]
    if spread not in DISTRIBUTIONS:
        where = f"{path}.feasibleSpace.distribution"
        yield invalid(where, spread, f"distribution: {spread} is not supported")
    low, high, step = (space.get(name, "") for name in ("min", "max", "step"))
    if kind in RANGES:
        if space.get("list"):
            sentence = f"feasibleSpace.list is not supported for parameterType: {kind}"
            yield invalid(f"{path}.feasibleSpace.list", space["list"], sentence)
        if not low or not high:
            yield required(
                f"{path}.feasibleSpace.max",
                "feasibleSpace.max or feasibleSpace.min must be specified for parameterType: "
                f"{kind}",
            )
    elif kind in LISTS and (low or high or step):
        sentence = f"feasibleSpace .max, .min and .step is not supported for parameterType: {kind}"
        yield invalid(f"{path}.feasibleSpace", space, sentence)
