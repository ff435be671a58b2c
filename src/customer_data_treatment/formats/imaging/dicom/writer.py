"""Writing DICOM back: the carried bytes, their holes filled from the arrays."""

import json
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ....ports import RestoreSource
from ...containers import raw
from .decoder import BYTES, LAYOUT
from .frames import Layout, pack


def write(package: RestoreSource, target: Path) -> None:
    """Write one file, or a folder of files under their own names.

    Byte for byte what came, except pixels of lossless transfer syntaxes, which are written uncompressed
    (explicit VR little endian), and deflated data sets, which are deflated anew.
    """
    record = json.loads(package.carried(LAYOUT))
    data = memoryview(package.carried(BYTES))
    at = 0
    for item in record["files"]:
        path = target
        if record["folder"]:
            path = target / item["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            _write_file(package, item, data[at : at + item["length"]], file)
        at += item["length"]


def _write_file(package: RestoreSource, item: dict[str, Any], data: memoryview, file: BinaryIO) -> None:
    pieces = _pieces(package, item["holes"], data)
    plain = item["deflated_from"]
    if plain is None:
        for piece in pieces:
            file.write(piece)
        return
    deflater = zlib.compressobj(wbits=-15)
    written = 0
    for piece in pieces:
        head = max(0, min(len(piece), plain - written))
        file.write(piece[:head])
        file.write(deflater.compress(piece[head:]))
        written += len(piece)
    last = deflater.flush()
    file.write(last)
    if (file.tell()) % 2:
        file.write(b"\0")


def _pieces(package: RestoreSource, holes: list[dict[str, Any]], data: memoryview) -> "Iterator[bytes | memoryview]":
    cuts = [0, *(hole["at"] for hole in holes), len(data)]
    for number, (first, last) in enumerate(pairwise(cuts)):
        yield data[first:last]
        if number < len(holes):
            yield from _values(package, holes[number])


def _values(package: RestoreSource, hole: dict[str, Any]) -> Iterator[bytes]:
    layout, name = Layout(**hole["layout"]), hole["field"]
    size = np.dtype(layout.kind).itemsize
    if hole["waveform"]:
        for box in raw.slabs((layout.columns, layout.rows), size, 1):
            yield np.ascontiguousarray(package.read(name, box).T).astype(layout.kind, copy=False).tobytes()
        return
    yield from pack(layout, _parts(package, name, hole["index"], layout))


def _parts(package: RestoreSource, name: str, index: list[int], layout: Layout) -> "Iterator[np.ndarray[Any, Any]]":
    """Yield (frames, rows, columns, samples) pieces: frames, or row slabs of one simple frame."""
    lead = tuple(slice(n, n + 1) for n in index)
    tail = (slice(0, layout.samples),) if layout.samples > 1 else ()
    size = np.dtype(layout.kind).itemsize
    if layout.frames > 1:
        for frame in range(layout.frames):
            box = (*lead, slice(frame, frame + 1), slice(0, layout.rows), slice(0, layout.columns), *tail)
            yield package.read(name, box).reshape(1, layout.rows, layout.columns, layout.samples)
        return
    whole = layout.planar or not layout.simple
    budget = 1 << 62 if whole else 16 << 20
    for rows, columns in raw.slabs((layout.rows, layout.columns), size * layout.samples, budget=budget):
        values = package.read(name, (*lead, rows, columns, *tail))
        yield values.reshape(1, rows.stop - rows.start, layout.columns, layout.samples)
