"""NPY for the promise suite: a big-endian Fortran array with NaN, Inf and -0.0."""

from pathlib import Path
from typing import Any

import numpy as np


def make(folder: Path) -> Path:
    """Write one array whose layout and byte order are not this machine's."""
    values = np.linspace(-3, 3, 7 * 11 * 5).reshape(7, 11, 5)
    values[0, 0] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    path = folder / "größe.npy"
    np.save(path, np.asfortranarray(values.astype(">f8")))
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with numpy."""
    return {"array": np.load(path)}
