"""What each HDF5 dataset becomes: an array, a text array, a table, a list, or something only kept.

| HDF5 type | form |
|---|---|
| integers, IEEE floats, bit fields, enums, booleans, complex {r, i}, times that h5py tags | array |
| strings of fixed or variable length | text array |
| compound of such members, strings and variable-length numbers among them | table, one row a record |
| variable-length numbers | table with one list column |
| references, opaque, long double, deeper nestings, values in other files | kept in the skeleton |
"""

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5s, h5t

from ...ports import Box
from .boxes import flat_boxes, trailing
from .raw import native


@dataclass(frozen=True, slots=True)
class Form:
    """How a dataset is given: `kind` is "array", "text", "table", "list", "null" or "kept".

    `shape` is the field's own, the axes of an array type included. `reason` says why it is kept;
    `elsewhere` that its values lie in other files. A netCDF variable is as long as its unlimited
    dimensions; what the file does not hold of it reads as the fill value.
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: Any = None
    reason: str = ""
    elsewhere: bool = False
    virtual: bool = False
    stored: tuple[int, ...] | None = None  # the extent in the file, where the field is longer


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
    if virtual and any(plist.get_virtual_filename(at) != "." for at in range(plist.get_virtual_count())):
        return Form(
            "kept",
            reason="a virtual view of other files, which are not opened",
            elsewhere=True,
        )
    try:
        dtype = dataset.dtype
    except Exception:
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
        return ("list", "") if plain else ("kept", "variable-length values of a nested type")
    if base.kind == "O":
        return "kept", "references" if h5py.check_ref_dtype(base) is not None else "a nested text type"
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
    return (dtype.kind == "f" and dtype.itemsize <= 8) or (dtype.kind == "c" and dtype.itemsize <= 16)


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
            return f"records with {reason}" if not reason.startswith("records") else reason
    return ""


# --- arrays -----------------------------------------------------------------------------------


def read_array(dataset: Any, form: Form, box: Box) -> "np.ndarray[Any, Any]":
    """Return a box as stored, C order, native byte order; text comes as an object array of bytes."""
    if form.kind == "null":
        return np.empty(0, form.dtype)
    if form.stored is not None:
        return _read_extended(dataset, form, box)
    own = len(dataset.shape)
    values = dataset[tuple(box[:own])] if own else dataset[()]
    if isinstance(values, (bytes, str)):
        cell = np.empty((), dtype=object)
        cell[()] = values
        return cell
    values = np.asarray(values)
    if len(box) > own:
        values = values[trailing(box[own:])]
    return native(np.array(values, order="C", copy=None)) if values.dtype.kind != "O" else values


def _read_extended(dataset: Any, form: Form, box: Box) -> "np.ndarray[Any, Any]":
    dtype = form.dtype.newbyteorder("=")
    out = np.full([part.stop - part.start for part in box], _fill_value(dataset, dtype), dtype=dtype)
    held = [slice(min(part.start, n), min(part.stop, n)) for part, n in zip(box, form.stored or (), strict=True)]
    if all(part.stop > part.start for part in held):
        inside = tuple(slice(0, part.stop - part.start) for part in held)
        out[inside] = dataset[tuple(held)]
    return out


# What the netCDF library reads where nothing was written and no fill value was set (netcdf.h, NC_FILL_*).
_NETCDF_FILLS = {
    "int8": -127,
    "int16": -32767,
    "int32": -2147483647,
    "int64": -9223372036854775806,
    "uint8": 255,
    "uint16": 65535,
    "uint32": 4294967295,
    "uint64": 18446744073709551614,
    "float32": 9.9692099683868690e36,
    "float64": 9.9692099683868690e36,
}


def _fill_value(dataset: Any, dtype: "np.dtype[Any]") -> Any:
    if dtype.kind in "SO":
        return b""
    if dataset.id.get_create_plist().fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
        return dataset.fillvalue
    return _NETCDF_FILLS.get(dtype.name, 0)


def write_array(dataset: Any, form: Form, box: Box, values: "np.ndarray[Any, Any]") -> None:
    """Write a box that covers the axes of an array type whole; fixed text goes in the file's own type."""
    if form.kind == "text" and form.dtype.kind == "S":
        _write_fixed(dataset, box, values)
        return
    if form.dtype.metadata is not None and form.kind == "array":
        # Enums and tagged times are known to h5py by their dtype's metadata, which a package does not keep.
        values = values.astype(form.dtype)
    own = len(dataset.shape)
    dataset[tuple(box[:own]) if own else ()] = values if values.ndim else values[()]


def _write_fixed(dataset: Any, box: Box, values: "np.ndarray[Any, Any]") -> None:
    # A conversion to null-terminated text would cut the last byte of a full cell (all NC_CHAR).
    kind = dataset.id.get_type()
    base = kind.get_super() if kind.get_class() == h5t.ARRAY else kind
    values = padded(values, base)
    own = len(dataset.shape)
    write_typed(dataset, box[:own], np.ascontiguousarray(values), kind)


def padded(values: "np.ndarray[Any, Any]", kind: Any) -> "np.ndarray[Any, Any]":
    """Return fixed text filled up with blanks where its type asks for them."""
    if kind.get_class() != h5t.STRING or kind.get_strpad() != h5t.STR_SPACEPAD:  # opaque bytes have no padding
        return values
    return np.char.ljust(values, values.dtype.itemsize).astype(values.dtype)


def write_typed(dataset: Any, box: Box, values: "np.ndarray[Any, Any]", kind: Any) -> None:
    """Write a box from memory of the HDF5 type `kind`."""
    space = dataset.id.get_space()
    lengths = tuple(part.stop - part.start for part in box)
    if box:
        space.select_hyperslab(tuple(part.start for part in box), lengths)
    dataset.id.write(h5s.create_simple(lengths) if box else h5s.ALL, space, values, mtype=kind)


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


def from_text(values: "np.ndarray[Any, Any]", dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
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


def flat_read(dataset: Any, form: Form, start: int, count: int) -> "np.ndarray[Any, Any]":
    """Return `count` elements from the `start`th in C order, 1-D."""
    shape = form.shape
    if len(shape) == 1 and len(dataset.shape) == 1:
        return np.asarray(dataset[start : start + count])
    out = np.empty(count, dtype=form.dtype)
    for box, at, size in flat_boxes(shape, start, count):
        if shape:
            own = len(dataset.shape)
            part = np.asarray(dataset[tuple(box[:own])])
            part = part[trailing(box[own:])] if len(box) > own else part
            out[at : at + size] = part.reshape(-1)
        else:
            out[at] = dataset[()]
    return out
