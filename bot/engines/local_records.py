"""The study file: every Experiment is an Optuna study, and its record the study's attributes.

`optuna-dashboard sqlite:///STATE/study.db` opens it: a study is named after its Experiment, has the
objective's direction, and a trial's value is the objective's by the spec's strategy.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import optuna
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages import RDBStorage, get_storage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from bot.engines.base import Query, taken
from bot.engines.local_status import (
    ENDING,
    FETCHED,
    OUTCOME,
    RECORD,
    RETRY_OF,
    Live,
    Outcome,
    experiment,
    is_asked,
    trial_status,
)
from bot.errors import EngineError, SpecError
from bot.spec import TuneSpec
from bot.status import Ending, Experiment, Record, TrialCondition

STUDY_FILE = "study.db"
BROKEN = (StorageInternalError, SQLAlchemyError, sqlite3.Error, OSError)
log = logging.getLogger(__name__)


class Entry:
    """An Experiment in the study file: what is not in its trials."""

    def __init__(
        self, study_id: int, record: Record, ending: Ending | None = None, fetched: bool = False
    ) -> None:
        self.study_id = study_id
        self.record = record
        self.ending = ending
        self.fetched = fetched
        self.trials: list[FrozenTrial] | None = None  # as last read; None: to be read again


class StudyFile:
    """The study file of one state folder. Has one writer; readers open it `read_only`.

    Raises:
        EngineError: the file cannot be opened.
    """

    def __init__(self, state_dir: Path, *, read_only: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = (state_dir / STUDY_FILE).resolve()
        with told(path):
            self._database = _database(path, read_only)
            self._storage = get_storage(self._database)
        self._path = path

    def load(self) -> dict[str, Entry]:
        """Every Experiment by name, oldest first."""
        found = {}
        with told(self._path):
            for study in self._storage.get_all_studies():
                entry = _entry(study._study_id, study.study_name, study.user_attrs)
                if entry:
                    found[study.study_name] = entry
        return found

    def create(self, record: Record) -> Entry:
        """A new study with its record.

        Raises:
            EngineError: there is a study of that name (field="name").
        """
        goes = {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}
        direction = goes[record.spec.objective_type]
        try:
            study_id = self._storage.create_new_study([direction], study_name=record.name)
        except DuplicatedStudyError:
            study_id = self._storage.get_study_id_from_name(record.name)
            # NB: one without a record is what a crash between these two steps left behind.
            if RECORD in self._storage.get_study_user_attrs(study_id):
                raise taken(record.name) from None
        entry = Entry(study_id, record)
        self.write_record(entry, record)
        return entry

    def write_record(self, entry: Entry, record: Record) -> None:
        data = record.model_dump(mode="json", exclude_unset=True)
        self._storage.set_study_user_attr(entry.study_id, RECORD, data)
        entry.record = record

    def write_ending(self, entry: Entry, ending: Ending | None) -> None:
        """How it ends; None takes that back."""
        data = ending and ending.model_dump(mode="json")
        self._storage.set_study_user_attr(entry.study_id, ENDING, data)
        entry.ending = ending

    def write_fetched(self, entry: Entry) -> None:
        self._storage.set_study_user_attr(entry.study_id, FETCHED, True)
        entry.fetched = True

    def trials(self, entry: Entry) -> list[FrozenTrial]:
        """All trials by number, not to be changed; read again only after a change of ours."""
        if entry.trials is None:
            entry.trials = self._storage.get_all_trials(entry.study_id, deepcopy=False)
        return entry.trials

    def study(self, entry: Entry, sampler: BaseSampler) -> optuna.Study:
        """The study itself, to ask for trials."""
        entry.trials = None
        return optuna.load_study(
            study_name=entry.record.name, storage=self._storage, sampler=sampler
        )

    def trial_id(self, entry: Entry, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(entry.study_id, number)

    def add_retry(self, entry: Entry, trial: FrozenTrial) -> None:
        """A further trial with the hyperparameters of `trial`: asked, not started; in one step."""
        entry.trials = None
        again = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs={RETRY_OF: trial.number},
        )
        self._storage.create_new_trial(entry.study_id, again)

    def mark_trial(self, entry: Entry, number: int, key: str, value: object) -> None:
        entry.trials = None
        self._storage.set_trial_user_attr(self.trial_id(entry, number), key, value)

    def end_trial(self, entry: Entry, number: int, outcome: Outcome) -> None:
        """Write how a trial ended, then that it did: a crash in between is seen by the first."""
        self.mark_trial(entry, number, OUTCOME, outcome.model_dump(mode="json"))
        self.finish_trial(entry, number, outcome)

    def finish_trial(self, entry: Entry, number: int, outcome: Outcome) -> None:
        entry.trials = None
        state, values = _told_to_optuna(entry.record.spec, outcome)
        self._storage.set_trial_state_values(self.trial_id(entry, number), state, values)

    def experiment(self, entry: Entry) -> Experiment:
        """An Experiment as the file knows it, without what its running trials have printed."""
        trials = [
            trial_status(entry.record, trial, Live())
            for trial in self.trials(entry)
            if is_asked(trial)
        ]
        return experiment(entry.record, trials, entry.ending)

    def close(self) -> None:
        self._database.remove_session()
        self._database.engine.dispose()


def _told_to_optuna(spec: TuneSpec, outcome: Outcome) -> tuple[TrialState, Sequence[float] | None]:
    if outcome.condition == TrialCondition.SUCCEEDED:
        seen = outcome.observation[spec.objective_metric_name]
        return TrialState.COMPLETE, [seen.value(spec.strategy)]
    if outcome.condition == TrialCondition.EARLY_STOPPED:
        return TrialState.PRUNED, None
    return TrialState.FAIL, None


def _database(path: Path, read_only: bool) -> RDBStorage:
    if read_only:
        url = f"sqlite:///file:{quote(str(path))}?mode=ro&uri=true"
        return RDBStorage(url, skip_table_creation=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    try:
        # Stays in the file: from now on readers and the writer do not wait for each other.
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()
    return RDBStorage(f"sqlite:///{path}")


def _entry(study_id: int, name: str, attributes: dict[str, object]) -> Entry | None:
    if RECORD not in attributes:
        return None
    try:
        record = Record.model_validate(attributes[RECORD])
        ending = attributes.get(ENDING)
        return Entry(
            study_id,
            record,
            Ending.model_validate(ending) if ending else None,
            bool(attributes.get(FETCHED)),
        )
    except (ValueError, SpecError) as error:  # pydantic's ValidationError is a ValueError
        log.warning("The record of %s is of another version and left alone: %s", name, error)
        return None


def experiment_folder(state_dir: Path, name: str) -> Path:
    """Where an Experiment's trials keep their files."""
    return state_dir / "experiments" / name


def matching(records: Iterable[Record], query: Query) -> list[Record]:
    """The records that `query` asks for, newest first."""
    found = sorted(records, key=lambda record: record.created, reverse=True)
    word = query.text.strip().lower()
    exact = [record for record in found if record.name == word]
    parts = [record for record in found if any(word in text for text in _texts(record))]
    return exact or parts[: query.limit]


def _texts(record: Record) -> tuple[str, ...]:
    spec = record.spec
    return tuple(text.lower() for text in (spec.name, spec.model_uri, spec.dataset or spec.s3_uri))


@contextmanager
def told(where: Path) -> Iterator[None]:
    """Whatever the disk does becomes a sentence.

    Raises:
        EngineError: the disk is full, or `where` cannot be read or written.
    """
    try:
        yield
    except BROKEN as error:
        raise EngineError(explain(error, where)) from error


def explain(error: BaseException, where: Path) -> str:
    """What went wrong with `where`, in a sentence."""
    text = f"{error} {error.__cause__ or ''}"
    for sign, sentence in SENTENCES.items():
        if sign in text:
            return sentence.format(where=where)
    return f"{where} cannot be used: {str(error.__cause__ or error).splitlines()[0]}."


SENTENCES = {
    "is full": "The disk of {where} is full; free some space.",
    "No space left": "The disk of {where} is full; free some space.",
    "readonly": "{where} cannot be written: it is read-only.",
    "Read-only": "{where} cannot be written: it is read-only.",
    "Permission denied": "{where} cannot be written: permission denied.",
    "is not a database": "{where} is not a study file: move it away, or restore it from a copy.",
    "malformed": "{where} is damaged: move it away, or restore it from a copy.",
}
