"""`auto` never flattens faint signal: a sky keeps its galaxies though stars a thousand times brighter stand beside them."""

from pathlib import Path

import numpy as np
import xarray as xr
from scipy import ndimage

from ..treating import saved, treated, verified

# The detector: Gaussian filter (sigma 1.5 px), background by the median, noise by the MAD, connected pixels above
# a threshold, at least 5 of them. A galaxy counts where its peak is at least MARGIN sigma above the threshold.
THRESHOLD, MARGIN, PIXELS = 5.0, 1.5, 5


def sky(size: int = 900) -> np.ndarray:
    rng = np.random.default_rng(5)
    image = rng.normal(100, 5, (size, size))
    y, x = np.mgrid[-12:13, -12:13]
    for _ in range(260):  # faint galaxies: a few sigma a pixel
        row, column = rng.integers(20, size - 20, 2)
        width, flux = rng.uniform(1.5, 3.0), rng.uniform(8, 40)
        image[row - 12 : row + 13, column - 12 : column + 13] += flux * np.exp(-(x**2 + y**2) / (2 * width**2))
    for _ in range(40):  # bright stars
        row, column = rng.integers(20, size - 20, 2)
        image[row - 12 : row + 13, column - 12 : column + 13] += 1e4 * np.exp(-(x**2 + y**2) / (2 * 1.3**2))
    return image.astype("f4")


def noise(image: np.ndarray) -> float:
    smooth = ndimage.gaussian_filter(image.astype("f8"), 1.5)
    return float(1.4826 * np.median(np.abs(smooth - np.median(smooth))))


def detected(image: np.ndarray, sigma: float | None = None) -> list[tuple[int, int, float]]:
    """Return (row, column, peak in sigma above the threshold) of every source."""
    smooth = ndimage.gaussian_filter(image.astype("f8"), 1.5)
    centre = np.median(smooth)
    sigma = sigma or noise(image)
    significance = (smooth - centre) / sigma
    labels, count = ndimage.label(significance > THRESHOLD)
    found = []
    for number, region in enumerate(ndimage.find_objects(labels), 1):
        inside = labels[region] == number
        if inside.sum() < PIXELS:
            continue
        peak = np.where(inside, significance[region], -np.inf)
        row, column = np.unravel_index(np.argmax(peak), peak.shape)
        found.append((region[0].start + row, region[1].start + column, float(peak.max() - THRESHOLD)))
    assert count
    return found


def matched(wanted: list[tuple[int, int, float]], among: list[tuple[int, int, float]]) -> int:
    clear = [s for s in wanted if s[2] >= MARGIN]
    return sum(any(abs(s[0] - o[0]) <= 2 and abs(s[1] - o[1]) <= 2 for o in among) for s in clear)


def test_auto_keeps_every_clear_galaxy(tmp_path: Path) -> None:
    image = sky()
    source = saved(tmp_path, image)
    summary = treated(source, tmp_path / "p", "auto")
    assert verified(tmp_path / "p", source).ok
    assert summary.fidelity >= 0.99
    assert summary.compression_ratio is not None and summary.compression_ratio < 0.5
    decoded = xr.open_zarr(tmp_path / "p/data/arrays.zarr")["array"].values
    before, after = detected(image), detected(decoded)
    assert sum(s[2] >= MARGIN for s in before) > 150  # the test would show a loss
    assert matched(before, after) == sum(s[2] >= MARGIN for s in before)
    assert matched(after, before) == sum(s[2] >= MARGIN for s in after)


def test_a_share_of_the_full_range_would_lose_them(tmp_path: Path) -> None:
    """Why fidelity is strict: an error of 0.5 % of the range keeps r high and loses the galaxies."""
    image = sky()
    source = saved(tmp_path, image)
    summary = treated(source, tmp_path / "p", "rel=5e-3")
    field = summary.body["fields"][0]
    assert field["fidelity"]["pearson"] > 0.99
    assert field["fidelity"]["ks"] < 0.9
    assert str(summary.level) == "NOT_CERTIFIED"
    decoded = xr.open_zarr(tmp_path / "p/data/arrays.zarr")["array"].values
    before = detected(image)
    assert matched(before, detected(decoded, noise(image))) < 0.9 * sum(s[2] >= MARGIN for s in before)
