"""The embedded job engine: what is stored, who runs when, and what becomes of the dead."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from customer_data_treatment.adapters.job_store import JobStore
from customer_data_treatment.adapters.jobs import LocalJobs
from customer_data_treatment.errors import CustomerError, FacilityError
from customer_data_treatment.request import CustomerDataRequest, RequestStatus
from customer_data_treatment.settings import Settings
from customer_data_treatment.vocabulary import ProcessingPriority, RequestState

WORKER = """
import os, sys, time
from pathlib import Path
from customer_data_treatment.adapters.job_store import JobStore
from customer_data_treatment.adapters.jobs import own_name
from customer_data_treatment.request import ProcessingResult
from customer_data_treatment.vocabulary import Level
store = JobStore(Path(os.environ["CDT_HOME"]) / "jobs")
job = store.begin(sys.argv[1], own_name())
if job is None:
    sys.exit(0)
store.progress(sys.argv[1], own_name(), "treating", 5, 10)
wish = job.request.institution_name
with open(os.environ["CDT_HOME"] + "/order", "a") as file:
    file.write(sys.argv[1] + "\\n")
if wish == "die":
    os._exit(3)
while wish == "wait" and not Path(os.environ["CDT_HOME"], "go").exists():
    time.sleep(0.02)
store.complete(sys.argv[1], ProcessingResult(
    sys.argv[1], 1.0, 0.5, Path("/p"), Level.EXPLORATORY, 1.0, "NPY", "general", 2, 1, False))
"""


def engine(home: Path, at_once: int = 4) -> LocalJobs:
    command = (sys.executable, "-c", textwrap.dedent(WORKER))
    return LocalJobs(JobStore(home / "jobs"), Settings(), at_once, command)


def request(name: str, wish: str = "", priority: ProcessingPriority = ProcessingPriority.NORMAL) -> CustomerDataRequest:
    return CustomerDataRequest(name, "customer", Path("/data"), institution_name=wish, priority=priority)


def until(jobs: LocalJobs, name: str, met: Callable[[RequestStatus], bool]) -> RequestStatus:
    limit = time.monotonic() + 60
    while not met(found := jobs.status(name)):
        assert time.monotonic() < limit, found
        time.sleep(0.05)
    return found


def ended(status: RequestStatus) -> bool:
    return status.state not in (RequestState.QUEUED, RequestState.RUNNING)


def test_a_request_is_stored_run_and_seen_by_a_second_engine(tmp_path: Path) -> None:
    assert engine(tmp_path).submit(request("a")) == "a"
    found = until(engine(tmp_path), "a", ended)
    assert found.state is RequestState.COMPLETED and found.result is not None
    assert found.result.processed_data_location == Path("/p")
    assert [str(state) for _, state, _ in found.history] == ["queued", "running", "completed"]
    assert (found.stage, found.done, found.total) == ("treating", 5, 10)
    assert found.submitted_at <= (found.started_at or "") <= (found.finished_at or "")
    assert engine(tmp_path).request_ids() == ("a",) and engine(tmp_path).find("a") == request("a")
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700


def test_equal_resubmission_is_one_request_and_another_is_refused(tmp_path: Path) -> None:
    jobs = engine(tmp_path)
    jobs.submit(request("a"))
    assert jobs.submit(request("a")) == "a" and jobs.request_ids() == ("a",)
    with pytest.raises(CustomerError) as caught:
        jobs.submit(request("a", priority=ProcessingPriority.LOW))
    assert caught.value.code == "request-conflict"
    until(jobs, "a", ended)


def test_an_unknown_id_is_the_customers_error(tmp_path: Path) -> None:
    for ask in (engine(tmp_path).status, engine(tmp_path).cancel):
        with pytest.raises(CustomerError) as caught:
            ask("nobody")
        assert caught.value.code == "unknown-request"
    assert engine(tmp_path).find("nobody") is None


def test_priorities_and_the_limit_are_kept(tmp_path: Path) -> None:
    jobs = engine(tmp_path, at_once=1)
    jobs.submit(request("first", "wait"))
    names = {
        "low": ProcessingPriority.LOW,
        "normal": ProcessingPriority.NORMAL,
        "critical": ProcessingPriority.CRITICAL,
    }
    for name, priority in names.items():
        jobs.submit(request(name, priority=priority))
    jobs.submit(request("high", priority=ProcessingPriority.HIGH))
    assert all(jobs.status(name).state is RequestState.QUEUED for name in (*names, "high"))
    (tmp_path / "go").touch()
    for name in ("first", "low"):
        until(jobs, name, ended)
    assert (tmp_path / "order").read_text().split() == ["first", "critical", "high", "normal", "low"]


@pytest.mark.parametrize("ending", ["exit", "kill"])
def test_a_worker_that_dies_is_reported_failed_with_the_reason(tmp_path: Path, ending: str) -> None:
    jobs = engine(tmp_path)
    jobs.submit(request("a", "die" if ending == "exit" else "wait"))
    if ending == "kill":
        until(jobs, "a", lambda status: status.stage != "")
        with JobStore(tmp_path / "jobs").writing() as db:
            worker = db.execute("SELECT worker FROM requests").fetchone()[0]
        os.kill(int(worker.split()[0]), signal.SIGKILL)
    found = until(jobs, "a", ended)
    assert found.state is RequestState.FAILED and found.error is not None
    assert found.error["code"] == "child-died" and found.error["where"].endswith("a.log")
    assert ("status 3" if ending == "exit" else "SIGKILL") in found.error["message"]


def test_a_stranger_notices_the_death_too(tmp_path: Path) -> None:
    engine(tmp_path).submit(request("a", "wait"))
    until(engine(tmp_path), "a", lambda status: status.stage != "")
    with JobStore(tmp_path / "jobs").writing() as db:
        worker = db.execute("SELECT worker FROM requests").fetchone()[0]
    os.kill(int(worker.split()[0]), signal.SIGKILL)
    code = (
        "import sys; from pathlib import Path; from customer_data_treatment.settings import Settings;"
        "from customer_data_treatment.adapters.job_store import JobStore;"
        "from customer_data_treatment.adapters.jobs import LocalJobs;"
        "found = LocalJobs(JobStore(Path(sys.argv[1])), Settings(), 1, ()).status('a'); print(found.state, found.error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "jobs")], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("failed") and "its process is gone" in told.stdout


def test_after_a_restart_of_the_machine_the_request_runs_again(tmp_path: Path) -> None:
    jobs = engine(tmp_path)
    JobStore(tmp_path / "jobs").add(request("a"), Settings())
    with JobStore(tmp_path / "jobs").writing() as db:
        db.execute("UPDATE requests SET state = 'running', worker = '1 1 another-boot', attempt = 1")
    found = until(jobs, "a", ended)
    assert found.state is RequestState.COMPLETED
    assert any("machine stopped" in why for _, _, why in found.history)


def test_cancelling_stops_the_worker_or_the_waiting(tmp_path: Path) -> None:
    jobs = engine(tmp_path, at_once=1)
    jobs.submit(request("running", "wait"))
    jobs.submit(request("waiting"))
    until(jobs, "running", lambda status: status.stage != "")
    assert jobs.cancel("waiting").state is RequestState.CANCELLED
    assert jobs.cancel("running").state is RequestState.CANCELLED
    with JobStore(tmp_path / "jobs").writing() as db:
        worker = db.execute("SELECT worker FROM requests WHERE id = 'running'").fetchone()[0]
    with pytest.raises(ProcessLookupError):
        os.kill(int(worker.split()[0]), 0)
    assert jobs.cancel("running").state is RequestState.CANCELLED
    assert jobs.status("waiting").state is RequestState.CANCELLED


def _submit_many(home: str, start: int) -> None:
    jobs = engine(Path(home), at_once=2)
    for i in range(start, start + 5):
        jobs.submit(request(f"r{i}"))


def test_processes_that_submit_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    running = [context.Process(target=_submit_many, args=(str(tmp_path), 5 * i)) for i in range(2)]
    for process in running:
        process.start()
    for process in running:
        process.join(60)
        assert process.exitcode == 0
    jobs = engine(tmp_path, at_once=2)
    assert sorted(jobs.request_ids()) == sorted(f"r{i}" for i in range(10))
    for i in range(10):
        assert until(jobs, f"r{i}", ended).state is RequestState.COMPLETED
    assert sorted((tmp_path / "order").read_text().split()) == sorted(jobs.request_ids())


def _open_first(folder: str) -> tuple[str, ...]:
    return JobStore(Path(folder)).ids()


def test_processes_that_open_a_new_store_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    with multiprocessing.get_context("fork").Pool(6) as pool:
        for i in range(10):
            assert pool.map(_open_first, [str(tmp_path / f"{i}" / "jobs")] * 6, chunksize=1) == [()] * 6


def test_a_worker_runs_only_what_it_was_given(tmp_path: Path) -> None:
    store = JobStore(tmp_path / "jobs")
    store.add(request("a"), Settings(max_concurrent_requests=3))
    assert store.begin("a", "1 1 x") is None
    with store.writing() as db:
        db.execute("UPDATE requests SET state = 'running', worker = '1 1 x', attempt = 1")
    job = store.begin("a", "1 1 x")
    assert job is not None and job.settings.max_concurrent_requests == 3 and job.attempt == 1
    store.fail("a", {"code": "corrupt", "message": "no", "where": "", "remedy": ""})
    store.fail("a", {"code": "corrupt", "message": "again", "where": "", "remedy": ""})
    assert store.status("a").error == {"code": "corrupt", "message": "no", "where": "", "remedy": ""}


def test_a_home_that_cannot_be_used_is_the_facilitys_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FacilityError) as caught:
        engine(tmp_path / "file").submit(request("a"))
    assert caught.value.exit_status == 7
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "requests.sqlite").write_text("not a database, but long enough to look like one " * 100)
    with pytest.raises(FacilityError):
        engine(tmp_path).request_ids()
