"""Requests: one form for every field, requirements read at the door, states as a table."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import pytest

from customer_data_treatment.errors import CustomerError
from customer_data_treatment.request import (
    FINAL,
    NOT_BUILT_PRIVACY,
    NOTHING_RELEASED,
    TRANSITIONS,
    CustomerDataRequest,
    ProcessingResult,
    Terms,
    decode_request,
    decode_result,
    encode,
    terms_of,
)
from customer_data_treatment.vocabulary import (
    CustomerDataType,
    DataModalityType,
    Level,
    ProcessingMode,
    ProcessingPriority,
    RequestState,
)


def sample(**changes: Any) -> CustomerDataRequest:
    given: dict[str, Any] = {
        "request_id": "genomics_study_001",
        "customer_id": "university_hospital_boston",
        "institution_name": "Boston University Medical Center",
        "data_path": Path("/data/customer/genomics_cohort.zarr"),
        "data_type": CustomerDataType.MULTI_OMICS,
        "modality_types": [DataModalityType.GENOMIC_SEQUENCES, DataModalityType.PROTEOMICS],
        "processing_mode": ProcessingMode.FEDERATED,
        "priority": ProcessingPriority.HIGH,
        "estimated_size_tb": 15.5,
        "privacy_requirements": {"encryption_required": True, "differential_privacy": True},
        "quality_requirements": {"minimum_quality": 0.99, "compression_ratio": 0.3},
    }
    return CustomerDataRequest(**(given | changes))


def test_the_missions_request_means_what_it_says() -> None:
    request = sample()
    assert terms_of(request) == Terms(
        seal=True, minimum_quality=0.99, compression_ratio=0.3, privacy_note=NOTHING_RELEASED
    )
    assert terms_of(request).shrink and not terms_of(sample(quality_requirements={})).shrink
    assert isinstance(request.modality_types, tuple)
    with pytest.raises(FrozenInstanceError):
        request.priority = ProcessingPriority.LOW  # type: ignore[misc]


def test_a_request_survives_json_and_equality_is_by_value() -> None:
    request = sample(output_location=Path("/out/x"))
    assert decode_request(encode(request)) == request
    assert encode(sample(privacy_requirements={"differential_privacy": True, "encryption_required": True})) == encode(
        sample()
    )
    assert encode(replace(request, priority=ProcessingPriority.LOW)) != encode(request)
    assert sample(data_type="multi_omics", priority="HIGH", data_path="/data/customer/genomics_cohort.zarr") == sample()


def test_a_result_survives_json() -> None:
    result = ProcessingResult(
        "a", 0.99, 0.3, Path("/p"), Level.RESEARCH_GRADE, 1.0, "NPY", "general", 10, 3, True, ({"code": "x"},)
    )
    assert decode_result(encode(result)) == result
    assert result.quality_report == Path("/p/report.html") and result.certificate == Path("/p/certificate.json")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"data_type": "chemistry"}, "data_type"),
        ({"modality_types": "genomic_sequences"}, "modality_types"),
        ({"modality_types": ["smell"]}, "modality_types"),
        ({"processing_mode": None}, "processing_mode"),
        ({"data_path": 3}, "data_path"),
        ({"request_id": 7}, "request_id"),
        ({"estimated_size_tb": -1}, "estimated_size_tb"),
        ({"estimated_size_tb": float("nan")}, "estimated_size_tb"),
        ({"privacy_requirements": ["encryption_required"]}, "privacy_requirements"),
        ({"request_id": "../../etc"}, "request_id"),
        ({"request_id": ""}, "request_id"),
        ({"customer_id": " "}, "customer_id"),
        ({"privacy_requirements": {"encryption_required": "yes"}}, "encryption_required"),
        ({"privacy_requirements": {"telepathy": True}}, "telepathy"),
        ({"privacy_requirements": {"differential_privacy": True, "epsilon": 0}}, "epsilon"),
        ({"privacy_requirements": {"epsilon": 1.0}}, "epsilon"),
        ({"quality_requirements": {"minimum_quality": 99}}, "minimum_quality"),
        ({"quality_requirements": {"minimum_quality": True}}, "minimum_quality"),
        ({"quality_requirements": {"compression_ratio": 0}}, "compression_ratio"),
        ({"quality_requirements": {"minimum_fidelity": "high"}}, "minimum_fidelity"),
        ({"quality_requirements": {"speed": 1}}, "speed"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CustomerError) as caught:
        terms_of(sample(**changes))
    assert caught.value.code == "wrong-usage" and named in caught.value.message and caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"processing_mode": ProcessingMode.REAL_TIME}, "REAL_TIME"),
        ({"processing_mode": ProcessingMode.STREAMING}, "STREAMING"),
        ({"participating_institutions": ["a", "b"]}, "federation of 2"),
        *(({"privacy_requirements": {name: True}}, name) for name in NOT_BUILT_PRIVACY),
        ({"privacy_requirements": {"k_anonymity": 5}}, "k_anonymity"),
    ],
)
def test_what_is_not_built_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(CustomerError) as caught:
        terms_of(sample(**changes))
    assert caught.value.code == "not-built-yet" and named in caught.value.message


def test_what_is_declined_is_not_refused() -> None:
    asked = {name: False for name in NOT_BUILT_PRIVACY} | {"encryption_required": False}
    assert terms_of(sample(privacy_requirements=asked, participating_institutions=["a"])).seal is False
    assert terms_of(sample(privacy_requirements={})).seal is None


def test_the_state_table_covers_every_state_and_ends() -> None:
    assert set(TRANSITIONS) == set(RequestState)
    assert {RequestState.COMPLETED, RequestState.FAILED, RequestState.CANCELLED} == FINAL


def test_requirements_that_json_cannot_say_are_refused() -> None:
    with pytest.raises(CustomerError):
        encode(sample(privacy_requirements={"encryption_required": object()}))


def test_importing_the_request_loads_no_numpy() -> None:
    code = (
        "import sys; from customer_data_treatment import CustomerDataRequest, ProcessingMode;"
        "sys.exit('numpy' in sys.modules or 'pyarrow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
