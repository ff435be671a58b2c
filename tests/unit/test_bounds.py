"""Decoded values keep their bound everywhere: any float, any layout, in the reader's own arithmetic."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from customer_data_treatment.algorithms.observe import observe
from customer_data_treatment.codecs.bounded import restored, store
from customer_data_treatment.model.dataset import ArrayField
from customer_data_treatment.pipeline.choose import bounded_form

from ..treating import saved, stored, treated, verified

FLOATS = st.sampled_from([np.float16, np.float32, np.float64])


@st.composite
def float_arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = np.dtype(draw(FLOATS))
    kind = draw(st.sampled_from(["any", "offset", "lattice", "tiny", "wide"]))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=9))
    if kind == "any":
        return draw(hnp.arrays(dtype, shape))
    base = draw(hnp.arrays(np.float64, shape, elements=st.floats(-1, 1, width=32)))
    factor = {"offset": 1.0, "lattice": 1.0, "tiny": 1e-300, "wide": 1e30}[kind]
    with np.errstate(over="ignore", invalid="ignore"):
        values = base * factor
        if kind == "offset":
            values = values + draw(st.sampled_from([1e3, 1e9, -1e15, 2.0**53]))
        if kind == "lattice":
            values = np.rint(values * 300) * 0.1
        return values.astype(dtype)


@settings(max_examples=600, deadline=None)
@given(float_arrays(), st.floats(1e-12, 1e6), st.booleans())
def test_every_form_keeps_its_bound(values: np.ndarray, bound: float, with_fill: bool) -> None:
    fill = float(values.flat[0]) if with_fill and values.size and np.isfinite(values.flat[0]) else None
    array = ArrayField("a", values.shape, values.dtype.name, fill=fill)
    statistics, zeros = observe(values, fill)
    form = bounded_form(array, bound, statistics, zeros, None, native=False)
    if form is None:
        return
    held, errors, _ = store(values, form, fill)
    if errors.broken:
        return  # the caller chooses another form
    back = restored(held, form, values.dtype)
    ordinary = np.isfinite(values) & ((values != fill) if fill is not None else True)
    error = np.abs(back[ordinary].astype(np.float64) - values[ordinary].astype(np.float64))
    assert not error.size or error.max() <= bound
    assert same_bits(back[~ordinary], values[~ordinary])
    if form.grid is not None:  # what an xarray reader computes, in float64
        wide = held.astype(np.float64) * form.grid.step + form.grid.offset
        assert not error.size or np.abs(wide[ordinary] - values[ordinary].astype(np.float64)).max() <= bound


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    nan = np.isnan(a) & np.isnan(b)
    return bool((nan | (a.view(f"u{a.itemsize}") == b.view(f"u{b.itemsize}"))).all())


BOUNDS = ["lossless", "auto", "abs=0.01", "abs=1e5", "rel=1e-3", "rel=0.2", "noise=0.5"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=float_arrays(), bound=st.sampled_from(BOUNDS))
def test_a_package_keeps_its_bound(values: np.ndarray, bound: str, tmp_path: Path) -> None:
    source = saved(tmp_path, values)
    package = tmp_path / "package"
    summary = treated(source, package, bound, overwrite=True)
    assert verified(package, source).ok, verified(package, source).problems
    encoding = summary.body["fields"][0]["encoding"]
    if encoding["form"] == "exact":
        assert same_bits(stored(package)[...], values)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="ignore"):
            read = xr.open_zarr(package / "data" / "arrays.zarr", consolidated=True)["array"].values
    ordinary = np.isfinite(values)
    worst = np.abs(read[ordinary].astype(np.float64) - values[ordinary].astype(np.float64)).max(initial=0.0)
    assert worst <= encoding["bound"]
    assert bool((np.isnan(read) == np.isnan(values)).all())


ODD = {
    "0-d": np.array(3.5),
    "0-d int": np.array(-7, "i2"),
    "empty": np.zeros((0, 3)),
    "empty middle": np.zeros((4, 0, 2), "f4"),
    "big-endian": np.arange(24, dtype=">f8").reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(60.0).reshape(3, 4, 5)),
    "complex64": (np.arange(6) * (1 + 2j)).astype("c8"),
    "complex128 nan": np.array([complex(np.nan, 1), complex(-0.0, np.inf)]),
    "bool": np.array([[True, False], [False, False]]),
    "int64 edge": np.array([2**63 - 1, -(2**63), 2**60 + 1]),
    "uint64 edge": np.array([2**64 - 1, 0], "u8"),
    "denormal": np.array([5e-324, -5e-324, 0.0, -0.0, 2.2e-308]),
    "special": np.array([np.nan, np.inf, -np.inf, -0.0, 1.0], "f4"),
    "half": np.array([65504, -65504, 6e-8, np.nan, np.inf], "f2"),
    "text": np.array([["a", "ü"], ["", "日本"]]),
    "bytes": np.array([b"a", b"\xff\x01", b""]),
    "datetime ns": np.array(["1970-01-01", "NaT", "2262-01-01"], "M8[ns]"),
    "datetime day": np.array(["0001-01-01", "9999-12-31"], "M8[D]"),
    "datetime year": np.array(["1970", "2020"], "M8[Y]"),
    "timedelta": np.array([1, 2, -3], "m8[s]"),
    "huge offset": 1e15 + np.arange(50.0) * 0.25,
    "constant": np.full((5, 5), 2.5, "f4"),
    "one": np.array([1.0]),
    "many dims": np.arange(64.0).reshape((2,) * 6),
}


@pytest.mark.parametrize("bound", ["lossless", "auto", "abs=0.5", "rel=1e-3"])
@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_arrays(name: str, bound: str, tmp_path: Path) -> None:
    source = saved(tmp_path, ODD[name])
    summary = treated(source, tmp_path / "p", bound)
    found = verified(tmp_path / "p", source)
    assert found.ok, found.problems
    encoding = summary.body["fields"][0]["encoding"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        held = stored(tmp_path / "p")[...]
        xr.open_datatree(tmp_path / "p" / "data" / "arrays.zarr", engine="zarr").load()
    assert np.shape(held) == ODD[name].shape
    if encoding["form"] == "exact" and ODD[name].dtype.kind in "fiubc":
        native = ODD[name].astype(ODD[name].dtype.newbyteorder("="))
        assert np.asarray(held).tobytes() == native.tobytes()


def test_lossy_roles_only(tmp_path: Path) -> None:
    """Coordinates, times, masks and integers stay exact under a bound that names no field."""
    path = tmp_path / "x.npz"
    grid = np.linspace(0, 1, 4000)
    np.savez(path, latitude=grid, time=grid, count=np.arange(4000), signal=np.sin(grid * 50) + grid)
    summary = treated(path, tmp_path / "p", "rel=1e-2")
    forms = {f["name"]: f["encoding"]["form"] for f in summary.body["fields"]}
    assert forms["signal"] != "exact"
    assert {forms[n] for n in ("latitude", "time", "count")} == {"exact"}


def test_a_bound_that_names_an_integer_field(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-30000, 30000, 5000).astype("i2")
    source = saved(tmp_path, values)
    summary = treated(source, tmp_path / "p", "array:abs=10")
    held = xr.open_zarr(tmp_path / "p/data/arrays.zarr")["array"].values
    assert summary.body["fields"][0]["encoding"]["form"] == "packed"
    assert np.abs(held - values).max() <= 10
    assert (held % 21 == 0).all()
    assert verified(tmp_path / "p", source).ok


def test_a_lattice_is_kept(tmp_path: Path) -> None:
    """A field of k * 0.1 with 60 % zeros keeps its lattice, and zero stays zero."""
    rng = np.random.default_rng(1)
    values = np.where(rng.random(20000) < 0.6, 0.0, rng.integers(0, 400, 20000) * 0.1)
    source = saved(tmp_path, values)
    summary = treated(source, tmp_path / "p", "abs=0.05")
    read = xr.open_zarr(tmp_path / "p/data/arrays.zarr")["array"].values
    assert np.abs(read - values).max() < 1e-12
    assert (read[values == 0] == 0).all()
    assert summary.fidelity > 0.999
