"""What a treatment knows once every chunk has passed: what the checks conclude from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .dataset import Dataset, RuleCount
from .requirements import Requirements
from .statistics import Statistics
from .verdict import CheckResult

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ChunkTally:
    """One field's stored chunks: how many were encoded, decoded again, and found equal to what was proven."""

    encoded: int
    decoded: int
    equal: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The counts of one treatment.

    `statistics` is keyed by array name or TABLE/COLUMN and speaks of the decoded source values.
    `rules` are the decoder's. `chunks` is keyed by field. `recorded` says of each fact of
    provenance ("source digest", "plan", "software versions") whether the package states it.
    `delivered` are the results of judge_checksums. `reread(table)` reads a table's batches once
    more: the duplicate search confirms its hits with it, foreign keys are followed with it; where
    it is None, hits stand on their 64-bit hashes and foreign keys are not assessed. `imputed`
    counts cells that were filled in, which count as missing.
    """

    dataset: Dataset
    statistics: Mapping[str, Statistics]
    requirements: Requirements = field(default_factory=Requirements)
    rules: tuple[RuleCount, ...] = ()
    chunks: Mapping[str, ChunkTally] = field(default_factory=dict)
    recorded: Mapping[str, bool] = field(default_factory=dict)
    delivered: tuple[CheckResult, ...] = ()
    imputed: Mapping[str, int] = field(default_factory=dict)
    reread: "Callable[[str], Iterator[pa.RecordBatch]] | None" = None
