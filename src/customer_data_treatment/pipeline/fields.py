"""What became of each field: the record the certificate shows and what the checks and the report need."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from ..algorithms.quantise_errors import Errors
from ..model.outcome import ChunkTally
from ..model.statistics import Statistics
from ..package.pictures import Picture


@dataclass(frozen=True, slots=True)
class FieldOutcome:
    """One array, or one table with its columns.

    `record` is the certificate's entry; `statistics` is keyed as Outcome.statistics; `picture` is
    keyed by the record's name. `bytes_decoded` are of the source's own dtype.
    """

    records: tuple[dict[str, Any], ...]
    statistics: dict[str, Statistics]
    tally: ChunkTally
    bytes_decoded: int
    bytes_stored: int
    plan: dict[str, Any]
    pictures: dict[str, Picture] = field(default_factory=dict)
    auto_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The terms of one field's fidelity; None is "not applicable" and left out of the minimum."""

    error_over_spread: float | None
    pearson: float | None
    ks: float | None
    ssim: float | None

    @property
    def value(self) -> float:
        """Return the minimum of the terms that apply; exact is 1."""
        terms = [self.error_over_spread, self.pearson, self.ks, self.ssim]
        return min([term for term in terms if term is not None], default=1.0)

    def record(self) -> dict[str, float | None]:
        """Return the certificate's entry."""
        return {"value": self.value, **asdict(self)}


EXACT_FIDELITY = Fidelity(None, None, None, None)


def statistics_record(statistics: Statistics) -> dict[str, Any]:
    """Return statistics as JSON holds them: integers that double precision would cut stand as text."""
    return {name: _plain(value) for name, value in asdict(statistics).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 1 << 53:
        return str(value)
    if isinstance(value, float) and math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


@dataclass
class Tally:
    """What the chunks of one array added up to."""

    before: Statistics = field(default_factory=Statistics)
    after: Statistics = field(default_factory=Statistics)
    errors: Errors = field(default_factory=Errors)
    decoded: int = 0
    chunks: int = 0
