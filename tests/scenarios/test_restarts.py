"""kill -9 in the middle: nothing lost, nothing run twice, nothing told twice."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from bot.engines.local import LocalEngine
from bot.engines.local_wire import read_address
from tests.scenarios.conftest import Bot, shown


def trials_of(bot: Bot, name: str) -> list[int]:
    experiment = LocalEngine(bot.state, allow_code=True, start=False).get(name)
    return [trial.number for trial in experiment.status.trials]


def assert_told_once(bot: Bot, name: str) -> None:
    twice = [key for key, times in Counter(bot.keys(name)).items() if times > 1]
    assert twice == []


def test_a_bot_that_slept_over_the_finish_line_tells_the_end_once(bot: Bot) -> None:
    bot.ephemeral(bot.line("asleep", "trials=4", waiting=True))
    bot.wait_for("asleep", "started")
    bot.kill()
    bot.open_gate()
    bot.start()
    assert bot.wait_for("asleep", "ended")[-1] == "ended"
    assert_told_once(bot, "asleep")
    assert sorted(trials_of(bot, "asleep")) == [0, 1, 2, 3]


def test_a_bot_killed_again_and_again_tells_nothing_twice(bot: Bot) -> None:
    bot.ephemeral(bot.line("often", "trials=3", waiting=True))
    for _ in range(3):
        bot.wait_for("often", "started")
        bot.kill()
        bot.start()
    bot.open_gate()
    bot.wait_for("often", "ended")
    assert_told_once(bot, "often")


def test_an_engine_killed_in_the_middle_is_started_again_and_no_trial_runs_twice(bot: Bot) -> None:
    bot.ephemeral(bot.line("engine", "trials=4", waiting=True))
    bot.wait_for("engine", "started")
    address = read_address(bot.state)
    assert address is not None
    os.kill(address.pid, signal.SIGKILL)
    bot.open_gate()
    bot.wait_for("engine", "ended")
    assert_told_once(bot, "engine")
    assert sorted(trials_of(bot, "engine")) == [0, 1, 2, 3]
    assert "Succeeded" in shown(bot.wait_for_card("engine"))


@pytest.mark.parametrize("moment", ["started", "gate"])
def test_both_killed_at_once_and_the_thread_continues(bot: Bot, moment: str) -> None:
    bot.ephemeral(bot.line("both", "trials=4", waiting=True))
    bot.wait_for("both", "started")
    address = read_address(bot.state)
    assert address is not None
    if moment == "gate":
        bot.open_gate()
    os.kill(address.pid, signal.SIGKILL)
    bot.kill()
    bot.open_gate()
    bot.start()
    bot.wait_for("both", "ended")
    assert_told_once(bot, "both")
    assert sorted(trials_of(bot, "both")) == [0, 1, 2, 3]


def test_ctrl_c_stops_everything_and_the_next_start_goes_on(bot: Bot) -> None:
    bot.ephemeral(bot.line("pause", "trials=3", waiting=True))
    bot.wait_for("pause", "started")
    address = read_address(bot.state)
    assert address is not None
    assert bot.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(address.pid, 0)
    bot.start()
    bot.open_gate()
    bot.wait_for("pause", "ended")
    assert_told_once(bot, "pause")
    assert sorted(trials_of(bot, "pause")) == [0, 1, 2]
