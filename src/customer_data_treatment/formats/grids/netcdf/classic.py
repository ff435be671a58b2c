"""Classic netCDF (CDF-1, -2, -5): values by box straight from the file, restored byte for byte.

Carried are the header as it stands and the bytes between values (padding, gaps, a tail).
"""

import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ....model.dataset import TEXT, ArrayField, Carried, Dataset, RuleCount
from ....model.verdict import Finding
from ....ports import Box, ByteSource, RestoreSource
from ....vocabulary import CustomerDataType, DataModalityType, Role, RuleKind, Severity
from ....vocabulary import Dimension as Quality
from ...containers import cf, raw
from ...containers.boxes import flat_slabs, trailing
from . import classic_header, layout
from .classic_header import Header, Variable

HEADER, BETWEEN = "header.nc", "between.xz"
_FORMS = {1: "CDF-1", 2: "CDF-2", 5: "CDF-5"}


class ClassicDecoder:
    """Read one classic netCDF file by boxes."""

    def __init__(self, source: ByteSource) -> None:
        """Parse the header and hold all it promises against the file's length.

        Raise CustomerError: truncated, corrupt, absurd-header.
        """
        self._where, self._size = source.name, source.size
        self._file = source.local_path().open("rb")
        try:
            self._header = classic_header.parse(self._file.fileno(), source.size, source.name)
            self._variables = {variable.name: variable for variable in self._header.variables}
            self.dataset = _facts(self._header, source.size)
        except BaseException:
            self._file.close()
            raise

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box; NC_CHAR as one str a byte (Latin-1)."""
        variable = self._variables[name]
        if variable.record:
            values = self._records(variable, box)
        else:
            values = raw.read_box(
                self._file.fileno(),
                variable.begin,
                variable.shape,
                variable.dtype,
                box,
                where=self._where,
            )
        return _characters(values) if values.dtype.kind == "S" else values

    def _records(self, variable: Variable, box: Box) -> "np.ndarray[Any, Any]":
        first, last = box[0].start, box[0].stop
        rest, inner = variable.shape[1:], box[1:]
        out = np.empty([part.stop - part.start for part in box], dtype=variable.dtype)
        if out.size == 0:
            return raw.native(out)
        stride = self._header.record_bytes
        if stride <= layout.DENSE:
            step = max(1, layout.BLOCK // stride)
            for start in range(first, last, step):
                count = min(step, last - start)
                out[start - first : start - first + count] = self._span(variable, start, count, rest)[trailing(inner)]
        else:
            for at in range(first, last):
                begin = variable.begin + at * stride
                out[at - first] = raw.read_box(
                    self._file.fileno(),
                    begin,
                    rest,
                    variable.dtype,
                    inner,
                    where=self._where,
                )
            return out.astype(variable.dtype.newbyteorder("="), copy=False)
        return raw.native(out)

    def _span(self, variable: Variable, start: int, count: int, rest: tuple[int, ...]) -> "np.ndarray[Any, Any]":
        stride = self._header.record_bytes
        length = (count - 1) * stride + variable.size
        at = variable.begin + start * stride
        block = raw.read_box(
            self._file.fileno(),
            at,
            (length,),
            np.dtype("u1"),
            (slice(0, length),),
            where=self._where,
        )
        whole = np.ndarray((count, variable.size), np.uint8, block.data, 0, (stride, 1))
        return np.ascontiguousarray(whole).reshape(-1).view(variable.dtype).reshape(count, *rest)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Raise KeyError: a classic file has no tables."""
        raise KeyError(name)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the header's bytes, or what lies between the values, xz-compressed."""
        if name == HEADER:
            for at in range(0, self._header.length, 1 << 20):
                yield os.pread(self._file.fileno(), min(1 << 20, self._header.length - at), at)
            return
        if name != BETWEEN:
            raise KeyError(name)
        packer = lzma.LZMACompressor(preset=1)
        for piece in layout.between(self._header, self._size, self._file.fileno()):
            if packed := packer.compress(piece):
                yield packed
        yield packer.flush()

    def rules(self) -> tuple[RuleCount, ...]:
        """Return how many variables state a size that is not theirs."""
        odd, total = self._header.oddities, len(self._header.variables)
        if not total:
            return ()
        return (
            RuleCount(
                "netcdf-variable-size",
                Quality.CONSISTENCY,
                RuleKind.SCORED,
                total,
                total,
                len(odd),
                "variables whose size in the header (vsize) is not that of their shape",
                odd[:5],
            ),
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _characters(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    table = np.array(["", *(chr(code) for code in range(1, 256))], dtype=object)
    return np.asarray(table[values.view(np.uint8)], dtype=object).reshape(values.shape)


def _facts(header: Header, size: int) -> Dataset:
    variables = [cf.Variable(v.name, _word(v), v.shape, tuple(v.dimensions), v.attributes) for v in header.variables]
    meanings = cf.meanings(variables)
    modality, family = modality_of({v.name for v in header.variables}, header.attributes)
    tail = size - header.end - (-header.end % 4)
    findings: tuple[Finding, ...] = ()
    if tail > 0:
        message = f"{tail} byte(s) follow the last value: carried as they are"
        findings = (Finding("trailing-bytes", Severity.NOTE, message, f"byte {header.end}"),)
    return Dataset(
        format="NetCDF",
        modality=modality,
        data_type=family,
        fields=tuple(
            _field(v, word, meanings[v.name], header) for v, word in zip(header.variables, variables, strict=True)
        ),
        groups={"": header.attributes},
        carried=(
            Carried(
                HEADER,
                f"the netCDF header ({_FORMS[header.version]}), byte for byte",
                "application/x-netcdf",
            ),
            Carried(
                BETWEEN,
                "the bytes between the values: padding, gaps, a tail",
                "application/x-xz",
            ),
        ),
        findings=findings,
        witnesses=tuple(w for m in meanings.values() for w in m.witnesses),
    )


def modality_of(names: set[str], attributes: dict[str, Any]) -> tuple[DataModalityType, CustomerDataType]:
    """Return what a netCDF file measures: mass spectra (ANDI), images (MINC), else grids of the Earth."""
    if {"mass_values", "intensity_values"} <= names or "ordinate_values" in names:
        return DataModalityType.METABOLOMICS, CustomerDataType.MULTI_OMICS
    if {"image", "image-max", "image-min"} <= names:
        return DataModalityType.MEDICAL_IMAGING, CustomerDataType.IMAGING
    return DataModalityType.REMOTE_SENSING, CustomerDataType.ENVIRONMENTAL


def _word(variable: Variable) -> str:
    return TEXT if variable.dtype.kind == "S" else str(variable.dtype.newbyteorder("=").name)


def _field(variable: Variable, told: cf.Variable, meaning: cf.Meaning, header: Header) -> ArrayField:
    chunks = (1, *variable.shape[1:]) if variable.record and variable.shape[0] > 1 else None
    return ArrayField(
        name=variable.name,
        shape=variable.shape,
        dtype=told.dtype,
        dimensions=tuple(variable.dimensions),
        role=meaning.role,
        units=meaning.units,
        attributes=variable.attributes,
        source_chunks=chunks if header.record_bytes > layout.DENSE else None,
        spatial_axes=meaning.spatial_axes if meaning.role is Role.MEASUREMENT else None,
        scale=meaning.scale,
        fill=meaning.fill,
    )


# --- restore ----------------------------------------------------------------------------------


def write(package: RestoreSource, target: Path) -> None:
    """Write header, values and what lay between them; the bytes are the source's own."""
    packed = layout.Unpacked(package.carried(BETWEEN))
    target.write_bytes(package.carried(HEADER))
    with target.open("r+b") as file:
        descriptor = file.fileno()
        size = packed.size
        os.ftruncate(descriptor, size)
        header = classic_header.parse(descriptor, size, target.name)
        layout.put_gaps(header, size, packed, descriptor)
        for variable in header.variables:
            if not variable.record:
                _write_fixed(package, variable, descriptor)
        if header.records and header.record_bytes:
            _write_records(package, header, size, packed, descriptor)


def _stored(package: RestoreSource, variable: Variable, box: Box) -> "np.ndarray[Any, Any]":
    values = package.read(variable.name, box)
    if variable.dtype.kind == "S":
        joined = "".join(item or "\0" for item in values.reshape(-1))
        return np.frombuffer(joined.encode("latin-1"), "S1").reshape(values.shape)
    return np.ascontiguousarray(values.astype(variable.dtype, copy=False))


def _write_fixed(package: RestoreSource, variable: Variable, descriptor: int) -> None:
    at = variable.begin
    for box in flat_slabs(variable.shape, variable.dtype.itemsize):
        piece = _stored(package, variable, box).tobytes()
        _put(descriptor, piece, at)
        at += len(piece)


def _write_records(
    package: RestoreSource,
    header: Header,
    size: int,
    packed: layout.Unpacked,
    descriptor: int,
) -> None:
    stride = header.record_bytes
    moving = [variable for variable in header.variables if variable.record]
    if stride > layout.DENSE:
        for number in range(header.records):
            for variable in moving:
                at = variable.begin + number * stride
                for box in flat_slabs(variable.shape[1:], variable.dtype.itemsize):
                    stored = _stored(package, variable, (slice(number, number + 1), *box)).tobytes()
                    _put(descriptor, stored, at)
                    at += len(stored)
        layout.put_record_gaps(header, size, packed, descriptor)
        return
    inner = layout.record_gaps(header)
    for start, count in layout.record_blocks(header):
        table = np.zeros((count, stride), np.uint8)
        for variable in moving:
            box = (
                slice(start, start + count),
                *(slice(0, n) for n in variable.shape[1:]),
            )
            offset = variable.begin - header.record_begin
            values = _stored(package, variable, box)
            table[:, offset : offset + variable.size] = values.reshape(count, -1).view(np.uint8)
        for begin, end in inner:
            piece = np.frombuffer(packed.take(count * (end - begin)), np.uint8)
            table[:, begin:end] = piece.reshape(count, end - begin)
        at = header.record_begin + start * stride
        _put(descriptor, table.tobytes()[: size - at], at)


def _put(descriptor: int, stored: bytes, at: int) -> None:
    done = 0
    while done < len(stored):
        done += os.pwrite(descriptor, stored[done:], at + done)
