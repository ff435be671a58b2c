"""INFO: key=value tokens of a whole block at once, each key's values to one typed column."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .layout import ORDER, RAW_INFO, KeyColumn, Layout, arrow_type
from .typed import as_bool, convert, scatter


@dataclass(frozen=True, slots=True)
class Tokens:
    """Every key=value of a block in order: its row, its key's number, its value (null without "=")."""

    rows: "np.ndarray[Any, Any]"
    codes: "np.ndarray[Any, Any]"
    keys: tuple[str, ...]
    values: pa.StringArray
    infos: pa.StringArray
    of_key: "dict[str, np.ndarray[Any, Any]]"  # the token numbers of each key, in order


def tokenise(infos: pa.StringArray) -> Tokens:
    """Return the tokens of the INFO column; a lone dot has none."""
    parts = pc.split_pattern(infos, ";")
    lengths = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(infos), dtype=np.int64), lengths)
    flat = parts.values
    dots = as_bool(pc.equal(infos, "."))
    if dots.any():
        keep = ~dots[rows]
        flat, rows = flat.filter(pa.array(keep)), rows[keep]
    pairs = pc.split_pattern(flat, "=", max_splits=1)
    starts = pairs.offsets.to_numpy(zero_copy_only=False)
    starts, bare = starts[:-1].astype(np.int64), np.diff(starts) == 1
    keys = pairs.values.take(pa.array(starts)).dictionary_encode()
    values = pairs.values.take(pa.array(starts + 1, mask=bare))
    codes = keys.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    names = tuple(keys.dictionary.to_pylist())
    return Tokens(rows, codes, names, values, infos, _by_key(codes, names))


def _by_key(codes: "np.ndarray[Any, Any]", names: tuple[str, ...]) -> "dict[str, np.ndarray[Any, Any]]":
    narrow = codes.astype(np.int16) if len(names) < 1 << 15 else codes  # numpy sorts these by radix
    order = np.argsort(narrow, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
    return {key: order[start:end] for key, start, end in zip(names, starts.tolist(), ends.tolist(), strict=True)}


@dataclass(frozen=True, slots=True)
class InfoColumns:
    """Typed columns by name, and which tokens their column cannot hold."""

    columns: dict[str, pa.Array]
    bad: "np.ndarray[Any, Any]"
    repeated: "np.ndarray[Any, Any]"  # rows in which a key stands twice


def build(tokens: Tokens, layout: Layout, total: int) -> InfoColumns:
    """Return the INFO columns of a block of `total` rows, the columns for what is odd included."""
    groups = tokens.of_key
    count = len(tokens.rows)
    bad = np.zeros(count, bool)  # not expressible by its column
    silent = np.zeros(count, bool)  # expressible, but null: its presence must be said
    columns: dict[str, pa.Array] = {}
    rank = np.full(len(tokens.keys), -1, np.int64)
    number = {key: at for at, key in enumerate(tokens.keys)}
    for at, column in enumerate(layout.info):
        places = groups.get(column.key)
        if places is None or not len(places):
            columns[f"INFO/{column.key}"] = _nothing(column, total)
            continue
        rank[number[column.key]] = at
        values, wrong = _typed(tokens.values.take(pa.array(places)), column)
        bad[places] = wrong
        silent[places] = as_bool(pc.is_null(values))
        held = scatter(values, tokens.rows[places], total)
        columns[f"INFO/{column.key}"] = pc.fill_null(held, False) if column.kind == "flag" else held
    bad |= rank[tokens.codes] < 0 if count else False
    order, verbatim, repeated = _oddities(tokens, rank, bad, silent, total)
    columns[ORDER], columns[RAW_INFO] = order, verbatim
    return InfoColumns(columns, bad, repeated)


def _nothing(column: KeyColumn, total: int) -> pa.Array:
    if column.kind == "flag":
        return pa.array(np.zeros(total, bool))
    return pa.nulls(total, arrow_type(column))


def _typed(texts: pa.StringArray, column: KeyColumn) -> "tuple[pa.Array, np.ndarray[Any, Any]]":
    if column.kind == "flag":
        bare = pc.is_null(texts)
        return bare, as_bool(pc.is_valid(texts))
    values, bad = convert(texts, column.kind, column.vector)
    return values, bad | as_bool(pc.is_null(texts))


def _oddities(
    tokens: Tokens,
    rank: "np.ndarray[Any, Any]",
    bad: "np.ndarray[Any, Any]",
    silent: "np.ndarray[Any, Any]",
    total: int,
) -> "tuple[pa.Array, pa.Array, np.ndarray[Any, Any]]":
    """Return KEYS/INFO and VERBATIM/INFO, null for every row that the typed columns say alone, and repeats."""
    raw = as_bool(pc.equal(tokens.infos, ""))
    raw[tokens.rows[bad]] = True
    ordered = np.zeros(total, bool)
    repeated = np.zeros(0, np.int64)
    if len(tokens.rows):
        ranks = rank[tokens.codes]
        same = np.diff(tokens.rows) == 0
        step = np.diff(ranks)
        ordered[tokens.rows[1:][same & (step < 0)]] = True
        ordered[tokens.rows[silent]] = True
        repeated = _repeats(tokens, tokens.rows[1:][same & (step <= 0)])
        raw[repeated] = True
    ordered &= ~raw
    order: pa.Array = pa.nulls(total, pa.string())
    if ordered.any():
        keys = pa.array(tokens.keys, pa.string()).take(pa.array(tokens.codes))
        offsets = np.searchsorted(tokens.rows, np.arange(total + 1)).astype(np.int32)
        joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), keys), ";")
        order = pc.if_else(pa.array(ordered), joined, order)
    verbatim = pc.if_else(pa.array(raw), tokens.infos, pa.scalar(None, pa.string()))
    return order, verbatim, repeated


def _repeats(tokens: Tokens, suspects: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return the rows in which a key stands twice; they are among `suspects`, whose keys are not in rising order."""
    if not len(suspects):
        return suspects
    held = np.isin(tokens.rows, suspects)
    width = max(1, len(tokens.keys))
    pairs = np.sort(tokens.rows[held] * width + tokens.codes[held])
    return np.unique(pairs[1:][np.diff(pairs) == 0] // width)
