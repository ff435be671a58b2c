"""What the report draws of a field: small frozen counts and pixels, never the field itself.

Everything here comes from + - * /, comparisons and sorting in float64, in an order that is written
down (no BLAS, no pairwise sums, no exp or log), so that the same values give the same bytes on
every machine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 48
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
PLANE_EDGE = 128  # pixels of a thumbnail's longer side
LINE_POINTS = 160
_TAIL = 0.005  # the share of values beyond each end of the drawn range, at most
_CATEGORIES = 12
_BLOCKS = 48
_LEVELS = 254  # grey levels of a thumbnail; 255 is the largest, 0 means "no value"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between equal edges from `low` to `high`; `below` and `above` lie beyond them."""

    low: float
    high: float
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0


@dataclass(frozen=True, slots=True)
class Plane:
    """An image of at most 128 x 128 pixels, rows from the top.

    Level 0 is "no value", 1 is `low` and below, 255 `high` and above.
    """

    height: int
    width: int
    pixels: bytes
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """A series as its envelope: smallest and largest finite value in each of at most 160 stretches.

    None where a stretch has no finite value.
    """

    length: int
    lows: tuple[float | None, ...]
    highs: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class FieldPicture:
    """Distributions before and after on shared edges, the error's, and quantiles, from one sample.

    `after`, `errors` and `quantiles_after` are None where the field is exact. `planes` are before, after and
    |error| of one slice; `lines` before and after of a series, `monotone` whether that is
    "increasing" or "decreasing" throughout. `finite` counts the sampled values that are numbers.
    """

    sampled: int
    finite: int
    before: Histogram | None
    after: Histogram | None
    errors: Histogram | None
    bound: float | None
    largest_error: float | None
    quantiles: tuple[float, ...]
    quantiles_after: tuple[float, ...] | None
    planes: tuple[Plane, ...] = ()
    lines: tuple[Line, ...] = ()
    monotone: str | None = None


@dataclass(frozen=True, slots=True)
class CategoryPicture:
    """How often each value of a code or boolean occurs, most frequent first; `others` sums the rest.

    `distinct` counts all values; None where it is not known.
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    others: int
    missing: int
    distinct: int | None


@dataclass(frozen=True, slots=True)
class MissingPicture:
    """The share of missing cells of each column (rows of `shares`) in each block of rows, in 0..1."""

    rows: int
    columns: tuple[str, ...]
    missing: tuple[int, ...]
    shares: tuple[tuple[float, ...], ...]


Picture = FieldPicture | CategoryPicture | MissingPicture


def picture_of(
    before: "np.ndarray[Any, Any]",
    after: "np.ndarray[Any, Any] | None",
    bound: float | None,
    *,
    plane: "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None] | None" = None,
    line: "tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None] | None" = None,
) -> FieldPicture:
    """Return what is drawn of a numeric field.

    `before` and `after` are the same places of one seeded sample, float64, NaN where missing; they
    are read, not changed. `after` is None for an exact field. `plane` is (before, after) of one 2-D
    slice, `line` of one 1-D stretch. Memory: about five copies of the sample.
    """
    values = np.asarray(before, dtype=np.float64).ravel()
    known = values[np.isfinite(values)]
    decoded = None if after is None else np.asarray(after, dtype=np.float64).ravel()
    ordered = _sorted(known)
    low, high = _range(ordered)
    errors, largest, ordered_after, drawn_after = None, None, None, None
    if decoded is not None:
        pairs = np.isfinite(values) & np.isfinite(decoded)
        difference = decoded[pairs] - values[pairs]
        largest = float(np.max(np.abs(difference))) if difference.size else 0.0
        edge = bound if bound else largest
        errors = _error_histogram(difference, edge) if difference.size and edge else None
        ordered_after = _sorted(decoded[np.isfinite(decoded)])
        drawn_after = _histogram(ordered_after, low, high) if ordered_after.size else None
    return FieldPicture(
        sampled=int(values.size),
        finite=int(known.size),
        before=_histogram(ordered, low, high) if ordered.size else None,
        after=drawn_after,
        errors=errors,
        bound=bound,
        largest_error=largest,
        quantiles=_quantiles(ordered),
        quantiles_after=None if ordered_after is None else _quantiles(ordered_after),
        planes=() if plane is None else planes_of(*plane, bound),
        lines=() if line is None else lines_of(*line),
        monotone=None if line is None else _monotone(line[0]),
    )


def planes_of(
    before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any] | None", bound: float | None = None
) -> tuple[Plane, ...]:
    """Return thumbnails of one slice before and after on one scale, and of |error| from 0 to the bound."""
    small = _shrink(np.asarray(before, dtype=np.float64))
    low, high = _contrast(small)
    first = thumbnail_of(small, low, high)
    if after is None:
        return (first,)
    original, decoded = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        error = _shrink(np.abs(decoded - original))
    known = error[np.isfinite(error)]
    top = bound if bound else float(np.max(known)) if known.size else 0.0
    return first, thumbnail_of(_shrink(decoded), low, high), thumbnail_of(error, 0.0, top)


def thumbnail_of(plane: "np.ndarray[Any, Any]", low: float | None = None, high: float | None = None) -> Plane:
    """Return a 2-D array as at most 128 x 128 levels from `low` to `high` (its robust range if None).

    Pixels are means over the blocks they cover; a block without a finite value is level 0.
    """
    small = _shrink(np.asarray(plane, dtype=np.float64))
    finite = np.isfinite(small)
    if low is None or high is None:
        low, high = _contrast(small)
    span = high / 2 - low / 2
    scaled = np.where(finite, small, low) / 2 - low / 2
    scaled = scaled / span * _LEVELS if span > 0 else np.zeros_like(small)
    levels = np.where(finite, np.floor(np.clip(scaled, 0, _LEVELS) + 0.5) + 1, 0).astype(np.uint8)
    return Plane(levels.shape[0], levels.shape[1], levels.tobytes(), float(low), float(high))


def lines_of(before: "np.ndarray[Any, Any]", after: "np.ndarray[Any, Any] | None") -> tuple[Line, ...]:
    """Return the envelopes of a series before and after."""
    return tuple(line_of(series) for series in (before, after) if series is not None)


def line_of(series: "np.ndarray[Any, Any]") -> Line:
    """Return a 1-D series as the smallest and largest value of each of at most 160 stretches."""
    values = np.asarray(series, dtype=np.float64).ravel()
    stretches = min(LINE_POINTS, values.size)
    lows: list[float | None] = []
    highs: list[float | None] = []
    for index in range(stretches):
        part = values[index * values.size // stretches : (index + 1) * values.size // stretches]
        part = part[np.isfinite(part)]
        lows.append(float(np.min(part)) if part.size else None)
        highs.append(float(np.max(part)) if part.size else None)
    return Line(int(values.size), tuple(lows), tuple(highs))


def categories_of(counts: Mapping[str, int], missing: int = 0) -> CategoryPicture:
    """Return the bars of a code or boolean column; never for identifiers, labels or text."""
    ordered = sorted(((count, label) for label, count in counts.items()), key=lambda pair: (-pair[0], pair[1]))
    shown = ordered[:_CATEGORIES]
    return CategoryPicture(
        labels=tuple(str(label) for _, label in shown),
        counts=tuple(int(count) for count, _ in shown),
        others=sum(int(count) for count, _ in ordered[_CATEGORIES:]),
        missing=int(missing),
        distinct=len(ordered),
    )


class MissingMap:
    """Collects a table's missing cells batch by batch, in memory independent of its rows.

    Cells are counted in stretches whose length doubles whenever more than 2 * 48 are full, so the
    result depends on the rows alone, not on how they were cut into batches.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        """Start with no rows."""
        self._columns = tuple(columns)
        self._stretch = 1
        self._counts = np.zeros((len(self._columns), 2 * _BLOCKS), dtype=np.int64)
        self._rows = 0

    def observe(self, missing: "Iterable[np.ndarray[Any, Any] | None]", rows: int) -> None:
        """Add the next `rows` rows: one boolean array a column, True where missing, None where none is."""
        while self._rows + rows > self._stretch * 2 * _BLOCKS:
            halves = self._counts[:, 0::2] + self._counts[:, 1::2]
            self._counts = np.concatenate([halves, np.zeros_like(halves)], axis=1)
            self._stretch *= 2
        places = (self._rows + np.arange(rows)) // self._stretch
        for counts, mask in zip(self._counts, missing, strict=True):
            if mask is not None:
                counts += np.bincount(places[mask], minlength=2 * _BLOCKS)
        self._rows += rows

    def picture(self) -> MissingPicture:
        """Return the map of what was observed."""
        blocks = -(-self._rows // self._stretch)
        lengths = [min(self._rows - block * self._stretch, self._stretch) for block in range(blocks)]
        shares = tuple(
            tuple(int(count) / length for count, length in zip(counts, lengths, strict=False))
            for counts in self._counts
        )
        totals = tuple(int(counts.sum()) for counts in self._counts)
        return MissingPicture(self._rows, self._columns, totals, shares)


def _monotone(series: "np.ndarray[Any, Any]") -> str | None:
    values = np.asarray(series, dtype=np.float64).ravel()
    if values.size > 1 and bool(np.all(values[1:] > values[:-1])):
        return "increasing"
    return "decreasing" if values.size > 1 and bool(np.all(values[1:] < values[:-1])) else None


def _contrast(plane: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """Return the grey scale's range: a few bright stars must not turn everything else black."""
    return _range(np.sort(plane[np.isfinite(plane)], axis=None), tail=0.02, stretch=0.25)


def _range(ordered: "np.ndarray[Any, Any]", tail: float = _TAIL, stretch: float = 0.5) -> tuple[float, float]:
    """Return the drawn range of sorted finite values.

    All of them, unless an outer `tail` lies farther out than `stretch` times the range of the rest:
    structure must stay visible beside a few outliers.
    """
    if not ordered.size:
        return 0.0, 0.0
    low, high = float(ordered[0]), float(ordered[-1])
    last = ordered.size - 1
    inner_low, inner_high = float(ordered[int(last * tail)]), float(ordered[int(last * (1 - tail))])
    # Halves, so that the difference of two huge values cannot overflow.
    inner = inner_high / 2 - inner_low / 2
    if inner <= 0:
        return low, high
    low = low if inner_low / 2 - low / 2 <= stretch * inner else inner_low - stretch * inner
    high = high if high / 2 - inner_high / 2 <= stretch * inner else inner_high + stretch * inner
    return low, high


def _sorted(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return the values in order; those that are already are only looked at, which is 50 times cheaper."""
    return values if bool(np.all(values[1:] >= values[:-1])) else np.sort(values)


def _edges(low: float, high: float) -> "np.ndarray[Any, Any]":
    step = high / BINS - low / BINS
    return np.array([low + step * index for index in range(BINS)] + [high])


def _histogram(ordered: "np.ndarray[Any, Any]", low: float, high: float) -> Histogram:
    """Count sorted values in 48 equal bins; the last bin holds `high` itself."""
    if not high > low:
        return Histogram(low, high, (int(ordered.size),))
    places = np.searchsorted(ordered, _edges(low, high), side="left")
    places[-1] = np.searchsorted(ordered, high, side="right")
    counts = tuple(int(n) for n in places[1:] - places[:-1])
    return Histogram(low, high, counts, int(places[0]), int(ordered.size - places[-1]))


def _error_histogram(errors: "np.ndarray[Any, Any]", edge: float) -> Histogram:
    """Count errors between -edge and +edge; by division, since they come in no order."""
    scaled = np.floor((errors / edge + 1.0) * (BINS / 2))
    scaled[errors == edge] = BINS - 1
    places = np.clip(scaled, -1, BINS).astype(np.intp) + 1
    counts = np.bincount(places, minlength=BINS + 2)
    return Histogram(-edge, edge, tuple(int(n) for n in counts[1 : BINS + 1]), int(counts[0]), int(counts[BINS + 1]))


def _quantiles(ordered: "np.ndarray[Any, Any]") -> tuple[float, ...]:
    """Return order statistics themselves (no interpolation), so that they are values that occur."""
    if not ordered.size:
        return ()
    last = ordered.size - 1
    return tuple(float(ordered[int(last * q + 0.5)]) for q in QUANTILES)


def _shrink(plane: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Return block means so that no side is longer than 128; finite values only, NaN where none."""
    height, width = plane.shape
    step = max(-(-height // PLANE_EDGE), -(-width // PLANE_EDGE), 1)
    if step == 1:
        return plane
    shape = (-(-height // step), -(-width // step))
    total, known = np.zeros(shape), np.zeros(shape)
    # Added slice by slice in a fixed order: a reduction's order may differ between machines.
    for row in range(step):
        for column in range(step):
            part = plane[row::step, column::step]
            finite = np.isfinite(part)
            total[: part.shape[0], : part.shape[1]] += np.where(finite, part, 0.0)
            known[: part.shape[0], : part.shape[1]] += finite
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known > 0, total / known, np.nan)
