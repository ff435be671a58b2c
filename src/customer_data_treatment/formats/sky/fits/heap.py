"""The heap of a binary table: values of variable length, reached by descriptors (FITS 4.0, 7.3.5)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from ....errors import CustomerError
from . import columns
from .columns import ColumnSpec

_SPAN = 16 << 20
Spans = list[tuple[int, int]]


def descriptors(spec: ColumnSpec, cells: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return (rows, 2) counts and heap offsets of a column's raw cells."""
    kind = ">i4" if spec.variable == 8 else ">i8"
    return np.ascontiguousarray(cells).view(kind).reshape(-1, 2).astype(np.int64)


def encode_descriptors(spec: ColumnSpec, pairs: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return counts and offsets as the raw cells that hold them."""
    stored = np.ascontiguousarray(pairs.astype(">i4" if spec.variable == 8 else ">i8"))
    return stored.view(np.uint8).reshape(len(pairs), -1)


def expect_inside(spec: ColumnSpec, pairs: "np.ndarray[Any, Any]", heap: int, row: int, where: str) -> None:
    """Raise CustomerError (corrupt) naming the first row whose descriptor points outside the heap."""
    counts, offsets = pairs[:, 0], pairs[:, 1]
    size = spec.heap_bytes(np.clip(counts, 0, 1 << 40))
    bad = (
        (counts < 0)
        | (counts > 1 << 40)
        | ((counts > 0) & ((offsets < 0) | (offsets > heap) | (size > heap - offsets)))
    )
    if bool(bad.any()):
        raise CustomerError(
            "a variable-length cell points outside the table's heap",
            code="corrupt",
            where=f"{where}, row {row + int(np.argmax(bad)) + 1}, column {spec.name}",
            remedy="fetch it again",
        )


def gather(spec: ColumnSpec, pairs: "np.ndarray[Any, Any]", read: Callable[[int, int], bytes]) -> pa.Array:
    """Return the lists that descriptors point to; `read(offset, size)` gives bytes of the heap.

    Neighbouring cells are read together, at most 16 MiB more than they hold.
    """
    counts = pairs[:, 0]
    sizes = spec.heap_bytes(counts)
    used = counts > 0
    flat = np.zeros(0, np.uint8)
    if bool(used.any()):
        first, last = int(pairs[used, 1].min()), int((pairs[:, 1] + sizes)[used].max())
        total = int(sizes.sum())
        if last - first <= total + _SPAN:
            span = np.frombuffer(read(first, last - first), np.uint8)
            flat = _cut(span, pairs[used, 1] - first, sizes[used])
        else:
            pieces = [
                np.frombuffer(read(int(at), int(n)), np.uint8)
                for at, n in zip(pairs[used, 1], sizes[used], strict=True)
            ]
            flat = np.concatenate(pieces)
    return _lists(spec, counts, sizes, flat)


def _cut(
    span: "np.ndarray[Any, Any]",
    starts: "np.ndarray[Any, Any]",
    sizes: "np.ndarray[Any, Any]",
) -> Any:
    if starts[0] == 0 and bool((starts[1:] == starts[:-1] + sizes[:-1]).all()):
        return span
    return np.concatenate([span[at : at + n] for at, n in zip(starts, sizes, strict=True)])


def _lists(spec: ColumnSpec, counts: Any, sizes: Any, flat: "np.ndarray[Any, Any]") -> pa.Array:
    if spec.code == "A":
        ends = np.cumsum(sizes)
        raw = flat.tobytes()
        return pa.array(
            [raw[end - n : end].decode("latin-1") for end, n in zip(ends, sizes, strict=True)],
            pa.string(),
        )
    if spec.code == "X":
        pieces, at = [np.zeros(0, np.uint8)], 0
        for count, size in zip(counts, sizes, strict=True):
            pieces.append(np.unpackbits(flat[at : at + size])[:count])
            at += size
        values = pa.array(np.concatenate(pieces).astype(bool))
    else:
        values = columns.decode_values(spec, flat)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def scatter(spec: ColumnSpec, cells: pa.Array) -> tuple["np.ndarray[Any, Any]", bytes]:
    """Return the counts of a column's cells and their heap bytes back to back: the inverse of `gather`."""
    if spec.code == "A":
        items = [(item or "").encode("latin-1") for item in cells.to_pylist()]
        return np.array([len(item) for item in items], np.int64), b"".join(items)
    counts = np.asarray(cells.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    flat = cells.flatten()
    if spec.code == "X":
        bits = np.asarray(flat.to_numpy(zero_copy_only=False), np.uint8)
        ends = np.cumsum(counts)
        return counts, b"".join(np.packbits(bits[end - n : end]).tobytes() for end, n in zip(ends, counts, strict=True))
    return counts, columns.encode_values(spec, flat).tobytes()


def join_spans(spans: Spans, starts: "np.ndarray[Any, Any]", sizes: "np.ndarray[Any, Any]") -> Spans:
    """Return sorted spans [start, end) with more added and neighbours merged."""
    used = sizes > 0
    added = sorted(zip(starts[used].tolist(), (starts + sizes)[used].tolist(), strict=True))
    merged: Spans = []
    for start, end in sorted(spans + _coalesce(added)):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _coalesce(ordered: Spans) -> Spans:
    out: Spans = []
    for start, end in ordered:
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def gaps(spans: Spans, length: int) -> Spans:
    """Return the spans of [0, length) that none of the sorted `spans` covers."""
    out, at = [], 0
    for start, end in spans:
        if start > at:
            out.append((at, start))
        at = max(at, end)
    if at < length:
        out.append((at, length))
    return out
