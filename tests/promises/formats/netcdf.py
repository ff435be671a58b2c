"""NetCDF for the promise suite: a netCDF-4 file with groups, user types and CF attributes."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np


def make(folder: Path) -> Path:
    """Write coordinates, packed and unlimited data, text, a group, an enum, a compound and a vlen."""
    path = folder / "größe.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.Conventions, file.title = "CF-1.11", "größe"
        file.setncattr_string("words", ["a", "bb"])
        for name, length in (
            ("time", None),
            ("lat", 4),
            ("lon", 6),
            ("nv", 2),
            ("letters", 5),
            ("lonely", 3),
        ):
            file.createDimension(name, length)
        _coordinates(file)
        _data(file)
        _types(file)
        inner = file.createGroup("forecast")
        inner.createDimension("lat", 3)
        inner.createVariable("rain", "f8", ("time", "lat"))[:] = np.arange(9.0).reshape(3, 3)
    return path


def _coordinates(file: netCDF4.Dataset) -> None:
    lat, lon = file.createVariable("lat", "f8", ("lat",)), file.createVariable("lon", "f4", ("lon",))
    lat[:], lon[:] = np.linspace(-60, 60, 4), np.arange(6)
    lat.units, lon.units, lat.bounds = "degrees_north", "degrees_east", "lat_bnds"
    bounds = file.createVariable("lat_bnds", "f8", ("lat", "nv"))
    bounds[:] = np.arange(8.0).reshape(4, 2)
    time = file.createVariable("time", "i4", ("time",))
    time[:], time.units, time.calendar = [0, 6, 12], "hours since 2000-01-01", "standard"


def _data(file: netCDF4.Dataset) -> None:
    packed = file.createVariable(
        "t2m", "i2", ("time", "lat", "lon"), zlib=True, fill_value=-32768, chunksizes=(1, 2, 6)
    )
    packed.set_auto_maskandscale(False)
    packed[:] = np.arange(72).reshape(3, 4, 6)
    packed[0, 0, 0] = -32768
    packed.setncatts({"scale_factor": 0.01, "add_offset": 273.15, "units": "K", "valid_range": np.array([0, 71], "i2")})
    wind = file.createVariable("wind", ">f4", ("time", "lat", "lon"), fill_value=np.float32(1e20), endian="big")
    values = np.linspace(-5, 5, 72, dtype="f4").reshape(3, 4, 6)
    values[1, 1] = [np.nan, np.inf, -np.inf, -0.0, 1e-44, 1e20]
    wind.set_auto_mask(False)
    wind[:], wind.standard_name = values, "wind_speed"
    quality = file.createVariable("quality", "u1", ("lat", "lon"))
    quality[:], quality.flag_values, quality.flag_meanings = 1, np.array([0, 1], "u1"), "bad good"
    names = file.createVariable("station", str, ("lat",))
    names[:] = np.array(["a", "größe", "", "日本"], dtype=object)
    letters = file.createVariable("letters_of", "S1", ("lat", "letters"))
    letters[:] = np.array([list("abcde"), list("fg\0\0\0"), list("hello"), list("\0\0\0\0\0")], "S1")
    file.createVariable("crs", "i4").grid_mapping_name = "latitude_longitude"
    file.createVariable("unwritten", "f8", ("lat",))
    file.createVariable("short", "f4", ("time", "lat"))[:2] = np.arange(8, dtype="f4").reshape(2, 4)
    file.createVariable("never", "i4", ("time",), fill_value=7)


def _types(file: netCDF4.Dataset) -> None:
    cloud = file.createEnumType(np.uint8, "cloud_t", {"clear": 0, "cumulus": 1})
    file.createVariable("cloud", cloud, ("lat",), fill_value=0)[:] = [0, 1, 1, 0]
    pair = file.createCompoundType(np.dtype([("u", "f4"), ("n", "i4")], align=True), "pair_t")
    rows = file.createVariable("pairs", pair, ("lat",))
    rows[:] = np.array([(1.5, 1), (2.5, 2), (-0.0, 3), (np.nan, 4)], pair.dtype)
    ragged = file.createVLType(np.int16, "ragged_t")
    lists = file.createVariable("lists", ragged, ("lat",))
    for at in range(4):
        lists[at] = np.arange(at + 1, dtype="i2")


def peer(path: Path) -> dict[str, Any]:
    """Read it with netCDF4, masks, scales and text conversion off."""
    found: dict[str, Any] = {}
    with netCDF4.Dataset(path) as file:
        _group(found, "", file)
    return found


def _group(found: dict[str, Any], prefix: str, group: Any) -> None:
    for name, variable in group.variables.items():
        variable.set_auto_maskandscale(False)
        variable.set_auto_chartostring(False)
        values = variable[...]
        if variable.dtype is str:
            found[prefix + name] = np.asarray(values, dtype=object)
        elif isinstance(variable.datatype, netCDF4.VLType):
            found[prefix + name] = {"values": [np.asarray(cell).tolist() for cell in values]}
        elif values.dtype.names:
            found[prefix + name] = {column: values[column].tolist() for column in values.dtype.names}
        elif values.dtype.kind == "S":
            texts = [cell.decode("latin-1") for cell in values.reshape(-1).tolist()]
            found[prefix + name] = np.array([*texts, None], dtype=object)[:-1].reshape(values.shape)
        else:
            found[prefix + name] = np.asarray(values).astype(values.dtype.newbyteorder("="))
    for name, child in group.groups.items():
        _group(found, f"{prefix}{name}/", child)
