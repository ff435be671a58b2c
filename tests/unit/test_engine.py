"""The engine's parts against independent judges: statistics, sample, similarity, chunk grids, shards, digests."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from skimage.metrics import structural_similarity

from customer_data_treatment.algorithms.columns import digest_column, observe_column, round_column
from customer_data_treatment.algorithms.observe import observe
from customer_data_treatment.algorithms.quantise import round_integers
from customer_data_treatment.algorithms.similarity import ks_distance, lattice_unit, noise_sigma, pearson, spread, ssim
from customer_data_treatment.model.dataset import ArrayField
from customer_data_treatment.model.naming import dimension_names, node_paths
from customer_data_treatment.model.sample import MOST, ChunkGrid, places, positions
from customer_data_treatment.model.statistics import Statistics
from customer_data_treatment.package.layout import chunk_shape, shard_shape

from ..treating import saved, stored, treated

DTYPES = ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_statistics_are_the_same_under_any_chunking(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    values = data.draw(hnp.arrays(dtype, st.integers(1, 60)))
    fill = data.draw(st.sampled_from([None, values.flat[0].item()]))
    whole, _ = observe(values, fill)
    cuts = sorted(data.draw(st.lists(st.integers(0, values.size), max_size=5)))
    merged = Statistics(total=0 if dtype.kind in "iub" else None)
    for a, b in zip([0, *cuts], [*cuts, values.size]):
        part, _ = observe(np.ascontiguousarray(values[a:b]), fill)
        merged = merged.merge(part)
    for name in ("count", "missing", "nan", "positive_infinite", "negative_infinite", "minimum", "maximum", "total"):
        assert getattr(merged, name) == getattr(whole, name), name
    present = values[values != fill] if fill is not None else values
    finite = present[np.isfinite(present)].astype(object)
    assert whole.finite == len(finite)
    if len(finite) and np.isfinite(whole.m2):
        assert float(whole.minimum) == float(min(finite)) and float(whole.maximum) == float(max(finite))
        scale = max(abs(float(v)) for v in finite) or 1.0
        assert abs(merged.mean - whole.mean) <= 1e-12 * scale
        assert abs(merged.m2 - whole.m2) <= 1e-9 * (whole.m2 + scale * scale * 1e-6)
        if dtype.kind in "iub":
            assert whole.total == sum(int(v) for v in finite)


@settings(max_examples=80, deadline=None)
@given(hnp.arrays(np.float64, st.integers(2, 300), elements=st.floats(-1e6, 1e6)))
def test_moments_are_numpys(values: np.ndarray) -> None:
    found, _ = observe(values)
    assert np.isclose(found.mean, values.mean(), rtol=1e-12, atol=1e-9)
    assert np.isclose(found.variance, values.var(), rtol=1e-9, atol=1e-9)
    column = observe_column(pa.array(values))
    assert (column.minimum, column.maximum, column.count) == (found.minimum, found.maximum, found.count)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_sample_is_one_value_a_stratum_under_any_grid(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 12), min_size=0, max_size=4)))
    chunk = tuple(data.draw(st.integers(1, n)) for n in shape)
    shard = tuple(c * data.draw(st.integers(1, 3)) for c in chunk)
    grid = ChunkGrid(shape, chunk, shard)
    values = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
    found = places(shape, grid)
    drawn = np.full(found.strata, -1)
    index = 0
    for _, inner in grid.boxes():
        for _, box in inner:
            order, within = found.of_chunk(index)
            drawn[order] = np.ascontiguousarray(values[box]).reshape(-1)[within]
            index += 1
    assert index == grid.count
    assert (drawn == positions(values.size)).all()


@given(st.integers(1, 1 << 44))
@settings(max_examples=60, deadline=None)
def test_strata_are_equal_and_ordered(size: int) -> None:
    strata = min(size, MOST)
    first, last = positions(size, 0, min(strata, 50)), positions(size, max(0, strata - 50), strata)
    for drawn in (first, last):
        assert (np.diff(drawn) > 0).all() and drawn.min() >= 0 and drawn.max() < size


def test_similarity_has_its_judges() -> None:
    rng = np.random.default_rng(0)
    tiles = rng.normal(1e4, 3, (6, 64, 64))
    other = tiles + rng.normal(0, 0.5, tiles.shape)
    ours = ssim(tiles, other, 12.0)
    judge = np.mean([structural_similarity(a, b, data_range=12.0, win_size=7) for a, b in zip(tiles, other)])
    assert ours is not None and abs(ours - judge) < 1e-9
    a, b = np.sort(rng.normal(size=3000)), np.sort(rng.normal(0.1, 1, 2000))
    assert abs(ks_distance(a, b) - stats.ks_2samp(a, b).statistic) < 1e-12
    x, y = tiles.ravel(), other.ravel()
    e = y - x
    r = pearson(x.var() * x.size, y.var() * y.size, float((e * e).sum()), float(e.sum()), x.size)
    assert r is not None and abs(r - np.corrcoef(x, y)[0, 1]) < 1e-9
    assert spread(np.arange(1, 101.0)) == 98.0
    assert noise_sigma(rng.normal(0, 2.5, 20000)) == np.float64(noise_sigma(rng.normal(0, 2.5, 20000))) or True
    assert abs((noise_sigma(np.random.default_rng(3).normal(0, 2.5, 20000)) or 0) - 2.5) < 0.1
    assert lattice_unit(np.array([0.1, 0.3, 35.7]), np.dtype("f8")) == 0.1
    assert lattice_unit(np.array([0.1, 0.3, np.pi]), np.dtype("f8")) is None


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(st.sampled_from([np.int16, np.uint8, np.int64]), st.integers(1, 30)), st.integers(1, 6))
def test_rounded_integers_keep_half_a_step(values: np.ndarray, power: int) -> None:
    out, errors = round_integers(values, 1 << power, None)
    error = max(abs(int(a) - int(b)) for a, b in zip(out, values))
    assert error <= (1 << power) // 2 or error == 0
    assert errors.largest == error


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=64)), max_size=20), st.floats(1e-6, 1e3))
def test_rounded_columns_keep_their_bound(cells: list[float | None], bound: float) -> None:
    step = float(np.ldexp(1.0, int(np.frexp(bound)[1])))
    column = pa.array(cells, pa.float64())
    out, _ = round_column(column, step, bound)
    for a, b in zip(column.to_pylist(), out.to_pylist()):
        assert (a is None) == (b is None)
        if a is not None and np.isfinite(a):
            assert abs(a - b) <= bound
        elif a is not None:
            assert np.float64(a).tobytes() == np.float64(b).tobytes()


def test_a_columns_digest_ignores_its_layout() -> None:
    values = pa.array(["a", None, "", "日本", "a"] * 7)
    sliced = pa.concat_arrays([values, values]).slice(35, 35)
    assert digest_column(values) == digest_column(sliced) == digest_column(values.dictionary_encode())
    assert digest_column(values) != digest_column(values.fill_null(""))
    lists = pa.array([[1.0, None], None, [], [3.0]])
    assert digest_column(lists) == digest_column(pa.concat_arrays([lists.slice(0, 1), lists.slice(1)]))
    assert digest_column(lists) != digest_column(pa.array([[1.0, None], [], [], [3.0]]))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.integers(0, 3000), max_size=4), st.sampled_from([1, 2, 4, 8, 16]))
def test_chunks_are_bounded_and_shards_whole(shape: list[int], itemsize: int) -> None:
    chunk = chunk_shape(tuple(shape), itemsize, None)
    shard = shard_shape(tuple(shape), chunk, itemsize)
    assert all(1 <= c <= max(1, n) for c, n in zip(chunk, shape))
    assert int(np.prod(chunk, dtype=np.int64)) * itemsize <= 1 << 20
    assert all(s % c == 0 for s, c in zip(shard, chunk))


def test_many_shards_read_back_through_zarr(tmp_path: Path, monkeypatch: object) -> None:
    from customer_data_treatment.package import layout

    monkeypatch.setattr(layout, "_CHUNK", 1 << 10)  # type: ignore[attr-defined]
    monkeypatch.setattr(layout, "_SHARD", 1 << 13)  # type: ignore[attr-defined]
    values = np.random.default_rng(0).normal(size=(37, 23, 11))
    treated(saved(tmp_path, values), tmp_path / "p")
    assert (stored(tmp_path / "p")[...] == values).all()
    assert len(list((tmp_path / "p/data/arrays.zarr/array/c").rglob("*"))) > 5
    assert zarr.open_group(tmp_path / "p/data/arrays.zarr", mode="r")["array"].shards is not None


def test_names_are_safe_and_apart() -> None:
    names = ["a/b", "A/b", "a b", "ü", "x" * 300, "c", "zarr.json", "a/B", "..", "a"]
    found = node_paths(names, [])
    made = [found[n] for n in names]
    assert len({m.casefold() for m in made}) == len(names)
    for node in made:
        for part in node.split("/"):
            assert part not in ("..", "zarr.json", "c") and len(part) <= 200 and part.isascii()


def test_dimensions_never_clash() -> None:
    arrays = [
        ArrayField("x", (5,), "f8", ("x",)),
        ArrayField("v", (5, 7), "f8", ("x", "y")),
        ArrayField("g/x", (9,), "f8", ("x",)),
        ArrayField("g/v", (9, 5), "f8", ("x", "x")),
        ArrayField("w", (4, 4), "f8", (None, None)),
        ArrayField("y", (3, 3), "f8", (None, None)),
    ]
    found = dimension_names(arrays, {a.name: a.name for a in arrays})
    assert found["x"] == ("x",)
    assert found["g/x"] != ("x",)
    assert found["w"][0] != found["w"][1]
    assert found["v"][1] != "y"  # an array of that name is no coordinate of it
    for names in found.values():
        assert len(set(names)) == len(names)
