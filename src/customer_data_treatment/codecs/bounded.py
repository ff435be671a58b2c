"""The forms a field's values can be stored in, and the statistics of what decodes from each.

exact     the values as they are
packed    CF packing: small integers with scale_factor and add_offset, plain xarray decodes them
rounded   multiples of a power of two in the source's own dtype
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..algorithms.observe import observe
from ..algorithms.quantise import Grid, pack, round_in_place, round_integers, unpack
from ..algorithms.quantise_errors import Errors
from ..model.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Form:
    """How one field is stored; `bound` is in stored numbers, None for exact."""

    name: str = "exact"
    bound: float | None = None
    grid: Grid | None = None
    step: float | None = None

    def stored_dtype(self, source: "np.dtype[Any]") -> "np.dtype[Any]":
        """Return the dtype that lies in the package."""
        if self.grid is not None:
            return np.dtype(self.grid.dtype)
        return np.dtype(np.int64) if source.kind in "mM" else source


EXACT = Form()


def store(
    values: "np.ndarray[Any, Any]", form: Form, fill: Any
) -> tuple["np.ndarray[Any, Any]", Errors, Statistics | None]:
    """Return (what is stored, errors, statistics of what decodes from it or None if unchanged)."""
    if form.grid is not None:
        packed = np.empty(values.size, form.grid.dtype)
        errors = pack(values, form.grid, form.bound or 0.0, packed)
        return packed.reshape(values.shape), errors, decoded_statistics(packed, form.grid)
    if form.step is not None and values.dtype.kind in "iu":
        rounded, errors = round_integers(values, int(form.step), fill)
        return rounded, errors, observe(rounded, fill)[0]
    if form.step is not None:
        rounded, errors = round_in_place(values, form.step, form.bound or 0.0, fill)
        return rounded, errors, observe(rounded, fill)[0]
    if values.dtype.kind in "mM":
        return values.view(np.int64), Errors(values.size), None
    return values, Errors(values.size), None


def decoded_statistics(packed: "np.ndarray[Any, Any]", grid: Grid) -> Statistics:
    """Return the statistics of packed integers' values; a missing one counts as its hole is counted."""
    of_integers, _ = observe(packed, grid.sentinel)
    missing = of_integers.missing
    return Statistics(
        count=of_integers.count,
        missing=missing if grid.hole is not None else 0,
        nan=missing if grid.hole is None else 0,
        minimum=None if of_integers.minimum is None else of_integers.minimum * grid.step + grid.offset,
        maximum=None if of_integers.maximum is None else of_integers.maximum * grid.step + grid.offset,
        mean=of_integers.mean * grid.step + grid.offset if of_integers.finite else 0.0,
        m2=of_integers.m2 * (grid.step * grid.step),
    )


def restored(stored: "np.ndarray[Any, Any]", form: Form, dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Return stored values in the source's dtype, as a restored file holds them."""
    if form.grid is not None:
        return unpack(stored, form.grid, dtype)
    if dtype.kind in "mM":
        return stored.view(dtype)
    return stored
