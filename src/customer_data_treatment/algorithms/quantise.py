"""Values moved onto a grid, the error of every one of them checked by the decoder's own arithmetic.

Packed: q = rint(x / step) - origin, decoded as q * step + origin * step in float64, as CF readers
do; the bound is held in that arithmetic and after the cast to the source's dtype. Rounded: the
nearest multiple of a power of two, in the source's own dtype. The textbook quantiser breaks its
bound through rounding (Tao et al. 2017 leave it open), so nothing here is trusted: each error is
computed and counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .jit import kernel
from .quantise_errors import Errors


@kernel
def _pack(
    x: Any, q: Any, step: float, origin: float, bound: float, hole: float, lo: int, hi: int, sentinel: Any, out: Any
) -> None:
    """Fill q, and out = [broken, max error, sum of errors, sum of squared errors].

    `hole` is the value stored as `sentinel`: the fill value, or NaN when NaN is the only missing.
    """
    inverse = 1.0 / step
    offset = origin * step
    low, high = np.float64(lo), np.float64(hi)
    named_hole = hole == hole
    broken = 0
    largest, total, squares = 0.0, 0.0, 0.0
    error = np.empty(1024, np.float64)
    worse = np.empty(1024, np.float64)
    bits = worse.view(np.int64)
    for start in range(0, x.size, 1024):
        count = min(1024, x.size - start)
        good = np.int64(0)
        for i in range(count):  # elementwise, so that it is vectorised; integer sums may be reordered
            v = np.float64(x[start + i])
            held = type(q[0])(np.int32(np.rint(v * inverse) - origin))
            q[start + i] = held
            y = np.float64(held) * step + offset  # of what is stored: a wrapped integer shows as an error
            e = y - v
            a = abs(e)
            b = abs(np.float64(type(x[0])(y)) - v)
            error[i] = e
            m = a if a > b else b
            worse[i] = m
            good += np.int64((m <= bound) & (held != sentinel))
        if named_hole:
            for i in range(count):
                good -= np.int64(np.float64(x[start + i]) == hole)
        if good == count:
            top = np.int64(0)
            for i in range(count):  # positive floats order as their bits, and integer maxima may be reordered
                top = max(top, bits[i])
            s0 = s1 = s2 = s3 = 0.0
            r0 = r1 = r2 = r3 = 0.0
            whole = count // 4 * 4
            for i in range(0, whole, 4):
                s0 += error[i]
                s1 += error[i + 1]
                s2 += error[i + 2]
                s3 += error[i + 3]
                r0 += error[i] * error[i]
                r1 += error[i + 1] * error[i + 1]
                r2 += error[i + 2] * error[i + 2]
                r3 += error[i + 3] * error[i + 3]
            for i in range(whole, count):
                s0 += error[i]
                r0 += error[i] * error[i]
            total += (s0 + s1) + (s2 + s3)
            squares += (r0 + r1) + (r2 + r3)
            bits[0] = top
            largest = max(largest, worse[0])
            continue
        for i in range(start, start + count):
            v = np.float64(x[i])
            if v == hole or (hole != hole and v != v):
                q[i] = sentinel
                continue
            k = np.rint(v * inverse) - origin
            y = k * step + offset
            e = y - v
            a = max(abs(e), abs(np.float64(type(x[0])(y)) - v))
            if not (a <= bound and k >= low and k <= high):
                broken += 1
                q[i] = sentinel
                continue
            q[i] = type(q[0])(np.int32(k))
            largest = max(largest, a)
            total += e
            squares += e * e
    out[0], out[1], out[2], out[3] = broken, largest, total, squares


@kernel
def _round(x: Any, y: Any, step: float, bound: float, hole: float, out: Any) -> None:
    """Fill y, and out = [broken, max error, sum of errors, sum of squared errors].

    NaN, infinities, the fill value and zeros of either sign come back with their own bits.
    """
    inverse = 1.0 / step
    broken = 0
    largest, total, squares = 0.0, 0.0, 0.0
    for i in range(x.size):
        v = np.float64(x[i])
        r = np.rint(v * inverse) * step
        if not np.isfinite(r) or v == hole or v == 0.0:
            y[i] = x[i]
            continue
        z = type(x[0])(r + 0.0)
        e = np.float64(z) - v
        if not abs(e) <= bound:
            y[i] = x[i]
            broken += 1
            continue
        y[i] = z
        largest = max(largest, abs(e))
        total += e
        squares += e * e
    out[0], out[1], out[2], out[3] = broken, largest, total, squares


@dataclass(frozen=True, slots=True)
class Grid:
    """Where packed integers lie: value = q * step + origin * step; sentinel stands for `hole`."""

    dtype: str  # int8, int16 or int32
    step: float
    origin: int
    hole: float | None

    @property
    def offset(self) -> float:
        """Return add_offset: exactly origin * step in float64."""
        return float(self.origin) * self.step

    @property
    def sentinel(self) -> int:
        """Return the integer that stands for a missing value."""
        return int(np.iinfo(self.dtype).min)


def pack(values: "np.ndarray[Any, Any]", grid: Grid, bound: float, out: "np.ndarray[Any, Any]") -> Errors:
    """Fill `out` (flat, grid.dtype) from C-contiguous float32/64 or integer values and return the errors.

    Integers pass through float64, which holds them exactly up to 2^53; grid_of_integers sees to that.

    Values outside the grid, infinities and broken bounds count as broken; the caller then chooses
    another form.
    """
    tally = np.empty(4, np.float64)
    limits = np.iinfo(grid.dtype)
    hole = np.nan if grid.hole is None else grid.hole
    flat = values.reshape(-1)
    _pack(
        flat.astype(np.float64) if flat.dtype.kind in "iu" else flat,
        out,
        grid.step,
        float(grid.origin),
        bound,
        hole,
        limits.min + 1,
        limits.max,
        out.dtype.type(grid.sentinel),
        tally,
    )
    return Errors(values.size, int(tally[0]), float(tally[1]), float(tally[2]), float(tally[3]))


def unpack(packed: "np.ndarray[Any, Any]", grid: Grid, dtype: "np.dtype[Any]") -> "np.ndarray[Any, Any]":
    """Return packed integers as values of `dtype`, the sentinel as the grid's hole (NaN if none)."""
    values = packed.astype(np.float64)
    values *= grid.step
    values += grid.offset
    missing = packed == grid.sentinel
    if dtype.kind in "iu":
        values[missing] = 0.0
    with np.errstate(over="ignore"):  # a value that overflows breaks its bound, and is found there
        out = values.astype(dtype)
    if missing.any():
        out[missing] = np.nan if grid.hole is None else grid.hole
    return out


def round_in_place(
    values: "np.ndarray[Any, Any]", step: float, bound: float, fill: float | None
) -> tuple["np.ndarray[Any, Any]", Errors]:
    """Return values rounded to multiples of `step` (a power of two) in their own dtype, and the errors.

    A value whose rounding would break the bound keeps its own bits and is counted as broken.
    """
    flat = values.reshape(-1)
    narrow = flat.dtype.itemsize == 2
    source = flat.astype(np.float32) if narrow else flat
    out = np.empty_like(source)
    tally = np.empty(4, np.float64)
    _round(source, out, step, bound, np.nan if fill is None else float(fill), tally)
    errors = Errors(values.size, int(tally[0]), float(tally[1]), float(tally[2]), float(tally[3]))
    if narrow:
        with np.errstate(over="ignore"):
            narrowed = out.astype(np.float16)
        # float16 has NaN payloads and a range of its own: keep the bits of what is not an ordinary number
        ordinary = np.isfinite(flat) & (narrowed.astype(np.float32) == out)
        out = np.where(ordinary, narrowed, flat)
    return out.reshape(values.shape), errors


def power_of_two_step(bound: float) -> float:
    """Return the largest power of two whose half is within the bound; 0.0 where there is none."""
    if not bound > 0.0:
        return 0.0
    _, exponent = np.frexp(bound)  # bound = mantissa * 2^exponent, mantissa in [.5, 1)
    step = float(np.ldexp(1.0, int(exponent)))  # half of it is 2^(exponent - 1) <= bound
    inverse = 1.0 / step if step else np.inf
    return step if np.isfinite(step) and np.isfinite(inverse) and step > 0.0 else 0.0


def grid_for(
    minimum: float, maximum: float, bound: float, dtype: "np.dtype[Any]", hole: float | None, unit: float | None
) -> Grid | None:
    """Return the grid with the coarsest step that keeps the bound on [minimum, maximum], or None.

    The step leaves room for the rounding of decode and cast: one unit in the last place of the
    largest magnitude. `unit` is the lattice the field already lies on: the step is then an odd
    multiple of it, so that no value falls between two points. The grid contains 0 exactly.
    """
    largest = max(abs(minimum), abs(maximum))
    with np.errstate(over="ignore"):
        room = float(np.spacing(dtype.type(largest))) if dtype.itemsize < 8 else 4.0 * float(np.spacing(largest))
    half = bound - room
    if not half > 0.0:
        return None
    if unit is not None:
        step = (2.0 * np.floor(half / unit) + 1.0) * unit
    else:
        step = 2.0 * half
    if not (step > 0.0 and np.isfinite(1.0 / step)):
        return None
    low, high = np.rint(minimum / step), np.rint(maximum / step)
    if not (np.isfinite(low) and np.isfinite(high)) or max(abs(low), abs(high)) > 2.0**52:
        return None
    width = int(high) - int(low)
    for name in ("int8", "int16", "int32"):
        if width <= 2 * int(np.iinfo(name).max) - 2:
            centred = -int(np.iinfo(name).max) <= int(low) and int(high) <= int(np.iinfo(name).max)
            origin = 0 if centred else (int(low) + int(high)) // 2
            return Grid(name, float(step), origin, hole)
    return None


def grid_of_integers(minimum: int, maximum: int, bound: float, hole: int | None) -> Grid | None:
    """Return the grid of an integer field: an odd whole step, so that no value falls between two points, or None."""
    step = 2 * int(bound) + 1
    if step < 3 or max(abs(minimum), abs(maximum)) > 1 << 52:
        return None
    low, high = round(minimum / step), round(maximum / step)
    for name in ("int8", "int16", "int32"):
        most = int(np.iinfo(name).max)
        if high - low <= 2 * most - 2:
            origin = 0 if -most <= low and high <= most else (low + high) // 2
            return Grid(name, float(step), origin, None if hole is None else float(hole))
    return None


def round_integers(values: "np.ndarray[Any, Any]", step: int, fill: Any) -> tuple["np.ndarray[Any, Any]", Errors]:
    """Return integers moved to the nearest multiple of `step`, a power of two, in their own dtype, and the errors.

    The largest error is step / 2. A value whose multiple lies outside the dtype, or would be the fill
    value, and the fill value itself, keep their bits.
    """
    kind = values.dtype.type
    limits = np.iinfo(values.dtype)
    below = values & kind(step - 1)
    up = (below > kind(step // 2)) & (values <= kind(limits.max - step))
    moved = np.where(up, values - below + kind(step), values - below).astype(values.dtype)
    keep = (below > kind(step // 2)) & ~up  # it would round up out of the dtype
    if fill is not None:
        keep |= (values == fill) | (moved == fill)
    out = np.where(keep, values, moved).astype(values.dtype)
    error = np.where(keep, 0.0, np.where(up, step - below.astype(np.float64), -below.astype(np.float64)))
    largest = float(np.abs(error).max()) if error.size else 0.0
    return out, Errors(values.size, 0, largest, float(error.sum()), float((error * error).sum()))
