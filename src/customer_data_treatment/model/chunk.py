"""A piece of a field's values on its way through the stages."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Chunk:
    """Values of one field: a box of an array, or consecutive rows of a table.

    `index` counts the field's chunks in order; `start` is the box's first index on each axis, or
    (first row,) for a table.
    """

    field: str
    index: int
    start: tuple[int, ...]
    values: "np.ndarray[Any, Any] | pa.RecordBatch"
