"""DICOM against pydicom: stored numbers, series, restore, and what is wrong with bad files."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats.detect import detect
from customer_data_treatment.formats.imaging.dicom import DICOM
from customer_data_treatment.formats.imaging.dicom.frames import Layout, frame_span, pack, unpack
from customer_data_treatment.model.dataset import ArrayField
from customer_data_treatment.vocabulary import Role, RuleKind
from tests.corpus_path import CORPUS
from tests.promises.formats import dicom as fixture
from tests.promises.harness import DirectPackage

pytestmark = pytest.mark.filterwarnings("ignore")
SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
WITH_PIXELS = """693_J2KI CT_small ExplVR_BigEnd GDCMJ2K_TextGBR J2K_pixelrep_mismatch JPEG2000 JPEGLSNearLossless_08
JPEGLSNearLossless_16 MR_small MR_small_RLE MR_small_bigendian MR_small_expb MR_small_implicit
MR_small_jp2klossless MR_small_jpeg_ls_lossless MR_small_padded SC_rgb_dcmtk_+eb+cr SC_rgb_dcmtk_+eb+cy+np
SC_rgb_jls_lossy_line SC_rgb_rle SC_rgb_rle_16bit_2frame SC_rgb_rle_32bit SC_rgb_small_odd
SC_rgb_small_odd_big_endian SC_rgb_small_odd_jpeg SC_ybr_full_422_uncompressed examples_jpeg2k examples_overlay
examples_palette liver_1frame liver_expb_1frame rtdose rtdose_expb rtdose_rle""".split()
LOSSLESS = {"1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"}


def opened(path: Path) -> Any:
    return DICOM.open(LocalSource(path))


def whole(decoder: Any, name: str = "pixels") -> "np.ndarray[Any, Any]":
    values: np.ndarray[Any, Any] = decoder.read(name, tuple(slice(0, n) for n in decoder.dataset.field(name).shape))
    return values


def broken(decoder: Any) -> dict[str, Any]:
    return {rule.name.removeprefix("dicom-"): rule for rule in decoder.rules() if rule.violations}


@pytest.mark.parametrize("name", WITH_PIXELS)
def test_shipped_files_give_pydicoms_stored_numbers_and_come_back(tmp_path: Path, name: str) -> None:
    path = SHIPPED / f"{name}.dcm"
    assert detect(LocalSource(path)).name == "DICOM"
    decoder = opened(path)
    expected = pixel_array(path, raw=True)
    found = whole(decoder)
    assert found.shape == expected.shape and found.dtype == expected.dtype.newbyteorder("=")
    assert np.array_equal(found, expected)
    DICOM.write(DirectPackage(decoder), tmp_path / "back.dcm")
    back = pydicom.dcmread(tmp_path / "back.dcm")
    if pydicom.dcmread(path).file_meta.TransferSyntaxUID in LOSSLESS:
        assert back.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert np.array_equal(pixel_array(back, raw=True), expected)
    else:
        assert (tmp_path / "back.dcm").read_bytes() == path.read_bytes()
    assert "pixels-decoded" not in broken(decoder)


def test_parts_of_frames(tmp_path: Path) -> None:
    for name, box in (
        ("rtdose", np.s_[3:5, 2:7, 0:10]),
        ("SC_rgb_rle_16bit_2frame", np.s_[1:2, 5:90, 7:8, 1:3]),
        ("liver_1frame", np.s_[100:300, 17:400]),
        ("SC_ybr_full_422_uncompressed", np.s_[3:4, 1:99, 0:2]),
    ):
        decoder = opened(SHIPPED / f"{name}.dcm")
        assert np.array_equal(decoder.read("pixels", box), whole(decoder)[box])


@pytest.mark.parametrize(
    "layout",
    [
        Layout(3, 5, 7, 1, "u1", packed=True),
        Layout(2, 4, 6, 3, "u1", halved=True),
        Layout(3, 3, 3, 3, "u1", swapped=True),
        Layout(2, 3, 5, 1, "u1", swapped=True),
        Layout(2, 3, 4, 3, "u1", planar=True, swapped=True),
    ],
)
def test_layouts_pack_what_they_unpack(layout: Layout) -> None:
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, layout.length, dtype="u1")
    if layout.packed:
        data[-1] &= 1
    if layout.swapped and layout.length % 2 == 0 and layout.frames * layout.frame_length % 2:
        data[-2] = 0
    frames = []
    for index in range(layout.frames):
        first, length = frame_span(layout, index)
        frames.append(unpack(layout, index, data.tobytes()[first : first + length]))
    assert b"".join(pack(layout, (frame[None] for frame in frames))) == data.tobytes()


def test_deflated(tmp_path: Path) -> None:
    decoder = opened(SHIPPED / "image_dfl.dcm")
    assert np.array_equal(whole(decoder), pydicom.dcmread(SHIPPED / "image_dfl.dcm").pixel_array)
    DICOM.write(DirectPackage(decoder), tmp_path / "back.dcm")
    assert pydicom.dcmread(tmp_path / "back.dcm") == pydicom.dcmread(SHIPPED / "image_dfl.dcm")
    decoder.close()


def test_waveforms_and_overlays(tmp_path: Path) -> None:
    path = SHIPPED / "waveform_ecg.dcm"
    decoder, peer = opened(path), pydicom.dcmread(path)
    for number in (0, 1):
        field = decoder.dataset.fields[number]
        values = whole(decoder, field.name)
        assert values.shape[0] == field.shape[0] == 12 and field.units == "uV"
        assert np.allclose(values.T * field.scale[0] + field.scale[1], peer.waveform_array(number))
        assert np.array_equal(decoder.read(field.name, np.s_[2:5, 10:500]), values[2:5, 10:500])
    DICOM.write(DirectPackage(decoder), tmp_path / "back.dcm")
    assert (tmp_path / "back.dcm").read_bytes() == path.read_bytes()
    decoder = opened(SHIPPED / "examples_overlay.dcm")
    field = decoder.dataset.field("overlay_6000")
    assert isinstance(field, ArrayField) and field.role is Role.MASK
    assert np.array_equal(whole(decoder, "overlay_6000"), pydicom.examples.overlay.overlay_array(0x6000))


def test_facts_of_ct_and_dose() -> None:
    field = opened(SHIPPED / "CT_small.dcm").dataset.field("pixels")
    assert (field.scale, field.units, field.spatial_axes) == ((1.0, -1024.0), "HU", (0, 1))
    assert opened(SHIPPED / "rtdose.dcm").dataset.field("pixels").scale == (1e-6, 0.0)
    assert opened(SHIPPED / "examples_palette.dcm").dataset.field("pixels").role is Role.CODE


def slice_file(path: Path, z: float, uid: str, syntax: str = ExplicitVRLittleEndian, **more: Any) -> None:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", uid
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality, made.PatientID = "1.2.1", "1.2.2", "MR", "P"
    made.ImagePositionPatient, made.ImageOrientationPatient = [0, 0, z], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.InstanceNumber = [1, 1], int(uid.rsplit(".", 1)[1])
    made.Rows, made.Columns, made.SamplesPerPixel, made.PhotometricInterpretation = 4, 5, 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 16, 15, 0
    made.PixelData = (np.arange(20, dtype="<u2") + int(z * 100) % 9999).tobytes()
    for name, value in more.items():
        setattr(made, name, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if syntax == RLELossless:
        made.compress(RLELossless)
    pydicom.dcmwrite(path, made, enforce_file_format=True)


def restored_equal(decoder: Any, folder: Path, target: Path) -> bool:
    target.mkdir()
    DICOM.write(DirectPackage(decoder), target)
    return all((target / p.name).read_bytes() == p.read_bytes() for p in folder.iterdir())


def test_series_stacks_by_position(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    for number, z in enumerate((3.0, 1.0, 2.0)):
        slice_file(folder / f"{number}.dcm", z, f"1.2.3.{number}")
    assert detect(LocalSource(folder)).name == "DICOM"
    decoder = opened(folder)
    field = decoder.dataset.field("pixels")
    assert field.shape == (3, 4, 5) and field.dimensions[0] == "slice" and field.spatial_axes == (1, 2)
    assert whole(decoder, "pixels_position").tolist() == [1.0, 2.0, 3.0]
    assert [int(v[0, 0]) for v in whole(decoder)] == [100, 200, 300]
    assert np.array_equal(decoder.read("pixels", np.s_[1:3, 2:4, 1:2]), whole(decoder)[1:3, 2:4, 1:2])
    assert not broken(decoder)
    names = [row for batch in decoder.batches("elements") for row in batch.column("file").to_pylist()]
    assert set(names) == {"0.dcm", "1.dcm", "2.dcm"}
    assert restored_equal(decoder, folder, tmp_path / "back")


def test_series_over_time_gaps_and_strays(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    for number in range(8):
        slice_file(folder / f"{number}.dcm", (0.0, 1.0, 2.0, 4.0)[number % 4], f"1.2.3.{number}")
    decoder = opened(folder)
    assert decoder.dataset.field("pixels").shape == (2, 4, 4, 5)
    assert broken(decoder)["slice-spacing"].violations == broken(decoder)["slices-missing"].violations == 1
    shutil.copy(folder / "0.dcm", folder / "copy.dcm")
    slice_file(folder / "other.dcm", 9.0, "1.2.3.99", PatientID="Q")
    decoder = opened(folder)
    assert len([f for f in decoder.dataset.fields if f.name.endswith("/pixels")]) == 10  # nothing stacks evenly now
    assert {"instances-unique", "one-patient"} <= set(broken(decoder))
    assert restored_equal(decoder, folder, tmp_path / "back")


def test_series_with_scales_of_its_own_and_compressed(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    for number in range(3):
        slope = {"RescaleSlope": f"{number + 1}.5", "RescaleIntercept": "0"}
        slice_file(folder / f"{number}.dcm", float(number), f"1.2.3.{number}", RLELossless, **slope)
    decoder = opened(folder)
    assert decoder.dataset.field("pixels").scale is None
    assert whole(decoder, "pixels_rescale_slope").tolist() == [1.5, 2.5, 3.5]
    (tmp_path / "back").mkdir()
    DICOM.write(DirectPackage(decoder), tmp_path / "back")
    for number in range(3):
        back = pydicom.dcmread(tmp_path / "back" / f"{number}.dcm")
        assert np.array_equal(back.pixel_array, pydicom.dcmread(folder / f"{number}.dcm").pixel_array)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "orientation"),
        ({"PixelSpacing": [0, 1]}, "spacing"),
        ({"BitsStored": 17}, "bit-depth"),
        ({"HighBit": 3}, "bit-depth"),
        ({"PhotometricInterpretation": ""}, "mandatory-attributes"),
        ({"StudyDate": "20230230"}, "value-representation"),
        ({"PatientAge": "42"}, "value-representation"),
        ({"StudyInstanceUID": "1.02.3"}, "value-representation"),
        ({"StudyInstanceUID": "1." + "2" * 63}, "value-representation"),
        ({"StationName": b"\xff\xfe caf\xe9"}, "character-set"),
        ({"PixelData": bytes(44)}, "pixel-length"),
    ],
)
def test_breaches_are_counted(tmp_path: Path, change: dict[str, Any], rule: str) -> None:
    path = tmp_path / "a.dcm"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)
        patch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)
        more = {k: v for k, v in change.items() if not isinstance(v, bytes) or k == "PixelData"}
        slice_file(path, 0.0, "1.2.3.0", StationName="PLACEHOLDER1", **more)
    if "StationName" in change:
        path.write_bytes(path.read_bytes().replace(b"PLACEHOLDER1", change["StationName"].ljust(12)))
    assert rule in broken(opened(path))


def test_other_instance_in_meta_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    slice_file(path, 0.0, "1.2.3.7")
    path.write_bytes(path.read_bytes().replace(b"1.2.3.7", b"1.2.3.8", 1))
    assert broken(opened(path))["meta-agrees"].kind is RuleKind.ADVISORY


def test_pixels_that_cannot_be_decoded_never_pass_silently(tmp_path: Path) -> None:
    for name in ("JPEG-lossy", "JPEG2000-embedded-sequence-delimiter", "badVR"):
        decoder = opened(SHIPPED / f"{name}.dcm")
        assert [f.name for f in decoder.dataset.fields] == ["elements"]
        assert "pixels-not-decoded" in {f.code for f in decoder.dataset.findings}
        assert broken(decoder)["pixels-decoded"].kind is RuleKind.STRUCTURAL
        DICOM.write(DirectPackage(decoder), tmp_path / "back.dcm")
        assert (tmp_path / "back.dcm").read_bytes() == (SHIPPED / f"{name}.dcm").read_bytes()


def test_elements_without_pixels_and_bare_data_sets() -> None:
    for name in ("rtplan", "reportsi", "test-SR", "rtstruct", "UN_sequence", "ExplVR_BigEndNoMeta", "no_meta"):
        path = SHIPPED / f"{name}.dcm"
        assert detect(LocalSource(path)).name == "DICOM"
        decoder = opened(path)
        rows = sum(batch.num_rows for batch in decoder.batches("elements"))
        assert rows == decoder.dataset.field("elements").rows > 0
    decoder = opened(SHIPPED / "no_meta.dcm")
    assert np.array_equal(whole(decoder), pydicom.dcmread(SHIPPED / "CT_small.dcm").pixel_array)
    assert {"no-file-meta", "stray-bytes"} <= {f.code for f in decoder.dataset.findings}


def test_every_cut_and_flip_ends_in_an_error_or_stays_readable(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    sources = [
        fixture.make(tmp_path),
        *(SHIPPED / f"{n}.dcm" for n in ("rtplan", "MR_small_RLE", "SC_rgb_small_odd_jpeg")),
    ]
    for number, source in enumerate(sources):
        data = source.read_bytes()
        path = tmp_path / f"x{number}.dcm"
        for place in rng.integers(0, min(len(data), 3000), 120):
            flipped = bytearray(data)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(flipped)
            use(path)
        for cut in rng.integers(1, len(data), 40):
            path.write_bytes(data[:cut])
            use(path)


def use(path: Path) -> None:
    try:
        decoder = opened(path)
        for field in decoder.dataset.fields:
            if isinstance(field, ArrayField):
                whole(decoder, field.name)
            else:
                list(decoder.batches(field.name))
        for item in decoder.dataset.carried:
            list(decoder.carried(item.name))
        decoder.rules()
        decoder.close()
    except CdtError as error:
        assert error.exit_status == 3, error.line()


def test_short_pixels_are_refused(tmp_path: Path) -> None:
    slice_file(tmp_path / "a.dcm", 0.0, "1.2.3.0", PixelData=bytes(38))
    with pytest.raises(CustomerError) as caught:
        opened(tmp_path / "a.dcm")
    assert caught.value.code == "truncated"


def test_a_file_cut_before_its_pixels_is_told(tmp_path: Path) -> None:
    data = (SHIPPED / "CT_small.dcm").read_bytes()
    (tmp_path / "a.dcm").write_bytes(data[: data.index(b"\xe0\x7f\x10\x00OW")])
    assert broken(opened(tmp_path / "a.dcm"))["pixels-present"].kind is RuleKind.STRUCTURAL


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_encodings_of_the_fixture(tmp_path: Path, syntax: str) -> None:
    read = pydicom.dcmread(fixture.make(tmp_path))
    made = Dataset()
    made.update({element.tag: element for element in read.iterall() if element.tag in read})
    made.file_meta = read.file_meta
    made.file_meta.TransferSyntaxUID = syntax
    big = syntax == ExplicitVRBigEndian
    if big:
        made.PixelData = np.frombuffer(made.PixelData, "<i2").astype(">i2").tobytes()
    del made[0x60003000]
    path = tmp_path / "other.dcm"
    pydicom.dcmwrite(path, made)
    decoder = opened(path)
    assert np.array_equal(whole(decoder), pydicom.dcmread(tmp_path / "schädel.dcm").pixel_array)
    DICOM.write(DirectPackage(decoder), tmp_path / "back.dcm")
    assert (tmp_path / "back.dcm").read_bytes() == path.read_bytes()
    values = {}
    for batch in decoder.batches("elements"):
        values |= {row["keyword"]: row["value"] or row["identifier"] for row in batch.to_pylist()}
    assert values["PatientName"] == "Müller^Jörg"


@pytest.mark.skipif(CORPUS is None, reason="the corpus of real files is not on this machine")
def test_corpus() -> None:
    assert CORPUS is not None
    seven = sorted((CORPUS / "reference" / "dicom_mr_small").glob("*.dcm"))
    assert len(seven) == 7
    first = pydicom.dcmread(seven[0]).pixel_array
    for path in seven:
        assert np.array_equal(whole(opened(path)), first)
    for name in ("MR_truncated", "rtplan_truncated"):
        with pytest.raises(CustomerError) as caught:
            opened(CORPUS / "malformed" / "pydicom" / f"{name}.dcm")
        assert caught.value.code == "truncated"
    warnings.simplefilter("ignore")
    for path in sorted((CORPUS / "imaging" / "pydicom").glob("*.dcm")):
        decoder = opened(path)
        if "pixels" in {f.name for f in decoder.dataset.fields}:
            assert np.array_equal(whole(decoder), pixel_array(path, raw=True))
