"""NPZ against numpy: members by box, both ways of lying, CRC, and every way to be refused."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats.grids.npz import NPZ, NpzDecoder
from customer_data_treatment.model.dataset import ArrayField
from tests.promises.formats import npz as mixed
from tests.promises.harness import DirectPackage

assert NPZ.write is not None
write = NPZ.write
_OPENED: list[NpzDecoder] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def _open(path: Path) -> NpzDecoder:
    decoder = NPZ.open(LocalSource(path))
    assert isinstance(decoder, NpzDecoder)
    _OPENED.append(decoder)
    return decoder


def _same(a: Path, b: Path) -> None:
    with np.load(a) as one, np.load(b) as other:
        assert one.files == other.files
        for name in one.files:
            assert one[name].dtype == other[name].dtype
            assert one[name].tobytes() == other[name].tobytes()
            assert one[name].flags.f_contiguous == other[name].flags.f_contiguous


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_members_equal_numpy_and_restore(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with np.load(mixed.make(tmp_path)) as archive:
        save(
            path,
            **{name: archive[name] for name in archive.files},
            **{"sub/dir": np.arange(3), "b": np.array([b"\xe9"])},
        )
    decoder = _open(path)
    with np.load(path) as archive:
        for field in decoder.dataset.fields:
            expected = archive[field.name]
            if not isinstance(field, ArrayField):
                assert sum(batch.num_rows for batch in decoder.batches(field.name)) == expected.size
                continue
            values = decoder.read(field.name, tuple(slice(0, n) for n in field.shape))
            if expected.dtype.kind in "US":
                decoded = np.char.decode(expected, "latin-1") if expected.dtype.kind == "S" else expected
                assert values.tolist() == decoded.tolist()
            else:
                assert values.tobytes() == expected.astype(values.dtype).tobytes()
    assert all(rule.violations == 0 for rule in decoder.rules())
    write(DirectPackage(decoder), tmp_path / "b.npz")
    _same(path, tmp_path / "b.npz")
    assert decoder.dataset.random_access == (save is np.savez)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_boxes_in_any_order(save: Any, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(40, 30, 20))
    path = tmp_path / "a.npz"
    save(path, v=values, f=np.asfortranarray(values))
    decoder = _open(path)
    generator = np.random.default_rng(1)
    for _ in range(60):
        box = []
        for n in values.shape:
            a, b = sorted(generator.integers(0, n + 1, 2).tolist())
            box.append(slice(a, b))
        for name in "vf":
            assert np.array_equal(decoder.read(name, tuple(box)), values[tuple(box)])
    unpacked = [member._spool is not None for member in decoder._archive.members.values()]
    assert unpacked == [save is np.savez_compressed] * 2  # going back again and again was not paid for each time


def test_pickles_and_other_members_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(
        path,
        ok=np.arange(3),
        objects=np.array([{"a": 1}], object),
        long=np.zeros(2, np.longdouble),
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("note.txt", "hello")
    decoder = _open(path)
    assert [field.name for field in decoder.dataset.fields] == ["ok"]
    assert len(decoder.dataset.findings) == 3
    write(DirectPackage(decoder), tmp_path / "b.npz")
    with zipfile.ZipFile(path) as one, zipfile.ZipFile(tmp_path / "b.npz") as other:
        assert {n: one.read(n) for n in one.namelist()} == {n: other.read(n) for n in other.namelist()}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hidden_members_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for value in (1, 2):
            buffer = io.BytesIO()
            np.save(buffer, np.array(value))
            archive.writestr("a.npy", buffer.getvalue())
    decoder = _open(path)
    assert decoder.read("a", ()).item() == 2
    assert [item.name for item in decoder.dataset.carried][1:] == ["shadowed-1/a.npy"]


def test_damage_names_the_member(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for save in (np.savez, np.savez_compressed):
        save(path, v=np.arange(5000), w=np.arange(3))
        data = bytearray(path.read_bytes())
        data[300] ^= 4
        path.write_bytes(data)
        with pytest.raises(CustomerError, match=r"v\.npy") as caught:
            _read_all(path)
        assert caught.value.code == "corrupt"
        path.write_bytes(bytes(data[:-30]))
        with pytest.raises(CustomerError) as caught:
            _open(path)
        assert caught.value.code == "truncated"


def _read_all(path: Path) -> None:
    decoder = _open(path)
    try:
        for field in decoder.dataset.fields:
            if isinstance(field, ArrayField):
                decoder.read(field.name, tuple(slice(0, n) for n in field.shape))
            else:
                list(decoder.batches(field.name))
        for item in decoder.dataset.carried:
            list(decoder.carried(item.name))
        decoder.rules()
    except CustomerError as error:
        raise type(error)(error.line(), code=error.code) from error


def test_claims_that_cannot_be_true_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, v=np.zeros(10))
    header = (
        b"\x93NUMPY\x01\x00\x46\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,)}".ljust(69)
        + b"\n"
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v.npy", header + bytes(80))
    with pytest.raises(CustomerError) as caught:
        _open(path)
    assert caught.value.code == "truncated"
    data = path.read_bytes()
    at = data.index(b"PK\x01\x02")
    huge = data[: at + 24] + (1 << 31).to_bytes(4, "little") + data[at + 28 :]
    path.write_bytes(huge)
    with pytest.raises(CustomerError) as caught:
        _open(path)
    assert caught.value.code == "absurd-header"
    path.write_bytes(data[: at + 8] + b"\x01" + data[at + 9 :])
    with pytest.raises(CustomerError, match="encrypted"):
        _open(path)
    path.write_bytes(data[: at + 10] + b"\x63" + data[at + 11 :])
    with pytest.raises(CustomerError, match="method 99"):
        _open(path)


def test_random_damage_ends_in_our_errors_or_a_reading(tmp_path: Path) -> None:
    data = mixed.make(tmp_path).read_bytes()
    path = tmp_path / "hurt.npz"
    generator = np.random.default_rng(2)
    for _ in range(150):
        hurt = bytearray(data)
        for at in generator.integers(0, len(data), 3):
            hurt[at] ^= 1 << generator.integers(0, 8)
        path.write_bytes(hurt)
        try:
            _read_all(path)
        except CdtError:
            continue
