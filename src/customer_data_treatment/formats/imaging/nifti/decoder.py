"""Reading NIfTI by boxes: from the file itself, or through its gzip layer."""

from collections.abc import Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from ....model.dataset import ArrayField, Carried, Dataset, RuleCount
from ....model.verdict import Finding
from ....ports import Box, ByteSource
from ....vocabulary import CustomerDataType, DataModalityType, Role, Severity
from ...containers import raw
from ...containers.gzip import layer_of
from . import rules
from .header import NIFTI2, Header, parse, refused
from .stream import PlainStream

FIELD = "data"
HEADER, PREFIX, VOXELS, TRAILER = "header.bin", "image_prefix.bin", "voxels.bin", "trailer.bin"
_AXES = ("x", "y", "z", "t", "u", "v", "w")
_PIECE = 1 << 20
_PLANE = 4 << 20  # leading axes are chunked together up to this many bytes
_LARGEST_HEADER = 64 << 20
_INTENT_LABEL, _INTENT_POINTS = (1002, 1005), (1008,)
_SAMPLES = {3: "rgb", 4: "rgba"}


class NiftiDecoder:
    """Read one NIfTI file, or a header with its image."""

    def __init__(self, source: ByteSource) -> None:
        """Parse the header and hold the image's length against it.

        Raise CustomerError: truncated, corrupt, absurd-header, unsupported-format.
        """
        self._where = source.name
        self._files: list[BinaryIO] = []
        self._stream: PlainStream | None = None
        self._findings: list[Finding] = []
        header_path = _header_of(source)
        try:
            self._open(header_path, source)
        except BaseException:
            self.close()
            raise
        self.dataset = self._facts()

    def _open(self, path: Path, source: ByteSource) -> None:
        start, layer = _start(path, self._where)
        self._header = parse(start, self._where)
        self._compressed = bool(layer)
        image = path if self._header.single else _image_of(path, self._where)
        if image is not path:
            self._papers = _whole(path, layer, self._where)
            if not source.is_folder:
                self._findings.append(
                    Finding(
                        "image-beside-header",
                        Severity.WARNING,
                        "its voxels lie in the image file beside it, which the source's digest does not cover; "
                        "hand in a folder of both files to cover them",
                        image.suffix,
                    )
                )
            _, layer = _start(image, image.name)
            self._compressed = bool(layer)
        needed = self._header.offset + self._header.data_bytes
        if layer:
            self._stream = PlainStream(image, layer, image.name, needed)
            self._trailing = not _ends_as_declared(image, layer, needed)
        else:
            self._files.append(image.open("rb"))
            self._extra = image.stat().st_size - needed
            self._trailing = self._extra > 0
            if self._extra < 0:
                raise CustomerError(
                    f"the header promises {needed} bytes, the file has {needed + self._extra}",
                    code="truncated",
                    where=f"{image.name}, byte {needed + self._extra}",
                    remedy="fetch it again",
                )
        if image is path:
            if self._header.offset > _LARGEST_HEADER:
                raise refused("absurd-header", f"{self._header.offset} bytes stand before its voxels", self._where)
            self._papers = bytes(self._span(0, self._header.offset))

    def _facts(self) -> Dataset:
        header = self._header
        carried = [Carried(HEADER, "the header and its extensions, byte for byte")]
        if not header.single and header.offset:
            carried.append(Carried(PREFIX, "the bytes before the voxels in the image file"))
        if header.opaque:
            carried.append(Carried(VOXELS, "128-bit voxels, byte for byte"))
            self._findings.append(
                Finding("voxels-carried", Severity.WARNING, "its 128-bit voxels are carried, not treated")
            )
        if self._trailing:
            carried.append(Carried(TRAILER, "the bytes after the voxels"))
        return Dataset(
            format="NIfTI",
            modality=DataModalityType.MEDICAL_IMAGING,
            data_type=CustomerDataType.IMAGING,
            fields=() if header.opaque else (self._field(),),
            carried=tuple(carried),
            findings=tuple(self._findings),
            source_compression="gzip" if self._compressed else None,
            random_access=self._stream is None,
        )

    def _field(self) -> ArrayField:
        header = self._header
        ndim = len(header.shape)
        shape, dimensions = header.shape, _AXES[:ndim]
        if header.samples > 1:
            shape, dimensions = (*shape, header.samples), (*dimensions, _SAMPLES[header.samples])
        intent = int(header.values["intent_code"])
        role = Role.LABEL if intent in _INTENT_LABEL else Role.MEASUREMENT
        return ArrayField(
            name=FIELD,
            shape=shape,
            dtype=header.dtype.newbyteorder("=").name,
            dimensions=dimensions,
            role=Role.COORDINATE if intent in _INTENT_POINTS else role,
            attributes=_attributes(header),
            source_chunks=_chunks(header),
            spatial_axes=(0, 1) if ndim >= 2 else None,
            scale=header.scale,
            required=True,
        )

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        """Return the values of a box: x runs fastest in the file, the colour samples faster still."""
        header = self._header
        ndim = len(header.shape)
        shape, part = header.shape[::-1], box[:ndim][::-1]
        if header.samples > 1:
            shape, part = (*shape, header.samples), (*part, box[ndim])
        if self._stream is None:
            values = raw.read_box(self._files[0].fileno(), header.offset, shape, header.dtype, part, where=self._where)
        else:
            values = self._read_stream(self._stream, shape, part)
        axes = (*range(ndim - 1, -1, -1), *range(ndim, values.ndim))
        return np.ascontiguousarray(values.transpose(axes))

    def _read_stream(self, stream: PlainStream, shape: tuple[int, ...], box: Box) -> "np.ndarray[Any, Any]":
        """Return a box of a C-order array: one forward pass over its contiguous runs."""
        dtype, offset = self._header.dtype, self._header.offset
        lengths = [part.stop - part.start for part in box]
        out = np.empty(lengths, dtype=dtype)
        if out.size == 0:
            return raw.native(out)
        axis = len(shape)
        while axis > 1 and lengths[axis - 1] == shape[axis - 1]:
            axis -= 1
        axis -= 1
        run = prod(lengths[axis:]) * dtype.itemsize
        strides = [prod(shape[i + 1 :]) * dtype.itemsize for i in range(len(shape))]
        view = out.reshape(-1).view(np.uint8).data
        leading = product(*(range(part.start, part.stop) for part in box[:axis]))
        for number, index in enumerate(leading):
            at = offset + sum(i * stride for i, stride in zip((*index, box[axis].start), strides, strict=False))
            got = stream.read_at(at, view[number * run : (number + 1) * run])
            if got < run:
                raise CustomerError(
                    "the file ends before its data does",
                    code="truncated",
                    where=f"{self._where}, plain byte {at + got}",
                    remedy="fetch it again",
                )
        return raw.native(out)

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        """Raise KeyError: NIfTI has no tables."""
        raise KeyError(name)

    def carried(self, name: str) -> Iterator[bytes]:
        """Yield the header, or the bytes around voxels."""
        header = self._header
        end = header.offset + header.data_bytes
        if name == HEADER:
            for at in range(0, len(self._papers), _PIECE):
                yield self._papers[at : at + _PIECE]
            return
        start, stop = {PREFIX: (0, header.offset), VOXELS: (header.offset, end), TRAILER: (end, 1 << 62)}[name]
        while start < stop:
            piece = self._span(start, min(_PIECE, stop - start), whole=name != TRAILER)
            if not piece:
                return
            yield bytes(piece)
            start += len(piece)

    def _span(self, start: int, length: int, *, whole: bool = True) -> bytearray:
        target = bytearray(length)
        if self._stream is not None:
            got = self._stream.read_at(start, memoryview(target))
        else:
            self._files[0].seek(start)
            got = self._files[0].readinto(target)  # type: ignore[attr-defined]
        if got < length and whole:
            raise CustomerError(
                "the file ends too soon", code="truncated", where=f"{self._where}, plain byte {start + got}"
            )
        return target[:got]

    def rules(self) -> tuple[RuleCount, ...]:
        """Return what the header breaks; a compressed file is read to its end, so that its checksum is held."""
        needed = self._header.offset + self._header.data_bytes
        extra = self._stream.drain(needed) - needed if self._stream is not None else self._extra
        return rules.counts(self._header, self._papers, max(0, extra), compressed=self._stream is not None)

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()
        if self._stream is not None:
            self._stream.close()


def _attributes(header: Header) -> dict[str, Any]:
    values, ndim = header.values, len(header.shape)
    space, time = header.units
    text = {
        name: bytes(values[name]).split(b"\0")[0].decode("latin-1").rstrip()
        for name in ("descrip", "intent_name", "aux_file")
    }
    found: dict[str, Any] = {
        "nifti_version": header.version,
        "pixdim": [float(n) for n in values["pixdim"][1 : ndim + 1]],
        "space_units": space,
        "time_units": time,
        "time_offset": float(values["toffset"]),
        "intent_code": int(values["intent_code"]),
        "qform_code": int(values["qform_code"]),
        "sform_code": int(values["sform_code"]),
        **text,
    }
    if int(values["sform_code"]) > 0:
        found["sform"] = [[float(n) for n in row] for row in values["srow"]]
    return {name: value for name, value in found.items() if value not in (None, "")}


def _chunks(header: Header) -> tuple[int, ...] | None:
    """Return boxes that follow the file: leading axes whole, as many as fit a few MiB."""
    size = header.dtype.itemsize * header.samples
    chunk, filled = [], 1
    for length in header.shape:
        fits = filled == 1 or filled * max(1, length) * size <= _PLANE
        chunk.append(max(1, length) if fits else 1)
        filled *= chunk[-1]
        if not fits:
            filled = 1 << 62  # nothing after an axis that was cut
    if len(chunk) < 2:
        return None
    return (*chunk, header.samples) if header.samples > 1 else tuple(chunk)


def _start(path: Path, where: str) -> tuple[bytes, str]:
    """Return the first plain bytes and the name of the compressed layer."""
    with path.open("rb") as file:
        start = file.read(NIFTI2.itemsize)
    layer = layer_of(start)
    if not layer:
        return start, ""
    stream = PlainStream(path, layer, where, 0)
    try:
        target = bytearray(NIFTI2.itemsize)
        return bytes(target[: stream.read_at(0, memoryview(target))]), layer
    finally:
        stream.close()


def _whole(path: Path, layer: str, where: str) -> bytes:
    if path.stat().st_size > _LARGEST_HEADER:
        raise refused("absurd-header", "its header file is larger than any header", where)
    if not layer:
        return path.read_bytes()
    stream = PlainStream(path, layer, where, 0)
    try:
        target = bytearray(_LARGEST_HEADER)
        return bytes(target[: stream.read_at(0, memoryview(target))])
    finally:
        stream.close()


def _header_of(source: ByteSource) -> Path:
    path = source.local_path()
    if not source.is_folder:
        return path
    headers = [path / name for name, _ in source.files() if name.lower().endswith((".hdr", ".hdr.gz"))]
    if len(headers) != 1:
        raise refused("not-a-dataset", f"the folder holds {len(headers)} NIfTI headers, not one", source.name)
    return headers[0]


def _image_of(header: Path, where: str) -> Path:
    stem = header.name.removesuffix(".gz")
    stem = stem.rsplit(".", 1)[0] if "." in stem else stem
    for suffix in (".img", ".img.gz", ".IMG"):
        candidate = header.with_name(stem + suffix)
        if candidate.is_file():
            return candidate
    raise CustomerError(
        "it is the header of a pair and its image file is not beside it",
        code="truncated",
        where=where,
        remedy="hand in the .hdr with its .img",
    )


def _ends_as_declared(path: Path, layer: str, needed: int) -> bool:
    """Whether gzip's own length (RFC 1952, ISIZE) is that of header and voxels; the first guess, not the proof."""
    if layer != "gzip":
        return True
    with path.open("rb") as file:
        file.seek(-min(4, path.stat().st_size), 2)
        return int.from_bytes(file.read(4), "little") == needed & 0xFFFFFFFF
