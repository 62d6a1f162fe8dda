"""The Katib engine on a real API server: the contract of every engine, and what is Katib's own."""

from __future__ import annotations

import secrets
import shlex
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from bot import spec
from bot.engines.base import Engine, Query
from bot.engines.katib import KatibEngine
from bot.engines.katib_places import Place, Places
from bot.engines.kube import Kube
from bot.errors import EngineError, NotFoundError
from bot.spec import TuneSpec
from bot.status import ExperimentCondition, Told, TrialCondition
from tests.cluster.acts import create, scores
from tests.cluster.api import Api
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.recordings import Failure, Line, PodFacts, Recording
from tests.cluster.resources import CLAIMS, EXPERIMENTS, JOBS, NAMESPACES, PYTORCHJOBS, TRIALS
from tests.cluster.run import Controllers
from tests.cluster.waiting import until as wait_until
from tests.engines.contract import (
    EngineContract,
    Kind,
    Objective,
    a_record,
    a_spec,
    has_running,
    is_over,
    start,
    until,
)
from tests.engines.contract_actions import ActionsContract

pytestmark = pytest.mark.cluster

POLL_S = 0.1
FIRST_LINES = 0.3  # seconds that a played trial runs, so that it can be seen running


def play(facts: PodFacts) -> Recording:
    """What the images of the contract's objectives do."""
    container = facts.pod["spec"]["containers"][0]
    kind = container["image"].rsplit("/", 1)[-1].split(":")[0]
    if kind == "endless":
        return Recording((Line("result=1"),), never_ends=True)
    if kind == "failing":
        return Recording((Line("error: this objective always fails"),), exit_code=1)
    if kind == "silent":
        return Recording((Line("nothing to say"),))
    if kind == "trainer":  # a pod of the test before, on its way out
        return Recording()
    words = shlex.split(" ".join(container["args"]))
    values = {word[2]: float(word[4:]) for word in words if word[:2] == "--"}
    result = 4 * values["a"] - values["b"] ** 2
    return Recording((Line(f"result={result!r}"),), last_s=FIRST_LINES)


def katib_objective(kind: Kind) -> dict[str, Any]:
    words = ["--a=${trialParameters.a}", "--b=${trialParameters.b}"]
    return {
        "objective_image": f"registry.example/objectives/{kind}:1.0",
        "objective_command": ["objective", *words],
    }


def make_engine(kubeconfig: str, *namespaces: str, **channels: str) -> KatibEngine:
    """An engine for namespaces of one cluster; `channels` maps channels to namespaces."""
    places = Places(
        Place(namespaces[0]), {channel: Place(where) for channel, where in channels.items()}
    )
    return KatibEngine(
        places,
        trainer_image="registry.example/trainer:1.0",
        connect=lambda context: Kube(context, kubeconfig=kubeconfig),
    )


class Driver:
    """Polls an engine as the bot does, until closed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._wake = threading.Event()
        self._closed = False
        engine.on_change(self._wake.set)
        self._thread = threading.Thread(target=self._run, name="driver")
        self._thread.start()

    def _run(self) -> None:
        while not self._closed:
            self._engine.poll()
            self._wake.wait(POLL_S)
            self._wake.clear()

    def close(self) -> None:
        self._closed = True
        self._thread.join()


@pytest.fixture(scope="module")
def shared_namespace(api: Api) -> Iterator[str]:
    name = f"engine-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name, "labels": {INJECTION_LABEL: "enabled"}}})
    yield name
    api.delete(NAMESPACES, "", name)


@pytest.fixture(scope="module")
def engine(kubeconfig: str, shared_namespace: str, standins: Controllers) -> Iterator[KatibEngine]:
    standins.node.play(shared_namespace, play)
    engine = make_engine(kubeconfig, shared_namespace)
    driver = Driver(engine)
    yield engine
    driver.close()
    engine.close()


@pytest.fixture(scope="module")
def objective() -> Objective:
    return katib_objective


class TestTheContract(EngineContract):
    """The Katib engine keeps every promise of an engine."""


class TestTheActions(ActionsContract):
    """Every action that it names is one that it has."""


# -- what is Katib's own


def trained(**changes: Any) -> dict[str, Any]:
    """A fine-tuning with a trial 0, as `default on default` is completed, and nothing to fetch."""
    return {
        "model_uri": "/models/tiny",
        "dataset": "/data/tiny",
        "training_parameters": {"learning_rate": {"min": 1e-5, "max": 1e-3}},
        "objective_metric_name": "eval_accuracy",
        "max_trial_count": 2,
        "parallel_trial_count": 1,
        **changes,
    }


def fetched(**changes: Any) -> dict[str, Any]:
    """The same with a model and a dataset of the hub."""
    return trained(model_uri="org/model", dataset="org/data", **changes)


def a_training(**changes: Any) -> TuneSpec:
    data = {"name": f"own-{secrets.token_hex(4)}", **trained(), **changes}
    return spec.read(data)


def play_training(facts: PodFacts) -> Recording:
    """Trials report an accuracy; the fetch job just ends."""
    if facts.name.rsplit("-", 2)[-2] == "fetch":
        return Recording((Line("fetched"),))
    return Recording((Line("eval_accuracy=0.5"), Line("eval_accuracy=0.75")), last_s=FIRST_LINES)


@pytest.fixture
def training(
    standins: Controllers, engine: KatibEngine, shared_namespace: str
) -> Iterator[KatibEngine]:
    """The engine, with a node that plays fine-tuning."""
    standins.node.play(shared_namespace, play_training)
    yield engine
    standins.node.play(shared_namespace, play)


def test_trial_0_runs_beside_katibs_trials_and_can_win(
    training: KatibEngine, api: Api, shared_namespace: str
) -> None:
    wanted = a_training()
    over = until(training, start(training, wanted), is_over)
    known_good = over.status.known_good_trial
    assert known_good and known_good.name == f"{wanted.name}-baseline"
    assert (known_good.number, known_good.condition) == (0, TrialCondition.SUCCEEDED)
    assert known_good.observation["eval_accuracy"].max == 0.75
    assert known_good.parameters == {"learning_rate": pytest.approx(2e-4, rel=10)}
    assert [trial.number for trial in over.status.trials] == [0, 1, 2]
    assert over.status.optimal_trial == known_good  # the first wins a tie
    made = api.get(EXPERIMENTS, shared_namespace, wanted.name)
    assert made["spec"]["maxTrialCount"] == 2


def test_model_and_data_are_fetched_once_into_a_volume_that_the_experiment_owns(
    training: KatibEngine, api: Api, shared_namespace: str
) -> None:
    wanted = a_training(**fetched(), known_good_trial=False)
    name = start(training, wanted)
    over = until(training, name, is_over)
    assert over.status.count(TrialCondition.SUCCEEDED) == 2
    made = api.get(EXPERIMENTS, shared_namespace, name)
    [owner] = api.get(CLAIMS, shared_namespace, name)["metadata"]["ownerReferences"]
    assert owner["uid"] == made["metadata"]["uid"]
    assert api.find(JOBS, shared_namespace, f"{name}-fetch") is None
    template = made["spec"]["trialTemplate"]["trialSpec"]["spec"]["pytorchReplicaSpecs"]["Master"]
    assert template["template"]["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "stand-in"}


def test_a_volume_that_every_node_can_share_pins_no_trial(
    training: KatibEngine, api: Api, shared_namespace: str
) -> None:
    wanted = a_training(**fetched(storage_access_modes=("ReadWriteMany",), known_good_trial=False))
    name = start(training, wanted)
    until(training, name, lambda e: bool(e.status.trials))
    made = api.get(EXPERIMENTS, shared_namespace, name)
    template = made["spec"]["trialTemplate"]["trialSpec"]["spec"]["pytorchReplicaSpecs"]["Master"]
    assert "nodeSelector" not in template["template"]["spec"]
    training.stop(name, "U1")


def test_what_cannot_be_fetched_is_said_before_any_trial_exists(
    engine: KatibEngine, standins: Controllers, api: Api, shared_namespace: str
) -> None:
    sentence = "error: There is no model `org/model` on the hub."
    standins.node.play(shared_namespace, lambda facts: Recording((Line(sentence),), exit_code=4))
    wanted = a_training(**fetched())
    status = until(engine, start(engine, wanted), is_over).status
    standins.node.play(shared_namespace, play)
    assert (status.condition, status.trials) == (ExperimentCondition.FAILED, ())
    assert "There is no model `org/model` on the hub." in status.message
    assert api.find(EXPERIMENTS, shared_namespace, wanted.name) is None
    wait_until(
        lambda: api.find(CLAIMS, shared_namespace, wanted.name) is None, "the volume's deletion"
    )


def test_what_keeps_a_trial_from_starting_is_said(
    engine: KatibEngine, objective: Objective, standins: Controllers, shared_namespace: str
) -> None:
    no_image = Recording(failure=Failure.IMAGE_PULL, why="manifest unknown")
    standins.node.play(shared_namespace, lambda facts: no_image)
    name = start(engine, a_spec(objective("quick"), max_trial_count=1))
    waits = until(engine, name, lambda e: bool(e.status.troubles)).status
    standins.node.play(shared_namespace, play)
    [trouble] = waits.troubles
    assert (trouble.reason, trouble.trial) == ("ImagePullBackOff", waits.trials[0].name)
    assert "registry.example/objectives/quick:1.0" in trouble.message
    assert waits.condition == ExperimentCondition.RUNNING
    engine.stop(name, "U1")
    assert until(engine, name, is_over).status.troubles == ()


def test_a_worker_that_is_killed_for_want_of_memory_is_why_its_trial_failed(
    engine: KatibEngine, standins: Controllers, shared_namespace: str
) -> None:
    def choose(facts: PodFacts) -> Recording:
        if facts.role == "worker":
            return Recording(failure=Failure.OOM_KILLED, last_s=FIRST_LINES)
        return Recording((Line("error: connection closed by peer"),), never_ends=True)

    standins.node.play(shared_namespace, choose)
    wanted = a_training(num_workers=2, max_trial_count=1, known_good_trial=False)
    name = start(engine, wanted)
    over = until(engine, name, is_over).status
    standins.node.play(shared_namespace, play)
    assert over.trials[0].reason == "OutOfMemory"
    assert "ran out of memory" in over.trials[0].message


def test_an_experiment_deleted_by_hand_is_news_and_keeps_its_best(
    engine: KatibEngine, objective: Objective, api: Api, shared_namespace: str
) -> None:
    name = start(engine, a_spec(objective("quick"), max_trial_count=1000))
    until(engine, name, lambda e: e.status.optimal_trial is not None)
    api.delete(EXPERIMENTS, shared_namespace, name)
    over = until(engine, name, is_over)
    assert (over.status.condition, over.status.reason) == (ExperimentCondition.KILLED, "Deleted")
    assert over.status.optimal_trial is not None
    assert over in engine.poll()


def test_a_new_engine_goes_on_where_the_last_one_was(
    engine: KatibEngine, objective: Objective, kubeconfig: str, shared_namespace: str
) -> None:
    name = start(engine, a_spec(objective("quick"), max_trial_count=3, parallel_trial_count=1))
    until(engine, name, has_running)
    second = make_engine(kubeconfig, shared_namespace)
    assert second.get(name).record == engine.get(name).record
    over = until(engine, name, is_over)
    assert over in engine.poll()  # its end is noted
    wait_until(lambda: second.get(name).status == over.status, "the same end in the second one")
    second.close()
    engine.mark_told(name, Told(started=True, ended=True))
    third = make_engine(kubeconfig, shared_namespace)
    assert third.get(name).status == over.status
    assert [found.name for found in third.find(Query(text=name))] == [name]
    third.close()


def test_stopping_leaves_nothing_on_the_cluster_but_the_record(
    training: KatibEngine, api: Api, shared_namespace: str
) -> None:
    wanted = a_training(**fetched(max_trial_count=50))
    name = start(training, wanted)
    until(training, name, has_running)
    training.stop(name, "U1")

    def left() -> list[str]:
        return [
            one["metadata"]["name"]
            for kind in (EXPERIMENTS, TRIALS, PYTORCHJOBS, JOBS, CLAIMS)
            for one in api.list(kind, shared_namespace)
            if one["metadata"]["name"].startswith(name)
        ]

    wait_until(lambda: not left(), f"the deletion of {left()}")
    assert training.get(name).status.condition == ExperimentCondition.KILLED


def test_a_namespace_that_katib_does_not_watch_is_refused_with_the_command_that_helps(
    kubeconfig: str, api: Api, standins: Controllers, objective: Objective
) -> None:
    name = f"bare-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name}})
    engine = make_engine(kubeconfig, name)
    [refused] = engine.check(a_spec(objective("quick")))
    assert "katib.kubeflow.org/metrics-collector-injection" in refused.message
    assert f"kubectl label namespace {name}" in refused.hint
    engine.close()
    api.delete(NAMESPACES, "", name)


def test_a_name_that_is_taken_on_the_cluster_is_refused_before_it_starts(
    engine: KatibEngine, objective: Objective
) -> None:
    wanted = a_spec(objective("quick"), max_trial_count=1)
    start(engine, wanted)
    [refused] = engine.check(wanted)
    assert (refused.field, wanted.name in refused.message) == ("name", True)


def test_a_channel_has_a_namespace_of_its_own(
    api: Api, namespace: str, shared_namespace: str, kubeconfig: str, standins: Controllers,
    objective: Objective,
) -> None:  # fmt: skip
    standins.node.play(namespace, play)
    engine = make_engine(kubeconfig, shared_namespace, C0TEAM=namespace)
    driver = Driver(engine)
    wanted = a_spec(objective("quick"), max_trial_count=1)
    assert engine.check(wanted, "C0TEAM") == ()
    engine.save(a_record(wanted).model_copy(update={"channel": "C0TEAM"}))
    engine.submit(wanted.name)
    over = until(engine, wanted.name, is_over)
    assert over.status.condition == ExperimentCondition.SUCCEEDED
    assert api.get(EXPERIMENTS, namespace, wanted.name)
    with pytest.raises(EngineError, match=wanted.name):
        engine.save(a_record(wanted))
    [refused] = engine.check(a_spec(objective("quick"), namespace=namespace), "C0OTHER")
    assert refused.field == "namespace"
    driver.close()
    engine.close()


def test_an_experiment_of_somebody_else_can_be_watched(
    engine: KatibEngine, standins: Controllers, api: Api, shared_namespace: str
) -> None:
    standins.node.play(shared_namespace, scores(lambda lr: 1 - (lr - 0.5) ** 2))
    name = f"other-{secrets.token_hex(3)}"
    body = experiment(shared_namespace, trial=pytorchjob(workers=1))
    body["metadata"]["name"] = name
    create(api, body)
    adopted = engine.adopt(name, "C1", "U1", "ann")
    assert (adopted.record.channel, adopted.record.requested_by_name) == ("C1", "ann")
    over = until(engine, name, is_over)
    standins.node.play(shared_namespace, play)
    assert over.status.count(TrialCondition.SUCCEEDED) == body["spec"]["maxTrialCount"]
    assert over.status.optimal_trial is not None
    with pytest.raises(EngineError, match="not started here"):
        engine.stop(name, "U1")
    assert engine.adopt(name, "C1", "U1", "ann") == over


def test_nobody_elses_experiment_of_that_name_is_not_found(engine: KatibEngine) -> None:
    with pytest.raises(NotFoundError, match="no-such"):
        engine.adopt("no-such", "C1", "U1", "ann")


def test_a_poll_asks_nothing_while_nothing_changes(
    kubeconfig: str, api: Api, namespace: str, standins: Controllers, objective: Objective
) -> None:
    standins.node.play(namespace, play)
    calls: list[tuple[str, str]] = []
    engine = KatibEngine(
        Places(Place(namespace)),
        trainer_image="registry.example/trainer:1.0",
        connect=lambda _: Kube(
            kubeconfig=kubeconfig, on_call=lambda method, path: calls.append((method, path))
        ),
    )
    name = start(engine, a_spec(objective("endless"), max_trial_count=1))
    wait_until(lambda: engine.poll() and has_running(engine.get(name)), "a running trial")
    wait_until(lambda: engine.poll() and _is_quiet(engine, calls), "a quiet poll")
    engine.stop(name, "U1")
    engine.close()


def _is_quiet(engine: KatibEngine, calls: list[tuple[str, str]]) -> bool:
    before = len(calls)
    for _ in range(20):
        engine.poll()
    return len(calls) == before
