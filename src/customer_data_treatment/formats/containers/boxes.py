"""Boxes that walk an array: in C order by runs of elements, or by whole chunks."""

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ...ports import Box

BUDGET = 16 << 20


def flat_boxes(shape: tuple[int, ...], start: int, count: int) -> Iterator[tuple[Box, int, int]]:
    """Yield (box, offset, size): boxes that cover elements start … start+count in C order, as few as are simple."""
    if not shape:
        yield (), 0, 1
        return
    done = 0
    while done < count:
        position = start + done
        index = np.unravel_index(position, shape)
        left = count - done
        axis = len(shape) - 1
        # Climb while everything below this axis starts at 0 and a whole sub-block still fits.
        while axis > 0 and index[axis] == 0 and left >= shape[axis]:
            inner = prod(shape[axis:])
            if left < inner:
                break
            axis -= 1
        inner = prod(shape[axis + 1 :])
        steps = min(shape[axis] - int(index[axis]), left // inner)
        if steps == 0:
            axis += 1
            inner = prod(shape[axis + 1 :])
            steps = min(shape[axis] - int(index[axis]), left // inner)
        lead = [slice(int(i), int(i) + 1) for i in index[:axis]]
        span = slice(int(index[axis]), int(index[axis]) + steps)
        yield (
            (*lead, span, *(slice(0, n) for n in shape[axis + 1 :])),
            done,
            steps * inner,
        )
        done += steps * inner


def trailing(box: Box) -> Any:
    """Return the index that cuts the last axes of an array by `box` and leaves the others whole."""
    return (..., *box)


def flat_slabs(shape: tuple[int, ...], itemsize: int, budget: int = BUDGET) -> Iterator[Box]:
    """Yield boxes in C order whose bytes follow one another, each at most `budget` bytes."""
    total, step = prod(shape), max(1, budget // max(1, itemsize))
    for start in range(0, total, step):
        for box, _, _ in flat_boxes(shape, start, min(step, total - start)):
            yield box


def chunk_boxes(
    shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int, own: int, budget: int = BUDGET
) -> Iterator[Box]:
    """Yield boxes in C order that cover whole chunks, about `budget` bytes each; axes from `own` on stay whole."""
    if not shape:
        yield ()
        return
    if 0 in shape:
        return
    block = [min(n, max(1, c)) for n, c in zip(shape, chunks, strict=True)]
    block[own:] = shape[own:]
    for axis in reversed(range(own)):
        room = budget // max(1, prod(block) * itemsize)
        if room < 2:
            break
        block[axis] = min(shape[axis], block[axis] * room)
    starts = [range(0, n, b) for n, b in zip(shape, block, strict=True)]
    for corner in product(*starts):
        yield tuple(slice(at, min(at + b, n)) for at, b, n in zip(corner, block, shape, strict=True))
