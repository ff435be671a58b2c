"""Columns of Arrow tables: statistics, a digest that ignores layout, and rounding in place - without numba.

The digest is of the values alone (validity, then values, lengths before contents), so that it is
the same before writing and after reading, whatever offsets, paddings or dictionaries lie between.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from ..model.statistics import Statistics, held
from .quantise_errors import Errors

MOST_DISTINCT = 1 << 16


def flat_values(column: pa.Array) -> pa.Array:
    """Return a column's innermost values: lists flattened, dictionaries decoded."""
    while True:
        if isinstance(column, pa.ExtensionArray):
            column = column.storage
        elif pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        elif _is_list(column.type):
            column = column.flatten()
        else:
            return column


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_numeric(kind: pa.DataType) -> bool:
    """Tell whether the innermost values are integers or floats."""
    while _is_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_floating(kind: pa.DataType) -> bool:
    """Tell whether the innermost values are floats."""
    while _is_list(kind):
        kind = kind.value_type
    return bool(pa.types.is_floating(kind))


def observe_column(column: pa.Array) -> Statistics:
    """Return the statistics of a batch's column; a list column is counted by its innermost values."""
    values = flat_values(column)
    count, missing = len(values), values.null_count
    if pa.types.is_floating(values.type):
        return _floats(values, count, missing)
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        present = pc.drop_null(values)
        numbers = present.cast(pa.uint8()) if pa.types.is_boolean(values.type) else present
        return _integers(numbers.to_numpy(zero_copy_only=False), count, missing)
    return Statistics(count=count, missing=missing)


def _floats(values: pa.Array, count: int, missing: int) -> Statistics:
    x = pc.drop_null(values).to_numpy(zero_copy_only=False).astype(np.float64)
    nan = int(np.count_nonzero(np.isnan(x)))
    above = int(np.count_nonzero(x == np.inf))
    below = int(np.count_nonzero(x == -np.inf))
    finite = x[np.isfinite(x)] if nan or above or below else x
    mean, m2 = _moments(finite)
    return Statistics(
        count=count,
        missing=missing,
        nan=nan,
        positive_infinite=above,
        negative_infinite=below,
        minimum=float(finite.min()) if len(finite) else None,
        maximum=float(finite.max()) if len(finite) else None,
        mean=mean,
        m2=m2,
    )


def _moments(finite: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """Return mean and second moment; infinite where double precision cannot hold one."""
    if len(finite) == 0:
        return 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(finite.sum() / len(finite))
        deviation = finite - mean
        m2 = float((deviation * deviation).sum())
    return held(mean), held(m2)


def _integers(x: "np.ndarray[Any, Any]", count: int, missing: int) -> Statistics:
    if len(x) == 0:
        return Statistics(count=count, missing=missing, total=0)
    high = int((x >> x.dtype.type(32)).sum(dtype=np.int64)) if x.dtype.itemsize == 8 else 0
    low = (
        int((x & x.dtype.type(0xFFFFFFFF)).sum(dtype=np.uint64))
        if x.dtype.itemsize == 8
        else int(x.sum(dtype=np.int64))
    )
    total = (high << 32) + low
    mean = total / len(x)
    deviation = x.astype(np.float64) - mean
    m2 = float((deviation * deviation).sum())
    return Statistics(
        count=count, missing=missing, minimum=int(x.min()), maximum=int(x.max()), mean=mean, m2=m2, total=total
    )


def digest_column(column: pa.Array) -> bytes:
    """Return the BLAKE3 of a column's values, whatever their layout."""
    hasher = blake3()
    _update(hasher, column)
    return hasher.digest()


def _update(hasher: Any, column: pa.Array) -> None:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    hasher.update(len(column).to_bytes(8, "little"))
    if pa.types.is_null(kind):
        return
    hasher.update(np.packbits(column.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_struct(kind):
        for child in column.flatten():
            _update(hasher, child)
    elif pa.types.is_map(kind) or _is_list(kind):
        _update_lists(hasher, column)
    else:
        _update_flat(hasher, column)


def _update_lists(hasher: Any, column: pa.Array) -> None:
    if pa.types.is_map(column.type):
        offsets = column.offsets.to_numpy(zero_copy_only=False)
        hasher.update(np.diff(offsets).astype(np.int64).tobytes())
        start, stop = int(offsets[0]), int(offsets[-1])
        _update(hasher, column.keys.slice(start, stop - start))
        _update(hasher, column.items.slice(start, stop - start))
        return
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    hasher.update(lengths.astype(np.int64).tobytes())
    _update(hasher, column.flatten())


def _update_flat(hasher: Any, column: pa.Array) -> None:
    kind = column.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    ):
        lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
        hasher.update(lengths.astype(np.int64).tobytes())
        present = pc.drop_null(column).cast(pa.large_binary())
        if len(present):
            offsets = np.frombuffer(present.buffers()[1], np.int64)[present.offset : present.offset + len(present) + 1]
            data = present.buffers()[2]
            if data is not None:
                hasher.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])
        return
    present = pc.drop_null(column)
    if pa.types.is_boolean(kind):
        hasher.update(np.packbits(present.to_numpy(zero_copy_only=False)).tobytes())
        return
    width = kind.bit_width // 8
    data = present.buffers()[1]
    if data is not None and len(present):
        hasher.update(memoryview(data)[present.offset * width : (present.offset + len(present)) * width])


def round_column(column: pa.Array, step: float, bound: float) -> tuple[pa.Array, Errors]:
    """Return a float column (lists too) with every finite value moved to a multiple of `step`.

    NaN, infinities, zeros of either sign and nulls keep their bits; a value whose rounding would break
    the bound keeps its own and is counted.
    """
    if _is_list(column.type):
        values, errors = round_column(column.flatten(), step, bound)
        return _with_values(column, values), errors
    numbers = column.fill_null(0.0).to_numpy(zero_copy_only=False)
    wide = numbers.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        moved = (np.rint(wide / step) * step + 0.0).astype(numbers.dtype)
        error = moved.astype(np.float64) - wide
        fits = np.abs(error) <= bound
    usable = np.isfinite(wide) & (wide != 0.0) & np.isfinite(moved)
    keep = usable & fits
    out = np.where(keep, moved, numbers)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    error = np.where(keep & present, error, 0.0)
    broken = int(np.count_nonzero(usable & ~fits & present))
    result = pa.array(out, type=column.type, mask=~present, from_pandas=False)
    largest = float(np.abs(error).max()) if len(error) else 0.0
    return result, Errors(len(column), broken, largest, float(error.sum()), float((error * error).sum()))


def _with_values(column: pa.Array, values: pa.Array) -> pa.Array:
    kind = column.type
    mask = column.is_null() if column.null_count else None
    if pa.types.is_fixed_size_list(kind):
        if column.null_count:
            raise ValueError("fixed-size lists with nulls are stored exactly")
        return pa.FixedSizeListArray.from_arrays(values, type=kind)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    large = pa.types.is_large_list(kind)
    made = pa.LargeListArray if large else pa.ListArray
    return made.from_arrays(pa.array(offsets, pa.int64() if large else pa.int32()), values, type=kind, mask=mask)
