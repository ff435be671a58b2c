"""Parquet (apache/parquet-format): every row group, read in batches, its pages held against its footer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...errors import CdtError, CustomerError
from ...model.dataset import Carried, Dataset, RuleCount, TableField, Witness
from ...plugin import FormatCode
from ...ports import Box, ByteSource, RestoreSource
from ...vocabulary import CustomerDataType, DataModalityType, Dimension, RuleKind
from ..containers.arrow_columns import (
    SCHEMA,
    columns_of,
    original_batch,
    pieces,
    plain_array,
    plain_schema,
    schema_bytes,
    schema_from,
)
from .parquet_pages import Chunk, examine

_FIELD = "table"
_LAYOUT = "parquet.json"
_BATCH = 8 << 20
_MOST_ROWS = 16384
_MOST_PLACES = 8
_HELD = 64 << 20  # a larger row group is written as several
_WRITABLE = ("SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4")


class ParquetDecoder:
    """One Parquet file."""

    def __init__(self, source: ByteSource) -> None:
        """Read the footer and hold it against the file's length.

        Raise CustomerError: truncated, corrupt, absurd-header, unsupported-format (encrypted, or a
        column type that no plain table holds).
        """
        self._where = source.name
        self._path = source.local_path()
        _expect_ends(self._path, source)
        with _reading(self._where):
            self._file = pq.ParquetFile(
                self._path,
                memory_map=False,
                pre_buffer=False,
                buffer_size=1 << 20,
                thrift_string_size_limit=1 << 28,
                thrift_container_size_limit=1 << 24,
            )
            self._footer = self._file.metadata
            self._original = self._file.schema_arrow
        with _reading(self._where):
            _expect_sane(self._footer, source)
        self._schema = plain_schema(self._original, self._where)
        with _reading(self._where):
            witnesses = _witnesses(self._footer, self._schema)
        field = TableField(
            name=_FIELD,
            schema=self._schema,
            columns=columns_of(self._schema, self._original),
            rows=self._footer.num_rows,
        )
        self.dataset = Dataset(
            format="Parquet",
            modality=DataModalityType.GENERAL,
            data_type=CustomerDataType.GENERAL,
            fields=(field,),
            carried=(
                Carried(SCHEMA, "the Arrow schema with all key-value metadata", "application/vnd.apache.arrow.stream"),
                Carried(_LAYOUT, "compression, checksums and row groups of the file", "application/json"),
            ),
            witnesses=witnesses,
            source_compression=_compression(self._footer),
            random_access=False,
        )

    def read(self, name: str, box: Box) -> Any:
        """Raise KeyError: a Parquet file has no arrays."""
        raise KeyError(name)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield all row groups' rows, validated, in batches of about 8 MiB."""
        if not self._footer.num_rows:
            return
        row = sum(self._footer.row_group(n).total_byte_size for n in range(self._footer.num_row_groups))
        size = max(1, min(_MOST_ROWS, _BATCH * self._footer.num_rows // max(1, row)))
        seen = 0
        with _reading(self._where):
            for batch in self._file.iter_batches(batch_size=size, use_threads=False):
                batch.validate(full=True)
                seen += batch.num_rows
                columns = [plain_array(c, item.type) for c, item in zip(batch.columns, self._schema, strict=True)]
                yield from pieces(pa.RecordBatch.from_arrays(columns, schema=self._schema), _BATCH)
        if seen != self._footer.num_rows:
            raise CustomerError(
                f"its footer promises {self._footer.num_rows} rows, its pages hold {seen}",
                code="truncated",
                where=self._where,
                remedy="fetch it again",
            )

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the schema, or the layout."""
        content = schema_bytes(self._original) if name == SCHEMA else self._layout()
        for at in range(0, len(content), 1 << 20):
            yield content[at : at + (1 << 20)]

    def _layout(self) -> bytes:
        groups = [self._footer.row_group(n).num_rows for n in range(self._footer.num_row_groups)]
        record = {"compression": _compression(self._footer) or "NONE", "row_groups": groups}
        return json.dumps(record, sort_keys=True).encode()

    def rules(self) -> tuple[RuleCount, ...]:
        """Return whether every column chunk's pages are those of the footer, and their checksums right.

        Encrypted chunks leave the scope. Bodies are read only where they carry a checksum.
        """
        chunks = defects = checksums = wrong = 0
        where_defect: list[str] = []
        where_wrong: list[str] = []
        message = ""
        for place, found in self._chunks():
            chunks += 1
            if found.defect:
                defects += 1
                message = message or f"{place}: {found.defect}"
                where_defect.append(place)
            checksums += found.checksums
            wrong += len(found.wrong_checksums or ())
            where_wrong += [f"{place}, page {number}" for number in found.wrong_checksums or ()]
        return (
            RuleCount(
                name="parquet-pages",
                dimension=Dimension.VALIDITY,
                kind=RuleKind.STRUCTURAL,
                scope=chunks,
                examined=chunks,
                violations=defects,
                message=message or "every column chunk's pages are those that the footer declares",
                where=tuple(where_defect[:_MOST_PLACES]),
            ),
            RuleCount(
                name="parquet-page-checksums",
                dimension=Dimension.INTEGRITY,
                kind=RuleKind.STRUCTURAL,
                scope=checksums,
                examined=checksums,
                violations=wrong,
                message=f"{wrong} pages do not have the CRC-32 that their headers state"
                if wrong
                else "every page has the CRC-32 that its header states",
                where=tuple(where_wrong[:_MOST_PLACES]),
            ),
        )

    def _chunks(self) -> Iterator[tuple[str, Chunk]]:
        with self._path.open("rb") as file:
            for group in range(self._footer.num_row_groups):
                for number in range(self._footer.num_columns):
                    column = self._footer.row_group(group).column(number)
                    if getattr(column, "crypto_metadata", None) is not None:
                        continue
                    if column.num_values == 0:
                        continue
                    start = _start_of(column)
                    found = examine(
                        file.fileno(),
                        start,
                        column.total_compressed_size,
                        column.num_values,
                        column.has_dictionary_page,
                    )
                    yield f"row group {group}, column {column.path_in_schema}", found

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)


def _start_of(column: Any) -> int:
    dictionary = column.dictionary_page_offset if column.has_dictionary_page else None
    # Old writers put 0 where there is no dictionary page (PARQUET-1402).
    return int(min(dictionary, column.data_page_offset) if dictionary else column.data_page_offset)


def _expect_ends(path: Path, source: ByteSource) -> None:
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, source.size - 8))
        end = file.read(8)
    if start == b"PARE" or end[4:] == b"PARE":
        raise CustomerError(
            "its footer is encrypted", code="unsupported-format", where=source.name, remedy="decrypt it first"
        )
    if source.size < 12 or end[4:] != b"PAR1":
        raise CustomerError(
            "the file ends before its Parquet footer does",
            code="truncated",
            where=f"{source.name}, byte {source.size}",
            remedy="fetch it again",
        )
    length = int.from_bytes(end[:4], "little")
    if length + 12 > source.size:
        raise CustomerError(
            f"its footer claims {length} bytes, the file has {source.size}",
            code="corrupt",
            where=f"{source.name}, byte {source.size - 8}",
            remedy="fetch it again",
        )


def _expect_sane(footer: Any, source: ByteSource) -> None:
    """Hold the footer's numbers against the file before anything is read by them."""
    rows = 0
    for number in range(footer.num_row_groups):
        group = footer.row_group(number)
        rows += group.num_rows
        if group.num_columns != footer.num_columns:  # asking for a column that is not there aborts the process
            raise _absurd(f"row group {number} has not the columns of the schema", source)
        if group.num_rows < 0:
            raise _absurd(f"row group {number} has {group.num_rows} rows", source)
        for index in range(group.num_columns):
            column = group.column(index)
            if column.path_in_schema != footer.schema.column(index).path:
                raise _absurd(f"column {index} of row group {number} is not that of the schema", source)
            start, size = _start_of(column), column.total_compressed_size
            if column.num_values == 0 and size <= source.size:
                continue  # writers put 0 for the place of no page
            if start < 4 or size < 0 or start + size > source.size or column.num_values < 0:
                raise _absurd(f"column {column.path_in_schema} of row group {number} lies outside the file", source)
    if rows != footer.num_rows:
        raise _absurd(f"its footer promises {footer.num_rows} rows, its row groups {rows}", source)


def _absurd(message: str, source: ByteSource) -> CustomerError:
    return CustomerError(message, code="absurd-header", where=source.name, remedy="fetch it again")


def _compression(footer: Any) -> str | None:
    if not footer.num_row_groups or not footer.num_columns:
        return None
    name = str(footer.row_group(0).column(0).compression)
    return None if name == "UNCOMPRESSED" else name


def _witnesses(footer: Any, schema: pa.Schema) -> tuple[Witness, ...]:
    """Return what the footer says about flat numeric columns: extremes and null counts."""
    found: list[Witness] = []
    for number in range(footer.num_columns):
        path = footer.schema.column(number).path
        if path not in schema.names or footer.schema.column(number).max_repetition_level:
            continue
        groups = [footer.row_group(n).column(number) for n in range(footer.num_row_groups)]
        stats = [group.statistics if group.is_stats_set else None for group in groups]
        known = [item for item in stats if item is not None]
        if not known or len(known) < len(groups):
            continue
        name = f"{_FIELD}/{path}"
        if all(item.has_null_count for item in known):
            found.append(Witness(name, "missing", sum(item.null_count for item in known), "Parquet footer"))
        kind = schema.field(path).type
        if (pa.types.is_integer(kind) or kind in (pa.float32(), pa.float64())) and all(
            item.has_min_max for item in known if item.num_values
        ):
            ranges = [item for item in known if item.has_min_max]
            if ranges and all(isinstance(item.min, (int, float)) for item in ranges):
                extremes = (("min", min(item.min for item in ranges)), ("max", max(item.max for item in ranges)))
                # Statistics are over finite values: an infinite extreme is no witness of theirs.
                found += [Witness(name, fact, v, "Parquet footer") for fact, v in extremes if isfinite(v)]
    return tuple(found)


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn whatever the library raises into one refusal."""
    try:
        yield
    except (CdtError, GeneratorExit):
        raise
    except Exception as error:  # pyarrow raises OSError, ArrowInvalid, NotImplemented, MemoryError, ValueError, …
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        code = "unsupported-format" if isinstance(error, pa.ArrowNotImplementedError) else "corrupt"
        raise CustomerError(
            f"its Parquet cannot be decoded: {reason}", code=code, where=where, remedy="fetch it again"
        ) from error


def _write(package: RestoreSource, target: Path) -> None:
    """Write the rows with the source's schema, metadata, compression and row groups."""
    schema = schema_from(package.carried(SCHEMA))
    layout = json.loads(package.carried(_LAYOUT))
    codec = layout["compression"]
    if codec != "NONE" and (codec not in _WRITABLE or not pa.Codec.is_available(codec.lower())):
        codec = "ZSTD"
    left = list(layout["row_groups"])
    with pq.ParquetWriter(
        target, schema, compression=codec, write_page_checksum=True, version="2.6", store_schema=True
    ) as writer:
        held: list[pa.RecordBatch] = []
        for batch in package.batches(package.dataset.fields[0].name):
            rest = original_batch(batch, schema)
            while left and rest.num_rows >= left[0] - sum(part.num_rows for part in held):
                cut = left.pop(0) - sum(part.num_rows for part in held)
                writer.write_table(pa.Table.from_batches([*held, rest.slice(0, cut)], schema), row_group_size=1 << 40)
                held, rest = [], rest.slice(cut)
            if rest.num_rows:
                held.append(rest)
            if sum(part.nbytes for part in held) > _HELD:
                left = [left[0] - sum(part.num_rows for part in held), *left[1:]] if left else []
                writer.write_table(pa.Table.from_batches(held, schema), row_group_size=1 << 40)
                held = []
        if held:
            writer.write_table(pa.Table.from_batches(held, schema))


PARQUET = FormatCode(open=ParquetDecoder, write=_write)
