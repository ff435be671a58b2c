"""Text to typed Arrow columns and back; a value that its type cannot hold is told, never guessed."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Column kinds: what a layout calls them, and their Arrow types.
KINDS: dict[str, pa.DataType] = {
    "flag": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "text": pa.string(),
}
FLOAT = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$|^[-+]?(?i:inf|infinity|nan)$"
INTEGER = r"^[-+]?[0-9]{1,18}$"


def as_bool(array: pa.Array) -> "np.ndarray[Any, Any]":
    """Return a boolean Arrow array as a mask, nulls as False."""
    mask: np.ndarray[Any, Any] = pc.fill_null(array, False).to_numpy(zero_copy_only=False).astype(bool, copy=False)
    return mask


def present(texts: pa.StringArray) -> pa.StringArray:
    """Return the texts with lone dots as nulls."""
    dots = pc.equal(texts, ".")
    if not pc.any(dots).as_py():
        return texts
    return pc.if_else(dots, pa.scalar(None, pa.string()), texts)


def cast(items: pa.StringArray, kind: str) -> "tuple[pa.Array, np.ndarray[Any, Any]]":
    """Return items as `kind`, and a mask of those it cannot hold (they become null).

    Integers are decimal; floats are those of VCF 4.3 (1.3), a float that overflows is not held.
    """
    if kind == "text":
        return items, np.zeros(len(items), bool)
    target = KINDS[kind]
    integral = kind.startswith("int")
    if not (integral and _hexadecimal(items)):  # Arrow would read 0x1F
        try:
            values = pc.cast(items, target)
            if integral or not _any_infinite(values):
                return values, np.zeros(len(items), bool)
        except pa.ArrowInvalid:
            pass
    return _carefully(items, target, integral)


def _carefully(items: pa.StringArray, target: pa.DataType, integral: bool) -> "tuple[pa.Array, np.ndarray[Any, Any]]":
    good = pc.match_substring_regex(items, INTEGER if integral else FLOAT)
    cleaned = pc.if_else(good, items, pa.scalar(None, pa.string()))
    if integral:
        wide = pc.cast(pc.replace_substring_regex(cleaned, r"^\+", ""), pa.int64())
        if target == pa.int32():
            fits = pc.and_(pc.less_equal(wide, 2**31 - 1), pc.greater_equal(wide, -(2**31)))
            wide = pc.if_else(fits, wide, pa.scalar(None, pa.int64()))
        values = pc.cast(wide, target)
    else:
        values = pc.cast(cleaned, target)
        spelt = pc.match_substring_regex(cleaned, "(?i)inf")
        overflowed = pc.and_(pc.is_inf(values), pc.invert(spelt))
        values = pc.if_else(pc.fill_null(overflowed, False), pa.scalar(None, target), values)
    bad = as_bool(pc.and_(pc.is_valid(items), pc.is_null(values)))
    return values, bad


def _hexadecimal(items: pa.StringArray) -> bool:
    data = items.buffers()[2]
    if data is None:
        return False
    return b"x" in data.to_pybytes() or b"X" in data.to_pybytes()


def _any_infinite(values: pa.Array) -> bool:
    return bool(pc.any(pc.is_inf(values)).as_py())


def convert(texts: pa.StringArray, kind: str, vector: bool) -> "tuple[pa.Array, np.ndarray[Any, Any]]":
    """Return a column of `kind` (lists where `vector`), and a mask of texts that it cannot hold.

    A lone dot is null; a dot within a list is a null element.
    """
    texts = present(texts)
    if not vector:
        return cast(texts, kind)
    lists = pc.split_pattern(texts, ",")
    values, bad_items = cast(present(lists.values), kind)
    mask = lists.is_null() if lists.null_count else None
    column = pa.ListArray.from_arrays(lists.offsets, values, mask=mask)
    bad = np.zeros(len(texts), bool)
    if bad_items.any():
        offsets = lists.offsets.to_numpy(zero_copy_only=False)
        bad[np.searchsorted(offsets, np.flatnonzero(bad_items), side="right") - 1] = True
    return column, bad


def render(values: pa.Array) -> pa.StringArray:
    """Return values as VCF text, nulls staying null: the inverse of `cast` up to the spelling of numbers."""
    if pa.types.is_string(values.type):
        return values
    texts = pc.cast(values, pa.string())
    if pa.types.is_floating(values.type):
        odd = pc.invert(pc.is_finite(values))
        if pc.any(odd).as_py():
            for spelt, written in (("nan", "NaN"), ("inf", "Inf"), ("-inf", "-Inf")):
                texts = pc.if_else(pc.equal(texts, spelt), written, texts)
    return texts


def render_column(column: pa.Array) -> pa.StringArray:
    """Return a column, lists too, as VCF text; nulls stay null, null elements become dots."""
    if not pa.types.is_list(column.type):
        return render(column)
    items = pc.fill_null(render(column.flatten()), ".")
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    mask = column.is_null() if column.null_count else None
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), items, mask=mask), ",")


def scatter(column: pa.Array, rows: "np.ndarray[Any, Any]", total: int) -> pa.Array:
    """Return `total` rows holding `column`'s at `rows` (the first of equals wins), null elsewhere."""
    index = np.full(total, -1, np.int64)
    index[rows[::-1]] = np.arange(len(rows), dtype=np.int64)[::-1]
    return column.take(pa.array(index, mask=index < 0))
