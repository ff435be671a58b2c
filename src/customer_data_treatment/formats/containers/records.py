"""Structured numpy records as Arrow tables, and fixed-width text as Python strings.

A subarray member becomes a fixed-size list, a nested record a struct, complex a struct of real and
imaginary, an instant in a unit that Arrow lacks an integer (its Column says the unit). Only members
that have no Arrow type (longdouble, references) are refused by name.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import CustomerError
from ...model.dataset import Column, TableField
from ...model.schema import role_of
from .raw import native

_KINDS = {
    "f": "float",
    "i": "integer",
    "u": "integer",
    "b": "boolean",
    "c": "complex",
    "M": "time",
    "m": "time",
}
_ARROW_UNITS = ("s", "ms", "us", "ns")
_CF_UNITS = {"D": "days", "h": "hours", "m": "minutes"}


def kind_of(dtype: "np.dtype[Any]") -> str:
    """Return model.schema's word for a dtype."""
    return "text" if dtype.kind in "USOV" else _KINDS.get(dtype.kind, "text")


def table_field(
    name: str,
    dtype: "np.dtype[Any]",
    rows: int,
    attributes: dict[str, Any] | None = None,
) -> TableField:
    """Return the facts of the table that records of this dtype make."""
    columns = tuple(
        Column(
            name=member,
            role=role_of(member, kind_of(dtype[member].base)),
            units=time_units(dtype[member].base),
        )
        for member in dtype.names or ()
    )
    return TableField(
        name=name,
        schema=arrow_schema(dtype),
        columns=columns,
        rows=rows,
        attributes=attributes or {},
    )


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
    if dtype.kind == "c" and dtype.itemsize <= 16:
        part = pa.float32() if dtype.itemsize == 8 else pa.float64()
        return pa.struct([pa.field("re", part), pa.field("im", part)])
    if dtype.kind == "U":
        return pa.string()
    if dtype.kind in "SV":
        return pa.binary()
    if dtype.kind in "Mm" and not _arrow_has(dtype):
        return pa.int64()
    try:
        return pa.from_numpy_dtype(dtype.newbyteorder("="))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise CustomerError(
            f"a record member of type {dtype} has no table form",
            code="unsupported-format",
        ) from error


def _arrow_has(dtype: "np.dtype[Any]") -> bool:
    unit, count = np.datetime_data(dtype)
    return unit in _ARROW_UNITS and count == 1


def time_units(dtype: "np.dtype[Any]") -> str | None:
    """Return the units of an instant or duration that its table form stores as an integer, else None."""
    if dtype.kind not in "Mm" or _arrow_has(dtype):
        return None
    unit, count = np.datetime_data(dtype)
    if unit in _CF_UNITS and count == 1:
        return _CF_UNITS[unit] + (" since 1970-01-01" if dtype.kind == "M" else "")
    return dtype.newbyteorder("=").name


def has_table_form(dtype: "np.dtype[Any]") -> bool:
    """Return whether every member of a structured dtype has an Arrow type that Parquet takes."""
    if dtype.subdtype is not None:
        return 0 not in dtype.subdtype[1] and has_table_form(dtype.subdtype[0])
    if dtype.names is not None:
        return bool(dtype.names) and all(has_table_form(dtype[member]) for member in dtype.names)
    return (
        dtype.kind in "biuMmSUV"
        or (dtype.kind == "f" and dtype.itemsize <= 8)
        or (dtype.kind == "c" and dtype.itemsize <= 16)
    )


def batch(values: "np.ndarray[Any, Any]", schema: pa.Schema) -> pa.RecordBatch:
    """Return 1-D records as a record batch of `schema`; raise CustomerError (corrupt) for text that is no Unicode."""
    try:
        arrays = [_array(values[member], schema.field(member).type) for member in schema.names]
    except (ValueError, SystemError) as error:
        raise CustomerError("a record's text is not valid Unicode", remedy="repair it where it was made") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: "np.ndarray[Any, Any]", kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        flat = values.reshape(-1, *values.shape[2:])
        return pa.FixedSizeListArray.from_arrays(_array(flat, kind.value_type), kind.list_size)
    if pa.types.is_struct(kind) and values.dtype.kind == "c":
        parts = [pa.array(native(np.array(part))) for part in (values.real, values.imag)]
        return pa.StructArray.from_arrays(parts, fields=list(kind))
    if pa.types.is_struct(kind):
        parts = [_array(values[child.name], child.type) for child in kind]
        return pa.StructArray.from_arrays(parts, fields=list(kind))
    if pa.types.is_binary(kind):
        return pa.array([bytes(item) for item in values.tolist()], type=kind)
    if values.dtype.kind == "U":
        return pa.array(values.tolist(), type=kind)
    plain = native(np.array(values))
    return pa.array(
        plain.view(np.int64) if pa.types.is_int64(kind) else plain,
        type=kind,
        from_pandas=False,
    )


def from_batch(values: pa.RecordBatch, dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Return a record batch as records of `dtype`: the inverse of `batch`."""
    out = np.zeros(values.num_rows, dtype=dtype)
    for member in dtype.names or ():
        _assign(out, member, values.column(member))
    return out


def record_boxes(rows: int, itemsize: int, budget: int = 4 << 20) -> Iterator[tuple[slice]]:
    """Yield the boxes that read `rows` records of `itemsize` bytes in order, each about `budget` bytes."""
    step = max(1, budget // max(1, itemsize))
    for start in range(0, rows, step):
        yield (slice(start, min(rows, start + step)),)


def _assign(out: "np.ndarray[Any, Any]", member: str, values: pa.Array) -> None:
    out[member] = _numbers(values, out.dtype[member])


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
        whole = np.empty(len(values), dtype=dtype.newbyteorder("="))  # re + 1j*im would spoil -0.0, Inf and NaN
        whole.real = values.field("re").to_numpy(zero_copy_only=False)
        whole.imag = values.field("im").to_numpy(zero_copy_only=False)
        return whole
    if dtype.kind == "V":
        return np.array([np.void(item) for item in values.to_pylist()], dtype=dtype)
    if dtype.kind in "SU":
        return np.array(values.to_pylist(), dtype=dtype)
    plain = values.to_numpy(zero_copy_only=False)
    return plain.view(dtype.newbyteorder("=")) if pa.types.is_int64(values.type) and dtype.kind in "Mm" else plain


def encoding_of(values: "np.ndarray[Any, Any]") -> str:
    """Return "utf-8" if every byte string is valid UTF-8, else "latin-1", which any bytes are.

    One of the two for a whole array, so that text goes back to the bytes it came from.
    """
    try:
        for item in values.reshape(-1).tolist():
            item.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def text_values(values: "np.ndarray[Any, Any]", encoding: str | None = None) -> "np.ndarray[Any, Any]":
    """Return fixed-width text as an object array of str.

    Bytes decode by `encoding`; without one item by item as UTF-8, else Latin-1, which cannot
    always be undone. Raise CustomerError (corrupt) for code points that are no Unicode.
    """
    out = np.empty(values.shape, dtype=object)
    flat = out.reshape(-1)
    try:
        for at, item in enumerate(values.reshape(-1).tolist()):
            flat[at] = item if isinstance(item, str) else _decode(item, encoding)
            if isinstance(item, str) and not item.isascii():
                item.encode("utf-8")
    except (
        ValueError,
        SystemError,
    ) as error:  # numpy makes a SystemError of code points above U+10FFFF
        raise CustomerError("its text is not valid Unicode", remedy="repair it where it was made") from error
    return out


def _decode(item: bytes, encoding: str | None) -> str:
    if encoding is not None:
        return item.decode(encoding)
    try:
        return item.decode("utf-8")
    except UnicodeDecodeError:
        return item.decode("latin-1")


def fixed_text(
    values: "np.ndarray[Any, Any]", dtype: "np.dtype[Any]", encoding: str | None = None
) -> "np.ndarray[Any, Any]":
    """Return str objects as fixed-width text of `dtype`: the inverse of `text_values`."""
    if dtype.kind == "U":
        return values.astype(dtype)
    out = np.zeros(values.shape, dtype=dtype)
    flat, items = out.reshape(-1), values.reshape(-1)
    for at, item in enumerate(items):
        flat[at] = item.encode(encoding) if encoding is not None else _encode(item)
    return out


def _encode(item: str) -> bytes:
    try:
        encoded = item.encode("latin-1")
        encoded.decode("utf-8")
    except UnicodeDecodeError:
        return encoded
    except UnicodeEncodeError:
        return item.encode("utf-8")
    return item.encode("utf-8")
