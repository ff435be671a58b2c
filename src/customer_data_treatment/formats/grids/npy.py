"""NPY: one array behind a literal header (NEP 1, numpy.lib.format).

Structured arrays become a table of their raveled records. The header is carried as it stands, so
that restore writes the file back byte for byte.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import CustomerError
from ...model.dataset import TEXT, ArrayField, Carried, Dataset, Field, RuleCount
from ...model.schema import role_of
from ...plugin import FormatCode
from ...ports import Box, ByteSource, RestoreSource
from ...vocabulary import CustomerDataType, DataModalityType, Role
from ..containers import raw, records

_FIELD = "array"
_HEADER = "header.npy"
_KINDS = {"f": "float", "i": "integer", "u": "integer", "b": "boolean", "c": "complex", "M": "time", "m": "time"}
_BATCH_BYTES = 4 << 20


class NpyDecoder:
    """Read one NPY file by boxes."""

    def __init__(self, source: ByteSource) -> None:
        """Parse the header and hold the file's length against it.

        Raise CustomerError: corrupt (no valid header), truncated, unsupported-format (pickles).
        """
        self._where = source.name
        self._file = source.local_path().open("rb")
        try:
            self._shape, self._fortran, self._dtype = _header(self._file, source.name)
            self._offset = self._file.tell()
            _expect_length(source, self._offset, self._shape, self._dtype)
        except BaseException:
            self._file.close()
            raise
        self.dataset = Dataset(
            format="NPY",
            modality=DataModalityType.GENERAL,
            data_type=CustomerDataType.GENERAL,
            fields=(self._field(),),
            carried=(Carried(_HEADER, "the NPY header, byte for byte"),),
        )

    def _field(self) -> Field:
        if self._dtype.names:
            return records.table_field(_FIELD, self._dtype, prod(self._shape), {"shape": list(self._shape)})
        plain = self._dtype.newbyteorder("=")
        kind = "text" if plain.kind in "US" else _KINDS[plain.kind]
        ndim = len(self._shape)
        layout = (*self._shape[:-1], 1) if self._fortran and ndim > 1 else None
        return ArrayField(
            name=_FIELD,
            shape=self._shape,
            dtype=TEXT if kind == "text" else plain.name,
            dimensions=(None,) * ndim,
            role=role_of(_FIELD, kind),
            source_chunks=layout,
        )

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box."""
        shape = self._shape[::-1] if self._fortran else self._shape
        part = box[::-1] if self._fortran else box
        values = raw.read_box(self._file.fileno(), self._offset, shape, self._dtype, part, where=self._where)
        if self._fortran:
            values = np.ascontiguousarray(values.T)
        if values.dtype.kind in "US":
            return records.text_values(values)
        return values

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of a structured array in C order of their index."""
        total = prod(self._shape)
        step = max(1, _BATCH_BYTES // max(1, self._dtype.itemsize))
        schema = records.arrow_schema(self._dtype)
        for start in range(0, total, step):
            box = (slice(start, min(total, start + step)),)
            values = raw.read_box(self._file.fileno(), self._offset, (total,), self._dtype, box, where=self._where)
            yield records.batch(values, schema)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the header's bytes."""
        with Path(self._file.name).open("rb") as file:
            yield file.read(self._offset)

    def rules(self) -> tuple[RuleCount, ...]:
        """Return no rules: the header was held against the file's length at the door."""
        return ()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _header(file: Any, where: str) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"version {version} is unknown")
        shape, fortran, dtype = reader(file)
    except (ValueError, EOFError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise CustomerError(
            f"its NPY header cannot be read: {error}", code="corrupt", where=where, remedy="fetch it again"
        ) from error
    if dtype.hasobject:
        raise CustomerError(
            "it holds pickled Python objects, which are never opened",
            code="unsupported-format",
            where=where,
            remedy="save it as numbers or text",
        )
    return tuple(int(n) for n in shape), bool(fortran), dtype


def _expect_length(source: ByteSource, offset: int, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> None:
    if any(n < 0 for n in shape):
        raise CustomerError("its header names a negative length", code="absurd-header", where=source.name)
    expected = offset + prod(shape) * dtype.itemsize
    if expected > source.size:
        raise CustomerError(
            f"the header promises {expected} bytes, the file has {source.size}",
            code="truncated",
            where=f"{source.name}, byte {source.size}",
            remedy="fetch it again",
        )
    if expected < source.size:
        raise CustomerError(
            f"{source.size - expected} bytes follow the array",
            code="corrupt",
            where=f"{source.name}, byte {expected}",
            remedy="fetch it again",
        )


def _write(package: RestoreSource, target: Path) -> None:
    """Write the array back behind its own header."""
    header = package.carried(_HEADER)
    with target.open("wb") as file:
        file.write(header)
    with target.open("rb") as file:
        shape, fortran, dtype = _header(file, target.name)
    field = package.dataset.fields[0]
    with target.open("ab") as file:
        if dtype.names:
            for batch in package.batches(field.name):
                file.write(records.from_batch(batch, dtype).tobytes())
            return
        # A Fortran array is the C-order array of reversed axes: its slabs run along the last axis.
        axis = len(shape) - 1 if fortran else 0
        for box in raw.slabs(shape, dtype.itemsize, axis):
            values = package.read(field.name, box)
            stored = records.fixed_text(values, dtype) if dtype.kind in "US" else values.astype(dtype, copy=False)
            file.write(stored.tobytes(order="F" if fortran else "C"))


NPY = FormatCode(open=NpyDecoder, write=_write)
