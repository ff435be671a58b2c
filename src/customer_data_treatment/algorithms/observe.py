"""One pass over a chunk's values: counts, extremes, moments.

Values are taken in blocks that fit the first-level cache: extremes first, then the sum, then the
squares about the block's mean, blocks merged by Chan, Golub and LeVeque (1983). Four fixed lanes
make the order of the additions the same on every processor, whatever its vector width.
"""

from typing import Any

import numpy as np

from ..model.statistics import Statistics, held
from .jit import inlined, kernel


@inlined
def _sum(x: Any, start: int, stop: int) -> float:
    s0 = s1 = s2 = s3 = 0.0
    whole = start + (stop - start) // 4 * 4
    for i in range(start, whole, 4):
        s0 += np.float64(x[i])
        s1 += np.float64(x[i + 1])
        s2 += np.float64(x[i + 2])
        s3 += np.float64(x[i + 3])
    for i in range(whole, stop):
        s0 += np.float64(x[i])
    return (s0 + s1) + (s2 + s3)


@inlined
def _squares(x: Any, start: int, stop: int, centre: float) -> float:
    s0 = s1 = s2 = s3 = 0.0
    whole = start + (stop - start) // 4 * 4
    for i in range(start, whole, 4):
        d0 = np.float64(x[i]) - centre
        d1 = np.float64(x[i + 1]) - centre
        d2 = np.float64(x[i + 2]) - centre
        d3 = np.float64(x[i + 3]) - centre
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    for i in range(whole, stop):
        d = np.float64(x[i]) - centre
        s0 += d * d
    return (s0 + s1) + (s2 + s3)


@kernel
def _observe_floats(x: Any, bits: Any, low: Any, mask: Any, fill: float, has_fill: bool, out: Any) -> None:
    """Fill out = [missing, nan, +inf, -inf, min, max, mean, m2, negative zeros, finite].

    `low` is the integer whose bits are -0.0, `mask` all bits but the sign. Floats order as integers
    once negative ones are flipped, and integer extremes may be reordered, so they are vectorised.
    """
    missing = nan = above = below = 0
    zeros: Any = 0
    zero: Any = 0.0
    lo, hi = np.inf, -np.inf
    n, mean, m2 = 0.0, 0.0, 0.0
    edges = np.empty(2, bits.dtype)
    values = edges.view(x.dtype)
    for start in range(0, x.size, 2048):
        stop = min(start + 2048, x.size)
        smallest, largest = mask, low
        block_zeros: Any = 0
        for i in range(start, stop):
            b = bits[i]
            ordered = b ^ (mask if b < 0 else type(b)(0))
            smallest = min(smallest, ordered)
            largest = max(largest, ordered)
            block_zeros += np.int64(b == low)
        edges[0] = smallest ^ mask if smallest < 0 else smallest
        edges[1] = largest ^ mask if largest < 0 else largest
        plain = np.isfinite(values[0]) and np.isfinite(values[1])
        if plain and has_fill:
            plain = not (values[0] <= fill <= values[1])
        if plain:
            count = np.float64(stop - start)
            centre = _sum(x, start, stop) / count
            q = _squares(x, start, stop, centre)
            lo = min(lo, np.float64(values[0]))
            hi = max(hi, np.float64(values[1]))
            zeros += block_zeros
        else:
            count, s = zero, zero
            for i in range(start, stop):
                v = np.float64(x[i])
                if has_fill and v == fill:
                    missing += 1
                    zeros += np.int64(bits[i] == low)
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
                    zeros += np.int64(bits[i] == low)
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


@kernel
def _observe_integers(x: Any, fill: Any, has_fill: bool, extremes: Any, sums: Any, moments: Any) -> None:
    """Fill extremes = [min, max], sums = [missing, high, low], moments = [finite, mean, m2].

    The exact sum is high * 2^32 + low: both parts stay within int64 for 2^31 values.
    """
    missing = high = low = np.int64(0)
    n, mean, m2 = 0.0, 0.0, 0.0
    lo, hi = x[0], x[0]
    for start in range(0, x.size, 2048):
        stop = min(start + 2048, x.size)
        block_high = block_low = holes = np.int64(0)
        block_lo, block_hi = x[start], x[start]
        for i in range(start, stop):
            v = x[i]
            block_lo = min(block_lo, v)
            block_hi = max(block_hi, v)
            if x.itemsize < 8:
                block_low += np.int64(v)
            else:
                block_high += np.int64(v >> type(v)(32))
                block_low += np.int64(v & type(v)(0xFFFFFFFF))
        if has_fill and block_lo <= fill <= block_hi:
            for i in range(start, stop):
                holes += np.int64(x[i] == fill)
        count = np.float64(stop - start - holes)
        missing += holes
        if count == 0.0:
            continue
        if holes:
            first = True
            block_high = block_low = np.int64(0)
            for i in range(start, stop):
                v = x[i]
                if v != fill:
                    block_lo = v if first or v < block_lo else block_lo
                    block_hi = v if first or v > block_hi else block_hi
                    first = False
                    if x.itemsize < 8:
                        block_low += np.int64(v)
                    else:
                        block_high += np.int64(v >> type(v)(32))
                        block_low += np.int64(v & type(v)(0xFFFFFFFF))
        lo = block_lo if n == 0.0 else min(lo, block_lo)
        hi = block_hi if n == 0.0 else max(hi, block_hi)
        centre = (np.float64(block_high) * 4294967296.0 + np.float64(block_low)) / count
        if holes:
            q = 0.0
            for i in range(start, stop):
                if x[i] != fill:
                    q += (np.float64(x[i]) - centre) * (np.float64(x[i]) - centre)
        elif x.itemsize <= 2:
            power = np.int64(0)  # 2048 * 2^32 at the most, and so is its product with the count
            for i in range(start, stop):
                power += np.int64(x[i]) * np.int64(x[i])
            q = np.float64(power * (stop - start) - block_low * block_low) / count
        else:
            q = _squares(x, start, stop, centre)
        total = n + count
        delta = centre - mean
        m2 += q + delta * delta * (n * (count / total))
        mean = centre if n == 0.0 else mean + delta * (count / total)
        n = total
        high += block_high
        low += block_low
    extremes[0], extremes[1] = lo, hi
    sums[0], sums[1], sums[2] = missing, high, low
    moments[0], moments[1], moments[2] = n, mean, m2


@kernel
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
    integer = np.int32 if flat.dtype.itemsize == 4 else np.int64
    limits = np.iinfo(integer)
    bits, low, mask = flat.view(integer), integer(limits.min), integer(limits.max)
    _observe_floats(flat, bits, low, mask, float(fill) if has_fill else 0.0, has_fill, out)
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
            mean=held(float(out[6])),
            m2=held(float(out[7])),
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
