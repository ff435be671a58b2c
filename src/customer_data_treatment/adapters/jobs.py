"""The embedded job engine: the store, and one detached child process for each running request.

Whoever touches the engine (a submission, a question, a worker that has finished) starts what is due:
highest priority first, oldest first among equals, never more at once than allowed. A worker is known by
pid and start time, so that a reused pid is not taken for it; one that died without a word is reported
failed with what is known of its end. Nothing waits in memory: any process may ask or go on.
"""

import os
import signal
import site
import sqlite3
import sys
import time
from pathlib import Path

import msgspec

from ..errors import FacilityError
from ..request import FINAL, CustomerDataRequest, RequestStatus
from ..settings import Settings
from ..vocabulary import RequestState
from .job_store import JobStore, move, unknown_request

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_GRACE_S = 5.0  # between asking a cancelled worker to stop and stopping it


class LocalJobs:
    """Requests worked on by this machine; satisfies ports.JobEngine. Holds no state of its own."""

    def __init__(self, store: JobStore, settings: Settings, at_once: int, command: tuple[str, ...]) -> None:
        """Take the store, the settings that new requests are stored with, and the worker's command.

        `command` gets the request's id as its last argument; the child finds CDT_HOME in its environment.
        """
        self._store = store
        self._settings = settings
        self._at_once = at_once
        self._command = command

    def find(self, request_id: str) -> CustomerDataRequest | None:
        """Return the request stored under an id."""
        return self._store.find(request_id)

    def submit(self, request: CustomerDataRequest) -> str:
        """Store a request and start it if there is room; raise CustomerError (request-conflict)."""
        self._store.add(request, self._settings)
        self.dispatch()
        return request.request_id

    def status(self, request_id: str) -> RequestStatus:
        """Return where a request stands, after looking at those who should be working."""
        found = self._store.status(request_id)
        if found.state in FINAL:
            return found
        self.dispatch()
        return self._store.status(request_id)

    def request_ids(self) -> tuple[str, ...]:
        """Return the ids of all requests, oldest first."""
        return self._store.ids()

    def cancel(self, request_id: str) -> RequestStatus:
        """Cancel a request that has not ended; its worker is stopped and leaves nothing behind."""
        with self._store.writing() as db:
            row = db.execute("SELECT worker FROM requests WHERE id = ?", (request_id,)).fetchone()
            if row is None:
                raise unknown_request(request_id)
            stopped = move(db, request_id, RequestState.CANCELLED, "cancelled")
        if stopped and row[0]:
            _stop(row[0])
        self.dispatch()
        return self._store.status(request_id)

    def dispatch(self) -> None:
        """Report the workers that died and start what is due."""
        with self._store.writing() as db:
            running = self._reap(db)
            due = db.execute(
                "SELECT id FROM requests WHERE state = ? ORDER BY rank DESC, place LIMIT ?",
                (str(RequestState.QUEUED), max(0, self._at_once - running)),
            ).fetchall()
            for (request_id,) in due:
                self._start(db, request_id)

    def _reap(self, db: sqlite3.Connection) -> int:
        """Move the requests of dead workers on; return how many are truly running."""
        rows = db.execute("SELECT id, worker FROM requests WHERE state = ?", (str(RequestState.RUNNING),)).fetchall()
        alive = 0
        for request_id, worker in rows:
            ending = _ending(worker)
            if ending is None:
                alive += 1
            elif worker.rpartition(" ")[2] != _boot():
                move(db, request_id, RequestState.QUEUED, "the machine stopped under its worker", worker="")
            else:
                log = str(self._store.folder / f"{request_id}.log")
                error = FacilityError(
                    f"the worker of this request died: {ending}",
                    code="child-died",
                    where=log,
                    remedy="look into that log, and submit it again under a new id",
                )
                move(db, request_id, RequestState.FAILED, error.message, error=msgspec.json.encode(error.record()))
        return alive

    def _start(self, db: sqlite3.Connection, request_id: str) -> None:
        """Start a worker; the row names it before the writers' lock is given back, so none runs unnamed."""
        try:
            worker = worker_name(_spawn((*self._command, request_id), self._store.folder / f"{request_id}.log"))
        except OSError as error:
            failure = FacilityError(
                f"no worker could be started: {error.strerror}", code="child-died", remedy="free processes or memory"
            )
            move(db, request_id, RequestState.FAILED, failure.message, error=msgspec.json.encode(failure.record()))
            return
        move(db, request_id, RequestState.RUNNING, "started", worker=worker)
        db.execute("UPDATE requests SET attempt = attempt + 1 WHERE id = ?", (request_id,))


def worker_name(pid: int) -> str:
    """Return what tells this process from any other that ever had its pid: pid, start time, boot."""
    return f"{pid} {_started(pid)} {_boot()}"


def own_name() -> str:
    """Return this process's worker name."""
    return worker_name(os.getpid())


def worker_command() -> tuple[str, ...]:
    """Return the command that starts a worker of this installation, wherever it is started."""
    return (sys.executable, "-P", "-m", "customer_data_treatment.entrypoints", "worker")


def _spawn(command: tuple[str, ...], log: Path) -> int:
    """Start a detached process in a session of its own: it outlives us, and our Ctrl-C is not its own.

    posix_spawn, not subprocess: no object that must be waited for, and nothing but the three standard files
    is inherited.
    """
    environment = {**os.environ, "CDT_HOME": str(log.parent.parent.absolute())}
    root = str(Path(__file__).resolve().parents[2])
    if root not in (*site.getsitepackages(), site.getusersitepackages()):
        # A checkout that is merely on our path; an installed package is found anyway, and its folder must
        # not come before the standard library.
        environment["PYTHONPATH"] = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, environment, file_actions=files, setsid=True)


def _ending(worker: str) -> str | None:
    """Return what is known of a worker's end, None while it lives."""
    pid_text, _, rest = worker.partition(" ")
    if not pid_text.isdigit():
        return "it was never named"
    pid = int(pid_text)
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)  # only ever its own parent learns how it ended
        if ended == pid:
            return _reason(status)
    except ChildProcessError:
        pass
    return None if rest and worker_name(pid) == worker and _started(pid) else "its process is gone"


def _reason(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"it ended with status {code} before it could report"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return f"it was stopped by signal {name}{hint}"


def _started(pid: int) -> str:
    """Return a process's start time in the kernel's ticks, "" if it is gone or only waits to be buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "" if Path("/proc/self").exists() or not _exists(pid) else "unknown"
    state, *fields = text.rpartition(")")[2].split()
    return "" if state in ("Z", "X") else fields[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boot() -> str:
    try:
        return _BOOT.read_text("ascii").strip()
    except OSError:
        return "unknown"


def _stop(worker: str) -> None:
    """Ask a worker and its children to stop, and stop them if they do not."""
    pid = int(worker.partition(" ")[0])
    for sign, patience in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, 1.0)):
        if _ending(worker) is not None:
            return
        try:
            os.killpg(pid, sign)
        except (ProcessLookupError, PermissionError):
            return
        limit = time.monotonic() + patience
        while time.monotonic() < limit and _ending(worker) is None:
            time.sleep(0.02)
