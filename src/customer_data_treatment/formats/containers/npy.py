"""The NPY form of one array (NEP 1, numpy.lib.format), in a file of its own or as a member of an NPZ.

The header is parsed here rather than by numpy, so that a Python expression of the file's making is
never longer than is safe, and field names of version 3 are read as UTF-8.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ...errors import CustomerError
from ...model.dataset import TEXT, ArrayField, Field
from ...model.schema import role_of
from ...ports import Box, RestoreSource
from . import raw, records

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 1 << 20
_MOST_AXES = 64
_LARGEST = 1 << 62


@dataclass(frozen=True, slots=True)
class Header:
    """What an NPY header says, its own bytes (magic to newline) included."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: "np.dtype[Any]"
    text: bytes

    @property
    def end(self) -> int:
        """Return the byte behind the array, counted from the magic."""
        return len(self.text) + prod(self.shape) * self.dtype.itemsize

    @property
    def has_model_form(self) -> bool:
        """Return whether the array can be a field: longdouble, void and text of no length can't."""
        if self.dtype.itemsize == 0:
            return False
        if self.dtype.names is not None:
            return records.has_table_form(self.dtype)
        return self.dtype.kind != "V" and records.has_table_form(self.dtype)


def read_header(file: BinaryIO, where: str) -> Header:
    """Parse the header at the file's position and leave the position behind it.

    Raise CustomerError: corrupt, absurd-header, unsupported-format (pickled objects).
    """
    prefix = file.read(8)
    version = prefix[6:8]
    if not prefix.startswith(_MAGIC) or version not in (
        b"\x01\x00",
        b"\x02\x00",
        b"\x03\x00",
    ):
        raise _unreadable("it does not start as NPY 1.0, 2.0 or 3.0 does", where)
    counted = file.read(2 if version == b"\x01\x00" else 4)
    length = int.from_bytes(counted, "little")
    if length > _LONGEST_HEADER:
        raise CustomerError(
            f"its NPY header claims {length} bytes",
            code="absurd-header",
            where=where,
            remedy="fetch it again",
        )
    body = file.read(length)
    if len(body) < length or len(counted) < 2:
        raise CustomerError(
            "the file ends inside the NPY header",
            code="truncated",
            where=where,
            remedy="fetch it again",
        )
    shape, fortran, dtype = _parse(body, "utf-8" if version == b"\x03\x00" else "latin-1", where)
    return Header(shape, fortran, dtype, prefix + counted + body)


def _parse(body: bytes, encoding: str, where: str) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    try:
        text = body.decode(encoding)
        try:
            said = ast.literal_eval(text.strip())
        except SyntaxError:  # Python 2 wrote 3L for a long
            said = ast.literal_eval(re.sub(r"(?<=\d)L(?=\s*[,)])", "", text.strip()))
        if not isinstance(said, dict) or set(said) != {
            "descr",
            "fortran_order",
            "shape",
        }:
            raise ValueError("it must hold descr, fortran_order and shape")
        shape, fortran = said["shape"], said["fortran_order"]
        if not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
            raise ValueError("its shape is not a tuple of integers")
        if not isinstance(fortran, bool):
            raise TypeError("its fortran_order is neither True nor False")
        dtype = np.lib.format.descr_to_dtype(said["descr"])
    except Exception as error:  # whatever a hostile literal makes Python or numpy raise
        raise _unreadable(" ".join(str(error).split())[:200] or type(error).__name__, where) from error
    if dtype.hasobject:
        raise CustomerError(
            "it holds pickled Python objects, which are never opened",
            code="unsupported-format",
            where=where,
            remedy="save it as numbers or text",
        )
    if any(n < 0 for n in shape) or len(shape) > _MOST_AXES or prod(n or 1 for n in shape) > _LARGEST:
        raise CustomerError(
            f"its NPY header names an impossible shape of {len(shape)} axes",
            code="absurd-header",
            where=where,
            remedy="fetch it again",
        )
    return shape, fortran, dtype


def _unreadable(why: str, where: str) -> CustomerError:
    return CustomerError(
        f"its NPY header cannot be read: {why}",
        code="corrupt",
        where=where,
        remedy="fetch it again",
    )


def field_of(name: str, header: Header, encoding: str | None) -> Field:
    """Return the facts of the field; a structured array is the table of its records as they lie.

    `encoding` is how byte strings read (records.encoding_of), None for other arrays.
    """
    if header.dtype.names is not None:
        laid = {"shape": list(header.shape), "order": "F" if header.fortran else "C"}
        return records.table_field(name, header.dtype, prod(header.shape), laid)
    plain = header.dtype.newbyteorder("=")
    kind = records.kind_of(plain)
    ndim = len(header.shape)
    return ArrayField(
        name=name,
        shape=header.shape,
        dtype=TEXT if kind == "text" else plain.name,
        dimensions=(None,) * ndim,
        role=role_of(name, kind),
        attributes={} if encoding in (None, "utf-8") else {"encoding": encoding},
        source_chunks=(*header.shape[:-1], 1) if header.fortran and ndim > 1 and header.shape[-1] else None,
    )


def find_encoding(file: int | raw.Fill, offset: int, header: Header, where: str) -> str | None:
    """Return how the array's byte strings read, looking at all of them; None if it holds none."""
    if header.dtype.kind != "S" or not header.has_model_form:
        return None
    total = prod(header.shape)
    for box in records.record_boxes(total, header.dtype.itemsize):
        values = raw.read_box(file, offset, (total,), header.dtype, box, where=where)
        if records.encoding_of(values) == "latin-1":
            return "latin-1"
    return "utf-8"


def read(
    file: int | raw.Fill,
    offset: int,
    header: Header,
    box: Box,
    *,
    encoding: str | None,
    where: str,
) -> "np.ndarray[Any, Any]":
    """Return the values of a box of the array whose data starts at byte `offset`."""
    shape = header.shape[::-1] if header.fortran else header.shape
    part = box[::-1] if header.fortran else box
    values = raw.read_box(file, offset, shape, header.dtype, part, where=where)
    if header.fortran:
        values = np.ascontiguousarray(values.T).reshape(tuple(cut.stop - cut.start for cut in box))
    return records.text_values(values, encoding) if values.dtype.kind in "US" else values


def batches(file: int | raw.Fill, offset: int, header: Header, where: str) -> Iterator[pa.RecordBatch]:
    """Yield the records of a structured array in the order they lie."""
    total = prod(header.shape)
    schema = records.arrow_schema(header.dtype)
    for box in records.record_boxes(total, header.dtype.itemsize):
        values = raw.read_box(file, offset, (total,), header.dtype, box, where=where)
        yield records.batch(values, schema)


def padding_places(dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Return the offsets of a record's bytes that no member covers (an aligned C struct has some)."""
    covered = np.zeros(dtype.itemsize, bool)
    _cover(dtype, covered)
    return np.flatnonzero(~covered)


def _cover(dtype: "np.dtype[Any]", covered: "np.ndarray[Any, Any]") -> None:
    if dtype.subdtype is not None:
        for part in covered.reshape(-1, dtype.subdtype[0].itemsize):
            _cover(dtype.subdtype[0], part)
    elif dtype.names is None:
        covered[:] = True
    else:
        for member, offset in (dtype.fields[name][:2] for name in dtype.names if dtype.fields):
            _cover(member, covered[offset : offset + member.itemsize])


def padding(file: int | raw.Fill, offset: int, header: Header, where: str) -> Iterator[bytes]:
    """Yield the padding bytes of every record in order, which restore puts back."""
    places = padding_places(header.dtype)
    total = prod(header.shape) if len(places) else 0
    plain = np.dtype(("V", header.dtype.itemsize))
    for box in records.record_boxes(total, header.dtype.itemsize):
        values = raw.read_box(file, offset, (total,), plain, box, where=where)
        yield values.view(np.uint8).reshape(len(values), -1)[:, places].tobytes()


def encoded(package: RestoreSource, field: Field, header: Header, padded: bytes = b"") -> Iterator[bytes]:
    """Yield the array's bytes behind its header, from the package's values, piece by piece.

    `padded` is what `padding` gave, b"" for zeros.
    """
    dtype = header.dtype
    if dtype.names is not None:
        places = padding_places(dtype) if padded else np.zeros(0, int)
        at = 0
        for batch in package.batches(field.name):
            laid = np.frombuffer(records.from_batch(batch, dtype).tobytes(), np.uint8).reshape(-1, dtype.itemsize)
            if len(places):
                laid = laid.copy()
                laid[:, places] = np.frombuffer(padded, np.uint8, laid.shape[0] * len(places), at).reshape(
                    -1, len(places)
                )
                at += laid.shape[0] * len(places)
            yield laid.tobytes()
        return
    encoding = str(field.attributes.get("encoding", "utf-8"))
    # A Fortran array is the C-order array of reversed axes: its slabs run along the last axis.
    axis = len(header.shape) - 1 if header.fortran else 0
    for box in raw.slabs(header.shape, dtype.itemsize, axis):
        values = package.read(field.name, box)
        text = dtype.kind in "US"
        stored = records.fixed_text(values, dtype, encoding) if text else values.astype(dtype, copy=False)
        yield stored.tobytes(order="F" if header.fortran else "C")
