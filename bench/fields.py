"""The fields that benchmarks run on: each at least 1 GiB of float32, written a plane at a time.

Two are simulations and say so; two are real images that ship with installed packages, repeated until
they are large enough (no compressor here looks back as far as one repetition).
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

EDGE = 1024


def climate() -> Iterator[np.ndarray]:
    """Simulated: smooth waves of 20 K with 0.5 K of noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:EDGE, 0:EDGE].astype("f4")
    i = 0
    while True:
        wave = 273 + 20 * np.sin(x / 180 + i / 50) * np.cos(y / 150)
        yield (wave + rng.normal(size=x.shape).astype("f4") * np.float32(0.5)).astype("f4")
        i += 1


def sky() -> Iterator[np.ndarray]:
    """Simulated: background 100 with noise 5, and stars of up to 10^4."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-8:9, -8:9]
    star = np.exp(-(x**2 + y**2) / 6.0)
    while True:
        image = rng.normal(100, 5, (EDGE, EDGE))
        for _ in range(60):
            row, column = rng.integers(9, EDGE - 9, 2)
            image[row - 8 : row + 9, column - 8 : column + 9] += rng.uniform(50, 1e4) * star
        yield image.astype("f4")


def _repeated(values: np.ndarray) -> Iterator[np.ndarray]:
    flat = np.ascontiguousarray(values, dtype="f4").reshape(-1)
    at = 0
    while True:
        index = (np.arange(EDGE * EDGE) + at) % flat.size
        yield flat[index].reshape(EDGE, EDGE)
        at = (at + EDGE * EDGE) % flat.size


def fmri() -> Iterator[np.ndarray]:
    """Real: the functional MRI that ships with nibabel, repeated."""
    import nibabel

    path = Path(nibabel.__file__).parent / "tests" / "data" / "example4d.nii.gz"
    return _repeated(np.asarray(nibabel.load(path).dataobj.get_unscaled()).T)


def m13() -> Iterator[np.ndarray]:
    """Real: the sky image of M 13 that ships with astropy, repeated."""
    import astropy
    from astropy.io import fits

    path = Path(astropy.__file__).parent / "io/fits/hdu/compressed/tests/data/m13.fits"
    return _repeated(fits.getdata(path))


FIELDS: dict[str, Callable[[], Iterator[np.ndarray]]] = {"climate": climate, "sky": sky, "fmri": fmri, "m13": m13}


def write(name: str, path: Path, gigabytes: float) -> None:
    """Write one field as NPY."""
    planes = int(gigabytes * (1 << 30)) // (EDGE * EDGE * 4)
    with path.open("wb") as file:
        shape = (planes, EDGE, EDGE)
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        for _, plane in zip(range(planes), FIELDS[name](), strict=False):
            file.write(plane.tobytes())
