"""64 bits for each row of some columns, so that equal cells have equal bits on every machine.

Fixed-width cells are mixed as they lie, text eight bytes at a time by multiply and shift (the steps of
SplitMix64's finaliser), long text by BLAKE2b. A missing cell has bits of its own. NaNs are one value. Different
rows share their bits with a chance of 2^-64: whoever counts equal ones must confirm them.
"""

from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

from ...model.sample import hashed
from .judging import is_nested, is_text, plain

Bits = np.ndarray[Any, np.dtype[np.uint64]]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_MISSING = np.uint64(0xD1B54A32D192ED03)
_PIECE = 1 << 16  # cells of text mixed at once
_LONG = 256  # bytes; a longer cell is digested on its own
_KEPT = np.array([(1 << (8 * kept)) - 1 for kept in range(9)], dtype=np.uint64)  # the first bytes of a word


def can_hash(kind: pa.DataType) -> bool:
    """Return whether cells of that type have bits here; nested ones and calendar intervals have not."""
    return not is_nested(kind) and not pa.types.is_interval(kind)


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
    if pa.types.is_null(kind):
        return np.full(len(values), _MISSING, dtype=np.uint64)
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
        whole = values.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(kind) else values.view(pa.int64())
        bits = whole.fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
    elif pa.types.is_fixed_size_binary(kind):  # a UUID's bytes are no text
        bits = _bytes(values.cast(pa.large_binary()))
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
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int64)[values.offset : values.offset + len(values) + 1]
    out = np.empty(len(values), dtype=np.uint64)
    data = np.frombuffer(values.buffers()[2] or b"", dtype=np.uint8)
    for start in range(0, len(values), _PIECE):
        stop = min(start + _PIECE, len(values))
        out[start:stop] = _piece(data, offsets[start : stop + 1])
    return out


def _piece(data: "np.ndarray[Any, Any]", offsets: "np.ndarray[Any, Any]") -> Bits:
    lengths = np.diff(offsets)
    taken = np.concatenate([data[int(offsets[0]) : int(offsets[-1])], np.zeros(8, dtype=np.uint8)])
    starts = offsets[:-1] - offsets[0]
    # Every byte begins a word of eight; a cell takes every eighth of them, the last one cut to length.
    words = np.ndarray(len(taken) - 7, dtype="<u8", buffer=taken, strides=(1,))
    bits = hashed(lengths.astype(np.uint64), 1)
    short = lengths <= _LONG
    cells = np.flatnonzero(short & (lengths > 0))
    at = 0
    with np.errstate(over="ignore"):
        while len(cells):
            left = lengths[cells] - at
            word = words[starts[cells] + at].astype(np.uint64) & _KEPT[np.minimum(left, 8)]
            mixed = (bits[cells] ^ word) * _MULTIPLIER
            bits[cells] = mixed ^ (mixed >> np.uint64(29))
            at += 8
            cells = cells[left > 8]
    for cell in np.flatnonzero(~short).tolist():
        whole = taken[int(starts[cell]) : int(starts[cell]) + int(lengths[cell])]
        bits[cell] = np.frombuffer(blake2b(whole.tobytes(), digest_size=8).digest(), dtype="<u8")[0]
    return hashed(bits, 3)
