"""The sketch: the same pixels, series, bars and gaps however the field was cut, none of them invented."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from customer_data_treatment.codecs.bounded import Form
from customer_data_treatment.model.dataset import ArrayField, Column, TableField
from customer_data_treatment.package.pictures import CategoryPicture, MissingPicture
from customer_data_treatment.pipeline.sketch import ArraySketch, TableSketch
from customer_data_treatment.vocabulary import Role

_EXACT = Form("exact")


def _boxes(shape: tuple[int, ...], chunk: tuple[int, ...]) -> list[tuple[slice, ...]]:
    axes = [[slice(at, min(n, at + c)) for at in range(0, n, c)] for n, c in zip(shape, chunk, strict=True)]
    found = list(itertools.product(*axes))
    random.Random(3).shuffle(found)
    return found


def _sketched(array: ArrayField, values: np.ndarray, chunk: tuple[int, ...]) -> dict:
    sketch = ArraySketch(array)
    for box in _boxes(values.shape, chunk):
        sketch.take(box, values[box])
    return sketch.drawn(_EXACT)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 25), min_size=1, max_size=4).map(tuple),
    st.lists(st.integers(4, 17), min_size=4, max_size=4),
)
def test_any_chunks_in_any_order_give_the_middle_slice(shape: tuple[int, ...], edges: list[int]) -> None:
    values = np.arange(np.prod(shape), dtype="f4").reshape(shape)
    drawn = _sketched(ArrayField("a", shape, "float32"), values, tuple(edges[: len(shape)]))
    long = [axis for axis, n in enumerate(shape) if n > 1]
    if "plane" in drawn:
        rows, columns = long[-2:]
        index = tuple(slice(None) if axis in (rows, columns) else n // 2 for axis, n in enumerate(shape))
        assert np.array_equal(drawn["plane"][0], values[index])
    elif "line" in drawn:
        axis = max(long, key=lambda axis: shape[axis])
        index = tuple(slice(None) if at == axis else n // 2 for at, n in enumerate(shape))
        assert np.array_equal(drawn["line"][0], values[index])
    else:
        assert len(long) != 1 and max(shape) < 16


def test_large_planes_are_strided_and_declared_axes_are_rows_and_columns() -> None:
    values = np.arange(3 * 500 * 300, dtype="f8").reshape(500, 3, 300)
    array = ArrayField("a", values.shape, "float64", spatial_axes=(2, 0))
    plane, after = _sketched(array, values, (64, 1, 77))["plane"]
    assert after is None and np.array_equal(plane, values[2::4, 1, 2::4].T)


@pytest.mark.parametrize("shape", [(5000, 16), (16, 70_000), (3, 21_201, 18)])
def test_a_long_and_narrow_array_keeps_a_pixel_of_its_short_side(shape: tuple[int, ...]) -> None:
    """Half a step lay beyond the short side: the image had no width, and the report could not draw it."""
    values = np.arange(np.prod(shape), dtype="f8").reshape(shape)
    plane, _ = _sketched(ArrayField("a", shape, "float64"), values, tuple(min(n, 512) for n in shape))["plane"]
    assert min(plane.shape) >= 1 and np.isin(plane, values).all()
    assert np.unique(plane).size == plane.size


def test_a_long_series_is_strided_and_fills_are_missing() -> None:
    values = np.arange(100_000, dtype="i4")
    values[12] = -9999
    line, _ = _sketched(ArrayField("a", values.shape, "int32", fill=-9999), values, (9_973,))["line"]
    assert np.isnan(line[0]) and np.array_equal(line[1:], values[12::25][1:])


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((), "float32"), ((0, 5), "float32"), ((5, 5), "float32"), ((30, 30), "complex64"), ((9,), "string")],
)
def test_what_makes_no_picture_makes_none(shape: tuple[int, ...], dtype: str) -> None:
    sketch = ArraySketch(ArrayField("a", shape, dtype))
    sketch.take(tuple(slice(0, n) for n in shape), np.zeros(shape, object if dtype == "string" else dtype))
    assert sketch.drawn(_EXACT) == {}


def _table() -> TableField:
    schema = pa.schema(
        {"id": pa.string(), "arm": pa.dictionary(pa.int8(), pa.string()), "ok": pa.bool_(), "x": pa.float64()}
    )
    columns = (Column("id", Role.IDENTIFIER), Column("arm", Role.CODE), Column("ok", Role.MASK), Column("x"))
    return TableField("t", schema, columns)


def test_codes_and_flags_are_counted_identifiers_never() -> None:
    table = _table()
    sketch = TableSketch(table)
    for part in range(3):
        batch = pa.record_batch(
            [
                ["p1", "p2", None],
                pa.array(["a", "b", None]).dictionary_encode(),
                [True, None, part == 0],
                [1.0, None, float("nan")],
            ],
            schema=table.schema.set(1, pa.field("arm", pa.dictionary(pa.int32(), pa.string()))),
        )
        sketch.observe(batch)
    found = sketch.pictures()
    assert set(found) == {"t", "t/arm", "t/ok"}
    arm, ok, gaps = found["t/arm"], found["t/ok"], found["t"]
    assert isinstance(arm, CategoryPicture) and isinstance(ok, CategoryPicture) and isinstance(gaps, MissingPicture)
    assert (arm.labels, arm.counts, arm.missing) == (("a", "b"), (3, 3), 3)
    assert (ok.labels, ok.counts, ok.missing) == (("True", "False"), (4, 2), 3)
    assert gaps.missing == (3, 3, 3, 6) and gaps.rows == 9


def test_a_column_of_too_many_codes_gets_no_bars() -> None:
    table = TableField("t", pa.schema({"c": pa.int64()}), (Column("c", Role.CODE),))
    sketch = TableSketch(table)
    sketch.observe(pa.record_batch([pa.array(range(2_000))], schema=table.schema))
    assert sketch.pictures() == {}
