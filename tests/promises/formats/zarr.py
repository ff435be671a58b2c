"""Zarr for the promise suite: a version 2 hierarchy with what zarr-python and numcodecs offer."""

from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pyarrow as pa
import zarr

_RECORD = np.dtype([("id", "<i4"), ("flux", ">f8"), ("name", "<U3")])


def make(folder: Path) -> Path:
    """Write groups, several dtypes and codecs, absent chunks, a structured array and attributes."""
    path = folder / "rich.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.attrs.update({"title": "größe", "numbers": [1, 2.5, None]})
    field = root.create_array(
        "grid/field",
        shape=(10, 12),
        chunks=(4, 5),
        dtype=">f4",
        fill_value=np.nan,
        order="F",
    )
    field[:5] = np.arange(60).reshape(5, 12)
    field[0, :4] = [np.inf, -np.inf, -0.0, np.nan]
    field.attrs.update({"units": "K", "_ARRAY_DIMENSIONS": ["lat", "lon"]})
    filters = [numcodecs.Delta(dtype="<i8"), numcodecs.Shuffle(8)]
    steps = root.create_array(
        "grid/steps",
        shape=(50,),
        chunks=(7,),
        dtype="i8",
        filters=filters,
        compressors=numcodecs.Zlib(1),
    )
    steps[:] = np.arange(50) ** 3
    root.create_array("when", shape=(3,), chunks=(2,), dtype="M8[ms]")[:] = np.array(
        ["NaT", "2020-02-29", "1969"], "M8[ms]"
    )
    names = root.create_array("names", shape=(2, 2), chunks=(1, 2), dtype=str)
    names[:] = np.array([["a", "日本"], ["", "z"]], object)
    root.create_array("scalar", shape=(), dtype="c16")[...] = 1 + 2j
    records = root.create_array("records", shape=(2, 3), chunks=(1, 2), dtype=_RECORD)
    records[:] = np.array([(i, i / 2, f"n{i}") for i in range(6)], _RECORD).reshape(2, 3)
    return path


def peer(path: Path) -> dict[str, Any]:
    """Read it with zarr-python."""
    root = zarr.open_group(path, mode="r")
    out: dict[str, Any] = {}
    for name in ("grid/field", "grid/steps", "names", "records", "scalar", "when"):
        values = np.asarray(root[name][...])
        if values.dtype.names:
            flat = values.reshape(-1)
            out[name] = pa.table({member: pa.array(flat[member].tolist()) for member in values.dtype.names})
        else:
            out[name] = (
                values.astype(object) if values.dtype.kind == "T" else values.astype(values.dtype.newbyteorder("="))
            )
    return out
