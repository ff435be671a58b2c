"""The rules of INFO (VCF 4.5, 1.6.1 item 8), key by key over a block."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import reserved
from .header import Definition, Header
from .records import Parsed
from .tally import Tally
from .typed import as_bool, convert, present

_KEY_43 = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*|1000G")
_KEY = re.compile(r"[^\s;=,]+")
_CIGAR = r"^([0-9]+[MIDNSHPX=])+(,([0-9]+[MIDNSHPX=])+)*$"
_INT32_LOW = -(2**31) + 8  # the eight lowest are reserved by BCF (VCF 4.3, 1.3)


def alleles(alt: pa.StringArray) -> "np.ndarray[Any, Any]":
    """Return the number of alternate alleles of each record, 0 for a dot."""
    counts: np.ndarray[Any, Any] = pc.count_substring(alt, ",").to_numpy(zero_copy_only=False).astype(np.int64) + 1
    counts[as_bool(pc.equal(alt, "."))] = 0
    return counts


def expected(number: str, alts: "np.ndarray[Any, Any]", ploidy: "np.ndarray[Any, Any] | int | None") -> Any:
    """Return (least, most) values that Number asks for, None where it asks for nothing.

    Where ALT is a dot, writers differ in whether it counts as an allele: both are taken.
    """
    if number.isdigit():
        count = np.full(len(alts), int(number), np.int64)
        return count, count
    least, most = alts, np.maximum(alts, 1)
    if number == "A":
        return least, most
    if number == "R":
        return least + 1, most + 1
    if number == "G" and ploidy is not None:
        return _genotypes(least + 1, ploidy), _genotypes(most + 1, ploidy)
    if number == "P" and ploidy is not None:
        count = np.broadcast_to(np.asarray(ploidy, np.int64), alts.shape)
        return count, count
    return None


def _genotypes(n: "np.ndarray[Any, Any]", ploidy: Any) -> "np.ndarray[Any, Any]":
    """Return C(n + ploidy - 1, ploidy), the genotypes of `ploidy` alleles out of n."""
    ploidy = np.broadcast_to(np.asarray(ploidy, np.int64), n.shape)
    out = np.ones(n.shape, np.int64)
    for k in range(1, int(min(16, ploidy.max(initial=0))) + 1):
        out = np.where(ploidy >= k, out * (n + k - 1) // k, out)
    return out


def check_info(parsed: Parsed, header: Header, tally: Tally) -> None:
    """Count one block's INFO rules."""
    tokens, lines = parsed.tokens, parsed.cells.numbers
    alts = alleles(parsed.cells.fixed[4])
    groups = tokens.of_key
    _syntax(parsed, header, tally)
    for key, places in groups.items():
        if not len(places):
            continue
        definition = header.info_of(key)
        rows = tokens.rows[places]
        texts = tokens.values.take(pa.array(places))
        held = type_held(definition.kind, parsed.kinds.get(key, "text"))
        known = parsed.info.bad[places] if held else None
        _declared(definition, texts, rows, alts, lines, known, tally)
        if key in reserved.INFO[header.version]:
            _ranges(key, definition, texts, rows, parsed, tally)


def type_held(declared: str, kind: str) -> bool:
    """Tell whether a column of `kind` holds exactly the values of the declared Type."""
    return (declared == "Integer" and kind.startswith("int")) or (declared == "Float" and kind.startswith("float"))


def _syntax(parsed: Parsed, header: Header, tally: Tally) -> None:
    tokens, lines = parsed.tokens, parsed.cells.numbers
    pattern = _KEY_43 if header.version >= "4.3" else _KEY
    bad = np.zeros(len(lines), bool)  # an empty part has the empty key, which no pattern takes
    if header.version < "4.3" and parsed.cells.spaces:
        tally.rows("info-space", as_bool(pc.match_substring_regex(tokens.infos, r"\s")), lines)
    undeclared = np.zeros(len(lines), bool)
    for key, places in tokens.of_key.items():
        if not pattern.fullmatch(key):
            bad[tokens.rows[places]] = True
        elif key not in header.info:
            undeclared[tokens.rows[places]] = True
    bad[tokens.rows[as_bool(pc.equal(tokens.values, ""))]] = True
    tally.rows("info", bad, lines)
    tally.rows("info-declared", undeclared, lines)
    tally.rows("info-duplicate", np.isin(np.arange(len(lines)), parsed.info.repeated), lines)


def value_counts(texts: pa.StringArray) -> "np.ndarray[Any, Any]":
    """Return how many values each text lists, -1 for a lone dot or null."""
    commas = pc.fill_null(pc.count_substring(texts, ","), -2)
    counts: np.ndarray[Any, Any] = commas.to_numpy(zero_copy_only=False).astype(np.int64) + 1
    counts[as_bool(pc.equal(texts, "."))] = -1
    return counts


def off_type(texts: pa.StringArray, kind: str) -> "np.ndarray[Any, Any]":
    """Return a mask of texts of which some value is not of the declared Type."""
    if kind in ("Integer", "Float"):
        return convert(texts, "int64" if kind == "Integer" else "float64", True)[1]
    return np.zeros(len(texts), bool)


def lone_text(definition: Definition) -> bool:
    """Tell whether a key has one text: a comma in it is then over-long text, not a second value."""
    return definition.kind in ("Character", "String") and definition.number == "1"


def over_long(texts: pa.StringArray, definition: Definition) -> "np.ndarray[Any, Any]":
    """Return a mask of texts that are longer than Type=Character or, by a comma, Number=1 allows."""
    if definition.kind == "Character":
        return as_bool(pc.invert(pc.match_substring_regex(texts, r"^.?(,.?)*$")))
    if lone_text(definition):
        return as_bool(pc.match_substring(texts, ","))
    return np.zeros(len(texts), bool)


def beyond_32_bits(texts: pa.StringArray) -> "np.ndarray[Any, Any]":
    """Return a mask of texts with an integer that VCF's 32 bits cannot say."""
    if pc.max(pc.binary_length(texts)).as_py() in (None, *range(10)):
        return np.zeros(len(texts), bool)
    lists = convert(texts, "int64", True)[0]
    outside = pc.or_(pc.greater(lists.values, 2**31 - 1), pc.less(lists.values, _INT32_LOW))
    hit = np.flatnonzero(as_bool(outside))
    bad = np.zeros(len(texts), bool)
    bad[np.searchsorted(lists.offsets.to_numpy(zero_copy_only=False), hit, side="right") - 1] = True
    return bad


def _declared(
    definition: Definition,
    texts: pa.StringArray,
    rows: "np.ndarray[Any, Any]",
    alts: "np.ndarray[Any, Any]",
    lines: "np.ndarray[Any, Any]",
    known: "np.ndarray[Any, Any] | None",
    tally: Tally,
) -> None:
    column, at = f"INFO/{definition.key}", lines[rows]
    if definition.kind == "Flag":
        odd = as_bool(pc.and_(pc.is_valid(texts), pc.invert(pc.is_in(texts, pa.array(["0", "1"])))))
        tally.rows("info-type", odd, at, column)
        return
    bare = as_bool(pc.is_null(texts))
    if definition.kind != "*":
        wrong = off_type(present(texts), definition.kind) if known is None else known
        tally.rows("info-type", wrong | bare, at, column)
        if definition.kind in ("Character", "String"):
            tally.rows("info-text", over_long(texts, definition), at, column)
        if definition.kind == "Integer":
            tally.rows("info-integer", beyond_32_bits(texts), at, column)
    loose = lone_text(definition) or definition.number == "0"
    span = None if loose else expected(definition.number, alts[rows], None)
    if span is not None:
        counts = value_counts(texts)
        rule = "info-text" if definition.kind in ("Character", "String") else "info-number"
        tally.rows(rule, (counts > 0) & ((counts < span[0]) | (counts > span[1])), at, column)


def _ranges(
    key: str,
    definition: Definition,
    texts: pa.StringArray,
    rows: "np.ndarray[Any, Any]",
    parsed: Parsed,
    tally: Tally,
) -> None:
    lines, column = parsed.cells.numbers[rows], f"INFO/{key}"
    if key == "CIGAR":
        odd = pc.invert(pc.match_substring_regex(present(texts), _CIGAR))
        tally.rows("info-range", as_bool(odd), lines, column)
    elif key == "AA":
        odd = pc.match_substring_regex(texts, r"[,;=]")
        tally.rows("info-range", as_bool(odd), lines, column)
    elif key == "SVTYPE":
        odd = pc.invert(pc.is_in(texts, pa.array(sorted(reserved.SV_TYPES))))
        tally.rows("info-range", as_bool(odd), lines, column)
    elif key == "AF" or (definition.kind == "Integer" and key not in reserved.SIGNED):
        lists = convert(texts, "float64", True)[0]
        low = pc.less(lists.values, 0)
        odd = pc.or_(low, pc.greater(lists.values, 1)) if key == "AF" else low
        hit = np.flatnonzero(as_bool(odd))
        bad = np.zeros(len(texts), bool)
        bad[np.searchsorted(lists.offsets.to_numpy(zero_copy_only=False), hit, side="right") - 1] = True
        tally.rows("info-range", bad, lines, column)
    if key == "END":
        ends = convert(texts, "int64", False)[0]
        position = parsed.columns["POS"].take(pa.array(rows))
        tally.rows("info-end", as_bool(pc.less(ends, position)), lines, column)
