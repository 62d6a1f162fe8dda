"""What every engine promises (bot/engines/base.py), written against the protocol alone.

Who runs it gives two fixtures: `engine`, and `objective`, which makes the spec data of a custom
objective with parameters `a` (int, 10 to 20) and `b` (double, 0.1 to 0.2) and the metric `result`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import pytest

from bot import spec
from bot.engines.base import Engine, Query
from bot.errors import EngineError, NotFoundError
from bot.spec import TuneSpec
from bot.status import Experiment, ExperimentCondition, Record, Thread, Told, TrialCondition

# quick: result = 4a - b². endless: prints `result=1` and goes on. failing: ends with an error.
# silent: ends well and reports nothing.
Kind = Literal["quick", "endless", "failing", "silent"]
PATIENCE_S = 60.0


class Objective(Protocol):
    def __call__(self, kind: Kind) -> dict[str, Any]: ...


def a_spec(objective: dict[str, Any], **changes: Any) -> TuneSpec:
    """A search of four trials, two at a time, under a name of its own."""
    data = {
        "name": f"contract-{secrets.token_hex(4)}",
        "parameters": {"a": {"min": 10, "max": 20}, "b": {"min": 0.1, "max": 0.2}},
        "objective_metric_name": "result",
        "algorithm_name": "random",
        "max_trial_count": 4,
        "parallel_trial_count": min(2, changes.get("max_trial_count", 4)),
    }
    return spec.read({**data, **objective, **changes})


def a_record(wanted: TuneSpec) -> Record:
    return Record(
        uid=secrets.token_hex(8), spec=wanted, created=datetime.now(UTC), requested_by="U1"
    )


def start(engine: Engine, wanted: TuneSpec) -> str:
    engine.save(a_record(wanted))
    engine.submit(wanted.name)
    return wanted.name


def until(
    engine: Engine,
    name: str,
    holds: Callable[[Experiment], bool],
    patience_s: float = PATIENCE_S,
) -> Experiment:
    """The Experiment as soon as `holds` is true of it."""
    give_up = time.monotonic() + patience_s
    while not holds(experiment := engine.get(name)):
        assert time.monotonic() < give_up, experiment.status
        time.sleep(0.02)
    return experiment


def is_over(experiment: Experiment) -> bool:
    return experiment.status.condition.is_final


def has_running(experiment: Experiment) -> bool:
    return experiment.status.count(TrialCondition.RUNNING) > 0


class EngineContract:
    """The behaviours; each test starts Experiments of its own on a shared engine."""

    def test_what_it_accepts_has_no_refusals(self, engine: Engine, objective: Objective) -> None:
        assert engine.check(a_spec(objective("quick"))) == ()

    def test_a_saved_record_is_open_before_it_is_submitted(
        self, engine: Engine, objective: Objective
    ) -> None:
        record = a_record(a_spec(objective("quick")))
        engine.save(record)
        found = [e for e in engine.poll() if e.name == record.name]
        assert [e.record for e in found] == [record]
        assert found[0].status.condition == ExperimentCondition.CREATED
        assert found[0].status.trials == ()

    def test_the_spec_comes_back_as_it_was_asked(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("quick"), seed=7, algorithm_settings={"random_state": "3"})
        engine.save(a_record(wanted))
        assert spec.to_yaml(engine.get(wanted.name).spec) == spec.to_yaml(wanted)

    def test_saving_the_same_record_again_changes_nothing(
        self, engine: Engine, objective: Objective
    ) -> None:
        record = a_record(a_spec(objective("quick")))
        engine.save(record)
        engine.attach(record.name, Thread(channel="C1", ts="1.000001"))
        engine.save(record)
        assert engine.get(record.name).record.thread == Thread(channel="C1", ts="1.000001")

    def test_another_record_of_the_same_name_is_refused(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("quick"))
        engine.save(a_record(wanted))
        with pytest.raises(EngineError, match=wanted.name) as refused:
            engine.save(a_record(wanted))
        assert refused.value.field == "name"

    def test_the_first_thread_stays(self, engine: Engine, objective: Objective) -> None:
        record = a_record(a_spec(objective("quick")))
        engine.save(record)
        engine.attach(record.name, Thread(channel="C1", ts="1.000001"))
        engine.attach(record.name, Thread(channel="C2", ts="2.000002"))
        assert engine.get(record.name).record.thread == Thread(channel="C1", ts="1.000001")

    def test_submit_does_not_wait_for_training(self, engine: Engine, objective: Objective) -> None:
        wanted = a_spec(objective("endless"))
        engine.save(a_record(wanted))
        assert not is_over(engine.submit(wanted.name))
        engine.stop(wanted.name, "U1")

    def test_an_experiment_ends_with_its_optimal_trial(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("quick")))
        status = until(engine, name, is_over).status
        assert (status.condition, status.reason) == (
            ExperimentCondition.SUCCEEDED,
            "ExperimentMaxTrialsReached",
        )
        assert [trial.number for trial in status.trials] == [0, 1, 2, 3]
        assert status.count(TrialCondition.SUCCEEDED) == 4
        best = max(status.trials, key=lambda trial: trial.observation["result"].max)
        assert status.optimal_trial == best
        assert status.start_time and status.completion_time
        assert status.start_time <= status.completion_time

    def test_a_trial_reports_the_value_of_its_own_parameters(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("quick"))
        for trial in until(engine, start(engine, wanted), is_over).status.trials:
            a, b = trial.parameters["a"], trial.parameters["b"]
            assert isinstance(a, int) and 10 <= a <= 20
            assert isinstance(b, float) and 0.1 <= b <= 0.2
            assert trial.value(wanted) == pytest.approx(4 * a - b**2, rel=1e-6)

    def test_submitting_twice_runs_every_trial_once(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("quick")))
        engine.submit(name)
        over = until(engine, name, is_over)
        assert engine.submit(name) == over
        assert len(over.status.trials) == 4

    def test_minimizing_takes_the_lowest_value(self, engine: Engine, objective: Objective) -> None:
        wanted = a_spec(objective("quick"), objective_type="minimize")
        status = until(engine, start(engine, wanted), is_over).status
        best = status.optimal_trial
        assert best and best.value(wanted) == min(t.value(wanted) or 0 for t in status.trials)

    def test_no_more_trials_run_than_parallel_trial_count(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("quick"), parallel_trial_count=1))
        most = 0

        def watched(experiment: Experiment) -> bool:
            nonlocal most
            most = max(most, experiment.status.count(TrialCondition.RUNNING))
            return is_over(experiment)

        until(engine, name, watched)
        assert most == 1

    def test_it_ends_when_the_goal_is_reached(self, engine: Engine, objective: Objective) -> None:
        name = start(engine, a_spec(objective("quick"), objective_goal=1, parallel_trial_count=1))
        status = until(engine, name, is_over).status
        assert status.reason == "ExperimentGoalReached"
        assert status.condition == ExperimentCondition.SUCCEEDED
        assert len(status.trials) == 1

    def test_it_fails_when_max_failed_trial_count_is_reached(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("failing"), max_failed_trial_count=2, parallel_trial_count=1)
        status = until(engine, start(engine, wanted), is_over).status
        assert (status.condition, status.reason) == (ExperimentCondition.FAILED, "ExperimentFailed")
        assert status.failed == len(status.trials) == 2
        assert status.optimal_trial is None

    def test_max_failed_trial_count_0_means_the_first_failure(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("failing"), max_failed_trial_count=0, parallel_trial_count=1)
        status = until(engine, start(engine, wanted), is_over).status
        assert status.failed == len(status.trials) == 1

    def test_a_trial_that_never_reports_the_objective_has_no_metrics(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("silent"), max_failed_trial_count=1, parallel_trial_count=1)
        status = until(engine, start(engine, wanted), is_over).status
        assert not any(t.condition == TrialCondition.SUCCEEDED for t in status.trials)
        assert status.condition == ExperimentCondition.FAILED

    def test_a_trial_beyond_its_deadline_fails(self, engine: Engine, objective: Objective) -> None:
        wanted = a_spec(
            objective("endless"),
            trial_active_deadline_seconds=1,
            max_failed_trial_count=1,
            parallel_trial_count=1,
        )
        status = until(engine, start(engine, wanted), is_over).status
        assert [trial.condition for trial in status.trials] == [TrialCondition.FAILED]
        assert status.condition == ExperimentCondition.FAILED

    def test_a_budget_of_time_ends_it(self, engine: Engine, objective: Objective) -> None:
        name = start(engine, a_spec(objective("endless"), max_duration_seconds=1))
        status = until(engine, name, is_over).status
        assert status.reason == "BudgetReached"
        assert status.optimal_trial is None
        assert not any(not trial.condition.is_final for trial in status.trials)

    def test_stopping_keeps_the_best_and_kills_the_rest(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("quick"), max_trial_count=1000))
        until(engine, name, lambda e: e.status.optimal_trial is not None and has_running(e))
        engine.stop(name, "U7")
        over = until(engine, name, is_over)
        assert (over.status.condition, over.status.reason) == (
            ExperimentCondition.KILLED,
            "StoppedByUser",
        )
        assert over.record.stopped_by == "U7"
        assert over.status.optimal_trial is not None
        assert over.status.finished == len(over.status.trials) < 1000

    def test_stopping_kills_running_trials(self, engine: Engine, objective: Objective) -> None:
        name = start(engine, a_spec(objective("endless")))
        until(engine, name, has_running)
        engine.stop(name, "U7")
        trials = until(engine, name, is_over).status.trials
        assert trials
        assert {trial.condition for trial in trials} == {TrialCondition.KILLED}

    def test_the_first_who_stops_it_is_the_one_who_did(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("endless")))
        engine.stop(name, "U7")
        engine.stop(name, "U8")
        assert until(engine, name, is_over).record.stopped_by == "U7"

    def test_stopping_a_finished_experiment_changes_nothing(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("quick"), max_trial_count=1))
        over = until(engine, name, is_over)
        assert engine.stop(name, "U7") == over == engine.get(name)

    def test_what_was_stopped_before_it_was_submitted_never_starts(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("quick"))
        engine.save(a_record(wanted))
        engine.stop(wanted.name, "U7")
        engine.submit(wanted.name)
        status = until(engine, wanted.name, is_over).status
        assert (status.condition, status.trials) == (ExperimentCondition.KILLED, ())

    def test_it_stays_open_until_its_end_is_told(
        self, engine: Engine, objective: Objective
    ) -> None:
        name = start(engine, a_spec(objective("quick"), max_trial_count=1))
        over = until(engine, name, is_over)
        assert over in engine.poll()
        engine.mark_told(name, Told(started=True, ended=True))
        assert name not in [experiment.name for experiment in engine.poll()]
        assert engine.get(name).status == over.status

    def test_what_was_told_is_remembered(self, engine: Engine, objective: Objective) -> None:
        wanted = a_spec(objective("quick"))
        told = Told(started=True, card="abc", best_trial="t-1", best_value=0.5, failures=("OOM",))
        engine.save(a_record(wanted))
        engine.mark_told(wanted.name, told)
        assert engine.get(wanted.name).record.told == told

    def test_find_gives_the_newest_first(self, engine: Engine, objective: Objective) -> None:
        word = secrets.token_hex(4)
        names = [f"find-{word}-{letter}" for letter in "abc"]
        for name in names:
            engine.save(a_record(a_spec(objective("quick"), name=name)))
        assert [e.name for e in engine.find(Query(text=word.upper()))] == names[::-1]
        assert [e.name for e in engine.find(Query(text=word, limit=2))] == names[:0:-1]

    def test_an_exact_name_is_found_alone(self, engine: Engine, objective: Objective) -> None:
        word = secrets.token_hex(4)
        for name in (f"find-{word}", f"find-{word}-more"):
            engine.save(a_record(a_spec(objective("quick"), name=name)))
        assert [e.name for e in engine.find(Query(text=f"find-{word}"))] == [f"find-{word}"]

    def test_nothing_is_found_for_an_unknown_word(self, engine: Engine) -> None:
        assert engine.find(Query(text="no-such-thing")) == []

    @pytest.mark.parametrize(
        "ask",
        [
            lambda engine: engine.get("nobody"),
            lambda engine: engine.submit("nobody"),
            lambda engine: engine.attach("nobody", Thread(channel="C1", ts="1.0")),
            lambda engine: engine.mark_told("nobody", Told()),
            lambda engine: engine.stop("nobody", "U1"),
            lambda engine: engine.logs("nobody", "nobody-0"),
        ],
        ids=["get", "submit", "attach", "mark_told", "stop", "logs"],
    )
    def test_an_unknown_name_is_not_found(
        self, engine: Engine, ask: Callable[[Engine], object]
    ) -> None:
        with pytest.raises(NotFoundError, match="nobody"):
            ask(engine)

    def test_logs_are_what_a_trial_printed(self, engine: Engine, objective: Objective) -> None:
        name = start(engine, a_spec(objective("quick"), max_trial_count=1))
        trial = until(engine, name, is_over).status.trials[0]
        assert "result=" in engine.logs(name, trial.name)

    def test_the_log_of_a_failed_trial_is_kept(self, engine: Engine, objective: Objective) -> None:
        wanted = a_spec(objective("failing"), max_failed_trial_count=1, parallel_trial_count=1)
        status = until(engine, start(engine, wanted), is_over).status
        assert engine.logs(wanted.name, status.trials[0].name).strip()

    def test_logs_of_an_unknown_trial_are_not_found(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = a_spec(objective("quick"))
        engine.save(a_record(wanted))
        with pytest.raises(NotFoundError):
            engine.logs(wanted.name, f"{wanted.name}-77")

    def test_a_running_trial_shows_what_it_has_reported(
        self, engine: Engine, objective: Objective
    ) -> None:
        if engine.name != "local":
            pytest.skip("Katib collects metrics when a trial has ended")
        name = start(engine, a_spec(objective("endless"), max_trial_count=1))
        seen = until(engine, name, lambda e: any(t.observation for t in e.status.trials))
        assert seen.status.trials[0].condition == TrialCondition.RUNNING
        assert seen.status.trials[0].observation["result"].latest == 1
        engine.stop(name, "U1")

    def test_verbs_may_be_called_from_many_threads(
        self, engine: Engine, objective: Objective
    ) -> None:
        wanted = [a_spec(objective("quick"), max_trial_count=1) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            names = list(pool.map(lambda one: start(engine, one), wanted))
            overs = list(pool.map(lambda name: until(engine, name, is_over), names))
        assert [len(over.status.trials) for over in overs] == [1] * 8

    def test_experiments_side_by_side_all_progress(
        self, engine: Engine, objective: Objective
    ) -> None:
        first = start(engine, a_spec(objective("quick"), max_trial_count=1000))
        second = start(engine, a_spec(objective("quick"), max_trial_count=2))
        until(engine, second, is_over)
        assert not is_over(engine.get(first))
        engine.stop(first, "U1")
