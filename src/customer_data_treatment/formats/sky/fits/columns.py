"""Columns of binary tables: from bytes to Arrow and back (FITS Standard 4.0, section 7.3).

Numbers stay as stored; only the unsigned convention (TZERO of 2^15, 2^31, 2^63, or -128 for bytes)
is undone, since it is exact. TNULL and undefined logicals are nulls. Text ends at a NUL, trailing
spaces aside. A column with a repeat count or TDIM holds fixed-size lists, a variable-length one lists.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ....errors import CustomerError
from .cards import Header

_BASES: dict[str, str] = {
    "B": "u1", "I": ">i2", "J": ">i4", "K": ">i8", "E": ">f4", "D": ">f8", "C": ">c8", "M": ">c16", "L": "S1", "X": "u1",
}  # fmt: skip
_UNSIGNED = {
    "B": (-128.0, "i1"),
    "I": (32768.0, "u2"),
    "J": (2147483648.0, "u4"),
    "K": (9223372036854775808.0, "u8"),
}
_TFORM = re.compile(r"(\d*)([LXBIJKAEDCMPQ])(.*)")
_VARIABLE = re.compile(r"([LXBIJKAEDCM])")


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """Where a column lies in a row and how its bytes read.

    `code` is the TFORM letter of its values, `variable` the descriptor's width in bytes (0: values
    lie in the row). `shape` is the shape of a cell, () for one value; of text, of its strings.
    `length` is the width of one string. `unsigned` is the dtype that the convention stands for.
    """

    number: int
    name: str
    code: str
    offset: int
    width: int
    shape: tuple[int, ...]
    variable: int = 0
    length: int = 0
    null: int | None = None
    unsigned: str = ""
    scale: tuple[float, float] | None = None
    units: str | None = None
    description: str = ""

    @property
    def base(self) -> "np.dtype[Any]":
        """Return the dtype of one stored value."""
        return np.dtype(_BASES[self.code])

    @property
    def value_type(self) -> pa.DataType:
        """Return the Arrow type of one value."""
        if self.code in "LX":
            return pa.bool_()
        if self.code == "A":
            return pa.string()
        if self.code in "CM":
            part = pa.float32() if self.code == "C" else pa.float64()
            return pa.struct([pa.field("re", part), pa.field("im", part)])
        return pa.from_numpy_dtype(np.dtype(self.unsigned or self.base.newbyteorder("=")))

    @property
    def arrow_type(self) -> pa.DataType:
        """Return the Arrow type of a cell."""
        kind = self.value_type
        if self.variable:
            return kind if self.code == "A" else pa.list_(kind)
        for length in reversed(self.shape):
            kind = pa.list_(kind, length)
        return kind

    def heap_bytes(self, count: Any) -> Any:
        """Return the bytes of the heap that `count` values fill (a number or an array of them)."""
        if self.code == "X":
            return (count + 7) // 8
        return count * (1 if self.code == "A" else self.base.itemsize)


def specs_of(header: Header, index: int, where: str) -> tuple[ColumnSpec, ...]:
    """Return the columns of a binary table's header; raise CustomerError (corrupt)."""
    fields = header.integer("TFIELDS")
    if fields is None or not 0 <= fields <= 999:
        raise _invalid(index, where, "TFIELDS is missing or no number from 0 to 999")
    specs: list[ColumnSpec] = []
    offset = 0
    taken: set[str] = set()
    for number in range(1, fields + 1):
        spec = _spec(header, number, offset, taken, index=index, where=where)
        offset += spec.width
        specs.append(spec)
    if offset > (header.integer("NAXIS1") or 0):
        raise _invalid(
            index,
            where,
            f"its columns fill {offset} bytes, a row has {header.integer('NAXIS1')}",
        )
    return tuple(specs)


def _spec(header: Header, number: int, offset: int, taken: set[str], *, index: int, where: str) -> ColumnSpec:
    form = _TFORM.fullmatch(header.string(f"TFORM{number}").strip())
    if form is None:
        raise _invalid(index, where, f"TFORM{number} is missing or unknown")
    repeat = int(form[1]) if form[1] else 1
    if repeat > 1 << 40:
        raise CustomerError(
            f"HDU {index} repeats column {number} {repeat} times",
            code="absurd-header",
            where=where,
        )
    code, variable = form[2], 0
    if code in "PQ":
        inner = _VARIABLE.match(form[3])
        if inner is None or repeat > 1:
            raise _invalid(index, where, f"TFORM{number} is no valid descriptor")
        variable, code = (8 if code == "P" else 16), inner[1]
        width = repeat * variable
    else:
        width = (
            (repeat + 7) // 8 if code == "X" else repeat if code == "A" else repeat * np.dtype(_BASES[code]).itemsize
        )
    shape, length = _cell_shape(header.string(f"TDIM{number}"), code, repeat, bool(variable))
    factor, zero = (
        header.number(f"TSCAL{number}", 1.0),
        header.number(f"TZERO{number}", 0.0),
    )
    unsigned = ""
    if code in _UNSIGNED and factor == 1 and zero == _UNSIGNED[code][0]:
        unsigned = _UNSIGNED[code][1]
    scaled = code in "BIJKEDCM" and not unsigned and (factor, zero) != (1, 0)
    return ColumnSpec(
        number=number,
        name=unique(header.string(f"TTYPE{number}").strip() or f"col{number}", taken),
        code=code,
        offset=offset,
        width=width,
        shape=shape,
        variable=variable,
        length=length,
        null=header.integer(f"TNULL{number}") if code in "BIJK" else None,
        unsigned=unsigned,
        scale=(float(factor), float(zero)) if scaled else None,
        units=header.string(f"TUNIT{number}") or None,
        description=header.string(f"TCOMM{number}") or header.comment(f"TTYPE{number}"),
    )


def _cell_shape(tdim: str, code: str, repeat: int, variable: bool) -> tuple[tuple[int, ...], int]:
    """Return the shape of a cell, and the width of its strings for text."""
    said = re.fullmatch(r"\s*\(\s*(\d+(?:\s*,\s*\d+)*)\s*\)\s*", tdim)
    dims = [int(n) for n in said[1].split(",")] if said and not variable else []
    if code == "A" and not variable:
        if dims and prod(dims) == repeat and len(dims) > 1 and 0 not in dims:
            return tuple(reversed(dims[1:])), dims[0]
        return (), repeat
    if dims and prod(dims) == repeat and 0 not in dims:
        return tuple(reversed(dims)), 0
    return ((repeat,) if repeat != 1 and not variable else ()), 0


def unique(said: str, taken: set[str]) -> str:
    """Return the name, numbered where another column has it already (letter case aside)."""
    name, number = said, 1
    while name.lower() in taken:
        number += 1
        name = f"{said}_{number}"
    taken.add(name.lower())
    return name


def _invalid(index: int, where: str, what: str) -> CustomerError:
    return CustomerError(
        f"the table of HDU {index} is invalid: {what}",
        code="corrupt",
        where=where,
        remedy="fetch it again",
    )


def decode(spec: ColumnSpec, cells: "np.ndarray[Any, Any]") -> pa.Array:
    """Return (rows, width) bytes of a column that lies in its rows as an Arrow array of `arrow_type`."""
    if spec.code == "X":
        bits = (
            np.unpackbits(cells, axis=1)[:, : prod(spec.shape)] if spec.shape else np.unpackbits(cells, axis=1)[:, :1]
        )
        flat = pa.array(np.ascontiguousarray(bits).reshape(-1).astype(bool))
    elif spec.code == "A":
        flat = text(np.ascontiguousarray(cells).reshape(-1), spec.length)
    else:
        flat = decode_values(spec, np.ascontiguousarray(cells).reshape(-1))
    return _nest(flat, spec.arrow_type)


def _nest(flat: pa.Array, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_fixed_size_list(kind):
        return flat
    return pa.FixedSizeListArray.from_arrays(_nest(flat, kind.value_type), kind.list_size)


def decode_values(spec: ColumnSpec, flat: "np.ndarray[Any, Any]") -> pa.Array:
    """Return consecutive stored bytes of numbers or logicals as a flat Arrow array of `value_type`."""
    if spec.code == "L":
        return pa.array(flat == ord("T"), mask=~np.isin(flat, (ord("T"), ord("F"))))
    values = flat.view(spec.base).astype(spec.base.newbyteorder("="))
    if spec.code in "CM":
        parts = [pa.array(np.array(part)) for part in (values.real, values.imag)]
        return pa.StructArray.from_arrays(parts, fields=list(spec.value_type))
    mask = values == spec.null if spec.null is not None and _fits(spec.null, values.dtype) else None
    if spec.unsigned:
        values = _flip(values).view(spec.unsigned)
    return pa.array(values, mask=mask)


def _fits(value: int, dtype: "np.dtype[Any]") -> bool:
    limits = np.iinfo(dtype)
    return bool(limits.min <= value <= limits.max)


def _flip(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Add or subtract half the range: the same as turning over the highest bit."""
    top = values.dtype.type(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else values.dtype.type(128)
    return np.bitwise_xor(values, top)


def text(flat: "np.ndarray[Any, Any]", length: int) -> pa.Array:
    """Return consecutive fixed-width strings as text: up to a NUL, without trailing spaces, Latin-1 beyond ASCII."""
    if length == 0:
        return pa.array([], pa.string())
    rows = flat.reshape(-1, length)
    ended = np.maximum.accumulate(rows == 0, axis=1)
    if bool((ended & (rows != 0)).any()):
        rows = np.where(ended, np.uint8(0), rows)
    if bool((rows > 127).any()):
        items = [
            item.rstrip(b"\0 ").decode("latin-1")
            for item in np.ascontiguousarray(rows).view(f"S{length}")[:, 0].tolist()
        ]
        return pa.array(items, pa.string())
    buffer = pa.py_buffer(np.ascontiguousarray(rows).tobytes())
    fixed = pa.Array.from_buffers(pa.binary(length), len(rows), [None, buffer])
    trimmed = pc.ascii_rtrim(fixed.cast(pa.binary()).cast(pa.string()), characters="\0")
    return pc.ascii_rtrim(trimmed, characters=" ")


def encode(spec: ColumnSpec, cells: pa.Array, pad: bytes = b"\0") -> "np.ndarray[Any, Any]":
    """Return an Arrow array as (rows, width) bytes: the inverse of `decode`, text padded with `pad`."""
    rows = len(cells)
    flat = cells
    for _ in spec.shape:
        flat = flat.flatten()
    if spec.width == 0:
        return np.zeros((rows, 0), np.uint8)
    if spec.code == "X":
        bits = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=bool).reshape(rows, -1)
        return np.packbits(bits, axis=1)
    if spec.code == "A":
        return fixed_text(flat, spec.length, pad).reshape(rows, -1)
    return encode_values(spec, flat).reshape(rows, -1)


def encode_values(spec: ColumnSpec, flat: pa.Array) -> "np.ndarray[Any, Any]":
    """Return a flat Arrow array of numbers or logicals as stored bytes."""
    if spec.code == "L":
        valid = np.asarray(flat.is_valid().to_numpy(zero_copy_only=False), bool)
        true = np.asarray(pc.fill_null(flat, False).to_numpy(zero_copy_only=False), bool)
        return np.where(valid, np.where(true, ord("T"), ord("F")), 0).astype(np.uint8)
    if spec.code in "CM":
        values = np.empty(len(flat), spec.base)
        values.real = flat.field("re").to_numpy(zero_copy_only=False)
        values.imag = flat.field("im").to_numpy(zero_copy_only=False)
        return values.view(np.uint8)
    missing = flat.is_null().to_numpy(zero_copy_only=False) if flat.null_count else None
    numbers = (pc.fill_null(flat, 0) if missing is not None else flat).to_numpy(zero_copy_only=False)
    if spec.unsigned:
        numbers = _flip(np.ascontiguousarray(numbers).view(spec.base.newbyteorder("=")))
    stored = np.array(numbers, dtype=spec.base)
    if missing is not None:
        stored[missing] = spec.null or 0
    return stored.view(np.uint8)


def fixed_text(flat: pa.Array, length: int, pad: bytes) -> "np.ndarray[Any, Any]":
    """Return text as (rows, length) bytes, padded."""
    items = [(item or "").encode("latin-1") for item in flat.to_pylist()]
    out = np.array(items, dtype=f"S{length}").view(np.uint8).reshape(-1, length)
    if pad == b" ":
        return np.where(
            np.minimum.accumulate((out == 0)[:, ::-1], axis=1)[:, ::-1],
            np.uint8(32),
            out,
        )
    return out
