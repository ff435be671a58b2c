"""The batch and federated modes: what a request and the settings make of a treatment, and what comes back."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.model.bound import BoundRequest
from customer_data_treatment.model.verdict import Finding
from customer_data_treatment.modes import batch, federated
from customer_data_treatment.pipeline.house_rules import options_from, requests_at_once
from customer_data_treatment.pipeline.options import TreatOptions
from customer_data_treatment.request import NOTHING_RELEASED, CustomerDataRequest
from customer_data_treatment.settings import (
    PerformanceTuning,
    QualityThresholds,
    Settings,
)
from customer_data_treatment.vocabulary import CustomerDataType, DataModalityType, Level, Severity

HOUSE = Settings(
    max_concurrent_requests=16,
    max_memory_usage_gb=0.25,
    privacy_by_default=True,
    quality_thresholds=QualityThresholds(0.95, 0.3),
    performance_tuning=PerformanceTuning(cpu_thread_pool_size=1),
)


def assignment(tmp_path: Path, settings: Settings = Settings(), **changes: Any) -> batch.Assignment:
    path = tmp_path / "source.bin"
    path.write_bytes(b"x")
    request = CustomerDataRequest("r1", "c", path, **changes)
    return batch.Assignment(request, settings, LocalSource(path), tmp_path / "out")


def test_a_bare_request_is_lossless_and_unsealed(tmp_path: Path) -> None:
    options = batch.options_of(assignment(tmp_path))
    assert (options.bounds, options.seal, options.minimum_quality, options.target_ratio) == ((), False, None, None)
    assert options.minimum_fidelity == TreatOptions().minimum_fidelity and not options.overwrite


def test_the_missions_terms_reach_the_treatment(tmp_path: Path) -> None:
    options = batch.options_of(
        assignment(
            tmp_path,
            data_type=CustomerDataType.MULTI_OMICS,
            modality_types=[DataModalityType.GENOMIC_SEQUENCES, DataModalityType.PROTEOMICS],
            estimated_size_tb=15.5,
            privacy_requirements={"encryption_required": True, "differential_privacy": True},
            quality_requirements={"minimum_quality": 0.99, "compression_ratio": 0.3, "minimum_fidelity": 0.999},
        )
    )
    assert options.bounds == (BoundRequest("auto"),) and options.seal and options.privacy_note == NOTHING_RELEASED
    assert (options.minimum_quality, options.minimum_fidelity, options.target_ratio) == (0.99, 0.999, 0.3)
    assert options.hints == {"data_type": "multi_omics", "bytes": "15500000000000"} and options.modality is None
    one = batch.options_of(assignment(tmp_path, modality_types=[DataModalityType.PROTEOMICS]))
    assert one.modality is DataModalityType.PROTEOMICS


def test_the_house_seals_caps_and_aims_but_never_shrinks(tmp_path: Path) -> None:
    options = batch.options_of(assignment(tmp_path, HOUSE))
    assert options.seal and options.bounds == ()
    assert (options.minimum_quality, options.target_ratio) == (0.95, 0.3)
    assert (options.memory, options.workers) == (256 << 20, 1)
    declined = batch.options_of(assignment(tmp_path, HOUSE, privacy_requirements={"encryption_required": False}))
    assert not declined.seal


def test_what_the_caller_names_wins() -> None:
    asked = TreatOptions(memory=1 << 30, workers=8, minimum_quality=0.5, target_ratio=0.9)
    assert options_from(HOUSE, asked, ("seal", "memory", "workers")) == asked
    capped = options_from(HOUSE, asked)
    assert (capped.seal, capped.memory, capped.workers, capped.minimum_quality) == (True, 256 << 20, 1, 0.5)
    assert options_from(Settings(), asked) == asked


@pytest.mark.parametrize(("memory", "most"), [(None, 16), (0.1, 1), (1, 2), (512, 16)])
def test_as_many_requests_at_once_as_the_memory_holds(memory: float | None, most: int) -> None:
    assert requests_at_once(Settings(max_concurrent_requests=16, max_memory_usage_gb=memory)) == most


def test_the_result_says_what_the_treatment_found(tmp_path: Path) -> None:
    seen: list[TreatOptions] = []

    def treat(source: Any, target: Path, options: TreatOptions, surroundings: Any) -> Any:
        seen.append(options)
        assert source.name == "source.bin" and surroundings == "the surroundings"
        return SimpleNamespace(
            package=target, format="NPY", modality="general", level=Level.RESEARCH_GRADE, score=0.97, fidelity=1.0,
            compression_ratio=0.4, bytes_source=10, bytes_stored=4, seconds=0.5,
            findings=(Finding("odd", Severity.NOTE, "it is odd", "line 3"),),
        )  # fmt: skip

    surroundings: Any = "the surroundings"
    result = batch.run(assignment(tmp_path), surroundings, treat=treat)
    assert (result.quality_score, result.compression_ratio, result.processed_data_location) == (
        0.97, 0.4, tmp_path / "out",
    )  # fmt: skip
    assert result.findings == ({"code": "odd", "severity": "note", "message": "it is odd", "where": "line 3"},)
    there = federated.run(assignment(tmp_path), surroundings, treat=treat)
    assert there.federation_note == federated.ONE_SITE and seen[-1].privacy_note == federated.ONE_SITE
