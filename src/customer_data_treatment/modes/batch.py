"""Batch: one request, one treatment, one package."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..model.bound import BoundRequest
from ..pipeline.house_rules import options_from
from ..pipeline.options import TreatOptions
from ..pipeline.surroundings import Surroundings
from ..ports import ByteSource
from ..request import CustomerDataRequest, ProcessingResult, terms_of
from ..settings import Settings
from ..vocabulary import DataModalityType

if TYPE_CHECKING:
    from ..pipeline.treat import TreatSummary

    Treat = Callable[[ByteSource, Path, TreatOptions, Surroundings], TreatSummary]


@dataclass(frozen=True, slots=True)
class Assignment:
    """One request with everything it was given: its source opened, its target chosen.

    `metadata` is a file as --metadata takes it. `again` says that an earlier attempt may have left a package at the target.
    """

    request: CustomerDataRequest
    settings: Settings
    source: ByteSource
    target: Path
    metadata: Path | None = None
    again: bool = False


def run(
    assignment: Assignment, surroundings: Surroundings, *, treat: "Treat | None" = None, federation_note: str = ""
) -> ProcessingResult:
    """Treat the request's dataset, or folder of several, and return the result; raise as the pipeline does.

    `treat` is the pipeline's own unless a test brings another.
    """
    request = assignment.request
    options = options_of(assignment, federation_note)
    summary = (treat or _pipelines_treat())(assignment.source, assignment.target, options, surroundings)
    return ProcessingResult(
        request_id=request.request_id,
        quality_score=summary.score,
        compression_ratio=summary.compression_ratio or 0.0,
        processed_data_location=summary.package,
        level=summary.level,
        fidelity=summary.fidelity,
        format=summary.format,
        modality=str(summary.modality),
        bytes_source=summary.bytes_source,
        bytes_stored=summary.bytes_stored,
        sealed=options.seal,
        findings=tuple(_record(finding) for finding in summary.findings),
        privacy_note=terms_of(request).privacy_note,
        federation_note=federation_note,
        seconds=round(summary.seconds, 3),
    )


def _pipelines_treat() -> "Treat":
    from ..pipeline.submission import treat_any  # loads numpy and the codecs

    return treat_any


def options_of(assignment: Assignment, federation_note: str = "") -> TreatOptions:
    """Return the treatment's options: the request's terms under the institution's settings.

    Both notes are recorded in the certificate. A compression ratio asks for automatic bounds; one declared modality is taken as `--modality` is;
    declared type and size are hints.
    """
    request = assignment.request
    terms = terms_of(request)
    hints = {"data_type": str(request.data_type)} if request.data_type is not None else {}
    if request.estimated_size_tb is not None:
        hints["bytes"] = str(round(request.estimated_size_tb * 1e12))
    declared = request.modality_types
    asked = TreatOptions(
        bounds=(BoundRequest("auto"),) if terms.shrink else (),
        modality=declared[0] if len(declared) == 1 and declared[0] is not DataModalityType.GENERAL else None,
        schema=request.schema_path,
        checksums=request.checksums_path,
        metadata=assignment.metadata,
        seal=bool(terms.seal),
        workers=_processors(),
        overwrite=assignment.again,
        minimum_fidelity=TreatOptions().minimum_fidelity if terms.minimum_fidelity is None else terms.minimum_fidelity,
        minimum_quality=terms.minimum_quality,
        target_ratio=terms.compression_ratio,
        hints=hints,
        privacy_note="; ".join(filter(None, (terms.privacy_note, federation_note))),
    )
    return options_from(assignment.settings, asked, () if terms.seal is None else ("seal",))


def _processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _record(finding: Any) -> dict[str, str]:
    return {
        "code": finding.code,
        "severity": str(finding.severity),
        "message": finding.message,
        "where": finding.where,
    }
