"""The one place where adapters are chosen for the promised Python API and for its workers."""

import contextlib
import json
import signal
import sys
import time
import traceback
from pathlib import Path
from types import FrameType

from .adapters.files import LocalSource
from .adapters.job_store import Job, JobStore
from .adapters.jobs import LocalJobs, own_name, worker_command
from .errors import CdtError, InternalFault
from .request import CustomerDataRequest, ProcessingResult
from .service.orchestrator import Orchestrator
from .settings import Settings, load_settings, state_folder
from .vocabulary import ProcessingMode

_PROGRESS_EVERY_S = 0.5


class AdvancedCustomerDataOrchestrator(Orchestrator):
    """The orchestrator on this machine: requests under CDT_HOME, each worked on in a process of its own."""

    def __init__(self, config: Path | None = None) -> None:
        """Read the settings (`config`, else CDT_CONFIG, else ./customer_config.yaml, else defaults).

        Nothing is made on disk before the first request. Raise CustomerError (bad-configuration).
        """
        settings = load_settings(config)
        _name_what_is_not_built(settings)
        home = state_folder().absolute()
        super().__init__(
            engine=_engine(home, settings),
            settings=settings,
            look_at=LocalSource,
            packages=home / "packages",
        )


def work(request_id: str) -> int:
    """Do one request that was given to this process, then start whatever is due; return the exit status.

    The outcome, good or bad, goes into the store; the log beside it holds the traceback of a bug of ours.
    """
    home = state_folder().absolute()
    store = JobStore(home / "jobs")
    job = store.begin(request_id, own_name())
    if job is None:
        return 0  # cancelled, or never ours
    signal.signal(signal.SIGTERM, _leave)
    try:
        store.complete(request_id, _carry_out(job, store))
    except CdtError as error:
        store.fail(request_id, error.record())
    except Exception as error:
        traceback.print_exc()  # stderr is the request's log
        log = str(store.folder / f"{request_id}.log")
        fault = InternalFault(f"a mistake of ours: {type(error).__name__}", where=log, remedy="report it with that log")
        store.fail(request_id, fault.record())
    with contextlib.suppress(CdtError):  # the next question asked will start what is due
        _engine(home, job.settings).dispatch()
    return 0


def _carry_out(job: Job, store: JobStore) -> ProcessingResult:
    from .local import surroundings
    from .modes import batch, federated

    modes = {ProcessingMode.BATCH: batch.run, ProcessingMode.FEDERATED: federated.run}
    request = job.request
    assert request.output_location is not None  # the facade set it
    assignment = batch.Assignment(
        request=request,
        settings=job.settings,
        source=LocalSource(request.data_path),
        target=request.output_location,
        metadata=_metadata_file(request, store.folder),
        again=job.attempt > 1,
    )
    progress = StoredProgress(store, request.request_id)
    return modes[request.processing_mode](assignment, surroundings(progress))


def _metadata_file(request: CustomerDataRequest, folder: Path) -> Path | None:
    """Write what the request says of its dataset as --metadata reads it; None where it says nothing."""
    said = dict(request.metadata)
    if request.institution_name:
        said.setdefault("institution", request.institution_name)
    if not said:
        return None
    path = folder / f"{request.request_id}.metadata.json"
    path.write_text(json.dumps(said), "utf-8")
    return path


class StoredProgress:
    """Progress that others read from the store; written twice a second at most."""

    def __init__(self, store: JobStore, request_id: str) -> None:
        """Take the store and the request that the progress is of."""
        self._store = store
        self._request_id = request_id
        self._worker = own_name()
        self._stage = ""
        self._done = 0
        self._total: int | None = None
        self._told = 0.0

    def stage(self, name: str, total: int | None) -> None:
        """Start a stage."""
        self._stage, self._done, self._total = name, 0, total
        self._tell()

    def advance(self, amount: int) -> None:
        """Add to the running stage."""
        self._done += amount
        if time.monotonic() - self._told >= _PROGRESS_EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        with contextlib.suppress(CdtError):  # a busy store must not fail the treatment
            self._store.progress(self._request_id, self._worker, self._stage, self._done, self._total)


def _engine(home: Path, settings: Settings) -> LocalJobs:
    from .pipeline.house_rules import requests_at_once

    return LocalJobs(JobStore(home / "jobs"), settings, requests_at_once(settings), worker_command())


_named: set[str] = set()


def _name_what_is_not_built(settings: Settings) -> None:
    """Say once per process and file, on stderr, which keys have no effect yet."""
    if settings.not_built and settings.origin not in _named:
        _named.add(settings.origin)
        keys = ", ".join(settings.not_built)
        print(f"cdt: not built yet, no effect: {keys} ({settings.origin})", file=sys.stderr)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """End a cancelled worker the way that lets every `finally` clear up."""
    raise SystemExit(0)
