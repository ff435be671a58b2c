"""Column finding for tables of many columns and few rows a block: expression matrices, spectra.

Arrow's kernels cost microseconds a call, whatever the length. So the cells of many columns that are
taken for the same kind are laid end to end, looked at in one go, and judged column by column from the
result. A column that does not fit is handed to its own ColumnFinder, which decides alone.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .cells import TOKEN_CELLS, ColumnFinder, all_come_back

_FEW_ROWS = 4096
_FEW_COLUMNS = 8
_CELLS = 1 << 16  # cells looked at in one go


def take_batch(finders: list[ColumnFinder], batch: pa.RecordBatch) -> None:
    """Show every finder its column of the batch; the outcome is that of `finder.take` on each."""
    if batch.num_rows > _FEW_ROWS or len(finders) < _FEW_COLUMNS:
        for finder, cells in zip(finders, batch.columns, strict=True):
            finder.take(cells)
        return
    groups: dict[str, list[tuple[ColumnFinder, pa.Array]]] = {}
    for finder, cells in zip(finders, batch.columns, strict=True):
        if not finder.kind:
            finder.guess(cells)
        if finder.kind in ("integer", "float", "text"):
            groups.setdefault(finder.kind, []).append((finder, cells))
        else:
            finder.take(cells)
    size = max(1, _CELLS // max(1, batch.num_rows))
    for kind, members in groups.items():
        for at in range(0, len(members), size):
            _take_group(kind, members[at : at + size], batch.num_rows)


def _take_group(kind: str, members: list[tuple[ColumnFinder, pa.Array]], rows: int) -> None:
    cells = pa.concat_arrays([column for _, column in members])
    index = pc.index_in(cells, TOKEN_CELLS)
    tokens = index.fill_null(-1).to_numpy(zero_copy_only=False).reshape(len(members), rows)
    if kind == "text":
        for (finder, _), found in zip(members, tokens, strict=True):
            finder.tokens.update({0, 1} & set(np.unique(found).tolist()))
        return
    plain = pc.is_null(index)
    values = pc.if_else(plain, cells, pa.scalar(None, pa.string()))
    shown = (tokens < 0).astype(bool)
    try:
        fits = _integers(members, values, shown) if kind == "integer" else _floats(members, values, shown)
    except pa.ArrowException:
        fits = [False] * len(members)
    for (finder, column), found, fit in zip(members, tokens, fits, strict=True):
        if fit:
            finder.take_tokens(found[found >= 0].astype(np.uint8))
        else:
            finder.take(column)


def _integers(members: list[tuple[ColumnFinder, pa.Array]], values: pa.Array, shown: Any) -> list[bool]:
    """Note the integers of all columns that hold nothing else; return which do."""
    numbers = pc.cast(values, pa.int64())
    same = pc.equal(pc.cast(numbers, pa.string()), values).fill_null(True)
    fits = same.to_numpy(zero_copy_only=False).reshape(shown.shape).all(axis=1)
    plain = numbers.fill_null(0).to_numpy(zero_copy_only=False).reshape(shown.shape)
    low, high = plain.min(axis=1).tolist(), plain.max(axis=1).tolist()
    counts = shown.sum(axis=1).tolist()
    for number, (finder, _) in enumerate(members):
        if fits[number] and counts[number]:
            finder.note_integers(low[number], high[number], counts[number])
    return [bool(fit) for fit in fits]


def _floats(members: list[tuple[ColumnFinder, pa.Array]], values: pa.Array, shown: Any) -> list[bool]:
    """Note the decimals of all columns that hold nothing else; return which do."""
    numbers = pc.cast(values, pa.float64())
    finite = pc.is_finite(numbers).fill_null(True).to_numpy(zero_copy_only=False).reshape(shown.shape)
    fits = finite.all(axis=1)
    different = pc.not_equal(pc.cast(numbers, pa.string()), values).fill_null(False)
    odd = different.to_numpy(zero_copy_only=False).reshape(shown.shape)
    if odd.any():
        ordinary = pa.array((odd & fits[:, None]).reshape(-1))
        if not all_come_back(values.filter(ordinary), numbers.filter(ordinary)):
            fits &= ~odd.any(axis=1)
    style = [_per_cell(cells, shown.shape) for cells in _style(values)]
    after, lettered, bare, dotted, point_bare, point_zero = style
    fewest = np.where(shown, after, 1 << 30).min(axis=1).tolist()
    most = np.where(shown, after, 0).max(axis=1).tolist()
    sums = [(part & shown).sum(axis=1).tolist() for part in (bare, dotted, point_bare, point_zero)]
    letters = (lettered & shown).any(axis=1).tolist()
    for number, (finder, _) in enumerate(members):
        if fits[number]:
            finder.note_style((fewest[number], most[number]), letters[number], *(part[number] for part in sums))
    return [bool(fit) for fit in fits]


def _style(values: pa.Array) -> list[pa.Array]:
    point = pc.find_substring(values, ".")
    has_point = pc.greater_equal(point, 0)
    lettered = pc.match_substring_regex(values, "[a-zA-Z]")
    return [
        pc.if_else(has_point, pc.subtract(pc.subtract(pc.binary_length(values), point), 1), 0),
        lettered,
        pc.invert(pc.or_(has_point, lettered)),
        pc.ends_with(values, ".0"),
        pc.match_substring_regex(values, r"^-?\."),
        pc.match_substring_regex(values, r"^-?0\."),
    ]


def _per_cell(cells: pa.Array, shape: tuple[int, int]) -> Any:
    filler: Any = False if pa.types.is_boolean(cells.type) else 0
    return cells.fill_null(filler).to_numpy(zero_copy_only=False).reshape(shape)
