"""Validity: values that their field's own declarations, or the globe, do not allow.

RANGES: declared ranges and flag values of arrays (CF 1.11, sections 2.5.1 and 3.5), latitudes and
longitudes. CELLS: numbers that must be finite, text that is text. Ranges are in stored numbers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..model.chunk import Chunk
from ..model.dataset import TEXT, ArrayField, Dataset
from ..model.outcome import Outcome
from ..model.requirements import Requirements
from ..model.statistics import Statistics
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, Role, RuleKind
from .counting.judging import is_text, no_value, plain
from .counting.tally import (
    Tallies,
    Tally,
    cells,
    census,
    merge_tallies,
    named,
    nothing,
    positions,
    rows,
    tables_of,
    tally_of,
)

_LATITUDE = re.compile(r"(^|_)(lat|latitude|nav_lat|decimal_?latitude)$", re.IGNORECASE)
_LONGITUDE = re.compile(r"(^|_)(lon|long|longitude|nav_lon|decimal_?longitude)$", re.IGNORECASE)
_DEGREES = re.compile(r"deg(ree)?s?(_?(north|east|n|e))?$", re.IGNORECASE)
_GLOBE = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 360.0)}
_EDGE = 1e-4  # degrees: a float32 pole is not always 90
# Numbers that stand for "no value" by custom; seen undeclared, they are worth a word.
_CUSTOMARY = (-999.0, -999.9, -9999.0, -99999.0, 1e20, -1e30, 1e30, 1e36, 9.969209968386869e36)
_NO_TEXT = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{FFFD}]"
_VALIDITY = Dimension.VALIDITY


@dataclass(frozen=True, slots=True)
class Allowed:
    """Which stored values a field may hold: from low to high (None: open), or one of the listed."""

    name: str
    low: float | int | None = None
    high: float | int | None = None
    listed: "np.ndarray[Any, Any] | None" = None
    said: str = ""


def _bind_ranges(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    observers = []
    for field in dataset.fields:
        if not isinstance(field, ArrayField) or np.dtype(field.numpy_dtype()).kind not in "iuf":
            continue
        for allowed in _declared(field):
            observe, conclude = (
                partial(_observe_array, field=field, allowed=allowed),
                partial(_conclude_array, field=field, allowed=allowed),
            )
            observers.append(Observer(allowed.name, field.name, observe, Tally.merge, conclude))
    for table in tables_of(dataset):
        kinds = {item.name: item.type for item in table.schema}
        for column in table.columns:
            kind = kinds[column.name]
            axis = _axis(column.name, column.units)
            if axis and (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                observe = partial(_observe_column, column=column.name, limits=_GLOBE[axis])
                conclude = partial(_conclude_column, table=table.name, column=column.name, axis=axis)
                observers.append(Observer(f"{axis}:{table.name}", table.name, observe, Tally.merge, conclude))
    return tuple(observers)


def _declared(field: ArrayField) -> Iterator[Allowed]:
    """Yield what a field's attributes allow, and the globe where it is a latitude or longitude."""
    said, words = field.attributes, []
    pair = _numbers(said.get("valid_range"))
    low, high = (pair[0], pair[1]) if len(pair) == 2 else (None, None)
    low = (_numbers(said.get("valid_min")) or [low])[0]
    high = (_numbers(said.get("valid_max")) or [high])[0]
    raw = said.get("valid_range", said.get("valid_min", said.get("valid_max")))
    if field.scale is not None and _speaks_physical(raw, field):
        low, high = _stored(low, high, field.scale)
    if "_Unsigned" in said or "signtype" in said:  # NUG, MINC: the range is of the same bits read unsigned
        low = high = None
    if (low is not None or high is not None) and not (low is not None and high is not None and low > high):
        words = [f"from {low}" if low is not None else "", f"to {high}" if high is not None else ""]
        yield Allowed(f"declared-range:{field.name}", low, high, said=" ".join(filter(None, words)))
    flags = _numbers(said.get("flag_values"))
    if flags and "flag_masks" not in said:
        yield _flags(f"flag-values:{field.name}", np.unique(np.array(flags).astype(field.dtype)))
    axis = _axis(field.name, field.units, str(said.get("standard_name", "")))
    if axis:
        bottom, top = _GLOBE[axis]
        bottom, top = bottom - _EDGE, top + _EDGE
        if field.scale is not None:
            bottom, top = _stored(bottom, top, field.scale)
        yield Allowed(f"{axis}:{field.name}", bottom, top, said="from {:g} to {:g} degrees".format(*_GLOBE[axis]))


def _flags(name: str, listed: "np.ndarray[Any, Any]") -> Allowed:
    said = f"one of {len(listed)} flag values"
    low, high = listed[0].item(), listed[-1].item()
    if listed.dtype.kind in "iu" and high - low == len(listed) - 1:  # consecutive: a range is quicker
        return Allowed(name, low, high, said=said)
    return Allowed(name, listed=listed, said=said)


def _numbers(value: Any) -> list[Any]:
    """Return an attribute as Python numbers, [] where it is none."""
    if value is None or isinstance(value, str | bytes):
        return []
    array = np.atleast_1d(np.asarray(value))
    if array.dtype.kind not in "iuf" or array.ndim != 1 or (array.dtype.kind == "f" and np.isnan(array).any()):
        return []
    return list(array.tolist())


def _speaks_physical(raw: Any, field: ArrayField) -> bool:
    """Return whether a declared range is in physical units: it is of another kind than the stored numbers."""
    return np.asarray(raw).dtype.kind == "f" and np.dtype(field.dtype).kind in "iu"


def _stored(low: Any, high: Any, scale: tuple[float, float]) -> tuple[Any, Any]:
    factor, offset = scale
    if factor == 0:
        return None, None
    ends = [None if end is None else (end - offset) / factor for end in (low, high)]
    return (ends[0], ends[1]) if factor > 0 else (ends[1], ends[0])


def _axis(name: str, units: str | None, standard_name: str = "") -> str | None:
    word = name.rsplit("/", 1)[-1]
    if units and not _DEGREES.match(units.strip()):
        return None
    if standard_name in _GLOBE:
        return standard_name
    if units and re.search(r"north|_?n$", units, re.IGNORECASE):
        return "latitude" if not standard_name else None
    if units and re.search(r"east|_?e$", units, re.IGNORECASE) and units.lower() != "degree":
        return "longitude" if not standard_name else None
    if standard_name:
        return None
    return "latitude" if _LATITUDE.search(word) else "longitude" if _LONGITUDE.search(word) else None


def _observe_array(chunk: Chunk, field: ArrayField, allowed: Allowed) -> Tally:
    values: Any = chunk.values
    outside = np.zeros(values.shape, dtype=bool)
    if allowed.listed is not None:
        outside = _unlisted(values, allowed.listed)
    with np.errstate(invalid="ignore"):
        if allowed.low is not None:
            outside |= values < allowed.low
        if allowed.high is not None:
            outside |= values > allowed.high
    if not outside.any():
        return Tally(values.size)
    for word in (field.fill, *_numbers(field.attributes.get("missing_value"))):
        if word is not None:
            outside &= values != word
    if values.dtype.kind == "f":
        outside &= ~np.isnan(values)
    return Tally(values.size, int(np.count_nonzero(outside)), positions(outside, chunk.start, field.shape))


def _unlisted(values: "np.ndarray[Any, Any]", listed: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        table = np.ones(1 << (8 * values.dtype.itemsize), dtype=bool)
        unsigned = np.dtype(f"u{values.dtype.itemsize}")
        table[listed.view(unsigned)] = False
        return np.asarray(table[np.ascontiguousarray(values).view(unsigned)])
    return ~np.isin(values, listed)


def _conclude_array(
    tally: Tally | None, outcome: Outcome, field: ArrayField, allowed: Allowed
) -> tuple[CheckResult, ...]:
    found = tally or Tally()
    statistics = outcome.statistics.get(field.name, Statistics())
    present = max(found.broken, found.seen - statistics.missing - statistics.nan)
    message = f"values of {field.name} are not what its field allows ({allowed.said})"
    where = cells(found.places, field.name, field.shape)
    return (census(allowed.name, _VALIDITY, RuleKind.SCORED, Tally(present, found.broken), message, where),)


def _observe_column(chunk: Chunk, column: str, limits: tuple[float, float]) -> Tally:
    batch: Any = chunk.values
    values = plain(batch.column(column))
    present = ~no_value(values)
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        outside = present & ((numbers < limits[0] - _EDGE) | (numbers > limits[1] + _EDGE))
    return tally_of(int(np.count_nonzero(present)), outside, chunk.start[0])


def _conclude_column(
    tally: Tally | None, outcome: Outcome, table: str, column: str, axis: str
) -> tuple[CheckResult, ...]:
    found = tally or Tally()
    message = "values of {} lie outside the globe, {:g} to {:g} degrees".format(f"{table}/{column}", *_GLOBE[axis])
    where = rows(found.places, table, column)
    return (census(f"{axis}:{table}/{column}", _VALIDITY, RuleKind.SCORED, found, message, where),)


def _bind_cells(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    observers = [Observer("numbers", None, nothing, merge_tallies, _conclude_numbers)]
    for table in tables_of(dataset):
        texts = tuple(item.name for item in table.schema if is_text(item.type))
        if texts:
            conclude = partial(_conclude_text, field=table.name)
            observers.append(
                Observer(
                    f"text:{table.name}",
                    table.name,
                    partial(_observe_text, columns=texts),
                    merge_tallies,
                    conclude,
                )
            )
    for field in dataset.fields:
        if isinstance(field, ArrayField) and field.dtype == TEXT:
            conclude = partial(_conclude_text, field=field.name)
            observers.append(Observer(f"text:{field.name}", field.name, _observe_words, merge_tallies, conclude))
    return tuple(observers)


def _number_fields(dataset: Dataset) -> Iterator[tuple[str, Role, bool]]:
    """Yield (statistics key, role, whether it can hold infinities) of every numeric field."""
    for field in dataset.fields:
        if isinstance(field, ArrayField):
            kind = np.dtype(field.numpy_dtype()).kind
            if kind in "iufcmMb":
                yield field.name, field.role, kind in "fc"
    for table in tables_of(dataset):
        kinds = {item.name: item.type for item in table.schema}
        for column in table.columns:
            arrow = kinds[column.name]
            if pa.types.is_primitive(arrow) or pa.types.is_decimal(arrow):
                yield f"{table.name}/{column.name}", column.role, pa.types.is_floating(arrow)


def _conclude_numbers(_: Tallies | None, outcome: Outcome) -> tuple[CheckResult, ...]:
    """Count infinities, which only a measurement may hold, and note customary codes for "no value"."""
    strict, loose, wrong, infinite, coded, fields = Tally(), Tally(), [], [], [], 0
    for key, role, floating in _number_fields(outcome.dataset):
        found = outcome.statistics.get(key)
        if found is None:
            continue
        present = found.count - found.missing - found.nan
        endless = found.positive_infinite + found.negative_infinite
        if role in (Role.MEASUREMENT, Role.WEIGHT) and floating:
            strict, loose = strict.merge(Tally(present)), loose.merge(Tally(present, endless))
            infinite += [key] if endless else []
            fields += 1
            coded += [key] if {found.minimum, found.maximum} & set(_CUSTOMARY) else []
        else:
            strict = strict.merge(Tally(present, endless))
            wrong += [key] if endless else []
    results = [
        census(
            "numbers-legal",
            _VALIDITY,
            RuleKind.SCORED,
            strict,
            "numbers are infinite where only a measurement may be",
            named(wrong),
        ),
        census(
            "measurements-finite",
            _VALIDITY,
            RuleKind.ADVISORY,
            loose,
            "measurements are infinite",
            named(infinite),
        ),
    ]
    message = "fields hold a number that customarily means no value (such as -9999), undeclared"
    results.append(
        census("undeclared-fill", _VALIDITY, RuleKind.ADVISORY, Tally(fields, len(coded)), message, named(coded))
    )
    return tuple(results)


def _observe_text(chunk: Chunk, columns: tuple[str, ...]) -> Tallies:
    batch: Any = chunk.values
    return {name: _text_tally(plain(batch.column(name)), chunk.start[0]) for name in columns}


def _observe_words(chunk: Chunk) -> Tallies:
    values: Any = chunk.values
    tally = _text_tally(pa.array(values.reshape(-1).tolist(), type=pa.large_string()), 0)
    return {"": Tally(tally.seen, tally.broken)}


def _text_tally(values: pa.Array, first: int) -> Tally:
    """Count cells with control or replacement characters; the regular expression runs only where bytes hint at one."""
    seen = len(values) - values.null_count
    raw = values.buffers()[2] if len(values.buffers()) == 3 else None
    if raw is not None:
        data = np.frombuffer(raw, dtype=np.uint8)
        odd = (data < 32) & (data != 9) & (data != 10) & (data != 13)
        if not odd.any() and not (data == 127).any() and b"\xef\xbf\xbd" not in memoryview(raw).tobytes():
            return Tally(seen)
    broken = pc.match_substring_regex(values, _NO_TEXT).fill_null(False)
    return tally_of(seen, broken.to_numpy(zero_copy_only=False), first)


def _conclude_text(tallies: Tallies | None, outcome: Outcome, field: str) -> tuple[CheckResult, ...]:
    counts = tallies or {}
    total, where = Tally(), []
    for name, tally in counts.items():
        total = total.merge(tally)
        where += list(rows(tally.places, field, name)) if name else [field] if tally.broken else []
    message = f"text cells of {field} hold control characters or U+FFFD, the mark of a lost character"
    return (census(f"text-legal:{field}", _VALIDITY, RuleKind.SCORED, total, message, named(where, 3)),)


RANGES = CheckCode(bind=_bind_ranges)
CELLS = CheckCode(bind=_bind_cells)
