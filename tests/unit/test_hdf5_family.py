"""HDF5, NetCDF and h5ad: values, skeletons, refusals and rules, each judged by the format's own library."""

import os
import struct
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file

from customer_data_treatment.adapters.files import LocalSource
from customer_data_treatment.errors import CdtError, CustomerError
from customer_data_treatment.formats.containers import cf
from customer_data_treatment.formats.containers.boxes import chunk_boxes, flat_boxes
from customer_data_treatment.formats.grids.hdf5 import HDF5
from customer_data_treatment.formats.grids.netcdf import NETCDF
from customer_data_treatment.formats.omics.h5ad import H5AD
from customer_data_treatment.vocabulary import Role
from tests.corpus_path import CORPUS
from tests.promises.formats import h5ad as h5ad_fixture
from tests.promises.formats import hdf5 as hdf5_fixture
from tests.promises.formats import netcdf as netcdf_fixture
from tests.promises.harness import DirectPackage

needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus is not on this machine")


class PlainPackage(DirectPackage):
    """What a package gives: plain numpy dtypes, without the metadata that h5py hangs on its own."""

    def read(self, name: str, box: Any) -> Any:
        values = super().read(name, box)
        return (
            np.frombuffer(values.tobytes(), values.dtype.str).reshape(values.shape)
            if values.dtype.kind != "O"
            else values
        )


def decoded(code: Any, path: Path) -> Any:
    return code.open(LocalSource(path))


def restored(code: Any, path: Path, target: Path) -> Path:
    decoder = decoded(code, path)
    code.write(PlainPackage(decoder), target)
    decoder.close()
    return target


def whole(decoder: Any, name: str) -> Any:
    return decoder.read(name, tuple(slice(0, n) for n in decoder.dataset.field(name).shape))


def refused(code: Any, path: Path) -> CustomerError:
    """Open and read everything; return the refusal."""
    with pytest.raises(CustomerError) as caught:
        decoder = decoded(code, path)
        try:
            for field in decoder.dataset.fields:
                if hasattr(field, "schema"):
                    list(decoder.batches(field.name))
                else:
                    whole(decoder, field.name)
        finally:
            decoder.close()
    assert "\n" not in caught.value.line()
    return caught.value


# --- HDF5: what the skeleton keeps -------------------------------------------------------------


def test_references_lead_to_the_same_things_after_restore(tmp_path: Path) -> None:
    source = hdf5_fixture.make(tmp_path)
    with h5py.File(source) as a, h5py.File(restored(HDF5, source, tmp_path / "again.h5")) as b:
        for file in (a, b):
            objects, regions = file["kept/objects"][()], file["kept/regions"][()]
            assert file[objects[0]].name == "/Zahlen/int8" and file[objects[1]].name == "/text" and not objects[2]
            assert file[file.attrs["reference"]].name == "/grid/lat"
            assert file[regions[0]].name == "/Zahlen/big_endian"
            assert file["grid/temperature"].dims[1][0].name == "/grid/lon"
        wanted, found = a["kept/regions"][0], b["kept/regions"][0]
        assert np.array_equal(a["Zahlen/big_endian"][wanted], b["Zahlen/big_endian"][found])


def test_types_links_and_layout_come_back(tmp_path: Path) -> None:
    source = hdf5_fixture.make(tmp_path)
    with h5py.File(source) as a, h5py.File(restored(HDF5, source, tmp_path / "again.h5")) as b:
        assert list(a) == list(b) and list(a.attrs) == list(b.attrs)
        assert b["links"].get("outside", getlink=True).filename == "/etc/passwd.h5"
        assert b["links"].get("dangling", getlink=True).path == "/nowhere"
        assert b["links/up"] == b["links"] and b["links/hard"] == b["Zahlen/int8"]
        assert b["links/of_named_type"].id.get_type().committed()
        big = b["Zahlen/big_endian"]
        assert (big.chunks, big.compression, big.shuffle, big.fletcher32) == ((3, 4, 5), "gzip", True, True)
        assert b["Zahlen/unlimited"].maxshape == (None,) and b["Zahlen/nothing"].shape is None
        assert b["Zahlen/sparse"].id.get_storage_size() == a["Zahlen/sparse"].id.get_storage_size()
        for name in ("colour", "stamps", "bits", "matrices", "bool"):
            assert a["Zahlen"][name][()].tobytes() == b["Zahlen"][name][()].tobytes()
        for name in ("ascii", "characters", "not_utf8", "blank_padded"):
            assert a["text"][name][()].tobytes() == b["text"][name][()].tobytes()
        for name in ("long", "opaque"):
            assert a["kept"][name][()].tobytes() == b["kept"][name][()].tobytes()
    assert (tmp_path / "again.h5").read_bytes()[:20] == b"MATLAB-like preamble"


def test_the_skeleton_is_the_same_on_every_run_and_small(tmp_path: Path) -> None:
    path = tmp_path / "big.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.random.default_rng(1).normal(size=(500, 500))
        file.create_dataset("y", data=np.arange(250_000), chunks=(1000,), compression="gzip")
        file["kind"] = np.dtype([("a", "i4")])
    first, second = decoded(HDF5, path), decoded(HDF5, path)
    pieces = [b"".join(d.carried("structure.h5.xz")) for d in (first, second)]
    assert pieces[0] == pieces[1] and len(pieces[0]) < 2000
    assert b"".join(first.carried("structure.json")) == b'{"kept": [], "lost": [], "sparse": []}'
    first.close()
    second.close()


def test_bytes_after_the_end_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "tail.h5"
    with h5py.File(path, "w") as file:
        file["x"] = 1.0
    with path.open("ab") as file:
        file.write(b"left over")
    decoder = decoded(HDF5, path)
    assert [f.code for f in decoder.dataset.findings] == ["trailing-bytes"]
    decoder.close()
    assert restored(HDF5, path, tmp_path / "again.h5").read_bytes().endswith(b"left over")


def test_many_attributes_and_long_ones_survive(tmp_path: Path) -> None:
    path = tmp_path / "dense.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["long"] = np.arange(20_000.0)  # past the 64 KiB of an old object header
        for at in range(300):
            file.attrs[f"a{at}"] = at
    with h5py.File(restored(HDF5, path, tmp_path / "again.h5")) as file:
        assert np.array_equal(file.attrs["long"], np.arange(20_000.0)) and len(file.attrs) == 301


# --- HDF5: facts -------------------------------------------------------------------------------


def test_roles_scales_and_fills_are_told(tmp_path: Path) -> None:
    decoder = decoded(HDF5, hdf5_fixture.make(tmp_path))
    field = decoder.dataset.field("grid/temperature")
    assert field.dimensions == ("lat", "lon") and field.spatial_axes == (0, 1)
    assert field.scale == (0.1, 273.15) and field.fill == -1 and field.units == "K"
    assert decoder.dataset.field("grid/lat").role is Role.COORDINATE
    colour = decoder.dataset.field("Zahlen/colour")
    assert colour.role is Role.CODE and colour.attributes["flag_meanings"] == "red sky_blue green"
    assert decoder.dataset.field("Zahlen/sparse").fill == -9999
    assert decoder.dataset.field("Zahlen/big_endian").source_chunks == (3, 4, 5)
    assert {f.code for f in decoder.dataset.findings} == {"kept-as-stored", "external-link"}
    names = [f.name for f in decoder.dataset.fields]
    assert "links/hard" not in names and len(set(names)) == len(names)
    assert decoder.dataset.source_compression == "deflate"
    decoder.close()


def test_no_link_is_followed_outside(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.arange(5.0)
    layout = h5py.VirtualLayout((5,), "f8")
    layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "x", (5,))
    path = tmp_path / "outer.h5"
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("view", layout)
        file["link"] = h5py.ExternalLink("secret.h5", "x")
        file.create_dataset("raw", (5,), "f8", external=[(str(tmp_path / "raw.bin"), 0, 40)])
        file["own"] = 1.0
    decoder = decoded(HDF5, path)
    assert [field.name for field in decoder.dataset.fields] == ["own"]
    assert len(decoder.dataset.findings) == 3
    decoder.close()
    with h5py.File(restored(HDF5, path, tmp_path / "again.h5")) as file:
        assert file["view"].is_virtual and file["raw"].external is not None


def test_a_view_of_the_same_file_is_read_and_stays_a_view(tmp_path: Path) -> None:
    path = tmp_path / "view.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(6.0)
        layout = h5py.VirtualLayout((3,), "f8")
        layout[:] = h5py.VirtualSource(".", "x", (6,))[::2]
        file.create_virtual_dataset("view", layout)
    decoder = decoded(HDF5, path)
    assert whole(decoder, "view").tolist() == [0, 2, 4]
    decoder.close()
    with h5py.File(restored(HDF5, path, tmp_path / "again.h5")) as file:
        assert file["view"].is_virtual and file["view"][()].tolist() == [0, 2, 4]


# --- HDF5: refusals ----------------------------------------------------------------------------


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    source = hdf5_fixture.make(tmp_path).read_bytes()
    for length in (0, 9, 600, 4096, len(source) // 2, len(source) - 1):
        path = tmp_path / "cut.h5"
        path.write_bytes(source[:length])
        assert refused(HDF5, path).code in ("truncated", "corrupt")
    assert refused(HDF5, path).code == "truncated"


def test_a_damaged_chunk_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        data = np.random.default_rng(0).normal(size=1000)
        file.create_dataset("g/checked", data=data, chunks=(100,), fletcher32=True)
        at = file["g/checked"].id.get_chunk_info(4).byte_offset
    raw = bytearray(path.read_bytes())
    raw[at + 50] ^= 4
    path.write_bytes(raw)
    error = refused(HDF5, path)
    assert error.code == "corrupt" and "g/checked" in error.where


def test_a_missing_filter_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(100), chunks=(50,), compression="gzip")
    raw = path.read_bytes()
    # The filter message (version 1): id 1 "deflate"; 32099 is registered to nobody here.
    at = raw.index(b"deflate\x00") - 8
    assert raw[at : at + 2] == b"\x01\x00"
    path.write_bytes(raw[:at] + struct.pack("<H", 32099) + raw[at + 2 :])
    error = refused(HDF5, path)
    assert error.code == "unsupported-format" and "32099" in error.message and error.where.endswith(", x")


def test_an_absurd_shape_is_refused_before_memory_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("vast", (2**40, 2**10), "f8", chunks=(1, 1024))
    assert refused(HDF5, path).code == "absurd-header"
    with h5py.File(path, "w") as file:
        file.create_dataset("sparse", (10**5, 10**4), "f4", chunks=(1000, 1000))
    decoder = decoded(HDF5, path)
    assert decoder.read("sparse", (slice(99_999, 100_000), slice(0, 10))).tolist() == [[0.0] * 10]
    decoder.close()


def test_a_type_that_does_not_fit_its_bytes_is_refused(tmp_path: Path) -> None:
    """Converting into such a type ends the process inside the HDF5 library (2.0.0, found by bit flips)."""
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["g/x"] = np.arange(6.0)
    raw = path.read_bytes()
    at = raw.index(bytes.fromhex("08000000 0000 4000 34 0b 00 34")) + 6
    path.write_bytes(raw[:at] + b"\x48" + raw[at + 1 :])
    error = refused(HDF5, path)
    assert error.code == "corrupt" and "g/x" in error.where


@needs_corpus
def test_matlab_objects_that_point_nowhere_are_counted() -> None:
    assert CORPUS is not None
    decoder = decoded(HDF5, CORPUS / "malformed/MAT.jl/corrupted_mcos_object_metadata.mat")
    (rule,) = decoder.rules()
    assert rule.name == "matlab-object-exists" and rule.violations == 1 and rule.where == ("var",)
    decoder.close()


# --- NetCDF ------------------------------------------------------------------------------------


def _classic(path: Path, form: str, *, odd: bool = True) -> Path:
    with netCDF4.Dataset(path, "w", format=form) as file:
        file.title = "größe"
        for name, length in (("time", None), ("x", 3), ("y", 5)):
            file.createDimension(name, length)
        for name, kind, dimensions in (
            ("fixed", "i2", ("x",)),
            ("word", "S1", ("y",)),
            ("grid", "f8", ("y", "x")),
            ("scalar", "f4", ()),
            ("b", "i1", ("time", "x")),
            ("s", "i2", ("time", "y")),
            ("d", "f8", ("time", "y", "x")),
            ("c", "S1", ("time", "x")),
        )[: 8 if odd else 5]:
            variable = file.createVariable(name, kind, dimensions)
            variable.set_auto_chartostring(False)
            shape = [4 if d == "time" else len(file.dimensions[d]) for d in dimensions]
            size = int(np.prod(shape))
            values = np.arange(size).reshape(shape)
            variable[...] = (values % 26 + 97).astype("u1").view("S1") if kind == "S1" else values.astype(kind)
        file["d"].units = "K" if odd else ""
    return path


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
def test_classic_files_come_back_byte_for_byte(tmp_path: Path, form: str) -> None:
    source = _classic(tmp_path / "a.nc", form)
    decoder = decoded(NETCDF, source)
    with netCDF4.Dataset(source) as peer:
        peer.set_auto_maskandscale(False)
        peer.set_auto_chartostring(False)
        for name, variable in peer.variables.items():
            wanted, found = np.asarray(variable[...]), whole(decoder, name)
            if wanted.dtype.kind == "S":
                assert found.reshape(-1).tolist() == [c.decode() for c in wanted.reshape(-1).tolist()]
            else:
                assert found.dtype.isnative and np.array_equal(found, wanted)
        assert decoder.read("d", (slice(1, 3), slice(2, 4), slice(1, 3))).tolist() == peer["d"][1:3, 2:4, 1:3].tolist()
    assert decoder.rules()[0].violations == 0
    decoder.close()
    assert restored(NETCDF, source, tmp_path / "b.nc").read_bytes() == source.read_bytes()


def test_a_lone_small_record_variable_is_not_padded(tmp_path: Path) -> None:
    path = tmp_path / "lone.nc"
    with netcdf_file(path, "w") as file:
        file.createDimension("t", None)
        file.createDimension("x", 3)
        file.createVariable("b", "b", ("t", "x"))[:5] = np.arange(15, dtype="i1").reshape(5, 3)
    decoder = decoded(NETCDF, path)
    assert np.array_equal(whole(decoder, "b"), np.arange(15).reshape(5, 3))
    decoder.close()
    assert restored(NETCDF, path, tmp_path / "b.nc").read_bytes() == path.read_bytes()


def test_a_short_classic_file_is_refused_where_the_c_library_fills_zeros(tmp_path: Path) -> None:
    raw = _classic(tmp_path / "a.nc", "NETCDF3_CLASSIC").read_bytes()
    path = tmp_path / "cut.nc"
    for length in range(4, len(raw) - 4, 37):
        path.write_bytes(raw[:length])
        with pytest.raises(CustomerError) as caught:  # at the door, before a value is read
            decoded(NETCDF, path)
        assert caught.value.code == "truncated"
    path.write_bytes(raw[: len(raw) - 40])
    with netCDF4.Dataset(path) as peer:  # the peer says nothing
        assert peer["d"].shape == (4, 5, 3)
    assert "byte" in refused(NETCDF, path).where


def test_classic_values_that_lie_upon_each_other_are_refused(tmp_path: Path) -> None:
    raw = _classic(tmp_path / "a.nc", "NETCDF3_CLASSIC").read_bytes()
    at = raw.index(struct.pack(">I", 3), raw.index(b"x\0\0\0"))
    path = tmp_path / "long.nc"
    path.write_bytes(raw[:at] + struct.pack(">I", 9) + raw[at + 4 :])
    assert refused(NETCDF, path).code in ("corrupt", "truncated")


def test_what_follows_the_last_value_is_carried(tmp_path: Path) -> None:
    path = _classic(tmp_path / "a.nc", "NETCDF3_CLASSIC")
    with path.open("ab") as file:
        file.write(b"left over!")
    decoder = decoded(NETCDF, path)
    assert [f.code for f in decoder.dataset.findings] == ["trailing-bytes"]
    decoder.close()
    assert restored(NETCDF, path, tmp_path / "b.nc").read_bytes() == path.read_bytes()


def test_netcdf4_structure_comes_back(tmp_path: Path) -> None:
    source = netcdf_fixture.make(tmp_path)
    with netCDF4.Dataset(source) as a, netCDF4.Dataset(restored(NETCDF, source, tmp_path / "b.nc")) as b:
        assert _structure(a) == _structure(b)


def _structure(group: Any) -> Any:
    return (
        [(d.name, len(d), d.isunlimited()) for d in group.dimensions.values()],
        [(k, type(group.getncattr(k)), str(group.getncattr(k))) for k in group.ncattrs()],
        sorted(map(str, (*group.cmptypes.values(), *group.vltypes.values(), *group.enumtypes.values()))),
        [
            (
                v.name,
                str(v.datatype),
                v.dimensions,
                v.chunking(),
                v.endian(),
                v.filters(),
                [(k, str(v.getncattr(k))) for k in v.ncattrs()],
            )
            for v in group.variables.values()
        ],
        [(name, _structure(child)) for name, child in group.groups.items()],
    )


def test_cf_facts_are_told(tmp_path: Path) -> None:
    decoder = decoded(NETCDF, netcdf_fixture.make(tmp_path))
    field = decoder.dataset.field
    assert field("t2m").scale == (0.01, 273.15) and field("t2m").fill == -32768
    assert field("t2m").spatial_axes == (1, 2) and field("t2m").dimensions == ("time", "lat", "lon")
    roles = {f.name: f.role for f in decoder.dataset.fields if hasattr(f, "role")}
    assert roles["time"] is Role.TIME and roles["quality"] is Role.CODE and roles["cloud"] is Role.CODE
    assert {roles["lat"], roles["lon"], roles["lat_bnds"]} == {Role.COORDINATE}
    assert field("wind").fill == float(np.float32(1e20)) and roles["wind"] is Role.MEASUREMENT
    assert "lonely" not in roles
    limits = {(w.fact, w.value) for w in decoder.dataset.witnesses if w.field == "t2m"}
    assert limits == {("minimum", 0), ("maximum", 71)}
    decoder.close()


def test_declared_ranges_are_turned_into_stored_numbers() -> None:
    packed = {"scale_factor": -0.5, "add_offset": 10.0, "actual_range": np.array([0.0, 9.0])}
    facts = {w.fact: w.value for w in cf.witnesses_of(cf.Variable("v", "int16", (3,), (None,), packed))}
    assert facts == {"max": 20.0, "min": 2.0}
    plain = {"valid_min": np.int16(-3), "valid_max": np.int16(5)}
    found = cf.witnesses_of(cf.Variable("v", "int16", (3,), (None,), plain))
    assert [(w.fact, w.value, w.relative_tolerance) for w in found] == [("minimum", -3, 0.0), ("maximum", 5, 0.0)]
    assert cf.witnesses_of(cf.Variable("v", "int8", (3,), (None,), plain | {"signtype": "unsigned"})) == ()


def test_bounds_of_a_coordinate_are_told_by_their_name_alone() -> None:
    """GOES names y_image_bounds in no attribute of y_image."""
    edge = cf.Variable("g/y_image", "float32", (), (), {"standard_name": "projection_y_coordinate"})
    bounds = cf.Variable("g/y_image_bounds", "float32", (2,), ("nv",), {})
    other = cf.Variable("g/flux_bounds", "float32", (2,), ("nv",), {})
    flux = cf.Variable("g/flux", "float32", (), (), {})
    told = cf.meanings([edge, bounds, flux, other])
    assert told["g/y_image_bounds"].role is Role.COORDINATE
    assert told["g/flux_bounds"].role is Role.MEASUREMENT


@needs_corpus
def test_the_corpus_s_bad_classic_file_is_refused() -> None:
    assert CORPUS is not None
    assert refused(NETCDF, CORPUS / "malformed/netcdf-c/bad_cdf5_begin.nc").code == "truncated"


def test_opaque_bytes_come_back_as_opaque(tmp_path: Path) -> None:
    """They have no padding to ask for."""
    path, values = tmp_path / "opaque.h5", np.array([b"ab\0c", b"wxyz"], "V4")
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, 4)
    kind.set_tag(b"NUMPY:|S4")
    with h5py.File(path, "w") as file:
        made = h5py.h5d.create(file.id, b"cells", kind, h5py.h5s.create_simple((2,)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, values, kind)
    decoder = decoded(HDF5, path)
    HDF5.write(DirectPackage(decoder), tmp_path / "back.h5")
    with h5py.File(tmp_path / "back.h5") as back:
        assert back["cells"].id.get_type().equal(kind)
        held = np.zeros(2, "V4")
        back["cells"].id.read(h5py.h5s.ALL, h5py.h5s.ALL, held, kind)
        assert held.tobytes() == values.tobytes()
    decoder.close()


def test_a_bitfield_is_read_and_written_back_as_one(tmp_path: Path) -> None:
    path = tmp_path / "bits.h5"
    values = np.array([[0, 1, 255], [128, 7, 9]], np.uint8)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((2, 3))
        made = h5py.h5d.create(file.id, b"flags", h5py.h5t.STD_B8LE, space)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, values, h5py.h5t.STD_B8LE)
    decoder = decoded(HDF5, path)
    assert np.array_equal(decoder.read("flags", (slice(0, 2), slice(0, 3))), values)
    HDF5.write(DirectPackage(decoder), tmp_path / "back.h5")
    with h5py.File(tmp_path / "back.h5") as back:
        assert np.array_equal(back["flags"][()], values)
        assert back["flags"].id.get_type().get_class() == h5py.h5t.BITFIELD
    decoder.close()


# --- h5ad --------------------------------------------------------------------------------------


def _broken(tmp_path: Path, change: Any) -> dict[str, int]:
    path = h5ad_fixture.make(tmp_path)
    with h5py.File(path, "r+") as file:
        change(file)
    decoder = decoded(H5AD, path)
    found = {rule.name: rule.violations for rule in decoder.rules()}
    decoder.close()
    return found


def test_a_good_h5ad_keeps_all_rules_and_reads_as_anndata(tmp_path: Path) -> None:
    import anndata

    assert not any(_broken(tmp_path, lambda file: None).values())
    source = h5ad_fixture.make(tmp_path)
    target = restored(H5AD, source, tmp_path / "again.h5ad")
    a, b = anndata.read_h5ad(source), anndata.read_h5ad(target)
    assert a.obs.equals(b.obs) and a.var.equals(b.var) and (a.X != b.X).nnz == 0 and (a.raw.X != b.raw.X).nnz == 0
    assert np.array_equal(a.layers["log"], b.layers["log"]) and (a.layers["by_gene"] != b.layers["by_gene"]).nnz == 0
    assert np.array_equal(a.obsm["X_pca"], b.obsm["X_pca"]) and repr(a.uns) == repr(b.uns)


@pytest.mark.parametrize(
    ("rule", "path", "at", "value"),
    [
        ("anndata-sparse", "X/indices", 0, 9),
        ("anndata-sparse", "X/indptr", 3, 0),
        ("anndata-codes", "obs/cluster/codes", 0, 4),
        ("anndata-unique-index", "obs/_index", 0, "c1"),
    ],
)
def test_each_anndata_rule_counts_its_breach(tmp_path: Path, rule: str, path: str, at: int, value: Any) -> None:
    def change(file: h5py.File) -> None:
        file[path][at] = value

    found = _broken(tmp_path, change)
    assert found[rule] == 1 and sum(found.values()) == 1


def test_misaligned_elements_are_counted(tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["obsm/X_pca"]
        file["obsm/X_pca"] = np.zeros((11, 3))

    assert _broken(tmp_path, change)["anndata-aligned"] == 1


def test_old_h5ad_with_record_tables_is_read_as_tables(tmp_path: Path) -> None:
    path = tmp_path / "old.h5ad"
    with h5py.File(path, "w") as file:
        file["X"] = np.ones((2, 3), "f4")
        file["obs"] = np.array([(b"a", 1.0), (b"b", 2.0)], [("index", "S1"), ("n", "f8")])
        file["var"] = np.array([(b"x",), (b"y",), (b"z",)], [("index", "S1")])
    decoder = decoded(H5AD, path)
    assert decoder.dataset.native is None
    assert [f.code for f in decoder.dataset.findings] == ["legacy-h5ad"]
    assert next(decoder.batches("obs")).to_pydict() == {"index": ["a", "b"], "n": [1.0, 2.0]}
    decoder.close()


# --- boxes, memory, the whole corpus -------------------------------------------------------------


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
    start=st.integers(0, 100),
    count=st.integers(1, 400),
)
def test_flat_boxes_cover_a_run_in_order(shape: tuple[int, ...], start: int, count: int) -> None:
    numbers = np.arange(int(np.prod(shape))).reshape(shape)
    start %= numbers.size
    count = min(count, numbers.size - start)
    parts = [(numbers[box].reshape(-1), at, size) for box, at, size in flat_boxes(shape, start, count)]
    assert [at for _, at, _ in parts] == list(np.cumsum([0, *(size for _, _, size in parts)])[:-1])
    assert np.concatenate([part for part, _, _ in parts]).tolist() == list(range(start, start + count))


@given(
    shape=st.lists(st.integers(0, 9), min_size=0, max_size=3).map(tuple),
    chunk=st.integers(1, 4),
)
def test_chunk_boxes_tile(shape: tuple[int, ...], chunk: int) -> None:
    seen = np.zeros(shape, int)
    for box in chunk_boxes(shape, (chunk,) * len(shape), 8 << 20, len(shape)):
        seen[box] += 1
    assert (seen == 1).all()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_damage_ends_in_a_refusal_or_a_reading(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    source = tmp_path / "a.nc"
    if not source.exists():
        _classic(source, "NETCDF3_64BIT_DATA")
    raw = bytearray(source.read_bytes())
    raw[int(draw.integers(0, len(raw)))] ^= 1 << int(draw.integers(0, 8))
    path = tmp_path / "flip.nc"
    path.write_bytes(raw)
    try:
        decoder = decoded(NETCDF, path)
        for field in decoder.dataset.fields:
            whole(decoder, field.name)
        b"".join(decoder.carried("between.xz"))
        decoder.close()
    except CdtError as error:
        assert error.exit_status == 3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_a_box_costs_its_own_size(tmp_path: Path) -> None:
    path = tmp_path / "wide.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("flat", (64, 1 << 20), "f4")[0, 0] = 1
        file["flat"][63, :] = 2
    decoder = decoded(HDF5, path)
    decoder.read("flat", (slice(0, 1), slice(0, 1000)))
    before = _resident()
    for row in range(64):
        assert decoder.read("flat", (slice(row, row + 1), slice(0, 1000))).shape == (1, 1000)
    assert _resident() - before < 16 << 20
    decoder.close()


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


_GOOD = [
    ("HDF5", "astronomy_physics/gwpy/HLV-HW100916-968654552-1.hdf"),
    ("HDF5", "environment/debian-hdfeos5/Point.h5"),
    ("HDF5", "generic/h5py/compound-dtype-complex.h5"),
    ("HDF5", "generic/h5py/vlen_string_dset.h5"),
    ("HDF5", "generic/scipy/testhdf5_7.4_GLNX86.mat"),
    ("HDF5", "imaging/nibabel/minc2_4d.mnc"),
    ("HDF5", "imaging/nibabel/small.mnc"),
    ("HDF5", "malformed/nibabel/minc2_baddim.mnc"),
    ("HDF5", "transcriptomics/cmapPy/mini_gctx_with_metadata_n2x3.gctx"),
    ("HDF5", "transcriptomics/loompy/test.loom"),
    ("HDF5", "transcriptomics/scanpy/10x_data/3.0.0/filtered_feature_bc_matrix.h5"),
    ("HDF5", "spatial_transcriptomics/scanpy/raw_probe_bc_matrix.h5"),
    ("HDF5", "spatial_transcriptomics/scanpy/visium_data/1.0.0/filtered_feature_bc_matrix.h5"),
    ("NetCDF", "environment/netcdf4-python/20171025_2056.Cloud_Top_Height.nc"),
    ("NetCDF", "environment/xarray-data/basin_mask.nc"),
    ("NetCDF", "environment/xclim-testdata/GFWED_sample_2017.nc"),
    ("NetCDF", "environment/xclim-testdata/daily_surface_cancities_1990-1993.nc"),
    ("NetCDF", "malformed/netcdf-c/ref_hdf5_compat2.nc"),
    ("NetCDF", "reference/netcdf/ref_nc_test_netcdf4_4_0.nc"),
    ("NetCDF", "environment/netcdf4-python/CRM032_test1.nc"),
    ("NetCDF", "imaging/nibabel/minc1_4d.mnc"),
    ("NetCDF", "metabolomics/faahKO/ko15.CDF"),
    ("h5ad", "transcriptomics/anndata/adata.h5ad"),
    ("h5ad", "transcriptomics/squidpy/test_data.h5ad"),
]


@needs_corpus
@pytest.mark.parametrize(("form", "name"), _GOOD)
def test_every_good_file_of_the_corpus_comes_back(tmp_path: Path, form: str, name: str) -> None:
    assert CORPUS is not None
    code = {"HDF5": HDF5, "NetCDF": NETCDF, "h5ad": H5AD}[form]
    source = CORPUS / name
    target = restored(code, source, tmp_path / "again")
    if source.read_bytes()[:3] == b"CDF":
        assert target.read_bytes() == source.read_bytes()
        return
    with h5py.File(source) as a, h5py.File(target) as b:
        seen: list[str] = []
        a.visit(seen.append)
        again: list[str] = []
        b.visit(again.append)
        assert seen == again
        for path in seen:
            assert list(a[path].attrs) == list(b[path].attrs)
            if isinstance(a[path], h5py.Dataset):
                assert a[path].id.get_type().equal(b[path].id.get_type())
                assert _same(a[path][()], b[path][()]), path


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, h5py.Empty):
        return isinstance(b, h5py.Empty)
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.names:
        return all(_same(a[name], b[name]) for name in a.dtype.names)
    if a.dtype.kind != "O":
        return a.tobytes() == b.tobytes()
    pairs = zip(a.reshape(-1), b.reshape(-1), strict=True)
    return all(
        _same(x, y) if isinstance(x, np.ndarray) else bool(x) == bool(y) if isinstance(x, h5py.Reference) else x == y
        for x, y in pairs
    )
