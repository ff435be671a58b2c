"""Compound and variable-length HDF5 datasets as Arrow tables, one row a record, and back."""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from h5py import h5t

from ...errors import CustomerError
from ...model.dataset import Column, TableField
from ...model.schema import role_of
from ...ports import Box
from . import records
from .boxes import flat_boxes, trailing
from .hdf5_forms import Form, flat_read, padded, single_byte, text_of, write_typed
from .raw import native

LIST_COLUMN = "values"
_BATCH_BYTES = 4 << 20
_MOST_ROWS = 65536


def _record_type(dataset: Any, dtype: "np.dtype[Any]") -> Any:
    """Return the memory type of records: numpy's, but fixed text as the file types it."""
    kind = dataset.id.get_type()
    made = h5t.create(h5t.COMPOUND, dtype.itemsize)
    fields: Any = dtype.fields
    for at, name in enumerate(dtype.names or ()):
        member, offset = fields[name][:2]
        fixed = (member.subdtype or (member,))[0].kind == "S"
        made.insert(
            kind.get_member_name(at),
            offset,
            kind.get_member_type(at) if fixed else h5t.py_create(member),
        )
    return made


def table_field(name: str, form: Form, attributes: dict[str, Any]) -> TableField:
    """Return the facts of the table that a compound or variable-length dataset makes."""
    rows = prod(form.shape)
    if len(form.shape) != 1:
        attributes = attributes | {"shape": list(form.shape)}
    schema = schema_of(form)
    columns = tuple(Column(name=part.name, role=role_of(part.name, _arrow_kind(form, part.name))) for part in schema)
    return TableField(name=name, schema=schema, columns=columns, rows=rows, attributes=attributes)


def _arrow_kind(form: Form, member: str) -> str:
    if form.kind == "list":
        return records.kind_of(np.dtype(h5py.check_vlen_dtype(form.dtype)))
    base = (form.dtype[member].subdtype or (form.dtype[member], ()))[0]
    if h5py.check_enum_dtype(base) is not None:
        return "category"
    return records.kind_of(base)


def schema_of(form: Form) -> pa.Schema:
    """Return the Arrow schema of a table form."""
    if form.kind == "list":
        return pa.schema([pa.field(LIST_COLUMN, _list_type(form.dtype))])
    return pa.schema([pa.field(member, _member_type(form.dtype[member])) for member in form.dtype.names])


def _list_type(dtype: "np.dtype[Any]") -> pa.DataType:
    return pa.list_(records.arrow_type(np.dtype(h5py.check_vlen_dtype(dtype))))


def _member_type(dtype: "np.dtype[Any]") -> pa.DataType:
    if dtype.kind in "SO":
        return pa.string() if h5py.check_string_dtype(dtype) or dtype.kind == "S" else _list_type(dtype)
    return records.arrow_type(dtype)


def batches(dataset: Any, form: Form) -> Iterator[pa.RecordBatch]:
    """Yield the records in C order, about 4 MiB at a time; lists shrink the steps as they grow."""
    schema = schema_of(form)
    step = _MOST_ROWS if not form.dtype.hasobject else 1024
    step = max(1, min(step, _BATCH_BYTES // max(1, form.dtype.itemsize)))
    start, total = 0, prod(form.shape)
    while start < total:
        count = min(step, total - start)
        batch = _batch(flat_read(dataset, form, start, count), form, schema)
        yield batch
        start += count
        if form.dtype.hasobject:
            grown = step * _BATCH_BYTES // max(1, batch.nbytes)
            step = max(1, min(grown, step * 4, _MOST_ROWS))


def _batch(values: "np.ndarray[Any, Any]", form: Form, schema: pa.Schema) -> pa.RecordBatch:
    if form.kind == "list":
        return pa.RecordBatch.from_arrays([_lists(values, schema.field(0).type)], schema=schema)
    plain = [name for name in schema.names if form.dtype[name].kind not in "SO"]
    parts = {}
    if plain:
        some = pa.schema([schema.field(name) for name in plain])
        chosen = records.batch(values[plain], some)
        parts = {name: chosen.column(name) for name in plain}
    for name in schema.names:
        if name in parts:
            continue
        kind = schema.field(name).type
        if pa.types.is_string(kind):
            latin = single_byte(form.dtype[name])
            parts[name] = pa.array([text_of(item, latin) for item in values[name].tolist()], type=kind)
        else:
            parts[name] = _lists(values[name], kind)
    return pa.RecordBatch.from_arrays([parts[name] for name in schema.names], schema=schema)


def _lists(values: "np.ndarray[Any, Any]", kind: pa.DataType) -> pa.Array:
    lengths = np.fromiter((len(item) for item in values), dtype=np.int64, count=len(values))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    element = kind.value_type
    flat = [np.asarray(item) for item in values if len(item)]
    whole = native(np.concatenate(flat)) if flat else np.empty(0)
    if whole.dtype.kind == "c":
        joined = pa.StructArray.from_arrays(
            [pa.array(whole.real.copy()), pa.array(whole.imag.copy())],
            fields=list(element),
        )
    else:
        joined = pa.array(whole, type=element, from_pandas=False) if flat else pa.array([], type=element)
    return pa.ListArray.from_arrays(pa.array(offsets), joined, type=kind)


def write_table(dataset: Any, form: Form, incoming: Iterator[pa.RecordBatch]) -> None:
    """Write record batches, in C order, into a dataset."""
    start, kind = 0, dataset.id.get_type()
    for batch in incoming:
        values = _records(batch, form, kind if kind.get_class() == h5t.COMPOUND else None)
        for box, at, size in flat_boxes(form.shape, start, batch.num_rows):
            own = len(dataset.shape)
            lengths = [part.stop - part.start for part in box]
            if form.kind == "list":
                _write_lists(dataset, box, values[at : at + size])
            elif len(form.shape) > own:
                _write_inner(dataset, form, box, values[at : at + size])
            else:
                part = np.ascontiguousarray(values[at : at + size].reshape(lengths))
                write_typed(dataset, box, part, _record_type(dataset, form.dtype))
        start += batch.num_rows
    if start != prod(form.shape):
        raise CustomerError(
            f"{start} records came for {prod(form.shape)}",
            code="corrupt",
            where=dataset.name,
        )


def _write_inner(dataset: Any, form: Form, box: Box, values: "np.ndarray[Any, Any]") -> None:
    # An array type is written element by element of the dataset: read, replace, write.
    own = len(dataset.shape)
    outer = tuple(box[:own])
    part = np.asarray(dataset[outer])
    view = part[trailing(box[own:])]
    view[...] = values.reshape(view.shape)
    dataset[outer] = part


def _write_lists(dataset: Any, box: Box, values: "np.ndarray[Any, Any]") -> None:
    places = product(*(range(part.start, part.stop) for part in box))
    for place, item in zip(places, values, strict=True):
        dataset[place] = item


def _records(batch: pa.RecordBatch, form: Form, pads: Any) -> "np.ndarray[Any, Any]":
    if form.kind == "list":
        return _arrays(batch.column(0), np.dtype(h5py.check_vlen_dtype(form.dtype)))
    out = np.zeros(batch.num_rows, dtype=form.dtype)
    plain = [name for name in form.dtype.names if form.dtype[name].kind not in "SO"]
    if plain:
        some = np.dtype([(name, form.dtype[name]) for name in plain])
        chosen = records.from_batch(batch.select(plain), some)
        for name in plain:
            out[name] = chosen[name]
    for at, name in enumerate(form.dtype.names):
        member = form.dtype[name]
        if member.kind == "S" or h5py.check_string_dtype(member) is not None:
            encoding = "latin-1" if single_byte(member) else "utf-8"
            texts = [(item or "").encode(encoding) for item in batch.column(name).to_pylist()]
            out[name] = np.array(texts, dtype=member if member.kind == "S" else object)
            if member.kind == "S" and pads is not None:
                out[name] = padded(out[name], pads.get_member_type(at))
        elif member.kind == "O":
            out[name] = _arrays(batch.column(name), np.dtype(h5py.check_vlen_dtype(member)))
    return out


def _arrays(column: pa.Array, element: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    out = np.empty(len(column), dtype=object)
    for at in range(len(column)):
        values = column[at].values
        if element.kind == "c":
            parts = values.field("re").to_numpy(), values.field("im").to_numpy()
            out[at] = (parts[0] + 1j * parts[1]).astype(element)
        else:
            out[at] = np.asarray(values.to_numpy(zero_copy_only=False)).astype(element, copy=False)
    return out
