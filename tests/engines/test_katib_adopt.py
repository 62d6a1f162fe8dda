"""Experiments read back as specs: ours without loss, the SDK's and anybody's as far as it goes."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bot.engines import katib_objects
from bot.engines.katib_adopt import spec_of
from bot.engines.katib_objects import Cluster
from bot.engines.katib_template import TrialTemplate, from_file
from bot.errors import EngineError
from bot.prior import to_spec
from bot.slack import command
from bot.spec import Parameter, TuneSpec, from_yaml, to_yaml
from tests import guide
from tests.specs import SPECS

Json = dict[str, Any]
GOLDEN = Path(__file__).parent / "golden"
CLUSTER = Cluster(namespace="kubeflow", trainer_image="registry.example/trainer:1")
EXAMPLE = from_file(Path(__file__).parents[2] / "manifests" / "trial-template.yaml")


def golden(name: str) -> Json:
    body: Json = json.loads((GOLDEN / f"{name}.experiment.json").read_text())
    return body


def typed(line: str) -> TuneSpec:
    return to_spec(command.parse_tune(line, read_file=lambda _: guide.SOURCE).data, "x")


def through_json(body: Json) -> Json:
    again: Json = json.loads(json.dumps(body))
    return again


# --- ours -----------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(SPECS)
def test_an_experiment_of_ours_is_read_back_without_loss(spec: TuneSpec) -> None:
    body = katib_objects.experiment(spec, CLUSTER)
    again = spec_of(through_json(body))
    assert katib_objects.experiment(again, CLUSTER) == body
    assert from_yaml(to_yaml(again)) == again


@settings(max_examples=30, deadline=None)
@given(SPECS)
def test_whatever_template_a_cluster_has(spec: TuneSpec) -> None:
    for template in (EXAMPLE, TrialTemplate(trial_kind="TrainJob", gpu_resource="amd.com/gpu")):
        cluster = Cluster(namespace="ml", trainer_image="registry.example/t:1", template=template)
        body = katib_objects.experiment(spec, cluster)
        assert katib_objects.experiment(spec_of(through_json(body)), cluster) == body


def test_the_guides_example_comes_back_as_what_was_asked() -> None:
    asked = typed(guide.LLAMA)
    found = spec_of(through_json(katib_objects.experiment(asked, CLUSTER)))
    lost = {"known_good_trial": False}
    assert found.model_copy(update={"algorithm_settings": {}}) == asked.model_copy(update=lost)


def test_a_function_comes_back_with_its_source_and_fixed_parameters() -> None:
    asked = typed(f"{guide.CUSTOM} packages_to_install=a,b c=7 opt=adam,true,none,8 "
                  "pip_index_urls=https://a.example,https://b.example workers=2")  # fmt: skip
    found = spec_of(through_json(katib_objects.experiment(asked, CLUSTER)))
    assert found.objective_source == asked.objective_source == guide.SOURCE
    assert (found.packages_to_install, found.pip_index_urls) == (
        ("a", "b"), ("https://a.example", "https://b.example"),
    )  # fmt: skip
    assert found.parameters == asked.parameters
    assert found.parameters["c"] == 7


def test_what_the_server_fills_in_changes_nothing() -> None:
    asked = typed(guide.LLAMA)
    body = through_json(katib_objects.experiment(asked, CLUSTER))
    spec = body["spec"]
    for parameter in spec["parameters"]:
        parameter["feasibleSpace"].setdefault("distribution", "uniform")
    spec["objective"]["metricStrategies"] = [{"name": "train_loss", "value": "min"}]
    spec["trialTemplate"]["successCondition"] = 'status.conditions.#(type=="Succeeded")'
    body["metadata"] |= {"uid": "1", "creationTimestamp": "2026-11-24T12:00:00Z", "generation": 1}
    body["status"] = {"conditions": [], "trials": 3}
    found = spec_of(body)
    assert found.searched == asked.searched
    assert found.strategy == asked.strategy


# --- the SDK's ------------------------------------------------------------------------------------


def test_the_sdks_llm_example_is_a_model_on_a_dataset() -> None:
    found = spec_of(golden("llm_llama32_imdb"))
    asked = typed(guide.LLAMA)
    assert (found.model_uri, found.dataset, found.split) == (
        "hf://meta-llama/Llama-3.2-1B", "imdb", "train[:1000]",
    )  # fmt: skip
    same = (
        "name", "namespace", "transformer_type", "num_labels", "objective_metric_name",
        "objective_type", "algorithm_name", "max_trial_count", "parallel_trial_count",
        "num_workers", "num_procs_per_worker", "cpu", "memory", "gpu", "retain_trials",
    )  # fmt: skip
    assert {f: getattr(found, f) for f in same} == {f: getattr(asked, f) for f in same}
    assert found.searched == asked.searched
    assert found.training_parameters["num_train_epochs"] == 3
    assert found.lora_config["lora_alpha"] == 8
    assert found.max_failed_trial_count == found.max_trial_count  # it never fails
    assert not found.known_good_trial


def test_data_of_the_sdk_may_be_in_s3_and_keys_are_left_where_they_are() -> None:
    body = golden("llm_llama32_imdb")
    job = body["spec"]["trialTemplate"]["trialSpec"]["spec"]
    pod = job["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    pod["initContainers"][0]["args"][5:] = [
        "s3", "--dataset_provider_parameters", json.dumps({
            "endpoint_url": "https://s3.example", "bucket_name": "reviews", "file_key": "imdb",
            "region_name": None, "access_key": "AKIAEXAMPLE", "secret_key": "very-secret",
        }),
    ]  # fmt: skip
    found = spec_of(body)
    assert (found.s3_bucket_name, found.s3_file_key, found.dataset) == ("reviews", "imdb", "")
    assert "very-secret" not in to_yaml(found) and "AKIA" not in to_yaml(found)


def test_the_sdks_function_is_an_image_and_a_command() -> None:
    found = spec_of(golden("custom_objective_job"))
    assert found.objective_image == "docker.io/pytorch/pytorch:2.2.1-cuda12.1-cudnn8-runtime"
    assert found.objective_command[:2] == ("bash", "-c")
    assert "${trialParameters.a}" in found.objective_command[2]
    assert (found.cpu, found.gpu, found.num_workers) == ("2", 0, 1)
    assert dict(found.parameters) == {
        "a": Parameter(parameter_type="int", min=10, max=20),
        "b": Parameter(parameter_type="double", min=0.1, max=0.2),
    }
    assert (found.max_trial_count, found.parallel_trial_count) == (12, 3)


def test_the_sdks_distributed_function_has_its_pods_and_gpus() -> None:
    found = spec_of(golden("custom_objective_pytorchjob"))
    assert (found.num_workers, found.num_procs_per_worker, found.gpu) == (3, 2, 2)
    assert (found.cpu, found.memory) == ("4", "10G")
    assert found.trial_active_deadline_seconds == 600
    assert not found.env_per_trial


def test_the_new_sdks_trainjob_is_read_too() -> None:
    found = spec_of(golden("optimizer_client_trainjob"))
    assert found.num_workers == 2
    assert (found.gpu, found.cpu) == (1, "2")
    assert found.objective_image == "not-said-in-the-trial-template"
    assert found.parameters["num_epochs"] == Parameter(parameter_type="categorical", list=(5, 10))
    assert found.parameters["learning_rate"] == Parameter(
        parameter_type="double", min=0.001, max=0.1, distribution="logUniform"
    )
    assert found.algorithm_settings == {"random_state": "3"}
    assert found.additional_metric_names == ("eval_loss",)
    assert found.retain_trials
    assert "example-token" not in to_yaml(found)


def test_what_the_sdk_makes_of_categorical_is_refused_with_its_reason() -> None:
    with pytest.raises(EngineError, match=r"`tune-cat` cannot be followed here: the distribution"):
        spec_of(golden("custom_objective_categorical_bug"))


# --- anybody's ------------------------------------------------------------------------------------


def body_of(**changes: Any) -> Json:
    """Katib's own random example, more or less; None takes a field away."""
    spec = {
        "objective": {
            "type": "minimize", "goal": 0.001, "objectiveMetricName": "loss",
            "additionalMetricNames": ["Train-accuracy"],
            "metricStrategies": [{"name": "Train-accuracy", "value": "max"},
                                 {"name": "loss", "value": "latest"}],
        },
        "algorithm": {"algorithmName": "random"},
        "parallelTrialCount": 3, "maxTrialCount": 12, "maxFailedTrialCount": 3,
        "parameters": [
            {"name": "lr", "parameterType": "double",
             "feasibleSpace": {"min": "0.01", "max": "0.05"}},
            {"name": "momentum", "parameterType": "discrete",
             "feasibleSpace": {"list": ["0.50", "9"]}},
            {"name": "opt", "parameterType": "categorical",
             "feasibleSpace": {"list": ["sgd", "1e5", "True", "8"], "distribution": "uniform"}},
        ],
        "trialTemplate": {
            "primaryContainerName": "training-container",
            "trialParameters": [
                {"name": "learningRate", "description": "Learning rate", "reference": "lr"},
                {"name": "momentum", "reference": "momentum"}, {"name": "opt", "reference": "opt"},
                {"name": "trial", "reference": "${trialSpec.Name}"},
            ],
            "trialSpec": {
                "apiVersion": "batch/v1", "kind": "Job",
                "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
                    {"name": "sidecar", "image": "ghcr.io/a/sidecar:1"},
                    {
                        "name": "training-container", "image": "ghcr.io/a/mnist:1",
                        "command": ["python3", "mnist.py", "--lr=${trialParameters.learningRate}",
                                    "--name=${trialParameters.trial}"],
                        "env": [{"name": "HF_TOKEN", "value": "hf_example"}],
                        "resources": {"limits": {"memory": "1Gi", "cpu": "0.5",
                                                 "nvidia.com/mig-1g.10gb": "2"}},
                    },
                ]}}},
            },
        },
    }  # fmt: skip
    spec |= changes
    given_spec = {name: value for name, value in spec.items() if value is not None}
    return {"metadata": {"name": "random", "namespace": "ml"}, "spec": copy.deepcopy(given_spec)}


def test_an_experiment_of_somebody_elses_is_what_a_thread_tells_of() -> None:
    found = spec_of(body_of())
    assert (found.name, found.namespace) == ("random", "ml")
    assert (found.objective_goal, found.strategy) == (0.001, "latest")
    assert found.objective_image == "ghcr.io/a/mnist:1"
    assert found.objective_command == (
        "python3", "mnist.py", "--lr=${trialParameters.lr}", "--name=${trialParameters.trial}",
    )  # fmt: skip
    assert found.parameters["momentum"] == Parameter(parameter_type="discrete", list=(0.5, 9))
    assert found.parameters["opt"] == Parameter(
        parameter_type="categorical", list=("sgd", "1e5", True, 8)
    )
    assert (found.cpu, found.memory, found.gpu) == ("0.5", "1Gi", 2)
    assert "hf_example" not in to_yaml(found)


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["train", "--hub-token=hf_x", "--lr=1"], ("train", "--hub-token=***", "--lr=1")),
        (["train", "--api_key", "abc", "x"], ("train", "--api_key", "***", "x")),
        (["train", "--token", "$(HF_TOKEN)"], ("train", "--token", "$(HF_TOKEN)")),
        (
            ["sh", "-c", 'HF_TOKEN=hf_x train \'{"access_token": "hf_y", "r": 8}\''],
            ("sh", "-c", 'HF_TOKEN=*** train \'{"access_token": "***", "r": 8}\''),
        ),
        (["train", "--tokenizer=bert", "--max_tokens=9"], ("train", "--tokenizer=bert",
                                                          "--max_tokens=9")),
    ],
)  # fmt: skip
def test_what_looks_like_a_token_is_not_kept(words: list[str], kept: tuple[str, ...]) -> None:
    body = body_of()
    containers = body["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"][
        "containers"
    ]
    containers[1]["command"] = words
    assert spec_of(body).objective_command == kept


def test_a_template_in_a_config_map_is_named_instead_of_an_image() -> None:
    template = {
        "primaryContainerName": "training-container",
        "trialParameters": [{"name": n, "reference": n} for n in ("lr", "momentum", "opt")],
        "configMap": {"configMapName": "templates", "configMapNamespace": "ml",
                      "templatePath": "mnist.yaml"},
    }  # fmt: skip
    found = spec_of(body_of(trialTemplate=template))
    assert found.objective_image == "configmap:ml/templates/mnist.yaml"
    assert found.objective_command == ("not-said-in-the-trial-template",)
    assert (found.gpu, found.num_workers) == (0, 1)


def test_the_gpus_of_an_mpi_job_are_its_workers() -> None:
    def role(replicas: int, name: str, **limits: Any) -> Json:
        container = {"name": name, "image": "ghcr.io/a/mpi:1", "resources": {"limits": limits}}
        pod = {"spec": {"containers": [{**container, "command": ["mpirun", name]}]}}
        return {"replicas": replicas, "template": pod}

    body = body_of()
    template = body["spec"]["trialTemplate"]
    template["primaryContainerName"] = "launcher"
    template["trialSpec"] = {"kind": "MPIJob", "spec": {"mpiReplicaSpecs": {
        "Worker": role(2, "worker", **{"amd.com/gpu": "4"}), "Launcher": role(1, "launcher", cpu=1),
    }}}  # fmt: skip
    found = spec_of(body)
    assert (found.num_workers, found.gpu, found.cpu) == (3, 4, "1")
    assert found.objective_command == ("mpirun", "launcher")


def test_a_job_of_a_kind_that_is_not_known_is_followed_without_its_image() -> None:
    body = body_of()
    body["spec"]["trialTemplate"]["trialSpec"] = {
        "kind": "Workflow", "spec": {"templates": [{"container": {"image": "ghcr.io/a/b:1"}}]},
    }  # fmt: skip
    assert spec_of(body).objective_image == "not-said-in-the-trial-template"


def test_a_space_of_one_value_is_a_fixed_parameter() -> None:
    parameters = [
        *body_of()["spec"]["parameters"],
        {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "1"}},
        {"name": "loss", "parameterType": "categorical", "feasibleSpace": {"list": ["mse"]}},
    ]
    found = spec_of(body_of(parameters=parameters))
    assert (found.parameters["epochs"], found.parameters["loss"]) == (1, "mse")
    assert set(found.searched) == {"lr", "momentum", "opt"}


def test_counts_that_were_left_to_katib_are_katibs() -> None:
    found = spec_of(body_of(parallelTrialCount=None, maxFailedTrialCount=None, maxTrialCount=2))
    assert (found.parallel_trial_count, found.max_failed_trial_count) == (2, 2)


def test_a_collector_that_we_do_not_have_is_no_reason_to_refuse() -> None:
    collector = {"collector": {"kind": "Custom", "customCollector": {"image": "x"}}}
    assert spec_of(body_of(metricsCollectorSpec=collector)).metrics_collector == "StdOut"
    tensorboard = {"collector": {"kind": "TensorFlowEvent"}}
    assert spec_of(body_of(metricsCollectorSpec=tensorboard)).metrics_collector == "TensorFlowEvent"


def changed(**space: Any) -> list[Json]:
    return [{"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "1", "max": "2"},
             **space}]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"parameters": None, "nasConfig": {"graphConfig": {"numLayers": 8}}}, "architecture"),
        ({"maxTrialCount": None}, "it has no maxTrialCount"),
        ({"parameters": None}, "Nothing is searched"),
        (
            {"parameters": changed(feasibleSpace={"min": "1", "max": "2",
                                                  "distribution": "normal"})},
            "the distribution of `lr` is `normal`",
        ),
        ({"parameters": changed(parameterType="unknown")}, "`lr` has the parameterType `unknown`"),
        ({"parameters": changed(feasibleSpace={"min": "a", "max": "2"})}, "`lr` must be a number"),
        ({"parameters": changed(feasibleSpace={"min": "2", "max": "2"})}, "Nothing is searched"),
        ({"parameters": changed(feasibleSpace={"min": "3", "max": "2"})}, "the lower end 3"),
        ({"algorithm": {"algorithmName": "mine"}}, "`mine` is not known here"),
        (
            {"parameters": [{"name": "x", "parameterType": "discrete",
                             "feasibleSpace": {"list": ["1", "two"]}}]},
            "`x` is discrete",
        ),
    ],
)  # fmt: skip
def test_what_no_spec_can_say_is_refused_with_the_experiments_name(
    changes: Json, reason: str
) -> None:
    with pytest.raises(EngineError) as refused:
        spec_of(body_of(**changes))
    assert refused.value.message.startswith("The Experiment `random` cannot be followed here: ")
    assert reason in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("body", [{}, {"metadata": {}, "spec": {}}])
def test_nothing_is_no_experiment(body: Json) -> None:
    with pytest.raises(EngineError, match="cannot be followed here"):
        spec_of(body)
