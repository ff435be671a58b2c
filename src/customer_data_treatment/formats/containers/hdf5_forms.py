"""What each HDF5 dataset becomes: an array, a text array, a table, a list, or something only kept.

| HDF5 type | form |
|---|---|
| integers, IEEE floats, bit fields, enums, booleans, complex {r, i}, times that h5py tags | array |
| strings of fixed or variable length | text array |
| compound of such members, strings and variable-length numbers among them | table, one row a record |
| variable-length numbers | table with one list column |
| references, opaque, long double, deeper nestings, values in other files | kept in the skeleton |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
from h5py import h5d, h5s, h5t

from ...errors import CustomerError
from ...model.dataset import Column, TableField
from ...model.schema import role_of
from ...ports import Box
from . import records
from .boxes import flat_boxes
from .raw import native

LIST_COLUMN = "values"
_BATCH_BYTES = 4 << 20
_MOST_ROWS = 65536


@dataclass(frozen=True, slots=True)
class Form:
    """How a dataset is given: `kind` is "array", "text", "table", "list", "null" or "kept".

    `shape` is the field's own, the axes of an array type included. `reason` says why it is kept;
    `elsewhere` that its values lie in other files.
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    reason: str = ""
    elsewhere: bool = False
    virtual: bool = False


def form_of(dataset: Any) -> Form:
    """Return what a dataset becomes; never raises for a type it does not know."""
    plist = dataset.id.get_create_plist()
    if plist.get_layout() == h5d.CONTIGUOUS and plist.get_external_count() > 0:
        return Form(
            "kept",
            reason="values in external files, which are not opened",
            elsewhere=True,
        )
    virtual = plist.get_layout() == h5d.VIRTUAL
    if virtual and any(
        plist.get_virtual_filename(at) != "." for at in range(plist.get_virtual_count())
    ):
        return Form(
            "kept",
            reason="a virtual view of other files, which are not opened",
            elsewhere=True,
        )
    try:
        dtype = dataset.dtype
    except Exception:  # the library has a type that numpy has not
        return Form("kept", reason="a type that numpy does not have")
    base, inner = dtype.subdtype or (dtype, ())
    if dataset.shape is None:
        return Form("null", (0,), np.dtype(np.uint8))
    shape = (*(int(n) for n in dataset.shape), *inner)
    kind, reason = _kind(base, inner)
    return Form(kind, shape, base, reason, virtual=virtual)


def _kind(base: "np.dtype[Any]", inner: tuple[int, ...]) -> tuple[str, str]:
    text = h5py.check_string_dtype(base)
    if base.kind == "S" or (text is not None and not inner):
        return "text", ""
    element = h5py.check_vlen_dtype(base)
    if element is not None and text is None:
        plain = not inner and plain_number(np.dtype(element))
        return (
            ("list", "")
            if plain
            else ("kept", "variable-length values of a nested type")
        )
    if base.kind == "O":
        return "kept", "references" if h5py.check_ref_dtype(
            base
        ) is not None else "a nested text type"
    if base.names:
        reason = _member_reason(base)
        return ("kept", reason) if reason else ("table", "")
    if plain_number(base):
        return "array", ""
    return "kept", "long double numbers" if base.kind in "fc" else "opaque bytes"


def plain_number(dtype: "np.dtype[Any]") -> bool:
    """Tell a dtype that the model has a word for."""
    if dtype.kind in "biuMm":
        return True
    return (dtype.kind == "f" and dtype.itemsize <= 8) or (
        dtype.kind == "c" and dtype.itemsize <= 16
    )


def _member_reason(dtype: "np.dtype[Any]", depth: int = 0) -> str:
    for member in dtype.names or ():
        base, inner = dtype[member].subdtype or (dtype[member], ())
        if base.names:
            reason = _member_reason(base, depth + 1)
        else:
            kind, reason = _kind(base, inner)
            if kind in ("list", "text") and base.kind == "O" and depth:
                reason = "records that nest text or lists"
        if reason:
            return (
                f"records with {reason}" if not reason.startswith("records") else reason
            )
    return ""


# --- arrays -----------------------------------------------------------------------------------


def read_array(dataset: Any, form: Form, box: Box) -> "np.ndarray[Any, Any]":
    """Return a box as stored, C order, native byte order; text comes as an object array of bytes."""
    if form.kind == "null":
        return np.empty(0, form.dtype)
    own = len(dataset.shape)
    values = dataset[tuple(box[:own])] if own else dataset[()]
    if isinstance(values, (bytes, str)):
        cell = np.empty((), dtype=object)
        cell[()] = values
        return cell
    values = np.asarray(values)
    if len(box) > own:
        values = values[(..., *box[own:])]
    return (
        native(np.array(values, order="C", copy=None))
        if values.dtype.kind != "O"
        else values
    )


def write_array(
    dataset: Any, form: Form, box: Box, values: "np.ndarray[Any, Any]"
) -> None:
    """Write a box that covers the axes of an array type whole; fixed text goes in the file's own type."""
    if form.kind == "text" and form.dtype.kind == "S":
        _write_fixed(dataset, box, values)
        return
    own = len(dataset.shape)
    dataset[tuple(box[:own]) if own else ()] = values if values.ndim else values[()]


def _write_fixed(dataset: Any, box: Box, values: "np.ndarray[Any, Any]") -> None:
    # A conversion to null-terminated text would cut the last byte of a full cell (all NC_CHAR).
    kind = dataset.id.get_type()
    base = kind.get_super() if kind.get_class() == h5t.ARRAY else kind
    values = _padded(values, base)
    own = len(dataset.shape)
    _write_typed(dataset, box[:own], np.ascontiguousarray(values), kind)


def _padded(values: "np.ndarray[Any, Any]", kind: Any) -> "np.ndarray[Any, Any]":
    if kind.get_strpad() != h5t.STR_SPACEPAD:
        return values
    return np.char.ljust(values, values.dtype.itemsize).astype(values.dtype)


def _write_typed(
    dataset: Any, box: Box, values: "np.ndarray[Any, Any]", kind: Any
) -> None:
    space = dataset.id.get_space()
    lengths = tuple(part.stop - part.start for part in box)
    if box:
        space.select_hyperslab(tuple(part.start for part in box), lengths)
    dataset.id.write(
        h5s.create_simple(lengths) if box else h5s.ALL, space, values, mtype=kind
    )


def _record_type(dataset: Any, dtype: "np.dtype[Any]") -> Any:
    """Return the memory type of records: numpy's, but fixed text as the file types it."""
    kind = dataset.id.get_type()
    made = h5t.create(h5t.COMPOUND, dtype.itemsize)
    for at, name in enumerate(dtype.names or ()):
        member, offset = dtype.fields[name][:2]
        fixed = (member.subdtype or (member,))[0].kind == "S"
        made.insert(
            kind.get_member_name(at),
            offset,
            kind.get_member_type(at) if fixed else h5t.py_create(member),
        )
    return made


def single_byte(dtype: "np.dtype[Any]") -> bool:
    """Tell one-byte text (NC_CHAR): each byte is one Latin-1 character, exactly reversible."""
    return dtype.kind == "S" and dtype.itemsize == 1


def to_text(values: "np.ndarray[Any, Any]", latin: bool) -> "np.ndarray[Any, Any]":
    """Return bytes as str: UTF-8, else (or always, if `latin`) Latin-1."""
    out = np.empty(values.shape, dtype=object)
    flat = out.reshape(-1)
    for at, item in enumerate(values.reshape(-1).tolist()):
        flat[at] = text_of(item, latin)
    return out


def text_of(item: Any, latin: bool = False) -> str:
    """Return one item's text."""
    if isinstance(item, str):
        return item
    if not isinstance(item, bytes):
        return ""
    if not latin:
        try:
            return item.decode("utf-8")
        except UnicodeDecodeError:
            pass
    return item.decode("latin-1")


def from_text(
    values: "np.ndarray[Any, Any]", dtype: "np.dtype[Any]"
) -> "np.ndarray[Any, Any]":
    """Return str as the bytes that a dataset of `dtype` stores: the inverse of `to_text` on UTF-8."""
    encoding = "latin-1" if single_byte(dtype) else "utf-8"
    out = np.empty(values.shape, dtype=dtype if dtype.kind == "S" else object)
    flat = out.reshape(-1)
    for at, item in enumerate(values.reshape(-1)):
        flat[at] = item.encode(encoding) if item is not None else b""
    return out


def is_utf8(values: "np.ndarray[Any, Any]") -> bool:
    """Tell whether every text in the array is UTF-8, so that writing it back is exact."""
    for item in values.reshape(-1).tolist():
        if isinstance(item, bytes):
            try:
                item.decode("utf-8")
            except UnicodeDecodeError:
                return False
    return True


# --- tables -----------------------------------------------------------------------------------


def table_field(name: str, form: Form, attributes: dict[str, Any]) -> TableField:
    """Return the facts of the table that a compound or variable-length dataset makes."""
    rows = prod(form.shape)
    if len(form.shape) != 1:
        attributes = attributes | {"shape": list(form.shape)}
    schema = schema_of(form)
    columns = tuple(
        Column(name=part.name, role=role_of(part.name, _arrow_kind(form, part.name)))
        for part in schema
    )
    return TableField(
        name=name, schema=schema, columns=columns, rows=rows, attributes=attributes
    )


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
    return pa.schema(
        [
            pa.field(member, _member_type(form.dtype[member]))
            for member in form.dtype.names
        ]
    )


def _list_type(dtype: "np.dtype[Any]") -> pa.DataType:
    return pa.list_(records.arrow_type(np.dtype(h5py.check_vlen_dtype(dtype))))


def _member_type(dtype: "np.dtype[Any]") -> pa.DataType:
    if dtype.kind in "SO":
        return (
            pa.string()
            if h5py.check_string_dtype(dtype) or dtype.kind == "S"
            else _list_type(dtype)
        )
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


def flat_read(
    dataset: Any, form: Form, start: int, count: int
) -> "np.ndarray[Any, Any]":
    """Return `count` elements from the `start`th in C order, 1-D."""
    shape = form.shape
    if len(shape) == 1 and len(dataset.shape) == 1:
        return np.asarray(dataset[start : start + count])
    out = np.empty(count, dtype=form.dtype)
    for box, at, size in flat_boxes(shape, start, count):
        if shape:
            own = len(dataset.shape)
            part = np.asarray(dataset[tuple(box[:own])])
            part = part[(..., *box[own:])] if len(box) > own else part
            out[at : at + size] = part.reshape(-1)
        else:
            out[at] = dataset[()]
    return out


def _batch(
    values: "np.ndarray[Any, Any]", form: Form, schema: pa.Schema
) -> pa.RecordBatch:
    if form.kind == "list":
        return pa.RecordBatch.from_arrays(
            [_lists(values, schema.field(0).type)], schema=schema
        )
    plain = [name for name in schema.names if form.dtype[name].kind not in "SO"]
    parts = {}
    if plain:
        some = pa.schema([schema.field(name) for name in plain])
        chosen = records.batch(_members(values, plain), some)
        parts = {name: chosen.column(name) for name in plain}
    for name in schema.names:
        if name in parts:
            continue
        kind = schema.field(name).type
        if pa.types.is_string(kind):
            latin = single_byte(form.dtype[name])
            parts[name] = pa.array(
                [text_of(item, latin) for item in values[name].tolist()], type=kind
            )
        else:
            parts[name] = _lists(values[name], kind)
    return pa.RecordBatch.from_arrays(
        [parts[name] for name in schema.names], schema=schema
    )


def _members(
    values: "np.ndarray[Any, Any]", names: list[str]
) -> "np.ndarray[Any, Any]":
    # Boolean enums keep their metadata in the dtype; records wants the bare numpy dtype.
    return values[names]


def _lists(values: "np.ndarray[Any, Any]", kind: pa.DataType) -> pa.Array:
    lengths = np.fromiter(
        (len(item) for item in values), dtype=np.int64, count=len(values)
    )
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
        joined = (
            pa.array(whole, type=element, from_pandas=False)
            if flat
            else pa.array([], type=element)
        )
    return pa.ListArray.from_arrays(pa.array(offsets), joined, type=kind)


def write_table(dataset: Any, form: Form, incoming: Iterator[pa.RecordBatch]) -> None:
    """Write record batches, in C order, into a dataset."""
    start, kind = 0, dataset.id.get_type()
    for batch in incoming:
        values = _records(
            batch, form, kind if kind.get_class() == h5t.COMPOUND else None
        )
        for box, at, size in flat_boxes(form.shape, start, batch.num_rows):
            own = len(dataset.shape)
            lengths = [part.stop - part.start for part in box]
            if form.kind == "list":
                _write_lists(dataset, box, values[at : at + size])
            elif len(form.shape) > own:
                _write_inner(dataset, form, box, values[at : at + size])
            else:
                part = np.ascontiguousarray(values[at : at + size].reshape(lengths))
                _write_typed(dataset, box, part, _record_type(dataset, form.dtype))
        start += batch.num_rows
    if start != prod(form.shape):
        raise CustomerError(
            f"{start} records came for {prod(form.shape)}",
            code="corrupt",
            where=dataset.name,
        )


def _write_inner(
    dataset: Any, form: Form, box: Box, values: "np.ndarray[Any, Any]"
) -> None:
    # An array type is written element by element of the dataset: read, replace, write.
    own = len(dataset.shape)
    outer = tuple(box[:own])
    part = np.asarray(dataset[outer])
    view = part[(..., *box[own:])]
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
            texts = [
                (item or "").encode(encoding) for item in batch.column(name).to_pylist()
            ]
            out[name] = np.array(texts, dtype=member if member.kind == "S" else object)
            if member.kind == "S" and pads is not None:
                out[name] = _padded(out[name], pads.get_member_type(at))
        elif member.kind == "O":
            out[name] = _arrays(
                batch.column(name), np.dtype(h5py.check_vlen_dtype(member))
            )
    return out


def _arrays(column: pa.Array, element: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    out = np.empty(len(column), dtype=object)
    for at in range(len(column)):
        values = column[at].values
        if element.kind == "c":
            parts = values.field("re").to_numpy(), values.field("im").to_numpy()
            out[at] = (parts[0] + 1j * parts[1]).astype(element)
        else:
            out[at] = np.asarray(values.to_numpy(zero_copy_only=False)).astype(
                element, copy=False
            )
    return out
