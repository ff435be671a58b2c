"""One pass over a chunk's values: counts, extremes, moments.

Values are taken in blocks that fit the first-level cache: the block's sum first, then the squares
about its mean, blocks merged by Chan, Golub and LeVeque (1983). Sixteen fixed lanes make the order
of the additions the same on every processor, whatever its vector width.
"""

from typing import Any

import numpy as np

from ..model.statistics import Statistics
from .jit import kernel


@kernel(
    "void(float32[::1], int32[::1], float64, boolean, float64[::1])",
    "void(float64[::1], int64[::1], float64, boolean, float64[::1])",
)
def _observe_floats(x: Any, bits: Any, fill: float, has_fill: bool, out: Any) -> None:
    """Fill out = [missing, nan, +inf, -inf, min, max, mean, m2, negative zeros, finite]."""
    negative_zero = np.int64(-(2**31)) if bits.itemsize == 4 else np.int64(-(2**62)) * 2
    missing = nan = above = below = zeros = 0
    lo, hi = np.inf, -np.inf
    n, mean, m2 = 0.0, 0.0, 0.0
    lane_lo = np.empty(16, x.dtype)
    lane_hi = np.empty(16, x.dtype)
    lane_sum = np.empty(16, np.float64)
    lane_zero = np.empty(16, np.int64)
    for start in range(0, x.size, 2048):
        stop = min(start + 2048, x.size)
        whole = start + (stop - start) // 16 * 16
        lane_lo[:] = np.inf
        lane_hi[:] = -np.inf
        lane_sum[:] = 0.0
        lane_zero[:] = 0
        for i in range(start, whole, 16):
            for k in range(16):
                v = x[i + k]
                lane_lo[k] = v if v < lane_lo[k] else lane_lo[k]
                lane_hi[k] = v if v > lane_hi[k] else lane_hi[k]
                lane_sum[k] += np.float64(v)
                lane_zero[k] += np.int64(bits[i + k] == negative_zero)
        s = 0.0
        for k in range(16):
            s += lane_sum[k]
        for i in range(whole, stop):
            s += np.float64(x[i])
        plain = np.isfinite(s)
        if plain and has_fill:
            for k in range(16):
                plain = plain and not (lane_lo[k] <= fill <= lane_hi[k])
            for i in range(whole, stop):
                plain = plain and x[i] != fill
        if plain:
            count = np.float64(stop - start)
            centre = s / count
            lane_sum[:] = 0.0
            for i in range(start, whole, 16):
                for k in range(16):
                    d = np.float64(x[i + k]) - centre
                    lane_sum[k] += d * d
            q = 0.0
            for k in range(16):
                q += lane_sum[k]
                lo = min(lo, np.float64(lane_lo[k]))
                hi = max(hi, np.float64(lane_hi[k]))
                zeros += lane_zero[k]
            for i in range(whole, stop):
                v = np.float64(x[i])
                lo, hi = min(lo, v), max(hi, v)
                q += (v - centre) * (v - centre)
                zeros += np.int64(bits[i] == negative_zero)
        else:
            count, s = 0.0, 0.0
            for i in range(start, stop):
                v = np.float64(x[i])
                if has_fill and v == fill:
                    missing += 1
                elif v != v:
                    nan += 1
                elif v == np.inf:
                    above += 1
                elif v == -np.inf:
                    below += 1
                else:
                    count += 1.0
                    s += v
                    lo, hi = min(lo, v), max(hi, v)
                    zeros += np.int64(bits[i] == negative_zero)
            centre = s / count if count > 0 else 0.0
            q = 0.0
            for i in range(start, stop):
                v = np.float64(x[i])
                if np.isfinite(v) and not (has_fill and v == fill):
                    q += (v - centre) * (v - centre)
        if count > 0:
            total = n + count
            delta = centre - mean
            m2 += q + delta * delta * (n * (count / total))
            mean = centre if n == 0.0 else mean + delta * (count / total)
            n = total
    out[0], out[1], out[2], out[3] = missing, nan, above, below
    out[4], out[5], out[6], out[7], out[8], out[9] = lo, hi, mean, m2, zeros, n


_INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


@kernel(*(f"void({kind}[::1], {kind}, boolean, {kind}[::1], int64[::1], float64[::1])" for kind in _INTEGERS))
def _observe_integers(x: Any, fill: Any, has_fill: bool, extremes: Any, sums: Any, moments: Any) -> None:
    """Fill extremes = [min, max], sums = [missing, high, low], moments = [finite, mean, m2].

    The exact sum is high * 2^32 + low: both parts stay within int64 for 2^31 values.
    """
    missing = high = low = np.int64(0)
    n, mean, m2 = 0.0, 0.0, 0.0
    lo, hi = x[0], x[0]
    seen = False
    for start in range(0, x.size, 2048):
        stop = min(start + 2048, x.size)
        block_high = block_low = block_missing = np.int64(0)
        block_lo, block_hi = x[start], x[start]
        for i in range(start, stop):
            v = x[i]
            skip = has_fill and v == fill
            block_missing += np.int64(skip)
            w = type(v)(0) if skip else v
            block_high += np.int64(w) >> 32 if x.itemsize < 8 else np.int64(w >> type(v)(32))
            block_low += np.int64(w) & 0xFFFFFFFF
            block_lo = v if v < block_lo else block_lo
            block_hi = v if v > block_hi else block_hi
        count = np.float64(stop - start - block_missing)
        if block_missing:
            first = True
            for i in range(start, stop):
                v = x[i]
                if v != fill:
                    block_lo = v if first or v < block_lo else block_lo
                    block_hi = v if first or v > block_hi else block_hi
                    first = False
        if count == 0.0:
            missing += block_missing
            continue
        lo = block_lo if not seen or block_lo < lo else lo
        hi = block_hi if not seen or block_hi > hi else hi
        seen = True
        centre = (np.float64(block_high) * 4294967296.0 + np.float64(block_low)) / count
        q0 = q1 = q2 = q3 = 0.0
        whole = start + (stop - start) // 4 * 4
        for i in range(start, whole, 4):
            d0 = 0.0 if has_fill and x[i] == fill else np.float64(x[i]) - centre
            d1 = 0.0 if has_fill and x[i + 1] == fill else np.float64(x[i + 1]) - centre
            d2 = 0.0 if has_fill and x[i + 2] == fill else np.float64(x[i + 2]) - centre
            d3 = 0.0 if has_fill and x[i + 3] == fill else np.float64(x[i + 3]) - centre
            q0 += d0 * d0
            q1 += d1 * d1
            q2 += d2 * d2
            q3 += d3 * d3
        q = (q0 + q1) + (q2 + q3)
        for i in range(whole, stop):
            d = 0.0 if has_fill and x[i] == fill else np.float64(x[i]) - centre
            q += d * d
        total = n + count
        delta = centre - mean
        m2 += q + delta * delta * (n * (count / total))
        mean = centre if n == 0.0 else mean + delta * (count / total)
        n = total
        high += block_high
        low += block_low
        missing += block_missing
    extremes[0], extremes[1] = lo, hi
    sums[0], sums[1], sums[2] = missing, high, low
    moments[0], moments[1], moments[2] = n, mean, m2


@kernel("boolean(uint8[::1], uint8[::1])")
def _same_bytes(a: Any, b: Any) -> bool:
    different = np.uint8(0)
    for i in range(a.size):
        different |= a[i] ^ b[i]
    return bool(different == 0)


def same_bytes(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> bool:
    """Tell whether two contiguous arrays hold the same bytes, whatever their dtypes."""
    return a.nbytes == b.nbytes and bool(_same_bytes(as_bytes(a), as_bytes(b)))


def as_bytes(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """View a contiguous array as its bytes, without a copy."""
    return values.reshape(-1).view(np.uint8)


def observe(values: "np.ndarray[Any, Any]", fill: Any = None) -> tuple[Statistics, int]:
    """Return the statistics of a C-contiguous chunk and how many of its values are -0.0.

    float16 is widened first; complex values have counts and no order; booleans are integers 0 and 1;
    datetimes are their integers, NaT missing.
    """
    kind = values.dtype.kind
    if values.size == 0:
        return Statistics(total=0 if kind in "iub" else None), 0
    if kind == "f":
        return _floats(values, fill)
    if kind == "c":
        parts = np.isnan(values)
        return Statistics(count=values.size, nan=int(np.count_nonzero(parts))), 0
    if kind in "Mm":
        return _integers(values.reshape(-1).view(np.int64), np.iinfo(np.int64).min), 0
    if kind == "b":
        return _integers(values.reshape(-1).view(np.uint8), fill), 0
    return _integers(values.reshape(-1), fill), 0


def _floats(values: "np.ndarray[Any, Any]", fill: Any) -> tuple[Statistics, int]:
    flat = values.reshape(-1)
    if flat.dtype.itemsize == 2:
        flat = flat.astype(np.float32)
    out = np.empty(10, np.float64)
    has_fill = fill is not None and fill == fill
    bits = flat.view(np.int32 if flat.dtype.itemsize == 4 else np.int64)
    _observe_floats(flat, bits, float(fill) if has_fill else 0.0, has_fill, out)
    finite = out[9] > 0
    return (
        Statistics(
            count=flat.size,
            missing=int(out[0]),
            nan=int(out[1]),
            positive_infinite=int(out[2]),
            negative_infinite=int(out[3]),
            minimum=float(out[4]) if finite else None,
            maximum=float(out[5]) if finite else None,
            mean=float(out[6]),
            m2=float(out[7]),
        ),
        int(out[8]),
    )


def _integers(flat: "np.ndarray[Any, Any]", fill: Any) -> Statistics:
    kind = flat.dtype.type
    extremes, sums, moments = np.empty(2, flat.dtype), np.empty(3, np.int64), np.empty(3, np.float64)
    has_fill = fill is not None and fill == fill and kind(fill) == fill
    _observe_integers(flat, kind(fill) if has_fill else kind(0), has_fill, extremes, sums, moments)
    finite = moments[0] > 0
    return Statistics(
        count=flat.size,
        missing=int(sums[0]),
        minimum=int(extremes[0]) if finite else None,
        maximum=int(extremes[1]) if finite else None,
        mean=float(moments[1]),
        m2=float(moments[2]),
        total=(int(sums[1]) << 32) + int(sums[2]),
    )
