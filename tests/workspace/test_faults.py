"""Faults on demand: which comes when, and what they do to calls."""

from __future__ import annotations

from typing import Any

import pytest

from bot.workspace.faults import KINDS, Fault, Faults


def test_a_fault_comes_as_often_as_it_says() -> None:
    faults = Faults()
    faults.add(Fault("slow", times=2))
    assert [faults.take("slow", "auth.test") is not None for _ in range(3)] == [True, True, False]


def test_a_fault_without_times_comes_until_it_is_cleared() -> None:
    faults = Faults()
    faults.add(Fault("drop_ack", times=None))
    assert all(faults.take("drop_ack", "interactive") for _ in range(5))
    assert faults.active() == (Fault("drop_ack", times=None),)
    faults.clear()
    assert faults.take("drop_ack", "interactive") is None


def test_faults_come_in_their_order_and_say_how_often_they_are_left() -> None:
    faults = Faults()
    faults.add(Fault("slow", seconds=1, times=2))
    faults.add(Fault("slow", seconds=2))
    assert faults.take("slow") == Fault("slow", seconds=1, times=2)
    assert faults.active() == (Fault("slow", seconds=1), Fault("slow", seconds=2))


@pytest.mark.parametrize(
    ("kind", "on", "app"),
    [
        ("slow", "chat.postMessage", "A0ONE"),
        ("error", "chat.update", "A0ONE"),
        ("error", "chat.postMessage", "A0TWO"),
    ],
)
def test_another_kind_method_or_app_does_not_meet_it(kind: str, on: str, app: str) -> None:
    faults = Faults()
    faults.add(Fault("error", on="chat.postMessage", app="A0ONE"))
    assert faults.take(kind, on, app) is None
    assert faults.take("error", "chat.postMessage", "A0ONE") is not None


def test_an_unknown_kind_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no fault 'gremlin'") as refused:
        Fault("gremlin")
    assert all(kind in str(refused.value) for kind in KINDS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "drop_ack", "on": "chat.postMessage"},
        {"kind": "slow", "times": 0},
        {"kind": "slow", "seconds": -1},
    ],
)
def test_a_fault_that_nothing_meets_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|is on one of"):
        Fault(**wrong)
