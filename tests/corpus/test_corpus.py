"""Every file of the corpus in the formats that are read: good ones whole, bad ones refused or named."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xarray as xr
import zarr

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.codecs.bounded import restored as decoded_form
from customer_data_treatment.errors import CdtError
from customer_data_treatment.formats.detect import all_formats, detect
from customer_data_treatment.local import open_decoder, surroundings
from customer_data_treatment.model.dataset import TEXT, TableField
from customer_data_treatment.package.opened import OpenedPackage
from customer_data_treatment.pipeline.restore import restore

from ..corpus_path import CORPUS
from ..promises.test_formats import same
from ..treating import treated, verified

_NOT_DATA = ("crypto_vectors/", "optimisation/", "reference/numcodecs/zstd/codec")
# Files of formats that come later which only look like a table: sidecars of other formats.
_SIDECARS = (".prj", ".crai", ".fai", ".vmrk", "prosol_History", "record-1f.gz", "pulseprogram")


def listed() -> list[tuple[str, str]]:
    if CORPUS is None:
        return []
    found = []
    for line in (CORPUS / "MANIFEST.tsv").read_text().splitlines()[1:]:
        path, quality = line.split("\t")[0], line.split("\t")[8]
        if path.startswith(_NOT_DATA) or path.endswith(_SIDECARS):
            continue
        try:
            detect(LocalSource(CORPUS / path))
        except CdtError:
            continue
        found.append((path, quality))
    return found


FILES = listed()
GOOD = [path for path, quality in FILES if quality == "good"]
ODD = [path for path, quality in FILES if quality != "good"]


def test_the_corpus_is_there(corpus: Path) -> None:
    """Without the corpus the rest of this file is empty: say so rather than pass."""
    assert len(GOOD) > 100
    assert len(ODD) > 20


@pytest.mark.parametrize("name", GOOD)
def test_good_file(name: str, tmp_path: Path) -> None:
    assert CORPUS is not None
    source = CORPUS / name
    package = tmp_path / "package"
    summary = treated(source, package)
    found = verified(package, source)
    assert found.ok and found.proven, found.problems
    assert summary.fidelity in (1.0, None)
    assert_readers_agree(source, package)
    assert_restores(source, package, tmp_path / f"restored{''.join(source.suffixes[-2:])}")


def assert_readers_agree(source: Path, package: Path) -> None:
    """Plain zarr, xarray, pyarrow and polars open the package without a warning and read the decoder's values."""
    facts = detect(LocalSource(source))
    decoder = open_decoder(facts, LocalSource(source))
    opened = OpenedPackage(package)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        root = package / "data" / "arrays.zarr"
        group = None
        if root.is_dir():
            group = zarr.open_group(root, mode="r")
            xr.open_datatree(root, engine="zarr").close()
        for field in decoder.dataset.fields:
            if isinstance(field, TableField):
                path = package / "data" / "tables" / f"{opened.facts['tables'][field.name]}.parquet"
                held = pq.read_table(path)
                wanted = pa.Table.from_batches(list(decoder.batches(field.name)), schema=field.schema)
                assert held.schema.names == wanted.schema.names
                assert held.equals(wanted) or same(held, wanted), field.name
                assert pl.scan_parquet(path).select(pl.len()).collect().item() == wanted.num_rows
                continue
            assert group is not None
            wanted = decoder.read(field.name, tuple(slice(0, n) for n in field.shape))
            held = group[opened.facts["nodes"][field.name]][...]
            if field.dtype == TEXT:
                filled = np.array(["" if v is None else v for v in wanted.reshape(-1)], dtype=object)
                assert np.asarray(held, dtype=object).reshape(-1).tolist() == filled.tolist(), field.name
            else:
                values = decoded_form(np.asarray(held), opened.array(field.name).form, field.numpy_dtype())
                assert values.reshape(field.shape).tobytes() == wanted.tobytes(), field.name
    decoder.close()


def assert_restores(source: Path, package: Path, target: Path) -> None:
    """What is restored decodes to the source's values, in the source's format where a writer exists."""
    result = restore(package, target, surroundings())
    facts = detect(LocalSource(source))
    if not facts.restores:
        return
    assert result.exact
    again = detect(LocalSource(target))
    before, after = open_decoder(facts, LocalSource(source)), open_decoder(again, LocalSource(target))
    if again.name == facts.name:  # BCF comes back as VCF: its peers are compared in the promise suite
        assert [f.name for f in after.dataset.fields] == [f.name for f in before.dataset.fields]
        for field in before.dataset.fields:
            if facts.name == "DICOM" and isinstance(field, TableField):
                continue  # losslessly compressed pixels come back uncompressed, and their header says so
            assert same(whole(after, field), whole(before, field)), field.name
    before.close()
    after.close()


def whole(decoder: Any, field: Any) -> Any:
    if isinstance(field, TableField):
        return pa.Table.from_batches(list(decoder.batches(field.name)), schema=decoder.dataset.field(field.name).schema)
    return decoder.read(field.name, tuple(slice(0, n) for n in field.shape))


@pytest.mark.parametrize("name", ODD)
def test_odd_or_bad_file(name: str, tmp_path: Path) -> None:
    """A bad file is refused with exit 3, or treated with a finding about the data that is no mere note on metadata."""
    assert CORPUS is not None
    source = CORPUS / name
    quality = dict(FILES)[name]
    try:
        summary = treated(source, tmp_path / "p")
    except CdtError as error:
        assert error.exit_status == 3, error.line()
        assert not (tmp_path / "p").exists()
        return
    assert verified(tmp_path / "p", source).ok
    named = [f for f in summary.findings if not f.code.startswith("metadata-")]
    assert named or quality != "bad", "a bad file was treated in silence"


def test_every_format_is_met(corpus: Path) -> None:
    met = {detect(LocalSource(corpus / name)).name for name in GOOD}
    assert set(all_formats()) - met <= {"NPZ"}  # the corpus holds no NPZ: its fixture stands in
