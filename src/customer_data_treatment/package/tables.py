"""data/tables/NAME.parquet: plain Parquet whose row groups hold a fixed count of rows.

The count comes from the width of the first rows, so it depends on the data alone. Encodings are
chosen per column by bytes on the first row group. Page checksums are written.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import CustomerError
from .files import Ledger

_GROUP_BYTES = 8 << 20
_FEWEST, _MOST = 16, 65536
_SMALL = 16 << 20


def rows_per_group(first: pa.RecordBatch | None) -> int:
    """Return the rows of a row group: a power of two, about 8 MiB of the first batch's width."""
    if first is None or first.num_rows == 0:
        return _MOST
    width = max(1, first.nbytes // first.num_rows)
    rows = max(_FEWEST, min(_MOST, _GROUP_BYTES // width))
    return int(1 << (rows.bit_length() - 1))


def recut(batches: Iterator[pa.RecordBatch], rows: int, first: pa.RecordBatch | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows again in batches of exactly `rows`, the last one shorter."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    source = batches if first is None else _chain(first, batches)
    for batch in source:
        at = 0
        while at < batch.num_rows:
            part = batch.slice(at, min(rows - held, batch.num_rows - at))
            waiting.append(part)
            held += part.num_rows
            at += part.num_rows
            if held == rows:
                yield _joined(waiting)
                waiting, held = [], 0
    if held:
        yield _joined(waiting)


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(parts) == 1:
        return parts[0]
    return pa.Table.from_batches(parts).combine_chunks().to_batches(max_chunksize=sum(p.num_rows for p in parts))[0]


class TableWriter:
    """One Parquet file being written group by group."""

    def __init__(self, ledger: Ledger, path: str, schema: pa.Schema, first: pa.RecordBatch | None) -> None:
        self._file = ledger.create(path)
        level = 3 if first is not None and first.nbytes > _SMALL else 9
        encodings, dictionaries = _encodings(schema, first, level)
        try:
            self._writer = pq.ParquetWriter(
                self._file,
                schema,
                version="2.6",
                compression="zstd",
                compression_level=level,
                use_dictionary=dictionaries,
                column_encoding=encodings or None,
                write_page_checksum=True,
            )
        except (pa.ArrowException, NotImplementedError) as error:
            self._file.abandon()
            raise CustomerError(
                f"a column's type has no Parquet form: {str(error).splitlines()[0]}", code="unsupported-format"
            ) from error

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one row group."""
        self._writer.write_batch(batch, row_group_size=max(1, batch.num_rows))

    def close(self) -> None:
        """Write the footer and put the file on disk."""
        self._writer.close()
        self._file.close()

    def abandon(self) -> None:
        """Leave the file unfinished."""
        self._file.abandon()


def _encodings(schema: pa.Schema, first: pa.RecordBatch | None, level: int) -> tuple[dict[str, str], list[str]]:
    """Return (column path -> encoding, columns with a dictionary): the fewest bytes on the first rows."""
    chosen: dict[str, str] = {}
    dictionaries: list[str] = []
    for number, field in enumerate(schema):
        path, kind = field.name, field.type
        while pa.types.is_list(kind) or pa.types.is_large_list(kind):
            path, kind = f"{path}.list.element", kind.value_type
        rivals = _rivals(kind)
        if not rivals or first is None or first.num_rows == 0 or "." in field.name:
            dictionaries.append(path)
            continue
        column = pa.table({field.name: first.column(number)}, schema=pa.schema([field]))
        sizes = {rival: _size(column, level, [], {path: rival}) for rival in rivals}
        best = min(sizes, key=lambda rival: sizes[rival])
        if sizes[best] < _size(column, level, [path], {}):
            chosen[path] = best
        else:
            dictionaries.append(path)
    return chosen, dictionaries


def _rivals(kind: pa.DataType) -> tuple[str, ...]:
    """Return the encodings that may beat a dictionary; polars and DuckDB read them all."""
    if pa.types.is_floating(kind) and kind != pa.float16():
        return ("BYTE_STREAM_SPLIT", "PLAIN")
    if pa.types.is_integer(kind):
        packed = ("DELTA_BINARY_PACKED",) if kind.bit_width >= 32 else ()
        return (*packed, "BYTE_STREAM_SPLIT", "PLAIN")
    return ("PLAIN", "DELTA_BYTE_ARRAY") if pa.types.is_string(kind) else ()


def _size(table: pa.Table, level: int, dictionaries: list[str], encodings: dict[str, str]) -> int:
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=level,
        use_dictionary=dictionaries,
        column_encoding=encodings or None,
    )
    return int(sink.getvalue().size)


def open_table(path: Path) -> pq.ParquetFile:
    """Open a table for reading with its page checksums verified."""
    return pq.ParquetFile(nameable(path), page_checksum_verification=True, memory_map=False)


def nameable(path: Path) -> Any:
    """Return what pyarrow can open: the path, or the open file where its name is not UTF-8."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return path.open("rb")
    return path


def column_chunks(file: pq.ParquetFile, columns: list[int]) -> Iterator[tuple[int, list[pa.Array]]]:
    """Yield (row group, the arrays of those columns) in order; columns are numbers in the schema."""
    names = [file.schema_arrow.names[i] for i in columns]
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=names, use_threads=False)
        yield group, [one_array(table.column(name)) for name in names]


def one_array(column: Any) -> pa.Array:
    """Return a chunked column as one array."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.array([], type=column.type)
