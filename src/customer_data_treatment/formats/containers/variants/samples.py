"""FORMAT and the sample columns: all cells of a block flat, one pass a key."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .blocks import Cells
from .layout import PRESENT, RAW_SAMPLES, KeyColumn, Layout, arrow_type
from .typed import convert


@dataclass(frozen=True, slots=True)
class Group:
    """The records of one FORMAT: their rows, its keys, and each key's text in every sample (null: absent)."""

    rows: "np.ndarray[Any, Any]"
    keys: tuple[str, ...]
    texts: tuple[pa.StringArray, ...]
    counts: "np.ndarray[Any, Any]"  # fields that each cell carries


@dataclass(slots=True)
class SampleColumns:
    """Typed columns by name; per group and key, which cells the column cannot hold."""

    columns: dict[str, pa.Array]
    bad: "dict[tuple[int, int], np.ndarray[Any, Any]]" = field(default_factory=dict)


def groups(cells: Cells) -> Iterator[Group]:
    """Yield the block's records grouped by FORMAT, in order of first appearance."""
    if cells.format is None or cells.cells is None:
        return
    formats = cells.format.dictionary_encode()
    codes = formats.indices.to_numpy(zero_copy_only=False)
    for code, text in enumerate(formats.dictionary.to_pylist()):
        rows = np.flatnonzero(codes == code)
        part = cells.cells
        if len(rows) != cells.rows:
            index = (rows[:, None] * cells.samples + np.arange(cells.samples)).reshape(-1)
            part = part.take(pa.array(index))
        keys = tuple(text.split(":"))
        split = pc.split_pattern(part, ":")
        starts = split.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        counts = np.diff(starts)
        texts = tuple(_nth(split.values, starts[:-1], counts, k) for k in range(len(keys)))
        yield Group(rows, keys, texts, counts)


def _nth(
    values: pa.StringArray, starts: "np.ndarray[Any, Any]", counts: "np.ndarray[Any, Any]", k: int
) -> pa.StringArray:
    absent = counts <= k
    if absent.any():
        return values.take(pa.array(np.where(absent, 0, starts + k), mask=absent))
    return values.take(pa.array(starts + k))


def build(cells: Cells, found: list[Group], layout: Layout) -> SampleColumns:
    """Return the FORMAT columns of a block, the columns for what is odd included."""
    built = SampleColumns({"FORMAT": cells.format})
    raw = np.zeros(cells.rows, bool)
    partial = np.zeros(cells.rows, bool)
    known = {column.key for column in layout.format}
    for group in found:
        full = (group.counts == len(group.keys)).reshape(len(group.rows), cells.samples)
        partial[group.rows] = ~full.all(axis=1)
        over = (group.counts > len(group.keys)).reshape(full.shape)
        raw[group.rows] |= over.any(axis=1)
        if len(set(group.keys)) < len(group.keys) or not set(group.keys) <= known:
            raw[group.rows] = True
    for column in layout.format:
        built.columns[f"FORMAT/{column.key}"] = _key(cells, found, column, built, raw)
    built.columns[PRESENT] = _present(cells, found, partial & ~raw)
    mask = pa.array(raw)
    built.columns[RAW_SAMPLES] = pc.if_else(mask, _rest(cells), pa.scalar(None, pa.string()))
    return built


def _rest(cells: Cells) -> pa.StringArray:
    return cells.rest if cells.rest is not None else pa.nulls(cells.rows, pa.string())


def _key(
    cells: Cells, found: list[Group], column: KeyColumn, built: SampleColumns, raw: "np.ndarray[Any, Any]"
) -> pa.Array:
    """Return one key's column: a list over the samples in each record whose FORMAT has the key."""
    parts, rows = [], []
    for number, group in enumerate(found):
        if column.key not in group.keys:
            continue
        k = group.keys.index(column.key)
        values, bad = convert(group.texts[k], column.kind, column.vector)
        if bad.any():
            built.bad[number, k] = bad
            raw[group.rows[bad.reshape(len(group.rows), cells.samples).any(axis=1)]] = True
        parts.append(values)
        rows.append(group.rows)
    if not parts:
        return pa.nulls(cells.rows, pa.list_(arrow_type(column)))
    return _listed(parts, rows, cells)


def _listed(parts: list[pa.Array], rows: "list[np.ndarray[Any, Any]]", cells: Cells) -> pa.Array:
    flat = parts[0]
    if len(parts) > 1:
        placed = np.concatenate(rows)
        order = np.argsort(placed, kind="stable")
        index = (order[:, None] * cells.samples + np.arange(cells.samples)).reshape(-1)
        flat = pa.concat_arrays(parts).take(pa.array(index))
    has = np.zeros(cells.rows, bool)
    for some in rows:
        has[some] = True
    offsets = np.concatenate([[0], np.cumsum(has * cells.samples)]).astype(np.int32)
    mask = None if has.all() else pa.array(~has)
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=mask)


def _present(cells: Cells, found: list[Group], partial: "np.ndarray[Any, Any]") -> pa.Array:
    if not partial.any():
        return pa.nulls(cells.rows, pa.list_(pa.int16()))
    counts = np.zeros((cells.rows, max(1, cells.samples)), np.int16)
    for group in found:
        counts[group.rows] = group.counts.reshape(len(group.rows), cells.samples)
    offsets = np.concatenate([[0], np.cumsum(partial * cells.samples)]).astype(np.int32)
    flat = pa.array(counts[partial].reshape(-1), pa.int16())
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=pa.array(~partial))
