"""How alike two sets of values are: Pearson, Kolmogorov-Smirnov, structural similarity.

Every step is a sum, product, quotient, comparison or square root, so the figures are the same on
every machine.
"""

from typing import Any

import numpy as np

_WINDOW = 7
_K1, _K2 = 0.01, 0.03


def spread(finite: "np.ndarray[Any, Any]") -> float:
    """Return the 99th minus the 1st percentile (nearest rank) of sorted finite values, 0.0 if none."""
    if len(finite) == 0:
        return 0.0
    with np.errstate(over="ignore"):  # infinite where it passes double precision
        return float(finite[_rank(len(finite), 99)] - finite[_rank(len(finite), 1)])


def _rank(count: int, percent: int) -> int:
    """Return the index of the nearest-rank percentile: ceil(p/100 n) - 1, in integers."""
    return max(0, -(-count * percent // 100) - 1)


def quantiles(finite: "np.ndarray[Any, Any]", percents: tuple[int, ...]) -> list[float]:
    """Return nearest-rank percentiles of sorted values."""
    return [float(finite[_rank(len(finite), p)]) for p in percents] if len(finite) else []


def ks_distance(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]") -> float:
    """Return the two-sample Kolmogorov-Smirnov distance of two sorted samples without NaN."""
    if len(before) == 0 or len(after) == 0:
        return 0.0 if len(before) == len(after) else 1.0
    largest = 0.0
    for points in (before, after):
        for start in range(0, len(points), 1 << 16):
            part = points[start : start + (1 << 16)]
            f = np.searchsorted(before, part, side="right") / len(before)
            g = np.searchsorted(after, part, side="right") / len(after)
            largest = max(largest, float(np.abs(f - g).max()))
    return largest


def pearson(m2_before: float, m2_after: float, squared_errors: float, total_error: float, count: int) -> float | None:
    """Return r from the second moments of both and of their difference; None where undefined.

    cov(x, y) = (var x + var y - var(y - x)) / 2, which loses no digits when the error is small.
    """
    if count < 2 or not 0.0 < m2_before < np.inf or not 0.0 < m2_after < np.inf:
        return None
    m2_error = max(0.0, squared_errors - total_error * (total_error / count))
    r = (m2_before + m2_after - m2_error) / (2.0 * float(np.sqrt(m2_before) * np.sqrt(m2_after)))
    return min(1.0, max(-1.0, r))


def ssim(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any]", value_range: float) -> float | None:
    """Return the mean SSIM over tiles (tiles, rows, columns); tiles with non-finite values are skipped.

    Wang et al. (2004) with a 7x7 uniform window, sample covariance, borders of 3 cropped: the
    figures of scikit-image's structural_similarity. None where no tile is at least 7x7 and finite.
    """
    if before.ndim != 3 or min(before.shape[1:]) < _WINDOW or value_range <= 0.0:
        return None
    total, count = 0.0, 0
    for start in range(0, len(before), 64):
        a = before[start : start + 64].astype(np.float64)
        b = after[start : start + 64].astype(np.float64)
        keep = np.isfinite(a).all(axis=(1, 2)) & np.isfinite(b).all(axis=(1, 2))
        if not keep.any():
            continue
        for value in _ssim_tiles(a[keep], b[keep], value_range):
            total += float(value)
            count += 1
    return total / count if count else None


def _ssim_tiles(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]", value_range: float) -> "np.ndarray[Any, Any]":
    centre = a.mean(axis=(1, 2), keepdims=True)
    x, y = a - centre, b - centre  # squares about the tile's mean keep their digits at any offset
    area = _WINDOW * _WINDOW
    correction = area / (area - 1)
    ux, uy = _window_mean(x), _window_mean(y)
    vx = correction * (_window_mean(x * x) - ux * ux)
    vy = correction * (_window_mean(y * y) - uy * uy)
    vxy = correction * (_window_mean(x * y) - ux * uy)
    ux, uy = ux + centre, uy + centre
    c1, c2 = (_K1 * value_range) * (_K1 * value_range), (_K2 * value_range) * (_K2 * value_range)
    s = ((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux * ux + uy * uy + c1) * (vx + vy + c2))
    return np.asarray(s.mean(axis=(1, 2)))


def _window_mean(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    rows = values[:, : values.shape[1] - _WINDOW + 1].copy()
    for k in range(1, _WINDOW):
        rows += values[:, k : values.shape[1] - _WINDOW + 1 + k]
    out = rows[:, :, : rows.shape[2] - _WINDOW + 1].copy()
    for k in range(1, _WINDOW):
        out += rows[:, :, k : rows.shape[2] - _WINDOW + 1 + k]
    return out / (_WINDOW * _WINDOW)


def noise_sigma(values: "np.ndarray[Any, Any]") -> float | None:
    """Return the noise of one stretch of consecutive values, None for under 9 finite ones.

    DER_SNR of Stoehr et al. (2008): 1.482602 / sqrt(6) times the median of |2 x_i - x_(i-2) - x_(i+2)|,
    which a smooth signal does not enter.
    """
    x = values.reshape(-1)
    x = x[np.isfinite(x)].astype(np.float64)
    if len(x) < 9:
        return None
    with np.errstate(over="ignore"):  # values near the largest float
        d = np.abs(2.0 * x[2:-2] - x[:-4] - x[4:])
    return 0.6052697 * float(np.partition(d, len(d) // 2)[len(d) // 2])


def lattice_unit(finite: "np.ndarray[Any, Any]", dtype: "np.dtype[Any]") -> float | None:
    """Return 10^-k (k = 0..6) if every value is a multiple of it to within the dtype's rounding, else None."""
    if len(finite) == 0:
        return None
    first = finite[:: max(1, len(finite) // 1024)]
    for power in range(7):
        scale = float(10**power)
        if not _on_lattice(first, scale, dtype):
            continue
        if _on_lattice(finite, scale, dtype):
            return 1.0 / scale
    return None


def _on_lattice(finite: "np.ndarray[Any, Any]", scale: float, dtype: "np.dtype[Any]") -> bool:
    """Tell whether values are k / scale, or k * (1 / scale), to within four roundings of their dtype."""
    with np.errstate(over="ignore"):
        nearest = np.rint(finite * scale)
    if float(np.abs(nearest).max()) > 2.0**45:
        return False
    room = 4.0 * float(np.finfo(dtype).eps) * np.abs(finite)
    return bool((np.abs(nearest / scale - finite) <= room).all())
