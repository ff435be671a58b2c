"""64 bits for each row of some columns, so that equal cells have equal bits on every machine.

Fixed-width cells are mixed as they lie; text by a multilinear hash over its bytes (Carter and Wegman,
1979) with SplitMix64 weights. A missing cell has bits of its own. NaNs are one value. Different
rows share their bits with a chance of 2^-64: whoever counts equal ones must confirm them.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from ...model.sample import hashed
from .judging import is_nested, is_text, plain

Bits = np.ndarray[Any, np.dtype[np.uint64]]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MISSING = np.uint64(0xD1B54A32D192ED03)
_PIECE = 1 << 18  # bytes of text mixed at once: 5 MiB of working memory


def can_hash(kind: pa.DataType) -> bool:
    """Return whether cells of that type have bits here; nested ones have not."""
    return not is_nested(kind) and not pa.types.is_null(kind)


def row_bits(columns: list[pa.Array], rows: int) -> Bits:
    """Return 64 bits for each row over the columns in their order."""
    bits = np.full(rows, _MULTIPLIER, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for values in columns:
            bits ^= _cells(plain(values))
            bits *= _MULTIPLIER
            bits ^= bits >> np.uint64(29)
    return bits


def _cells(values: pa.Array) -> Bits:
    kind = values.type
    if is_text(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        bits = _bytes(values)
    elif pa.types.is_floating(kind):
        numbers = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        bits = np.where(np.isnan(numbers), np.float64(np.nan), numbers).view(np.uint64)
    elif pa.types.is_boolean(kind):
        bits = values.fill_null(False).to_numpy(zero_copy_only=False).astype(np.uint64)
    elif pa.types.is_integer(kind):
        bits = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64, copy=False).view(np.uint64)
    elif (pa.types.is_temporal(kind) and kind.bit_width == 64) or pa.types.is_date32(kind):
        whole = (
            values.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(kind) else values.view(pa.int64())
        )
        bits = whole.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
    else:
        bits = _bytes(values.cast(pa.string()))
    if values.null_count:
        bits = np.where(values.is_valid().to_numpy(zero_copy_only=False), bits, _MISSING)
    return bits


def _bytes(values: pa.Array) -> Bits:
    """Return the multilinear hash of each cell's bytes and length."""
    if not (pa.types.is_large_string(values.type) or pa.types.is_large_binary(values.type)):
        large = pa.large_binary() if pa.types.is_binary(values.type) else pa.large_string()
        values = values.cast(large)
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[
        values.offset : values.offset + len(values) + 1
    ]
    out = np.empty(len(values), dtype=np.uint64)
    data = np.frombuffer(values.buffers()[2] or b"", dtype=np.uint8)
    start = 0
    while start < len(values):
        stop = int(np.searchsorted(offsets, offsets[start] + _PIECE, side="right")) - 1
        stop = min(max(stop, start + 1), len(values), start + _PIECE)
        out[start:stop] = _piece(data, offsets[start : stop + 1])
        start = stop
    return out


def _piece(data: "np.ndarray[Any, Any]", offsets: "np.ndarray[Any, Any]") -> Bits:
    lengths = np.diff(offsets)
    first = int(offsets[0])
    taken = data[first : int(offsets[-1])]
    bits = hashed(lengths.astype(np.uint64), 1)
    if taken.size == 0:
        return hashed(bits, 3)
    places = np.arange(taken.size, dtype=np.int64) - np.repeat(offsets[:-1] - first, lengths)
    weights = hashed(np.arange(int(lengths.max()), dtype=np.uint64), 2) | np.uint64(1)
    with np.errstate(over="ignore"):
        products = weights[places] * (taken.astype(np.uint64) + np.uint64(1))
        filled = lengths > 0  # reduceat gives an empty cell its neighbour's first byte
        bits[filled] += np.add.reduceat(products, (offsets[:-1] - first)[filled])
    return hashed(bits, 3)
