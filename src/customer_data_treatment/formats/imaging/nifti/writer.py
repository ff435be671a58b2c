"""Writing NIfTI back: the carried header, then the voxels as the header lays them out."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ....ports import RestoreSource
from ...containers import raw
from .decoder import FIELD, HEADER, TRAILER, VOXELS
from .header import Header, parse


def write(package: RestoreSource, target: Path) -> None:
    """Write one file: byte for byte for .nii, the same content for pairs and, where the target ends so, .gz."""
    papers = package.carried(HEADER)
    header = parse(papers, target.name)
    with _opened(target) as file:
        file.write(papers if header.single else _single(papers, header))
        if header.opaque:
            file.write(package.carried(VOXELS))
        else:
            for box in raw.slabs(header.shape, header.dtype.itemsize * header.samples, len(header.shape) - 1):
                whole = box if header.samples == 1 else (*box, slice(0, header.samples))
                values = package.read(FIELD, whole).astype(header.dtype, copy=False)
                axes = (*range(len(box) - 1, -1, -1), *range(len(box), values.ndim))
                file.write(np.ascontiguousarray(values.transpose(axes)).tobytes())
        if TRAILER in {item.name for item in package.dataset.carried}:
            file.write(package.carried(TRAILER))


@contextmanager
def _opened(target: Path) -> Iterator[Any]:
    with target.open("wb") as file:
        if target.name.endswith(".gz"):
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as layer:
                yield layer
        else:
            yield file


def _single(papers: bytes, header: Header) -> bytes:
    """Return a pair's header file as the start of a single file: other magic, voxels right after."""
    values = header.values.copy()
    body = papers if len(papers) >= header.size + 4 else papers[: header.size] + bytes(4)
    body += bytes(-len(body) % 16)
    values["magic"] = np.void(b"n+2\x00\r\n\x1a\n") if header.version == 2 else b"n+1"
    values["vox_offset"] = len(body)
    record = values.astype(values.dtype.newbyteorder(">" if header.big else "<"))
    return bytes(record.tobytes()) + body[header.size :]
