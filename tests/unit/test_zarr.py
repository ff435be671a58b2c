"""Zarr against zarr-python, xarray and anndata: values, restore, and every way to be refused."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats.grids.zarr import ZARR
from customer_data_treatment.formats.grids.zarr.decoder import ZarrDecoder
from customer_data_treatment.model.dataset import ArrayField, TableField
from customer_data_treatment.vocabulary import DataModalityType, Role
from tests.corpus_path import CORPUS
from tests.promises.formats import zarr as rich
from tests.promises.harness import DirectPackage

pytestmark = [
    pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning"),
    pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
assert ZARR.write is not None
write = ZARR.write
_OPENED: list[ZarrDecoder] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def _open(path: Path) -> ZarrDecoder:
    decoder = ZARR.open(LocalSource(path))
    assert isinstance(decoder, ZarrDecoder)
    _OPENED.append(decoder)
    return decoder


def _whole(decoder: ZarrDecoder, name: str) -> "np.ndarray[Any, Any]":
    field = decoder.dataset.field(name)
    assert isinstance(field, ArrayField)
    values = decoder.read(name, tuple(slice(0, n) for n in field.shape))
    assert values.dtype == field.numpy_dtype()
    return values


def _read_all(path: Path) -> None:
    decoder = _open(path)
    for field in decoder.dataset.fields:
        if isinstance(field, ArrayField):
            _whole(decoder, field.name)
        else:
            list(decoder.batches(field.name))
    for item in decoder.dataset.carried:
        list(decoder.carried(item.name))
    decoder.rules()


def _restore(path: Path, target: Path) -> Path:
    write(DirectPackage(_open(path)), target)
    return target


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _zip(folder: Path, target: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in sorted(_files(folder).items()):
            archive.writestr(prefix + name, data)
    return target


def test_a_rich_hierarchy_equals_zarrs_reading_and_restores(tmp_path: Path) -> None:
    path = rich.make(tmp_path)
    expected = rich.peer(path)
    restored = _restore(path, tmp_path / "back.zarr")
    assert _files(restored).keys() == _files(path).keys()
    for one in (path, restored):
        decoder = _open(one)
        assert sorted(field.name for field in decoder.dataset.fields) == sorted(expected)
        for name, values in expected.items():
            if isinstance(values, np.ndarray):
                ours = _whole(decoder, name)
                assert ours.tolist() == values.tolist() if ours.dtype == object else ours.tobytes() == values.tobytes()
            else:
                rows = [row for batch in decoder.batches(name) for row in batch.to_pylist()]
                assert rows == values.to_pylist()
    field = _open(path).dataset.field("grid/field")
    assert isinstance(field, ArrayField)
    assert (field.units, field.dimensions, field.spatial_axes) == (
        "K",
        ("lat", "lon"),
        (0, 1),
    )
    assert _open(path).dataset.groups[""]["title"] == "größe"


def _version_3(path: Path) -> None:
    root = zarr.open_group(path, mode="w", zarr_format=3)
    sharded = root.create_array(
        "sharded",
        shape=(20, 18),
        chunks=(4, 3),
        shards=(8, 9),
        dtype="f4",
        dimension_names=["y", "x"],
        fill_value=-1,
    )
    sharded[:9] = np.arange(9 * 18).reshape(9, 18)
    sharded[9, :4] = [np.nan, -0.0, np.inf, -1]
    for kind in ("i1", "u8", "bool", "c8", "f2", "M8[15m]", "m8[s]", "U4", "S3"):
        values = np.arange(7) % 2 if kind == "bool" else np.arange(7)
        array = root.create_array(
            f"kinds/{kind.replace('[', '_').replace(']', '')}",
            shape=(7,),
            chunks=(3,),
            dtype=kind,
        )
        array[:] = values.astype(kind)
    root.create_array("text", shape=(3,), chunks=(2,), dtype=str)[:] = np.array(["ñ", "", "日本"], object)
    root.create_array("latin", shape=(3,), chunks=(2,), dtype="S2")[:] = np.array([b"\xe9", "é".encode(), b""], "S2")
    root.create_array("void", shape=(3,), chunks=(2,), dtype="V4")[:] = np.array([b"abcd", b"efgh", b"ijkl"], "V4")
    root.create_array("empty", shape=(0, 3), chunks=(1, 3), dtype="f8")
    root.create_array("unwritten", shape=(5,), chunks=(2,), dtype="f8", fill_value=7.5)
    negative = root.create_array("zeros", shape=(4,), chunks=(2,), dtype="f8")
    negative[:] = [-0.0, 0.0, 0.0, 0.0]
    zarr.consolidate_metadata(path)


@pytest.mark.parametrize("packed", [False, True])
def test_version_3_with_shards_text_and_consolidated_metadata(packed: bool, tmp_path: Path) -> None:
    folder = tmp_path / "v3.zarr"
    _version_3(folder)
    path = _zip(folder, tmp_path / "v3.zarr.zip", "in/side/") if packed else folder
    decoder = _open(path)
    root = zarr.open_group(folder, mode="r")
    for field in decoder.dataset.fields:
        theirs, ours = np.asarray(root[field.name][...]), _whole(decoder, field.name)
        if theirs.dtype.kind == "S":
            theirs = np.char.decode(theirs, "latin-1" if field.name == "latin" else "utf-8")
        assert ours.tolist() == theirs.tolist() if ours.dtype == object else ours.tobytes() == theirs.tobytes()
    sharded = decoder.dataset.field("sharded")
    assert isinstance(sharded, ArrayField)
    assert sharded.source_chunks == (4, 3)
    codes = [f.code for f in decoder.dataset.findings]
    assert (codes.count("carried-array"), codes.count("absent-chunks")) == (1, 5)
    assert not any(rule.violations for rule in decoder.rules())
    target = _restore(path, tmp_path / ("back.zarr.zip" if packed else "back.zarr"))
    if packed:
        with zipfile.ZipFile(path) as one, zipfile.ZipFile(target) as other:
            assert sorted(one.namelist()) == sorted(other.namelist())
            other.extractall(tmp_path / "out")
        target = tmp_path / "out" / "in" / "side"
    back = zarr.open_group(target, mode="r")
    for name, _ in root.members(max_depth=None):
        if isinstance(root[name], zarr.Array):
            assert np.asarray(root[name][...]).tobytes() == np.asarray(back[name][...]).tobytes() or name == "text"
    assert back["text"][:].tolist() == ["ñ", "", "日本"]
    assert _files(target).keys() == _files(folder).keys()


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_boxes_are_the_slices_that_zarr_takes(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    shape = tuple(data.draw(st.lists(st.integers(0, 9), max_size=3)))
    chunks = tuple(data.draw(st.integers(1, 5)) for _ in shape)
    version: Any = data.draw(st.sampled_from([2, 3]))
    path = tmp_path_factory.mktemp("zarr") / "a.zarr"
    values = np.random.default_rng(0).normal(size=shape).astype(data.draw(st.sampled_from([">f8", "<i2", "<c8"])))
    layout: Any = {"order": data.draw(st.sampled_from("CF"))} if version == 2 else {}
    array: Any = zarr.create_array(path, shape=shape, chunks=chunks, dtype=values.dtype, zarr_format=version, **layout)
    if values.size:
        array[...] = values
    decoder = _open(path)
    box = []
    for n in shape:
        start = data.draw(st.integers(0, n))
        box.append(slice(start, data.draw(st.integers(start, n))))
    ours = decoder.read("array", tuple(box))
    expected = values[tuple(box)]
    assert ours.shape == expected.shape
    assert ours.tobytes() == np.ascontiguousarray(expected).astype(ours.dtype).tobytes()
    target = _restore(path, path.with_name("b.zarr"))
    assert np.array_equal(zarr.open_array(target, mode="r")[...], values)


@pytest.mark.parametrize("version", [2, 3])
def test_what_xarray_wrote_it_reads_equal_from_the_restored(version: int, tmp_path: Path) -> None:
    times = np.array(["2000-01-01", "2000-01-02", "2000-01-03"], "M8[ns]")
    packed = (
        ("time", "lat", "lon"),
        np.linspace(250, 300, 3 * 4 * 5).reshape(3, 4, 5),
        {"units": "K", "valid_range": [0, 9]},
    )
    data = xarray.Dataset(
        {
            "t": packed,
            "name": (("lat",), np.array(list("abcd"), object)),
            "n": (("lat",), np.arange(4)),
        },
        coords={"time": times, "lat": [1.0, 2, 3, 4], "lon": np.arange(5.0)},
        attrs={"Conventions": "CF-1.8", "title": "x", "institution": "y"},
    )
    data["t"][0, 0, 0] = np.nan
    data.lat.attrs["units"] = "degrees_north"
    encoding = {
        "t": {
            "dtype": "i2",
            "scale_factor": 0.01,
            "add_offset": 273.15,
            "_FillValue": -9999,
        }
    }
    path = tmp_path / "x.zarr"
    data.to_zarr(path, zarr_format=version, encoding=encoding, consolidated=True)
    decoder = _open(path)
    field = decoder.dataset.field("t")
    assert isinstance(field, ArrayField)
    assert (field.fill, field.scale, field.units, field.dtype) == (
        -9999,
        (0.01, 273.15),
        "K",
        "int16",
    )
    assert field.spatial_axes == (1, 2)
    assert {f.name: f.role for f in decoder.dataset.fields if isinstance(f, ArrayField)} == {
        "lat": Role.COORDINATE, "lon": Role.COORDINATE, "n": Role.MEASUREMENT,
        "name": Role.TEXT, "t": Role.MEASUREMENT, "time": Role.TIME,
    }  # fmt: skip
    assert decoder.dataset.modality is DataModalityType.REMOTE_SENSING
    assert decoder.dataset.metadata == {"title": "x", "institution": "y"}
    assert {(w.field, w.fact, w.value) for w in decoder.dataset.witnesses} == {
        ("t", "minimum", 0),
        ("t", "maximum", 9),
    }
    with (
        xarray.open_zarr(path) as one,
        xarray.open_zarr(_restore(path, tmp_path / "back.zarr")) as other,
    ):
        xarray.testing.assert_identical(one.load(), other.load())


def _same_cells(one: Any, other: Any) -> None:
    from pandas.testing import assert_frame_equal

    assert_frame_equal(one.obs, other.obs)
    assert_frame_equal(one.var, other.var)
    assert (one.X is None) == (other.X is None)
    pairs = [(one.X, other.X)] if one.X is not None else []
    for name in ("obsm", "layers"):
        assert list(getattr(one, name)) == list(getattr(other, name))
        pairs += [(getattr(one, name)[key], getattr(other, name)[key]) for key in getattr(one, name)]
    for a, b in pairs:
        assert type(a) is type(b)
        dense = [m.toarray() if hasattr(m, "toarray") else m for m in (a, b)]
        assert dense[0].dtype == dense[1].dtype
        assert np.array_equal(*dense)


def test_anndata_reads_equal_from_the_restored(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    import pandas
    import scipy.sparse

    matrix = scipy.sparse.random(30, 12, 0.3, format="csr", random_state=0, dtype="f4")
    made = anndata.AnnData(
        X=matrix,
        obs=pandas.DataFrame(
            {"kind": pandas.Categorical(list("abc") * 10), "n": np.arange(30)},
            index=[f"c{i}" for i in range(30)],
        ),
        obsm={"pca": np.random.default_rng(0).normal(size=(30, 3))},
        layers={"counts": matrix.tocsc()},
        uns={"name": "ñ", "nested": {"x": np.arange(3)}},
    )
    path = tmp_path / "a.zarr"
    made.write_zarr(path)
    decoder = _open(path)
    assert (decoder.dataset.native, decoder.dataset.native_groups) == ("anndata", ("",))
    assert decoder.dataset.modality is DataModalityType.TRANSCRIPTOMICS
    one, other = (
        anndata.read_zarr(path),
        anndata.read_zarr(_restore(path, tmp_path / "b.zarr")),
    )
    _same_cells(one, other)
    assert one.uns["name"] == other.uns["name"] == "ñ"
    assert one.uns["nested"]["x"].tolist() == other.uns["nested"]["x"].tolist()


def _simple(folder: Path, **more: Any) -> Path:
    path = folder / "s.zarr"
    array = zarr.create_array(path, shape=(8, 6), chunks=(4, 3), dtype="f8", zarr_format=2, **more)
    array[:] = np.arange(48).reshape(8, 6)
    return path


def _edit(path: Path, **changes: Any) -> None:
    document = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps(document | changes))


def test_a_chunk_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    for damage in (lambda b: b[:20], lambda b: b"", lambda b: b"rubbish" * 9):
        path = _simple(tmp_path)
        (path / "1.0").write_bytes(damage((path / "1.0").read_bytes()))
        with pytest.raises(CustomerError, match="decoded") as caught:
            _whole(_open(path), "array")
        assert caught.value.code == "corrupt"
        assert caught.value.where.endswith("1.0")
        shutil.rmtree(path)
    raw = _simple(tmp_path, compressors=None)
    (raw / "0.1").write_bytes((raw / "0.1").read_bytes()[:-8])
    with pytest.raises(CustomerError, match="decoded"):
        _whole(_open(raw), "array")


def test_absent_chunks_are_the_fill_and_a_finding_and_stay_absent(
    tmp_path: Path,
) -> None:
    path = _simple(tmp_path, fill_value=-5.0)
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(path, mode="r+")[:4, :3] = -5.0
    assert (path / "0.0").exists()
    (path / "1.0").unlink()
    decoder = _open(path)
    assert _whole(decoder, "array")[4:, :3].tolist() == [[-5.0] * 3] * 4
    assert [f.code for f in decoder.dataset.findings] == ["absent-chunks"]
    assert _files(_restore(path, tmp_path / "b.zarr")).keys() == _files(path).keys()


def test_strays_are_carried_with_a_finding(tmp_path: Path) -> None:
    path = _simple(tmp_path)
    (path / "9.9").write_bytes(b"far")
    (path / "README.md").write_bytes(b"hello")
    (path / "0.0.0").write_bytes(b"axes")
    (path / "00.0").write_bytes(b"spelt")
    decoder = _open(path)
    assert [f.code for f in decoder.dataset.findings] == ["stray-files"]
    (rule,) = [rule for rule in decoder.rules() if rule.name == "zarr-stray-files"]
    assert rule.violations == 4
    assert _files(_restore(path, tmp_path / "b.zarr")) == _files(path)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"shape": [8, -6]}, "corrupt"),
        ({"shape": "many"}, "corrupt"),
        ({"shape": [8]}, "corrupt"),
        ({"chunks": [0, 3]}, "corrupt"),
        ({"dtype": "<f3"}, "corrupt"),
        ({"shape": [10**18, 10**18]}, "absurd-header"),
        ({"shape": [10**12, 6]}, "absurd-header"),
        ({"chunks": [10**9, 3]}, "absurd-header"),
        ({"compressor": {"id": "nobody-has-this"}}, "unsupported-format"),
        ({"filters": [{"id": "nor-this"}]}, "unsupported-format"),
    ],
)
def test_documents_that_cannot_be_true_are_refused(changes: dict[str, Any], code: str, tmp_path: Path) -> None:
    path = _simple(tmp_path)
    _edit(path, **changes)
    with pytest.raises(CustomerError) as caught:
        _read_all(path)
    assert caught.value.code == code
    named = json.dumps(changes)
    assert code != "unsupported-format" or any(word in named for word in caught.value.message.split("'"))


def test_a_version_3_codec_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(4,), chunks=(2,), dtype="f4", zarr_format=3)[:] = 1
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"zstd"', '"acme.squeeze"'))
    with pytest.raises(CustomerError, match=r"acme\.squeeze"):
        _open(path)


def test_broken_documents_are_refused(tmp_path: Path) -> None:
    path = _simple(tmp_path)
    (path / ".zattrs").write_bytes(b"{")
    with pytest.raises(CustomerError, match="document"):
        _open(path)
    (path / ".zattrs").write_bytes(b"[1]")
    with pytest.raises(CustomerError, match="document"):
        _open(path)


def test_python_objects_are_never_opened(tmp_path: Path) -> None:
    path = _simple(tmp_path)
    for codec in ("pickle", "json2", "vlen-bytes"):
        _edit(path, dtype="|O", fill_value=None, filters=[{"id": codec}])
        decoder = _open(path)
        assert decoder.dataset.fields == ()
        assert [f.code for f in decoder.dataset.findings] == ["carried-array"]
        assert _files(_restore(path, tmp_path / codec)) == _files(path)


def test_data_types_that_numpy_lacks_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(4,), chunks=(2,), dtype="u2", zarr_format=3)[:] = 1
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"uint16"', '"bfloat16"'))
    decoder = _open(path)
    assert [f.code for f in decoder.dataset.findings] == ["carried-array"]
    assert _files(_restore(path, tmp_path / "b.zarr")) == _files(path)


def test_contradicting_consolidated_metadata_is_counted(tmp_path: Path) -> None:
    path = rich.make(tmp_path)
    zarr.consolidate_metadata(path)
    assert not any(rule.violations for rule in _open(path).rules())
    text = (path / ".zmetadata").read_text()
    (path / ".zmetadata").write_text(text.replace('"units": "K"', '"units": "C"'))
    (rule,) = [rule for rule in _open(path).rules() if rule.name == "zarr-consolidated-metadata"]
    assert (rule.violations, rule.where) == (
        1,
        (".zmetadata, entry grid/field/.zattrs",),
    )


def test_zips_that_are_damaged_or_point_outside(tmp_path: Path) -> None:
    path = _zip(_simple(tmp_path, compressors=None), tmp_path / "s.zarr.zip")
    data = bytearray(path.read_bytes())
    data[data.index(np.arange(3.0).tobytes()) + 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(CustomerError) as caught:
        _read_all(path)
    assert caught.value.code == "corrupt"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil", b"x")
    with pytest.raises(CustomerError, match="outside"):
        _open(path)


def test_random_damage_ends_in_our_errors_or_a_reading(tmp_path: Path) -> None:
    path = rich.make(tmp_path)
    generator = np.random.default_rng(3)
    names = sorted(_files(path))
    for _ in range(40):
        name = names[generator.integers(0, len(names))]
        data = (path / name).read_bytes()
        hurt = bytearray(data)
        if not hurt:
            continue
        for at in generator.integers(0, len(data), 2):
            hurt[at] ^= 1 << generator.integers(0, 8)
        (path / name).write_bytes(hurt if generator.integers(0, 2) else hurt[: len(hurt) // 2])
        try:
            _read_all(path)
        except CdtError:
            pass
        (path / name).write_bytes(data)


def test_large_shards_are_written_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("customer_data_treatment.formats.grids.zarr.shards._BUDGET", 100)
    path = tmp_path / "v3.zarr"
    _version_3(path)
    back = _restore(path, tmp_path / "b.zarr")
    one: Any = zarr.open_array(path, path="sharded", mode="r")
    other: Any = zarr.open_array(back, path="sharded", mode="r")
    assert one[...].tobytes() == other[...].tobytes()
    assert _files(back).keys() == _files(path).keys()


def test_a_text_chunk_that_claims_too_many_strings_is_refused_before_they_are_made(tmp_path: Path) -> None:
    for version, compressor in ((2, None), (2, numcodecs.Zlib(1)), (3, None), (3, "auto")):
        path = tmp_path / f"{version}{compressor is None}.zarr"
        layout: Any = {"zarr_format": version, "compressors": compressor}
        zarr.create_array(path, shape=(4,), chunks=(2,), dtype=str, **layout)[:] = np.array(list("abcd"), object)
        key = path / ("1" if version == 2 else "c/1")
        plain = key.read_bytes()
        codec: Any = numcodecs.Zstd() if compressor == "auto" else compressor
        if codec is not None:
            plain = bytes(codec.decode(plain))
        many = (50_000_000).to_bytes(4, "little") + plain[4:]
        key.write_bytes(many if codec is None else bytes(codec.encode(many)))
        assert _open(path).read("array", (slice(0, 2),)).tolist() == ["a", "b"]
        with pytest.raises(CustomerError, match="claims 50000000 strings") as caught:
            _whole(_open(path), "array")
        assert caught.value.where.endswith("1")


def test_blosc_frames_are_held_against_their_file_before_numcodecs_reads_beyond_it(tmp_path: Path) -> None:
    for cut in (3, 14, 16, 40):
        path = _simple(tmp_path, compressors=numcodecs.Blosc())
        data = (path / "1.1").read_bytes()
        (path / "1.1").write_bytes(data[:cut])
        with pytest.raises(CustomerError, match="blosc frame") as caught:
            _whole(_open(path), "array")
        assert caught.value.where.endswith("1.1")
        (path / "1.1").write_bytes(data[:4] + (1 << 30).to_bytes(4, "little") + data[8:])
        with pytest.raises(CustomerError, match="unpacks to 1073741824"):
            _whole(_open(path), "array")
        shutil.rmtree(path)


def test_lossy_filters_give_back_the_same_values(tmp_path: Path) -> None:
    filters = [numcodecs.FixedScaleOffset(offset=10, scale=7, dtype="<f8", astype="<i4")]
    path = _simple(tmp_path, filters=filters)
    before = _whole(_open(path), "array")
    assert _whole(_open(_restore(path, tmp_path / "b.zarr")), "array").tobytes() == before.tobytes()


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not on this machine")
def test_the_corpus(tmp_path: Path) -> None:
    assert CORPUS is not None
    anndata = pytest.importorskip("anndata")
    images = sorted((CORPUS / "imaging" / "viv").glob("*.zarr"))
    assert len(images) == 2
    for path in images:
        decoder = _open(path)
        (field,) = decoder.dataset.fields
        assert isinstance(field, ArrayField)
        assert (field.dimensions, field.spatial_axes) == (("c", "y", "x"), (1, 2))
        assert decoder.dataset.native == "ome-zarr"
        assert field.fill is None  # zero is a value here
        assert np.array_equal(zarr.open_group(path, mode="r")["0"][...], _whole(decoder, "0"))
        back = _restore(path, tmp_path / path.name)
        assert np.array_equal(zarr.open_group(back, mode="r")["0"][...], _whole(decoder, "0"))
    ice = CORPUS / "environment" / "stars" / "sic_daily_sample.zarr.zip"
    back = _restore(ice, tmp_path / "ice.zarr.zip")
    for one in (ice, back):
        with zipfile.ZipFile(one) as archive:
            archive.extractall(tmp_path / one.name.split(".")[0])
    with (
        xarray.open_zarr(tmp_path / "sic_daily_sample" / "sic_daily_sample.zarr") as one,
        xarray.open_zarr(tmp_path / "ice" / "sic_daily_sample.zarr") as other,
    ):
        xarray.testing.assert_identical(one.load(), other.load())
    cells = CORPUS / "transcriptomics" / "anndata" / "adata.zarr.zip"
    with (
        zarr.storage.ZipStore(cells, mode="r") as one,
        zarr.storage.ZipStore(_restore(cells, tmp_path / "cells.zarr.zip"), mode="r") as other,
    ):
        _same_cells(anndata.io.read_zarr(one), anndata.io.read_zarr(other))
    assert not any(isinstance(f, TableField) for f in _open(cells).dataset.fields)
