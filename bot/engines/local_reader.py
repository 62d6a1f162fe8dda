"""Reads a state folder on which no engine works. Writes nothing and locks nobody out."""

from __future__ import annotations

from pathlib import Path

from bot.engines import local_records
from bot.engines.base import Query, unknown
from bot.engines.local_process import LOG_FILE, last_lines
from bot.engines.local_records import STUDY_FILE, Entry, StudyFile
from bot.errors import NotFoundError
from bot.status import Experiment


class Reader:
    """The reading verbs of an engine. A folder without a study file is empty."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        there = (state_dir / STUDY_FILE).exists()
        self._file = StudyFile(state_dir, read_only=True) if there else None
        self._entries = self._file.load() if self._file else {}

    def poll(self) -> list[Experiment]:
        open_ones = (e for e in self._entries.values() if not e.record.told.ended)
        return [self._experiment(entry) for entry in open_ones]

    def get(self, name: str) -> Experiment:
        return self._experiment(self._entry(name))

    def find(self, query: Query) -> list[Experiment]:
        records = (entry.record for entry in self._entries.values())
        found = local_records.matching(records, query)
        return [self._experiment(self._entries[record.name]) for record in found]

    def logs(self, name: str, trial: str) -> str:
        for status in self.get(name).status.trials:
            if status.name == trial:
                folder = local_records.experiment_folder(self._state_dir, name)
                return last_lines(folder / "trials" / str(status.number) / LOG_FILE)
        raise NotFoundError(f"`{name}` has no trial `{trial}`.")

    def close(self) -> None:
        if self._file:
            self._file.close()

    def _entry(self, name: str) -> Entry:
        if name not in self._entries:
            raise unknown(name)
        return self._entries[name]

    def _experiment(self, entry: Entry) -> Experiment:
        assert self._file is not None  # it has entries
        with local_records.told(self._state_dir):
            return self._file.experiment(entry)
