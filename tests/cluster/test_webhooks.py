"""Katib's and the training operator's refusals and defaults, through a real API server."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.api import Api, ApiError
from tests.cluster.bodies import experiment, golden, pytorchjob
from tests.cluster.resources import EXPERIMENTS, NAMESPACES, PYTORCHJOBS, Json
from tests.cluster.run import Controllers

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("standins")]

Change = Callable[[Json], Any]
BY = 'admission webhook "validator.experiment.katib.kubeflow.org" denied the request: '


def put(*path: str | int, value: Any) -> Change:
    """Sets a value deep in spec."""

    def change(spec: Json) -> None:
        inner: Any = spec
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = value

    return change


def drop(*path: str | int) -> Change:
    """Takes a field out of spec."""

    def change(spec: Json) -> None:
        inner: Any = spec
        for step in path[:-1]:
            inner = inner[step]
        del inner[path[-1]]

    return change


def parameter(**fields: Any) -> Change:
    """Changes the one parameter of the small Experiment."""
    return lambda spec: spec["parameters"][0].update(fields)


def collector(kind: str, **source: Any) -> Change:
    value: Json = {"collector": {"kind": kind}}
    if source:
        value["source"] = source
    return put("metricsCollectorSpec", value=value)


TEMPLATE = "trialTemplate"
LR = {"name": "lr", "reference": "lr"}
SCORE = "objectiveMetricName"
REFUSED: dict[str, tuple[Change, str]] = {
    "max trials 0": (
        put("maxTrialCount", value=0),
        "[spec.maxTrialCount: Invalid value: 0: must be greater than 0, "
        "spec.parallelTrialCount: Invalid value: 2: should be less than or equal to "
        "spec.maxTrialCount]",
    ),
    "parallel 0": (
        put("parallelTrialCount", value=0),
        "spec.parallelTrialCount: Invalid value: 0: must be greater than 0",
    ),
    "failed below 0": (
        put("maxFailedTrialCount", value=-1),
        "spec.maxFailedTrialCount: Invalid value: -1: should not be less than 0",
    ),
    "failed above max": (
        put("maxFailedTrialCount", value=7),
        "spec.maxFailedTrialCount: Invalid value: 7: should be less than or equal to "
        "spec.maxTrialCount",
    ),
    "parallel above max": (
        put("parallelTrialCount", value=7),
        "spec.parallelTrialCount: Invalid value: 7: should be less than or equal to "
        "spec.maxTrialCount",
    ),
    "no objective": (drop("objective"), "spec.objective: Required value: must be specified"),
    "objective type": (
        put("objective", "type", value="smaller"),
        'spec.objective.type: Invalid value: "smaller": must be minimize or maximize',
    ),
    "no metric": (
        drop("objective", SCORE),
        "spec.objective.objectiveMetricName: Required value: must be specified",
    ),
    "metric twice": (
        put("objective", "additionalMetricNames", value=["score"]),
        'spec.objective.additionalMetricNames: Invalid value: []string{"score"}: '
        "should not contain spec.objective.objectiveMetricName",
    ),
    "no algorithm": (drop("algorithm"), "spec.algorithm: Required value: must be specified"),
    "unknown algorithm": (
        put("algorithm", "algorithmName", value="magic"),
        'spec.algorithm.algorithmName: Invalid value: "magic": unable to get Suggestion config',
    ),
    "unknown early stopping": (
        put("earlyStopping", value={"algorithmName": "asha"}),
        'spec.earlyStopping.algorithmName: Invalid value: "asha": unable to get EarlyStopping',
    ),
    "resume policy": (
        put("resumePolicy", value="Sometimes"),
        'spec.resumePolicy: Invalid value: "Sometimes": invalid ResumePolicyType',
    ),
    "no parameters": (
        drop("parameters"),
        "spec: Required value: spec.parameters or spec.nasConfig must be specified",
    ),
    "parameters and network": (
        put("nasConfig", value={"operations": []}),
        "only one of spec.parameters and spec.nasConfig can be specified",
    ),
    "parameter type": (
        parameter(parameterType="float"),
        'spec.parameters[0].parameterType: Invalid value: "float": parameterType: float is not '
        "supported",
    ),
    "distribution": (
        parameter(feasibleSpace={"min": "0", "max": "1", "distribution": "loguniform"}),
        "spec.parameters[0].feasibleSpace.distribution: Invalid value: "
        '"loguniform": distribution: loguniform is not supported',
    ),
    "double without max": (
        parameter(feasibleSpace={"min": "0"}),
        "feasibleSpace.max or feasibleSpace.min must be specified for parameterType: double",
    ),
    "double with list": (
        parameter(feasibleSpace={"min": "0", "max": "1", "list": ["1"]}),
        'feasibleSpace.list: Invalid value: []string{"1"}: feasibleSpace.list is not supported',
    ),
    "categorical with min": (
        parameter(parameterType="categorical", feasibleSpace={"min": "0", "list": ["1"]}),
        "feasibleSpace .max, .min and .step is not supported for parameterType: categorical",
    ),
    "no template": (drop(TEMPLATE), "spec.trialTemplate: Required value: must be specified"),
    "no primary container": (
        drop(TEMPLATE, "primaryContainerName"),
        "spec.trialTemplate.primaryContainerName: Required value: must be specified",
    ),
    "no trial parameters": (
        drop(TEMPLATE, "trialParameters"),
        "spec.trialTemplate.trialParameters: Required value: must be specified",
    ),
    "no trial spec": (
        drop(TEMPLATE, "trialSpec"),
        "spec.trialTemplate.trialSpec or spec.trialTemplate.configMap must be specified",
    ),
    "two sources": (
        put(TEMPLATE, "configMap", value={"configMapName": "a"}),
        "only one of spec.trialTemplate.trialSpec or spec.trialTemplate.configMap can be",
    ),
    "trial parameter without reference": (
        put(TEMPLATE, "trialParameters", value=[{"name": "lr"}]),
        "name and reference must be specified and name must not contain '{' or '}'",
    ),
    "trial parameter twice": (
        put(TEMPLATE, "trialParameters", value=[LR, LR]),
        "parameter name lr can't be duplicated in spec.trialTemplate.trialParameters",
    ),
    "reference to no parameter": (
        put(TEMPLATE, "trialParameters", value=[{"name": "lr", "reference": "rate"}]),
        "parameter reference rate does not exist in spec.parameters",
    ),
    "trial parameter not used": (
        put(TEMPLATE, "trialSpec", value=pytorchjob(["true"], workers=0)),
        "parameter name: lr in spec.trialParameters not found in spec.trialTemplate",
    ),
    "placeholder not declared": (
        put(
            TEMPLATE,
            "trialSpec",
            value=pytorchjob(["a", "${trialParameters.lr}", "${trialParameters.r}"], workers=0),
        ),
        "parameters: [${trialParameters.r}] in spec.trialTemplate not found in "
        "spec.trialParameters",
    ),
    "name in the template": (
        put(TEMPLATE, "trialSpec", "metadata", value={"name": "mine"}),
        "metadata.name and metadata.namespace in spec.trialTemplate must be omitted",
    ),
    "no kind": (
        drop(TEMPLATE, "trialSpec", "kind"),
        "APIVersion and Kind in spec.trialTemplate must be specified",
    ),
    "unknown kind without conditions": (
        put(TEMPLATE, "trialSpec", "kind", value="Dance"),
        "spec.trialTemplate: Required value: successCondition and failureCondition must be",
    ),
    "collector kind": (
        collector("None"),
        'spec.metricsCollectorSpec.collector.kind: Invalid value: "None": invalid metrics '
        "collector kind: None",
    ),
    "relative file": (
        collector("File", fileSystemPath={"path": "metrics.log"}),
        "fileSystemPath.path: Required value: file path where metrics file exists is required",
    ),
    "filter that is none": (
        collector("File", filter={"metricsFormat": ["(a"]}),
        'spec.metricsCollectorSpec.source.filter.metricsFormat: Invalid value: "(a": invalid '
        "filter: error parsing regexp",
    ),
    "filter with one group": (
        collector("File", filter={"metricsFormat": ["(a)"]}),
        'Invalid value: "(a)": two top subexpressions are required',
    ),
    "prometheus has no image": (
        collector("PrometheusMetric"),
        "GetMetricsCollectorConfigData failed",
    ),
}


def refusal(api: Api, body: Json) -> ApiError:
    with pytest.raises(ApiError) as caught:
        api.create(EXPERIMENTS, body, dryRun="All")
    return caught.value


@pytest.mark.parametrize("case", REFUSED)
def test_an_experiment_that_katib_refuses_is_a_400_with_its_sentence(
    api: Api, namespace: str, case: str
) -> None:
    change, sentence = REFUSED[case]
    body = experiment(namespace)
    change(body["spec"])
    error = refusal(api, body)
    assert error.status == 400
    assert error.message.startswith(BY)
    assert sentence in error.message


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("1st", "start with an alphabetic character"), ("a" * 41, "no more than 40 characters")],
)
def test_a_name_must_begin_with_a_letter_and_have_at_most_40_characters(
    api: Api, namespace: str, name: str, sentence: str
) -> None:
    error = refusal(api, experiment(namespace, name))
    assert (error.status, sentence in error.message) == (400, True)
    assert api.create(EXPERIMENTS, experiment(namespace, "a" * 40), dryRun="All")


def test_a_namespace_without_the_label_takes_no_experiment(api: Api, namespace: str) -> None:
    label = "katib.kubeflow.org/metrics-collector-injection"
    api.patch(NAMESPACES, "", namespace, {"metadata": {"labels": {label: None}}})
    error = refusal(api, experiment(namespace))
    assert error.status == 400
    assert error.message == (
        f'{BY}Cannot create the Experiment "tune" in namespace "{namespace}": '
        f'the namespace lacks label "{label}: enabled"'
    )


def test_a_list_in_the_place_of_a_distribution_cannot_be_decoded(api: Api, namespace: str) -> None:
    error = refusal(api, golden("custom_objective_categorical_bug.experiment", namespace))
    assert error.status == 400
    assert error.message == (
        'admission webhook "defaulter.experiment.katib.kubeflow.org" denied the request: json: '
        "cannot unmarshal array into Go struct field "
        "FeasibleSpace.spec.parameters.feasibleSpace.distribution of type v1beta1.Distribution"
    )


def test_an_empty_list_and_a_reversed_range_pass_as_katib_lets_them(
    api: Api, namespace: str
) -> None:
    body = experiment(namespace)
    body["spec"]["parameters"][0] = {
        "name": "lr",
        "parameterType": "categorical",
        "feasibleSpace": {"list": []},
    }
    assert api.create(EXPERIMENTS, body, dryRun="All")
    body = experiment(namespace)
    body["spec"]["parameters"][0]["feasibleSpace"] = {"min": "1", "max": "0"}
    assert api.create(EXPERIMENTS, body, dryRun="All")


def test_what_the_client_leaves_out_katib_fills_in(api: Api, namespace: str) -> None:
    body = experiment(namespace)
    del body["spec"]["parallelTrialCount"]
    body["spec"]["objective"]["additionalMetricNames"] = ["loss"]
    spec = api.create(EXPERIMENTS, body, dryRun="All")["spec"]
    assert spec["parallelTrialCount"] == 3
    assert spec["resumePolicy"] == "Never"
    assert spec["objective"]["metricStrategies"] == [
        {"name": "score", "value": "max"},
        {"name": "loss", "value": "max"},
    ]
    assert spec["metricsCollectorSpec"] == {"collector": {"kind": "StdOut"}}
    assert spec["parameters"][0]["feasibleSpace"]["distribution"] == "uniform"
    template = spec["trialTemplate"]
    assert template["successCondition"] == (
        'status.conditions.#(type=="Succeeded")#|#(status=="True")#'
    )
    assert template["failureCondition"] == (
        'status.conditions.#(type=="Failed")#|#(status=="True")#'
    )
    assert template["primaryPodLabels"] == {"training.kubeflow.org/job-role": "master"}


@pytest.mark.parametrize(
    ("name", "success", "labels"),
    [
        ("custom_objective_job", "Complete", None),
        (
            "optimizer_client_trainjob",
            "Complete",
            {
                "jobset.sigs.k8s.io/replicatedjob-name": "node",
                "batch.kubernetes.io/job-completion-index": "0",
            },
        ),
        (
            "custom_objective_pytorchjob",
            "Succeeded",
            {"training.kubeflow.org/job-role": "master"},
        ),
        ("llm_llama32_imdb", "Succeeded", {"training.kubeflow.org/job-role": "master"}),
    ],
)
def test_the_bodies_of_the_sdks_are_taken_and_filled_in(
    api: Api, namespace: str, name: str, success: str, labels: Json | None
) -> None:
    body = golden(f"{name}.experiment", namespace)
    stored = api.create(EXPERIMENTS, body, dryRun="All")
    template = stored["spec"]["trialTemplate"]
    assert template["successCondition"].startswith(f'status.conditions.#(type=="{success}")#')
    assert template.get("primaryPodLabels") == labels
    sent = copy.deepcopy(template["trialSpec"])
    assert sent == body["spec"]["trialTemplate"]["trialSpec"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda job: job["metadata"].update(name="1a"), "a DNS-1035 label must consist of"),
        (
            lambda job: job["spec"]["pytorchReplicaSpecs"]["Master"].update(replicas=2),
            "spec.pytorchReplicaSpecs[Master].replicas: Forbidden: must be 1",
        ),
        (
            lambda job: containers(job)[0].update(name="main"),
            "must have at least one container with name pytorch",
        ),
        (lambda job: containers(job)[0].pop("image"), "containers[0].image: Required value"),
    ],
)
def test_a_pytorchjob_that_the_operator_refuses_is_a_403(
    api: Api, namespace: str, change: Change, sentence: str, standins: Controllers
) -> None:
    job = {**pytorchjob(["true"], workers=0), "metadata": {"name": "a", "namespace": namespace}}
    change(job)
    with pytest.raises(ApiError) as caught:
        api.create(PYTORCHJOBS, job, dryRun="All")
    assert caught.value.status == 403
    assert sentence in caught.value.message


def containers(job: Json) -> list[Json]:
    found: list[Json] = job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"][
        "containers"
    ]
    return found
