"""An API server that fails for a while: it is said, nothing is decided, and then it goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.engines.katib import KatibEngine
from bot.engines.katib_places import Place, Places
from bot.engines.kube import Kube
from bot.errors import EngineError
from bot.status import Experiment, ExperimentCondition, TrialCondition
from tests.cluster.api import Api
from tests.cluster.proxy import CUT, Proxy, proxy
from tests.cluster.run import Controllers
from tests.cluster.test_katib_chaos import hasty
from tests.cluster.test_katib_engine import a_training, fetched, play_training
from tests.cluster.waiting import until
from tests.engines.contract import start

pytestmark = pytest.mark.cluster

OUTAGE_S = 1.5


@pytest.fixture
def between(api: Api) -> Iterator[Proxy]:
    with proxy(api) as made:
        yield made


@pytest.fixture
def engine(
    between: Proxy, namespace: str, standins: Controllers, tmp_path: Path
) -> Iterator[KatibEngine]:
    standins.node.play(namespace, play_training)
    kubeconfig = between.kubeconfig(tmp_path)
    engine = KatibEngine(
        Places(Place(namespace)),
        trainer_image="registry.example/trainer:1.0",
        connect=lambda _: Kube(kubeconfig=kubeconfig),
        now=hasty,
    )
    yield engine
    engine.close()


def polled(engine: KatibEngine) -> Experiment | EngineError:
    try:
        [experiment] = engine.poll()
    except EngineError as error:
        return error
    return experiment


@pytest.mark.parametrize("how", [500, 429, 503, CUT])
def test_while_the_api_server_fails_it_is_said_and_afterwards_it_goes_on(
    engine: KatibEngine, between: Proxy, how: int
) -> None:
    name = start(engine, a_training(**fetched()))
    until(lambda: isinstance(polled(engine), Experiment), "the first look")
    between.fail(how)
    said = []
    end = time.monotonic() + OUTAGE_S
    while time.monotonic() < end:
        said.append(polled(engine))
        time.sleep(0.1)
    between.recover()
    noticed = [each for each in said if isinstance(each, EngineError) or each.status.troubles]
    assert noticed, said
    decided = [e for e in said if isinstance(e, Experiment) and e.status.condition.is_final]
    assert not decided

    def over() -> Experiment | None:
        found = polled(engine)
        is_over = isinstance(found, Experiment) and found.status.condition.is_final
        return found if isinstance(found, Experiment) and is_over else None

    status = until(over, f"the end of {name}").status
    assert status.condition == ExperimentCondition.SUCCEEDED
    assert [trial.condition for trial in status.trials] == [TrialCondition.SUCCEEDED] * 3
    assert status.troubles == ()
