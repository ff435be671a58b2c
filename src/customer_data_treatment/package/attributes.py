"""Attributes as Zarr's JSON can hold them, so that xarray reads them and misreads none.

NaN and infinities become strings. A float `_FillValue` is written in Zarr's base64 form (a plain
number fails on open), none on 64-bit integers (they would decode to float64 and lose digits).
"""

import base64
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np

# What xarray's decoders act on; the store sets these itself from the field's facts.
DECODED = frozenset({"_FillValue", "scale_factor", "add_offset", "_ARRAY_DIMENSIONS", "dtype", "_Unsigned"})
_TIME_UNITS = re.compile(
    r"^\s*(?P<unit>\w+)\s+since\s+(?P<when>-?\d{1,4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d*)?)?)?(\s*(Z|UTC|[+-]\d{1,2}(:?\d{2})?))?)\s*$"
)
_UNIT_DAYS = (
    ("nanosecond nanoseconds ns".split(), 1e-9 / 86400),
    ("microsecond microseconds us".split(), 1e-6 / 86400),
    ("millisecond milliseconds msec msecs ms".split(), 1e-3 / 86400),
    ("second seconds sec secs s".split(), 1 / 86400),
    ("minute minutes min mins".split(), 1 / 1440),
    ("hour hours hr hrs h".split(), 1 / 24),
    ("day days d".split(), 1.0),
)
_TIME_WORDS = frozenset(word for words, _ in _UNIT_DAYS for word in words)
_CALENDARS = frozenset("standard gregorian proleptic_gregorian julian noleap 365_day all_leap 366_day 360_day".split())


def jsonable(value: Any) -> Any:
    """Return a value as JSON holds it: numbers, strings, lists, objects; never NaN or bytes."""
    if isinstance(value, np.ndarray):
        return [jsonable(item) for item in value.tolist()]
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, complex):
        return [jsonable(value.real), jsonable(value.imag)]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value).encode("utf-8", "replace").decode("utf-8")


def misread(attributes: Mapping[str, Any], minimum: Any = None, maximum: Any = None) -> tuple[str, ...]:
    """Return the names of attributes that would make xarray fail, warn or misread the values.

    `minimum` and `maximum` are the field's own: dates outside 1678-2262 have no nanoseconds.
    """
    names = []
    units = attributes.get("units")
    if units is not None and not isinstance(units, str):
        names.append("units")
    elif isinstance(units, str) and "since" in units:
        calendar = attributes.get("calendar", "standard")
        known = isinstance(calendar, str) and calendar.lower() in _CALENDARS
        if not known or not _decodes(units, str(calendar).lower(), minimum, maximum):
            names.append("units")
        if not known:
            names.append("calendar")
    elif isinstance(units, str) and units in _TIMEDELTA_UNITS:
        names.append("units")
    names += [name for name in ("missing_value", "_Encoding") if name in attributes]
    coordinates = attributes.get("coordinates")
    if coordinates is not None and not isinstance(coordinates, str):
        names.append("coordinates")
    return tuple(names)


def _decodes(units: str, calendar: str, minimum: Any, maximum: Any) -> bool:
    """Tell whether dates in these units decode, as far as their range goes."""
    found = _TIME_UNITS.match(units)
    if found is None or found["unit"].lower() not in _TIME_WORDS:
        return False
    if calendar not in ("standard", "gregorian", "proleptic_gregorian") or minimum is None or maximum is None:
        return True
    year, month, day = (int(part) for part in re.findall(r"-?\d+", found["when"])[:3])
    try:
        start = date(year, abs(month), abs(day)).toordinal()
    except ValueError:
        return False
    days = next(length for words, length in _UNIT_DAYS if found["unit"].lower() in words)
    return start + float(minimum) * days > _FIRST_DAY and start + float(maximum) * days < _LAST_DAY


_FIRST_DAY, _LAST_DAY = date(1678, 1, 1).toordinal(), date(2262, 1, 1).toordinal()


# xarray turns a field with these units into a timedelta, and warns that this will change.
_TIMEDELTA_UNITS = frozenset("days hours minutes seconds milliseconds microseconds nanoseconds".split())


def fill_attribute(fill: Any, dtype: "np.dtype[Any]") -> Any:
    """Return `_FillValue` as Zarr v3 readers expect it, None where it cannot be said there."""
    if fill is None or dtype.kind not in "fiu" or (dtype.kind in "iu" and dtype.itemsize == 8):
        return None
    if dtype.kind == "f":
        if dtype.itemsize == 2:
            return None
        return base64.standard_b64encode(np.array(float(fill), "<f8").tobytes()).decode("ascii")
    value = dtype.type(fill)
    return int(value) if value == fill else None
