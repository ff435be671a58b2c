"""One table from its source to Parquet: written exactly, read back and compared, then rounded where a bound asks.

A table is decoded once. What the bounds need - ranges, the sample, whose places depend on the number
of rows - comes from the exact Parquet, and a bounded column is rewritten from there.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..algorithms.columns import (
    MOST_DISTINCT,
    digest_column,
    flat_values,
    is_floating,
    is_numeric,
    observe_column,
)
from ..algorithms.quantise_errors import Errors
from ..errors import InternalFault
from ..model.chunk import Chunk
from ..model.dataset import TableField
from ..model.outcome import ChunkTally
from ..model.sample import MOST, positions
from ..model.statistics import Statistics
from ..package.layout import TABLES
from ..package.pictures import picture_of
from ..package.tables import TableWriter, column_chunks, open_table, recut, rows_per_group
from .column_bounds import Seen, allowed, decide, rounded, write_rounded
from .context import Treatment
from .fields import FieldOutcome, statistics_record
from .sketch import TableSketch

_SAMPLE_BUDGET = 32 << 20  # bytes of samples held at once while a table is read back


def treat_table(work: Treatment, table: TableField) -> FieldOutcome:
    """Store one table and return what became of it and its columns."""
    path = f"{TABLES}/{work.tables[table.name]}.parquet"
    seen = [Seen(column, Statistics(), [], distinct=set()) for column in table.columns]
    for entry in seen:
        entry.asked = allowed(table, entry.column, work.options.bounds)
    sketch = TableSketch(table)
    rows, groups, decoded = _write_exact(work, table, path, seen, sketch)
    pictures = _read_back(work, table, path, seen) | sketch.pictures()
    if any(entry.step is not None for entry in seen):
        write_rounded(work, table, path, seen)
    for entry in seen:
        name = f"{table.name}/{entry.column.name}"
        for number, digest in enumerate(entry.digests):
            worst = entry.errors.largest if entry.errors else None
            work.evidence.chunk(name, number, 0, digest, worst)
        work.evidence.statistics("before", name, entry.before)
        work.evidence.statistics("after", name, entry.after or entry.before)
    return _outcome(work, table, path, seen, rows, groups, decoded, pictures)


def _write_exact(
    work: Treatment, table: TableField, path: str, seen: list[Seen], sketch: TableSketch
) -> tuple[int, int, int]:
    """Write every row as it is; return (rows, row groups, bytes decoded)."""
    batches = work.decoder.batches(table.name)
    first = next(batches, None)
    writer = TableWriter(work.ledger, path, table.schema, first)
    watch = work.watch(table.name)
    rows = groups = decoded = 0
    try:
        for batch in recut(batches, rows_per_group(first), first):
            for number, entry in enumerate(seen):
                column = batch.column(number)
                statistics = observe_column(column)
                entry.before = entry.before.merge(statistics) if groups else statistics
                entry.digests.append(digest_column(column))
                _count_distinct(entry, column)
            sketch.observe(batch)
            watch.merge(watch.observe(Chunk(table.name, groups, (rows,), batch)))
            writer.write(batch)
            work.progress.advance(batch.nbytes)
            rows, groups, decoded = rows + batch.num_rows, groups + 1, decoded + batch.nbytes
    except BaseException:
        writer.abandon()
        raise
    writer.close()
    for entry in seen:
        if entry.distinct is not None and not is_floating(table.schema.field(entry.column.name).type):
            entry.before = replace(entry.before, distinct=len(entry.distinct), distinct_exact=True)
    return rows, groups, decoded


def _count_distinct(entry: Seen, column: pa.Array) -> None:
    """Count distinct values exactly up to 65,536, then give up: a sketch would be no count."""
    if entry.distinct is None:
        return
    values = flat_values(column)
    if pa.types.is_floating(values.type) or pa.types.is_nested(values.type):
        entry.distinct = None
        return
    if pa.types.is_temporal(values.type):  # Python's dates and durations end before Arrow's
        values = values.view(pa.int64() if values.type.bit_width == 64 else pa.int32())
    try:
        unique = values.unique()
    except pa.ArrowNotImplementedError:  # decimals of 32 and 64 bits
        entry.distinct = None
        return
    if len(unique) > MOST_DISTINCT:
        entry.distinct = None
        return
    entry.distinct.update(item for item in unique.to_pylist() if item is not None)
    if len(entry.distinct) > MOST_DISTINCT:
        entry.distinct = None


def _read_back(work: Treatment, table: TableField, path: str, seen: list[Seen]) -> dict[str, Any]:
    """Read every column again, compare it with what was written, draw its sample, decide its bound."""
    pictures: dict[str, Any] = {}
    file = open_table(work.ledger.folder / path)
    try:
        for block in _blocks(seen):
            samples = {i: _Sampler(seen[i].before.count) for i in block if _is_sampled(table, seen[i])}
            for group, arrays in column_chunks(file, block):
                for i, array in zip(block, arrays, strict=True):
                    if digest_column(array) != seen[i].digests[group]:
                        raise InternalFault(
                            f"column {seen[i].column.name} of {table.name} did not read back as written"
                        )
                    if i in samples:
                        samples[i].take(flat_values(array))
            for i in block:
                sample = samples[i].values if i in samples else None
                seen[i].sample = sample if seen[i].asked.kind != "lossless" else None
                decide(work, table, seen[i], sample)
                if sample is not None:
                    after = rounded(sample, seen[i]) if seen[i].step is not None else None
                    pictures[f"{table.name}/{seen[i].column.name}"] = picture_of(sample, after, seen[i].bound)
    finally:
        file.close()
    return pictures


def _is_sampled(table: TableField, entry: Seen) -> bool:
    return is_numeric(table.schema.field(entry.column.name).type) and entry.before.count > 0


def _blocks(seen: list[Seen]) -> Iterator[list[int]]:
    block: list[int] = []
    held = 0
    for number, entry in enumerate(seen):
        size = 8 * min(MOST, max(1, entry.before.count))
        if block and held + size > _SAMPLE_BUDGET:
            yield block
            block, held = [], 0
        block.append(number)
        held += size
    if block:
        yield block


class _Sampler:
    """Draws one column's sample while its row groups pass in order."""

    def __init__(self, count: int) -> None:
        self._positions = positions(count)
        self.values = np.empty(len(self._positions), np.float64)
        self._at = 0

    def take(self, values: pa.Array) -> None:
        """Keep the values of the next row group that the sample wants; nulls become NaN."""
        first, last = np.searchsorted(self._positions, [self._at, self._at + len(values)])
        within = self._positions[first:last] - self._at
        numbers = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        self.values[first:last] = numbers[within]
        self._at += len(values)


def _outcome(
    work: Treatment,
    table: TableField,
    path: str,
    seen: list[Seen],
    rows: int,
    groups: int,
    decoded: int,
    pictures: dict[str, Any],
) -> FieldOutcome:
    stored = work.ledger.records[path].bytes
    records = [_table_record(table, path, rows, decoded, stored)]
    records += [_column_record(table, entry) for entry in seen]
    statistics = {f"{table.name}/{entry.column.name}": entry.before for entry in seen}
    columns = {e.column.name: _encoding(e) for e in seen}
    plan = {"field": table.name, "kind": "table", "columns": columns}
    tally = ChunkTally(groups, groups, groups)
    return FieldOutcome(tuple(records), statistics, tally, decoded, stored, plan, pictures)


def _table_record(table: TableField, path: str, rows: int, decoded: int, stored: int) -> dict[str, Any]:
    return {
        "name": table.name,
        "kind": "table",
        "node": path,
        "rows": rows,
        "columns": len(table.columns),
        "bytes_decoded": decoded,
        "bytes_stored": stored,
    }


def _encoding(entry: Seen) -> dict[str, Any]:
    found: dict[str, Any] = {
        "form": "rounded" if entry.step is not None else "exact",
        "codec": "parquet-zstd",
        "bound_asked": str(entry.asked),
        "bound": entry.bound,
    }
    if entry.step is not None:
        found["step"] = entry.step
    if entry.note:
        found["note"] = entry.note
    return found


def _column_record(table: TableField, entry: Seen) -> dict[str, Any]:
    errors = entry.errors or Errors()
    return {
        "name": f"{table.name}/{entry.column.name}",
        "kind": "column",
        "dtype": str(table.schema.field(entry.column.name).type),
        "units": entry.column.units,
        "role": str(entry.column.role),
        "encoding": _encoding(entry),
        "fidelity": entry.fidelity.record(),
        "error": {"max": errors.largest, "mean": errors.total / errors.count if errors.count else 0.0},
        "statistics": {
            "before": statistics_record(entry.before),
            "after": statistics_record(entry.after or entry.before),
        },
    }
