"""The proofs behind verify: chunk digests and statistics from the package alone, bounds and fidelity beside the source."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ..algorithms.columns import digest_column, observe_column
from ..formats.detect import all_formats
from ..model.dataset import TEXT, TableField
from ..model.statistics import Statistics
from ..package.evidence import statistics_of_row
from ..package.layout import EVIDENCE, TABLES
from ..package.opened import OpenedPackage
from ..package.tables import column_chunks, nameable, one_array, open_table, recut
from ..ports import ByteSource, Decoder, Progress
from .fields import statistics_record
from .prove_papers import prove_papers
from .source import DigestThread
from .surroundings import Surroundings

Problem = Callable[[str, str], None]


def prove_alone(opened: OpenedPackage, body: Mapping[str, Any], problem: Problem, progress: Progress) -> int:
    """Decode every chunk, hold its digest and the fields' statistics against the evidence; return the fields."""
    digests, after = _evidence(opened)
    stated = {record["name"]: record["statistics"]["after"] for record in body["fields"] if "statistics" in record}
    for name, statistics in stated.items():
        if after.get(name) != statistics:
            problem("certificate.json", f"the statistics of {name} are not those of the evidence")
    prove_papers(opened, body, problem)
    progress.stage("verifying", body["sizes"]["decoded"])
    for field in opened.dataset.fields:
        if isinstance(field, TableField):
            _prove_table(opened, field, digests, after, problem, progress)
            continue
        from .prove_arrays import prove_array, prove_text

        if field.dtype == TEXT:
            prove_text(opened, field, digests, problem)
        else:
            _same_statistics(field.name, prove_array(opened, field, digests, problem, progress), after, problem)
    return len(opened.dataset.fields)


def _evidence(opened: OpenedPackage) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return field -> its chunk digests in order, and field -> its statistics after.

    A field that was stored twice counts by its last rows.
    """
    digests: dict[str, list[str]] = {}
    after: dict[str, dict[str, Any]] = {}
    with pq.ParquetFile(nameable(opened.folder / EVIDENCE)) as file:
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group).to_pylist():
                if row["part"] == "chunk":
                    held = digests.setdefault(row["field"], [])
                    del held[row["chunk"] :]
                    held.append(row["blake3"])
                elif row["part"] == "after":
                    after[row["field"]] = statistics_record(statistics_of_row(row))
    return digests, after


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
                from .prove_arrays import array_against

                array_against(opened, field, decoder, records, problem, surroundings.progress)
    finally:
        decoder.close()


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
