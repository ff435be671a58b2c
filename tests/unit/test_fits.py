"""FITS against astropy: values, restore byte for byte, checksums, and every way to be refused."""

import bz2
import gzip
import lzma
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats.sky.fits import FITS, checksum
from customer_data_treatment.formats.sky.fits.cards import parse_card
from customer_data_treatment.formats.sky.fits.decoder import FitsDecoder
from customer_data_treatment.model.dataset import ArrayField, TableField
from customer_data_treatment.ports import Box
from customer_data_treatment.vocabulary import Dimension, Role, RuleKind
from tests.corpus_path import CORPUS
from tests.promises.formats import fits as rich
from tests.promises.harness import DirectPackage

pytestmark = pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
assert FITS.write is not None
write = FITS.write


_OPENED: list[FitsDecoder] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def _open(path: Path) -> FitsDecoder:
    decoder = FITS.open(LocalSource(path))
    assert isinstance(decoder, FitsDecoder)
    _OPENED.append(decoder)
    return decoder


def _whole(decoder: FitsDecoder, name: str) -> "np.ndarray[Any, Any]":
    field = decoder.dataset.field(name)
    assert isinstance(field, ArrayField)
    values = decoder.read(name, tuple(slice(0, n) for n in field.shape))
    assert values.dtype == field.numpy_dtype()
    assert values.flags.c_contiguous
    return values


def _table(decoder: FitsDecoder, name: str) -> pa.Table:
    field = decoder.dataset.field(name)
    assert isinstance(field, TableField)
    table = pa.Table.from_batches(list(decoder.batches(name)), schema=field.schema)
    assert table.num_rows == field.rows
    return table


def _restored(path: Path, target: Path) -> bytes:
    decoder = _open(path)
    write(DirectPackage(decoder), target)
    return target.read_bytes()


def _violated(decoder: FitsDecoder) -> set[str]:
    return {rule.name for rule in decoder.rules() if rule.violations}


def _same(ours: list[Any], theirs: list[Any]) -> None:
    assert len(ours) == len(theirs)
    np.testing.assert_equal(ours, theirs)


def test_a_rich_file_equals_astropys_reading_and_restores_byte_for_byte(
    tmp_path: Path,
) -> None:
    path = rich.make(tmp_path)
    decoder = _open(path)
    expected = rich.peer(path)
    assert [field.name for field in decoder.dataset.fields] == list(expected)
    for name, values in expected.items():
        if isinstance(values, np.ndarray):
            assert _whole(decoder, name).tobytes() == values.tobytes()
        else:
            ours = _table(decoder, name)
            for column in values.column_names:
                _same(ours[column].to_pylist(), values[column].to_pylist())
    assert _violated(decoder) == set()
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()


def test_the_facts_of_a_rich_file(tmp_path: Path) -> None:
    decoder = _open(rich.make(tmp_path))
    image, raw, catalog, blank = decoder.dataset.fields
    assert isinstance(image, ArrayField)
    assert image.spatial_axes == (0, 1)
    assert image.scale is None
    assert image.attributes["HIERARCH ESO DET DIT"] == 1.5
    assert image.attributes["LONGTEXT"] == ("long " * 40).rstrip()
    assert isinstance(raw, ArrayField)
    assert (raw.scale, raw.dtype) == ((1.0, 32768.0), "int16")
    assert isinstance(blank, ArrayField)
    assert (blank.name, blank.fill) == ("RAW_2", 5)
    assert isinstance(catalog, TableField)
    assert catalog.attributes["scale"] == {"DN": [0.5, 10.0]}
    roles = {column.name: column.role for column in catalog.columns}
    assert (roles["OBJ_ID"], roles["RA"], roles["TIME"]) == (
        Role.IDENTIFIER,
        Role.COORDINATE,
        Role.TIME,
    )
    assert (roles["QUALITY"], roles["FLUX"], roles["BITS"]) == (
        Role.MASK,
        Role.MEASUREMENT,
        Role.MASK,
    )
    assert catalog.schema.field("QUALITY").type == pa.uint16()
    assert catalog.schema.field("SIGNED").type == pa.int8()
    assert decoder.dataset.metadata == {"title": "M 13", "keywords": "Sim"}


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_boxes_of_images_are_the_slices_that_astropy_takes(data: st.DataObject, tmp_path_factory: Any) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    dtype = data.draw(st.sampled_from(["u1", "i2", "i4", "i8", "f4", "f8"]))
    values = np.random.default_rng(1).normal(0, 50, shape).astype(dtype)
    path = tmp_path_factory.mktemp("fits") / "a.fits"
    compressed = data.draw(st.booleans()) and dtype not in ("i8",)
    made = (
        fits.CompImageHDU(values, compression_type="GZIP_1", quantize_level=0) if compressed else fits.ImageHDU(values)
    )
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(path)
    decoder = _open(path)
    (field,) = decoder.dataset.fields
    box = []
    for n in shape:
        start = data.draw(st.integers(0, n))
        box.append(slice(start, data.draw(st.integers(start, n))))
    found = decoder.read(field.name, tuple(box))
    assert found.shape == values[tuple(box)].shape
    assert found.tobytes() == np.ascontiguousarray(values[tuple(box)]).tobytes()


@pytest.mark.parametrize("kind", ["RICE_1", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS"])
def test_compressed_images_decode_and_restore_as_astropy_reads_them(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "c.fits"
    values = np.random.default_rng(0).integers(0, 900, (50, 70)).astype("i2")
    images = [fits.CompImageHDU(values, compression_type=kind, name="SCI")]
    if kind not in ("PLIO_1", "NOCOMPRESS"):
        floats = np.random.default_rng(1).normal(100, 5, (50, 70)).astype("f4")
        images.append(fits.CompImageHDU(floats, compression_type=kind, name="SKY"))
    if kind == "RICE_1":
        images.append(fits.CompImageHDU((values.astype("u2") + 30000), compression_type=kind, name="UINT"))
        images.append(fits.CompImageHDU(np.ones((3, 20, 30), "i4"), compression_type=kind, tile_shape=(1, 8, 30)))
    images[0].header["OBSERVER"] = "A. Person"
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    decoder = _open(path)
    write(DirectPackage(decoder), tmp_path / "back.fits")
    with (
        fits.open(path, do_not_scale_image_data=True) as before,
        fits.open(tmp_path / "back.fits", do_not_scale_image_data=True) as after,
    ):
        assert len(before) == len(after)
        for field, one, other in zip(decoder.dataset.fields, before[1:], after[1:], strict=True):
            assert isinstance(field, ArrayField)
            assert np.array_equal(_whole(decoder, field.name), one.data, equal_nan=True)
            assert np.array_equal(one.data, other.data, equal_nan=True)
            assert {c.keyword: c.value for c in one.header.cards} == {c.keyword: c.value for c in other.header.cards}


def test_a_compressed_primary_image_comes_back_as_an_extension(tmp_path: Path) -> None:
    """fpack marks an image that was primary with ZSIMPLE: an extension must not begin with SIMPLE."""
    source = tmp_path / "packed.fits"
    values = np.arange(6400, dtype="i2").reshape(80, 80)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values, compression_type="RICE_1")]).writeto(source)
    with fits.open(source, mode="update", disable_image_compression=True) as file:
        file[1].header["ZSIMPLE"] = True
        file[1].header.remove("ZTENSION", ignore_missing=True)
    (tmp_path / "back.fits").write_bytes(_restored(source, tmp_path / "back.fits"))
    with fits.open(tmp_path / "back.fits") as back:
        back.verify("exception")
        assert type(back[1]).__name__ == "ImageHDU"
        assert np.array_equal(back[1].data, values)


@pytest.mark.parametrize(("names", "expected"), [([], "HDU1"), (["COMPRESSED_IMAGE"], "HDU1"),
    (["COMPRESSED_IMAGE", "ccd00"], "ccd00")])  # fmt: skip
def test_an_unpacked_image_keeps_its_field_s_name(names: list[str], expected: str, tmp_path: Path) -> None:
    """Older packers add an EXTNAME of their own, before the image's; astropy hides theirs, and so do we."""
    source = tmp_path / "packed.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.arange(6400, dtype="i2").reshape(80, 80))]).writeto(source)
    with fits.open(source, mode="update", disable_image_compression=True) as file:
        file[1].header.remove("EXTNAME", ignore_missing=True)
        for name in names:
            file[1].header.append(("EXTNAME", name), end=True)
    (tmp_path / "back.fits").write_bytes(_restored(source, tmp_path / "back.fits"))
    for path in (source, tmp_path / "back.fits"):
        decoder = FITS.open(LocalSource(path))
        assert [field.name for field in decoder.dataset.fields] == [expected]
        decoder.close()


def test_only_files_with_compressed_images_need_a_child(tmp_path: Path) -> None:
    plain = rich.make(tmp_path)
    tiles = tmp_path / "c.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.ones((9, 9), "i2"))]).writeto(tiles)
    assert FITS.contain is not None
    assert not FITS.contain(LocalSource(plain))
    assert FITS.contain(LocalSource(tiles))
    tiles.write_bytes(tiles.read_bytes()[:3000])
    assert not FITS.contain(LocalSource(tiles))


def test_a_gzipped_file_reads_the_same_and_comes_back_gzipped(tmp_path: Path) -> None:
    path = rich.make(tmp_path)
    packed = tmp_path / "rich.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert gzip.decompress(_restored(packed, tmp_path / "back.fits.gz")) == path.read_bytes()
    assert _restored(packed, tmp_path / "back.fits") == path.read_bytes()
    for suffix, module in ((".bz2", bz2), (".xz", lzma)):
        other = tmp_path / f"rich.fits{suffix}"
        other.write_bytes(module.compress(path.read_bytes()))
        assert module.decompress(_restored(other, tmp_path / f"back.fits{suffix}")) == path.read_bytes()
    packed.write_bytes(gzip.compress(path.read_bytes())[:-300])
    with pytest.raises(CustomerError) as caught:
        _open(packed)
    assert caught.value.code == "truncated"


def _ascii(tmp_path: Path) -> Path:
    columns = [
        fits.Column("name", "A8", ascii=True, array=np.array(["a", "bb", "  c"])),
        fits.Column("n", "I10", null="N/A", ascii=True, array=np.array([1, -20, 3])),
        fits.Column("f", "F12.4", ascii=True, array=np.array([1.5, -2.25, 0])),
        fits.Column("e", "E15.7", unit="m", ascii=True, array=np.array([1.5e-30, 2.0, -3e10])),
        fits.Column("d", "D25.17", ascii=True, array=np.array([np.pi, 1e300, -0.0])),
    ]
    path = tmp_path / "ascii.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.TableHDU.from_columns(columns, name="T")]).writeto(path)
    return path


def test_ascii_tables_keep_odd_spellings(tmp_path: Path) -> None:
    path = _ascii(tmp_path)
    data = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        columns = hdus["T"].columns
        at, row = hdus["T"].fileinfo()["datLoc"], hdus["T"].header["NAXIS1"]
        starts = {c.name: c.start - 1 for c in columns}
    for line, name, text in (
        (0, "n", "       N/A"),
        (1, "n", " +7       "),
        (0, "f", "    1.50    "),
        (2, "e", "              0"),
    ):
        place = at + line * row + starts[name]
        data[place : place + len(text)] = text.encode()
    path.write_bytes(data)
    decoder = _open(path)
    table = _table(decoder, "T")
    assert table["name"].to_pylist() == ["a", "bb", "  c"]
    assert table["n"].to_pylist() == [None, 7, 3]
    assert table["f"].to_pylist() == [1.5, -2.25, 0]
    assert table["e"].to_pylist() == [1.5e-30, 2.0, 0]
    assert table["d"].to_pylist() == [np.pi, 1e300, 0]
    assert _restored(path, tmp_path / "back.fits") == bytes(data)
    data[at + starts["e"] : at + starts["e"] + 4] = b"oops"
    path.write_bytes(data)
    with pytest.raises(CustomerError, match="no number"):
        _table(_open(path), "T")


class _Rounded(DirectPackage):
    """A package whose floats were stored with a bound."""

    def read(self, name: str, box: Box) -> "np.ndarray[Any, Any]":
        values = super().read(name, box)
        return np.round(values, 1) if values.dtype.kind == "f" else values

    def batches(self, name: str) -> Iterator[pa.RecordBatch]:
        for batch in super().batches(name):
            arrays = [
                pa.array(np.round(c.to_numpy(zero_copy_only=False), 1), c.type) if pa.types.is_floating(c.type) else c
                for c in batch.columns
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


def test_bounded_values_are_written_with_renewed_checksums(tmp_path: Path) -> None:
    path = rich.make(tmp_path)
    write(_Rounded(_open(path)), tmp_path / "back.fits")
    after = _open(tmp_path / "back.fits")
    assert _violated(after) == set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(tmp_path / "back.fits", checksum=True) as hdus:
            assert hdus["CATALOG"].data["RA"].tolist() == np.round(np.arange(9) * 1.1, 1).tolist()
    odd = _ascii(tmp_path)
    data = odd.read_bytes()
    assert data.count(b"     -2.2500") == 1
    odd.write_bytes(data.replace(b"     -2.2500", b"  -02.25    "))
    write(_Rounded(_open(odd)), tmp_path / "back2.fits")
    assert _table(_open(tmp_path / "back2.fits"), "T")["d"].to_pylist()[0] == 3.1
    assert _table(_open(tmp_path / "back2.fits"), "T")["f"].to_pylist() == [1.5, -2.2, 0]


def test_odd_bytes_that_values_do_not_determine_come_back(tmp_path: Path) -> None:
    path = tmp_path / "odd.fits"
    lists = np.empty(4, object)
    lists[:] = [
        np.arange(3, dtype="i4"),
        np.arange(0, dtype="i4"),
        np.arange(2, dtype="i4"),
        np.arange(5, dtype="i4"),
    ]
    columns = [
        fits.Column("s", "5A", array=np.array(["ab", "c", "", "ddddd"])),
        fits.Column("l", "L", array=np.array([True, False, True, True])),
        fits.Column("x", "3X", array=np.ones((4, 3), bool)),
        fits.Column("v", "PJ()", array=lists),
        fits.Column("w", "PA()", array=np.array(["one", "", "four", "x"], object)),
    ]
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(columns)]).writeto(path)
    with fits.open(path) as hdus:
        at, row = hdus[1].fileinfo()["datLoc"], hdus[1].header["NAXIS1"]
    data = bytearray(path.read_bytes())
    data[at : at + 5] = b"ab  \0"  # spaces before the NUL
    data[at + row : at + row + 5] = b"c\0\xffzz"  # rubbish behind it
    data[at + 5] = 0  # an undefined logical
    data[at + row + 5] = ord("y")  # none at all
    data[at + 6] |= 1  # a padding bit
    data[-5:] = b"stuff"  # the last padding
    path.write_bytes(data + b"tail")
    decoder = _open(path)
    table = _table(decoder, "HDU1")
    assert table["s"].to_pylist() == ["ab", "c", "", "ddddd"]
    assert table["l"].to_pylist() == [None, None, True, True]
    assert table["w"].to_pylist() == ["one", "", "four", "x"]
    assert {"fits-padding", "fits-nothing-behind"} <= _violated(decoder)
    assert _restored(path, tmp_path / "back.fits") == bytes(data) + b"tail"


def _heap(path: Path, pairs: "np.ndarray[Any, Any]") -> None:
    header = fits.Header()
    for key, value in (
        ("XTENSION", "BINTABLE"), ("BITPIX", 8), ("NAXIS", 2), ("NAXIS1", 10), ("NAXIS2", 5), ("PCOUNT", 52), ("GCOUNT", 1),
        ("TFIELDS", 1), ("TFORM1", "1PJ(3)"), ("THEAP", 60), ("EXTNAME", "H"),
    ):  # fmt: skip
        header[key] = value
    rows = b"".join(pair.tobytes() + b"\0\7" for pair in pairs)  # two bytes no column covers
    body = rows + b"gap for us" + np.arange(10, dtype=">i4").tobytes() + b"\1\2"
    primary = fits.PrimaryHDU().header.tostring().encode()
    path.write_bytes(primary + header.tostring().encode() + body.ljust(2880, b"\0"))


def test_heaps_with_gaps_shared_cells_and_another_order_come_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "heap.fits"
    _heap(path, np.array([[2, 0], [1, 12], [0, 0], [2, 20], [1, 32]], ">i4"))  # forwards, with gaps
    assert _table(_open(path), "H")["col1"].to_pylist() == [[0, 1], [3], [], [5, 6], [8]]
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()
    pairs = np.array([[2, 24], [3, 4], [2, 24], [0, 7], [1, 0]], ">i4")  # backwards, shared, empty, gap at 16
    _heap(path, pairs)
    decoder = _open(path)
    assert _table(decoder, "H")["col1"].to_pylist() == [
        [6, 7],
        [1, 2, 3],
        [6, 7],
        [],
        [0],
    ]
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()
    broken = path.read_bytes().replace(pairs[1].tobytes(), np.array([3, 400], ">i4").tobytes())
    path.write_bytes(broken)
    with pytest.raises(CustomerError, match="heap") as caught:
        _table(_open(path), "H")
    assert "row 2" in caught.value.where


def test_random_groups(tmp_path: Path) -> None:
    path = tmp_path / "groups.fits"
    data = np.arange(24, dtype="f4").reshape(4, 2, 3)
    groups = fits.GroupData(
        data,
        bitpix=-32,
        parnames=["UU", "VV"],
        pardata=[np.arange(4.0), np.arange(4.0) * 2],
    )
    fits.GroupsHDU(groups).writeto(path)
    decoder = _open(path)
    assert _whole(decoder, "HDU0/data").tolist() == data.tolist()
    assert _whole(decoder, "HDU0/parameters").tolist() == [
        [0, 0],
        [1, 2],
        [2, 4],
        [3, 6],
    ]
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()


def test_an_unknown_extension_is_carried(tmp_path: Path) -> None:
    path = rich.make(tmp_path)
    header = "".join(
        card.ljust(80)
        for card in (
            "XTENSION= 'DUMP    '", "BITPIX  =                    8", "NAXIS   =                    1",
            "NAXIS1  =                   10", "PCOUNT  =                    0", "GCOUNT  =                    1", "END",
        )
    ).ljust(2880)  # fmt: skip
    path.write_bytes(path.read_bytes() + header.encode() + b"0123456789".ljust(2880, b"\0"))
    decoder = _open(path)
    assert [f.code for f in decoder.dataset.findings] == ["carried-unit"]
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()


def _image(tmp_path: Path) -> bytearray:
    path = tmp_path / "i.fits"
    fits.PrimaryHDU(np.arange(2000, dtype="i2").reshape(40, 50)).writeto(path, checksum=True)
    return bytearray(path.read_bytes())


def test_tables_without_rows_and_images_without_pixels(tmp_path: Path) -> None:
    path = tmp_path / "e.fits"
    columns = [fits.Column("A", "D", array=np.zeros(0)), fits.Column("S", "3A", array=np.zeros(0, "S3"))]
    empty = fits.BinTableHDU.from_columns(columns, name="NONE")
    fits.HDUList([fits.PrimaryHDU(), empty, fits.ImageHDU(np.zeros((5, 0), "i2"), name="FLAT")]).writeto(path)
    decoder = _open(path)
    assert _table(decoder, "NONE").num_rows == 0
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()


def test_more_axes_than_numpy_has_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", f"NAXIS   = {99:20d}"]
    cards += [f"NAXIS{n:<3}= {1:20d}" for n in range(1, 100)] + ["END"]
    text = "".join(card.ljust(80) for card in cards)
    path.write_bytes(text.ljust(-(-len(text) // 2880) * 2880).encode() + bytes(2880))
    with pytest.raises(CustomerError, match="axes"):
        _open(path)


def _swap(data: bytearray, old: str, new: str) -> bytes:
    assert len(old) == len(new)
    return bytes(data).replace(old.encode(), new.encode(), 1)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("BITPIX  =                   16", "BITPIX  =                   17", "corrupt"),
        ("BITPIX  =                   16", "BITPIY  =                   16", "corrupt"),
        ("NAXIS   =                    2", "NAXIS   =                   -2", "corrupt"),
        ("NAXIS   =                    2", "NAXIS   =                    3", "corrupt"),
        (
            "NAXIS1  =                   50",
            "NAXIS1  =  9999999999999999999",
            "absurd-header",
        ),
        (
            "NAXIS1  =                   50",
            "NAXIS1  =             99999999",
            "truncated",
        ),
        ("NAXIS1  =                   50", "NAXIS1  =                 50.5", "corrupt"),
        ("NAXIS1  =                   50", "NAXIS1  =                  -50", "corrupt"),
    ],
)
def test_headers_that_cannot_be_true_are_refused(old: str, new: str, code: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.fits"
    path.write_bytes(_swap(_image(tmp_path), old, new))
    with pytest.raises(CustomerError) as caught:
        _open(path)
    assert caught.value.code == code


def test_every_truncation_is_refused_or_a_violation(tmp_path: Path) -> None:
    data = _image(tmp_path)
    path = tmp_path / "cut.fits"
    for length in (1, 79, 2880, 2881, 2880 + 3999, 2880 + 4000, len(data) - 1):
        path.write_bytes(data[:length])
        try:
            decoder = _open(path)
        except CustomerError as error:
            assert error.code == "truncated"
        else:
            assert length >= 2880 + 4000
            assert "fits-whole-blocks" in _violated(decoder)
            assert _restored(path, tmp_path / "back.fits") == bytes(data[:length])


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        (
            "EXTEND  =                    T",
            "EXTEND  =                    X",
            "fits-card-syntax",
        ),
        (
            "EXTEND  =                    T",
            "extend  =                    T",
            "fits-card-syntax",
        ),
        (
            "EXTEND  =                    T",
            "EXTEND  ='abc                T",
            "fits-card-syntax",
        ),
        (
            "EXTEND  =                    T",
            "EXTEND  = 'abc'             \tT",
            "fits-card-syntax",
        ),
        (
            "EXTEND  =                    T",
            "NAXIS1  =                   51",
            "fits-structural-duplicates",
        ),
        (
            "EXTEND  =                    T",
            "DATASUM = '1'                 ",
            "fits-duplicate-keywords",
        ),
        (
            "SIMPLE  =                    T",
            "SIMPLE  =                    F",
            "fits-mandatory-keywords",
        ),
    ],
)
def test_broken_cards_are_counted(old: str, new: str, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.fits"
    path.write_bytes(_swap(_image(tmp_path), old, new))
    decoder = _open(path)
    violated = _violated(decoder)
    assert rule in violated
    assert "fits-checksum" in violated
    assert _restored(path, tmp_path / "back.fits") == path.read_bytes()


def test_any_flipped_data_byte_breaks_the_checksum(tmp_path: Path) -> None:
    data = _image(tmp_path)
    path = tmp_path / "bad.fits"
    for at in (2880, 3333, 2880 + 3999):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        (rule,) = [rule for rule in _open(path).rules() if rule.name == "fits-checksum"]
        assert (rule.violations, rule.scope) == (2, 2)
        assert (rule.dimension, rule.kind) == (Dimension.INTEGRITY, RuleKind.STRUCTURAL)


def test_our_checksum_letters_are_astropys() -> None:
    hdu = fits.PrimaryHDU()
    for total in (
        0,
        1,
        0xFFFFFFFF,
        868229149,
        2503531142,
        *np.random.default_rng(0).integers(0, 1 << 32, 50).tolist(),
    ):
        assert checksum.encode(total) == hdu._char_encode(~np.uint32(total))  # type: ignore[arg-type]


def test_random_damage_ends_in_our_errors_or_a_reading(tmp_path: Path) -> None:
    data = rich.make(tmp_path).read_bytes()
    path = tmp_path / "hurt.fits"
    generator = np.random.default_rng(5)
    for _ in range(60):
        hurt = bytearray(data)
        for at in generator.integers(0, len(data), 12):
            hurt[at] ^= 1 << generator.integers(0, 8)
        path.write_bytes(hurt)
        try:
            decoder = _open(path)
            for field in decoder.dataset.fields:
                _table(decoder, field.name) if isinstance(field, TableField) else _whole(decoder, field.name)
            assert decoder.rules()
            assert _restored(path, tmp_path / "back.fits") == bytes(hurt)
        except CdtError:
            continue


@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("A       = 'it''s'     / c", "it's"),
        ("A       =                 1.5D3", 1500.0),
        ("A       = (1, -2.5)", complex(1, -2.5)),
        ("A       =", None),
        ("A       =                    T / yes", True),
        ("HIERARCH ESO A B = 7 / x", 7),
    ],
)
def test_cards(card: str, value: Any) -> None:
    parsed = parse_card(card.ljust(80).encode())
    assert parsed.value == value
    assert type(parsed.value) is type(value)


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not on this machine")
def test_the_corpus(tmp_path: Path) -> None:
    assert CORPUS is not None
    m13 = CORPUS / "reference" / "fits_m13"
    pixels = _whole(_open(m13 / "m13.fits"), "HDU0")
    assert int(pixels.sum()) == 13293397
    for name in ("m13_rice.fits", "m13_gzip.fits"):
        assert np.array_equal(_whole(_open(m13 / name), "HDU1"), pixels)
    for path in sorted(CORPUS.rglob("*.fits")):
        if "m13_" not in path.name:
            assert _restored(path, tmp_path / "back.fits") == path.read_bytes()
    assert "fits-checksum" in _violated(_open(CORPUS / "malformed" / "astropy" / "checksum_false.fits"))
    (tess,) = CORPUS.rglob("hlsp_tess*.fits")
    ours = _table(_open(tess), "LIGHTCURVE")
    with fits.open(tess) as hdus:
        for column in hdus[1].columns.names:
            assert (
                np.array_equal(ours[column].to_numpy(), hdus[1].data[column], equal_nan=True) or ours[column].null_count
            )


def test_what_astropys_own_test_files_hold(tmp_path: Path) -> None:
    """Files that were made to be odd: every one reads as astropy's and comes back byte for byte."""
    import astropy.io.fits.tests as theirs

    paths = sorted((Path(theirs.__file__).parent / "data").glob("*.fits"))
    if not paths:
        pytest.skip("this astropy ships no test data")
    assert len(paths) > 20
    for path in paths:
        decoder = _open(path)
        units = {unit.name: unit for unit in decoder._units}
        if all(unit.kind != "compressed" for unit in units.values()):
            assert _restored(path, tmp_path / "back.fits") == path.read_bytes(), path.name
        with fits.open(path, do_not_scale_image_data=True, memmap=False) as hdus:
            for name, unit in units.items():
                if unit.kind in ("image", "compressed"):
                    assert np.array_equal(_whole(decoder, name), hdus[unit.index].data, equal_nan=True), path.name
                elif unit.kind in ("table", "ascii"):
                    assert _table(decoder, name).num_rows == len(hdus[unit.index].data)
