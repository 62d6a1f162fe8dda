"""What processes tell each other, through a real store in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from queue import Queue

import pytest

from trainer import peers
from trainer.errors import TrialError

DIVERGED = TrialError("Diverged", "The loss became nan.")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """What torchrun says to rank 0 of two, with the store that it keeps."""
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, None, True, timedelta(seconds=5), wait_for_workers=False)
    yield {
        **{"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
        **{"LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)},
    }


def test_one_process_is_alone_also_in_a_pod_of_a_pytorchjob(environment: dict[str, str]) -> None:
    assert peers.find({}).world_size == 1
    assert peers.find({**environment, "WORLD_SIZE": "1"}).world_size == 1
    without_torchrun = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "tune-master-0"}
    assert peers.find(without_torchrun).world_size == 1
    assert peers.find(environment).world_size == 2


def test_the_first_failure_is_everybodys(environment: dict[str, str]) -> None:
    first = peers.find({**environment, "RANK": "1", "LOCAL_RANK": "1"})
    second = peers.find(environment)
    heard: Queue[TrialError] = Queue()
    second.watch(heard.put)
    assert first.agree(DIVERGED) is not None
    later = second.agree(TrialError("BadParameter", "Something else."))
    assert (later.reason, later.message) == ("Diverged", "The loss became nan.")
    assert heard.get(timeout=10).reason == "Diverged"


def test_a_lost_connection_gives_way_to_its_cause(environment: dict[str, str]) -> None:
    lost = TrialError(
        "CodeError", "RuntimeError: [gloo/transport/tcp/pair.cc:537] Connection closed"
    )
    assert peers.is_lost_connection(lost)
    assert not peers.is_lost_connection(DIVERGED)
    peers.find(environment).agree(DIVERGED)
    assert peers.find(environment).agree(lost).reason == "Diverged"


def test_without_a_store_a_failure_is_a_process_own(environment: dict[str, str]) -> None:
    gone = peers.find({**environment, "MASTER_PORT": "1"})
    assert gone.agree(DIVERGED) is DIVERGED
    gone.wait_until_told()


def test_no_thread_watches_on_after_the_work(environment: dict[str, str]) -> None:
    watching = peers.find(environment)
    watching.watch(lambda failure: None)
    assert "peers" in [thread.name for thread in threading.enumerate()]
    assert watching.unwatch()
    assert "peers" not in [thread.name for thread in threading.enumerate()]
