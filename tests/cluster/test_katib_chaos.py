"""A bot that dies at any of its writes, and a new one that takes over: the Experiment ends as if
nothing had been; and an API server that fails for a while.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from bot.engines.katib import KatibEngine
from bot.engines.katib_places import Place, Places
from bot.status import Experiment, ExperimentCondition, Thread, Told, TrialCondition
from tests.cluster.api import Api
from tests.cluster.katib_refusals import INJECTION_LABEL
from tests.cluster.resources import CLAIMS, EXPERIMENTS, JOBS, NAMESPACES
from tests.cluster.run import Controllers
from tests.cluster.test_katib_engine import a_training, fetched, play_training
from tests.cluster.witness import Seen, Witness
from tests.engines.contract import a_record, is_over

pytestmark = pytest.mark.cluster

LIFE_S = 50.0
LOOK_S = 0.05
LIVES_AT_ONCE = 16
THREAD = Thread(channel="C1", ts="1.000001")
TOLD = Told(started=True, ended=True, ends=1)
HASTE = 20  # how much faster the engines' clock runs: they look at their own jobs now and then
BEFORE, AFTER = "before", "after"
BEGUN = datetime.now(UTC)


def hasty() -> datetime:
    return BEGUN + HASTE * (datetime.now(UTC) - BEGUN)


class Crash(BaseException):
    """The bot's process dies here; nothing in it can catch that."""


@dataclass
class Death:
    """Dies once, at its n-th write (0: never), before the call or when it was answered."""

    at: int = 0
    when: str = BEFORE
    made: Counter[str] = field(default_factory=Counter)
    writes: list[str] = field(default_factory=list)
    died_at: str = ""

    def saw(self, seen: Seen) -> None:
        if not seen.is_write:
            return
        write = f"{seen.call.verb} {seen.call.plural}"
        if not seen.status:
            self.writes.append(write)
        elif seen.made:
            self.made[seen.call.plural] += 1
        is_time = bool(seen.status) == (self.when == AFTER)
        if is_time and not self.died_at and len(self.writes) == self.at:
            self.died_at = write
            raise Crash


class Life:
    """One Experiment from its record to what was told of it, by as many engines as it takes."""

    def __init__(self, kubeconfig: str, namespace: str, death: Death) -> None:
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._death = death
        self.record = a_record(a_training(**fetched())).model_copy(update={"channel": "C1"})

    def live(self) -> Experiment:
        """The Experiment when all is told."""
        while True:
            engine = KatibEngine(
                Places(Place(self._namespace)),
                trainer_image="registry.example/trainer:1.0",
                connect=lambda _: Witness(self._kubeconfig, self._death.saw),
                now=hasty,
            )
            try:
                return self._go_on(engine)
            except Crash:
                continue
            finally:
                engine.close()

    def _go_on(self, engine: KatibEngine) -> Experiment:
        """What the bot does from wherever it was."""
        name = self.record.name
        engine.save(self.record)
        engine.attach(name, THREAD)
        engine.submit(name)
        give_up = time.monotonic() + LIFE_S
        while True:
            shown = {each.name: each for each in engine.poll()}.get(name)
            if shown is None or is_over(shown):
                break
            assert time.monotonic() < give_up, shown.status
            time.sleep(LOOK_S)
        engine.mark_told(name, TOLD)
        return engine.get(name)


@contextmanager
def a_namespace(api: Api) -> Iterator[str]:
    name = f"chaos-{uuid.uuid4().hex[:8]}"
    api.create(NAMESPACES, {"metadata": {"name": name, "labels": {INJECTION_LABEL: "enabled"}}})
    yield name
    for each in api.list(EXPERIMENTS, name):
        api.delete(EXPERIMENTS, name, each["metadata"]["name"])
    api.delete(NAMESPACES, "", name)


def lived(kubeconfig: str, api: Api, standins: Controllers, death: Death) -> Death:
    """A life in a namespace of its own, which ends as it should whenever somebody dies."""
    with a_namespace(api) as namespace:
        standins.node.play(namespace, play_training)
        life = Life(kubeconfig, namespace, death)
        over = life.live()
        where = death.died_at, death.when, death.writes
        status = over.status
        assert (status.condition, status.reason) == (
            ExperimentCondition.SUCCEEDED, "ExperimentMaxTrialsReached",
        ), where  # fmt: skip
        assert [t.condition for t in status.trials] == [TrialCondition.SUCCEEDED] * 3, where
        assert [t.observation["eval_accuracy"].max for t in status.trials] == [0.75] * 3, where
        assert status.optimal_trial_name == f"{over.name}-baseline", where
        assert over.record.told == TOLD and over.record.thread == THREAD, where
        assert death.made == {
            "configmaps": 1, "persistentvolumeclaims": 1, "jobs": 1, "experiments": 1,
            "pytorchjobs": 1,
        }, where  # fmt: skip
        made = api.get(EXPERIMENTS, namespace, over.name)
        [owner] = api.get(CLAIMS, namespace, over.name)["metadata"]["ownerReferences"]
        assert owner["uid"] == made["metadata"]["uid"], where
        assert api.find(JOBS, namespace, f"{over.name}-fetch") is None, where
    return death


def test_a_bot_that_dies_at_a_write_is_replaced_and_nothing_is_lost_or_made_twice(
    kubeconfig: str, api: Api, standins: Controllers
) -> None:
    undisturbed = lived(kubeconfig, api, standins, Death())
    times = range(1, len(undisturbed.writes) + 1)
    deaths = [Death(at, when) for at in times for when in (BEFORE, AFTER)]
    with ThreadPoolExecutor(LIVES_AT_ONCE) as lives:
        over = list(lives.map(lambda death: lived(kubeconfig, api, standins, death), deaths))
    for when in (BEFORE, AFTER):
        died_at = {death.died_at for death in over if death.when == when}
        assert died_at - {""} == set(undisturbed.writes), when
