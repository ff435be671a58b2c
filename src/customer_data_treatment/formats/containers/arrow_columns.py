"""Arrow types that a plain Parquet table gives back as they were, and the way there and back.

Dictionaries become their values, extension types their storage, views the type they view, seconds
milliseconds. The original schema is carried, so that a writer undoes it.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import CustomerError
from ...model.dataset import Column
from ...model.schema import role_of

SCHEMA = "schema.arrow"


def plain_schema(schema: pa.Schema, where: str) -> pa.Schema:
    """Return the schema without metadata, each type as a plain table stores it.

    Raise CustomerError (unsupported-format) naming a column that has no such form, or one name twice.
    """
    names = schema.names
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise _refused(f"two columns are called {twice!r}", where)
    fields = []
    for item in schema:
        try:
            kind = plain_type(item.type)
        except TypeError as error:
            raise _refused(f"column {item.name!r} has type {item.type}, which no plain table holds", where) from error
        fields.append(pa.field(item.name, kind, item.nullable))
    return pa.schema(fields)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that stands for `kind` in a plain table; raise TypeError where there is none."""
    is_ = pa.types
    if str(kind).endswith("_interval"):  # of the three, pyarrow knows one by its type
        raise TypeError(str(kind))
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if is_.is_dictionary(kind) or is_.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if is_.is_string_view(kind):
        return pa.string()
    if is_.is_binary_view(kind):
        return pa.binary()
    if is_.is_date64(kind):
        return pa.date32()
    if kind == pa.time32("s"):
        return pa.time32("ms")
    if is_.is_timestamp(kind) and kind.unit == "s":
        return pa.timestamp("ms", kind.tz)
    if is_.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if is_.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if is_.is_large_list(kind) or isinstance(kind, pa.LargeListViewType):
        return pa.large_list(plain_type(kind.value_type))
    if is_.is_list(kind) or isinstance(kind, pa.ListViewType):
        return pa.list_(plain_type(kind.value_type))
    if is_.is_struct(kind) and kind.num_fields:
        return pa.struct([pa.field(part.name, plain_type(part.type), part.nullable) for part in kind])
    if is_.is_nested(kind) or is_.is_union(kind) or is_.is_interval(kind):
        raise TypeError(str(kind))
    return kind


def plain_array(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return a column as its plain type."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if isinstance(values, pa.DictionaryArray):
        values = values.dictionary_decode()
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    if isinstance(values, (pa.ListViewArray, pa.LargeListViewArray)):
        return _list_of_view(values, kind)
    return values if values.type.equals(kind) else values.cast(kind)


def _list_of_view(values: pa.Array, kind: pa.DataType) -> pa.Array:
    # pyarrow's own cast leaves the offsets one short.
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    large = pa.types.is_large_list(kind)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int64() if large else pa.int32())
    items = plain_array(values.flatten(), kind.value_type)
    make = pa.LargeListArray if large else pa.ListArray
    return make.from_arrays(offsets, items, mask=pc.is_null(values)).cast(kind)


def original_array(values: pa.Array, kind: pa.DataType, dictionary: pa.Array | None = None) -> pa.Array:
    """Return a plain column as the type its source had: the inverse of `plain_array`.

    A dictionary column is coded by `dictionary`, where given, and by the values' own order else.
    """
    if values.type.equals(kind):
        return values
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, original_array(values, kind.storage_type))
    if pa.types.is_dictionary(kind):
        if isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()
        values = original_array(values, kind.value_type)
        if pa.types.is_nested(kind.value_type):
            return _coded_by_hand(values, kind, dictionary)
        if dictionary is None:
            dictionary = pc.unique(values).drop_null()
        codes = pc.index_in(values, dictionary, skip_nulls=True).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(codes, dictionary, ordered=kind.ordered)
    if pa.types.is_run_end_encoded(kind):
        return pc.run_end_encode(values, run_end_type=kind.run_end_type)
    if isinstance(kind, (pa.ListViewType, pa.LargeListViewType)):
        return _view_of_list(values, kind)
    return values.cast(kind)


def _coded_by_hand(values: pa.Array, kind: pa.DataType, dictionary: pa.Array | None) -> pa.Array:
    """Return a dictionary of lists or structs, for which pyarrow has neither unique nor index_in."""
    places = {
        repr(cell): at
        for at, cell in reversed(list(enumerate(dictionary.to_pylist() if dictionary is not None else ())))
    }
    first: list[int] = []
    codes: list[int | None] = []
    for at, cell in enumerate(values.to_pylist()):
        if cell is not None and dictionary is None and repr(cell) not in places:
            places[repr(cell)] = len(first)
            first.append(at)
        codes.append(None if cell is None else places[repr(cell)])
    entries = values.take(pa.array(first, pa.int64())) if dictionary is None else dictionary
    return pa.DictionaryArray.from_arrays(pa.array(codes, kind.index_type), entries, ordered=kind.ordered)


def _view_of_list(values: pa.Array, kind: pa.DataType) -> pa.Array:
    lengths = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
    starts = np.cumsum(lengths) - lengths
    large = isinstance(kind, pa.LargeListViewType)
    make, width = (pa.LargeListViewArray, pa.int64()) if large else (pa.ListViewArray, pa.int32())
    items = original_array(values.flatten(), kind.value_type)
    return make.from_arrays(
        pa.array(starts, width), pa.array(lengths, width), items, type=kind, mask=pc.is_null(values)
    )


def columns_of(schema: pa.Schema, original: pa.Schema) -> tuple[Column, ...]:
    """Return what each column is for; one that the source forbids to be null is required."""
    columns = []
    for item, source in zip(schema, original, strict=True):
        units = (source.metadata or {}).get(b"units", b"").decode("utf-8", "replace") or None
        kind = "category" if pa.types.is_dictionary(source.type) else kind_of(item.type)
        role = role_of(item.name, kind, units)
        columns.append(Column(name=item.name, role=role, units=units, required=not source.nullable))
    return tuple(columns)


def kind_of(kind: pa.DataType) -> str:
    """Return model.schema's word for an Arrow type; a list has its items' word."""
    is_ = pa.types
    while is_.is_list(kind) or is_.is_large_list(kind) or is_.is_fixed_size_list(kind):
        kind = kind.value_type
    if is_.is_floating(kind) or is_.is_decimal(kind):
        return "float"
    if is_.is_integer(kind):
        return "integer"
    if is_.is_boolean(kind):
        return "boolean"
    if is_.is_temporal(kind) and not is_.is_duration(kind):
        return "time"
    return "float" if is_.is_duration(kind) else "text"


def schema_bytes(schema: pa.Schema) -> bytes:
    """Return the schema, metadata included, as one IPC message."""
    return bytes(schema.serialize())


def schema_from(document: bytes) -> pa.Schema:
    """Return the schema that `schema_bytes` wrote; raise CustomerError (corrupt)."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(document))
    except (pa.ArrowException, OSError) as error:
        raise CustomerError("the table's schema cannot be read", code="corrupt", where=SCHEMA) from error


def original_batch(
    batch: pa.RecordBatch, schema: pa.Schema, dictionaries: dict[str, pa.Array] | None = None
) -> pa.RecordBatch:
    """Return a plain batch with the source's schema."""
    held: dict[str, Any] = dictionaries or {}
    arrays = [
        original_array(values, item.type, held.get(item.name))
        for values, item in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def pieces(batch: pa.RecordBatch, budget: int = 8 << 20) -> "list[pa.RecordBatch]":
    """Return the batch cut into runs of rows of about `budget` bytes each."""
    step = max(1, batch.num_rows * budget // max(1, batch.nbytes))
    return [batch.slice(at, step) for at in range(0, batch.num_rows, step)]


def _refused(message: str, where: str) -> CustomerError:
    return CustomerError(message, code="unsupported-format", where=where, remedy="write the column in another type")
