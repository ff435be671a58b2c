"""The promised Python API: the mission's sample as it stands, and what a program meets around it."""

import ast
import asyncio
import hashlib
import inspect
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from typing import Any

import numpy as np
import pytest

from customer_data_treatment import (
    AdvancedCustomerDataOrchestrator,
    CustomerDataRequest,
    CustomerDataType,
    ProcessingMode,
    ProcessingPriority,
)
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.settings import state_folder
from tests.corpus_path import CORPUS

SAMPLE = """\
# Example: Submit Customer Dataset
from customer_data_treatment import AdvancedCustomerDataOrchestrator
from customer_data_treatment import CustomerDataRequest, DataModalityType

# Initialize orchestrator
orchestrator = AdvancedCustomerDataOrchestrator()

# Create processing request
request = CustomerDataRequest(
    request_id="genomics_study_001",
    customer_id="university_hospital_boston",
    institution_name="Boston University Medical Center",
    data_path=Path("/data/customer/genomics_cohort.zarr"),
    data_type=CustomerDataType.MULTI_OMICS,
    modality_types=[DataModalityType.GENOMIC_SEQUENCES, DataModalityType.PROTEOMICS],
    processing_mode=ProcessingMode.FEDERATED,
    priority=ProcessingPriority.HIGH,
    estimated_size_tb=15.5,
    privacy_requirements={'encryption_required': True, 'differential_privacy': True},
    quality_requirements={'minimum_quality': 0.99, 'compression_ratio': 0.3}
)

# Submit for processing
request_id = await orchestrator.submit_processing_request(request)

# Monitor progress
status = await orchestrator.get_request_status(request_id)
print(f"Processing status: {status['status']}")

# Get results when complete
if status['status'] == 'completed':
    result = status['result']
    print(f"Quality score: {result.quality_score}")
    print(f"Compression achieved: {result.compression_ratio}")
    print(f"Output location: {result.processed_data_location}")
"""
KERNELS = os.environ.get("NUMBA_CACHE_DIR") or str(state_folder() / "kernels")
NAMED = "/data/customer/genomics_cohort.zarr"
_ENDED = ("completed", "failed", "cancelled")
_PATIENCE_S = 180


@pytest.fixture(autouse=True)
def home(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setenv("CDT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", KERNELS)  # compiled once, not once a test
    monkeypatch.delenv("CDT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def zarr_dataset(folder: pathlib.Path) -> pathlib.Path:
    """Return a real Zarr dataset: sea ice from the corpus, else a field made here."""
    if CORPUS is not None:
        with zipfile.ZipFile(CORPUS / "environment/stars/sic_daily_sample.zarr.zip") as archive:
            archive.extractall(folder)
        return folder / "sic_daily_sample.zarr"
    import zarr

    group = zarr.open_group(folder / "made.zarr", mode="w")
    values = np.cumsum(np.random.default_rng(1).normal(size=(40, 60, 50)), axis=0).astype("float32")
    group.create_array("expression", data=values, dimension_names=("sample", "gene", "replicate"))
    return folder / "made.zarr"


def mission_sample() -> str:
    """Return the sample as the mission's text holds it, where that text is at hand."""
    if CORPUS is None or not (CORPUS.parent / "mission.txt").is_file():
        return SAMPLE
    text = (CORPUS.parent / "mission.txt").read_text("utf-8", "replace")
    start = text.index("# Example: Submit Customer Dataset")
    return text[start : text.index("```", start)]


def run_lines(source: str, names: dict[str, Any]) -> Any:
    """Run lines that may await at their top level, as a notebook does."""
    code = compile(source, "sample", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    flagged = code.co_flags & inspect.CO_COROUTINE
    pending = eval(code, names)  # the mission's own lines
    return asyncio.get_running_loop().create_task(pending) if flagged else asyncio.sleep(0)


async def ended(orchestrator: AdvancedCustomerDataOrchestrator, request_id: str) -> dict[str, Any]:
    limit = time.monotonic() + _PATIENCE_S
    while (status := await orchestrator.get_request_status(request_id))["status"] not in _ENDED:
        assert time.monotonic() < limit, status
        await asyncio.sleep(0.1)
    return status


def digests(folder: pathlib.Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def request(data: pathlib.Path, name: str = "r1", **changes: Any) -> CustomerDataRequest:
    return CustomerDataRequest(request_id=name, customer_id="clinic", data_path=data, **changes)


@pytest.fixture
def array(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "field.npy"
    np.save(path, np.random.default_rng(2).normal(size=(64, 64)).astype("float32"))
    return path


def test_our_copy_of_the_sample_is_the_missions() -> None:
    assert mission_sample() == SAMPLE


def test_the_sample_runs_as_written(
    tmp_path: pathlib.Path, home: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = zarr_dataset(tmp_path / "in")
    before = digests(dataset)
    names: dict[str, Any] = {
        "Path": lambda text: dataset if text == NAMED else pathlib.Path(text),
        "CustomerDataType": CustomerDataType,
        "ProcessingMode": ProcessingMode,
        "ProcessingPriority": ProcessingPriority,
    }
    submitting, _, showing = mission_sample().partition("# Get results when complete")

    async def journey() -> None:
        await run_lines(submitting, names)
        names["status"] = await ended(names["orchestrator"], names["request_id"])
        await run_lines(showing, names)

    asyncio.run(journey())
    printed = capsys.readouterr().out
    assert names["status"]["status"] == "completed", names["status"]
    assert "Processing status: " in printed and "Quality score: " in printed
    assert f"Output location: {home}/packages/genomics_study_001" in printed
    assert digests(dataset) == before
    check_the_samples_package(names["status"]["result"])


def check_the_samples_package(result: Any) -> None:
    """Look at what came of the sample: sealed, nothing released, one site, hints held against the data."""
    package = result.processed_data_location
    certificate = json.loads((package / "certificate.json").read_text())["body"]
    manifest = json.loads((package / "manifest.json").read_text())
    assert manifest["sealed"]["wrapped_file_keys"] and result.sealed
    assert "nothing was released" in certificate["privacy"] and "one site" in certificate["privacy"]
    assert certificate["score"] == result.quality_score and 0 < result.compression_ratio
    codes = {finding["code"] for finding in result.findings}
    assert "data-type-differs" in codes
    assert "size-differs" in codes and "metadata-institution-missing" not in codes
    assert "Boston University Medical Center" in (package / "ro-crate-metadata.json").read_text()
    told = cdt("verify", str(package), "--json")
    assert told.returncode == 0 and json.loads(told.stdout)["ok"] is True
    elsewhere = cdt("verify", str(package), "--json", CDT_HOME=str(package.parent / "no-keys"))
    assert elsewhere.returncode == 7 and "key" in elsewhere.stderr


def cdt(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "customer_data_treatment.cli", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=_PATIENCE_S
    )


def test_several_at_once_and_a_later_process_sees_them(array: pathlib.Path, tmp_path: pathlib.Path) -> None:
    bad = tmp_path / "bad.npy"
    bad.write_bytes(array.read_bytes()[:-100])

    async def journey() -> dict[str, dict[str, Any]]:
        first, second = AdvancedCustomerDataOrchestrator(), AdvancedCustomerDataOrchestrator()
        for name, path in (("a", array), ("b", array), ("c", bad)):
            assert await first.submit_processing_request(request(path, name)) == name
        return {name: await ended(second, name) for name in "abc"}

    found = asyncio.run(journey())
    assert [found[name]["status"] for name in "abc"] == ["completed", "completed", "failed"]
    assert found["c"]["error"]["code"] == "truncated" and found["c"]["error"]["remedy"]
    code = (
        "import asyncio; from customer_data_treatment import AdvancedCustomerDataOrchestrator as O;"
        "print(asyncio.run(O().get_request_status('a'))['result'].quality_score)"
    )
    later = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(later.stdout) == found["a"]["result"].quality_score


def test_the_work_outlives_the_caller(array: pathlib.Path) -> None:
    code = textwrap.dedent(
        """
        import asyncio, os, signal, sys
        from pathlib import Path
        from customer_data_treatment import AdvancedCustomerDataOrchestrator, CustomerDataRequest
        request = CustomerDataRequest("gone", "clinic", Path(sys.argv[1]))
        asyncio.run(AdvancedCustomerDataOrchestrator().submit_processing_request(request))
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    caller = subprocess.run([sys.executable, "-c", code, str(array)], check=False)
    assert caller.returncode == -signal.SIGKILL
    status = asyncio.run(ended(AdvancedCustomerDataOrchestrator(), "gone"))
    assert status["status"] == "completed"


REFUSED = {
    "no data": ({"data_path": pathlib.Path("nowhere.csv")}, "not-found"),
    "streaming": ({"processing_mode": ProcessingMode.STREAMING}, "not-built-yet"),
    "real time": ({"processing_mode": ProcessingMode.REAL_TIME}, "not-built-yet"),
    "homomorphic": ({"privacy_requirements": {"homomorphic_encryption": True}}, "not-built-yet"),
    "anonymity": ({"privacy_requirements": {"k_anonymity": 5}}, "not-built-yet"),
    "several sites": ({"participating_institutions": ["a", "b"]}, "not-built-yet"),
    "unknown": ({"quality_requirements": {"beauty": 1}}, "wrong-usage"),
    "impossible": ({"quality_requirements": {"minimum_quality": 99}}, "wrong-usage"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_honoured_is_refused_at_submission(array: pathlib.Path, name: str, home: pathlib.Path) -> None:
    changes, code = REFUSED[name]
    made = request(**({"data": array} | {}), **{k: v for k, v in changes.items() if k != "data_path"})
    if "data_path" in changes:
        made = request(changes["data_path"])
    with pytest.raises(CdtError) as caught:
        asyncio.run(AdvancedCustomerDataOrchestrator().submit_processing_request(made))
    assert caught.value.code == code
    with pytest.raises(CustomerError):
        asyncio.run(AdvancedCustomerDataOrchestrator().get_request_status("r1"))


def test_ids_are_kept_apart(array: pathlib.Path) -> None:
    async def journey() -> None:
        orchestrator = AdvancedCustomerDataOrchestrator()
        await orchestrator.submit_processing_request(request(array))
        assert await orchestrator.submit_processing_request(request(array)) == "r1"
        with pytest.raises(CustomerError) as caught:
            await orchestrator.submit_processing_request(request(array, priority=ProcessingPriority.LOW))
        assert caught.value.code == "request-conflict"
        with pytest.raises(CustomerError) as caught:
            await orchestrator.get_request_status("nobody")
        assert caught.value.code == "unknown-request"
        await ended(orchestrator, "r1")

    asyncio.run(journey())


def test_the_configuration_acts(
    array: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "customer_config.yaml"
    config.write_text(
        "privacy_by_default: true\nenable_gpu_acceleration: true\nenable_federated_learning: false\n"
        "quality_thresholds:\n  target_compression_ratio: 0.01\n"
    )
    orchestrator = AdvancedCustomerDataOrchestrator()
    AdvancedCustomerDataOrchestrator()
    assert capsys.readouterr().err.count("enable_gpu_acceleration") == 1

    async def journey() -> dict[str, Any]:
        with pytest.raises(CdtError) as caught:
            federated = request(array, "f", processing_mode=ProcessingMode.FEDERATED)
            await orchestrator.submit_processing_request(federated)
        assert caught.value.exit_status == 6
        await orchestrator.submit_processing_request(request(array))
        return await ended(orchestrator, "r1")

    result = asyncio.run(journey())["result"]
    assert result.sealed and result.fidelity == 1.0
    assert "compression-target-missed" in {finding["code"] for finding in result.findings}
    config.write_text("privacy_by_defualt: true\n")
    with pytest.raises(CustomerError) as caught:
        AdvancedCustomerDataOrchestrator()
    assert caught.value.code == "bad-configuration" and "privacy_by_defualt" in caught.value.message


def test_a_request_says_what_the_command_line_can(tmp_path: pathlib.Path) -> None:
    table = tmp_path / "visits.csv"
    table.write_text("id,age\n1,40\n2,\n3,51\n")
    schema = tmp_path / "schema.json"
    fields = [{"name": "id", "type": "integer"}, {"name": "age", "type": "integer", "constraints": {"required": True}}]
    schema.write_text(json.dumps({"fields": fields}))
    (tmp_path / "sums").write_text(f"{hashlib.sha256(table.read_bytes()).hexdigest()}  visits.csv\n")
    made = request(
        table,
        metadata={"title": "Visits", "licence": "CC-BY-4.0"},
        schema_path=pathlib.Path("schema.json"),
        checksums_path=pathlib.Path("sums"),
    )

    async def journey() -> dict[str, Any]:
        orchestrator = AdvancedCustomerDataOrchestrator()
        await orchestrator.submit_processing_request(made)
        return await ended(orchestrator, "r1")

    status = asyncio.run(journey())
    assert status["status"] == "completed", status
    result = status["result"]
    body = json.loads(result.certificate.read_text())["body"]
    assert body["metadata"]["title"] == "Visits" and result.quality_score < 1
    assert {"integrity"} <= {check["dimension"] for check in body["checks"]}
    assert "metadata-license-missing" not in {finding["code"] for finding in result.findings}


def test_a_folder_of_several_datasets_is_one_request(array: pathlib.Path, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "delivery"
    folder.mkdir()
    array.rename(folder / "field.npy")
    (folder / "visits.csv").write_text("visit,age\n1,40\n2,51\n")

    async def journey() -> dict[str, Any]:
        orchestrator = AdvancedCustomerDataOrchestrator()
        sealed = {"encryption_required": True}
        await orchestrator.submit_processing_request(request(folder, privacy_requirements=sealed))
        return await ended(orchestrator, "r1")

    status = asyncio.run(journey())
    assert status["status"] == "completed", status
    package = status["result"].processed_data_location
    members = sorted(path.name for path in (package / "datasets").iterdir())
    assert members == ["field.npy", "visits.csv"]
    for name in members:
        assert json.loads((package / "datasets" / name / "manifest.json").read_text())["sealed"]


def test_a_cancelled_request_leaves_nothing(array: pathlib.Path, home: pathlib.Path) -> None:
    async def journey() -> None:
        orchestrator = AdvancedCustomerDataOrchestrator()
        await orchestrator.submit_processing_request(request(array))
        status = await orchestrator.cancel_request("r1")
        assert status["status"] == "cancelled" and "result" not in status

    asyncio.run(journey())
    left = [path for path in (home / "packages").glob("*")] if (home / "packages").exists() else []
    assert left == []
