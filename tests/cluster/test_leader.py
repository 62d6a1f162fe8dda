"""The Lease on a real API server: one holds it, it is handed over, and never two hold it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bot.engines.katib_lease import PATIENCE, KubeLease
from bot.engines.kube import Kube
from bot.engines.kube_errors import ApiError
from bot.errors import EngineError
from bot.leader import Leader, Lease, LeaseSpec, Term
from tests.cluster.api import Api
from tests.cluster.resources import LEASES
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

SHORT = Term(lease_s=2, renew_deadline_s=1.4, renew_s=0.3, retry_s=0.1)
NAME = "katib-tune"


class Line:
    """A candidate's line to the API server, which can be cut."""

    def __init__(self, leases: KubeLease) -> None:
        self.leases = leases
        self.is_cut = False

    def _line(self) -> KubeLease:
        if self.is_cut:
            raise EngineError("The line is cut.")
        return self.leases

    def read(self) -> Lease | None:
        return self._line().read()

    def create(self, spec: LeaseSpec) -> Lease:
        return self._line().create(spec)

    def replace(self, lease: Lease) -> Lease:
        return self._line().replace(lease)


class Candidate:
    """A leader with a line of its own to the API server."""

    def __init__(self, kubeconfig: str, namespace: str, identity: str, **settings: object) -> None:
        self.line = Line(KubeLease(Kube(kubeconfig=kubeconfig, patience=PATIENCE), namespace))
        self.leader = Leader(self.line, identity=identity, **settings)  # type: ignore[arg-type]


@pytest.fixture
def leases(kubeconfig: str, namespace: str) -> KubeLease:
    return KubeLease(Kube(kubeconfig=kubeconfig, patience=PATIENCE), namespace)


@pytest.fixture
def pair(kubeconfig: str, namespace: str) -> Iterator[tuple[Candidate, Candidate]]:
    """Two candidates with a short Lease, running; the first holds it."""
    a, b = (Candidate(kubeconfig, namespace, name, term=SHORT) for name in "ab")
    with ExitStack() as stack:
        for each in (a, b):
            stack.callback(each.leader.close)
        a.leader.start()
        until(a.leader.is_leader, "a's lead")
        b.leader.start()
        yield a, b


def test_one_of_two_holds_the_lease_and_keeps_it(pair: tuple[Candidate, Candidate]) -> None:
    a, b = pair
    end = time.monotonic() + 2 * SHORT.lease_s
    while time.monotonic() < end:
        assert (a.leader.is_leader(), b.leader.is_leader()) == (True, False)
        time.sleep(0.05)


def test_who_closes_hands_over_before_the_lease_has_run_out(
    pair: tuple[Candidate, Candidate], api: Api, namespace: str
) -> None:
    a, b = pair
    a.leader.close()
    assert not a.leader.is_leader()
    until(b.leader.is_leader, "b's lead", SHORT.lease_s - 0.5)
    spec = api.get(LEASES, namespace, NAME)["spec"]
    assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("b", 2)


def test_who_is_killed_is_followed_after_the_lease_has_run_out(
    pair: tuple[Candidate, Candidate],
) -> None:
    a, b = pair
    a.line.is_cut = True  # it renews no more and gives nothing back, as after kill -9
    cut = time.monotonic()
    until(lambda: not a.leader.is_leader(), "the end of a's lead", SHORT.lease_s)
    assert not b.leader.is_leader()
    until(b.leader.is_leader, "b's lead", 3 * SHORT.lease_s)
    assert time.monotonic() - cut > SHORT.lease_s - SHORT.renew_s
    assert not a.leader.is_leader()


def test_what_others_wrote_on_the_lease_stays(leases: KubeLease, api: Api, namespace: str) -> None:
    leader = Leader(leases, identity="a", jitter=lambda: 0.0)
    leader.step()
    api.patch(LEASES, namespace, NAME, {"metadata": {"labels": {"team": "nlp"}}})
    leader.step()
    assert leader.is_leader()
    held = api.get(LEASES, namespace, NAME)
    assert held["metadata"]["labels"] == {"team": "nlp"}
    assert held["spec"]["renewTime"] > held["spec"]["acquireTime"]


def test_a_lease_that_was_deleted_is_made_again(
    leases: KubeLease, api: Api, namespace: str
) -> None:
    leader = Leader(leases, identity="a")
    leader.step()
    api.delete(LEASES, namespace, NAME)
    leader.step()
    assert api.get(LEASES, namespace, NAME)["spec"]["holderIdentity"] == "a"


def test_a_stale_copy_is_refused_as_a_conflict(leases: KubeLease) -> None:
    old = leases.create(LeaseSpec(holder_identity="a"))
    leases.replace(old)
    later = leases.replace(Lease(leases_now(leases).metadata, LeaseSpec(holder_identity="b")))
    with pytest.raises(ApiError) as refused:
        leases.replace(Lease(old.metadata, LeaseSpec(holder_identity="a")))
    assert refused.value.is_conflict
    with pytest.raises(ApiError) as taken:
        leases.create(LeaseSpec(holder_identity="c"))
    assert taken.value.is_taken
    assert leases.read() == later


def leases_now(leases: KubeLease) -> Lease:
    found = leases.read()
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_never_two_hold_it_at_the_same_time(kubeconfig: str, namespace: str, seed: int) -> None:
    chance = random.Random(seed)
    now = [1000.0]
    candidates = [
        Candidate(kubeconfig, namespace, name, clock=lambda: now[0], jitter=chance.random)
        for name in "abc"
    ]
    reigns: list[str] = []
    for _ in range(200):
        one = chance.choice(candidates)
        act = chance.random()
        if act < 0.5:
            one.leader.step()
        elif act < 0.85:
            now[0] += chance.uniform(0, 12)
        else:
            one.line.is_cut = not one.line.is_cut
        leading = [each.leader.identity for each in candidates if each.leader.is_leader()]
        assert len(leading) <= 1
        reigns += leading if leading != reigns[-1:] else []
    assert len(reigns) > 5, "the steps must make it change hands"
