"""What a caller may ask of a treatment; the command line, the API and the service all end here."""

from dataclasses import dataclass, field
from pathlib import Path

from ..model.bound import BoundRequest
from ..vocabulary import DataModalityType, Level


@dataclass(frozen=True, slots=True)
class TreatOptions:
    """The options of one treatment; defaults are lossless, unsealed, no level demanded.

    `memory` is bytes above the imports. `minimum_fidelity` gates every field; `minimum_quality`
    and `target_ratio` only yield findings. `privacy_note` is recorded in the certificate.
    """

    bounds: tuple[BoundRequest, ...] = ()
    modality: DataModalityType | None = None
    level: Level | None = None
    schema: Path | None = None
    checksums: Path | None = None
    metadata: Path | None = None
    seal: bool = False
    memory: int = 512 << 20
    workers: int = 1
    overwrite: bool = False
    minimum_fidelity: float = 0.99
    minimum_quality: float | None = None
    target_ratio: float | None = None
    hints: dict[str, str] = field(default_factory=dict)  # declared data_type, size: a mismatch is a finding
    privacy_note: str = ""
