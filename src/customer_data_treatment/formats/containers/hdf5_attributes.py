"""HDF5 attributes: as plain values for people and readers, and copied type for type for restore."""

from collections.abc import Callable
from typing import Any

import numpy as np
from h5py import h5, h5a, h5p, h5r, h5s, h5t

from .hdf5 import expect_sound_type

# Attributes by which HDF5's dimension scales and the netCDF library speak to themselves.
HOUSEKEEPING = frozenset(
    "DIMENSION_LIST REFERENCE_LIST CLASS NAME _Netcdf4Dimid _Netcdf4Coordinates _NCProperties _nc3_strict".split()
)
_MOST_ITEMS = 1 << 16  # longer ones stay in the skeleton alone

Translate = Callable[[Any], Any]


def names_of(identifier: Any) -> list[bytes]:
    """Return the attribute names of an object, in creation order where it is tracked."""
    names: list[bytes] = []
    tracked = identifier.get_create_plist().get_attr_creation_order() & h5p.CRT_ORDER_TRACKED
    index = h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME
    h5a.iterate(identifier, lambda name: names.append(bytes(name)), index_type=index)
    return names


def plain(identifier: Any) -> dict[str, Any]:
    """Return the attributes that JSON or numpy can say; the others live in the skeleton alone."""
    found: dict[str, Any] = {}
    for raw in names_of(identifier):
        name = raw.decode("utf-8", "backslashreplace")
        if name in HOUSEKEEPING:
            continue
        try:
            value = _plain_value(value_of(h5a.open(identifier, raw)))
        except Exception:  # noqa: S112 - no reading in h5py: the skeleton still copies it
            continue
        if value is not None:
            found[name] = value
    return found


def _plain_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, (str, bool, np.number, np.bool_)):
        return value
    if not isinstance(value, np.ndarray) or value.size > _MOST_ITEMS or value.dtype.names:
        return None
    if value.dtype.kind in "SO":
        items = value.reshape(-1).tolist()
        if not all(isinstance(item, (str, bytes)) for item in items):
            return None
        texts = [item if isinstance(item, str) else _text(item) for item in items]
        return texts if value.ndim else texts[0]
    if value.dtype.kind not in "biufc" or value.dtype.itemsize > 16 or value.dtype == np.longdouble:
        return None
    value = value.astype(value.dtype.newbyteorder("="))
    return value if value.ndim else value[()]


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def value_of(attribute: Any) -> Any:
    """Return an attribute's value: a numpy scalar or array, bytes, or None for an empty one."""
    if attribute.get_space().get_simple_extent_type() == h5s.NULL:
        return None
    values = _read(attribute)
    if values.ndim:
        return values
    return values[()]


def _read(attribute: Any) -> "np.ndarray[Any, Any]":
    dtype, shape = attribute.dtype, attribute.shape
    if dtype.subdtype is not None:
        base, inner = dtype.subdtype
        values = np.zeros(shape + inner, dtype=base)
    else:
        values = np.zeros(shape, dtype=dtype)
    expect_sound_type(attribute.get_type(), "an attribute", "")
    attribute.read(values, mtype=h5t.py_create(attribute.dtype))
    return values


def copy_attribute(attribute: Any, target: Any, kind: Any, translate: Translate) -> None:
    """Write one attribute, type for type, onto another file's object.

    `kind` is the type to create it with (a committed type of the target, or a copy);
    `translate` maps a reference of the source to one of the target.
    """
    name = attribute.name
    space = attribute.get_space()
    new = h5a.create(target, name, kind, space)
    if space.get_simple_extent_type() == h5s.NULL:
        return
    source_kind = attribute.get_type()
    if not holds_references(source_kind):
        # What the read allocates for variable-length parts, the write gives back.
        buffer = np.zeros(attribute.shape, dtype=np.dtype((np.void, source_kind.get_size())))
        attribute.read(buffer, mtype=source_kind)
        new.write(buffer, mtype=source_kind)
        return
    values = translated(_read(attribute), translate)
    new.write(values, mtype=h5t.py_create(attribute.dtype))


def holds_references(kind: Any) -> bool:
    """Tell a type with references in it; all others are copied as bytes, type for type."""
    if kind.get_class() == h5t.COMPOUND:
        return any(holds_references(kind.get_member_type(at)) for at in range(kind.get_nmembers()))
    if kind.get_class() in (h5t.ARRAY, h5t.VLEN):
        return holds_references(kind.get_super())
    return bool(kind.get_class() == h5t.REFERENCE)


def translated(values: "np.ndarray[Any, Any]", translate: Translate) -> "np.ndarray[Any, Any]":
    """Return values with every reference in them, at any depth, mapped by `translate`."""
    dtype = values.dtype
    if dtype.names:
        for member in dtype.names:
            if dtype[member].hasobject:
                values[member] = translated(values[member], translate)
        return values
    if dtype.kind != "O":
        return values
    flat = values.reshape(-1)
    for at, item in enumerate(flat):
        if isinstance(item, (h5r.Reference, h5r.RegionReference)):
            flat[at] = translate(item)
        elif isinstance(item, np.ndarray) and item.dtype.hasobject:
            flat[at] = translated(item.copy(), translate)
    return flat.reshape(values.shape)
