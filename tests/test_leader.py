"""One of several candidates leads, and never two, whatever clocks and calls do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import EngineError
from bot.leader import Leader, Lease, LeaseSpec, Term, decide, held, released

NOW = datetime(2026, 11, 24, 13, 20, 16, 250, tzinfo=UTC)
TERM = Term()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """One Lease with its resourceVersion, as the API server keeps it (tests/cluster proves it)."""

    def __init__(self) -> None:
        self.lease: Lease | None = None
        self.version = 0

    def store(self, spec: LeaseSpec) -> Lease:
        self.version += 1
        self.lease = Lease({"name": "bot", "resourceVersion": str(self.version)}, spec)
        return self.lease


class Line:
    """One candidate's line to the server, which can be cut, or lose the answers."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self.server, self.clock = server, clock
        self.is_cut = False
        self.loses_answers = False
        self.answer_takes_s = 0.0

    def read(self) -> Lease | None:
        self._reach()
        lease = self.server.lease
        self.clock.now += self.answer_takes_s
        return lease

    def create(self, spec: LeaseSpec) -> Lease:
        self._reach()
        if self.server.lease is not None:
            raise EngineError("It exists already.")
        return self._answered(self.server.store(spec))

    def replace(self, lease: Lease) -> Lease:
        self._reach()
        held_now = self.server.lease
        if held_now is None or held_now.metadata != lease.metadata:
            raise EngineError("The object has been modified.")
        return self._answered(self.server.store(lease.spec))

    def _reach(self) -> None:
        if self.is_cut:
            raise EngineError("The API server cannot be reached.")

    def _answered(self, lease: Lease) -> Lease:
        self.clock.now += self.answer_takes_s
        if self.loses_answers:
            raise EngineError("The answer got lost.")
        return lease


class Candidate:
    def __init__(self, name: str, server: Server, clock: Clock) -> None:
        self.line = Line(server, clock)
        self.gained = 0
        self.leader = Leader(
            self.line, identity=name, gained=self._gain, clock=clock, now=lambda: NOW,
            jitter=lambda: 0.0,
        )  # fmt: skip

    def _gain(self) -> None:
        assert not self.leader.is_leader(), "what is old must be forgotten before leading"
        self.gained += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def a(server: Server, clock: Clock) -> Candidate:
    return Candidate("a", server, clock)


@pytest.fixture
def b(server: Server, clock: Clock) -> Candidate:
    return Candidate("b", server, clock)


def lease(holder: str | None, duration: int | None = 15) -> Lease:
    return Lease({}, LeaseSpec(holder_identity=holder, lease_duration_seconds=duration))


@pytest.mark.parametrize(
    ("found", "unchanged_s", "step"),
    [
        (None, 0, "create"),
        (lease("me"), 0, "renew"),
        (lease("me"), 100, "renew"),
        (lease(""), 0, "take"),
        (lease(None), 0, "take"),
        (lease("other"), 15, "wait"),
        (lease("other"), 15.1, "take"),
        (lease("other", 40), 39, "wait"),
        (lease("other", None), 15, "wait"),
        (lease("other", None), 16, "take"),
    ],
)
def test_a_candidate_waits_only_for_another_whose_lease_has_not_run_out(
    found: Lease | None, unchanged_s: float, step: str
) -> None:
    assert decide(found, "me", unchanged_s, TERM) == step


def test_renewing_keeps_the_time_of_taking_and_taking_counts_a_transition() -> None:
    taken = held(LeaseSpec(holder_identity="other", lease_transitions=3), "me", NOW, TERM)
    assert taken == LeaseSpec(
        "me", 15, "2026-11-24T13:20:16.000250Z", "2026-11-24T13:20:16.000250Z", 4
    )
    later = datetime(2026, 11, 24, 13, 20, 21, tzinfo=UTC)
    renewed = held(taken, "me", later, TERM)
    assert (renewed.acquire_time, renewed.lease_transitions) == (taken.acquire_time, 4)
    assert renewed.renew_time == "2026-11-24T13:20:21.000000Z"
    assert released(renewed).holder_identity == ""


def test_times_that_allow_two_leaders_are_refused() -> None:
    with pytest.raises(ValueError, match="renew_deadline_s"):
        Term(lease_s=10, renew_deadline_s=10)


def test_the_first_leads_and_the_second_waits(a: Candidate, b: Candidate) -> None:
    assert not a.leader.is_leader()
    assert a.leader.step() == TERM.renew_s
    assert b.leader.step() == TERM.retry_s
    assert (a.leader.is_leader(), b.leader.is_leader()) == (True, False)
    assert (a.gained, b.gained) == (1, 0)


def test_a_leader_that_renews_leads_on_and_gains_nothing_anew(
    a: Candidate, b: Candidate, clock: Clock
) -> None:
    for _ in range(20):
        a.leader.step()
        b.leader.step()
        assert (a.leader.is_leader(), b.leader.is_leader()) == (True, False)
        clock.now += TERM.renew_s
    assert a.gained == 1


def test_a_leader_that_cannot_renew_stops_before_another_may_start(
    a: Candidate, b: Candidate, clock: Clock
) -> None:
    a.leader.step()
    b.leader.step()
    a.line.is_cut = True
    clock.now += TERM.renew_deadline_s
    a.leader.step()
    b.leader.step()
    assert (a.leader.is_leader(), b.leader.is_leader()) == (False, False)
    clock.now += TERM.lease_s - TERM.renew_deadline_s + 0.1
    b.leader.step()
    assert (a.leader.is_leader(), b.leader.is_leader()) == (False, True)
    a.line.is_cut = False
    a.leader.step()
    assert (a.leader.is_leader(), b.leader.is_leader()) == (False, True)


def test_a_leader_that_was_cut_off_for_a_while_forgets_what_it_remembered(
    a: Candidate, clock: Clock
) -> None:
    a.leader.step()
    clock.now += TERM.renew_deadline_s
    a.leader.step()
    assert a.leader.is_leader()
    assert a.gained == 2


def test_a_write_that_took_long_counts_from_when_it_was_sent(a: Candidate, clock: Clock) -> None:
    a.line.answer_takes_s = 6.0  # read until 6, written at 6, answered at 12
    a.leader.step()
    assert a.leader.is_leader()
    clock.now += 4.0
    assert not a.leader.is_leader()


def test_what_was_read_late_is_counted_from_then(a: Candidate, b: Candidate, clock: Clock) -> None:
    a.leader.step()
    b.line.answer_takes_s = 14.0
    b.leader.step()
    b.line.answer_takes_s = 0.0
    clock.now += 2.0
    b.leader.step()
    assert not b.leader.is_leader()


def test_a_take_over_whose_answer_got_lost_is_found_at_the_next_look(
    a: Candidate, b: Candidate
) -> None:
    a.line.loses_answers = True
    a.leader.step()
    assert not a.leader.is_leader()
    b.leader.step()
    assert not b.leader.is_leader()
    a.line.loses_answers = False
    a.leader.step()
    assert a.leader.is_leader()


def test_who_closes_lets_the_next_one_in_at_once_and_comes_back_no_more(
    a: Candidate, b: Candidate
) -> None:
    a.leader.step()
    b.leader.step()
    a.leader.close()
    assert not a.leader.is_leader()
    a.leader.step()
    b.leader.step()
    assert (a.leader.is_leader(), b.leader.is_leader()) == (False, True)


def test_who_closes_without_holding_the_lease_leaves_it_alone(
    a: Candidate, b: Candidate, server: Server
) -> None:
    a.leader.step()
    b.leader.step()
    b.leader.close()
    assert server.lease is not None
    assert server.lease.spec.holder_identity == "a"


def test_who_closes_without_a_line_leads_no_more(a: Candidate) -> None:
    a.leader.step()
    a.line.is_cut = True
    a.leader.close()
    assert not a.leader.is_leader()


def test_two_looks_of_one_moment_do_not_both_take(a: Candidate, b: Candidate, clock: Clock) -> None:
    gone = Candidate("gone", a.line.server, clock)
    gone.leader.step()
    a.leader.step()
    b.leader.step()
    clock.now += TERM.lease_s + 1
    read_by_b = b.line.read()
    a.leader.step()
    assert read_by_b is not None
    with pytest.raises(EngineError, match="modified"):
        b.line.replace(read_by_b)
    b.leader.step()
    assert (a.leader.is_leader(), b.leader.is_leader()) == (True, False)


acts = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 2), st.just(0.0)),
    st.tuples(st.just("pass"), st.just(0), st.floats(0, 20)),
    st.tuples(st.sampled_from(["cut", "lose"]), st.integers(0, 2), st.just(0.0)),
    st.tuples(st.just("slow"), st.integers(0, 2), st.floats(0, 12)),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(acts, max_size=80))
def test_never_do_two_lead_at_once(done: list[tuple[str, int, float]]) -> None:
    clock, server = Clock(), Server()
    candidates = [Candidate(name, server, clock) for name in "abc"]
    for act, index, seconds in done:
        line = candidates[index].line
        match act:
            case "step":
                candidates[index].leader.step()
            case "pass":
                clock.now += seconds
            case "cut":
                line.is_cut = not line.is_cut
            case "lose":
                line.loses_answers = not line.loses_answers
            case "slow":
                line.answer_takes_s = seconds
        assert sum(each.leader.is_leader() for each in candidates) <= 1
