"""Arrow IPC (columnar format specification 1.5): files, streams, and Feather, version 1 and 2.

Every batch is validated in full: offsets, dictionary codes and UTF-8 are what pyarrow trusts.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import feather

from ...errors import CdtError, CustomerError
from ...model.dataset import Carried, Dataset, RuleCount, TableField
from ...model.verdict import Finding
from ...plugin import FormatCode
from ...ports import Box, ByteSource, RestoreSource
from ...vocabulary import CustomerDataType, DataModalityType, Severity
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

_FIELD = "table"
_LAYOUT = "arrow.json"
_DICTIONARIES = "dictionaries.arrow"
_BATCH = 8 << 20
_LARGE = 64 << 20  # an uncompressed batch beyond this is read through a map, piece by piece
_STEP_ROWS = 1 << 16
_STREAM_END = (b"\xff\xff\xff\xff\x00\x00\x00\x00", b"\x00\x00\x00\x00")


class ArrowDecoder:
    """One Arrow file, stream or Feather file."""

    def __init__(self, source: ByteSource) -> None:
        """Read the schema, dictionaries and the length of each batch.

        A stream states no number of rows: `rows` is None. Raise CustomerError: truncated, corrupt,
        unsupported-format (a column type that no plain table holds).
        """
        self._where = source.name
        self._path = source.local_path()
        with self._path.open("rb") as file:
            start = file.read(8)
        self._kind = "file" if start.startswith(b"ARROW1") else "feather1" if start.startswith(b"FEA1") else "stream"
        self._expect_end(source)
        self._compression: str | None = None
        self._dictionaries: dict[str, pa.Array] = {}
        with _reading(self._where):
            self._original, rows = self._facts()
        self._schema = plain_schema(self._original, self._where)
        field = TableField(
            name=_FIELD, schema=self._schema, columns=columns_of(self._schema, self._original), rows=rows
        )
        carried = [
            Carried(SCHEMA, "the Arrow schema with all metadata", "application/vnd.apache.arrow.stream"),
            Carried(_LAYOUT, "which form of Arrow file it was", "application/json"),
        ]
        if self._dictionaries:
            carried.append(Carried(_DICTIONARIES, "the dictionaries, in their order"))
        self.dataset = Dataset(
            format="Arrow",
            modality=DataModalityType.GENERAL,
            data_type=CustomerDataType.GENERAL,
            fields=(field,),
            carried=tuple(carried),
            findings=self._findings(),
            source_compression=self._compression,
            random_access=False,
        )

    def read(self, name: str, box: Box) -> Any:
        """Raise KeyError: an Arrow file has no arrays."""
        raise KeyError(name)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield all rows, validated, in batches of about 8 MiB."""
        with _reading(self._where):
            for batch in self._batches():
                for piece in pieces(batch, _BATCH):
                    piece.validate(full=True)
                    columns = [plain_array(c, item.type) for c, item in zip(piece.columns, self._schema, strict=True)]
                    yield from pieces(pa.RecordBatch.from_arrays(columns, schema=self._schema), _BATCH)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the schema, the layout or the dictionaries."""
        if name == SCHEMA:
            content = schema_bytes(self._original)
        elif name == _LAYOUT:
            content = json.dumps({"compression": self._compression, "kind": self._kind}, sort_keys=True).encode()
        else:
            content = _dictionary_bytes(self._dictionaries)
        for at in range(0, len(content), 1 << 20):
            yield content[at : at + (1 << 20)]

    def rules(self) -> tuple[RuleCount, ...]:
        """Return no rules: what is wrong with an Arrow file refuses it."""
        return ()

    def close(self) -> None:
        """Hold nothing open between calls."""

    def _expect_end(self, source: ByteSource) -> None:
        with self._path.open("rb") as file:
            file.seek(max(0, source.size - 8))
            end = file.read(8)
        whole = {"file": end.endswith(b"ARROW1"), "feather1": end.endswith(b"FEA1"), "stream": True}
        if not whole[self._kind]:
            raise CustomerError(
                "the file ends before its Arrow footer does",
                code="truncated",
                where=f"{source.name}, byte {source.size}",
                remedy="fetch it again",
            )

    def _findings(self) -> tuple[Finding, ...]:
        if self._kind != "stream":
            return ()
        size = self._path.stat().st_size
        with self._path.open("rb") as file:
            file.seek(max(0, size - 8))
            end = file.read()
        if end.endswith(_STREAM_END[0]) or end.endswith(_STREAM_END[1]):
            return ()
        message = "its stream has no end mark: it may have been cut between two batches"
        return (Finding(code="no-end-mark", severity=Severity.WARNING, message=message, where=self._where),)

    def _facts(self) -> tuple[pa.Schema, int | None]:
        if self._kind == "feather1":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                table = feather.read_table(self._path, memory_map=False, use_threads=False)
            return table.schema, table.num_rows
        rows: int | None = None
        with pa.OSFile(str(self._path)) as file:
            if self._kind == "stream":
                schema = pa.ipc.open_stream(file).schema
            else:
                reader = pa.ipc.open_file(file)
                schema = reader.schema
                if reader.num_record_batches:
                    self._compression = _compression_of(self._path)
                rows = self._count(reader)
        return schema, rows

    def _count(self, reader: Any) -> int:
        """Return the rows of all batches without reading their columns; keep the dictionaries."""
        coded = [number for number, item in enumerate(reader.schema) if pa.types.is_dictionary(item.type)]
        rows = 0
        options = pa.ipc.IpcReadOptions(included_fields=coded or [0], use_threads=False)
        if not len(reader.schema):
            return 0
        with pa.OSFile(str(self._path)) as file:
            thin = pa.ipc.open_file(file, options=options)
            for number in range(thin.num_record_batches):
                batch = thin.get_batch(number)
                rows += batch.num_rows
                for item, values in zip(batch.schema, batch.columns, strict=True):
                    if isinstance(values, pa.DictionaryArray):
                        values.dictionary.validate(full=True)
                        self._dictionaries[item.name] = values.dictionary
        return rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        if self._kind == "feather1":
            yield from self._feather_columns()
            return
        if self._kind == "stream":
            with pa.OSFile(str(self._path)) as file:
                yield from pa.ipc.open_stream(file, options=pa.ipc.IpcReadOptions(use_threads=False))
            return
        with pa.OSFile(str(self._path)) as file:
            count = pa.ipc.open_file(file).num_record_batches
        for number in range(count):
            if self._compression is None and self._path.stat().st_size // count > _LARGE:
                yield from self._mapped(number)
                continue
            with pa.OSFile(str(self._path)) as file:
                yield pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False)).get_batch(number)

    def _mapped(self, number: int) -> Iterator[pa.RecordBatch]:
        """Yield a large batch piece by piece; the map is opened anew for each, or its pages would pile up."""
        at = 0
        while True:
            with pa.memory_map(str(self._path)) as file:
                batch = pa.ipc.open_file(file).get_batch(number)
                if at >= batch.num_rows:
                    return
                step = max(1, min(_STEP_ROWS, batch.num_rows * _BATCH // max(1, batch.nbytes)))
                copy = _copied(batch.slice(at, step))
                del batch
            at += step
            yield copy

    def _feather_columns(self) -> Iterator[pa.RecordBatch]:
        # Version 1 stores whole columns and pyarrow reads them whole; it is read as one table.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            table = feather.read_table(self._path, memory_map=False, use_threads=False)
        table.validate(full=True)
        yield from table.to_batches(max_chunksize=_STEP_ROWS)


def _copied(batch: pa.RecordBatch) -> pa.RecordBatch:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return pa.ipc.open_stream(sink.getvalue()).read_next_batch()


def _compression_of(path: Path) -> str | None:
    """Return the codec of the first batch: BodyCompression stands in the message, before its buffers."""
    with pa.OSFile(str(path)) as file:
        file.seek(8)
        reader = pa.ipc.MessageReader.open_stream(file)
        for message in reader:
            if message.type == "record batch":
                body = message.body
                return _guess_codec(bytes(body[: min(len(body), 1 << 16)])) if body is not None else None
    return None


def _guess_codec(body: bytes) -> str | None:
    """Return "zstd" or "lz4" by the frame magic behind the first buffer's length of eight bytes."""
    for at in range(0, max(0, len(body) - 12), 8):
        if body[at + 8 : at + 12] == b"\x28\xb5\x2f\xfd":
            return "zstd"
        if body[at + 8 : at + 12] == b"\x04\x22\x4d\x18":
            return "lz4"
        if any(body[at : at + 8]):
            return None
    return None


def _dictionary_bytes(dictionaries: dict[str, pa.Array]) -> bytes:
    """Return the dictionaries as consecutive IPC streams of one column each, behind their names."""
    sink = pa.BufferOutputStream()
    for name, values in dictionaries.items():
        batch = pa.RecordBatch.from_arrays([values], names=[name])
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
    return bytes(sink.getvalue())


def _dictionaries_from(document: bytes) -> dict[str, pa.Array]:
    found: dict[str, pa.Array] = {}
    source = pa.BufferReader(document)
    while source.tell() < source.size():
        table = pa.ipc.open_stream(source).read_all()
        found[table.schema.names[0]] = table.column(0).combine_chunks()
    return found


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Turn whatever the library raises into one refusal."""
    try:
        yield
    except (CdtError, GeneratorExit):
        raise
    except Exception as error:  # pyarrow raises OSError, ArrowInvalid, NotImplemented, MemoryError, ValueError, …
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        code = "corrupt"
        if isinstance(error, pa.ArrowNotImplementedError):
            code = "unsupported-format"
        elif "too short" in reason or "Expected to be able to read" in reason or "end of" in reason.lower():
            code = "truncated"
        raise CustomerError(
            f"its Arrow data cannot be decoded: {reason}", code=code, where=where, remedy="fetch it again"
        ) from error


def _write(package: RestoreSource, target: Path) -> None:
    """Write the rows with the source's schema, metadata, dictionaries and kind of file."""
    schema = schema_from(package.carried(SCHEMA))
    layout = json.loads(package.carried(_LAYOUT))
    named = {item.name for item in package.dataset.carried}
    dictionaries = _dictionaries_from(package.carried(_DICTIONARIES)) if _DICTIONARIES in named else {}
    name = package.dataset.fields[0].name
    batches = (original_batch(batch, schema, dictionaries) for batch in package.batches(name))
    if layout["kind"] == "feather1":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            feather.write_feather(pa.Table.from_batches(list(batches), schema), str(target), version=1)
        return
    codec = layout["compression"]
    options = pa.ipc.IpcWriteOptions(compression=codec, use_threads=False, unify_dictionaries=False)
    make = pa.ipc.new_stream if layout["kind"] == "stream" else pa.ipc.new_file
    with pa.OSFile(str(target), "wb") as sink, make(sink, schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


ARROW = FormatCode(open=ArrowDecoder, write=_write)
