"""Pictures: counts that numpy agrees with, pixels that Pillow reads, the same under any cut into batches."""

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from customer_data_treatment.package.drawing import png
from customer_data_treatment.package.pictures import (
    BINS,
    QUANTILES,
    MissingMap,
    Plane,
    categories_of,
    line_of,
    picture_of,
    planes_of,
    thumbnail_of,
)

_ANY = hnp.arrays(np.float64, st.integers(0, 200), elements=st.floats(width=64))


def test_the_histogram_counts_as_numpy_does() -> None:
    values = np.random.default_rng(3).normal(5, 2, 50_000)
    picture = picture_of(values, None, None)
    assert picture.before is not None
    edges = np.linspace(picture.before.low, picture.before.high, BINS + 1)
    counts, _ = np.histogram(values, edges)
    # An edge may differ in its last bit, which moves at most the values that lie on it.
    assert np.abs(np.array(picture.before.counts) - counts).max() <= 1
    assert sum(picture.before.counts) + picture.before.below + picture.before.above == values.size


@settings(deadline=None)
@given(_ANY)
def test_every_finite_value_is_counted_once_whatever_the_values(values: "np.ndarray") -> None:
    with np.errstate(all="raise"):
        picture = picture_of(values, None, None)
    finite = int(np.isfinite(values).sum())
    assert (picture.sampled, picture.finite) == (values.size, finite)
    if finite:
        assert picture.before is not None
        assert sum(picture.before.counts) + picture.before.below + picture.before.above == finite
    else:
        assert picture.before is None and picture.quantiles == ()


def test_quantiles_are_values_that_occur_as_numpy_finds_them() -> None:
    values = np.random.default_rng(5).normal(size=10_001)
    picture = picture_of(values, None, None)
    expected = np.quantile(values, QUANTILES, method="nearest")
    assert np.array_equal(picture.quantiles, expected)


def test_errors_lie_within_the_bound_they_are_drawn_to() -> None:
    values = np.random.default_rng(7).normal(0, 10, 20_000)
    decoded = np.round(values / 0.5) * 0.5
    picture = picture_of(values, decoded, 0.25)
    assert picture.errors is not None and picture.after is not None and picture.before is not None
    assert (picture.errors.low, picture.errors.high) == (-0.25, 0.25)
    assert picture.errors.below == picture.errors.above == 0
    assert picture.largest_error == pytest.approx(np.abs(decoded - values).max())
    assert (picture.after.low, picture.after.high) == (picture.before.low, picture.before.high)
    assert sum(picture.errors.counts) == values.size


def test_a_few_bright_outliers_do_not_flatten_the_rest() -> None:
    values = np.random.default_rng(9).normal(100, 5, 100_000)
    values[:50] = 60_000
    picture = picture_of(values, None, None)
    assert picture.before is not None
    assert 50 <= picture.before.above < 60
    assert max(picture.before.counts) < 0.2 * values.size


def test_the_largest_value_lies_in_the_last_bar() -> None:
    picture = picture_of(np.arange(1_001.0), np.arange(1_001.0) + 0.5, 0.5)
    assert picture.before is not None and picture.errors is not None
    assert (picture.before.low, picture.before.high, picture.before.above) == (0.0, 1000.0, 0)
    assert picture.errors.counts[-1] == 1_001 and picture.errors.above == 0


def test_a_constant_field_has_one_bar() -> None:
    picture = picture_of(np.full(10, 3.5), np.full(10, 3.5), None)
    assert picture.before is not None and picture.before.counts == (10,)
    assert picture.errors is None and picture.largest_error == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (128, 128), (300, 400), (4000, 3), (2, 5000)])
def test_thumbnails_are_small_and_cover_the_plane(shape: tuple[int, int]) -> None:
    plane = np.random.default_rng(11).normal(size=shape)
    small = thumbnail_of(plane)
    assert max(small.height, small.width) <= 128 and len(small.pixels) == small.height * small.width
    assert min(small.pixels) >= 1


def test_block_means_are_those_of_skimage() -> None:
    measure = pytest.importorskip("skimage.measure")
    plane = np.random.default_rng(13).normal(50, 20, (512, 256))
    low, high = 0.0, 100.0
    small = thumbnail_of(plane, low, high)
    means = measure.block_reduce(plane, (4, 4), np.mean)
    levels = np.frombuffer(small.pixels, np.uint8).reshape(small.height, small.width).astype(int)
    expected = np.clip((means - low) / (high - low), 0, 1) * 254 + 1
    assert np.abs(levels - expected).max() <= 0.5 + 1e-9


def test_missing_pixels_are_level_zero_and_the_error_is_scaled_to_the_bound() -> None:
    plane = np.arange(10_000.0).reshape(100, 100)
    plane[:10] = np.nan
    first, second, error = planes_of(plane, plane + 1.0, 2.0)
    assert first.pixels[:1000] == second.pixels[:1000] == error.pixels[:1000] == bytes(1000)
    assert (error.low, error.high) == (0.0, 2.0)
    assert set(error.pixels[1000:]) == {128}
    assert (first.low, first.high) == (second.low, second.high)


def test_pillow_reads_the_png() -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = bytes(range(256)) * 300
    plane = Plane(height=300, width=256, pixels=pixels, low=0.0, high=1.0)
    uri = png(plane, "grey")
    opened = image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    opened.load()
    assert opened.size == (256, 300) and opened.mode == "P"
    assert opened.tobytes() == pixels
    grey = np.asarray(opened.convert("RGBA"))[0]
    assert grey[0][3] == 0 and tuple(grey[1]) == (0, 0, 0, 255) and tuple(grey[255]) == (255, 255, 255, 255)
    assert np.all(np.diff(grey[1:, 0].astype(int)) >= 0)


def test_a_line_keeps_its_spikes_and_its_gaps() -> None:
    series = np.zeros(100_000)
    series[70_001] = 9.0
    series[:1_000] = np.nan
    line = line_of(series)
    assert line.length == 100_000 and len(line.lows) == 160
    assert max(high for high in line.highs if high is not None) == 9.0
    assert line.lows[0] is None and line.lows[2] == 0.0


def test_a_series_that_only_rises_is_told() -> None:
    rising = np.arange(5.0)
    assert picture_of(rising, None, None, line=(rising, None)).monotone == "increasing"
    assert picture_of(rising, None, None, line=(-rising, None)).monotone == "decreasing"
    assert picture_of(rising, None, None, line=(rising % 2, None)).monotone is None


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), max_size=60), max_size=12), st.integers(1, 50))
def test_the_map_of_missing_cells_is_the_same_under_any_batches(parts: list[list[bool]], cut: int) -> None:
    flags = np.array([flag for part in parts for flag in part], dtype=bool)
    other = ~flags

    def collected(batches: list["np.ndarray"]) -> object:
        gathered = MissingMap(("a", "b"))
        for batch in batches:
            gathered.observe((batch, ~batch), batch.size)
        return gathered.picture()

    as_given = collected([np.array(part, dtype=bool) for part in parts])
    again = collected([flags[at : at + cut] for at in range(0, flags.size, cut)])
    assert as_given == again
    assert as_given.missing == (int(flags.sum()), int(other.sum()))  # type: ignore[attr-defined]
    assert as_given.rows == flags.size and len(as_given.shares[0]) <= 96  # type: ignore[attr-defined]


def test_the_map_of_a_long_table_counts_every_block() -> None:
    flags = np.random.default_rng(17).random(5_000) < 0.3
    gathered = MissingMap(("a",))
    for at in range(0, 5_000, 77):
        gathered.observe((flags[at : at + 77],), flags[at : at + 77].size)
    picture = gathered.picture()
    blocks = [flags[at : at + 64] for at in range(0, 5_000, 64)]  # 64 is the first power of two with <= 96 blocks
    assert picture.missing == (int(flags.sum()),)
    assert picture.shares == (tuple(float(block.mean()) for block in blocks),)


def test_categories_are_the_most_frequent_first_and_the_rest_together() -> None:
    picture = categories_of({f"c{i:02}": i for i in range(1, 20)}, missing=4)
    assert picture.labels[0] == "c19" and len(picture.labels) == 12
    assert picture.others == sum(range(1, 8)) and picture.distinct == 19 and picture.missing == 4
