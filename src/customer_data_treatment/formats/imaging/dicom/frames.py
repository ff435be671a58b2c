"""How pixels lie in a native value, and the way back: packed bits, sub-sampled colour, swapped bytes (PS3.5, 8).

A Layout is a plain value that travels in the package, so that the writer needs no DICOM parser.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np

from ....ports import Box
from ...containers import raw


@dataclass(frozen=True, slots=True)
class Layout:
    """Native pixels of one file: `frames` x `rows` x `columns` x `samples` of numpy type `kind`.

    `planar` keeps each sample's plane together; `bits` is 1 for packed masks; `halved` is YBR_FULL_422 as
    Y Y Cb Cr; `swapped` is 8-bit data in big-endian words.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    kind: str
    planar: bool = False
    packed: bool = False
    halved: bool = False
    swapped: bool = False

    @property
    def length(self) -> int:
        """Return the bytes of the value, without its padding to an even length (with it where words are swapped)."""
        count = self.frames * self.rows * self.columns * self.samples
        if self.packed:
            return -(-count // 8)
        if self.halved:
            return self.frames * self.rows * self.columns * 2
        size = count * np.dtype(self.kind).itemsize
        return size + (size & 1 if self.swapped else 0)

    @property
    def frame_length(self) -> int:
        """Return the bytes of one frame that is not packed."""
        return self.rows * self.columns * (2 if self.halved else self.samples * np.dtype(self.kind).itemsize)

    @property
    def simple(self) -> bool:
        """Whether a box can be read straight from the file."""
        return not (self.packed or self.halved or self.swapped)

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def read_simple(layout: Layout, descriptor: int, offset: int, box: Box, where: str) -> "np.ndarray[Any, Any]":
    """Return a box of (frames, rows, columns, samples) of a simple layout."""
    frames, rows, columns, samples = box
    shape = (layout.frames, layout.rows, layout.columns, layout.samples)
    if not layout.planar:
        return raw.read_box(descriptor, offset, shape, np.dtype(layout.kind), box, where=where)
    shape = (layout.frames, layout.samples, layout.rows, layout.columns)
    part = (frames, samples, rows, columns)
    values = raw.read_box(descriptor, offset, shape, np.dtype(layout.kind), part, where=where)
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1))


def frame_span(layout: Layout, index: int) -> tuple[int, int]:
    """Return the first byte and the number of bytes that hold one frame of a layout that is not simple."""
    if layout.packed:
        pixels = layout.rows * layout.columns * layout.samples
        first = index * pixels // 8
        return first, -(-(index + 1) * pixels // 8) - first
    size = layout.frame_length
    first = index * size
    if layout.swapped:  # whole words
        return first & ~1, ((first + size + 1) & ~1) - (first & ~1)
    return first, size


def unpack(layout: Layout, index: int, data: bytes) -> "np.ndarray[Any, Any]":
    """Return one frame (rows, columns, samples) from the bytes that `frame_span` names."""
    shape = (layout.rows, layout.columns, layout.samples)
    flat = np.frombuffer(data, np.uint8)
    if layout.swapped:
        flat = flat[: len(flat) & ~1].reshape(-1, 2)[:, ::-1].reshape(-1)
        start = index * layout.frame_length & 1
        flat = flat[start:]
    if layout.packed:
        skip = index * prod(shape) % 8
        return np.unpackbits(flat, bitorder="little")[skip : skip + prod(shape)].reshape(shape)
    if layout.halved:
        quads = flat[: layout.rows * layout.columns * 2].reshape(layout.rows, -1, 4)
        out = np.empty(shape, np.uint8)
        out[:, 0::2, 0], out[:, 1::2, 0] = quads[..., 0], quads[..., 1]
        for channel in (1, 2):
            out[:, 0::2, channel] = out[:, 1::2, channel] = quads[..., channel + 1]
        return out
    flat = flat[: prod(shape)]
    if layout.planar:
        return np.ascontiguousarray(flat.reshape(layout.samples, layout.rows, layout.columns).transpose(1, 2, 0))
    return flat.reshape(shape)


def pack(layout: Layout, parts: Iterator["np.ndarray[Any, Any]"]) -> Iterator[bytes]:
    """Yield the value's bytes from frames, or from slabs of a simple layout that is not planar."""
    held = np.empty(0, np.uint8)  # bits or bytes that do not fill a byte or word yet
    for part in parts:
        if layout.planar:
            part = part.transpose(0, 3, 1, 2)
        if layout.halved:
            quads = [part[:, :, 0::2, 0], part[:, :, 1::2, 0], part[:, :, 0::2, 1], part[:, :, 0::2, 2]]
            part = np.stack(quads, axis=-1)
        if layout.packed:
            bits = np.concatenate([held, part.reshape(-1).astype(np.uint8)])
            whole = len(bits) & ~7
            held = bits[whole:]
            yield np.packbits(bits[:whole], bitorder="little").tobytes()
        elif layout.swapped:
            flat = np.concatenate([held, np.ascontiguousarray(part).reshape(-1).view(np.uint8)])
            whole = len(flat) & ~1
            held = flat[whole:]
            yield flat[:whole].reshape(-1, 2)[:, ::-1].tobytes()
        else:
            yield part.astype(layout.kind, copy=False).tobytes()
    if layout.packed and len(held):
        yield np.packbits(held, bitorder="little").tobytes()
    elif layout.swapped and len(held):
        yield b"\0" + held.tobytes()  # the padding byte comes first within its word
