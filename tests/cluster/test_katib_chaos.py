"""A bot that dies at its writes, each time replaced by a new one: whatever it was at is done as if
nothing had been, once, and nothing is lost.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bot.engines.katib import KatibEngine
from bot.engines.katib_places import Place, Places
from bot.status import Experiment, ExperimentCondition, Record, Thread, Told, TrialCondition
from tests.cluster.api import Api
from tests.cluster.bodies import experiment, pytorchjob
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.recordings import Line, PodFacts, Recording
from tests.cluster.resources import CLAIMS, EXPERIMENTS, JOBS, NAMESPACES, PYTORCHJOBS
from tests.cluster.run import Controllers
from tests.cluster.test_katib_engine import a_training, fetched, play_training
from tests.cluster.waiting import until
from tests.cluster.witness import Seen, Witness
from tests.engines.contract import a_record, has_running, is_over

pytestmark = pytest.mark.cluster

LIFE_S = 50.0
LOOK_S = 0.05
LAST_DEATH = 12  # an object written more often than that is let through
THREAD = Thread(channel="C1", ts="1.000001")
TOLD = Told(started=True, ended=True, ends=1)
HASTE = 20  # how much faster the engines' clock runs: they look at their own jobs now and then
BEGUN = datetime.now(UTC)
BEFORE, AFTER = "before", "after"


def hasty() -> datetime:
    return BEGUN + HASTE * (datetime.now(UTC) - BEGUN)


class Crash(BaseException):
    """The bot's process dies here; nothing in it can catch that."""


@dataclass
class Deaths:
    """Dies at every other write of each object, before the call or when it was answered.

    `phase` says whether at the first and third (1) or the second and fourth (0); None: never.
    """

    phase: int | None = None
    when: str = BEFORE
    made: Counter[str] = field(default_factory=Counter)
    writes: list[str] = field(default_factory=list)
    tried: Counter[str] = field(default_factory=Counter)
    died_at: list[str] = field(default_factory=list)

    def saw(self, seen: Seen) -> None:
        if not seen.is_write:
            return
        write = f"{seen.call.verb} {seen.call.plural}"
        key = f"{seen.call.verb} {seen.call.path}"
        if not seen.status:
            self.writes.append(write)
            self.tried[key] += 1
        elif seen.made:
            self.made[seen.call.plural] += 1
        is_time = bool(seen.status) == (self.when == AFTER)
        if is_time and self.tried[key] % 2 == self.phase and self.tried[key] <= LAST_DEATH:
            self.died_at.append(write)
            raise Crash


class Bed:
    """A namespace in which bots die."""

    def __init__(self, kubeconfig: str, api: Api, standins: Controllers, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self._kubeconfig = kubeconfig
        self._standins = standins

    def play(self, choose: Callable[[PodFacts], Recording]) -> None:
        self._standins.node.play(self.namespace, choose)

    def bots(self, deaths: Deaths, work: Callable[[KatibEngine], Experiment]) -> Experiment:
        """What comes of a work at which one bot after the other dies."""
        while True:
            engine = KatibEngine(
                Places(Place(self.namespace)),
                trainer_image="registry.example/trainer:1.0",
                connect=lambda _: Witness(self._kubeconfig, deaths.saw),
                now=hasty,
            )
            try:
                return work(engine)
            except Crash:
                continue
            finally:
                engine.close()

    def left(self, name: str) -> list[str]:
        """What is there of an Experiment."""
        return [
            f"{kind.kind} {each['metadata']['name']}"
            for kind in (EXPERIMENTS, CLAIMS, JOBS, PYTORCHJOBS)
            for each in self.api.list(kind, self.namespace)
            if each["metadata"]["name"].startswith(name)
        ]


@contextmanager
def a_bed(kubeconfig: str, api: Api, standins: Controllers) -> Iterator[Bed]:
    name = f"chaos-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name, "labels": {INJECTION_LABEL: "enabled"}}})
    yield Bed(kubeconfig, api, standins, name)
    for each in api.list(EXPERIMENTS, name):
        api.delete(EXPERIMENTS, name, each["metadata"]["name"])
    api.delete(NAMESPACES, "", name)


# --- what a bot does from wherever the one before it was ------------------------------------------


def begun(engine: KatibEngine, record: Record) -> None:
    engine.save(record)
    engine.attach(record.name, THREAD)
    engine.submit(record.name)


def followed(
    engine: KatibEngine, name: str, holds: Callable[[Experiment], bool] = is_over
) -> Experiment:
    """Polls until something holds, or until it is told already."""
    give_up = time.monotonic() + LIFE_S
    while shown := {each.name: each for each in engine.poll()}.get(name):
        if holds(shown):
            return shown
        assert time.monotonic() < give_up, shown.status
        time.sleep(LOOK_S)
    return engine.get(name)


def told(engine: KatibEngine, name: str) -> Experiment:
    followed(engine, name)
    engine.mark_told(name, TOLD)
    return engine.get(name)


# --- lives ----------------------------------------------------------------------------------------


def a_whole_life(bed: Bed, deaths: Deaths) -> None:
    bed.play(play_training)
    record = a_record(a_training(**fetched()))

    def live(engine: KatibEngine) -> Experiment:
        begun(engine, record)
        return told(engine, record.name)

    over = bed.bots(deaths, live)
    status = over.status
    assert (status.condition, status.reason) == (
        ExperimentCondition.SUCCEEDED, "ExperimentMaxTrialsReached",
    )  # fmt: skip
    assert [t.condition for t in status.trials] == [TrialCondition.SUCCEEDED] * 3
    assert [t.observation["eval_accuracy"].max for t in status.trials] == [0.75] * 3
    assert status.optimal_trial_name == f"{over.name}-baseline"
    assert (over.record.told, over.record.thread) == (TOLD, THREAD)
    assert deaths.made == {
        "configmaps": 1, "persistentvolumeclaims": 1, "jobs": 1, "experiments": 1,
        "pytorchjobs": 1,
    }  # fmt: skip
    made = bed.api.get(EXPERIMENTS, bed.namespace, over.name)
    [owner] = bed.api.get(CLAIMS, bed.namespace, over.name)["metadata"]["ownerReferences"]
    assert owner["uid"] == made["metadata"]["uid"]
    assert bed.api.find(JOBS, bed.namespace, f"{over.name}-fetch") is None


def a_stopped_life(bed: Bed, deaths: Deaths) -> None:
    def choose(facts: PodFacts) -> Recording:
        is_fetch = "-fetch-" in facts.name
        return Recording((Line("eval_accuracy=0.5"),), never_ends=not is_fetch)

    bed.play(choose)
    record = a_record(a_training(**fetched()))

    def start(engine: KatibEngine) -> Experiment:
        begun(engine, record)
        return followed(engine, record.name, has_running)

    def stop(engine: KatibEngine) -> Experiment:
        if not is_over(engine.get(record.name)):
            engine.stop(record.name, "U1")
        return told(engine, record.name)

    bed.bots(Deaths(), start)
    over = bed.bots(deaths, stop)
    assert (over.status.condition, over.status.reason) == (
        ExperimentCondition.KILLED, "StoppedByUser",
    )  # fmt: skip
    until(lambda: not bed.left(record.name), f"the end of {bed.left(record.name)}")


def an_extended_life(bed: Bed, deaths: Deaths) -> None:
    bed.play(play_training)
    wanted = a_training(max_trial_count=1, known_good_trial=False, resume_policy="LongRunning")
    record = a_record(wanted)

    def live(engine: KatibEngine) -> Experiment:
        begun(engine, record)
        return told(engine, record.name)

    def extend(engine: KatibEngine) -> Experiment:
        if engine.get(record.name).spec.max_trial_count == 1:
            engine.extend(record.name, 2, "U1")
        return told(engine, record.name)

    bed.bots(Deaths(), live)
    over = bed.bots(deaths, extend)
    assert over.status.condition == ExperimentCondition.SUCCEEDED
    assert [t.condition for t in over.status.trials] == [TrialCondition.SUCCEEDED] * 2


def an_adopted_life(bed: Bed, deaths: Deaths) -> None:
    bed.api.create(EXPERIMENTS, experiment(bed.namespace, trial=pytorchjob(), maxTrialCount=2))

    def adopt(engine: KatibEngine) -> Experiment:
        engine.adopt("tune", "C1", "U1", "ann")
        return told(engine, "tune")

    over = bed.bots(deaths, adopt)
    assert over.status.condition == ExperimentCondition.SUCCEEDED
    assert over.status.count(TrialCondition.SUCCEEDED) == 2


def a_life_without_its_data(bed: Bed, deaths: Deaths) -> None:
    bed.play(lambda facts: Recording((Line("error: There is no model."),), exit_code=4))
    record = a_record(a_training(**fetched()))

    def live(engine: KatibEngine) -> Experiment:
        begun(engine, record)
        if fetch := bed.api.find(JOBS, bed.namespace, f"{record.name}-fetch"):
            once = {"spec": {"backoffLimit": 0}}  # three tries would take half a minute
            bed.api.patch(JOBS, bed.namespace, fetch["metadata"]["name"], once)
        return told(engine, record.name)

    over = bed.bots(deaths, live)
    assert (over.status.condition, over.status.trials) == (ExperimentCondition.FAILED, ())
    assert "could not be fetched" in over.status.message
    assert deaths.made == {"configmaps": 1, "persistentvolumeclaims": 1, "jobs": 1}
    until(lambda: not bed.left(record.name), f"the end of {bed.left(record.name)}")


@pytest.mark.parametrize(
    "life",
    [a_whole_life, a_stopped_life, an_extended_life, an_adopted_life, a_life_without_its_data],
)
def test_whatever_write_a_bot_dies_at_the_next_one_goes_on(
    kubeconfig: str, api: Api, standins: Controllers, life: Callable[[Bed, Deaths], None]
) -> None:
    def lived(deaths: Deaths) -> Deaths:
        with a_bed(kubeconfig, api, standins) as bed:
            life(bed, deaths)
        return deaths

    chains = [Deaths(phase, when) for when in (BEFORE, AFTER) for phase in (0, 1)]
    with ThreadPoolExecutor(len(chains) + 1) as at_once:
        undisturbed, *disturbed = at_once.map(lived, (Deaths(), *chains))
    for when in (BEFORE, AFTER):
        died_at = {each for deaths in disturbed if deaths.when == when for each in deaths.died_at}
        assert died_at >= set(undisturbed.writes), when


# --- names that are taken -------------------------------------------------------------------------


@pytest.fixture
def bed(kubeconfig: str, api: Api, standins: Controllers) -> Iterator[Bed]:
    with a_bed(kubeconfig, api, standins) as made:
        made.play(play_training)
        yield made


def lived(bed: Bed, record: Record) -> Experiment:
    def live(engine: KatibEngine) -> Experiment:
        begun(engine, record)
        return told(engine, record.name)

    return bed.bots(Deaths(), live)


def test_a_volume_of_somebody_else_is_neither_used_nor_deleted(bed: Bed) -> None:
    record = a_record(a_training(**fetched()))
    theirs = {
        "metadata": {"name": record.name, "namespace": bed.namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    uid = bed.api.create(CLAIMS, theirs)["metadata"]["uid"]
    status = lived(bed, record).status
    assert status.condition == ExperimentCondition.FAILED
    assert f"PersistentVolumeClaim `{record.name}`" in status.message
    assert "somebody else's" in status.message
    assert bed.left(record.name) == [f"PersistentVolumeClaim {record.name}"]
    assert bed.api.get(CLAIMS, bed.namespace, record.name)["metadata"]["uid"] == uid


def test_a_trial_0_that_cannot_be_made_has_failed_and_the_search_goes_on(bed: Bed) -> None:
    record = a_record(a_training())
    name = f"{record.name}-baseline"
    theirs = {**pytorchjob(workers=0), "metadata": {"name": name, "namespace": bed.namespace}}
    bed.api.create(PYTORCHJOBS, theirs)
    status = lived(bed, record).status
    assert status.condition == ExperimentCondition.SUCCEEDED
    zero, *others = status.trials
    assert (zero.condition, zero.reason) == (TrialCondition.FAILED, "Refused")
    assert "somebody else's" in zero.message
    assert [trial.condition for trial in others] == [TrialCondition.SUCCEEDED] * 2
    assert bed.api.find(PYTORCHJOBS, bed.namespace, name)
