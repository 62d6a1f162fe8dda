"""What the workspace remembers over a restart: people, channels, members, messages, and records of
other kinds, in one SQLite file.

The store belongs to one thread. It writes in WAL mode without waiting for the disk, so that a
write costs some
ten microseconds and survives the death of the process; `checkpoint`, for another thread, does
the waiting.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bot.workspace.people import Channel, Person
from bot.workspace.refusals import StateTaken, StateUnreadable

FILE = "workspace.sqlite3"
LOCK = "workspace.lock"
SCHEMA_VERSION = 3
_RECORDS = """
CREATE TABLE records (
    kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
);
"""
_SCHEMA = f"""{_RECORDS}
CREATE TABLE people (id TEXT PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE channels (id TEXT PRIMARY KEY, body TEXT NOT NULL, last_ts TEXT NOT NULL);
CREATE TABLE members (channel TEXT, person TEXT, PRIMARY KEY (channel, person)) WITHOUT ROWID;
CREATE TABLE messages (
    channel TEXT NOT NULL, ts TEXT NOT NULL, thread_ts TEXT NOT NULL, in_channel INTEGER NOT NULL,
    author TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (channel, ts)
);
CREATE INDEX messages_in_channel ON messages (channel, in_channel, ts);
CREATE INDEX messages_in_thread ON messages (channel, thread_ts, ts, author);
"""

# From the format before, one step at a time. Format 1 knew one app, whose bot was U0BOT.
_STEPS = {
    1: """
ALTER TABLE channels RENAME TO old_channels;
CREATE TABLE channels (id TEXT PRIMARY KEY, body TEXT NOT NULL, last_ts TEXT NOT NULL);
INSERT INTO channels SELECT id, json_object(
    'id', id, 'name', name, 'created', created, 'im_user', im_user,
    'im_bot', iif(im_user = '', '', 'U0BOT')
), last_ts FROM old_channels ORDER BY rowid;
DROP TABLE old_channels;
""",
    2: _RECORDS,
}

Message = dict[str, Any]
NEVER = "0000000000.000000"
EVER = "9999999999.999999"


@dataclass(frozen=True)
class Span:
    """Messages between two timestamps ("" for no end), with or without those at the ends."""

    before: str = ""
    after: str = ""
    inclusive: bool = False

    @property
    def condition(self) -> str:
        """The condition in SQL, for `bounds`."""
        return "ts <= ? AND ts >= ?" if self.inclusive else "ts < ? AND ts > ?"

    @property
    def bounds(self) -> tuple[str, str]:
        """Both ends."""
        return self.before or EVER, self.after


def lock_folder(folder: Path) -> IO[str]:
    """Makes the folder ours for as long as the returned file stays open.

    Raises:
        StateTaken: it is another workspace's.
        StateUnreadable: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / LOCK).open("a", encoding="utf-8")
    except OSError as error:
        raise StateUnreadable(folder, str(error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise StateTaken(folder) from error
    return file


def _connect(folder: Path) -> sqlite3.Connection:
    """The file, ready to be used; StateUnreadable if it is damaged or not ours."""
    (folder / FILE).touch(mode=0o600)
    with ExitStack() as undo:
        db = undo.enter_context(closing(sqlite3.connect(folder / FILE, isolation_level=None)))
        try:
            _prepare(folder, db)
        except sqlite3.DatabaseError as error:
            raise StateUnreadable(folder, str(error)) from error
        undo.pop_all()
    return db


def _prepare(folder: Path, db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise StateUnreadable(folder, f"a newer version wrote it (format {version})")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    later = [_STEPS[v] for v in range(version, SCHEMA_VERSION)] if version else []
    steps = later if version else [_SCHEMA]
    if steps:
        db.executescript(f"BEGIN;{''.join(steps)}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")


def checkpoint(folder: Path) -> None:
    """Moves what was written from the log into the file, waiting for the disk.

    For a thread of its own.
    """
    with closing(sqlite3.connect(folder / FILE)) as db:
        db.execute("PRAGMA wal_checkpoint(PASSIVE)")


class Store:
    """The one writer of a state folder. Raises sqlite3.Error when the disk cannot take a write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._db = _connect(folder)
        rows = self._db.execute("SELECT id, last_ts FROM channels")
        self._last_ts: dict[str, str] = dict(rows.fetchall())

    def close(self) -> None:
        """Finishes the file; no other method may be called afterwards."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._db.close()

    # --- people and channels ------------------------------------------------------------------

    def put_person(self, person: Person) -> None:
        """Adds a member of the workspace, or replaces the one with this id."""
        body = json.dumps(vars(person))
        self._db.execute("INSERT OR REPLACE INTO people VALUES (?, ?)", (person.id, body))

    def people(self) -> list[Person]:
        """Every member, in the order they came."""
        rows = self._db.execute("SELECT body FROM people ORDER BY rowid")
        return [Person(**json.loads(body)) for (body,) in rows]

    def add_channel(self, channel: Channel, members: Iterable[str]) -> None:
        """Adds a conversation with its members; one that is already there is left as it is."""
        if channel.id in self._last_ts:
            return
        row = (channel.id, json.dumps(vars(channel)), NEVER)
        with self._transaction():
            self._db.execute("INSERT INTO channels VALUES (?, ?, ?)", row)
            for person in members:
                self._add_member(channel.id, person)
        self._last_ts[channel.id] = NEVER

    def put_channel(self, channel: Channel) -> None:
        """Keeps the new state of a conversation."""
        query = "UPDATE channels SET body = ? WHERE id = ?"
        self._db.execute(query, (json.dumps(vars(channel)), channel.id))

    def channels(self) -> list[Channel]:
        """Every conversation, in the order they were made."""
        rows = self._db.execute("SELECT body FROM channels ORDER BY rowid")
        return [Channel(**json.loads(body)) for (body,) in rows]

    def channel(self, channel_id: str) -> Channel | None:
        """The conversation with this id."""
        query = "SELECT body FROM channels WHERE id = ?"
        row = self._db.execute(query, (channel_id,)).fetchone()
        return Channel(**json.loads(row[0])) if row else None

    def add_member(self, channel: str, person: str) -> None:
        """Lets a person into a conversation."""
        self._add_member(channel, person)

    def remove_member(self, channel: str, person: str) -> None:
        """Takes a person out of a conversation."""
        query = "DELETE FROM members WHERE channel = ? AND person = ?"
        self._db.execute(query, (channel, person))

    def _add_member(self, channel: str, person: str) -> None:
        self._db.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (channel, person))

    def members(self, channel: str) -> list[str]:
        """Ids of the members of a conversation, sorted."""
        query = "SELECT person FROM members WHERE channel = ? ORDER BY person"
        return [person for (person,) in self._db.execute(query, (channel,))]

    def is_member(self, channel: str, person: str) -> bool:
        """Whether this person is in the conversation."""
        query = "SELECT 1 FROM members WHERE channel = ? AND person = ?"
        return self._db.execute(query, (channel, person)).fetchone() is not None

    # --- Home views ---------------------------------------------------------------------------

    # --- messages -----------------------------------------------------------------------------

    def next_ts(self, channel: str, now: float) -> str:
        """A ts above every ts that this channel has had."""
        whole, part = self._last_ts[channel].split(".")
        micros = max(int(now * 1_000_000), int(whole) * 1_000_000 + int(part) + 1)
        ts = f"{micros // 1_000_000:010d}.{micros % 1_000_000:06d}"
        self._last_ts[channel] = ts
        return ts

    def add(self, channel: str, message: Message) -> None:
        """Keeps a new message (its `ts` from `next_ts`)."""
        ts, root = message["ts"], message.get("thread_ts", message["ts"])
        row = (channel, ts, root, _is_in_channel(message), message["user"], json.dumps(message))
        with self._transaction():
            self._db.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", row)
            self._db.execute("UPDATE channels SET last_ts = ? WHERE id = ?", (ts, channel))

    def replace(self, channel: str, message: Message) -> None:
        """Keeps the new state of a message."""
        query = (
            "UPDATE messages SET author = ?, body = ?, in_channel = ? WHERE channel = ? AND ts = ?"
        )
        row = (message["user"], json.dumps(message), _is_in_channel(message))
        self._db.execute(query, (*row, channel, message["ts"]))

    def remove(self, channel: str, ts: str) -> None:
        """Forgets a message."""
        self._db.execute("DELETE FROM messages WHERE channel = ? AND ts = ?", (channel, ts))

    def message(self, channel: str, ts: str) -> Message | None:
        """The message, as it was kept (without what its thread adds)."""
        query = "SELECT body FROM messages WHERE channel = ? AND ts = ?"
        row = self._db.execute(query, (channel, ts)).fetchone()
        return json.loads(row[0]) if row else None

    def history(self, channel: str, span: Span, *, limit: int) -> list[Message]:
        """Newest first, at most `limit`: the channel itself (roots and broadcast replies)."""
        query = (
            "SELECT body FROM messages WHERE channel = ? AND in_channel = 1"
            f" AND {span.condition} ORDER BY ts DESC LIMIT ?"
        )
        rows = self._db.execute(query, (channel, *span.bounds, limit))
        return [json.loads(body) for (body,) in rows]

    def replies(self, channel: str, root: str, span: Span, *, limit: int) -> list[Message]:
        """Oldest first, at most `limit`: a thread without its root."""
        query = (
            "SELECT body FROM messages WHERE channel = ? AND thread_ts = ? AND ts != ?"
            f" AND {span.condition} ORDER BY ts LIMIT ?"
        )
        rows = self._db.execute(query, (channel, root, root, *span.bounds, limit))
        return [json.loads(body) for (body,) in rows]

    def messages_with(self, field: str) -> list[tuple[str, Message]]:
        """Every message that has this field, with the id of its channel; the newest first."""
        query = (
            "SELECT channel, body FROM messages WHERE json_extract(body, '$.' || ?) IS NOT NULL"
            " ORDER BY ts DESC"
        )
        return [(channel, json.loads(body)) for channel, body in self._db.execute(query, (field,))]

    def threads(self, channel: str, roots: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """What replies add to these roots, in Slack's words; a root without replies is left out."""
        marks = ",".join("?" * len(roots))
        query = (
            "SELECT thread_ts, author, COUNT(*), MAX(ts) FROM messages WHERE channel = ?"
            f" AND thread_ts IN ({marks}) AND ts != thread_ts"
            " GROUP BY thread_ts, author ORDER BY MIN(ts)"
        )
        by_root: dict[str, list[tuple[str, int, str]]] = {}
        for root, *of_author in self._db.execute(query, (channel, *roots)):
            by_root.setdefault(root, []).append((of_author[0], of_author[1], of_author[2]))
        return {root: _thread_fields(authors) for root, authors in by_root.items()}

    # --- records: files and other things, by kind and id ------------------------------------------

    def put_record(self, kind: str, record_id: str, body: Mapping[str, Any]) -> None:
        """Keeps a record (JSON), or its new state."""
        query = (
            "INSERT INTO records VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"
        )
        self._db.execute(query, (kind, record_id, json.dumps(body)))

    def record(self, kind: str, record_id: str) -> dict[str, Any] | None:
        """The record with this id."""
        query = "SELECT body FROM records WHERE kind = ? AND id = ?"
        row = self._db.execute(query, (kind, record_id)).fetchone()
        return json.loads(row[0]) if row else None

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Every record of a kind, in the order they came."""
        query = "SELECT body FROM records WHERE kind = ? ORDER BY rowid"
        return [json.loads(body) for (body,) in self._db.execute(query, (kind,))]

    def remove_record(self, kind: str, record_id: str) -> bool:
        """Forgets a record; whether it was there."""
        query = "DELETE FROM records WHERE kind = ? AND id = ?"
        return self._db.execute(query, (kind, record_id)).rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing of it."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _is_in_channel(message: Message) -> bool:
    """Whether the channel itself shows the message: it is no reply, or a broadcast one."""
    is_root = message.get("thread_ts", message["ts"]) == message["ts"]
    return is_root or message.get("subtype") == "thread_broadcast"


def _thread_fields(authors: Sequence[tuple[str, int, str]]) -> Mapping[str, Any]:
    """What Slack adds to a root whose repliers are these: (person, how many, the latest ts)."""
    return {
        "reply_count": sum(count for _, count, _ in authors),
        "reply_users_count": len(authors),
        "reply_users": [author for author, _, _ in authors],
        "latest_reply": max(ts for _, _, ts in authors),
        "is_locked": False,
        "subscribed": True,
    }
