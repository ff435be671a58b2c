"""HDF5 for the promise suite: every kind of dataset, link and attribute in one small file."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5t


def make(folder: Path) -> Path:
    """Write arrays, text, tables, lists, references, links of all kinds, scales and a user block."""
    path = folder / "größe.h5"
    with h5py.File(path, "w", track_order=True, userblock_size=512) as file:
        _arrays(file)
        _text(file)
        _tables(file)
        _kept(file)
        _links_and_attributes(file)
    with path.open("r+b") as block:
        block.write(b"MATLAB-like preamble".ljust(512, b" "))
    return path


def _arrays(file: h5py.File) -> None:
    numbers = file.create_group("Zahlen")
    values = np.linspace(-3, 3, 7 * 11 * 5, dtype=">f8").reshape(7, 11, 5)
    values[0, 0] = [np.nan, np.inf, -np.inf, -0.0, 5e-324]
    numbers.create_dataset(
        "big_endian", data=values, chunks=(3, 4, 5), compression="gzip", shuffle=True, fletcher32=True
    )
    for word in (
        "int8",
        "uint16",
        "int64",
        "uint64",
        "float16",
        "float32",
        "complex64",
        "complex128",
        "bool",
    ):
        numbers[word] = np.arange(6).reshape(2, 3).astype(word)
    numbers["int64"][0, 0] = -(2**63)
    numbers["scalar"] = np.float32(2.5)
    numbers["empty"] = np.zeros((0, 4), "f4")
    numbers["nothing"] = h5py.Empty("f8")
    numbers.create_dataset("unlimited", data=np.arange(10), maxshape=(None,), chunks=(4,))
    numbers.create_dataset("sparse", shape=(1000, 1000), dtype="f4", chunks=(100, 100), fillvalue=-9999)
    numbers["sparse"][5:7, 5:9] = 1.25
    numbers.create_dataset("colour", data=[0, 2, 1], dtype=h5py.enum_dtype({"red": 0, "sky blue": 1, "green": 2}, "i1"))
    numbers.create_dataset("matrices", (4,), np.dtype(("f8", (2, 3))))[...] = np.arange(24.0).reshape(4, 2, 3)
    numbers.create_dataset("bits", data=np.arange(5, dtype="u1"), dtype="u1")
    stamps = np.array(["2020-01-01", "1969-12-31T23:59:59", "NaT"], "M8[ns]")
    numbers.create_dataset("stamps", data=stamps.astype(h5py.opaque_dtype(stamps.dtype)))


def _text(file: h5py.File) -> None:
    text = file.create_group("text")
    text.create_dataset("vlen", data=["a", "", "größe", "日本"], dtype=h5py.string_dtype())
    text.create_dataset("ascii", data=np.array([b"full", b"x", b""], "S4"))
    text.create_dataset("scalar", data="one", dtype=h5py.string_dtype())
    text.create_dataset("characters", data=np.array([[b"a", b"\xe9"], [b"", b"z"]], "S1"))
    text.create_dataset("not_utf8", data=np.array([b"\xe9t\xe9", b"\xc3\xa9t\xc3\xa9"], "S8"))
    kind = h5t.C_S1.copy()
    kind.set_size(6)
    kind.set_strpad(h5t.STR_SPACEPAD)
    padded = h5py.h5d.create(text.id, b"blank_padded", kind, h5py.h5s.create_simple((2,)))
    h5py.Dataset(padded)[...] = np.array([b"ab", b"abcdef"], "S6")


def _tables(file: h5py.File) -> None:
    tables = file.create_group("tables")
    record = np.dtype([("id", "i4"), ("μ", ">f8"), ("name", "S4"), ("pos", "f4", (3,)), ("z", "c16"), ("ok", "?")])
    rows = np.zeros(5, record)
    rows["id"], rows["μ"], rows["name"] = (
        np.arange(5),
        [1.5, np.nan, -0.0, np.inf, 2],
        [b"full", b"b", b"", b"dd", b"e"],
    )
    rows["pos"], rows["z"], rows["ok"] = np.arange(15).reshape(5, 3), 1 + 2j, [True, False, True, False, True]
    tables.create_dataset("records", data=rows, chunks=(2,), compression="gzip")
    tables.create_dataset("grid", data=np.resize(rows, 6).reshape(2, 3)[["id", "μ"]])
    mixed = np.dtype([("word", h5py.string_dtype()), ("values", h5py.vlen_dtype("i2")), ("x", "f8")])
    some = np.zeros(3, mixed)
    some["word"], some["x"] = ["a", "größe", ""], [1.0, 2.0, np.nan]
    some["values"] = [np.array([1, 2], "i2"), np.array([], "i2"), np.array([3], "i2")]
    tables.create_dataset("mixed", data=some)
    ragged = tables.create_dataset("ragged", (2, 2), dtype=h5py.vlen_dtype("f4"))
    for at, place in enumerate(np.ndindex(2, 2)):
        ragged[place] = np.arange(at, dtype="f4")
    tables["no_rows"] = np.zeros(0, record)


def _kept(file: h5py.File) -> None:
    kept = file.create_group("kept")
    kept["long"] = np.linspace(0, 1, 4, dtype=np.longdouble)
    kept["opaque"] = np.array([b"\x00\x01\x02", b"\xff\x00\xfe"], "V3")
    kept.create_dataset("objects", (3,), dtype=h5py.ref_dtype)
    kept["objects"][0], kept["objects"][1] = file["Zahlen/int8"].ref, file["text"].ref
    kept.create_dataset("regions", (2,), dtype=h5py.regionref_dtype)
    kept["regions"][0] = file["Zahlen/big_endian"].regionref[1:3, 2:5, 0]


def _links_and_attributes(file: h5py.File) -> None:
    links = file.create_group("links")
    links["hard"] = file["Zahlen/int8"]
    links["up"] = file["links"]
    links["soft"], links["dangling"] = h5py.SoftLink("/Zahlen/float32"), h5py.SoftLink("/nowhere")
    links["loop"] = h5py.SoftLink("/links/loop")
    links["outside"] = h5py.ExternalLink("/etc/passwd.h5", "/x")
    file["named_type"] = np.dtype([("a", "i4"), ("b", "f8")])
    links.create_dataset("of_named_type", data=np.zeros(2, file["named_type"].dtype), dtype=file["named_type"])
    grid = file.create_group("grid")
    grid["lat"], grid["lon"] = np.linspace(-90, 90, 4), np.arange(6.0)
    grid["lat"].make_scale("lat")
    grid["lon"].make_scale("lon")
    grid["lat"].attrs["units"], grid["lon"].attrs["units"] = "degrees_north", "degrees_east"
    field = grid.create_dataset("temperature", data=np.arange(24, dtype="i2").reshape(4, 6))
    field.dims[0].attach_scale(grid["lat"])
    field.dims[1].attach_scale(grid["lon"])
    field.attrs.update({"scale_factor": 0.1, "add_offset": 273.15, "units": "K", "valid_min": np.int16(0)})
    field.attrs["_FillValue"] = np.int16(-1)
    file.attrs["title"], file.attrs["größe"] = "ä title", np.arange(3, dtype=">i4")
    file.attrs["bytes"], file.attrs["words"] = np.bytes_(b"abc"), ["x", "yy"]
    file.attrs["empty"], file.attrs["nan"] = h5py.Empty("f4"), np.float32("nan")
    file.attrs["reference"] = file["grid/lat"].ref
    file.attrs.create("ragged", [np.arange(2), np.arange(3)], (2,), dtype=h5py.vlen_dtype("i4"))


def peer(path: Path) -> dict[str, Any]:
    """Read it with h5py alone."""
    found: dict[str, Any] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: _peer_one(found, name, item))
    return found


def _peer_one(found: dict[str, Any], name: str, item: Any) -> None:
    if not isinstance(item, h5py.Dataset) or name.startswith("kept/"):
        return
    if item.shape is None:
        found[name] = np.zeros(0, np.uint8)
    elif item.dtype.names:
        values = item[()].reshape(-1)
        found[name] = {column: [_plain(cell) for cell in values[column]] for column in item.dtype.names}
    elif h5py.check_vlen_dtype(item.dtype) not in (None, str, bytes):
        found[name] = {"values": [cell.tolist() for cell in item[()].reshape(-1)]}
    elif item.dtype.kind in "SO":
        values = np.asarray(item[()])
        texts = [cell.decode("latin-1" if _latin(cell) else "utf-8") for cell in values.reshape(-1).tolist()]
        found[name] = np.array([*texts, None], dtype=object)[:-1].reshape(values.shape)
    else:
        values = np.asarray(item[()])
        found[name] = values.astype(values.dtype.newbyteorder("="))


def _latin(cell: bytes) -> bool:
    try:
        cell.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False


def _plain(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode("utf-8")
    if isinstance(cell, (complex, np.complexfloating)):
        return {"re": float(cell.real), "im": float(cell.imag)}
    return cell.tolist() if isinstance(cell, (np.ndarray, np.generic)) else cell
