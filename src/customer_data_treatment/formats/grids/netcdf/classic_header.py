"""The header of a classic netCDF file (CDF-1, CDF-2, CDF-5), parsed and held against the file's length.

Grammar: "The NetCDF Classic Format Specification" (Unidata) and its CDF-5 supplement. The C library
fills what a short file lacks with zeros and says nothing; here every promise is checked first.
"""

import os
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from ....errors import CustomerError

_TYPES = {
    1: np.dtype("i1"),
    2: np.dtype("S1"),
    3: np.dtype(">i2"),
    4: np.dtype(">i4"),
    5: np.dtype(">f4"),
    6: np.dtype(">f8"),
    7: np.dtype("u1"),
    8: np.dtype(">u2"),
    9: np.dtype(">u4"),
    10: np.dtype(">i8"),
    11: np.dtype(">u8"),
}
_DIMENSION, _VARIABLE, _ATTRIBUTE = 10, 11, 12
_MOST_BYTES = 1 << 50
_MOST_COUNTED = 1 << 31
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension; the record dimension has length 0 here."""

    name: str
    length: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: where it begins, and whether its first axis runs over records.

    `shape` has the number of records in front where `record`; `size` is the bytes of the whole, or
    of one record, without padding.
    """

    name: str
    dtype: "np.dtype[Any]"
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    attributes: dict[str, Any]
    begin: int
    size: int
    record: bool
    declared_size: int

    @property
    def padded(self) -> int:
        """The size rounded up to four bytes."""
        return -(-self.size // 4) * 4


@dataclass(frozen=True, slots=True)
class Header:
    """A whole header; `length` is its bytes, `record_bytes` the distance between records."""

    version: int
    length: int
    records: int
    record_begin: int
    record_bytes: int
    dimensions: tuple[Dimension, ...]
    attributes: dict[str, Any]
    variables: tuple[Variable, ...]
    oddities: tuple[str, ...] = field(default=())  # variables whose stated size is not their own

    @property
    def end(self) -> int:
        """The first byte after the last value, padding aside."""
        ends = [self.length]
        for variable in self.variables:
            if not variable.record:
                ends.append(variable.begin + variable.size)
            elif self.records:
                ends.append(variable.begin + (self.records - 1) * self.record_bytes + variable.size)
        return max(ends)


class _Cursor:
    """Reads the header by pieces; every count is held against the bytes that are left."""

    def __init__(self, descriptor: int, size: int, where: str) -> None:
        self._descriptor, self.size, self.where = descriptor, size, where
        self.at, self._from, self._buffer = 0, 0, b""

    def take(self, count: int) -> bytes:
        if self.at + count > self.size:
            raise CustomerError(
                f"its header ends at byte {self.size} in the middle of an entry",
                code="truncated",
                where=self.where,
                remedy="fetch it again",
            )
        start = self.at - self._from
        if start + count > len(self._buffer):
            self._buffer = os.pread(self._descriptor, max(count, _READ), self.at)
            self._from, start = self.at, 0
        self.at += count
        return self._buffer[start : start + count]

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def count(self, width: int, least: int, what: str) -> int:
        """Return a count of things that take `least` bytes each."""
        value = self.number(width)
        if value * least > self.size - self.at:
            code = "absurd-header" if value * least > _MOST_COUNTED else "truncated"
            raise self.corrupt(f"its header claims {value} {what} in a file of {self.size} bytes", code)
        return value

    def corrupt(self, what: str, code: str = "corrupt") -> CustomerError:
        return CustomerError(
            what,
            code=code,
            where=f"{self.where}, byte {self.at}",
            remedy="fetch it again",
        )


def parse(descriptor: int, size: int, where: str) -> Header:
    """Return the header; raise CustomerError: truncated, corrupt, absurd-header."""
    cursor = _Cursor(descriptor, size, where)
    version = cursor.take(4)[3]
    width = 8 if version == 5 else 4
    offset = 4 if version == 1 else 8
    records = cursor.number(width)
    streaming = records == (1 << (8 * width)) - 1
    dimensions = _dimensions(cursor, width)
    attributes = _attributes(cursor, width)
    raw = [_variable(cursor, width, offset, version, dimensions) for _ in range(_list(cursor, width, _VARIABLE))]
    names = [variable.name for variable in raw]
    if len(set(names)) != len(names):
        raise cursor.corrupt("two of its variables have one name")
    header = _laid_out(
        cursor, version, None if streaming else records, dimensions=dimensions, attributes=attributes, raw=raw
    )
    _expect_sound(header, size, where)
    return header


def _list(cursor: _Cursor, width: int, tag: int) -> int:
    found = cursor.number(4)
    count = cursor.count(width, 2 * width, "entries")
    if found not in (0, tag) or (found == 0 and count):
        raise cursor.corrupt(f"its header has the mark {found} where {tag} belongs")
    return count


def _name(cursor: _Cursor, width: int) -> str:
    return _text(_padded(cursor, cursor.count(width, 1, "bytes of a name")))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _padded(cursor: _Cursor, count: int) -> bytes:
    raw = cursor.take(count)
    cursor.take(-count % 4)
    return raw


def _dimensions(cursor: _Cursor, width: int) -> tuple[Dimension, ...]:
    found = []
    for _ in range(_list(cursor, width, _DIMENSION)):
        name = _name(cursor, width)
        found.append(Dimension(name, cursor.number(width)))
    if sum(not d.length for d in found) > 1:
        raise cursor.corrupt("it has more than one record dimension")
    return tuple(found)


def _attributes(cursor: _Cursor, width: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(_list(cursor, width, _ATTRIBUTE)):
        name = _name(cursor, width)
        dtype = _type(cursor)
        count = cursor.count(width, dtype.itemsize, "attribute values")
        raw = _padded(cursor, count * dtype.itemsize)
        if dtype.kind == "S":
            found[name] = _text(raw).rstrip("\0")
            continue
        values = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="))
        found[name] = values[0] if count == 1 else values
    return found


def _type(cursor: _Cursor) -> "np.dtype[Any]":
    code = cursor.number(4)
    if code not in _TYPES:
        raise cursor.corrupt(f"it names a type {code} that no classic file has")
    return _TYPES[code]


def _variable(
    cursor: _Cursor,
    width: int,
    offset: int,
    version: int,
    dimensions: tuple[Dimension, ...],
) -> Variable:
    name = _name(cursor, width)
    rank = cursor.count(width, width, "dimensions")
    numbers = [cursor.number(width) for _ in range(rank)]
    if any(number >= len(dimensions) for number in numbers):
        raise cursor.corrupt("a variable names a dimension that does not exist")
    attributes = _attributes(cursor, width)
    dtype = _type(cursor)
    if version != 5 and dtype not in list(_TYPES.values())[:6]:
        raise cursor.corrupt("it has a type that only CDF-5 knows")
    declared, begin = cursor.number(width), cursor.number(offset)
    lengths = tuple(dimensions[number].length for number in numbers)
    if any(length == 0 for length in lengths[1:]):
        raise cursor.corrupt("the record dimension is not the first of a variable")
    record = bool(lengths) and lengths[0] == 0
    shape = lengths[1:] if record else lengths
    return Variable(
        name=name,
        dtype=dtype,
        shape=lengths,
        dimensions=tuple(dimensions[number].name for number in numbers),
        attributes=attributes,
        begin=begin,
        size=prod(shape) * dtype.itemsize,
        record=record,
        declared_size=declared,
    )


def _laid_out(
    cursor: _Cursor,
    version: int,
    records: int | None,
    *,
    dimensions: tuple[Dimension, ...],
    attributes: dict[str, Any],
    raw: list[Variable],
) -> Header:
    moving = [variable for variable in raw if variable.record]
    # A lone record variable of a small type is not padded (specification, "Note on padding").
    stride = moving[0].size if len(moving) == 1 else sum(variable.padded for variable in moving)
    begin = min((variable.begin for variable in moving), default=cursor.size)
    if records is None:
        records = max(0, cursor.size - begin) // stride if stride else 0
    variables = tuple(
        Variable(
            v.name,
            v.dtype,
            (records, *v.shape[1:]) if v.record else v.shape,
            v.dimensions,
            v.attributes,
            v.begin,
            v.size,
            v.record,
            v.declared_size,
        )
        for v in raw
    )
    odd = tuple(v.name for v in variables if not _states_its_size(v, version, len(moving)))
    return Header(
        version,
        cursor.at,
        records,
        begin,
        stride,
        dimensions,
        attributes,
        variables,
        odd,
    )


def _states_its_size(variable: Variable, version: int, moving: int) -> bool:
    """Tell whether vsize is right; it is redundant, and 2^32-1 where it does not fit."""
    if variable.declared_size in (
        variable.padded,
        variable.size if moving == 1 or variable.size < 4 else -1,
    ):
        return True
    return version != 5 and variable.padded > 0xFFFFFFFC


def _expect_sound(header: Header, size: int, where: str) -> None:
    """Refuse values that lie outside the file, in its header or upon each other."""
    for variable in header.variables:
        total = variable.size * (header.records if variable.record else 1)
        if total > _MOST_BYTES:
            raise CustomerError(
                f"it declares {total} bytes in a file of {size}",
                code="absurd-header",
                where=f"{where}, {variable.name}",
                remedy="fetch it again",
            )
        if total and variable.begin < header.length:
            raise CustomerError(
                f"its values are said to begin at byte {variable.begin}, inside the header",
                code="corrupt",
                where=f"{where}, {variable.name}",
                remedy="fetch it again",
            )
    if header.end > size:
        raise CustomerError(
            f"the header promises {header.end} bytes, the file has {size}",
            code="truncated",
            where=f"{where}, byte {size}",
            remedy="fetch it again",
        )
    _expect_apart(header, where)


def _expect_apart(header: Header, where: str) -> None:
    fixed = [(v.begin, v.begin + v.size, v.name) for v in header.variables if not v.record and v.size]
    moving = [(v.begin, v.begin + v.size, v.name) for v in header.variables if v.record and v.size]
    if moving and header.records:
        fixed.append(
            (
                header.record_begin,
                header.record_begin + header.record_bytes * header.records,
                "the records",
            )
        )
        late = max(end for _, end, _ in moving) - header.record_begin
        if late > header.record_bytes:
            raise CustomerError(
                "its records are longer than their distance",
                code="corrupt",
                where=where,
            )
    for extents in (sorted(fixed), sorted(moving)):
        for (_, end, name), (begin, _, other) in pairwise(extents):
            if begin < end:
                raise CustomerError(
                    f"the values of {name} and {other} lie upon each other",
                    code="corrupt",
                    where=f"{where}, byte {begin}",
                    remedy="fetch it again",
                )
