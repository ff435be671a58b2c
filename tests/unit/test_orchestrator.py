"""The facade: what is refused at the door, and that it knows no adapter."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError
from customer_data_treatment.request import CustomerDataRequest, RequestStatus
from customer_data_treatment.service.orchestrator import Orchestrator
from customer_data_treatment.settings import Settings
from customer_data_treatment.vocabulary import ProcessingMode, ProcessingPriority, RequestState


class RememberedJobs:
    """A job engine that only remembers."""

    def __init__(self) -> None:
        self.held: dict[str, CustomerDataRequest] = {}

    def find(self, request_id: str) -> CustomerDataRequest | None:
        return self.held.get(request_id)

    def submit(self, request: CustomerDataRequest) -> str:
        self.held[request.request_id] = request
        return request.request_id

    def status(self, request_id: str) -> RequestStatus:
        held = self.held[request_id]
        return RequestStatus(request_id, RequestState.QUEUED, held.priority, held.processing_mode, "now")

    def cancel(self, request_id: str) -> RequestStatus:
        return replace(self.status(request_id), state=RequestState.CANCELLED)

    def request_ids(self) -> tuple[str, ...]:
        return tuple(self.held)


@pytest.fixture
def jobs() -> RememberedJobs:
    return RememberedJobs()


def orchestrator(jobs: RememberedJobs, tmp_path: Path, settings: Settings = Settings()) -> Orchestrator:
    return Orchestrator(jobs, settings, LocalSource, tmp_path / "packages")


def request(tmp_path: Path, **changes: Any) -> CustomerDataRequest:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    return CustomerDataRequest(**({"request_id": "r1", "customer_id": "c", "data_path": path} | changes))


def test_a_request_is_stored_with_absolute_places(
    jobs: RememberedJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    door = orchestrator(jobs, tmp_path)
    assert asyncio.run(door.submit_processing_request(request(tmp_path, data_path=Path("data.csv")))) == "r1"
    assert jobs.held["r1"].data_path == tmp_path / "data.csv"
    assert jobs.held["r1"].output_location == tmp_path / "packages" / "r1"
    status = asyncio.run(door.get_request_status("r1"))
    assert status["status"] == "queued" and "result" not in status and "error" not in status
    assert asyncio.run(door.cancel_request("r1"))["status"] == "cancelled"
    assert asyncio.run(door.list_requests()) == ("r1",)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"data_path": Path("/nowhere/at/all.csv")}, "not-found"),
        ({"data_path": Path("/dev/null")}, "not-a-dataset"),
        ({"processing_mode": ProcessingMode.STREAMING}, "not-built-yet"),
        ({"privacy_requirements": {"homomorphic_encryption": True}}, "not-built-yet"),
        ({"privacy_requirements": {"telepathy": True}}, "wrong-usage"),
        ({"quality_requirements": {"minimum_quality": 2}}, "wrong-usage"),
        ({"output_location": Path("/tmp")}, "target-exists"),
        ({"privacy_requirements": {"encryption_required": True, "epsilon": object()}}, "wrong-usage"),
    ],
)
def test_a_refusal_comes_at_submission_and_stores_nothing(
    jobs: RememberedJobs, tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    with pytest.raises(CdtError) as caught:
        asyncio.run(orchestrator(jobs, tmp_path).submit_processing_request(request(tmp_path, **changes)))
    assert caught.value.code == code and not jobs.held


def test_the_configuration_permits_modes(jobs: RememberedJobs, tmp_path: Path) -> None:
    door = orchestrator(jobs, tmp_path, Settings(enable_federated_learning=False))
    with pytest.raises(CdtError) as caught:
        asyncio.run(door.submit_processing_request(request(tmp_path, processing_mode=ProcessingMode.FEDERATED)))
    assert caught.value.code == "refused-by-policy" and caught.value.exit_status == 6
    asyncio.run(door.submit_processing_request(request(tmp_path)))


def test_what_was_stored_is_not_looked_at_again(jobs: RememberedJobs, tmp_path: Path) -> None:
    door = orchestrator(jobs, tmp_path)
    first = request(tmp_path, priority=ProcessingPriority.HIGH)
    asyncio.run(door.submit_processing_request(first))
    (tmp_path / "packages" / "r1").mkdir(parents=True)
    (tmp_path / "data.csv").unlink()
    assert asyncio.run(door.submit_processing_request(first)) == "r1"


def test_only_requests_are_taken(jobs: RememberedJobs, tmp_path: Path) -> None:
    anything: Any = {"request_id": "r1"}
    with pytest.raises(CdtError, match="no request"):
        asyncio.run(orchestrator(jobs, tmp_path).submit_processing_request(anything))
