"""Requests on disk: one SQLite database under CDT_HOME/jobs, one row a request, its history beside it.

Write-ahead logging with synchronous=FULL: a request that `add` returned from survives kill -9 and a power
cut. Every change of state goes through request.TRANSITIONS, inside a transaction that holds the writers'
lock, so that processes need no other agreement.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..errors import CustomerError, FacilityError
from ..request import (
    FINAL,
    TRANSITIONS,
    CustomerDataRequest,
    ProcessingResult,
    RequestStatus,
    decode_request,
    decode_result,
    encode,
)
from ..settings import Settings
from ..vocabulary import ProcessingPriority, RequestState

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    body BLOB NOT NULL,
    settings BLOB NOT NULL,
    rank INTEGER NOT NULL,
    state TEXT NOT NULL,
    worker TEXT NOT NULL DEFAULT '',
    attempt INTEGER NOT NULL DEFAULT 0,
    stage TEXT NOT NULL DEFAULT '',
    done INTEGER NOT NULL DEFAULT 0,
    total INTEGER,
    error BLOB,
    result BLOB
) STRICT;
CREATE INDEX IF NOT EXISTS turn ON requests (state, rank DESC, place);
CREATE TABLE IF NOT EXISTS history (
    id TEXT NOT NULL REFERENCES requests (id),
    at TEXT NOT NULL,
    state TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS history_of ON history (id);
"""
_RANKS = {
    ProcessingPriority.LOW: 0,
    ProcessingPriority.NORMAL: 1,
    ProcessingPriority.HIGH: 2,
    ProcessingPriority.CRITICAL: 3,
}
_PATIENCE_S = 30.0  # how long a writer waits for another one


@dataclass(frozen=True, slots=True)
class Job:
    """A request as its worker sees it. `attempt` counts from 1."""

    request: CustomerDataRequest
    settings: Settings
    attempt: int


class JobStore:
    """The database; opened anew for each call, so that it may be used from any thread or process."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, CDT_HOME/jobs; it is made with mode 0700 at first use."""
        self.folder = folder

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that holds the writers' lock; all or nothing is kept."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.rollback()
                raise
            db.commit()

    def add(self, request: CustomerDataRequest, settings: Settings) -> None:
        """Store a request as queued; raise CustomerError (request-conflict) if its id holds another one."""
        body = encode(request)
        with self.writing() as db:
            held = db.execute("SELECT body FROM requests WHERE id = ?", (request.request_id,)).fetchone()
            if held is not None:
                if held[0] != body:
                    raise CustomerError(
                        f"another request has the id {request.request_id}",
                        code="request-conflict",
                        remedy="give it an id of its own, or send exactly the same request",
                    )
                return
            db.execute(
                "INSERT INTO requests (id, body, settings, rank, state) VALUES (?, ?, ?, ?, ?)",
                (
                    request.request_id,
                    body,
                    msgspec.json.encode(settings),
                    _RANKS[request.priority],
                    str(RequestState.QUEUED),
                ),
            )
            note(db, request.request_id, RequestState.QUEUED, "submitted")

    def find(self, request_id: str) -> CustomerDataRequest | None:
        """Return the request of that id."""
        with self._open() as db:
            held = db.execute("SELECT body FROM requests WHERE id = ?", (request_id,)).fetchone()
        return None if held is None else decode_request(held[0])

    def ids(self) -> tuple[str, ...]:
        """Return all ids, oldest first."""
        with self._open() as db:
            return tuple(row[0] for row in db.execute("SELECT id FROM requests ORDER BY place"))

    def status(self, request_id: str) -> RequestStatus:
        """Return where a request stands; raise CustomerError (unknown-request)."""
        with self._open() as db:
            db.execute("BEGIN")
            row = db.execute(
                "SELECT body, state, stage, done, total, error, result FROM requests WHERE id = ?", (request_id,)
            ).fetchone()
            told = db.execute(
                "SELECT at, state, note FROM history WHERE id = ? ORDER BY rowid", (request_id,)
            ).fetchall()
        if row is None:
            raise unknown_request(request_id)
        body, state, stage, done, total, error, result = row
        request = decode_request(body)
        history = tuple((at, RequestState(word), text) for at, word, text in told)
        current = RequestState(state)
        return RequestStatus(
            request_id=request_id,
            state=current,
            priority=request.priority,
            processing_mode=request.processing_mode,
            submitted_at=history[0][0],
            started_at=next((at for at, was, _ in reversed(history) if was is RequestState.RUNNING), None),
            finished_at=history[-1][0] if current in FINAL else None,
            stage=stage,
            done=done,
            total=total,
            history=history,
            error=msgspec.json.decode(error) if error is not None else None,
            result=decode_result(result) if result is not None else None,
        )

    def begin(self, request_id: str, worker: str) -> Job | None:
        """Return the job that was given to this worker, None if it was not (or no longer).

        Waits for the writers' lock, which whoever starts a worker holds until the row names it.
        """
        with self.writing() as db:
            row = db.execute(
                "SELECT body, settings, attempt FROM requests WHERE id = ? AND state = ? AND worker = ?",
                (request_id, str(RequestState.RUNNING), worker),
            ).fetchone()
        if row is None:
            return None
        return Job(decode_request(row[0]), msgspec.json.decode(row[1], type=Settings), row[2])

    def progress(self, request_id: str, worker: str, stage: str, done: int, total: int | None) -> None:
        """Record how far a worker has come."""
        with self.writing() as db:
            db.execute(
                "UPDATE requests SET stage = ?, done = ?, total = ? WHERE id = ? AND worker = ?",
                (stage, done, total, request_id, worker),
            )

    def complete(self, request_id: str, result: ProcessingResult) -> None:
        """Record the result; a request that was cancelled meanwhile stays cancelled."""
        with self.writing() as db:
            move(db, request_id, RequestState.COMPLETED, "done", result=encode(result))

    def fail(self, request_id: str, error: dict[str, str]) -> None:
        """Record why it failed; a request that was cancelled meanwhile stays cancelled."""
        with self.writing() as db:
            move(db, request_id, RequestState.FAILED, error["message"], error=msgspec.json.encode(error))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self.folder / "requests.sqlite"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(path, timeout=_PATIENCE_S, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = FULL")
                if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                    self._make(db)
                yield db
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
            raise FacilityError(
                f"the store of requests failed: {error}",
                code="disk-full" if full else "no-permission",
                where=str(path),
                remedy="free space" if full else "let CDT_HOME name a folder that you may write",
            ) from error
        except (PermissionError, NotADirectoryError, FileExistsError) as error:
            raise FacilityError(
                f"the folder for requests cannot be made: {error.strerror}",
                code="no-permission",
                where=str(self.folder),
                remedy="let CDT_HOME name a folder that you may write",
            ) from error

    def _make(self, db: sqlite3.Connection) -> None:
        """Make the tables, one process at a time: the step to write-ahead logging does not wait for others."""
        lock = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if db.execute("PRAGMA user_version").fetchone()[0] == 0:
                _write_ahead(db)
                db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = 1; COMMIT;")
        finally:
            os.close(lock)


def _write_ahead(db: sqlite3.Connection) -> None:
    """Step to write-ahead logging; a passing reader makes SQLite refuse at once, so try until it is gone."""
    limit = time.monotonic() + _PATIENCE_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > limit:
                raise
            time.sleep(0.01)


def move(
    db: sqlite3.Connection,
    request_id: str,
    state: RequestState,
    why: str,
    **columns: Any,
) -> bool:
    """Bring a request into another state if the table allows it, and say whether it did. Inside `writing`."""
    row = db.execute("SELECT state FROM requests WHERE id = ?", (request_id,)).fetchone()
    if row is None or state not in TRANSITIONS[RequestState(row[0])]:
        return False
    names = "".join(f", {name} = ?" for name in columns)
    db.execute(f"UPDATE requests SET state = ?{names} WHERE id = ?", (str(state), *columns.values(), request_id))
    note(db, request_id, state, why)
    return True


def note(db: sqlite3.Connection, request_id: str, state: RequestState, why: str) -> None:
    """Add a line to a request's history. Inside `writing`."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    db.execute("INSERT INTO history (id, at, state, note) VALUES (?, ?, ?, ?)", (request_id, at, str(state), why))


def unknown_request(request_id: object) -> CustomerError:
    """Return the error for an id that no request has."""
    return CustomerError(
        f"there is no request {str(request_id)[:140]!r}",
        code="unknown-request",
        remedy="check the id, and that CDT_HOME is the one it was submitted under",
    )
