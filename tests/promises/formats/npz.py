"""NPZ for the promise suite: several dtypes, a structured array and text in one compressed archive."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa


def make(folder: Path) -> Path:
    """Write an archive of members that differ in kind."""
    records = np.array(
        [(1, 2.5, "ñ"), (2, np.nan, "")],
        [("id", "<i4"), ("flux", ">f8"), ("name", "<U3")],
    )
    path = folder / "mixed.npz"
    np.savez_compressed(
        path,
        cube=np.asfortranarray(np.arange(60, dtype=">i2").reshape(3, 4, 5)),
        signal=np.array([np.nan, -0.0, np.inf, 1.5], "f4"),
        when=np.array(["2020-02-29", "NaT"], "M8[s]"),
        names=np.array([["a", "日本"], ["", "z"]]),
        scalar=np.array(3 + 4j),
        records=records,
    )
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with numpy."""
    with np.load(path) as archive:
        members = {name: archive[name] for name in archive.files}
    records = members.pop("records")
    members["records"] = pa.table({name: pa.array(records[name].tolist()) for name in records.dtype.names})
    return members
