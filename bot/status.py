"""What is: an Experiment, its trials, and the record that outlives them. Frozen values only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from bot.spec import Frozen, Scalar, Strategy, TuneSpec


class TrialCondition(StrEnum):
    """Katib's trial conditions."""

    CREATED = "Created"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    KILLED = "Killed"
    EARLY_STOPPED = "EarlyStopped"
    METRICS_UNAVAILABLE = "MetricsUnavailable"

    @property
    def is_final(self) -> bool:
        return self not in (TrialCondition.CREATED, TrialCondition.RUNNING)


class ExperimentCondition(StrEnum):
    """Katib's Experiment conditions, and Killed: stopped by a person."""

    CREATED = "Created"
    RUNNING = "Running"
    RESTARTING = "Restarting"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    KILLED = "Killed"

    @property
    def is_final(self) -> bool:
        return self in (
            ExperimentCondition.SUCCEEDED,
            ExperimentCondition.FAILED,
            ExperimentCondition.KILLED,
        )


class Observation(Frozen):
    """What a trial reported of one metric."""

    min: float
    max: float
    latest: float

    def value(self, strategy: Strategy) -> float:
        return {"min": self.min, "max": self.max, "latest": self.latest}[strategy]


class TrialStatus(Frozen):
    """One trial. `parameters` holds the values of this trial, fixed ones left out.

    `reason` is a short word of ours or the engine's (Diverged, OutOfMemory, ...), `message` its
    sentence; `progress` is the part done, 0 to 1, while it runs. `beside` trials do not count
    against max_trial_count: those tried again, and the known-good one where the search cannot
    begin with it.
    """

    name: str
    number: int
    condition: TrialCondition
    parameters: Mapping[str, Scalar]
    observation: Mapping[str, Observation] = {}
    reason: str = ""
    message: str = ""
    known_good: bool = False
    beside: bool = False
    progress: float | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None

    def value(self, spec: TuneSpec) -> float | None:
        """The objective's value by the spec's strategy; None if it was not reported."""
        seen = self.observation.get(spec.objective_metric_name)
        return seen.value(spec.strategy) if seen else None


def optimal_trial(spec: TuneSpec, trials: Iterable[TrialStatus]) -> TrialStatus | None:
    """The best trial that ended well; the first wins a tie, as in Katib.

    Failed and killed trials never win, whatever they reported (a diverged loss can be tiny).
    """
    won: tuple[float, TrialStatus] | None = None
    sign = -1 if spec.objective_type == "minimize" else 1
    for trial in trials:
        value = trial.value(spec)
        counts = trial.condition in (TrialCondition.SUCCEEDED, TrialCondition.EARLY_STOPPED)
        if counts and value is not None and (won is None or sign * value > won[0]):
            won = (sign * value, trial)
    return won[1] if won else None


class Trouble(Frozen):
    """What keeps a running Experiment from getting on, as its engine found it out.

    `reason` is one word (ImagePullBackOff, Unschedulable, QuotaExceeded, ...), `message` a sentence
    with what was seen, `hint` what to do; `trial` the trial that waits, "" for all of it.
    """

    reason: str
    message: str
    hint: str = ""
    trial: str = ""


class ExperimentStatus(Frozen):
    """An Experiment as it is now.

    `reason` is Katib's (ExperimentGoalReached, ExperimentMaxTrialsReached, ExperimentFailed, ...)
    or ours (BudgetReached, StoppedByUser, Deleted). `gpu_hours` is what the trials held until now,
    None where nobody counts them; `troubles` is what it waits for while it is not final.
    """

    condition: ExperimentCondition
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    completion_time: datetime | None = None
    trials: tuple[TrialStatus, ...] = ()
    optimal_trial_name: str | None = None
    troubles: tuple[Trouble, ...] = ()
    gpu_hours: float | None = None

    @property
    def optimal_trial(self) -> TrialStatus | None:
        return next((t for t in self.trials if t.name == self.optimal_trial_name), None)

    @property
    def known_good_trial(self) -> TrialStatus | None:
        return next((t for t in self.trials if t.known_good), None)

    def count(self, *conditions: TrialCondition) -> int:
        return sum(trial.condition in conditions for trial in self.trials)

    @property
    def finished(self) -> int:
        """Trials that ended, however they ended."""
        return sum(trial.condition.is_final for trial in self.trials)

    @property
    def counted(self) -> int:
        """Trials that ended, of those that count against max_trial_count."""
        return sum(trial.condition.is_final and not trial.beside for trial in self.trials)

    @property
    def failed(self) -> int:
        """Trials that failed, beside the count or not."""
        return self.count(TrialCondition.FAILED, TrialCondition.METRICS_UNAVAILABLE)

    @property
    def failed_counted(self) -> int:
        """Trials that count against max_failed_trial_count."""
        kinds = (TrialCondition.FAILED, TrialCondition.METRICS_UNAVAILABLE)
        return sum(trial.condition in kinds and not trial.beside for trial in self.trials)


class Ending(Frozen):
    """How an Experiment ends, once that is decided; its running trials may still be ending."""

    condition: ExperimentCondition
    reason: str
    message: str
    time: datetime


class Thread(Frozen):
    """Where an Experiment is told of: the root card's channel id and ts."""

    channel: str
    ts: str


class Told(Frozen):
    """What the thread has been told, so that nothing is told twice.

    `card` is the digest of the card as last shown; `failures` and `troubles` are the reasons
    already told. `ends` counts the ends told: one that is extended ends again.
    """

    started: bool = False
    card: str = ""
    best_trial: str | None = None
    best_value: float | None = None
    failures: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    ended: bool = False
    ends: int = 0


class Record(Frozen):
    """What outlives the Experiment: what was asked, by whom, where, and what was told.

    `uid` tells a repeated save of one record from another record of the same name.
    `submitted` is False between the record and its Experiment: a crash there is taken up again.
    `paused_by` is None while its trials may run.
    `adopted`: somebody else made the Experiment; it is followed here, and `requested_by` asked to.
    """

    uid: str
    spec: TuneSpec
    created: datetime
    requested_by: str
    requested_by_name: str = ""
    channel: str | None = None
    thread: Thread | None = None
    submitted: bool = False
    adopted: bool = False
    stopped_by: str | None = None
    paused_by: str | None = None
    told: Told = Told()

    @property
    def name(self) -> str:
        return self.spec.name


class Experiment(Frozen):
    """A record and its Experiment's status."""

    record: Record
    status: ExperimentStatus

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def spec(self) -> TuneSpec:
        return self.record.spec

    @property
    def is_paused(self) -> bool:
        return self.record.paused_by is not None and not self.status.condition.is_final

    @property
    def is_open(self) -> bool:
        """Whether its end is still to be told (not: whether it still runs)."""
        return not self.record.told.ended
