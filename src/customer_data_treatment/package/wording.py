"""How numbers, sizes and verdicts are worded, for the report and the terminal alike.

Independent of locale. Shares and scores are cut, never rounded up: 0.98999 is not 0.99.
"""

import math
from collections.abc import Iterable, Mapping
from decimal import ROUND_DOWN, Decimal
from typing import Any

NARROW = "\u202f"  # narrow no-break space, between thousands and before units
NONE = "n/a"

LEVELS: Mapping[str, tuple[str, str]] = {
    "PUBLICATION_READY": ("Publication ready", "all five dimensions assessed, each at least 0.99"),
    "RESEARCH_GRADE": ("Research grade", "all but accuracy assessed, each at least 0.95"),
    "EXPLORATORY": ("Exploratory", "validity assessed, at least 0.85"),
    "NOT_CERTIFIED": ("Not certified", "a gate is closed, or a score is too low"),
}
SEVERITIES = ("error", "warning", "note")  # worst first
# gate -> what it means that it passed, that it failed, and that there was nothing to hold it against
GATES: Mapping[str, tuple[str, str, str]] = {
    "integrity": (
        "The checksums that came with the data, and the container's own, agree with its bytes",
        "A checksum differs from the bytes, or a listed file is absent",
        "No checksum came with the data, and its format carries none",
    ),
    "structural": (
        "No rule is broken whose breach makes the data untrustworthy",
        "A rule is broken whose breach makes the data untrustworthy",
        "The format has no such rule to break here",
    ),
    "fidelity": (
        "Every field decodes at least as faithfully as asked",
        "A field decodes less faithfully than asked",
        "There is no field to decode",
    ),
    "privacy": (
        "What was asked to stay inside stayed inside",
        "Something that was asked to stay inside did not",
        "Nothing was asked",
    ),
}
DIMENSIONS: Mapping[str, str] = {
    "completeness": "are the values there",
    "consistency": "do they agree with one another",
    "accuracy": "do they agree with an independent witness",
    "validity": "do they keep the rules of their format and schema",
    "reproducibility": "can someone else find, read and repeat it",
}
# What to do about a finding, where its own text does not say.
REMEDIES: Mapping[str, str] = {
    "metadata-missing": "give title, creators, licence, institution and contact with --metadata",
    "undeclared-cells": "say with --schema which fields are required and which may be empty",
    "schema-units": "correct the units in the schema, or in the source",
    "declared-ranges": "look at the named places: values lie outside what the source itself declares",
    "declared-totals": "ask for the data again: they do not add up to what the source itself declares",
    "delivered-checksums": "fetch the named files again and compare their digests",
    "listed-files-present": "ask for the missing files",
    "fidelity-below-request": "ask for --bound auto, or for a smaller bound",
    "quality-below-request": "mend what the other findings name, or ask for less",
    "compression-target-missed": "ask for --bound auto, or for a bound on the largest fields",
}


def number(value: Any, digits: int = 4) -> str:
    """Return a number with `digits` significant digits; whole numbers in full, grouped by thousands."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", NARROW)
    if isinstance(value, str) or not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 10**digits:
        return str(int(value))
    if 10 ** (digits - 1) <= abs(value) < 1e7:
        return number(round(value))
    text = f"{value:.{digits}g}"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        return f"{mantissa}e{int(exponent)}"
    return text


def share(value: float | None, least: int = 4) -> str:
    """Return a score or fidelity in [0, 1], cut after four decimals, later where it is nearer to 1.

    >>> share(0.98999), share(0.9999875), share(1.0), share(None)
    ('0.9899', '0.99998', '1', 'n/a')
    """
    if value is None:
        return NONE
    exact = Decimal(repr(float(value)))
    if exact >= 1:
        return "1"
    places = min(12, max(least, -(1 - exact).adjusted()))
    return str(exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN))


def percent(part: float, whole: float) -> str:
    """Return part of whole in percent; "< 0.1 %" rather than a 0 that is not one."""
    if not whole:
        return NONE
    value = 100 * part / whole
    if 0 < value < 0.1:
        return f"<{NARROW}0.1{NARROW}%"
    if 99.9 < value < 100:
        return f">{NARROW}99.9{NARROW}%"
    return f"{number(float(f'{value:.1f}'))}{NARROW}%"


def size(count: int | None) -> str:
    """Return bytes in SI units (1 kB = 1000 B), three significant digits."""
    if count is None:
        return NONE
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    text = str(int(value)) if unit == "B" or value >= 100 else f"{value:.3g}"
    return f"{text}{NARROW}{unit}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return "1 field", "12 fields"."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def remedy(finding: Mapping[str, Any]) -> str:
    """Return what to do about a finding, "" where nobody knows."""
    return str(finding.get("remedy") or REMEDIES.get(_family(finding["code"]), ""))


def _family(code: str) -> str:
    return "metadata-missing" if code.startswith("metadata-") and code.endswith("-missing") else code


def grouped(findings: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Return (the first finding, all messages) of each severity, kind and place, worst first."""
    found: dict[tuple[str, str, str], tuple[Mapping[str, Any], list[str]]] = {}
    for finding in sorted(findings, key=lambda f: SEVERITIES.index(f["severity"])):
        key = (finding["severity"], _family(finding["code"]), finding.get("where") or "")
        found.setdefault(key, (finding, []))[1].append(str(finding["message"]))
    return list(found.values())


def reduction(ratio: float | None) -> str:
    """Return what a ratio stored / source means: "87.5 % smaller", "12 % larger"."""
    if ratio is None or ratio <= 0:
        return NONE
    if ratio > 1:
        return f"{percent(ratio - 1, 1)} larger"
    if 1 - ratio < 0.0005:
        return "as large as the source"
    return f"{percent(1 - ratio, 1)} smaller"


def form(encoding: Mapping[str, Any] | None, units: str | None = None) -> str:
    """Return how a field is stored: "exact", "packed, within 0.001 K"."""
    if not encoding:
        return "exact"
    if encoding.get("form") in (None, "exact"):
        return "exact"
    bound = encoding.get("bound")
    return str(encoding["form"]) + (f", within {quantity(bound, units)}" if bound is not None else "")


def quantity(value: Any, units: str | None = None) -> str:
    """Return "0.0021 degC"; units that are a number themselves are multiplied, "1" is left out."""
    text = number(value, 3)
    if not units or units == "1":
        return text
    return f"{text} × {units}" if units[0].isdigit() else f"{text} {units}"


def axis_units(field: Mapping[str, Any]) -> str:
    """Return what the numbers of a field are counted in: its units, unless they are scaled to them."""
    return "stored numbers" if field.get("scale") else str(field.get("units") or "")


def shape(field: Mapping[str, Any]) -> str:
    """Return "128 × 192", "1 000 rows", or "one value"."""
    if field.get("kind") in ("table", "column"):
        rows = field.get("rows")
        return "" if rows is None else plural(rows, "row")
    extents = field.get("shape") or ()
    return " × ".join(number(int(extent)) for extent in extents) or "one value"


def counted_fields(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a reader would call fields: arrays and columns, and tables that list no columns."""
    fields = body.get("fields", ())
    columns = [field["name"] for field in fields if field.get("kind") == "column"]

    def listed(field: Mapping[str, Any]) -> bool:
        return any(name.startswith(f"{field['name']}/") for name in columns)

    return [field for field in fields if field.get("kind") != "table" or not listed(field)]


def asked_bounds(body: Mapping[str, Any]) -> str:
    """Return the bounds that were asked for, each once."""
    asked = {str((field.get("encoding") or {}).get("bound_asked") or "lossless") for field in counted_fields(body)}
    return ", ".join(sorted(asked, key=lambda word: (word == "lossless", word))) or "lossless"


def verdict(body: Mapping[str, Any]) -> str:
    """Return the few sentences that may be quoted: what it is, how good, how faithful, how small."""
    source, datasets = body["source"]["name"], body.get("datasets") or ()
    level, score = LEVELS[body["level"]][0].lower(), share(body.get("score"))
    if body["level"] == "NOT_CERTIFIED":
        head = f"{source} is not certified: {_why_not(body)}."
    elif datasets:
        held = plural(len(datasets), "dataset")
        head = f"{source} holds {held} and is as good as the worst: {level}, with a quality score of {score}."
    else:
        head = f"{source} is {level}, with a quality score of {score}."
    faithful = _faithful_datasets(body) if datasets else _faithful(body, counted_fields(body))
    return " ".join(part for part in (head, faithful, _small(body)) if part)


def _why_not(body: Mapping[str, Any]) -> str:
    """Return the reason that weighs most: unread datasets, closed gates, nothing assessed, a low score."""
    datasets = body.get("datasets") or ()
    unread = sum(1 for entry in datasets if entry.get("error"))
    if unread:
        return f"{number(unread)} of its {plural(len(datasets), 'dataset')} could not be read"
    closed = [name for name, passed in body.get("gates", {}).items() if passed is False]
    if closed:
        return f"the {' and '.join(closed)} {'gate is' if len(closed) == 1 else 'gates are'} closed"
    if body.get("score") is None:
        return "no dimension of its quality could be assessed"
    dimensions = body.get("dimensions", {})
    low = [name for name, entry in dimensions.items() if entry.get("score") is not None and entry["score"] < 0.85]
    if low:
        return f"its quality score is {share(body['score'])}, by its {' and '.join(low)}"
    if (dimensions.get("validity") or {}).get("score") is None:
        return "its validity could not be assessed"
    return f"its quality score is {share(body['score'])}"


def _faithful_datasets(body: Mapping[str, Any]) -> str:
    value = (body.get("fidelity") or {}).get("value")
    if value is None:
        return ""
    if value >= 1:
        return "Every value is kept exactly."
    return f"The least faithful of them, {body['fidelity']['field']}, has a fidelity of {share(value)}."


def _faithful(body: Mapping[str, Any], fields: list[Mapping[str, Any]]) -> str:
    fidelity = body.get("fidelity") or {}
    value = fidelity.get("value")
    if not fields:
        return "It holds no fields."
    bounded = [f for f in fields if (f.get("encoding") or {}).get("form", "exact") != "exact"]
    count = "its only field" if len(fields) == 1 else f"all {len(fields)} fields"
    if not bounded:
        return f"Every value of {count} is kept exactly."
    worst = f", worst in {fidelity['field']}" if fidelity.get("field") and len(fields) > 1 else ""
    kept = len(fields) - len(bounded)
    exact = f"; {'one other is' if kept == 1 else f'the other {kept} are'} exact" if kept else ""
    many = "field is" if len(bounded) == 1 else "fields are"
    return f"{len(bounded)} {many} stored within a proven bound, at a fidelity of {share(value)}{worst}{exact}."


def _small(body: Mapping[str, Any]) -> str:
    sizes = body.get("sizes") or {}
    ratio = sizes.get("ratio")
    if not ratio:
        return ""
    if abs(1 - ratio) < 0.0005:
        return f"The stored data are as large as the source ({size(sizes['stored'])})."
    both = f"{size(sizes['stored'])} for {size(sizes['source'])}"
    if ratio >= 2:
        return f"The stored data are {number(ratio, 3)} times as large as the source ({both})."
    factor = f", a factor of {number(1 / ratio, 3)}" if ratio < 0.5 else ""
    return f"The stored data are {reduction(ratio)} than the source ({both}{factor})."
