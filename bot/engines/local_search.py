"""One Experiment of the local engine: asks the sampler, collects results, decides the end.

Level-triggered: `step` compares what the study file says with what runs and does what is missing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, Trial, TrialState

from bot import prior
from bot.engines import changes, endings, local_process, local_status
from bot.engines.local_outcome import Remains, Verdict, can_go_on, outcome, was_ended
from bot.engines.local_process import LOG_FILE, TrialProcess, tail
from bot.engines.local_records import Entry, StudyFile, explain
from bot.engines.local_status import (
    DEVICES,
    GONE_ON,
    HELD,
    KNOWN_GOOD,
    OUTCOME,
    RETRY_OF,
    STARTED,
    TIME,
    Outcome,
)
from bot.engines.local_study import grid_point, parameters, sampler, seed_of, suggest
from bot.engines.local_trials import Trials, environment_of
from bot.engines.trainer_command import DISK_FULL, fetch_command, last_words
from bot.errors import EngineError
from bot.spec import Scalar, TuneSpec, problems
from bot.status import Ending, Experiment, TrialCondition, TrialStatus


class Search:
    """An Experiment at work. Used by one thread; `wake` may be called from any."""

    def __init__(
        self, file: StudyFile, entry: Entry, folder: Path, wake: Callable[[], None]
    ) -> None:
        self.entry = entry
        self.trials = Trials(entry.record.spec, folder / "trials", wake)
        self._file = file
        self._wake = wake
        self._fetch_folder = folder / "fetch"
        self._fetching: TrialProcess | None = None
        self._taken_up = False
        self._over = entry.record.told.ended
        self._finished: dict[int, TrialStatus] = {}

    @property
    def spec(self) -> TuneSpec:
        return self.entry.record.spec

    @property
    def is_active(self) -> bool:
        """Whether there is something to do: it is submitted or stopped, and not over."""
        asked = self.entry.record.submitted or self.entry.ending is not None
        return asked and not self._over

    def experiment(self, message: str = "") -> Experiment:
        if self._fetching and not self.entry.ending:
            message = (
                message
                or f"Fetching {self.spec.model_uri} and {self.spec.dataset or self.spec.s3_uri} …"
            )
        return local_status.experiment(
            self.entry.record, self.statuses(), self.entry.ending, message
        )

    def statuses(self) -> list[TrialStatus]:
        trials = self._file.trials(self.entry)
        return [self._status(trial) for trial in trials if local_status.is_asked(trial)]

    def step(self, now: datetime) -> None:
        """Collect what has ended, end what must end, fetch what is not here."""
        if not self._taken_up:
            self._take_up(now)
        for number in self.trials.ended():
            self._collect(number, now)
        if not self.is_active:
            return
        self.trials.stop_overdue(now)
        if self.entry.ending is None:
            self._fetch(now)
        if self.entry.ending is None:
            self._hold_surplus()
            end = local_status.ending(self.spec, self.statuses(), now)
            if end:
                self._file.write_ending(self.entry, end)
        if self.entry.ending:
            self._wind_up(self.entry.ending, now)

    def next_time(self) -> datetime | None:
        """When `step` must be called again even if nothing happens."""
        times = [self.trials.next_deadline()]
        if self.entry.ending is None:
            times.append(endings.deadline(self.spec, self.statuses()))
        return min((time for time in times if time), default=None)

    def demand(self) -> int:
        """How many trials could start now."""
        record = self.entry.record
        ready = self._taken_up and record.submitted and self.entry.fetched
        if self.entry.ending or not ready:
            return 0
        trials = self._file.trials(self.entry)
        asked = sum(local_status.is_asked(t) and not local_status.is_retry(t) for t in trials)
        total = self.spec.max_trial_count + self._extra_trials()
        free = self._room() - len(self.trials.running)
        return max(0, min(free, total - asked + len(self._unstarted(trials))))

    def start_trial(self, threads: int, devices: tuple[str, ...], now: datetime) -> None:
        """Start the next trial."""
        trial = self._next_trial()
        suggest(trial, self.spec)
        started = {TIME: now.isoformat(), DEVICES: list(devices)}
        self._file.mark_trial(self.entry, trial.number, STARTED, started)
        values = parameters(self.spec, trial.params)
        try:
            self.trials.start(trial.number, values, now, threads, devices)
        except OSError as error:
            self._file.end_trial(self.entry, trial.number, _not_started(error, now))

    def stop(self, by: str, now: datetime) -> None:
        """End it with the best so far; the first who asks is the one who did."""
        if self.entry.ending:
            return
        record = self.entry.record
        self._file.write_record(self.entry, record.model_copy(update={"stopped_by": by}))
        self._file.write_ending(self.entry, endings.stopped(by, now))
        if self._fetching:
            self._fetching.stop()

    def extend(self, max_trial_count: int) -> None:
        """More trials; what has ended goes on.

        Raises:
            EngineError: `field` says what forbids it.
        """
        spec, ending = self.spec, self.entry.ending
        tried = len(local_status.counted(self.statuses()))
        changes.check_count(spec.name, tried, spec.max_trial_count, max_trial_count)
        if ending:
            changes.check_resumption(spec.name, ending, spec.resume_policy)
        longer = spec.model_copy(update={"max_trial_count": max_trial_count})
        for problem in problems(longer):
            if problem.field == "max_trial_count":
                raise EngineError(problem.message, hint=problem.hint, field=problem.field)
        record = self.entry.record
        changed: dict[str, Any] = {
            "spec": longer,
            "told": record.told.model_copy(update={"ended": False}),  # its ends stay told
        }
        if ending and record.paused_by:
            changed["paused_by"] = None
        self._file.write_record(self.entry, record.model_copy(update=changed))
        self._file.write_ending(self.entry, None)
        self._over = False

    def set_parallel(self, parallel_trial_count: int) -> None:
        """More or fewer trials at a time; the next step does what is missing.

        Raises:
            EngineError: it has ended, or has not so many trials.
        """
        spec = self.spec
        changes.check_parallel(
            spec.name, self.entry.ending, spec.max_trial_count, parallel_trial_count
        )
        changed = spec.model_copy(update={"parallel_trial_count": parallel_trial_count})
        record = self.entry.record.model_copy(update={"spec": changed})
        self._file.write_record(self.entry, record)

    def pause(self, by: str | None) -> None:
        """No trial runs until it is called without `by`; the next step does what is missing.

        Raises:
            EngineError: it has ended.
        """
        record = self.entry.record
        changes.check_pause(record.name, self.entry.ending)
        if bool(by) != bool(record.paused_by):
            self._file.write_record(self.entry, record.model_copy(update={"paused_by": by}))

    def retry(self, wanted: TrialStatus) -> None:
        """A trial's hyperparameters once more, unless that is under way.

        Raises:
            EngineError: it still runs, or the Experiment has ended.
        """
        changes.check_retry(self.entry.record, self.entry.ending, wanted)
        trials = self._file.trials(self.entry)
        again = [t for t in trials if t.user_attrs.get(RETRY_OF) == wanted.number]
        if all(trial.state.is_finished() for trial in again):
            self._file.add_retry(self.entry, trials[wanted.number])

    def fail(self, message: str, now: datetime) -> None:
        """End it because it cannot go on."""
        if self.entry.ending is None:
            self._file.write_ending(self.entry, endings.failed(message, now))

    def interrupt(self) -> None:
        """Ask what runs to end, so that the next engine takes it up again."""
        if self._fetching:
            self._fetching.stop()
        self.trials.interrupt()

    def _take_up(self, now: datetime) -> None:
        """Find what an engine before this one left behind: running, ended, or never begun."""
        self._fetching = local_process.adopt(self._fetch_folder, self._wake)
        self._take_up_extension()
        for trial in self._file.trials(self.entry):
            if trial.state != TrialState.RUNNING or trial.number in self.trials.running:
                continue
            if OUTCOME in trial.user_attrs:
                told = Outcome.model_validate(trial.user_attrs[OUTCOME])
                self._file.finish_trial(self.entry, trial.number, told)
            elif STARTED in trial.user_attrs:
                self._take_up_trial(trial, now)
        self._taken_up = True

    def _take_up_extension(self) -> None:
        """Take back the end of an Experiment that was extended when its engine was killed."""
        ending, tried = self.entry.ending, local_status.counted(self.statuses())
        has_more = len(tried) < self.spec.max_trial_count
        if ending and ending.reason == endings.MAX_TRIALS_REACHED and has_more:
            self._file.write_ending(self.entry, None)

    def _status(self, trial: FrozenTrial) -> TrialStatus:
        known = self._finished.get(trial.number)
        if known is None:
            known = local_status.trial_status(
                self.entry.record, trial, self.trials.live(trial.number)
            )
            if trial.state.is_finished():
                self._finished[trial.number] = known
        if trial.number in self.trials.running:  # a held one, too, until it has ended
            return known.model_copy(update={"condition": TrialCondition.RUNNING})
        return known

    def _take_up_trial(self, trial: FrozenTrial, now: datetime) -> None:
        started = trial.user_attrs[STARTED]
        since = datetime.fromisoformat(started[TIME])
        if self.trials.adopt(trial.number, since, tuple(started[DEVICES])):
            return
        remains = self.trials.remains(trial.number)
        begun = remains.result is not None or self.trials.has_begun(trial.number)
        if begun and started.get(HELD) and was_ended(remains):
            self.trials.forget(trial.number)
            return
        # NB: once: a trial that takes the whole machine with it must not do so again and again.
        if begun and GONE_ON not in trial.user_attrs and can_go_on(self.spec, remains):
            self.trials.forget(trial.number)
            self._file.mark_trial(self.entry, trial.number, GONE_ON, True)
            return
        # NB: without a result and never begun: it was asked and is started now, not asked again.
        if begun:
            self._tell(trial.number, remains, None, now)

    def _collect(self, number: int, now: datetime) -> None:
        verdict, remains = self.trials.running[number].verdict, self.trials.remains(number)
        if verdict is None and self._is_held(number) and was_ended(remains):
            self.trials.forget(number)
        else:
            self._tell(number, remains, verdict, now)
        del self.trials.running[number]

    def _room(self) -> int:
        """How many trials may run at a time now."""
        return 0 if self.entry.record.paused_by else self.spec.parallel_trial_count

    def _hold_surplus(self) -> None:
        """Ask the newest of too many to end; they go on when there is room again."""
        for number in sorted(self.trials.running)[self._room() :]:
            started = self._started(number)
            if not started.get(HELD):
                self._file.mark_trial(self.entry, number, STARTED, {**started, HELD: True})
            self.trials.hold(number)

    def _is_held(self, number: int) -> bool:
        return bool(self._started(number).get(HELD))

    def _started(self, number: int) -> Mapping[str, Any]:
        started: Mapping[str, Any] = self._file.trials(self.entry)[number].user_attrs[STARTED]
        return started

    def _tell(self, number: int, remains: Remains, verdict: Verdict | None, now: datetime) -> None:
        end = outcome(self.spec, remains, verdict, now)
        self.trials.drop_checkpoints(number)  # first: on a full disk nothing can be written down
        self._file.end_trial(self.entry, number, end)

    def _fetch(self, now: datetime) -> None:
        if self.entry.fetched:
            return
        if self._fetching is None:
            self._start_fetching()
        elif self._fetching.has_ended:
            self._end_fetching(self._fetching, now)

    def _start_fetching(self) -> None:
        command = fetch_command(self.spec)
        if command is None:
            self._file.write_fetched(self.entry)
            return
        environment = environment_of(self.spec, 1, ())
        self._fetching = local_process.start(command, environment, self._fetch_folder, self._wake)

    def _end_fetching(self, process: TrialProcess, now: datetime) -> None:
        self._fetching = None
        if process.exit_code == 0:
            self._file.write_fetched(self.entry)
        elif process.exit_code is not None:
            words = last_words(tail(self._fetch_folder / LOG_FILE))
            self.fail(words or "Fetching failed.", now)
        else:  # it was adopted: nobody knows how it ended, and a second time costs nothing
            self._start_fetching()

    def _wind_up(self, ending: Ending, now: datetime) -> None:
        """End what still runs, and what was asked but will not start any more."""
        verdict = Verdict(
            condition=TrialCondition.KILLED, reason=ending.reason, message=ending.message
        )
        self.trials.stop_all(verdict)
        for number in self._unstarted(self._file.trials(self.entry)):
            self._tell(number, Remains(result=None, exit_code=None), verdict, now)
        self._over = not self.trials.running
        self.trials.dismiss_host()

    def _next_trial(self) -> Trial:
        trials = self._file.trials(self.entry)
        seed = seed_of(self.entry.record)
        number = min([*self._unstarted(trials), len(trials)])
        # NB: the search proposes what it would have proposed without the trials tried again.
        place = number - sum(map(local_status.is_retry, trials[:number]))
        study = self._file.study(self.entry, sampler(self.spec, seed, place))
        if number < len(trials):
            return Trial(study, self._file.trial_id(self.entry, number))
        known = self._known_good()
        if known and not trials:
            study.enqueue_trial(dict(known), user_attrs={KNOWN_GOOD: True})
        elif self.spec.algorithm_name == "grid" and all(map(local_status.is_asked, trials)):
            study.enqueue_trial(grid_point(self.spec, seed, place - self._extra_trials()))
        return study.ask()

    def _unstarted(self, trials: list[FrozenTrial]) -> list[int]:
        """Asked but not running: a crash came in between."""
        return [
            trial.number
            for trial in trials
            if trial.state == TrialState.RUNNING and trial.number not in self.trials.running
        ]

    def _known_good(self) -> Mapping[str, Scalar] | None:
        return prior.known_good(self.spec) if self.spec.known_good_trial else None

    def _extra_trials(self) -> int:
        """Under grid the known-good trial is extra: the grid has its own points."""
        return 1 if self.spec.algorithm_name == "grid" and self._known_good() else 0


def _not_started(error: OSError, now: datetime) -> Outcome:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    where = Path(error.filename or "the trial's folder")
    return Outcome(
        condition=TrialCondition.FAILED,
        reason="DiskFull" if full else "NotStarted",
        message=DISK_FULL if full else explain(error, where),
        completion_time=now,
    )
