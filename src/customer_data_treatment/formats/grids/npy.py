"""NPY: one array behind a literal header (NEP 1, numpy.lib.format).

Structured arrays become a table of their records as they lie. The header is carried as it stands,
so that restore writes the file back byte for byte; an array that the model has no form for
(longdouble, void, text of no length) is carried whole, with a finding.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import CustomerError
from ...model.dataset import Carried, Dataset, RuleCount
from ...model.verdict import Finding
from ...plugin import FormatCode
from ...ports import Box, ByteSource, RestoreSource
from ...vocabulary import CustomerDataType, DataModalityType, Severity
from ..containers import npy

_FIELD = "array"
_HEADER = "header.npy"
_WHOLE = "array.npy"
_PADDING = "padding.bin"
_PIECE = 1 << 20


class NpyDecoder:
    """Read one NPY file by boxes."""

    def __init__(self, source: ByteSource) -> None:
        """Parse the header and hold the file's length against it.

        Raise CustomerError: corrupt (no valid header, bytes behind the array), truncated,
        absurd-header, unsupported-format (pickles).
        """
        self._where = source.name
        self._file = source.local_path().open("rb")
        try:
            self._header = npy.read_header(self._file, source.name)
            self._offset = len(self._header.text)
            _expect_length(source, self._header.end)
            descriptor = self._file.fileno()
            self._encoding = npy.find_encoding(descriptor, self._offset, self._header, source.name)
        except BaseException:
            self._file.close()
            raise
        self.dataset = self._facts()

    def _facts(self) -> Dataset:
        modelled = self._header.has_model_form
        item = (
            Carried(_HEADER, "the NPY header, byte for byte")
            if modelled
            else Carried(_WHOLE, "the NPY file, whole: its values have no form in the model")
        )
        padded = modelled and len(npy.padding_places(self._header.dtype)) > 0
        unmodelled = Finding(
            "carried-array",
            Severity.WARNING,
            f"an array of type {self._header.dtype} has no form in the package; it is carried byte for byte",
            self._where,
        )
        return Dataset(
            format="NPY",
            modality=DataModalityType.GENERAL,
            data_type=CustomerDataType.GENERAL,
            fields=(npy.field_of(_FIELD, self._header, self._encoding),) if modelled else (),
            carried=(
                item,
                Carried(_PADDING, "the bytes between the members of records"),
            )
            if padded
            else (item,),
            findings=() if modelled else (unmodelled,),
        )

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box."""
        return npy.read(
            self._file.fileno(),
            self._offset,
            self._header,
            box,
            encoding=self._encoding,
            where=self._where,
        )

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of a structured array in the order they lie in the file."""
        return npy.batches(self._file.fileno(), self._offset, self._header, self._where)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the header's bytes, or the whole file's where its array has no model form."""
        if name == _HEADER:
            yield self._header.text
            return
        if name == _PADDING:
            yield from npy.padding(self._file.fileno(), self._offset, self._header, self._where)
            return
        for at in range(0, self._header.end, _PIECE):
            yield os.pread(self._file.fileno(), min(_PIECE, self._header.end - at), at)

    def rules(self) -> tuple[RuleCount, ...]:
        """Return no rules: the header was held against the file's length at the door."""
        return ()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _expect_length(source: ByteSource, expected: int) -> None:
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
    if not package.dataset.fields:
        target.write_bytes(package.carried(_WHOLE))
        return
    field = package.dataset.fields[0]
    with target.open("wb+") as file:
        file.write(package.carried(_HEADER))
        file.seek(0)
        header = npy.read_header(file, target.name)
        padded = _PADDING in {item.name for item in package.dataset.carried}
        for piece in npy.encoded(package, field, header, package.carried(_PADDING) if padded else b""):
            file.write(piece)


NPY = FormatCode(open=NpyDecoder, write=_write)
