"""The rules of INFO (VCF 4.5, 1.6.1 item 8), key by key over a block."""

import re
from dataclasses import dataclass
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
_COLUMN_KINDS = {"Integer": "int64", "Float": "float64"}
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


@dataclass(frozen=True, slots=True)
class Use:
    """A key as a block uses it: what is declared of it, its texts, and of each text the record's alternates.

    `off` marks the texts that are not of the declared Type, None where no typed column told yet.
    """

    definition: Definition
    texts: pa.StringArray
    alts: "np.ndarray[Any, Any]"
    off: "np.ndarray[Any, Any] | None"

    def off_type(self) -> "np.ndarray[Any, Any]":
        """Return a mask of texts of which some value is not of the declared Type."""
        if self.off is not None:
            return self.off.copy()
        kind = _COLUMN_KINDS.get(self.definition.kind)
        if kind is None:
            return np.zeros(len(self.texts), bool)
        return convert(self.texts, kind, True)[1]


def check_info(parsed: Parsed, header: Header, tally: Tally) -> None:
    """Count one block's INFO rules."""
    tokens = parsed.tokens
    alts = alleles(parsed.cells.fixed[4])
    _syntax(parsed, header, tally)
    for key, places in tokens.of_key.items():
        if not len(places):
            continue
        definition = header.info_of(key)
        rows = tokens.rows[places]
        held = type_held(definition.kind, parsed.kinds.get(key, "text"))
        use = Use(
            definition, tokens.values.take(pa.array(places)), alts[rows], parsed.info.bad[places] if held else None
        )
        _declared(use, parsed.cells.numbers[rows], tally)
        if key in reserved.INFO[header.version]:
            _ranges(use, rows, parsed, tally)


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
    return rows_with(lists, pc.or_(pc.greater(lists.values, 2**31 - 1), pc.less(lists.values, _INT32_LOW)))


def _declared(use: Use, lines: "np.ndarray[Any, Any]", tally: Tally) -> None:
    definition, texts = use.definition, use.texts
    column, kind = f"INFO/{definition.key}", definition.kind
    if kind == "Flag":
        odd = as_bool(pc.and_(pc.is_valid(texts), pc.invert(pc.is_in(texts, pa.array(["0", "1"])))))
        tally.rows("info-type", odd, lines, column)
        return
    textual = kind in ("Character", "String")
    if kind != "*":
        tally.rows("info-type", use.off_type() | as_bool(pc.is_null(texts)), lines, column)
    if textual:
        tally.rows("info-text", over_long(texts, definition), lines, column)
    if kind == "Integer":
        tally.rows("info-integer", beyond_32_bits(texts), lines, column)
    loose = lone_text(definition) or definition.number == "0"
    span = None if loose else expected(definition.number, use.alts, None)
    if span is not None:
        counts = value_counts(texts)
        wrong = (counts > 0) & ((counts < span[0]) | (counts > span[1]))
        tally.rows("info-text" if textual else "info-number", wrong, lines, column)


def rows_with(lists: pa.ListArray, odd: pa.Array) -> "np.ndarray[Any, Any]":
    """Return a mask of the lists that hold an element marked in `odd`."""
    mask = np.zeros(len(lists), bool)
    hits = np.flatnonzero(as_bool(odd))
    mask[np.searchsorted(lists.offsets.to_numpy(zero_copy_only=False), hits, side="right") - 1] = True
    return mask


def _ranges(use: Use, rows: "np.ndarray[Any, Any]", parsed: Parsed, tally: Tally) -> None:
    key, texts, kind = use.definition.key, use.texts, use.definition.kind
    lines, column = parsed.cells.numbers[rows], f"INFO/{key}"
    odd: np.ndarray[Any, Any] | None = None
    if key == "CIGAR":
        odd = as_bool(pc.invert(pc.match_substring_regex(present(texts), _CIGAR)))
    elif key == "AA":
        odd = as_bool(pc.match_substring_regex(texts, r"[,;=]"))
    elif key == "SVTYPE":
        odd = as_bool(pc.invert(pc.is_in(texts, pa.array(sorted(reserved.SV_TYPES)))))
    elif key == "AF" or (kind == "Integer" and key not in reserved.SIGNED):
        lists = convert(texts, "float64", True)[0]
        low = pc.less(lists.values, 0)
        odd = rows_with(lists, pc.or_(low, pc.greater(lists.values, 1)) if key == "AF" else low)
    if odd is not None:
        tally.rows("info-range", odd, lines, column)
    if key == "END":
        ends = convert(texts, "int64", False)[0]
        position = parsed.columns["POS"].take(pa.array(rows))
        tally.rows("info-end", as_bool(pc.less(ends, position)), lines, column)
