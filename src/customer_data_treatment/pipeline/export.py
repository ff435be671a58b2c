"""A package's data in formats that every tool reads: tables as Parquet, arrays as NetCDF, carried items as they were."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FacilityError
from ..model.dataset import TEXT, ArrayField, TableField
from ..package.layout import TABLES, chunk_shape
from ..package.opened import OpenedPackage

_BUDGET = 16 << 20


def export(opened: OpenedPackage, target: Path) -> Path:
    """Write a folder of NAME.parquet, arrays.nc and carried/; return it. Memory: 16 MiB and a chunk."""
    target.mkdir()
    for name, stem in opened.facts["tables"].items():
        shutil.copyfile(opened.folder / TABLES / f"{stem}.parquet", target / f"{stem}.parquet")
        assert isinstance(opened.dataset.field(name), TableField)
    arrays = [item for item in opened.dataset.fields if isinstance(item, ArrayField)]
    if arrays:
        _netcdf(opened, arrays, target / "arrays.nc")
    for item in opened.dataset.carried:
        path = target / "carried" / item.name.replace("/", "_")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(opened.carried(item.name))
    return target


def _netcdf(opened: OpenedPackage, arrays: list[ArrayField], path: Path) -> None:
    try:
        import netCDF4
    except ModuleNotFoundError as error:
        raise FacilityError(
            "writing NetCDF needs netCDF4, which is not installed",
            code="missing-extra",
            remedy="pip install 'customer-data-treatment[grids]'",
        ) from error
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        for array in arrays:
            _variable(opened, file, array)


def _variable(opened: OpenedPackage, file: Any, array: ArrayField) -> None:
    node = opened.facts["nodes"][array.name]
    dimensions = []
    for axis, length in enumerate(array.shape):
        name = f"{node.replace('/', '_')}_{axis}"
        file.createDimension(name, length)
        dimensions.append(name)
    dtype = array.numpy_dtype()
    parts = ("_real", "_imag") if dtype.kind == "c" else ("",)
    for part in parts:
        variable = file.createVariable(node + part, _stored(dtype, array.dtype), dimensions, fill_value=False)
        variable.set_auto_maskandscale(False)
        if array.units:
            variable.units = array.units
        if array.scale:
            variable.scale_factor, variable.add_offset = array.scale
        for box in _boxes(array):
            variable[box] = _values(opened.read(array.name, box), part)


def _stored(dtype: "np.dtype[Any]", word: str) -> Any:
    if word == TEXT:
        return str
    if dtype.kind == "c":
        return np.float32 if dtype.itemsize == 8 else np.float64
    return {"b": np.int8, "M": np.int64, "m": np.int64}.get(dtype.kind, np.float32 if dtype == np.float16 else dtype)


def _values(values: "np.ndarray[Any, Any]", part: str) -> "np.ndarray[Any, Any]":
    if values.dtype.kind == "c":
        return values.real if part == "_real" else values.imag
    if values.dtype == object:
        return np.where(values == None, "", values)  # noqa: E711  elementwise
    if values.dtype.kind in "mM":
        return values.view(np.int64)
    return values.view(np.int8) if values.dtype.kind == "b" else values


def _boxes(array: ArrayField) -> list[tuple[slice, ...]]:
    """Return boxes of about 16 MiB that tile the array in chunk order."""
    if not array.shape:
        return [()]
    if array.size == 0:
        return []
    size = 16 if array.dtype == TEXT else array.numpy_dtype().itemsize
    chunk = chunk_shape(array.shape, size, array.source_chunks, array.spatial_axes)
    boxes = []
    counts = [-(-n // c) for n, c in zip(array.shape, chunk, strict=True)]
    for cell in np.ndindex(*counts):
        boxes.append(tuple(slice(i * c, min(n, (i + 1) * c)) for i, c, n in zip(cell, chunk, array.shape, strict=True)))
    return boxes
