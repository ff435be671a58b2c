"""Structured numpy records as Arrow tables, and fixed-width text as Python strings.

A subarray member becomes a fixed-size list, a nested record a struct, complex a struct of real and
imaginary. Only members that have no Arrow type (longdouble, references) are refused by name.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import CustomerError
from ...model.dataset import Column, TableField
from ...model.schema import role_of
from .raw import native

_KINDS = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "c": "complex", "M": "time", "m": "time"}


def kind_of(dtype: "np.dtype[Any]") -> str:
    """Return model.schema's word for a dtype."""
    return "text" if dtype.kind in "USOV" else _KINDS.get(dtype.kind, "text")


def table_field(
    name: str, dtype: "np.dtype[Any]", rows: int, attributes: dict[str, Any] | None = None
) -> TableField:
    """Return the facts of the table that records of this dtype make."""
    columns = tuple(
        Column(name=member, role=role_of(member, kind_of(dtype[member].base))) for member in dtype.names or ()
    )
    return TableField(name=name, schema=arrow_schema(dtype), columns=columns, rows=rows, attributes=attributes or {})


def arrow_schema(dtype: "np.dtype[Any]") -> pa.Schema:
    """Return the Arrow schema of a structured dtype."""
    return pa.schema([pa.field(member, arrow_type(dtype[member])) for member in dtype.names or ()])


def arrow_type(dtype: "np.dtype[Any]") -> pa.DataType:
    """Return the Arrow type of one member; raise CustomerError where there is none."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        kind = arrow_type(base)
        for length in reversed(shape):
            kind = pa.list_(kind, length)
        return kind
    if dtype.names:
        return pa.struct([pa.field(member, arrow_type(dtype[member])) for member in dtype.names])
    if dtype.kind == "c":
        part = pa.float32() if dtype.itemsize == 8 else pa.float64()
        return pa.struct([pa.field("re", part), pa.field("im", part)])
    if dtype.kind == "U":
        return pa.string()
    if dtype.kind in "SV":
        return pa.binary()
    try:
        return pa.from_numpy_dtype(dtype.newbyteorder("="))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise CustomerError(
            f"a record member of type {dtype} has no table form", code="unsupported-format"
        ) from error


def batch(values: "np.ndarray[Any, Any]", schema: pa.Schema) -> pa.RecordBatch:
    """Return 1-D records as a record batch of `schema`."""
    arrays = [_array(values[member], schema.field(member).type) for member in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: "np.ndarray[Any, Any]", kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = values.reshape(-1, *values.shape[2:])
        return pa.FixedSizeListArray.from_arrays(_array(flat, kind.value_type), kind.list_size)
    if pa.types.is_struct(kind) and values.dtype.kind == "c":
        return pa.StructArray.from_arrays(
            [pa.array(np.ascontiguousarray(values.real)), pa.array(np.ascontiguousarray(values.imag))],
            fields=list(kind),
        )
    if pa.types.is_struct(kind):
        parts = [_array(values[child.name], child.type) for child in kind]
        return pa.StructArray.from_arrays(parts, fields=list(kind))
    if pa.types.is_binary(kind):
        return pa.array([bytes(item) for item in values.tolist()], type=kind)
    if values.dtype.kind == "U":
        return pa.array(values.tolist(), type=kind)
    return pa.array(native(np.ascontiguousarray(values)), type=kind, from_pandas=False)


def from_batch(values: pa.RecordBatch, dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Return a record batch as records of `dtype`: the inverse of `batch`."""
    out = np.zeros(values.num_rows, dtype=dtype)
    for member in dtype.names or ():
        _assign(out, member, values.column(member))
    return out


def _assign(out: "np.ndarray[Any, Any]", member: str, values: pa.Array) -> None:
    dtype = out.dtype[member]
    out[member] = _numbers(values, dtype)


def _numbers(values: pa.Array, dtype: "np.dtype[Any]") -> Any:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        flat = values
        for _ in shape:
            flat = flat.flatten()
        return np.asarray(_numbers(flat, base)).reshape(len(values), *shape)
    if dtype.names:
        part = np.zeros(len(values), dtype=dtype)
        for name in dtype.names:
            _assign(part, name, values.field(name))
        return part
    if dtype.kind == "c":
        return values.field("re").to_numpy(zero_copy_only=False) + 1j * values.field("im").to_numpy(
            zero_copy_only=False
        )
    if dtype.kind == "V":
        return np.array([np.void(item) for item in values.to_pylist()], dtype=dtype)
    if dtype.kind in "SU":
        return np.array(values.to_pylist(), dtype=dtype)
    return values.to_numpy(zero_copy_only=False)


def text_values(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return fixed-width text as an object array of str; bytes decode as UTF-8, else Latin-1."""
    out = np.empty(values.shape, dtype=object)
    flat = out.reshape(-1)
    for at, item in enumerate(values.reshape(-1).tolist()):
        flat[at] = item if isinstance(item, str) else _decode(item)
    return out


def _decode(item: bytes) -> str:
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError:
        return item.decode("latin-1")


def fixed_text(values: "np.ndarray[Any, Any]", dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Return str objects as fixed-width text of `dtype`: the inverse of `text_values`."""
    if dtype.kind == "U":
        return values.astype(dtype)
    out = np.empty(values.shape, dtype=dtype)
    flat, items = out.reshape(-1), values.reshape(-1)
    for at, item in enumerate(items):
        try:
            encoded = item.encode("latin-1")
            encoded.decode("utf-8")
            flat[at] = item.encode("utf-8")
        except UnicodeDecodeError:
            flat[at] = encoded
        except UnicodeEncodeError:
            flat[at] = item.encode("utf-8")
    return out
