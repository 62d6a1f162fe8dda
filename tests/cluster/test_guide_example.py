"""The guide's example in small: a Llama, LoRA, trials of two pods with two processes each.

Nothing is played here: every process that a pod of the trial names is started, by torchrun, and
trains. The model is SmolLM2-135M-Instruct, by default its first 4 of 30 layers: with these the ten
trials take 310 CPU seconds, most of them imports. GUIDE_LAYERS=30 takes all layers: 2.4 GB for each
of the eight processes, so GUIDE_PARALLEL=1 where that is too much.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from bot import prior
from bot.engines import katib_objects
from bot.engines.katib_objects import Cluster
from bot.slack import command
from bot.spec import TuneSpec
from tests.cluster import smollm
from tests.cluster.api import Api
from tests.cluster.recordings import Real
from tests.cluster.resources import (
    CLAIMS,
    EXPERIMENTS,
    JOBS,
    PODS,
    PYTORCHJOBS,
    TRIALS,
    Json,
)
from tests.cluster.run import Controllers
from tests.cluster.test_bot_on_katib import serving
from tests.cluster.waiting import has, until, until_experiment
from tests.harness import RunningWorkspace
from tests.scenarios.conftest import MANIFEST, key, shown
from tests.trainer import stand_in_hub
from tests.trainer.conftest import text_of

pytestmark = pytest.mark.cluster

LAYERS = int(os.environ.get("GUIDE_LAYERS", "4"))
TRIALS_WANTED = int(os.environ.get("GUIDE_TRIALS", "10"))
PARALLEL = int(os.environ.get("GUIDE_PARALLEL", "2"))
WAIT_S = float(os.environ.get("GUIDE_WAIT_S", "1500"))
METRICS = {"eval_accuracy", "eval_loss"}
LINE = (
    "{model} on {data} name=guide split=train[:64] learning_rate=1e-05..5e-05 num_train_epochs=1 "
    "per_device_train_batch_size=4 r=8..32 lora_alpha=8 lora_dropout=0.1 bias=none "
    "objective=maximize:eval_accuracy additional_metric_names=eval_loss algorithm=random "
    "trials={trials} parallel={parallel} workers=2 procs=2 cpu=1 seed=1 retain_trials=true"
)


@pytest.fixture(scope="module")
def llama() -> Path:
    """The folder of SmolLM2, as many layers as asked for."""
    return smollm.folder(None if LAYERS == 30 else LAYERS)


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a csv of sentences: 64 to train on, of which some are held out."""
    folder = tmp_path_factory.mktemp("reviews")
    rows = [f"{text_of(i, i % 2)},{('negative', 'positive')[i % 2]}" for i in range(80)]
    (folder / "train.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    return folder


def spec_of(model: str, data: str, trials: int, parallel: int) -> TuneSpec:
    line = LINE.format(model=model, data=data, trials=trials, parallel=parallel)
    return prior.to_spec(command.parse_tune(line).data, "guide")


def create(api: Api, spec: TuneSpec, cluster: Cluster) -> None:
    api.create(EXPERIMENTS, katib_objects.experiment(spec, cluster))


def ended(status: Json) -> bool:
    """Whether nothing more comes: an Experiment may say Succeeded while its last trial runs."""
    finished = has("Succeeded")(status) or has("Failed")(status)
    return finished and not status.get("trialsRunning") and not status.get("trialsPending")


def job_ended(api: Api, namespace: str, name: str) -> bool:
    conditions = api.get(JOBS, namespace, name)["status"].get("conditions", ())
    return any(one["status"] == "True" for one in conditions)


def observed(trial: Json) -> dict[str, float]:
    """The latest value of each metric of a Trial."""
    metrics = trial["status"]["observation"]["metrics"]
    return {metric["name"]: float(metric["latest"]) for metric in metrics}


@pytest.mark.timeout(WAIT_S + 60)
def test_ten_trials_of_two_pods_with_two_processes_train_to_an_optimum_in_the_thread(
    api: Api, namespace: str, standins: Controllers, llama: Path, reviews: Path, kubeconfig: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    standins.node.play(namespace, lambda facts: Real())
    line = LINE.format(
        model=llama, data=reviews / "train.csv", trials=TRIALS_WANTED, parallel=PARALLEL
    )
    with ExitStack() as stack:
        slack = RunningWorkspace(tmp_path / "workspace", yaml.safe_load(MANIFEST.read_text()))
        stack.callback(slack.stop)
        bot = stack.enter_context(serving(slack, tmp_path, namespace, kubeconfig))
        assert "/archives/C0TUNING/p" in bot.says(line)
        bot.workspace.wait_for(lambda: "ended" in bot.keys("guide"), timeout_s=WAIT_S)
        thread = bot.thread("guide")
        best = shown(bot.ephemeral("/katib-best guide"))
    status = api.get(EXPERIMENTS, namespace, "guide")["status"]
    assert has("Succeeded")(status), told_by_pods(api, standins, namespace)
    assert status["trialsSucceeded"] == TRIALS_WANTED, told_by_pods(api, standins, namespace)
    trials = api.list(TRIALS, namespace)
    found = {trial["metadata"]["name"]: observed(trial) for trial in trials}
    assert all(set(metrics) >= METRICS for metrics in found.values())
    for trial in trials:
        asked = {one["name"]: float(one["value"]) for one in trial["spec"]["parameterAssignments"]}
        assert 1e-5 <= asked["learning_rate"] <= 5e-5
        assert asked["r"] in range(8, 33)
    assert len({metrics["eval_loss"] for metrics in found.values()}) == TRIALS_WANTED
    known_good = api.get(PYTORCHJOBS, namespace, "guide-baseline")["status"]["conditions"][-1]
    assert (known_good["type"], known_good["status"]) == ("Succeeded", "True")
    assert key(thread[-1]) == "ended"
    assert f"all trials are done ({TRIALS_WANTED} of {TRIALS_WANTED}" in shown(thread[-1])
    assert "Optimal hyperparameters" in best


def told_by_pods(api: Api, standins: Controllers, namespace: str) -> str:
    """The ends of the logs of the pods of trials that have failed."""
    pods = api.list(PODS, namespace, labelSelector="katib.kubeflow.org/trial")
    failed = [pod for pod in pods if pod["status"]["phase"] == "Failed"]
    return "\n".join(
        standins.node.log(namespace, pod["metadata"]["name"], container["name"])[-3000:]
        for pod in failed
        for container in pod["spec"]["containers"]
    )


@pytest.mark.timeout(600)
def test_model_and_data_are_fetched_once_and_the_trial_asks_no_network(
    api: Api, namespace: str, standins: Controllers, llama: Path, reviews: Path
) -> None:
    standins.node.play(namespace, lambda facts: Real())
    spec = spec_of("org/smollm", "org/reviews", 1, 1)
    cluster = Cluster(namespace=namespace, trainer_image="example.com/trainer:1")
    claim = katib_objects.volume_claim(spec, cluster)
    job = katib_objects.fetch_job(spec, cluster)
    assert claim is not None and job is not None
    api.create(CLAIMS, claim)
    with stand_in_hub.running() as hub:
        hub.repositories |= {"models/org/smollm": llama, "datasets/org/reviews": reviews}
        [container] = job["spec"]["template"]["spec"]["containers"]
        container["env"].append({"name": "HF_ENDPOINT", "value": hub.url})
        api.create(JOBS, job)
        until(lambda: job_ended(api, namespace, "guide-fetch"), "the end of the fetch Job", 300)
        assert api.get(JOBS, namespace, "guide-fetch")["status"].get("succeeded") == 1
        assert hub.requests
    # The hub is gone: a trial that asks for anything fails.
    create(api, spec, cluster)
    status = until_experiment(api, namespace, "guide", ended, 300)["status"]
    assert has("Succeeded")(status), told_by_pods(api, standins, namespace)
    [trial] = api.list(TRIALS, namespace)
    assert set(observed(trial)) >= METRICS
