"""The proofs behind verify: chunk digests and statistics from the package alone, bounds and fidelity beside the source."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from blake3 import blake3

from ..algorithms.columns import digest_column, observe_column
from ..algorithms.observe import observe, same_bytes
from ..codecs.bounded import decoded_statistics, restored, store
from ..formats.detect import all_formats
from ..model.dataset import TEXT, ArrayField, TableField
from ..model.statistics import Statistics
from ..package.evidence import statistics_of_row
from ..package.layout import ARRAYS, EVIDENCE, TABLES
from ..package.opened import OpenedPackage, StoredArray
from ..package.tables import column_chunks, one_array, open_table, recut
from ..ports import ByteSource, Decoder, Progress
from .fields import statistics_record
from .source import DigestThread
from .surroundings import Surroundings
from .survey import own

Problem = Callable[[str, str], None]


def prove_alone(opened: OpenedPackage, body: Mapping[str, Any], problem: Problem, progress: Progress) -> int:
    """Decode every chunk, hold its digest and the fields' statistics against the evidence; return the fields."""
    digests, after = _evidence(opened)
    stated = {record["name"]: record["statistics"]["after"] for record in body["fields"] if "statistics" in record}
    for name, statistics in stated.items():
        if after.get(name) != statistics:
            problem("certificate.json", f"the statistics of {name} are not those of the evidence")
    progress.stage("verifying", body["sizes"]["decoded"])
    for field in opened.dataset.fields:
        if isinstance(field, TableField):
            _prove_table(opened, field, digests, after, problem, progress)
        elif field.dtype == TEXT:
            _prove_chunks(opened.array(field.name), field.name, digests, problem, f"{ARRAYS}/{opened.facts['nodes'][field.name]}")
            mask = opened.missing_mask(field.name)
            if mask is not None:
                _prove_chunks(mask, f"{field.name}__missing", digests, problem, f"{ARRAYS}/{opened.facts['nodes'][field.name]}")
        else:
            statistics = _prove_array(opened, field, digests, problem, progress)
            _same_statistics(field.name, statistics, after, problem)
    return len(opened.dataset.fields)


def _evidence(opened: OpenedPackage) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return field -> its chunk digests in order, and field -> its statistics after.

    A field that was stored twice counts by its last rows.
    """
    digests: dict[str, list[str]] = {}
    after: dict[str, dict[str, Any]] = {}
    with pq.ParquetFile(opened.folder / EVIDENCE) as file:
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group).to_pylist():
                if row["part"] == "chunk":
                    held = digests.setdefault(row["field"], [])
                    del held[row["chunk"] :]
                    held.append(row["blake3"])
                elif row["part"] == "after":
                    after[row["field"]] = statistics_record(statistics_of_row(row))
    return digests, after


def _chunks(stored: StoredArray) -> Iterator[tuple[int, tuple[int, ...], int, tuple[slice, ...]]]:
    index = 0
    for shard, inner in stored.grid.boxes():
        for place, box in inner:
            yield index, shard, place, box
            index += 1


def _prove_chunks(
    stored: StoredArray, name: str, digests: Mapping[str, list[str]], problem: Problem, where: str
) -> None:
    expected = digests.get(name, [])
    for index, shard, place, _ in _chunks(stored):
        try:
            chunk = stored.chunk(shard, place)
        except (ValueError, OSError) as error:
            problem(where, f"chunk {index} does not decode: {error}")
            continue
        if index >= len(expected) or blake3(chunk.tobytes()).hexdigest() != expected[index]:
            problem(where, f"chunk {index} does not decode to the values the bound was proven on")
    stored.close()


def _prove_array(
    opened: OpenedPackage, field: ArrayField, digests: Mapping[str, list[str]], problem: Problem, progress: Progress
) -> Statistics:
    stored = opened.array(field.name)
    expected = digests.get(field.name, [])
    total = Statistics()
    for index, shard, place, box in _chunks(stored):
        where = f"{ARRAYS}/{opened.facts['nodes'][field.name]}/c/{'/'.join(map(str, shard))}".rstrip("/")
        try:
            chunk = stored.chunk(shard, place)
        except (ValueError, OSError) as error:
            problem(where, f"chunk {index} does not decode: {error}")
            continue
        digest = blake3(memoryview(chunk.reshape(-1).view(np.uint8))).hexdigest()
        if index >= len(expected) or digest != expected[index]:
            problem(where, f"chunk {index} does not decode to the values the bound was proven on")
        inside = tuple(slice(0, part.stop - part.start) for part in box)
        values = np.ascontiguousarray(chunk[inside]) if inside else chunk
        if stored.form.grid is not None:
            statistics = decoded_statistics(values.reshape(-1), stored.form.grid)
        else:
            statistics, _ = observe(restored(values, stored.form, field.numpy_dtype()), field.fill)
        total = statistics if index == 0 else total.merge(statistics)
        progress.advance(values.size * field.numpy_dtype().itemsize)
    stored.close()
    return total


def _same_statistics(
    name: str, statistics: Statistics, after: Mapping[str, Mapping[str, Any]], problem: Problem
) -> None:
    stated = dict(after.get(name, {}))
    counted = {"distinct": stated.get("distinct"), "distinct_exact": stated.get("distinct_exact")}
    if statistics_record(statistics) | counted != stated:
        problem(EVIDENCE, f"the statistics of {name} are not those of what decodes")


def _prove_table(
    opened: OpenedPackage,
    table: TableField,
    digests: Mapping[str, list[str]],
    after: Mapping[str, Mapping[str, Any]],
    problem: Problem,
    progress: Progress,
) -> None:
    where = f"{TABLES}/{opened.facts['tables'][table.name]}.parquet"
    totals = [Statistics() for _ in table.columns]
    try:
        with open_table(opened.folder / where) as file:
            for group, arrays in column_chunks(file, list(range(len(table.columns)))):
                for number, (column, array) in enumerate(zip(table.columns, arrays, strict=True)):
                    name = f"{table.name}/{column.name}"
                    expected = digests.get(name, [])
                    if group >= len(expected) or digest_column(array).hex() != expected[group]:
                        problem(where, f"row group {group} of column {column.name} is not what was stored")
                    statistics = observe_column(array)
                    totals[number] = totals[number].merge(statistics) if group else statistics
                    progress.advance(array.nbytes)
    except (OSError, ValueError) as error:
        problem(where, f"it cannot be read: {str(error).splitlines()[0]}")
        return
    for column, statistics in zip(table.columns, totals, strict=True):
        _same_statistics(f"{table.name}/{column.name}", statistics, after, problem)


def prove_against(
    opened: OpenedPackage, body: Mapping[str, Any], source: ByteSource, problem: Problem, surroundings: Surroundings
) -> None:
    """Decode the source again and hold every value of the package against it."""
    digest = DigestThread(source).result()
    if digest.sha256 != body["source"]["sha256"]:
        problem(source.name, "it is not the source this package was made from")
        return
    decoder = surroundings.open_decoder(all_formats()[body["format"]], source)
    surroundings.progress.stage("proving", body["sizes"]["decoded"])
    records = {record["name"]: record for record in body["fields"]}
    try:
        for field in opened.dataset.fields:
            if isinstance(field, TableField):
                _table_against(opened, field, decoder, problem)
            else:
                _array_against(opened, field, decoder, records, problem, surroundings.progress)
    finally:
        decoder.close()


def _array_against(
    opened: OpenedPackage,
    field: ArrayField,
    decoder: Decoder,
    records: Mapping[str, Mapping[str, Any]],
    problem: Problem,
    progress: Progress,
) -> None:
    stored = opened.array(field.name)
    where = f"{ARRAYS}/{opened.facts['nodes'][field.name]}"
    largest = 0.0
    for index, shard, place, box in _chunks(stored):
        source = own(decoder.read(field.name, box))
        if field.dtype == TEXT:
            if not _same_text(opened.read(field.name, box), source):
                problem(where, f"chunk {index} does not hold the source's text")
            continue
        values = stored.values(shard, place, box)
        again, errors, _ = store(source, stored.form, field.fill)
        if errors.broken or not same_bytes(np.ascontiguousarray(again), values):
            problem(where, f"chunk {index} is not what the source's values give")
        largest = max(largest, _largest_error(source, values, stored, field))
        progress.advance(source.nbytes)
    stored.close()
    bound = stored.form.bound
    if bound is not None and largest > bound:
        problem(where, f"its largest error is {largest!r}, its bound {bound!r}")
    stated = records[field.name].get("error")
    if stated is not None and largest > stated["max"]:
        problem("certificate.json", f"the largest error of {field.name} is larger than stated")


def _same_text(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> bool:
    return a.shape == b.shape and a.reshape(-1).tolist() == b.reshape(-1).tolist()


def _largest_error(
    source: "np.ndarray[Any, Any]", values: "np.ndarray[Any, Any]", stored: StoredArray, field: ArrayField
) -> float:
    """Return the largest |decoded - original| in plain numpy, as a reader of the package would compute it."""
    if stored.form.name == "exact" or source.size == 0:
        return 0.0
    decoded = restored(values, stored.form, source.dtype).astype(np.float64)
    original = source.astype(np.float64)
    compared = np.isfinite(original)
    if field.fill is not None:
        compared &= source != field.fill
    worst = float(np.abs(decoded[compared] - original[compared]).max()) if compared.any() else 0.0
    if stored.form.grid is not None:
        wide = values.astype(np.float64) * stored.form.grid.step + stored.form.grid.offset
        worst = max(worst, float(np.abs(wide[compared] - original[compared]).max()) if compared.any() else 0.0)
    return worst


def _table_against(
    opened: OpenedPackage,
    table: TableField,
    decoder: Decoder,
    problem: Problem,
) -> None:
    where = f"{TABLES}/{opened.facts['tables'][table.name]}.parquet"
    encodings = next(item for item in opened.plan["fields"] if item["field"] == table.name)["columns"]
    with open_table(opened.folder / where) as file:
        rows = file.metadata.row_group(0).num_rows if file.num_row_groups else 1
        batches = recut(decoder.batches(table.name), max(1, rows), None)
        for group in range(file.num_row_groups):
            batch = next(batches, None)
            held = file.read_row_group(group, use_threads=False)
            if batch is None or batch.num_rows != held.num_rows:
                problem(where, f"row group {group} does not have the source's rows")
                return
            for number, column in enumerate(table.columns):
                bound = encodings[column.name]["bound"]
                kept = one_array(held.column(number))
                if bound is None and digest_column(kept) != digest_column(batch.column(number)):
                    problem(where, f"column {column.name} does not hold the source's values in row group {group}")
                elif bound is not None and _column_error(kept, batch.column(number)) > bound:
                    problem(where, f"column {column.name} breaks its bound in row group {group}")
        if next(batches, None) is not None:
            problem(where, "the source has more rows")


def _column_error(kept: Any, source: Any) -> float:
    from ..algorithms.columns import flat_values

    a = flat_values(kept).fill_null(0.0).to_numpy(zero_copy_only=False).astype(np.float64)
    b = flat_values(source).fill_null(0.0).to_numpy(zero_copy_only=False).astype(np.float64)
    finite = np.isfinite(b)
    if len(a) != len(b) or not np.array_equal(finite, np.isfinite(a)):
        return float("inf")
    return float(np.abs(a[finite] - b[finite]).max()) if finite.any() else 0.0


