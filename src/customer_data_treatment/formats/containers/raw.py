"""Boxes of an array that lies uncompressed in a file, read without mapping it.

A mapped page counts as our memory; pread into one buffer does not outlive the chunk.
"""

import os
from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ...errors import CustomerError
from ...ports import Box

Fill = Callable[[memoryview, int], None]  # fill this memory with the bytes from this offset on


def read_box(
    file: int | Fill,
    offset: int,
    shape: tuple[int, ...],
    dtype: "np.dtype[Any]",
    box: Box,
    *,
    where: str,
) -> "np.ndarray[Any, Any]":
    """Return a box of the C-order array of `shape` and `dtype` that starts at byte `offset`.

    `file` is a descriptor, or the function that fills memory from bytes that lie elsewhere. The
    result is C-contiguous and in native byte order. One read a contiguous run. Raise
    CustomerError (truncated) naming the byte where the file ends too soon.
    """
    starts = [part.start for part in box]
    lengths = [part.stop - part.start for part in box]
    out = np.empty(lengths, dtype=dtype)
    if out.size == 0:
        return native(out)
    axis = len(shape)  # every axis from here on is covered whole
    while axis > 0 and lengths[axis - 1] == shape[axis - 1]:
        axis -= 1
    axis = max(axis - 1, 0)  # this one may be cut and is still one run
    run = prod(lengths[axis:]) * dtype.itemsize
    strides = [prod(shape[i + 1 :]) * dtype.itemsize for i in range(len(shape))]
    view = out.reshape(-1).view(np.uint8).data
    first = offset + sum(start * stride for start, stride in zip(starts[axis:], strides[axis:], strict=True))
    leading = product(*(range(s, s + n) for s, n in zip(starts[:axis], lengths[:axis], strict=True)))
    for number, index in enumerate(leading):
        at = first + sum(i * stride for i, stride in zip(index, strides[:axis], strict=True))
        part = view[number * run : (number + 1) * run]
        if isinstance(file, int):
            fill(file, part, at, where)
        else:
            file(part, at)
    return native(out)


def fill(descriptor: int, target: memoryview, at: int, where: str) -> None:
    """Fill memory with a file's bytes from `at` on; raise CustomerError (truncated) where they end."""
    done = 0
    while done < len(target):
        got = os.preadv(descriptor, [target[done:]], at + done)
        if got == 0:
            raise CustomerError(
                "the file ends before its data does",
                code="truncated",
                where=f"{where}, byte {at + done}",
                remedy="fetch it again",
            )
        done += got


def native(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return the array in native byte order, swapped in place where it must be."""
    if values.dtype.isnative:
        return values
    if values.dtype.names:
        return values.astype(values.dtype.newbyteorder("="))
    return values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))


def slabs(shape: tuple[int, ...], itemsize: int, axis: int = 0, *, budget: int = 16 << 20) -> "list[Box]":
    """Return boxes that tile the array along one axis, each at most `budget` bytes where one row allows it.

    A 0-d array is the one box (); an empty one has none.
    """
    if not shape:
        return [()]
    if prod(shape) == 0:
        return []
    row = prod(shape) // shape[axis] * itemsize
    step = max(1, budget // max(1, row))
    whole = [slice(0, n) for n in shape]
    boxes = []
    for start in range(0, shape[axis], step):
        part = list(whole)
        part[axis] = slice(start, min(shape[axis], start + step))
        boxes.append(tuple(part))
    return boxes
