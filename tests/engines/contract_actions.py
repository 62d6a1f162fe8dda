"""What every engine promises of the actions that it has, beside `contract` and as that is written.

Each test is skipped on an engine without the capability.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from bot.engines.base import Capability, Engine
from bot.errors import EngineError, NotFoundError
from bot.status import Experiment, ExperimentCondition, Told, TrialCondition, TrialStatus
from tests.engines.contract import Objective, a_record, a_spec, has_running, is_over, start, until


def running(experiment: Experiment) -> list[TrialStatus]:
    return [t for t in experiment.status.trials if t.condition == TrialCondition.RUNNING]


def is_running(many: int) -> Callable[[Experiment], bool]:
    return lambda experiment: len(running(experiment)) == many


def has_ended_with(trials: int) -> Callable[[Experiment], bool]:
    """It has ended, and so many trials with it: not with fewer, before it was extended."""
    return lambda e: is_over(e) and e.status.finished == len(e.status.trials) == trials


def results(trial: TrialStatus) -> tuple[object, ...]:
    """What a trial was and gave, without its times."""
    return trial.name, trial.number, trial.condition, trial.parameters, trial.observation


def having(engine: Engine, capability: Capability) -> None:
    """Skip what is promised only by an engine with this capability."""
    if capability not in engine.capabilities:
        pytest.skip(f"the {engine.name} engine does not have `{capability}`")


def field_of_refusal(ask: Callable[[], object]) -> str:
    """The field that an engine's refusal names; the refusal says something."""
    with pytest.raises(EngineError) as refused:
        ask()
    assert refused.value.message
    return refused.value.field


class ActionsContract:
    """The behaviours of extend, parallel, retry, pause; `adopt` needs others' Experiments."""

    # -- extend

    def test_a_running_experiment_is_extended_whatever_its_resume_policy(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "extend")
        wanted = a_spec(objective("endless"), max_trial_count=1, resume_policy="Never")
        name = start(engine, wanted)
        until(engine, name, is_running(1))
        assert engine.extend(name, 3, "U1").spec.max_trial_count == 3
        assert engine.set_parallel(name, 2, "U1").spec.parallel_trial_count == 2
        until(engine, name, is_running(2))
        engine.stop(name, "U1")

    def test_an_ended_experiment_that_is_extended_is_open_and_runs_the_further_trials(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "extend")
        wanted = a_spec(objective("quick"), max_trial_count=2, resume_policy="LongRunning")
        name = start(engine, wanted)
        first = [results(t) for t in until(engine, name, is_over).status.trials]
        engine.mark_told(name, Told(started=True, ended=True, ends=1))
        extended = engine.extend(name, 4, "U1")
        assert extended.is_open
        assert extended.record.told.ends == 1, "what was told is remembered"
        assert name in [experiment.name for experiment in engine.poll()]
        over = until(engine, name, has_ended_with(4))
        assert over.spec.max_trial_count == 4
        assert over.status.reason == "ExperimentMaxTrialsReached"
        assert over.status.condition == ExperimentCondition.SUCCEEDED
        assert [results(t) for t in over.status.trials[:2]] == first
        assert [trial.number for trial in over.status.trials] == [0, 1, 2, 3]
        best = max(over.status.trials, key=lambda trial: trial.observation["result"].max)
        assert over.status.optimal_trial == best
        assert over in engine.poll()

    def test_it_is_not_over_while_an_extension_begins(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "extend")
        wanted = a_spec(objective("quick"), max_trial_count=1, resume_policy="LongRunning")
        name = start(engine, wanted)
        until(engine, name, is_over)
        engine.extend(name, 2, "U1")
        seen: list[Experiment] = []

        def watched(experiment: Experiment) -> bool:
            seen.append(experiment)
            return has_ended_with(2)(experiment)

        until(engine, name, watched)
        assert not [e.status for e in seen if is_over(e) and len(e.status.trials) < 2]

    def test_it_is_not_extended_to_as_many_trials_as_it_has_or_fewer(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "extend")
        name = start(engine, a_spec(objective("endless"), max_trial_count=2))
        until(engine, name, is_running(2))
        for count in (0, 1, 2):
            assert field_of_refusal(lambda c=count: engine.extend(name, c, "U1")) == (
                "max_trial_count"
            )
        assert engine.get(name).spec.max_trial_count == 2
        engine.stop(name, "U1")

    def test_what_its_resume_policy_does_not_let_go_on_is_not_extended(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "extend")
        wanted = a_spec(objective("quick"), max_trial_count=1, resume_policy="Never")
        name = start(engine, wanted)
        over = until(engine, name, is_over)
        engine.mark_told(name, Told(started=True, ended=True))
        assert field_of_refusal(lambda: engine.extend(name, 5, "U1")) == "resume_policy"
        after = engine.get(name)
        assert after.status == over.status
        assert after.spec.max_trial_count == 1
        assert not after.is_open

    def test_what_ended_by_its_goal_or_was_stopped_is_not_extended(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "extend")
        policy = {"resume_policy": "LongRunning", "parallel_trial_count": 1}
        reached = start(engine, a_spec(objective("quick"), objective_goal=1, **policy))
        stopped = start(engine, a_spec(objective("endless"), **policy))
        until(engine, stopped, has_running)
        engine.stop(stopped, "U1")
        for name in (reached, stopped):
            over = until(engine, name, is_over)
            field_of_refusal(lambda n=name: engine.extend(n, 50, "U1"))
            assert engine.get(name).status == over.status

    # -- parallel

    def test_more_trials_run_at_a_time_once_that_is_set(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "parallel")
        wanted = a_spec(objective("endless"), max_trial_count=3, parallel_trial_count=1)
        name = start(engine, wanted)
        until(engine, name, is_running(1))
        for _ in range(2):  # safe to repeat
            assert engine.set_parallel(name, 2, "U1").spec.parallel_trial_count == 2
        until(engine, name, is_running(2))
        engine.stop(name, "U1")

    def test_a_lower_number_at_a_time_ends_the_newest_trials(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "parallel")
        wanted = a_spec(objective("endless"), max_trial_count=3, parallel_trial_count=1)
        name = start(engine, wanted)
        (oldest,) = running(until(engine, name, is_running(1)))
        # Katib dates its trials by seconds: the second one begins in another than the first.
        assert oldest.start_time
        later = oldest.start_time + timedelta(seconds=1)
        until(engine, name, lambda _: datetime.now(UTC) > later)
        engine.set_parallel(name, 2, "U1")
        until(engine, name, is_running(2))
        assert engine.set_parallel(name, 1, "U1").spec.parallel_trial_count == 1
        (left,) = running(until(engine, name, is_running(1)))
        assert left.name == oldest.name
        engine.stop(name, "U1")

    def test_a_number_of_trials_at_a_time_that_cannot_be_is_refused(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "parallel")
        wanted = a_spec(objective("endless"), max_trial_count=3, parallel_trial_count=1)
        name = start(engine, wanted)
        until(engine, name, has_running)
        for count in (0, 4):
            assert field_of_refusal(lambda c=count: engine.set_parallel(name, c, "U1")) == (
                "parallel_trial_count"
            )
        assert engine.get(name).spec.parallel_trial_count == 1
        engine.stop(name, "U1")
        until(engine, name, is_over)
        field_of_refusal(lambda: engine.set_parallel(name, 2, "U1"))

    # -- retry

    def test_a_trial_that_is_tried_again_runs_its_parameters_as_a_further_trial(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "retry")
        wanted = a_spec(objective("quick"), max_trial_count=1000, parallel_trial_count=1)
        name = start(engine, wanted)
        first = until(engine, name, lambda e: e.status.finished > 0).status.trials[0]
        engine.retry_trial(name, first.name, "U1")

        def again(experiment: Experiment) -> list[TrialStatus]:
            trials = experiment.status.trials
            return [t for t in trials if t.name != first.name and t.parameters == first.parameters]

        seen = until(engine, name, lambda e: any(t.condition.is_final for t in again(e)))
        (other,) = again(seen)
        assert other.condition == TrialCondition.SUCCEEDED
        assert other.value(wanted) == pytest.approx(first.value(wanted), rel=1e-6)
        numbers = [trial.number for trial in seen.status.trials]
        assert len(set(numbers)) == len(numbers)
        assert results(first) in map(results, seen.status.trials), "the first try stays as it was"
        engine.stop(name, "U1")

    def test_a_failed_trial_that_is_tried_again_does_not_count_as_a_trial_of_the_search(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "retry")
        wanted = a_spec(
            objective("failing"),
            max_trial_count=1000,
            max_failed_trial_count=1000,
            parallel_trial_count=1,
        )
        name = start(engine, wanted)
        first = until(engine, name, lambda e: e.status.failed > 0).status.trials[0]
        after = engine.retry_trial(name, first.name, "U1")
        assert after.spec.max_trial_count == 1000
        assert not is_over(after)
        engine.stop(name, "U1")

    def test_only_a_finished_trial_of_a_running_experiment_is_tried_again(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "retry")
        name = start(engine, a_spec(objective("endless"), max_trial_count=1))
        trial = until(engine, name, has_running).status.trials[0]
        field_of_refusal(lambda: engine.retry_trial(name, trial.name, "U1"))
        with pytest.raises(NotFoundError, match=f"{name}-77"):
            engine.retry_trial(name, f"{name}-77", "U1")
        engine.stop(name, "U1")
        until(engine, name, is_over)
        field_of_refusal(lambda: engine.retry_trial(name, trial.name, "U1"))
        assert len(engine.get(name).status.trials) == 1

    # -- pause

    def test_while_it_is_paused_no_trial_runs_and_then_they_go_on(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "pause")
        wanted = a_spec(objective("endless"), max_trial_count=2, parallel_trial_count=1)
        name = start(engine, wanted)
        (first,) = running(until(engine, name, is_running(1)))
        for by in ("U1", "U2"):  # safe to repeat
            assert engine.pause(name, by).record.paused_by == "U1"
        paused = until(engine, name, is_running(0))
        assert paused.is_paused
        assert [trial.name for trial in paused.status.trials] == [first.name], "none is lost or new"
        assert engine.set_parallel(name, 2, "U1").is_paused
        for _ in range(2):
            assert not engine.resume(name, "U2").is_paused
        seen = until(engine, name, is_running(2))
        assert seen.status.trials[0].parameters == first.parameters
        engine.stop(name, "U1")

    def test_what_is_paused_can_be_stopped_and_what_has_ended_cannot_be_paused(
        self, engine: Engine, objective: Objective
    ) -> None:
        having(engine, "pause")
        name = start(engine, a_spec(objective("endless"), parallel_trial_count=1))
        until(engine, name, has_running)
        engine.pause(name, "U1")
        engine.stop(name, "U1")
        over = until(engine, name, is_over)
        assert not over.is_paused
        assert {trial.condition for trial in over.status.trials} == {TrialCondition.KILLED}
        for ask in (engine.pause, engine.resume):
            field_of_refusal(lambda a=ask: a(name, "U1"))

    @pytest.mark.parametrize(
        ("capability", "ask"),
        [
            ("extend", lambda engine: engine.extend("nobody", 20, "U1")),
            ("parallel", lambda engine: engine.set_parallel("nobody", 2, "U1")),
            ("retry", lambda engine: engine.retry_trial("nobody", "nobody-0", "U1")),
            ("pause", lambda engine: engine.pause("nobody", "U1")),
            ("pause", lambda engine: engine.resume("nobody", "U1")),
        ],
        ids=["extend", "parallel", "retry", "pause", "resume"],
    )
    def test_an_action_on_an_unknown_name_is_not_found(
        self, engine: Engine, capability: Capability, ask: Callable[[Engine], object]
    ) -> None:
        having(engine, capability)
        with pytest.raises(NotFoundError, match="nobody"):
            ask(engine)

    @pytest.mark.parametrize(
        ("capability", "ask"),
        [
            ("extend", lambda engine, name: engine.extend(name, 20, "U1")),
            ("parallel", lambda engine, name: engine.set_parallel(name, 2, "U1")),
            ("retry", lambda engine, name: engine.retry_trial(name, f"{name}-0", "U1")),
            ("pause", lambda engine, name: engine.pause(name, "U1")),
            ("pause", lambda engine, name: engine.resume(name, "U1")),
        ],
        ids=["extend", "parallel", "retry", "pause", "resume"],
    )
    def test_an_action_that_it_does_not_have_is_refused_with_what_to_do_instead(
        self,
        engine: Engine,
        objective: Objective,
        capability: Capability,
        ask: Callable[[Engine, str], object],
    ) -> None:
        if capability in engine.capabilities:
            pytest.skip(f"the {engine.name} engine has `{capability}`")
        wanted = a_spec(objective("quick"))
        engine.save(a_record(wanted))
        with pytest.raises(EngineError) as refused:
            ask(engine, wanted.name)
        assert refused.value.hint
