"""One column's cells against a schema's rule: which are missing, and which break it.

Numbers are judged as numbers, in whole arrays. Everything else is judged as text, one distinct
cell at a time, so that a column of few words costs a few comparisons.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...model.requirements import ColumnRule

Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Masks over a column's cells: no value there; a value that breaks the rule."""

    missing: Mask
    broken: Mask


def is_nested(kind: pa.DataType) -> bool:
    """Return whether a column's cells are lists, structs, maps or unions."""
    return bool(pa.types.is_nested(kind))


def plain(values: pa.Array) -> pa.Array:
    """Return a column without dictionary, run-length or extension clothing."""
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        return values.dictionary_decode()
    if pa.types.is_run_end_encoded(values.type):
        return pc.run_end_decode(values)
    if pa.types.is_string_view(values.type):
        return values.cast(pa.large_string())
    if pa.types.is_binary_view(values.type):
        return values.cast(pa.large_binary())
    if pa.types.is_float16(values.type):
        return values.cast(pa.float32())
    if pa.types.is_timestamp(values.type) and values.type.tz is not None:  # an instant, whatever zones are known here
        return values.cast(pa.int64()).cast(pa.timestamp(values.type.unit))
    return values


def is_text(kind: pa.DataType) -> bool:
    """Return whether a column's cells are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def no_value(values: pa.Array) -> Mask:
    """Return which cells are null or NaN."""
    if values.null_count == 0 and not pa.types.is_floating(values.type):
        return np.zeros(len(values), dtype=bool)
    return np.asarray(values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False))


def missing_cells(values: pa.Array, words: tuple[str, ...]) -> Mask:
    """Return which cells are null, NaN, or one of the words that a schema takes for "no value"."""
    missing = no_value(values)
    words = tuple(word for word in words if word)
    if not words or len(values) == 0 or is_nested(values.type):
        return missing
    if is_text(values.type):
        found = pc.is_in(values, pa.array(words, type=values.type))
    elif numbers := _numbers(words, values.type):
        found = pc.is_in(values, pa.array(numbers, type=values.type))
    else:
        return missing
    return np.asarray(missing | found.to_numpy(zero_copy_only=False).astype(bool))


def _numbers(words: tuple[str, ...], kind: pa.DataType) -> list[Any]:
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return []
    found = []
    for word in words:
        try:
            number = float(word) if pa.types.is_floating(kind) else int(word)
            pa.scalar(number, type=kind)
            found.append(number)
        except (ValueError, OverflowError, pa.ArrowInvalid):
            continue
    return found


def judge_cells(values: pa.Array, rule: ColumnRule) -> Judged:
    """Return which cells are missing and which break the rule; a missing one breaks nothing."""
    values = plain(values)
    missing = missing_cells(values, rule.missing_values)
    said = pa.types.is_boolean(values.type) and rule.type == "boolean"
    if is_nested(values.type) or len(values) == 0 or said or not asks(rule):
        return Judged(missing, np.zeros(len(values), dtype=bool))
    number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if number and _is_numeric(rule):
        broken = _numbers_break(values, rule)
    else:
        broken = _text_breaks(values, rule)
    return Judged(missing, broken & ~missing)


def asks(rule: ColumnRule) -> bool:
    """Return whether the rule asks anything of a cell that has a value."""
    more = (rule.minimum, rule.maximum, rule.pattern, rule.enum, rule.shortest, rule.longest)
    return rule.type in _READERS or any(item is not None for item in more)


def _is_numeric(rule: ColumnRule) -> bool:
    """Return whether numbers alone can be held against the rule: by type, range and codes."""
    by_text = rule.pattern or rule.shortest is not None or rule.longest is not None
    return not by_text and rule.type in ("number", "integer", "year", "any")


def _as_number(word: str) -> float | int | None:
    try:
        return int(word) if re.fullmatch(r"[+-]?\d+", word) else float(word)
    except ValueError:
        return None


def _numbers_break(values: pa.Array, rule: ColumnRule) -> Mask:
    numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
    broken = np.zeros(len(values), dtype=bool)
    if rule.type in ("integer", "year") and numbers.dtype.kind == "f":
        broken |= numbers != np.floor(numbers)
    low, high = rule.minimum, rule.maximum
    if isinstance(low, int | float):
        broken |= numbers <= low if rule.exclusive[0] else numbers < low
    if isinstance(high, int | float):
        broken |= numbers >= high if rule.exclusive[1] else numbers > high
    if rule.enum is not None:
        allowed = [number for word in rule.enum if (number := _as_number(word)) is not None]
        broken |= ~np.isin(numbers, np.array(allowed, dtype=np.float64) if allowed else np.empty(0))
    return broken


def _text_breaks(values: pa.Array, rule: ColumnRule) -> Mask:
    try:
        text = values if is_text(values.type) else pc.cast(values, pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # bytes that are no text
        return np.ones(len(values), dtype=bool)
    coded = text.dictionary_encode()
    accepts = cell_judge(rule)
    refused = np.array([not accepts(word) for word in coded.dictionary.to_pylist()], dtype=bool)
    if not refused.any():
        return np.zeros(len(values), dtype=bool)
    codes = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return np.asarray(refused[codes] & values.is_valid().to_numpy(zero_copy_only=False))


def cell_judge(rule: ColumnRule) -> Callable[[str], bool]:
    """Return the function that says whether a cell's text keeps the rule."""
    pattern = re.compile(rule.pattern) if rule.pattern else None
    allowed = _allowed(rule)
    read = _READERS.get(rule.type)
    low, high = (_bound(rule, bound) for bound in (rule.minimum, rule.maximum))

    def accepts(cell: str) -> bool:
        if read is not None:
            value = read(cell, rule)
            if value is None:
                return False
            if low is not None and _before(value, low, or_equal=rule.exclusive[0]):
                return False
            if high is not None and _before(high, value, or_equal=rule.exclusive[1]):
                return False
        if allowed is not None and cell not in allowed and cell.strip() not in allowed:
            number = _as_number(cell)
            if number is None or number not in allowed:
                return False
        if pattern is not None and not pattern.fullmatch(cell):
            return False
        long_enough = rule.shortest is None or len(cell) >= rule.shortest
        return long_enough and (rule.longest is None or len(cell) <= rule.longest)

    return accepts


def _allowed(rule: ColumnRule) -> frozenset[str | float] | None:
    if rule.enum is None:
        return None
    numbers = [number for word in rule.enum if (number := _as_number(word)) is not None]
    return frozenset(rule.enum) | frozenset(numbers)


def _bound(rule: ColumnRule, bound: float | str | None) -> Any:
    read = _READERS.get(rule.type)
    if bound is None or read is None or not isinstance(bound, str):
        return bound
    return read(bound, ColumnRule(rule.name, rule.type))


def _before(a: Any, b: Any, *, or_equal: bool) -> bool:
    try:
        return bool(a <= b if or_equal else a < b)
    except TypeError:  # a time with a zone against one without
        return False


def _number(cell: str, rule: ColumnRule) -> float | int | None:
    text = cell.strip()
    if rule.grouping:
        text = text.replace(rule.grouping, "")
    if rule.decimal != ".":
        text = text.replace(rule.decimal, ".")
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?INF|NaN", text, re.ASCII):
        return None
    return int(text) if re.fullmatch(r"[+-]?\d{1,400}", text, re.ASCII) else float(text)


def _integer(cell: str, rule: ColumnRule) -> float | int | None:
    text = cell.strip().replace(rule.grouping, "") if rule.grouping else cell.strip()
    return int(text) if re.fullmatch(r"[+-]?\d{1,400}", text, re.ASCII) else None


def _boolean(cell: str, rule: ColumnRule) -> bool | None:
    true, false = rule.words if rule.words[0] else (("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0"))
    return True if cell in true else False if cell in false else None


def _moment(kind: type[date] | type[time] | type[datetime]) -> Callable[[str, ColumnRule], Any]:
    def read(cell: str, rule: ColumnRule) -> Any:
        text = re.sub(r"[ T]00:00:00(\.0+)?Z?$", "", cell.strip()) if kind is date else cell.strip()
        for form in rule.formats:
            try:
                found = datetime.strptime(text, form)
            except ValueError:
                continue
            return found.date() if kind is date else found.time() if kind is time else found
        if rule.formats and kind is not datetime and kind is not date:
            return None
        try:
            moment = kind.fromisoformat(text)
        except ValueError:
            return None
        return moment if "-" in text or kind is time else None

    return read


def _year(cell: str, rule: ColumnRule) -> int | None:
    return int(cell) if re.fullmatch(r"-?\d{4,6}", cell.strip(), re.ASCII) else None


def _year_month(cell: str, rule: ColumnRule) -> str | None:
    return cell.strip() if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", cell.strip(), re.ASCII) else None


_READERS: dict[str, Callable[[str, ColumnRule], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "date": _moment(date),
    "time": _moment(time),
    "datetime": _moment(datetime),
    "year": _year,
    "yearmonth": _year_month,
}


def spoken(rule: ColumnRule) -> str:
    """Return in words what a rule asks of a cell, for messages."""
    parts = [f"type {rule.type}"] if rule.type not in ("any", "string") else []
    for bound, word, out in ((rule.minimum, "from", 0), (rule.maximum, "to", 1)):
        if bound is not None:
            parts.append(f"{word} {bound}" + (" (exclusive)" if rule.exclusive[out] else ""))
    if rule.enum is not None:
        parts.append(f"one of {len(rule.enum)} listed codes")
    if rule.pattern:
        parts.append("a given pattern")
    if rule.shortest is not None or rule.longest is not None:
        parts.append("a given length")
    return ", ".join(parts)
