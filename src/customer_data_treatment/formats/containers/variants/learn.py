"""The layout of a file, from its header and the first block of its records."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import infos, samples
from .blocks import Cells
from .header import Header
from .layout import (
    ORDER,
    PRESENT,
    RAW_INFO,
    RAW_QUAL,
    RAW_SAMPLES,
    KeyColumn,
    Layout,
    key_column,
)
from .typed import as_bool, convert

_EXTRAS = (ORDER, RAW_QUAL, RAW_INFO, PRESENT, RAW_SAMPLES)
_TOLERATED = 0.1  # above this share of values that contradict the declared type, the column keeps text
_MOST_SEQUENCES = 256


def learn(header: Header, first: Cells | None, *, whole: bool, narrow: bool, crlf: bool, bgzf: bool) -> Layout:
    """Return the layout.

    `first` is the first block, `whole` says that no records follow it: then keys that no record has
    get no column. `narrow` says that floats have 32 bits.
    """
    info: list[KeyColumn] = []
    formats: list[KeyColumn] = []
    if first is not None:
        info = _info(header, first, narrow)
        formats = _formats(header, first, narrow)
    if not whole:
        info += _unseen(info, [key_column(d, section="INFO", narrow=narrow) for d in header.info.values()])
        formats += _unseen(formats, [key_column(d, section="FORMAT", narrow=narrow) for d in header.formats.values()])
    return Layout(
        info=tuple(info),
        format=tuple(formats) if len(header.columns) > 9 else (),
        extras=_EXTRAS if len(header.columns) > 9 else _EXTRAS[:3],
        samples=len(header.samples),
        has_format=len(header.columns) > 8,
        quality="float32" if narrow else "float64",
        crlf=crlf,
        bgzf=bgzf,
    )


def _unseen(seen: list[KeyColumn], declared: list[KeyColumn]) -> list[KeyColumn]:
    known = {column.key for column in seen}
    return [column for column in declared if column.key not in known]


def _info(header: Header, cells: Cells, narrow: bool) -> list[KeyColumn]:
    tokens = infos.tokenise(cells.fixed[7])
    places = tokens.of_key
    found = []
    for key in _key_order(tokens, cells.rows):
        if not key:
            continue
        texts = tokens.values.take(pa.array(places[key]))
        column = key_column(header.info_of(key), section="INFO", narrow=narrow)
        bare = texts.null_count
        if bare == len(texts):
            found.append(KeyColumn(key, "flag", False))
        elif column.kind == "flag":
            found.append(KeyColumn(key, "text" if bare * 2 < len(texts) else "flag", False))
        else:
            found.append(_fitting(texts, column))
    return found


def _key_order(tokens: infos.Tokens, rows: int) -> list[str]:
    """Return the keys in an order that most records keep: commonest sequences first, new keys after their neighbour."""
    keys = pa.array(tokens.keys, pa.string()).take(pa.array(tokens.codes))
    offsets = np.searchsorted(tokens.rows, np.arange(rows + 1)).astype(np.int32)
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), keys), ";")
    counted = Counter(joined.to_pylist())
    order: list[str] = []
    known: set[str] = set()
    for sequence, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:_MOST_SEQUENCES]:
        at = 0
        for key in sequence.split(";"):
            if key in known:
                at = max(at, order.index(key) + 1)
                continue
            order.insert(at, key)
            known.add(key)
            at += 1
    return order + [key for key in tokens.keys if key not in known]


def _formats(header: Header, cells: Cells, narrow: bool) -> list[KeyColumn]:
    texts: dict[str, list[pa.StringArray]] = {}
    for group in samples.groups(cells):
        for key, text in zip(group.keys, group.texts, strict=True):
            texts.setdefault(key, []).append(text)
    return [
        _fitting(pa.concat_arrays(parts), key_column(header.format_of(key), section="FORMAT", narrow=narrow))
        for key, parts in texts.items()
        if key
    ]


def _fitting(texts: pa.StringArray, column: KeyColumn) -> KeyColumn:
    """Return the column, or a wider one where its own cannot hold the texts."""
    given = max(1, len(texts) - texts.null_count)
    wider = [column]
    if column.kind == "int32":
        wider.append(KeyColumn(column.key, "int64", column.vector))
    for candidate in wider:
        if not _bad(texts, candidate).any():
            return candidate
    if _bad(texts, column).sum() <= _TOLERATED * given:
        return column
    listed = KeyColumn(column.key, column.kind, True)
    if not column.vector and not _bad(texts, listed).any():
        return listed
    return KeyColumn(column.key, "text", False)


def _bad(texts: pa.StringArray, column: KeyColumn) -> "np.ndarray[Any, Any]":
    bad: np.ndarray[Any, Any] = convert(texts, column.kind, column.vector)[1] & as_bool(pc.is_valid(texts))
    return bad
