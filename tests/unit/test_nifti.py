"""NIfTI against nibabel: values, restore, and what is wrong with bad files."""

import bz2
import gzip
import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats.detect import detect
from customer_data_treatment.formats.imaging.nifti import NIFTI
from customer_data_treatment.formats.imaging.nifti.header import NIFTI1
from customer_data_treatment.model.dataset import ArrayField
from tests.corpus_path import CORPUS
from tests.promises.formats import nifti as fixture
from tests.promises.harness import DirectPackage


def whole(decoder: Any, name: str = "data") -> "np.ndarray[Any, Any]":
    field = decoder.dataset.field(name)
    values: np.ndarray[Any, Any] = decoder.read(name, tuple(slice(0, n) for n in field.shape))
    return values


def broken(decoder: Any) -> set[str]:
    return {rule.name for rule in decoder.rules() if rule.violations}


def save(path: Path, values: "np.ndarray[Any, Any]", version: int = 1, endian: str = "<", **fields: Any) -> Path:
    kind = nib.Nifti2Image if version == 2 else nib.Nifti1Image
    header = kind.header_class(endianness=endian)
    header.set_data_dtype(values.dtype)
    image = kind(values, np.diag([2.0, 3.0, 4.0, 1.0]), header)
    image.header.set_slope_inter(1, 0)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


def patched(path: Path, **fields: Any) -> Path:
    data = bytearray(path.read_bytes())
    record = np.frombuffer(data, NIFTI1, 1)
    for name, value in fields.items():
        record[name] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nii.bz2"])
@pytest.mark.parametrize("kind", ["u1", "i2", "i4", "f4", "f8", "c8", "c16", "u8", "i1"])
def test_values_and_restore(tmp_path: Path, version: int, endian: str, suffix: str, kind: str) -> None:
    values = np.arange(2 * 3 * 4 * 2).reshape(2, 3, 4, 2).astype(endian + kind)
    path = save(tmp_path / f"a{suffix}", values, version, endian)
    assert detect(LocalSource(path)).name == "NIfTI"
    decoder = NIFTI.open(LocalSource(path))
    got = whole(decoder)
    assert got.dtype == values.dtype.newbyteorder("=") and got.flags.c_contiguous
    assert np.array_equal(got, values)
    assert not broken(decoder)
    NIFTI.write(DirectPackage(decoder), tmp_path / "back.nii")
    unpack = {".nii": bytes, ".nii.gz": gzip.decompress, ".nii.bz2": bz2.decompress}[suffix]
    assert (tmp_path / "back.nii").read_bytes() == unpack(path.read_bytes())
    decoder.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_box_in_any_order(tmp_path: Path, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    values = np.random.default_rng(0).integers(0, 1000, shape).astype("i2")
    suffix = data.draw(st.sampled_from([".nii", ".nii.gz"]))
    decoder = NIFTI.open(LocalSource(save(tmp_path / f"b{suffix}", values)))
    for _ in range(4):
        box = []
        for n in decoder.dataset.field("data").shape:
            a = data.draw(st.integers(0, n))
            box.append(slice(a, data.draw(st.integers(a, n))))
        assert np.array_equal(decoder.read("data", tuple(box)), values[tuple(box)])
    decoder.close()


def test_going_back_in_gzip_starts_from_a_kept_place(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 60000, (64, 64, 64, 12)).astype("u2")
    decoder = NIFTI.open(LocalSource(save(tmp_path / "c.nii.gz", values)))
    assert not decoder.dataset.random_access
    for t in reversed(range(12)):
        box = (slice(0, 64), slice(3, 60), slice(0, 64), slice(t, t + 1))
        assert np.array_equal(decoder.read("data", box), values[box])
    assert len(decoder._stream._places) > 3
    decoder.close()


def test_colour_and_long_double(tmp_path: Path) -> None:
    colour = np.zeros((3, 4, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["G"] = np.arange(24).reshape(3, 4, 2)
    decoder = NIFTI.open(LocalSource(save(tmp_path / "rgb.nii", colour)))
    got = whole(decoder)
    assert got.shape == (3, 4, 2, 3) and np.array_equal(got[..., 1], colour["G"]) and not got[..., 0].any()
    assert np.array_equal(decoder.read("data", np.s_[1:2, 0:4, 1:2, 1:3]), got[1:2, 0:4, 1:2, 1:3])
    NIFTI.write(DirectPackage(decoder), tmp_path / "back.nii")
    assert (tmp_path / "back.nii").read_bytes() == (tmp_path / "rgb.nii").read_bytes()
    long = patched(save(tmp_path / "long.nii", np.arange(8, dtype="c16").reshape(2, 2, 2)), datatype=1536)
    decoder = NIFTI.open(LocalSource(long))
    assert not decoder.dataset.fields and decoder.dataset.findings[0].code == "voxels-carried"
    NIFTI.write(DirectPackage(decoder), tmp_path / "back.nii")
    assert (tmp_path / "back.nii").read_bytes() == long.read_bytes()


def test_pair_as_file_and_as_folder(tmp_path: Path) -> None:
    values = np.arange(24, dtype="f4").reshape(2, 3, 4)
    nib.save(nib.Nifti1Pair(values, np.eye(4)), tmp_path / "p.hdr")
    for source in (LocalSource(tmp_path / "p.hdr"), LocalSource(tmp_path)):
        assert detect(source).name == "NIfTI"
        decoder = NIFTI.open(source)
        assert np.array_equal(whole(decoder), values)
        assert bool(decoder.dataset.findings) is not source.is_folder
        NIFTI.write(DirectPackage(decoder), tmp_path.parent / f"{tmp_path.name}.nii")
        back = nib.load(tmp_path.parent / f"{tmp_path.name}.nii")
        assert np.array_equal(np.asarray(back.dataobj), values) and np.array_equal(back.affine, np.eye(4))
    (tmp_path / "p.img").unlink()
    with pytest.raises(CustomerError) as caught:
        NIFTI.open(LocalSource(tmp_path / "p.hdr"))
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_bytes_after_the_voxels_are_kept_and_told(tmp_path: Path, suffix: str) -> None:
    plain = save(tmp_path / "a.nii", np.zeros((2, 2, 2), "i2")).read_bytes() + b"tail"
    path = tmp_path / f"t{suffix}"
    path.write_bytes(gzip.compress(plain) if suffix.endswith("gz") else plain)
    decoder = NIFTI.open(LocalSource(path))
    NIFTI.write(DirectPackage(decoder), tmp_path / "back.nii")
    assert (tmp_path / "back.nii").read_bytes() == plain
    assert broken(decoder) == {"nifti-length"}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"dim": [9, 2, 2, 2, 1, 1, 1, 1]}, "absurd-header"),
        ({"dim": [3, -2, 2, 2, 1, 1, 1, 1]}, "absurd-header"),
        ({"dim": [7, *[32767] * 7]}, "absurd-header"),
        ({"dim": [3, 200, 200, 200, 1, 1, 1, 1]}, "truncated"),
        ({"datatype": 1}, "unsupported-format"),
        ({"datatype": 7}, "unsupported-format"),
        ({"vox_offset": 0}, "corrupt"),
        ({"vox_offset": np.nan}, "corrupt"),
        ({"vox_offset": 1e30}, "corrupt"),
        ({"sizeof_hdr": 347}, "corrupt"),
        ({"magic": b"nix"}, "corrupt"),
    ],
)
def test_bad_headers_are_refused(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    path = patched(save(tmp_path / "a.nii", np.zeros((2, 2, 2), "i2")), **fields)
    with pytest.raises(CustomerError) as caught:
        NIFTI.open(LocalSource(path))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"bitpix": 8}, "bitpix"),
        ({"pixdim": [1, 0, 1, 1, 1, 1, 1, 1]}, "pixdim-positive"),
        ({"pixdim": [1, np.nan, 1, 1, 1, 1, 1, 1]}, "pixdim-positive"),
        ({"qform_code": 77}, "form-codes"),
        ({"qform_code": 1, "quatern": [1, 1, 1]}, "quaternion"),
        ({"qform_code": 1, "pixdim": [2, 1, 1, 1, 1, 1, 1, 1]}, "quaternion"),
        ({"srow": np.zeros((3, 4)), "sform_code": 1}, "sform-invertible"),
        ({"srow": [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]], "sform_code": 1}, "sform-invertible"),
        ({"srow": [[1, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]], "sform_code": 1}, "sform-orthogonal"),
        ({"scl_slope": 2, "scl_inter": np.inf}, "scaling-finite"),
        ({"xyzt_units": 7}, "units-known"),
        ({"cal_min": 5, "cal_max": 1}, "display-range"),
        ({"intent_code": 999}, "intent-known"),
        ({"slice_code": 99}, "slice-timing"),
        ({"qform_code": 0, "sform_code": 0}, "orientation-given"),
    ],
)
def test_breaches_are_counted(tmp_path: Path, fields: dict[str, Any], rule: str) -> None:
    path = patched(save(tmp_path / "a.nii", np.zeros((2, 2, 2), "i2")), **fields)
    assert f"nifti-{rule}" in broken(NIFTI.open(LocalSource(path)))


def test_every_cut_and_flip_ends_in_an_error_or_stays_readable(tmp_path: Path) -> None:
    good = fixture.make(tmp_path)
    plain = gzip.decompress(good.read_bytes())
    rng = np.random.default_rng(1)
    for number, data in enumerate((good.read_bytes(), plain)):
        path = tmp_path / f"x{number}.nii"
        for cut in rng.integers(1, len(data), 40):
            path.write_bytes(data[:cut])
            with pytest.raises(CdtError):
                decoder = NIFTI.open(LocalSource(path))
                whole(decoder)
                decoder.rules()
        for place in rng.integers(0, min(len(data), 500), 150):
            flipped = bytearray(data)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            try:
                decoder = NIFTI.open(LocalSource(path))
                for field in decoder.dataset.fields:
                    assert isinstance(field, ArrayField)
                    whole(decoder)
                decoder.rules()
            except CdtError:
                continue


def test_scale_is_a_fact(tmp_path: Path) -> None:
    path = patched(save(tmp_path / "a.nii", np.ones((2, 2), "i2")), scl_slope=0.5, scl_inter=-3)
    assert NIFTI.open(LocalSource(path)).dataset.field("data").scale == (0.5, -3.0)
    assert NIFTI.open(LocalSource(patched(path, scl_slope=0))).dataset.field("data").scale is None


@pytest.mark.skipif(CORPUS is None, reason="the corpus of real files is not on this machine")
def test_real_files(tmp_path: Path) -> None:
    assert CORPUS is not None
    files = [p for p in sorted((CORPUS / "imaging" / "nibabel").iterdir()) if ".nii" in p.suffixes]
    assert len(files) == 3
    for path in files:
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        decoder = NIFTI.open(LocalSource(copy))
        assert np.array_equal(whole(decoder), fixture.peer(copy)["data"])
        assert not broken(decoder) - {"nifti-forms-agree", "nifti-sform-pixdim"}
        decoder.close()
