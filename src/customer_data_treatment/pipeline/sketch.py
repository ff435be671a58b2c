"""What the report shows of a field beside its sample: one slice or the series, categories, missing cells.

Gathered while chunks and batches pass, so that nothing is read twice; memory does not depend on the
field's size. Strided, not averaged: every pixel is a value that occurs, its error is the value's own.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..model.dataset import ArrayField, TableField
from ..package.pictures import PLANE_EDGE, MissingMap, Picture, categories_of
from ..ports import Box
from ..vocabulary import Role

_SERIES = 4096  # values kept of a series
_SMALLEST = 16  # an axis shorter than this makes no image
_COLUMNS = 1000  # a wider table gets no map of missing cells
_CATEGORIES = 64  # a column with more values has no bars

if TYPE_CHECKING:
    from ..codecs.bounded import Form

Values = np.ndarray[Any, Any]


class ArraySketch:
    """Gathers the middle slice of an array, or a series, from chunks in any order and from any thread."""

    def __init__(self, array: ArrayField) -> None:
        """Choose what to keep: nothing for text, complex numbers and arrays without a plane or length."""
        self._array = array
        self._axes = _axes_of(array)
        most = PLANE_EDGE if len(self._axes) == 2 else _SERIES
        longest = max((array.shape[axis] for axis in self._axes), default=1)
        self._step = -(-longest // most)
        # A long and narrow array keeps its middle column: half a step would lie beyond it.
        self._first = {axis: min(self._step // 2, array.shape[axis] // 2) for axis in self._axes}
        self._kept = {axis: len(range(at, array.shape[axis], self._step)) for axis, at in self._first.items()}
        shape = tuple(self._kept[axis] for axis in sorted(self._axes))
        self._values = np.zeros(shape, array.numpy_dtype()) if self._axes else None

    def take(self, box: Box, values: Values) -> None:
        """Keep what lies on the slice."""
        if self._values is None:
            return
        pick: list[Any] = []
        put: list[slice] = []
        for axis, part in enumerate(box):
            if axis not in self._kept:
                middle = self._array.shape[axis] // 2
                if not part.start <= middle < part.stop:
                    return
                pick.append(middle - part.start)
                continue
            offset = self._first[axis]
            first = max(0, -(-(part.start - offset) // self._step))
            count = min(self._kept[axis], max(0, -(-(part.stop - offset) // self._step))) - first
            if count <= 0:
                return
            start = offset + first * self._step - part.start
            pick.append(slice(start, start + (count - 1) * self._step + 1, self._step))
            put.append(slice(first, first + count))
        self._values[tuple(put)] = values[tuple(pick)]

    def drawn(self, form: "Form") -> dict[str, tuple[Values, Values | None]]:
        """Return picture_of's keyword, "plane" or "line": values before and after, missing as NaN."""
        if self._values is None:
            return {}
        kept = self._values
        after = None
        if form.name != "exact":
            from .choose import decoded_sample

            decoded = decoded_sample(kept.reshape(-1), form, self._array.fill).reshape(kept.shape)
            after = self._numbers(decoded, kept)
        before = self._numbers(kept, kept)
        if len(self._axes) == 1:
            return {"line": (before, after)}
        if self._axes[0] > self._axes[1]:
            before, after = before.T, None if after is None else after.T
        return {"plane": (before, after)}

    def _numbers(self, values: Values, original: Values) -> Values:
        numbers = values.astype(np.float64)
        if self._array.fill is not None and np.isscalar(self._array.fill):
            numbers[original == self._array.fill] = np.nan
        return numbers


def _axes_of(array: ArrayField) -> tuple[int, ...]:
    """Return (rows, columns) of an image, (axis,) of a series, () where there is nothing to draw.

    Stations by days are no image: of those one series is drawn.
    """
    if array.dtype == "string" or array.numpy_dtype().kind not in "fiub" or not array.size:
        return ()
    long = [axis for axis, length in enumerate(array.shape) if length > 1]
    if array.spatial_axes is not None:
        return array.spatial_axes
    if len(long) == 1:
        return (long[0],)
    last = tuple(long[-2:])
    if len(last) == 2 and min(array.shape[axis] for axis in last) >= _SMALLEST:
        return last
    longest = max(long, key=lambda axis: array.shape[axis], default=None)
    return () if longest is None or array.shape[longest] < _SMALLEST else (longest,)


class TableSketch:
    """Gathers a table's missing cells, and the counts of its codes and flags, batch by batch."""

    def __init__(self, table: TableField) -> None:
        """Choose the columns; identifiers, labels and text are never counted."""
        names = [column.name for column in table.columns]
        self._name = table.name
        self._map = MissingMap(names) if len(names) <= _COLUMNS else None
        self._counted: dict[int, Counter[Any]] = {
            index: Counter()
            for index, column in enumerate(table.columns)
            if column.role in (Role.CODE, Role.MASK) and not pa.types.is_nested(table.schema.field(index).type)
        }
        self._names = names

    def observe(self, batch: pa.RecordBatch) -> None:
        """Take the next rows."""
        if self._map is not None:
            self._map.observe([_missing(column) for column in batch.columns], batch.num_rows)
        for index, counter in list(self._counted.items()):
            for entry in pc.value_counts(batch.column(index)):
                counter[entry["values"].as_py()] += entry["counts"].as_py()
            if len(counter) > _CATEGORIES:
                del self._counted[index]

    def pictures(self) -> dict[str, Picture]:
        """Return the table's map under its own name, bars under TABLE/COLUMN."""
        found: dict[str, Picture] = {}
        if self._map is not None:
            picture = self._map.picture()
            if any(picture.missing):
                found[self._name] = picture
        for index, counter in self._counted.items():
            missing = counter.pop(None, 0)
            named = {str(value): count for value, count in counter.items()}
            found[f"{self._name}/{self._names[index]}"] = categories_of(named, missing)
        return found


def _missing(column: pa.Array) -> Values | None:
    """Return which cells hold no value, nulls and NaN alike; None where all do."""
    floating = pa.types.is_floating(column.type)
    if not column.null_count and not floating:
        return None
    mask: Values = pc.is_null(column, nan_is_null=floating).to_numpy(zero_copy_only=False)
    return mask if mask.any() else None
