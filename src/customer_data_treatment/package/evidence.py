"""evidence.parquet: every chunk's digest, every field's statistics before and after.

One row a chunk (part "chunk") and one a statistic (part "before" or "after"). Rows are written in
groups of 1,024, so that a field of a million chunks costs no memory.
"""

from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..model.statistics import Statistics
from .files import HashedFile, Ledger
from .layout import EVIDENCE

_ROWS = 1024

SCHEMA = pa.schema(
    [
        pa.field("part", pa.string(), nullable=False),
        pa.field("field", pa.string(), nullable=False),
        pa.field("chunk", pa.int64()),
        pa.field("values", pa.int64()),
        pa.field("blake3", pa.string()),
        pa.field("max_error", pa.float64()),
        pa.field("count", pa.int64()),
        pa.field("missing", pa.int64()),
        pa.field("nan", pa.int64()),
        pa.field("positive_infinite", pa.int64()),
        pa.field("negative_infinite", pa.int64()),
        pa.field("minimum", pa.string()),
        pa.field("maximum", pa.string()),
        pa.field("mean", pa.float64()),
        pa.field("m2", pa.float64()),
        pa.field("total", pa.string()),
        pa.field("distinct", pa.int64()),
        pa.field("distinct_exact", pa.bool_()),
    ]
)


class EvidenceWriter:
    """Rows of evidence on their way to disk."""

    def __init__(self, ledger: Ledger) -> None:
        self._file: HashedFile = ledger.create(EVIDENCE)
        self._writer = pq.ParquetWriter(self._file, SCHEMA, compression="zstd", version="2.6")
        self._rows: list[dict[str, Any]] = []

    def chunk(self, field: str, number: int, values: int, digest: bytes, max_error: float | None) -> None:
        """Note a chunk: the BLAKE3 of what decodes from it, on which the bound was proven."""
        self._add(part="chunk", field=field, chunk=number, values=values, blake3=digest.hex(), max_error=max_error)

    def statistics(self, part: str, field: str, statistics: Statistics) -> None:
        """Note a field's statistics, part "before" or "after"; numbers of any size stand as text."""
        row = asdict(statistics)
        for name in ("minimum", "maximum", "total"):
            row[name] = None if row[name] is None else repr(row[name])
        self._add(part=part, field=field, **row)

    def _add(self, **row: Any) -> None:
        self._rows.append(row)
        if len(self._rows) >= _ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA), row_group_size=_ROWS)
            self._rows = []

    def discard(self, field: str) -> None:
        """Forget unwritten chunk rows of a field that is stored anew; written ones are marked by a later row."""
        self._rows = [row for row in self._rows if row["field"] != field]

    def close(self) -> None:
        """Write what is left and put the file on disk."""
        self._flush()
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        """Leave the file unfinished."""
        self._file.abandon()


def statistics_of_row(row: dict[str, Any]) -> Statistics:
    """Return the statistics that a row of evidence holds."""
    kept: dict[str, Any] = {name: row[name] for name in _PLAIN}
    for name in ("minimum", "maximum", "total"):
        kept[name] = None if row[name] is None else _number(row[name])
    return Statistics(**kept)


_PLAIN = (
    "count",
    "missing",
    "nan",
    "positive_infinite",
    "negative_infinite",
    "mean",
    "m2",
    "distinct",
    "distinct_exact",
)


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)
