"""What is sent to Katib: the same Experiment as the official SDK's, and commands that survive."""

from __future__ import annotations

import copy
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings

from bot import prior
from bot.engines import katib_command, katib_objects
from bot.engines.katib_objects import Cluster
from bot.engines.katib_template import TrialTemplate, from_file, from_yaml, merged
from bot.errors import SpecError, TuneError
from bot.slack import command
from bot.spec import TuneSpec, read
from tests import guide
from tests.specs import SPECS

Json = dict[str, Any]
GOLDEN = Path(__file__).parent / "golden"
CLUSTER = Cluster(namespace="kubeflow", trainer_image="registry.example/katib-tune-trainer:0.1.0")


def golden(name: str) -> Json:
    body: Json = json.loads((GOLDEN / f"{name}.json").read_text())
    return body


def typed(line: str) -> TuneSpec:
    return prior.to_spec(command.parse_tune(line, read_file=lambda _: guide.SOURCE).data, "x")


def trial_of(spec: TuneSpec, cluster: Cluster = CLUSTER) -> Json:
    """The trialSpec of the Experiment."""
    trial: Json = katib_objects.experiment(spec, cluster)["spec"]["trialTemplate"]["trialSpec"]
    return trial


def containers(trial: Json) -> list[Json]:
    """The training containers of every pod of a trial."""
    spec = trial["spec"]
    replicas = spec.get("pytorchReplicaSpecs")
    templates = [r["template"] for r in replicas.values()] if replicas else [spec["template"]]
    return [container for t in templates for container in t["spec"]["containers"]]


# --- the SDK's own bodies -------------------------------------------------------------------------
# Besides image, command, arguments, volumes and the metrics filter these differ:
# algorithm                 ours is multivariate-tpe where none is asked for (the SDK's: random)
# maxFailedTrialCount       the SDK's default is none: an Experiment that never fails
# parallelTrialCount        where it is left out, the SDK leaves 3 to the server
# resumePolicy, restartPolicy, backoffLimit, cleanPodPolicy   said, where the SDK leaves them to
#                           defaults under which a failing trial is restarted for ever
# security context, service-account token   trials run as nobody and hold no token


def comparable(body: Json) -> Json:
    """The parts of an Experiment that must be equal."""
    body = copy.deepcopy(body)
    spec = body["spec"]
    trial = spec["trialTemplate"]["trialSpec"]
    jobs = trial["spec"]
    shape: Json = {"kind": trial["kind"], "apiVersion": trial["apiVersion"]}
    for name in ("nprocPerNode", "activeDeadlineSeconds"):
        shape[name] = jobs.get(name)
    shape["deadline"] = jobs.get("runPolicy", {}).get("activeDeadlineSeconds")
    shape["replicas"] = {
        name: replica["replicas"] for name, replica in jobs.get("pytorchReplicaSpecs", {}).items()
    }
    shape["containers"] = [
        {name: c.get(name) for name in ("name", "resources", "env")} for c in containers(trial)
    ]
    shape["collector"] = spec["metricsCollectorSpec"].get("collector", {"kind": "StdOut"})
    # Only a Job's restart policy is the SDK's: it leaves a PyTorchJob's to the operator's default.
    return {
        "name": body["metadata"]["name"],
        "namespace": body["metadata"]["namespace"],
        **{name: spec.get(name) for name in ("objective", "algorithm", "parameters")},
        **{name: spec.get(name) for name in ("maxTrialCount", "earlyStopping")},
        "retain": spec["trialTemplate"]["retain"],
        "primaryContainerName": spec["trialTemplate"]["primaryContainerName"],
        "trialParameters": spec["trialTemplate"]["trialParameters"],
        "trial": shape,
    }


def test_the_guides_example_is_the_experiment_that_the_sdk_sends() -> None:
    spec = typed(guide.LLAMA)
    ours, theirs = katib_objects.experiment(spec, CLUSTER), golden("llm_llama32_imdb.experiment")
    assert comparable(ours) == comparable(theirs)
    assert ours["spec"]["parallelTrialCount"] == theirs["spec"]["parallelTrialCount"] == 2
    claim, sdk_claim = katib_objects.volume_claim(spec, CLUSTER), golden("llm_llama32_imdb.pvc")
    assert claim is not None
    assert claim["spec"] == sdk_claim["spec"] and claim["metadata"]["name"] == "llama"


def test_the_getting_started_example_is_the_experiment_that_the_sdk_sends() -> None:
    ours = katib_objects.experiment(typed(f"{guide.CUSTOM} algorithm=random"), CLUSTER)
    theirs = golden("custom_objective_job.experiment")
    theirs["metadata"]["namespace"] = ours["metadata"]["namespace"]
    for container in containers(theirs["spec"]["trialTemplate"]["trialSpec"]):
        for amounts in container["resources"].values():  # a number, as for every other trial
            amounts["cpu"] = int(amounts["cpu"])
    assert comparable(ours) == comparable(theirs)


def test_a_distributed_function_is_the_pytorchjob_that_the_sdk_sends() -> None:
    line = guide.CUSTOM.replace("tune-experiment", "tune-dist").replace("cpu=2", "cpu=4")
    line = line.replace("trials=12", "trials=4 parallel=2 workers=3 procs=2 gpu=2 memory=10G")
    asked = f"{line} algorithm=random trial_active_deadline_seconds=600 env_per_trial={{X: 1}}"
    spec = typed(asked)
    ours = katib_objects.experiment(spec, CLUSTER)
    assert comparable(ours) == comparable(golden("custom_objective_pytorchjob.experiment"))


def test_categorical_is_what_the_sdk_means_and_does_not_send() -> None:
    broken = golden("custom_objective_categorical_bug.experiment")["spec"]["parameters"]
    assert any(isinstance(p["feasibleSpace"].get("distribution"), list) for p in broken)
    spec = typed(f"{guide.CUSTOM} opt=adam,sgd,true,none,8")
    parameters = katib_objects.experiment(spec, CLUSTER)["spec"]["parameters"]
    (sent,) = (p for p in parameters if p["name"] == "opt")
    assert sent["parameterType"] == "categorical"
    assert sent["feasibleSpace"] == {"list": ["adam", "sgd", "True", "None", "8"]}


# --- right where the SDK is wrong -----------------------------------------------------------------


def test_a_failing_trial_fails() -> None:
    job = katib_objects.experiment(typed(guide.CUSTOM), CLUSTER)
    trial = job["spec"]["trialTemplate"]["trialSpec"]
    assert trial["spec"]["backoffLimit"] == 0
    assert trial["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    llama = katib_objects.experiment(typed(guide.LLAMA), CLUSTER)
    replicas = llama["spec"]["trialTemplate"]["trialSpec"]["spec"]["pytorchReplicaSpecs"]
    assert {replica["restartPolicy"] for replica in replicas.values()} == {"Never"}


def katib_shell(container: Json) -> list[str]:
    """What Katib's webhook makes of the primary container's command (its StdOut collector)."""
    command, args = container["command"], container["args"]
    words = [*command, *args]
    shell, rest = (words[:2], words[2:]) if words[1:2] == ["-c"] else (["sh", "-c"], words)
    return [*shell, f"{' '.join(rest)} 1>metrics.log 2>&1 && echo completed > 7.pid"]


def substituted(trial: Json, values: dict[str, str]) -> Json:
    """Katib's substitution: the values, raw, in the text of the whole trial."""
    written = json.dumps(trial)
    for name, value in values.items():
        written = written.replace(f"${{trialParameters.{name}}}", value)
    filled: Json = json.loads(written)
    return filled


def kubelet(word: str) -> str:
    """What a container gets of a word of its command: $$ is $, $(NAME) stays if there is none."""
    out, at = [], 0
    while at < len(word):
        out.append(word[at])
        at += 2 if word[at : at + 2] == "$$" else 1
    return "".join(out)


ECHO = '#!/bin/sh\nfor word in "$@"; do printf "%s\\n" "$word"; done\n'


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which the trial program prints the words that it got, one a line."""
    for name in ("torchrun", "python"):
        (tmp_path / name).write_text(ECHO)
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}:/usr/bin:/bin"


def run(words: list[str], path: str, folder: Path) -> None:
    subprocess.run(
        [kubelet(word) for word in words], env={"PATH": path}, cwd=folder, check=True, timeout=10
    )


AWKWARD = {
    "output_dir": "it's $HOME",
    "run_name": 'a "quoted" \\ name; rm -rf /tmp/none && $(date) `date` $$ ${x}',
    "report_to": [],
}


def test_arguments_are_whole_in_master_and_worker(path: str, tmp_path: Path) -> None:
    spec = typed(guide.LLAMA)
    spec = read({**spec.model_dump(exclude_unset=True), "training_parameters": {
        **spec.model_dump(exclude_unset=True)["training_parameters"], **AWKWARD,
    }})  # fmt: skip
    trial = trial_of(spec)
    master, worker = containers(substituted(trial, {"learning_rate": "2e-05", "r": "17"}))
    run(katib_shell(master), path, tmp_path)
    assert (tmp_path / "7.pid").read_text() == "completed\n"
    got = (tmp_path / "metrics.log").read_text().splitlines()
    out = subprocess.run(
        [kubelet(w) for w in (*worker["command"], *worker["args"])],
        env={"PATH": path}, cwd=tmp_path, check=True, timeout=10, capture_output=True, text=True,
    )  # fmt: skip
    assert out.stdout.splitlines() == got, "both pods run the same words"
    flags = dict(word[2:].split("=", 1) for word in got if word.startswith("--"))
    parameters = json.loads(flags["training-parameters"])
    assert parameters["learning_rate"] == "2e-05" and json.loads(flags["lora-config"])["r"] == "17"
    assert {name: parameters[name] for name in AWKWARD} == AWKWARD
    assert got[:2] == ["-m", "trainer"]


def test_a_failing_trial_is_not_completed(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 5\n")
    (tmp_path / "python").chmod(0o755)
    trial = katib_objects.experiment(typed(guide.CUSTOM), CLUSTER)
    words = katib_shell(containers(trial["spec"]["trialTemplate"]["trialSpec"])[0])
    done = subprocess.run(words, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, cwd=tmp_path, timeout=9)
    assert done.returncode == 5 and not (tmp_path / "7.pid").exists()


def test_packages_are_installed_before_the_trial(path: str, tmp_path: Path) -> None:
    spec = typed(
        f"{guide.CUSTOM} packages_to_install=[polars,'a b'] "
        "pip_index_urls=[https://a.example/simple,https://b.example/simple]"
    )
    trial = trial_of(spec)
    script = containers(trial)[0]["args"][0]
    pip, _, rest = script.partition(" && ")
    assert shlex.split(pip)[4:] == [
        "--no-cache-dir", "--quiet", "--index-url", "https://a.example/simple",
        "--extra-index-url", "https://b.example/simple", "polars", "a b",
    ]  # fmt: skip
    assert "trainer objective" in rest


def test_an_image_of_ones_own_keeps_its_command(path: str, tmp_path: Path) -> None:
    common = {
        "name": "own", "objective_metric_name": "x", "objective_image": "ghcr.io/a/b:1",
        "parameters": {"a": {"min": 1, "max": 3}},
    }  # fmt: skip
    words = ("python", "x y.py", "--a=${trialParameters.a}", "it's")
    spec = read({**common, "objective_command": words})
    trial = trial_of(spec)
    container = containers(substituted(trial, {"a": "2"}))[0]
    assert container["image"] == "ghcr.io/a/b:1"
    run(katib_shell(container), path, tmp_path)
    assert (tmp_path / "metrics.log").read_text().splitlines() == ["x y.py", "--a=2", "it's"]
    spec = read({**common, "objective_command": ("bash", "-c", "python ${trialParameters.a} $X")})
    trial = trial_of(spec)
    assert containers(trial)[0]["args"] == ["python ${trialParameters.a} $X"]


def test_tokens_stay_in_their_secrets_and_out_of_the_trials() -> None:
    spec = typed(f"{guide.LLAMA} model_access_token=hub-token/token")
    job = katib_objects.fetch_job(spec, CLUSTER)
    assert job is not None
    env = job["spec"]["template"]["spec"]["containers"][0]["env"]
    secret = {"secretKeyRef": {"name": "hub-token", "key": "token"}}
    assert env == [{"name": "HF_TOKEN", "valueFrom": secret}]
    assert "hub-token" not in json.dumps(katib_objects.experiment(spec, CLUSTER))


def test_keys_of_s3_reach_the_fetch_job_by_reference_and_nothing_else() -> None:
    keys = {"s3_access_key": "s3-keys/access", "s3_secret_key": "s3-keys/secret"}
    spec = read({
        "name": "s3", "model_uri": "org/model", "training_parameters": {
            "learning_rate": {"min": 1e-5, "max": 1e-3}},
        "s3_endpoint_url": "https://s3.example", "s3_bucket_name": "reviews",
        "s3_file_key": "imdb/train", **keys,
    })  # fmt: skip
    job = katib_objects.fetch_job(spec, CLUSTER)
    assert job is not None
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "s3-keys", "key": key}}}
        for name, key in (("AWS_ACCESS_KEY_ID", "access"), ("AWS_SECRET_ACCESS_KEY", "secret"))
    ]
    flags = [
        "--s3-endpoint-url=https://s3.example",
        "--s3-bucket-name=reviews",
        "--s3-file-key=imdb/train",
    ]
    assert shlex.split(container["args"][0])[-3:] == flags
    assert "s3-keys" not in container["args"][0]
    experiment = json.dumps(katib_objects.experiment(spec, CLUSTER))
    assert all(flag in experiment for flag in flags)
    assert "s3-keys" not in experiment and "AWS_" not in experiment


def test_model_and_data_are_fetched_once_and_read_by_every_trial() -> None:
    spec = typed(guide.LLAMA)
    job = katib_objects.fetch_job(spec, CLUSTER)
    assert job is not None
    script = job["spec"]["template"]["spec"]["containers"][0]["args"][0]
    assert shlex.split(script)[-2:] == ["--model=meta-llama/Llama-3.2-1B", "--dataset=imdb"]
    trial = trial_of(spec)
    for container in containers(trial):
        mount = container["volumeMounts"][0]
        assert mount == {"name": "workspace", "mountPath": "/workspace", "readOnly": True}
        assert "HF_HUB_OFFLINE=1" in container["args"][0]
    custom = typed(guide.CUSTOM)
    assert katib_objects.fetch_job(custom, CLUSTER) is None
    assert katib_objects.volume_claim(custom, CLUSTER) is None


def test_trial_0_is_a_job_of_the_same_template_with_the_known_good_values() -> None:
    spec = typed(guide.LLAMA)
    job = katib_objects.baseline(spec, CLUSTER)
    assert job is not None and job["metadata"]["name"] == "llama-baseline"
    assert "${trialParameters" not in json.dumps(job)
    assert len(containers(job)) == 2
    assert katib_objects.baseline(typed(f"{guide.LLAMA} known_good_trial=false"), CLUSTER) is None


@pytest.mark.parametrize("value", ["it's", 'a"b', "a\\b", "a\nb", "$(date)"])
def test_a_value_that_katib_would_break_is_refused(value: str) -> None:
    spec = read({
        "name": "own", "objective_metric_name": "x", "objective_function": "f",
        "objective_source": guide.SOURCE,
        "parameters": {"a": {"list": ["ok", value]}},
    })  # fmt: skip
    (refusal,) = katib_command.refusals(spec)
    assert refusal.field == "a" and "cannot pass through Katib" in refusal.message


@settings(max_examples=50, deadline=None)
@given(SPECS)
def test_every_placeholder_is_declared_and_every_parameter_used(spec: TuneSpec) -> None:
    body = katib_objects.experiment(spec, CLUSTER)["spec"]
    written = json.dumps(body["trialTemplate"]["trialSpec"])
    names = [parameter["name"] for parameter in body["parameters"]]
    assert [p["reference"] for p in body["trialTemplate"]["trialParameters"]] == names
    if not spec.objective_image:  # whose command is the user's own
        for name in names:
            assert f"${{trialParameters.{name}}}" in written
    assert 0 < body["parallelTrialCount"] <= body["maxTrialCount"]
    assert body["maxFailedTrialCount"] <= body["maxTrialCount"]
    for parameter in body["parameters"]:
        for value in parameter["feasibleSpace"].values():
            assert isinstance(value, str) or all(isinstance(item, str) for item in value)


# --- the cluster's own parts ----------------------------------------------------------------------

TEMPLATE = """
gpu_resource: amd.com/gpu
shared_memory: 8Gi
labels: {kueue.x-k8s.io/queue-name: research}
pod_spec:
  nodeSelector: {pool: gpu}
  tolerations: [{key: gpu, operator: Exists}]
  imagePullSecrets: [{name: pull}]
  priorityClassName: batch
  serviceAccountName: trials
  securityContext: {runAsUser: 2000}
container:
  securityContext: {readOnlyRootFilesystem: true}
  volumeMounts: [{name: scratch, mountPath: /scratch}]
"""


def test_the_clusters_template_is_laid_on_every_pod() -> None:
    cluster = CLUSTER.model_copy(update={"template": from_yaml(TEMPLATE, "t.yaml")})
    trial = katib_objects.experiment(typed(guide.LLAMA), cluster)["spec"]["trialTemplate"][
        "trialSpec"
    ]
    assert trial["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "research"}
    for replica in trial["spec"]["pytorchReplicaSpecs"].values():
        pod = replica["template"]["spec"]
        assert pod["nodeSelector"] == {"pool": "gpu"} and pod["serviceAccountName"] == "trials"
        assert pod["securityContext"]["runAsUser"] == 2000
        assert pod["securityContext"]["runAsNonRoot"] is True, "what it does not say stays"
        (container,) = pod["containers"]
        assert container["resources"]["limits"]["amd.com/gpu"] == 2
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert [m["mountPath"] for m in container["volumeMounts"]] == [
            "/workspace", "/dev/shm", "/scratch"
        ]  # fmt: skip
        memory = next(v for v in pod["volumes"] if v["name"] == "shared-memory")
        assert memory["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}


def test_the_shipped_example_is_a_template() -> None:
    example = from_file(Path(__file__).parents[2] / "manifests" / "trial-template.yaml")
    assert set(TrialTemplate.model_fields) - example.model_fields_set == {"runtime", "annotations"}
    cluster = CLUSTER.model_copy(update={"template": example})
    fetch = katib_objects.fetch_job(typed(guide.LLAMA), cluster)
    assert fetch is not None
    pod = fetch["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "gpu"}
    assert [c["name"] for c in pod["containers"]] == ["fetch"], "the trials' container is not its"


def test_a_template_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TuneError, match=r"none\.yaml cannot be read"):
        from_file(tmp_path / "none.yaml")
    assert from_file(None) == TrialTemplate()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "line 1"),
        ("- a", "no list of"),
        ("gpus: 1", "no field `gpus`"),
        ("trial_kind: MPIJob", "`trial_kind` is 'MPIJob'"),
    ],
)
def test_a_wrong_template_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(TuneError, match=words):
        from_yaml(text, "t.yaml")


def test_lists_of_named_things_are_merged_by_name() -> None:
    base = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "x": [1]}
    over = {"env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}], "x": [2]}
    assert merged(base, over) == {
        "env": [
            {"name": "A", "value": "1"}, {"name": "B", "value": "3"}, {"name": "C", "value": "4"}
        ],
        "x": [2],
    }  # fmt: skip


def test_trials_may_be_trainjobs() -> None:
    cluster = CLUSTER.model_copy(update={"template": TrialTemplate(trial_kind="TrainJob")})
    body = katib_objects.experiment(typed(guide.LLAMA), cluster)["spec"]["trialTemplate"]
    theirs = golden("optimizer_client_trainjob.experiment")["spec"]["trialTemplate"]
    assert body["primaryContainerName"] == theirs["primaryContainerName"] == "node"
    trial, sdk = body["trialSpec"], theirs["trialSpec"]
    assert {k: trial[k] for k in ("apiVersion", "kind")} == {
        k: sdk[k] for k in ("apiVersion", "kind")
    }
    trainer = trial["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 2)
    assert trial["spec"]["runtimeRef"]["name"] == sdk["spec"]["runtimeRef"]["name"]
    assert trainer["resourcesPerNode"]["limits"] == {"cpu": 4, "memory": "10G", "nvidia.com/gpu": 2}


def test_what_is_sent_is_yaml_and_json() -> None:
    body = katib_objects.experiment(typed(guide.LLAMA), CLUSTER)
    assert yaml.safe_load(yaml.safe_dump(body)) == body == json.loads(json.dumps(body))


def test_every_object_is_written_in_the_order_of_its_creation() -> None:
    kinds = [
        d["kind"] for d in yaml.safe_load_all(katib_objects.as_yaml(typed(guide.LLAMA), CLUSTER))
    ]
    assert kinds == ["PersistentVolumeClaim", "Job", "PyTorchJob", "Experiment"]
    with pytest.raises(SpecError, match="cannot pass through Katib"):
        katib_objects.as_yaml(read({
            "name": "own", "objective_metric_name": "x", "objective_function": "f",
            "objective_source": guide.SOURCE, "parameters": {"a": {"list": ["ok", "it's"]}},
        }), CLUSTER)  # fmt: skip


def test_a_train_job_has_its_deadline_and_its_pods_are_found_as_ours() -> None:
    template = TrialTemplate(trial_kind="TrainJob", labels={"queue": "a"}, annotations={"n": "1"})
    cluster = CLUSTER.model_copy(update={"template": template})
    asked = typed("default on default name=x deadline=60s")
    job = katib_objects.baseline(asked, cluster)
    assert job is not None
    assert job["spec"]["activeDeadlineSeconds"] == 60
    [override] = job["spec"]["podTemplateOverrides"]
    assert override["metadata"]["labels"] == {
        "queue": "a",
        "katib.kubeflow.org/experiment": asked.name,
        **katib_objects.labels(asked, "baseline"),
    }
    assert override["metadata"]["annotations"]["n"] == "1"


def test_the_environment_reaches_the_job_that_fetches_too() -> None:
    asked = typed(
        "org/model on org/data learning_rate=1e-5..1e-3 name=x env.HTTPS_PROXY=http://p:1"
    )
    job = katib_objects.fetch_job(asked, CLUSTER)
    assert job is not None
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert {"name": "HTTPS_PROXY", "value": "http://p:1"} in container["env"]


def test_a_volume_has_the_access_modes_of_the_spec_else_of_the_cluster_else_of_the_sdk() -> None:
    shared = CLUSTER.model_copy(update={"template": TrialTemplate(access_modes=("ReadWriteMany",))})
    line = "org/model on org/data learning_rate=1e-5..1e-3 name=x"
    asked = f"{line} storage_access_modes=ReadWriteOnce"
    for words, cluster, modes in (
        (line, CLUSTER, ["ReadWriteOnce", "ReadOnlyMany"]),
        (line, shared, ["ReadWriteMany"]),
        (asked, shared, ["ReadWriteOnce"]),
    ):
        claim = katib_objects.volume_claim(typed(words), cluster)
        assert claim is not None
        assert claim["spec"]["accessModes"] == modes


# --- what the trial program takes ----------------------------------------------------------------


def test_what_a_trial_would_refuse_is_refused_before_there_are_objects() -> None:
    wanted = typed("org/m on imdb objective=eval_bleu save_best=true")
    with pytest.raises(SpecError) as refused:
        katib_objects.as_yaml(wanted, CLUSTER)
    assert [e.field for e in refused.value.all] == ["objective_metric_name", "save_best"]
    assert "a trial's folder goes with its pod" in str(refused.value.all[1])


def test_flags_of_the_trial_program_come_through_the_pods_shell() -> None:
    wanted = typed(
        "org/m on org/chats transformer_type=AutoModelForCausalLM columns.prompt=“it's” gpu=1 "
        "packing=true quantization=4bit deadline=1h metrics_collector=Push max_length=256,512"
    )
    script = containers(trial_of(wanted))[0]["args"][0]
    words = shlex.split(script)
    assert {"--packing", "--push-metrics", "--quantization=4bit", "--deadline-seconds=3540"} <= {
        *words
    }
    fields = katib_command.read_script(script)
    assert fields is not None
    assert (fields["columns"], fields["packing"]) == ({"prompt": "it's"}, True)
    assert fields["training_parameters"]["max_length"] == "${trialParameters.max_length}"
    katib_objects.as_yaml(wanted, CLUSTER)
