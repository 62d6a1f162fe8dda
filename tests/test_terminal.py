"""What a terminal prints of Experiments."""

from __future__ import annotations

from bot import terminal
from bot.status import ExperimentCondition
from tests.experiments import experiment, trial, trouble


def test_what_many_trials_wait_for_is_one_sentence() -> None:
    waiting = [trouble("Unschedulable", n) for n in range(50)]
    waiting.append(trouble("QuotaExceeded", 0, message="The quota is used up.", hint=""))
    found = experiment(map(trial, range(50)), troubles=waiting, message="Resuming.")
    assert terminal.waits_for(found) == (
        "Resuming. No node has enough `nvidia.com/gpu` free. Wait until others end, or add nodes. "
        "The quota is used up."
    )


def test_nothing_is_waited_for_where_nothing_is_said() -> None:
    assert terminal.waits_for(experiment(condition=ExperimentCondition.CREATED)) == ""
