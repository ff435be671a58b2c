"""Checks run over values in memory: a pipeline of ten lines, with plain numpy statistics."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from customer_data_treatment.checks.run import bind_checks, observe_chunk, run_checks
from customer_data_treatment.model.chunk import Chunk
from customer_data_treatment.model.dataset import ArrayField, Dataset, TableField
from customer_data_treatment.model.outcome import ChunkTally, Outcome
from customer_data_treatment.model.requirements import Requirements
from customer_data_treatment.model.statistics import Statistics
from customer_data_treatment.model.verdict import CheckResult

RECORDED = {"source digest": True, "plan": True, "software versions": True}


def check(
    dataset: Dataset, values: Mapping[str, Any], requirements: Requirements | None = None, *, size: int = 1000
) -> list[CheckResult]:
    """Return the results over chunks of `size` rows or first-axis slices."""
    asked = requirements or Requirements()
    observers = bind_checks(dataset, asked)
    partials: dict[int, Any] = {}
    for chunk in chunks_of(dataset, values, size):
        observe_chunk(observers, partials, chunk)
    return run_checks(observers, partials, outcome_of(dataset, values, asked))


def by_name(results: list[CheckResult]) -> dict[str, CheckResult]:
    """Return results by their names, which must be unique."""
    found = {result.name: result for result in results}
    assert len(found) == len(results)
    return found


def chunks_of(dataset: Dataset, values: Mapping[str, Any], size: int) -> list[Chunk]:
    """Return every field's values cut along its first axis."""
    found = []
    for field in dataset.fields:
        whole = values[field.name]
        length = whole.num_rows if isinstance(field, TableField) else (whole.shape or (1,))[0]
        for index, start in enumerate(range(0, length, size)):
            if isinstance(field, TableField):
                found.append(Chunk(field.name, index, (start,), whole.slice(start, size)))
            elif whole.ndim == 0:
                found.append(Chunk(field.name, 0, (), whole))
            else:
                place = (start,) + (0,) * (whole.ndim - 1)
                found.append(Chunk(field.name, index, place, whole[start : start + size]))
    return found


def outcome_of(dataset: Dataset, values: Mapping[str, Any], requirements: Requirements) -> Outcome:
    """Return what a flawless treatment of these values would know."""
    statistics: dict[str, Statistics] = {}
    for field in dataset.fields:
        if isinstance(field, ArrayField):
            statistics[field.name] = array_statistics(np.asarray(values[field.name]), field.fill)
        else:
            for name in set(field.schema.names):
                if field.schema.names.count(name) == 1:
                    statistics[f"{field.name}/{name}"] = column_statistics(values[field.name].column(name))

    def reread(table: str) -> Iterator[pa.RecordBatch]:
        yield values[table]

    return Outcome(
        dataset=dataset,
        statistics=statistics,
        requirements=requirements,
        chunks={field.name: ChunkTally(1, 1, 1) for field in dataset.fields},
        recorded=RECORDED,
        reread=reread,
    )


def array_statistics(values: "np.ndarray[Any, Any]", fill: Any = None) -> Statistics:
    """Return the statistics of an array by plain numpy."""
    flat = values.reshape(-1)
    if flat.dtype == object:
        return Statistics(count=flat.size, missing=sum(item is None for item in flat))
    missing = np.zeros(flat.shape, dtype=bool) if fill is None else flat == fill
    present = flat[~missing]
    if flat.dtype.kind in "mM":
        return Statistics(count=flat.size, missing=int(np.isnat(flat).sum()))
    if flat.dtype.kind == "c":
        return Statistics(count=flat.size, nan=int(np.isnan(flat).sum()))
    floats = present.astype(np.float64)
    finite = present[np.isfinite(floats)]
    cast = float if flat.dtype.kind == "f" else int
    return Statistics(
        count=flat.size,
        missing=int(missing.sum()),
        nan=int(np.isnan(floats).sum()),
        positive_infinite=int((floats == np.inf).sum()),
        negative_infinite=int((floats == -np.inf).sum()),
        minimum=cast(finite.min()) if finite.size else None,
        maximum=cast(finite.max()) if finite.size else None,
        mean=float(finite.astype(np.float64).mean()) if finite.size else 0.0,
        total=int(finite.astype(object).sum()) if flat.dtype.kind in "iu" and finite.size else None,
    )


def column_statistics(column: pa.Array) -> Statistics:
    """Return the statistics of a column: its nulls apart, its numbers by plain numpy."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return Statistics(count=len(column), missing=column.null_count)
    numbers = array_statistics(column.drop_null().to_numpy(zero_copy_only=False))
    return Statistics(
        count=len(column),
        missing=column.null_count,
        nan=numbers.nan,
        positive_infinite=numbers.positive_infinite,
        negative_infinite=numbers.negative_infinite,
        minimum=numbers.minimum,
        maximum=numbers.maximum,
        mean=numbers.mean,
        total=numbers.total,
    )
