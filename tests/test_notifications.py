"""When a thread gets a reply."""

from __future__ import annotations

import pytest

from bot.notifications import Ended, Failure, NewBest, Started, Waiting, diff, waits
from bot.status import Experiment, ExperimentCondition, Told, TrialCondition
from tests.experiments import NAME, ended, experiment, failed, trial, trouble, wanted

TOLD = Told(started=True, best_trial="minilm-movie-reviews-k3f9-0", best_value=0.70)


def keys(found: Experiment) -> list[str]:
    return [reply.key for reply in diff(found).replies]


def told_of(found: Experiment) -> Experiment:
    """The same Experiment after everything was told."""
    record = found.record.model_copy(update={"told": diff(found).told})
    return found.model_copy(update={"record": record})


def test_nothing_is_told_before_the_experiment_runs() -> None:
    assert keys(experiment(condition=ExperimentCondition.CREATED, message="Fetching …")) == []


def test_the_start_is_told_once() -> None:
    running = experiment([trial(0)])
    assert diff(running).replies == (Started(),)
    assert keys(told_of(running)) == []


def test_the_first_value_is_remembered_but_not_told() -> None:
    news = diff(experiment([trial(0, 0.7)], told=Told(started=True)))
    assert news.replies == ()
    assert (news.told.best_trial, news.told.best_value) == ("minilm-movie-reviews-k3f9-0", 0.7)


def test_a_clearly_better_value_is_told_with_the_one_before() -> None:
    better = trial(1, 0.72)
    found = experiment([trial(0, 0.7), better], told=TOLD)
    assert diff(found).replies == (NewBest(trial=better, previous_value=0.70),)
    assert diff(found).replies[0].key == f"best:{NAME}-1"
    assert keys(told_of(found)) == []


def test_many_new_bests_since_the_last_look_are_one_reply() -> None:
    found = experiment([trial(n, 0.7 + n / 50) for n in range(6)], told=TOLD)
    assert keys(found) == [f"best:{NAME}-5"]


@pytest.mark.parametrize(
    ("metric", "direction", "previous", "value", "told"),
    [
        ("eval_accuracy", "maximize", 0.70, 0.705, True),
        ("eval_accuracy", "maximize", 0.70, 0.704, False),
        ("eval_loss", "minimize", 0.50, 0.495, True),
        ("eval_loss", "minimize", 0.50, 0.496, False),
        ("eval_loss", "minimize", 0.010, 0.009, True),
        ("eval_loss", "minimize", -2.0, -2.1, True),
        ("eval_loss", "minimize", 0.0, -0.1, True),
        ("eval_loss", "minimize", 0.50, 0.60, False),
    ],
)
def test_a_gain_within_noise_is_not_told(
    metric: str, direction: str, previous: float, value: float, told: bool
) -> None:
    asked = wanted(objective_metric_name=metric, objective_type=direction)
    before = TOLD.model_copy(update={"best_value": previous})
    found = experiment([trial(1, value, metric=metric)], asked=asked, told=before)
    assert bool(diff(found).replies) is told


def test_small_gains_add_up_until_they_are_worth_telling() -> None:
    first = told_of(experiment([trial(0, 0.7), trial(1, 0.703)], told=TOLD))
    assert first.record.told.best_value == 0.70
    second = experiment([trial(0, 0.7), trial(1, 0.703), trial(2, 0.706)], told=first.record.told)
    assert keys(second) == [f"best:{NAME}-2"]


def test_each_kind_of_failure_is_told_once() -> None:
    first = experiment([failed(0), failed(1), failed(2, "Diverged")], told=Told(started=True))
    reply = diff(first).replies[0]
    assert isinstance(reply, Failure)
    assert (reply.reason, reply.trial.number, reply.count) == ("OutOfMemory", 0, 2)
    assert keys(first) == ["failure:OutOfMemory", "failure:Diverged"]
    later = experiment([failed(n) for n in range(3)], told=told_of(first).record.told)
    assert keys(later) == []


def test_a_failure_without_a_reason_is_told_by_its_condition() -> None:
    lost = failed(0, reason="", condition=TrialCondition.METRICS_UNAVAILABLE)
    assert keys(experiment([lost], told=TOLD)) == ["failure:MetricsUnavailable"]


def test_a_killed_trial_is_no_failure() -> None:
    killed = trial(0, condition=TrialCondition.KILLED)
    assert keys(experiment([killed], told=TOLD)) == []


def test_what_it_waits_for_is_told_once_for_each_reason() -> None:
    waiting = [trouble("Unschedulable", 0), trouble("Unschedulable", 1), trouble("FailedMount", 0)]
    found = experiment([trial(0), trial(1)], told=TOLD, troubles=waiting)
    assert diff(found).replies == (
        Waiting(trouble=waiting[0], trials=(f"{NAME}-0", f"{NAME}-1")),
        Waiting(trouble=waiting[2], trials=(f"{NAME}-0",)),
    )
    assert keys(found) == ["waiting:Unschedulable", "waiting:FailedMount"]
    assert keys(told_of(found)) == []


def test_a_wait_that_returns_is_not_told_again_but_another_is() -> None:
    told = told_of(experiment([trial(0)], told=TOLD, troubles=[trouble()])).record.told
    told = told_of(experiment([trial(0)], told=told)).record.told
    assert told.troubles == ("Unschedulable",)
    again = [trouble("Unschedulable", 4), trouble("QuotaExceeded", 4)]
    assert keys(experiment([trial(4)], told=told, troubles=again)) == ["waiting:QuotaExceeded"]


def test_what_keeps_it_from_starting_is_told_before_it_runs() -> None:
    stuck = [trouble("SearchNotReady", None)]
    found = experiment(condition=ExperimentCondition.CREATED, troubles=stuck)
    assert keys(found) == ["waiting:SearchNotReady"]
    assert waits(found.status)[0].trials == ()


def test_a_wait_of_all_of_it_is_of_no_single_trial() -> None:
    both = [trouble("QuotaExceeded", 0), trouble("QuotaExceeded", None)]
    assert waits(experiment([trial(0)], troubles=both).status) == (Waiting(trouble=both[0]),)


def test_what_it_waited_for_is_not_told_once_it_is_over() -> None:
    found = ended([trial(0, 0.7)], told=TOLD, troubles=[trouble()])
    assert keys(found) == ["ended"]
    assert waits(found.status) == ()


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        (ExperimentCondition.SUCCEEDED, "ExperimentGoalReached"),
        (ExperimentCondition.FAILED, "ExperimentFailed"),
        (ExperimentCondition.FAILED, "Deleted"),
        (ExperimentCondition.KILLED, "StoppedByUser"),
    ],
)
def test_an_end_is_the_only_reply_of_its_look_and_told_once(
    condition: ExperimentCondition, reason: str
) -> None:
    found = ended([trial(0, 0.7), trial(1, 0.9), failed(2)], condition, reason, told=TOLD)
    assert diff(found).replies == (Ended(),)
    told = diff(found).told
    assert told.ended and told.best_value == 0.9 and told.failures == ("OutOfMemory",)
    assert keys(told_of(found)) == []


def test_a_bot_that_slept_over_everything_tells_the_end_alone() -> None:
    assert keys(ended([trial(n, 0.5 + n / 20) for n in range(8)])) == ["ended"]


def test_a_bot_that_slept_tells_the_difference_once() -> None:
    found = experiment([trial(0, 0.7), trial(1, 0.8), failed(2)], told=Told())
    assert keys(found) == ["started", "failure:OutOfMemory"]
    assert keys(told_of(found)) == []


def test_the_end_of_an_extended_experiment_is_told_again() -> None:
    once = told_of(ended([trial(0, 0.5)]))
    assert keys(once) == []
    told = once.record.told.model_copy(update={"ended": False})  # as an engine extends it
    assert keys(experiment([trial(0, 0.5), trial(1)], told=told)) == []
    assert keys(ended([trial(0, 0.5), trial(1, 0.4)], told=told)) == ["ended:2"]


def test_what_the_card_showed_is_left_to_the_poller() -> None:
    told = TOLD.model_copy(update={"card": "digest"})
    assert diff(experiment([trial(0, 0.7)], told=told)).told.card == "digest"
    assert diff(ended([trial(0, 0.7)], told=told)).told.card == "digest"


def test_no_experiment_gets_a_reply_per_trial() -> None:
    told, replies = Told(), 0
    for done in range(41):
        trials = [trial(n, 0.7 + (n % 5) / 1000) for n in range(done)]
        news = diff(experiment(trials, told=told, asked=wanted(max_trial_count=40)))
        told, replies = news.told, replies + len(news.replies)
    assert replies == 1
