"""One table from its source to Parquet: written exactly, read back and compared, then rounded where a bound asks.

A table is decoded once. What the bounds need - ranges, the sample, whose places depend on the number
of rows - comes from the exact Parquet, and a bounded column is rewritten from there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    round_column,
)
from ..algorithms.quantise_errors import Errors
from ..algorithms.similarity import ks_distance, noise_sigma, pearson, spread
from ..errors import CustomerError, InternalFault
from ..model.bound import LOSSLESS, BoundRequest, asked_bound
from ..model.chunk import Chunk
from ..model.dataset import Column, TableField
from ..model.outcome import ChunkTally
from ..model.sample import MOST, positions
from ..model.statistics import Statistics
from ..package.layout import TABLES
from ..package.pictures import picture_of
from ..package.tables import TableWriter, column_chunks, open_table, recut, rows_per_group
from ..vocabulary import Role
from .context import Treatment
from .fields import EXACT_FIDELITY, Fidelity, FieldOutcome, statistics_record
from .sketch import TableSketch

_SAMPLE_BUDGET = 32 << 20  # bytes of samples held at once while a table is read back


@dataclass
class _Seen:
    """What is known of one column: from writing, from reading back, from rounding."""

    column: Column
    before: Statistics
    digests: list[bytes]
    after: Statistics | None = None
    errors: Errors | None = None
    sample: "np.ndarray[Any, Any] | None" = None
    step: float | None = None
    bound: float | None = None
    asked: BoundRequest = LOSSLESS
    note: str = ""
    fidelity: Fidelity = EXACT_FIDELITY
    distinct: set[Any] | None = None


def treat_table(work: Treatment, table: TableField) -> FieldOutcome:
    """Store one table and return what became of it and its columns."""
    path = f"{TABLES}/{work.tables[table.name]}.parquet"
    seen = [_Seen(column, Statistics(), [], distinct=set()) for column in table.columns]
    for entry in seen:
        entry.asked = _allowed(table, entry.column, work.options.bounds)
    sketch = TableSketch(table)
    rows, groups, decoded = _write_exact(work, table, path, seen, sketch)
    pictures = _read_back(work, table, path, seen) | sketch.pictures()
    if any(entry.step is not None for entry in seen):
        _write_rounded(work, table, path, seen)
    for entry in seen:
        name = f"{table.name}/{entry.column.name}"
        for number, digest in enumerate(entry.digests):
            worst = entry.errors.largest if entry.errors else None
            work.evidence.chunk(name, number, 0, digest, worst)
        work.evidence.statistics("before", name, entry.before)
        work.evidence.statistics("after", name, entry.after or entry.before)
    return _outcome(work, table, path, seen, rows, groups, decoded, pictures)


def _allowed(table: TableField, column: Column, requests: tuple[BoundRequest, ...]) -> BoundRequest:
    """Return the bound asked for a column, lossless where it may not be lossy."""
    name = f"{table.name}/{column.name}"
    request = asked_bound(name, requests)
    kind = table.schema.field(column.name).type
    if request.kind == "lossless":
        return LOSSLESS
    if request.field is not None:
        if not is_numeric(kind):
            raise CustomerError(
                f"{name} is not numeric and stays exact",
                code="unknown-field",
                remedy="name a numeric column; cdt inspect lists them",
            )
        if not is_floating(kind):
            raise CustomerError(
                f"{name} holds integers, which have no bounded form in a table yet",
                code="not-built-yet",
                remedy="leave it lossless",
            )
        return request
    if not is_floating(kind) or column.role is not Role.MEASUREMENT or kind == pa.float16():
        return LOSSLESS
    return request


def _write_exact(
    work: Treatment, table: TableField, path: str, seen: list[_Seen], sketch: TableSketch
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


def _count_distinct(entry: _Seen, column: pa.Array) -> None:
    """Count distinct values exactly up to 65,536, then give up: a sketch would be no count."""
    if entry.distinct is None:
        return
    values = flat_values(column)
    if pa.types.is_floating(values.type) or pa.types.is_nested(values.type):
        entry.distinct = None
        return
    unique = values.unique()
    if len(unique) > MOST_DISTINCT:
        entry.distinct = None
        return
    entry.distinct.update(item for item in unique.to_pylist() if item is not None)
    if len(entry.distinct) > MOST_DISTINCT:
        entry.distinct = None


def _read_back(work: Treatment, table: TableField, path: str, seen: list[_Seen]) -> dict[str, Any]:
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
                _decide(work, table, seen[i], sample)
                if sample is not None:
                    after = _rounded(sample, seen[i]) if seen[i].step is not None else None
                    pictures[f"{table.name}/{seen[i].column.name}"] = picture_of(sample, after, seen[i].bound)
    finally:
        file.close()
    return pictures


def _is_sampled(table: TableField, entry: _Seen) -> bool:
    return is_numeric(table.schema.field(entry.column.name).type) and entry.before.count > 0


def _blocks(seen: list[_Seen]) -> Iterator[list[int]]:
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


def _decide(work: Treatment, table: TableField, entry: _Seen, sample: "np.ndarray[Any, Any] | None") -> None:
    """Resolve a column's bound to a rounding step, where it asks for one and has one."""
    request = entry.asked
    if request.kind == "lossless" or sample is None:
        return
    finite = np.sort(sample[np.isfinite(sample)])
    width = spread(finite)
    if width == 0.0:
        entry.note = "its spread is zero, so it is stored exactly"
        return
    low, high = entry.before.minimum, entry.before.maximum
    assert low is not None and high is not None
    target = work.options.minimum_fidelity
    bound = {
        "abs": request.amount,
        "rel": request.amount * (float(high) - float(low)),
        "noise": request.amount * (noise_sigma(sample[:65536]) or 0.0),
        "auto": (1.0 - target) * width,
    }[request.kind]
    for _ in range(24):
        step = _step(bound)
        if step == 0.0:
            break
        after = np.sort(np.rint(finite / step) * step)
        if request.kind != "auto" or 1.0 - ks_distance(finite, after) >= target:
            entry.bound, entry.step = bound, step
            return
        bound /= 2.0
    entry.note = "no bounded form keeps what was asked, so it is stored exactly"


def _step(bound: float) -> float:
    if not bound > 0.0:
        return 0.0
    step = float(np.ldexp(1.0, int(np.frexp(bound)[1])))
    return step if np.isfinite(step) and step > 0.0 and np.isfinite(1.0 / step) else 0.0


def _rounded(sample: "np.ndarray[Any, Any]", entry: _Seen) -> "np.ndarray[Any, Any]":
    assert entry.step is not None
    return np.asarray(np.rint(sample / entry.step) * entry.step)


def _write_rounded(work: Treatment, table: TableField, path: str, seen: list[_Seen]) -> None:
    """Rewrite the table with its bounded columns rounded, read those back, and put it in place."""
    rounded_path = f"{path}.rounded"
    source = open_table(work.ledger.folder / path)
    first = source.read_row_group(0).to_batches()[0] if source.num_row_groups else None
    writer = TableWriter(work.ledger, rounded_path, table.schema, _apply(first, seen, tally=False) if first else None)
    try:
        for group in range(source.num_row_groups):
            batch = source.read_row_group(group).combine_chunks().to_batches()[0]
            writer.write(_apply(batch, seen, tally=True, group=group))
    except BaseException:
        writer.abandon()
        raise
    finally:
        source.close()
    writer.close()
    for entry in seen:
        if entry.step is not None:
            entry.fidelity = _fidelity(entry)
    falls_short = [
        e
        for e in seen
        if e.step is not None and e.asked.kind == "auto" and e.fidelity.value < work.options.minimum_fidelity
    ]
    smaller = work.ledger.records[rounded_path].bytes < work.ledger.records[path].bytes
    if falls_short or not smaller:
        work.ledger.discard(rounded_path)
        note = (
            "no bounded form reached the fidelity asked for, so it is stored exactly"
            if falls_short
            else "the bounded form would be no smaller, so it is stored exactly"
        )
        _return_to_exact(work, path, seen, note)
        return
    work.ledger.rename(rounded_path, path)
    _compare(work, path, seen)


def _apply(batch: pa.RecordBatch, seen: list[_Seen], *, tally: bool, group: int = 0) -> pa.RecordBatch:
    columns = list(batch.columns)
    for number, entry in enumerate(seen):
        if entry.step is None:
            continue
        columns[number], errors = round_column(columns[number], entry.step, entry.bound or 0.0)
        if tally:
            statistics = observe_column(columns[number])
            entry.after = statistics if entry.after is None else entry.after.merge(statistics)
            entry.errors = errors if entry.errors is None else entry.errors.merge(errors)
            entry.digests[group] = digest_column(columns[number])
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _return_to_exact(work: Treatment, path: str, seen: list[_Seen], note: str) -> None:
    file = open_table(work.ledger.folder / path)
    bounded = [i for i, entry in enumerate(seen) if entry.step is not None]
    try:
        for group, arrays in column_chunks(file, bounded):
            for i, array in zip(bounded, arrays, strict=True):
                seen[i].digests[group] = digest_column(array)
    finally:
        file.close()
    for i in bounded:
        entry = seen[i]
        entry.step = entry.bound = entry.errors = entry.after = None
        entry.fidelity, entry.note = EXACT_FIDELITY, note


def _compare(work: Treatment, path: str, seen: list[_Seen]) -> None:
    file = open_table(work.ledger.folder / path)
    numbers = list(range(len(seen)))
    try:
        for group, arrays in column_chunks(file, numbers):
            for entry, array in zip(seen, arrays, strict=True):
                if digest_column(array) != entry.digests[group]:
                    raise InternalFault(f"column {entry.column.name} did not read back as written")
    finally:
        file.close()


def _fidelity(entry: _Seen) -> Fidelity:
    assert entry.sample is not None and entry.errors is not None and entry.after is not None
    finite = np.sort(entry.sample[np.isfinite(entry.sample)])
    width = spread(finite)
    rounded = _rounded(finite, entry)
    errors = entry.errors
    r = pearson(entry.before.m2, entry.after.m2, errors.squares, errors.total, entry.before.finite)
    return Fidelity(1.0 - errors.largest / width if width else None, r, 1.0 - ks_distance(finite, rounded), None)


def _outcome(
    work: Treatment,
    table: TableField,
    path: str,
    seen: list[_Seen],
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


def _encoding(entry: _Seen) -> dict[str, Any]:
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


def _column_record(table: TableField, entry: _Seen) -> dict[str, Any]:
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
