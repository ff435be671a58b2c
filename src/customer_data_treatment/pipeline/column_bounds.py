"""Columns under a bound: which may be rounded, to which step, and the table rewritten with them rounded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..algorithms.columns import digest_column, is_floating, is_numeric, observe_column, round_column
from ..algorithms.quantise_errors import Errors
from ..algorithms.similarity import ks_distance, noise_sigma, pearson, spread
from ..errors import CustomerError, InternalFault
from ..model.bound import LOSSLESS, BoundRequest, asked_bound
from ..model.dataset import Column, TableField
from ..model.statistics import Statistics
from ..package.tables import TableWriter, column_chunks, open_table
from ..vocabulary import Role
from .context import Treatment
from .fields import EXACT_FIDELITY, Fidelity


@dataclass
class Seen:
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


def allowed(table: TableField, column: Column, requests: tuple[BoundRequest, ...]) -> BoundRequest:
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


def decide(work: Treatment, table: TableField, entry: Seen, sample: "np.ndarray[Any, Any] | None") -> None:
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


def rounded(sample: "np.ndarray[Any, Any]", entry: Seen) -> "np.ndarray[Any, Any]":
    """Return a sample as its column's rounding leaves it."""
    assert entry.step is not None
    return np.asarray(np.rint(sample / entry.step) * entry.step)


def write_rounded(work: Treatment, table: TableField, path: str, seen: list[Seen]) -> None:
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


def _apply(batch: pa.RecordBatch, seen: list[Seen], *, tally: bool, group: int = 0) -> pa.RecordBatch:
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


def _return_to_exact(work: Treatment, path: str, seen: list[Seen], note: str) -> None:
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


def _compare(work: Treatment, path: str, seen: list[Seen]) -> None:
    file = open_table(work.ledger.folder / path)
    numbers = list(range(len(seen)))
    try:
        for group, arrays in column_chunks(file, numbers):
            for entry, array in zip(seen, arrays, strict=True):
                if digest_column(array) != entry.digests[group]:
                    raise InternalFault(f"column {entry.column.name} did not read back as written")
    finally:
        file.close()


def _fidelity(entry: Seen) -> Fidelity:
    assert entry.sample is not None and entry.errors is not None and entry.after is not None
    finite = np.sort(entry.sample[np.isfinite(entry.sample)])
    width = spread(finite)
    after = rounded(finite, entry)
    errors = entry.errors
    r = pearson(entry.before.m2, entry.after.m2, errors.squares, errors.total, entry.before.finite)
    return Fidelity(1.0 - errors.largest / width if width else None, r, 1.0 - ks_distance(finite, after), None)
