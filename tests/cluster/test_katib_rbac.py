"""The shipped Role suffices for every call that the bot makes, and allows nothing that none needs.

One account, bound as manifests/ say, lives through all that an engine, a Lease and `doctor` do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.engines.base import Query
from bot.engines.katib import KatibEngine
from bot.engines.katib_doctor import Served, examine
from bot.engines.katib_drive import UID
from bot.engines.katib_lease import KubeLease
from bot.engines.katib_permissions import PERMISSIONS
from bot.engines.katib_places import Place, Places
from bot.leader import LeaseSpec
from bot.status import ExperimentCondition, Thread, Told, TrialCondition
from tests.cluster.account import Single, kubeconfig_of
from tests.cluster.acts import create
from tests.cluster.api import Api
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.recordings import Line, PodFacts, Recording
from tests.cluster.resources import CLAIMS, EXPERIMENTS, JOBS
from tests.cluster.run import Controllers
from tests.cluster.test_katib_engine import Driver, a_training, fetched
from tests.cluster.waiting import until as wait_until
from tests.cluster.witness import Seen, Witness
from tests.engines.contract import a_record, has_running, is_over, start, until

pytestmark = pytest.mark.cluster

BASE = Path(__file__).parents[2] / "manifests/base"
ACCOUNT = "katib-tune"
IMAGE = "registry.example/trainer:1.0"
# What the table names and this life does not need: rights that go with settings.
OTHER_KIND = {("trainer.kubeflow.org", "trainjobs", verb) for verb in ("get", "create", "delete")}
# What `doctor` asks beyond the table, and does without if it is refused.
QUOTAS: Single = ("", "resourcequotas", "list")
# Anybody may ask what they may do.
REVIEWS: Single = ("authorization.k8s.io", "selfsubjectaccessreviews", "create")


class Book:
    """The calls of an account, as a Role names them, and those that were refused."""

    def __init__(self) -> None:
        self.called: set[Single] = set()
        self.refused: set[tuple[Single, str]] = set()
        self._lock = threading.Lock()

    def saw(self, seen: Seen) -> None:
        if not seen.call.plural:  # /version, /apis/...: no resource
            return
        single = seen.call.group, seen.call.resource, seen.call.verb
        with self._lock:
            self.called.add(single)
            if seen.status == 403:
                self.refused.add((single, seen.call.namespace))


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def kube(kubeconfig: str, api: Api, namespace: str, tmp_path: Path, book: Book) -> Witness:
    """The API server, as the account that manifests/base bind to their Roles."""
    for name in ("service-account", "role", "role-binding"):
        for body in yaml.safe_load_all((BASE / f"{name}.yaml").read_text(encoding="utf-8")):
            body["metadata"]["namespace"] = namespace
            for subject in body.get("subjects", ()):
                subject["namespace"] = namespace
            api.create(api.resource_of(body["apiVersion"], body["kind"]), body)
    return Witness(kubeconfig_of(kubeconfig, namespace, ACCOUNT, tmp_path), book.saw)


@pytest.fixture
def engine(kube: Witness, namespace: str, standins: Controllers) -> Iterator[KatibEngine]:
    standins.node.play(namespace, play)
    engine = KatibEngine(Places(Place(namespace)), trainer_image=IMAGE, connect=lambda _: kube)
    driver = Driver(engine)
    yield engine
    driver.close()
    engine.close()


def play(facts: PodFacts) -> Recording:
    """What each Experiment's name says that its pods do."""
    if facts.name.rsplit("-", 2)[-2] == "fetch":
        return Recording((Line("fetched"),), exit_code=4 if "unfetched" in facts.name else 0)
    if facts.name.startswith("endless"):
        return Recording((Line("eval_accuracy=0.5"),), never_ends=True)
    if facts.name.startswith("mixed") and facts.trial is not None:
        return Recording((Line("error: too hot"),), exit_code=1)
    return Recording((Line("eval_accuracy=0.5"), Line("score=0.5")), last_s=0.3)


def test_the_role_suffices_for_a_whole_life_and_nothing_in_it_is_unused(
    engine: KatibEngine, kube: Witness, api: Api, namespace: str, book: Book
) -> None:
    a_life_that_goes_well(engine, api, namespace)
    a_life_with_a_retry(engine)
    a_life_that_is_stopped(engine, api, namespace)
    a_life_that_is_deleted(engine, api, namespace)
    a_search_that_fails(engine)
    somebody_elses(engine, api, namespace)
    what_cannot_be_fetched(engine, api, namespace)
    assert not book.refused
    lease(kube, namespace)
    assert not book.refused
    found = list(examine(kube, Served((namespace,), IMAGE, own_namespace=namespace)))
    assert not [each for each in found if each.topic == "access" and each.verdict == "wrong"]
    optional = single(lambda each: each.optional)
    assert {each for each, _ in book.refused} == {QUOTAS} | optional
    assert book.called - {QUOTAS, REVIEWS} == single(lambda _: True) - OTHER_KIND


def a_life_that_goes_well(engine: KatibEngine, api: Api, namespace: str) -> None:
    wanted = a_training(name="well", **fetched(), resume_policy="LongRunning")
    assert engine.check(wanted) == ()
    # A volume that is there already, as after a crash between two writes.
    record = a_record(wanted)
    volume = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "well", "namespace": namespace, "annotations": {UID: record.uid}}
    api.create(CLAIMS, {"metadata": metadata, "spec": volume})
    engine.save(record)
    engine.attach("well", Thread(channel="C1", ts="1.000001"))
    engine.submit("well")
    over = until(engine, "well", is_over)
    assert over.status.count(TrialCondition.SUCCEEDED) == 3
    engine.mark_told("well", Told(started=True, ended=True, ends=1))
    assert [each.name for each in engine.find(Query(text="well"))] == ["well"]
    engine.extend("well", 3, "U1")
    over = until(engine, "well", lambda e: is_over(e) and len(e.status.trials) == 4)
    engine.mark_told("well", Told(started=True, ended=True, ends=2))


def a_life_with_a_retry(engine: KatibEngine) -> None:
    wanted = a_training(
        name="mixed", max_trial_count=3, max_failed_trial_count=3, known_good_trial=False
    )
    start(engine, wanted)
    failed = until(engine, "mixed", lambda e: e.status.count(TrialCondition.FAILED) > 0)
    engine.set_parallel("mixed", 2, "U1")
    first = next(t for t in failed.status.trials if t.condition == TrialCondition.FAILED)
    engine.retry_trial("mixed", first.name, "U1")
    until(engine, "mixed", is_over)


def a_life_that_is_stopped(engine: KatibEngine, api: Api, namespace: str) -> None:
    start(engine, a_training(name="endless", **fetched()))
    running = until(engine, "endless", has_running)
    trial = next(t for t in running.status.trials if t.condition == TrialCondition.RUNNING)
    assert "eval_accuracy" in engine.logs("endless", trial.name)
    engine.stop("endless", "U1")
    wait_until(lambda: api.find(CLAIMS, namespace, "endless") is None, "the volume's end")


def a_life_that_is_deleted(engine: KatibEngine, api: Api, namespace: str) -> None:
    start(engine, a_training(name="endless-deleted", known_good_trial=False))
    until(engine, "endless-deleted", has_running)
    api.delete(EXPERIMENTS, namespace, "endless-deleted")
    assert until(engine, "endless-deleted", is_over).status.reason == "Deleted"


def what_cannot_be_fetched(engine: KatibEngine, api: Api, namespace: str) -> None:
    start(engine, a_training(name="unfetched", **fetched()))
    once = {"spec": {"backoffLimit": 0}}  # Kubernetes would take half a minute for three tries
    api.patch(JOBS, namespace, "unfetched-fetch", once)
    over = until(engine, "unfetched", is_over)
    assert over.status.condition == ExperimentCondition.FAILED


def a_search_that_fails(engine: KatibEngine) -> None:
    wanted = a_training(name="searchless", algorithm_name="random", known_good_trial=False)
    # Read from a record, as what an older bot wrote: asked for now, it would be refused.
    wrong = wanted.model_copy(update={"algorithm_settings": {"random_state": "-1"}})
    engine.save(a_record(wanted).model_copy(update={"spec": wrong}))
    engine.submit("searchless")
    until(engine, "searchless", lambda e: "random_state" in e.status.message)


def somebody_elses(engine: KatibEngine, api: Api, namespace: str) -> None:
    body = experiment(namespace, trial=pytorchjob(workers=1))
    body["metadata"]["name"] = "others"
    create(api, body)
    assert engine.adopt("others", "C1", "U1", "ann").record.channel == "C1"
    until(engine, "others", is_over)


def lease(kube: Witness, namespace: str) -> None:
    leases = KubeLease(kube, namespace)
    assert leases.read() is None
    held = leases.create(LeaseSpec(holder_identity="a"))
    assert leases.replace(held).spec.holder_identity == "a"


def single(holds: Callable[[Any], bool]) -> set[Single]:
    """The table's lines of which something holds."""
    return {
        (each.group, each.rule, verb) for each in PERMISSIONS if holds(each) for verb in each.verbs
    }
