"""NPY against numpy: values, boxes, restore byte for byte, and every way to be refused."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CustomerError
from customer_data_treatment.formats.grids.npy import NPY, NpyDecoder
from customer_data_treatment.model.dataset import ArrayField, TableField
from tests.corpus_path import CORPUS
from tests.promises.harness import DirectPackage

_NESTED = np.dtype(
    [
        ("id", ">i4"),
        ("pos", [("x", "<f4"), ("y", ">f8", (2, 3))]),
        ("name", "U5"),
        ("tag", "S4"),
        ("z", "c8"),
        ("v", "V3"),
    ]
)
_TIMES = np.dtype(
    [
        ("a", "M8[ns]"),
        ("b", "m8[s]"),
        ("c", "M8[15m]"),
        ("d", "m8[D]"),
        ("e", "M8[D]"),
        ("f", ">m8"),
    ]
)


def _nested() -> "np.ndarray[Any, Any]":
    out = np.zeros((2, 3), _NESTED)
    out["id"] = np.arange(6).reshape(2, 3)
    out["pos"]["x"] = np.nan
    out["pos"]["y"] = np.arange(36).reshape(2, 3, 2, 3)
    out["name"] = "añ\u4e2d"
    out["tag"] = b"\xff\x00a"
    out["z"] = [[complex(-0.0, np.inf)] * 3] * 2
    out["v"] = np.void(b"\x01\x00\x02")
    return out


def _times() -> "np.ndarray[Any, Any]":
    out = np.zeros(4, _TIMES)
    for name in _TIMES.names or ():
        out[name] = np.arange(4).astype(_TIMES[name])
        out[name][1] = np.array("NaT", _TIMES[name])
    return out


ARRAYS = {
    "big-endian": np.arange(24, dtype=">i4").reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(24, dtype="<f8").reshape(2, 3, 4)),
    "fortran-big": np.asfortranarray(np.arange(24, dtype=">f4").reshape(4, 6)),
    "0-d": np.array(-0.0),
    "empty": np.zeros((0, 3), "f4"),
    "empty-last": np.asfortranarray(np.zeros((3, 0), "f4")),
    "half": np.array([1.5, np.nan, -np.inf, 6e-8], "f2"),
    "complex": np.array([complex(np.nan, -0.0), complex(-np.inf, 3)], ">c16"),
    "bool": np.array([True, False]),
    "time": np.array(["NaT", "2020-01-01"], "M8[15m]"),
    "generic": np.array([np.timedelta64("NaT"), np.timedelta64(5)], ">m8"),
    "unicode": np.array([["a\0b", "ñ\u4e2d\U0001f600"], ["", "x\0"]], ">U6"),
    "bytes": np.array([b"a\0b", b"", "é".encode()], "S5"),
    "latin": np.array([b"\xe9", "é".encode(), b"ok"], "S5"),
    "nested": _nested(),
    "nested-fortran": np.asfortranarray(_nested()),
    "times": _times(),
    "aligned": np.array([(1, 2.5)], np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "longdouble": np.array([1.1, 2], np.longdouble),
    "void": np.array([b"abc", b"\0\0\1"], "V3"),
    "no-length": np.zeros(3, "S0"),
    "record-of-longdouble": np.zeros(2, [("a", "g"), ("b", "i4")]),
}


_OPENED: list[NpyDecoder] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def _open(path: Path) -> NpyDecoder:
    decoder = NPY.open(LocalSource(path))
    assert isinstance(decoder, NpyDecoder)
    _OPENED.append(decoder)
    return decoder


def _round_trip(path: Path, target: Path) -> NpyDecoder:
    decoder = _open(path)
    assert NPY.write is not None
    NPY.write(DirectPackage(decoder), target)
    assert target.read_bytes() == path.read_bytes()
    return decoder


@pytest.mark.parametrize("name", ARRAYS)
def test_values_equal_numpy_and_restore_is_byte_identical(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, ARRAYS[name])
    decoder = _round_trip(path, tmp_path / "b.npy")
    expected = np.load(path)
    if not decoder.dataset.fields:
        assert [f.code for f in decoder.dataset.findings] == ["carried-array"]
        assert b"".join(decoder.carried("array.npy")) == path.read_bytes()
        return
    field = decoder.dataset.fields[0]
    if isinstance(field, TableField):
        rows = [row for batch in decoder.batches("array") for row in batch.to_pylist()]
        assert len(rows) == expected.size == field.rows
        return
    values = decoder.read("array", tuple(slice(0, n) for n in field.shape))
    assert values.shape == expected.shape
    assert values.flags.c_contiguous
    if expected.dtype.kind == "S":
        encoding = field.attributes.get("encoding", "utf-8")
        expected = np.char.decode(expected, encoding)
    if expected.dtype.kind == "U":
        assert values.tolist() == expected.tolist()
    else:
        assert values.dtype == field.numpy_dtype()
        assert values.dtype.isnative
        assert values.tobytes() == expected.astype(values.dtype).tobytes()


def test_a_structured_array_is_a_table_of_its_records(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, _nested())
    table = _open(path)
    (batch,) = table.batches("array")
    assert batch.column("id").to_pylist() == list(range(6))
    assert batch.column("pos").field("y").to_pylist()[1] == _nested()["pos"]["y"][0, 1].tolist()
    assert batch.column("tag").to_pylist()[0] == b"\xff\x00a"
    np.save(path, _times())
    table = _open(path)
    (batch,) = table.batches("array")
    assert batch.column("a").to_pylist()[1] is None
    assert batch.column("c").to_pylist()[2] == 2
    units = {c.name: c.units for c in table.dataset.fields[0].columns}  # type: ignore[union-attr]
    assert units == {
        "a": None, "b": None, "c": "datetime64[15m]", "d": "days", "e": "days since 1970-01-01", "f": "timedelta64"
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_boxes_are_the_slices_that_numpy_takes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    dtype = data.draw(
        hnp.scalar_dtypes().filter(lambda d: d.itemsize > 0 and (d.kind, d.itemsize) not in (("f", 16), ("c", 32)))
    )
    array = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
    if data.draw(st.booleans()):
        array = np.asfortranarray(array)
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, array)
    decoder = _round_trip(path, path.with_name("b.npy"))
    field = decoder.dataset.fields[0]
    assert isinstance(field, ArrayField)
    box = []
    for n in array.shape:
        start = data.draw(st.integers(0, n))
        box.append(slice(start, data.draw(st.integers(start, n))))
    values = decoder.read("array", tuple(box))
    expected = np.load(path)[tuple(box)]
    assert values.tobytes() == np.ascontiguousarray(expected).astype(values.dtype).tobytes()
    assert values.shape == expected.shape


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_header_version(version: tuple[int, int], tmp_path: Path) -> None:
    name = "Größe" if version == (3, 0) else "size"
    array = np.array([(1,)], [(name, "<i4")])
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        np.lib.format.write_array(file, array, version=version)
    decoder = _round_trip(path, tmp_path / "b.npy")
    assert decoder.dataset.fields[0].schema.names == [name]  # type: ignore[union-attr]


def _raw(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() + b"\n"
    length = struct.pack("<H", len(text)) if version == b"\x01\x00" else struct.pack("<I", len(text))
    return b"\x93NUMPY" + version + length + text + data


def test_headers_of_python_2_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(_raw("{'descr': '<i4', 'fortran_order': False, 'shape': (2L,), }", bytes(8)))
    assert _round_trip(path, tmp_path / "b.npy").dataset.fields[0].shape == (2,)  # type: ignore[union-attr]


def _said(descr: str, shape: str) -> bytes:
    return _raw(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", bytes(8))


BAD = {
    "trailing": (_said("'<i4'", "(1,)"), "corrupt"),
    "truncated": (_said("'<i4'", "(3,)"), "truncated"),
    "absurd": (_said("'<i4'", "(10**18,)".replace("10**18", str(10**18))), "truncated"),
    "beyond": (_said("'<i4'", f"({10**18}, {10**18})"), "absurd-header"),
    "beyond-zero": (_said("'<i4'", f"(0, {10**30})"), "absurd-header"),
    "negative": (_said("'<i4'", "(-1,)"), "absurd-header"),
    "no tuple": (_said("'<i4'", "[2]"), "corrupt"),
    "bool": (_said("'<i4'", "(True,)"), "corrupt"),
    "axes": (_said("'<i8'", "(" + "1," * 99 + ")"), "absurd-header"),
    "pickle": (_said("'|O'", "(1,)"), "unsupported-format"),
    "no dtype": (_said("'nonsense'", "(1,)"), "corrupt"),
    "call": (_said("__import__('os')", "(1,)"), "corrupt"),
    "deep": (_said("[" * 5000 + "]" * 5000, "(1,)"), "corrupt"),
    "version": (b"\x93NUMPY\x09\x00" + bytes(40), "corrupt"),
    "long header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(40), "absurd-header"),
    "short": (b"\x93NUMPY\x01\x00\x76", "truncated"),
    "cut header": (b"\x93NUMPY\x01\x00\x76\x00{'descr'", "truncated"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_by_what_is_wrong(name: str, tmp_path: Path) -> None:
    content, code = BAD[name]
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(CustomerError) as caught:
        _open(path)
    assert caught.value.code == code


def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for values in (np.array([0x110000], "<u4"), np.array([0xD800], "<u4")):
        path.write_bytes(
            _raw(
                "{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}",
                values.tobytes(),
            )
        )
        with pytest.raises(CustomerError, match="Unicode"):
            _open(path).read("array", (slice(0, 1),))


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not on this machine")
def test_the_corpus_restores_byte_for_byte(tmp_path: Path) -> None:
    assert CORPUS is not None
    paths = sorted(CORPUS.rglob("*.npy"))
    assert len(paths) >= 17
    for path in paths:
        _round_trip(path, tmp_path / "b.npy")
