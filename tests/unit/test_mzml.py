"""mzML: arrays as pyteomics reads them, and what is wrong with bad files."""

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pynumpress
import pytest

from customer_data_treatment.adapters.contained import open_contained
from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats import FORMATS
from customer_data_treatment.formats.detect import detect
from customer_data_treatment.formats.omics.mzml import MZML
from customer_data_treatment.formats.omics.mzml.arrays import ArrayFacts, decode
from customer_data_treatment.formats.omics.mzml.stream import skeleton
from customer_data_treatment.vocabulary import RuleKind
from tests.corpus_path import CORPUS
from tests.promises.formats import mzml as fixture


def opened(path: Path) -> Any:
    return MZML.open(LocalSource(path))


def table(decoder: Any, name: str = "spectra") -> pa.Table:
    return pa.Table.from_batches(list(decoder.batches(name)), schema=decoder.dataset.field(name).schema)


def broken(decoder: Any) -> dict[str, Any]:
    for field in decoder.dataset.fields:
        table(decoder, field.name)
    return {rule.name.removeprefix("mzml-"): rule for rule in decoder.rules() if rule.violations}


def written(folder: Path, text: str) -> Path:
    path = folder / "a.mzML"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sound_file_breaks_nothing(tmp_path: Path) -> None:
    path = fixture.make(tmp_path)
    assert detect(LocalSource(path)).name == "mzML"
    assert not broken(opened(path))
    found = {rule.name for rule in opened(path).rules()}
    assert {"mzml-file-checksum", "mzml-index-offsets", "mzml-references"} <= found


def test_gzipped_is_the_same(tmp_path: Path) -> None:
    plain = fixture.make(tmp_path)
    packed = tmp_path / "b.mzML.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert detect(LocalSource(packed)).name == "mzML"
    assert table(opened(packed)).equals(table(opened(plain)))
    assert not broken(opened(packed))


def test_skeleton_is_the_file_without_its_arrays(tmp_path: Path) -> None:
    path = fixture.make(tmp_path)
    found = gzip.decompress(b"".join(opened(path).carried("skeleton.mzML.gz"))).decode()
    assert found == re.sub(r"<binary>[^<]*</binary>", "<binary></binary>", path.read_text("utf-8"))


@pytest.mark.parametrize("size", [1, 7, 64, 65, 1000])
def test_skeleton_whatever_the_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    path = fixture.make(tmp_path)
    expected = b"".join(skeleton(path, "x"))
    monkeypatch.setattr("customer_data_treatment.formats.omics.mzml.stream._PIECE", size)
    assert b"".join(skeleton(path, "x")) == expected


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('id="scan=2"', 'id="scan=1"', "ids-unique"),
        ('id="scan=2"', 'id="S2"', "id-form"),
        ('index="1" id', 'index="7" id', "index-attribute"),
        ('spectrumList count="3"', 'spectrumList count="4"', "list-length"),
        ('spectrumRef="scan=1"', 'spectrumRef="scan=9"', "references"),
        ('defaultDataProcessingRef="dp"', 'defaultDataProcessingRef="no"', "references"),
        ('defaultArrayLength="3"', 'defaultArrayLength="4"', "array-length"),
        ('encodedLength="', 'encodedLength="1', "encoded-length"),
        ('name="centroid" value=""', 'name="centroid"', "none"),
        ("MS:1000127", "MS:9999999", "required-terms"),
        ('name="ms level" value="1"', 'name="ms level" value="one"', "term-values"),
        ('name="ms level" value="1"', 'name="ms level" value=""', "term-values"),
        ("MS:1000576", "MS:9999999", "array-terms"),
        ('scanList count="1"', 'scanList count="2"', "other-counts"),
        ("<offset idRef=", "<offset idRef= ", "index-offsets"),
    ],
)
def test_breaches_are_counted(tmp_path: Path, old: str, new: str, rule: str) -> None:
    body = fixture.document()
    assert old in body
    changed = body.replace(old, new, 1)
    if rule == "index-offsets":
        changed = re.sub(r'(<offset idRef="[^"]*">)(\d)', r"\g<1>9\2", body, count=1)
    rest = changed[: changed.index("<indexList ")]
    if rule not in ("index-offsets",):
        changed = fixture.finished(rest)
    found = broken(opened(written(tmp_path, changed)))
    assert (rule in found) if rule != "none" else not found
    assert "file-checksum" not in found or rule == "index-offsets"


def test_values_are_judged(tmp_path: Path) -> None:
    arrays = [
        fixture.binary("MS:1000514", "m/z array", [3.0, 2.0], "<f8"),
        fixture.binary("MS:1000515", "intensity array", [1.0, -1.0], "<f4"),
    ]
    terms = fixture.term("MS:1000285", "total ion current", 100) + fixture.term("MS:1000505", "base peak intensity", 9)
    body = fixture.document()
    third = body[body.index('<spectrum index="2"') : body.index("</spectrumList>")]
    changed = body.replace(third, fixture.spectrum(2, terms, arrays, 2))
    found = broken(opened(written(tmp_path, fixture.finished(changed[: changed.index("<indexList ")]))))
    assert {"mz-sorted", "intensity-positive", "total-ion-current", "base-peak", "required-terms"} <= set(found)


def test_changed_bytes_fail_the_checksum(tmp_path: Path) -> None:
    changed = fixture.document().replace('value="445.34"', 'value="445.35"')
    rule = broken(opened(written(tmp_path, changed)))["file-checksum"]
    assert rule.kind is RuleKind.STRUCTURAL and rule.violations == 1


@pytest.mark.parametrize("codec", ["linear", "pic", "slof"])
@pytest.mark.parametrize("layer", ["", "zlib"])
def test_numpress(codec: str, layer: str) -> None:
    import base64

    values = np.linspace(100, 900, 57).round()
    encoded = {
        "linear": lambda v: pynumpress.encode_linear(v, 1000.0),
        "pic": pynumpress.encode_pic,
        "slof": lambda v: pynumpress.encode_slof(v, 1000.0),
    }[codec](values)
    raw = encoded.tobytes()
    text = base64.b64encode(zlib.compress(raw) if layer else raw).decode()
    found = decode(ArrayFacts("x", "<f8", codec, layer, None, (True, True, True)), text, "here")
    assert np.array_equal(found, getattr(pynumpress, f"decode_{codec}")(encoded))
    assert np.allclose(found, values, rtol=1e-3)


@pytest.mark.parametrize(
    ("text", "layer"), [("AAA", ""), ("!!!!", ""), ("AAAA", ""), ("AAAA", "zlib"), ("eJxjYGBgAA==", "zlib")]
)
def test_damaged_arrays_are_refused(text: str, layer: str) -> None:
    with pytest.raises(CustomerError) as caught:
        decode(ArrayFacts("x", "<f8", "", layer, None, (True, True, True)), text, "spectrum 1")
    assert caught.value.code == "corrupt" and "spectrum 1" in caught.value.where


def test_unread_compression_is_named(tmp_path: Path) -> None:
    body = fixture.document().replace("MS:1000574", "MS:1003780")
    with pytest.raises(CustomerError, match="zstd") as caught:
        opened(written(tmp_path, body))
    assert caught.value.code == "unsupported-format"


def test_every_cut_is_refused_and_no_flip_escapes(tmp_path: Path) -> None:
    data = fixture.document().encode()
    rng = np.random.default_rng(0)
    path = tmp_path / "x.mzML"
    for cut in rng.integers(1, len(data) - 1, 60):
        path.write_bytes(data[:cut])
        with pytest.raises(CustomerError):
            opened(path)
    for place in rng.integers(0, len(data), 150):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            # The byte after the checksum's end aside, every change is seen by someone.
            decoder = opened(path)
            assert broken(decoder) or place > len(data) - 80
        except CdtError as error:
            assert error.exit_status == 3


def test_entities_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    head, _, rest = fixture.document().partition("?>")
    evil = f'{head}?><!DOCTYPE x [<!ENTITY e SYSTEM "file://{secret}">]>{rest.replace("fullName=", "x=", 1)}'
    evil = evil.replace("<software id", "<userParam>&e;</userParam><software id")
    try:
        decoder = opened(written(tmp_path, evil))
        assert "SECRET" not in str(table(decoder).to_pydict())
    except CustomerError:
        pass


@pytest.mark.skipif(CORPUS is None, reason="the corpus of real files is not on this machine")
def test_corpus_arrays_are_the_references() -> None:
    assert CORPUS is not None
    found = table(opened(CORPUS / "proteomics" / "pyteomics" / "test.mzML"))
    for name, column in (("mz", "mz"), ("intensity", "intensity")):
        expected = np.load(CORPUS / "reference" / "mzml_arrays" / f"test_mzml_{name}.npy")
        rows = [found[column][row].values.to_numpy() for row in range(2)]
        assert all(row.dtype == expected.dtype and np.allclose(row, expected) for row in rows)
        assert any(np.array_equal(row, expected) for row in rows)


@pytest.mark.skipif(CORPUS is None, reason="the corpus of real files is not on this machine")
@pytest.mark.filterwarnings("ignore")
def test_corpus_is_as_pyteomics_reads_it() -> None:
    pytest.importorskip("psims", reason="pyteomics reads mzML only beside psims")
    from pyteomics import mzml

    assert CORPUS is not None
    for path in (
        CORPUS / "proteomics" / "pymzML" / "example.mzML",
        CORPUS / "metabolomics" / "OpenMS" / "AssayGeneratorMetabo_input.mzML",
        CORPUS / "malformed" / "OpenMS" / "MzMLFile_3_invalid.mzML",
    ):
        found = table(opened(path))
        with mzml.MzML(str(path), use_index=False) as peer:
            count = 0
            for row, item in enumerate(peer):
                count += 1
                assert found["id"][row].as_py() == item["id"]
                for column, name in (("mz", "m/z array"), ("intensity", "intensity array")):
                    assert np.array_equal(found[column][row].values.to_numpy(), item.get(name, np.empty(0)))
        assert count == found.num_rows


@pytest.mark.skipif(CORPUS is None, reason="the corpus of real files is not on this machine")
def test_corpus_bad_files_are_refused_or_named() -> None:
    assert CORPUS is not None
    folder = CORPUS / "malformed" / "OpenMS"
    with pytest.raises(CustomerError, match="XML is broken"):
        open_contained(FORMATS["mzML"], LocalSource(folder / "IndexedmzMLFile_2_broken.mzML"))
    invalid = broken(opened(folder / "MzMLFile_3_invalid.mzML"))
    assert {"ids-unique", "id-form", "references", "term-values", "other-counts"} <= set(invalid)
    empty = broken(opened(folder / "empty_XML.mzML"))
    assert {"array-length", "encoded-length", "term-values", "required-terms"} <= set(empty)
