"""The rules of CHROM ... FILTER (VCF 4.5, 1.6.1), block by block, with what must be remembered between blocks."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import reserved
from .header import Header
from .records import Parsed
from .tally import Tally
from .typed import as_bool, present

_BASES = "[ACGTNacgtn]"
_REF = re.compile(f"{_BASES}+")
_MATE = r"(?:<[^<>\s\[\],]+>|[^<>\s\[\],]+):[0-9]+"
_ALT = re.compile(
    rf"{_BASES}+|\*|<[^<>,\s]+>|\.{_BASES}+|{_BASES}+\."
    rf"|(?:{_BASES}+|\.)(?:\]{_MATE}\]|\[{_MATE}\[)|(?:\]{_MATE}\]|\[{_MATE}\[)(?:{_BASES}+|\.)"
)
_SYMBOL = re.compile(r"<([^<>:,\s]+)(:[^<>,\s]+)?>")
_CHROM = re.compile(r"<[^\s<>,]+>|[^\s<>,]+")
_CHROM_NAME = re.compile(r"<[!-~]+>|[0-9A-Za-z!#$%&+./;?@^_|~-][0-9A-Za-z!#$%&*+./;?@^_|~-]*")
_CHROM_NAME_43 = re.compile(r"<[!-~]+>|[0-9A-Za-z!#$%&+./:;?@^_|~-][0-9A-Za-z!#$%&*+./:;=?@^_|~-]*")
_PART = re.compile(r"[^\s;]+")


def per_unique(texts: pa.StringArray, judge: Callable[[str], bool]) -> "np.ndarray[Any, Any]":
    """Return a mask of the texts that `judge` calls bad, asking it once a distinct text."""
    coded = texts.dictionary_encode()
    verdicts = np.array([judge(text) for text in coded.dictionary.to_pylist()] or [False], bool)
    codes = coded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    mask: np.ndarray[Any, Any] = verdicts[codes] & as_bool(pc.is_valid(texts))
    return mask


class FixedRules:
    """Counts the rules of the fixed columns over the blocks of one file, in order."""

    def __init__(self, header: Header, tally: Tally) -> None:
        """Remember what the header declares."""
        self._header = header
        self._tally = tally
        self._contigs = header.identifiers("contig")
        self._filters = header.identifiers("FILTER") | {"PASS"}
        self._symbols = header.identifiers("ALT")
        lengths = ((meta.get("ID"), meta.get("length")) for meta in header.metas if meta.key == "contig")
        self._lengths = {name: int(size) for name, size in lengths if name and size and size.isdigit()}
        self._seen: set[str] = set()
        self._last: tuple[str, int] | None = None
        self._reach = 0  # one past the last base that a record of the current cluster covers
        self._cluster: set[tuple[int, str, str]] = set()

    def check(self, parsed: Parsed) -> None:
        """Count one block."""
        fixed, lines = parsed.cells.fixed, parsed.cells.numbers
        self._chrom(fixed[0], lines)
        self._order(parsed)
        self._ids(fixed[2], lines)
        self._tally.rows("ref", per_unique(fixed[3], lambda text: not _REF.fullmatch(text)), lines)
        self._alts(fixed[3], fixed[4], lines)
        self._tally.rows("qual", parsed.bad_quality, lines)
        self._tally.rows("qual-negative", as_bool(pc.less(parsed.columns["QUAL"], 0)), lines)
        self._filter(fixed[6], lines)
        spaced = np.zeros(len(lines), bool)
        for column in (*fixed, parsed.cells.format) if parsed.cells.gaps else ():
            if column is not None:
                spaced |= as_bool(pc.match_substring_regex(column, r"^ | $|^$"))
        self._tally.rows("stray-space", spaced, lines)

    def _chrom(self, chrom: pa.StringArray, lines: "np.ndarray[Any, Any]") -> None:
        self._tally.rows("chrom", per_unique(chrom, lambda text: not _CHROM.fullmatch(text)), lines)
        name = _CHROM_NAME_43 if self._header.version >= "4.3" else _CHROM_NAME
        odd = per_unique(chrom, lambda text: bool(_CHROM.fullmatch(text)) and not name.fullmatch(text))
        self._tally.rows("chrom-characters", odd, lines)
        if self._header.version >= "4.3":
            ambiguous = per_unique(chrom, lambda text: bool(set(text.strip("<>")) & set("*<>[]:=")))
            self._tally.rows("chrom-breakend", ambiguous, lines)
        if self._contigs:
            undeclared = per_unique(chrom, lambda text: text.strip("<>") not in self._contigs)
            self._tally.rows("chrom-declared", undeclared, lines)

    def _order(self, parsed: Parsed) -> None:
        """Count contiguity, order, contig lengths and repeated variants."""
        chrom, lines = parsed.cells.fixed[0], parsed.cells.numbers
        position = parsed.columns["POS"].to_numpy(zero_copy_only=False)
        self._tally.rows("pos", position < 0, lines)
        coded = chrom.dictionary_encode()
        codes = coded.indices.to_numpy(zero_copy_only=False)
        names = [name.strip("<>") for name in coded.dictionary.to_pylist()]
        merged = {name: at for at, name in reversed(list(enumerate(names)))}  # <1> is 1 from an assembly file
        codes = np.array([merged[name] for name in names], np.int64)[codes]
        starts = np.flatnonzero(np.concatenate([[True], np.diff(codes) != 0]))
        again = np.zeros(len(lines), bool)
        unsorted = np.zeros(len(lines), bool)
        unsorted[1:] = (np.diff(position) < 0) & (np.diff(codes) == 0)
        for start in starts.tolist():
            name = names[codes[start]]
            if start == 0 and self._last is not None and self._last[0] == name:
                unsorted[0] = position[0] < self._last[1]
                continue
            again[start] = name in self._seen
            self._seen.add(name)
        self._tally.rows("chrom-contiguous", again, lines)
        self._tally.rows("pos-sorted", unsorted, lines)
        if self._lengths:
            limits = np.array([self._lengths.get(name, 2**62) for name in names], np.int64)
            self._tally.rows("pos-within-contig", position > limits[codes] + 1, lines)
        self._repeats(parsed, position, codes, names)
        self._last = (names[codes[-1]], int(position[-1]))

    def _repeats(
        self, parsed: Parsed, position: "np.ndarray[Any, Any]", codes: "np.ndarray[Any, Any]", names: list[str]
    ) -> None:
        """Count variants given twice: only records whose reference spans touch can be equal when trimmed."""
        lines = parsed.cells.numbers
        ends = position + pc.binary_length(parsed.cells.fixed[3]).to_numpy(zero_copy_only=False)
        if self._last is None or self._last[0] != names[codes[0]]:
            self._reach, self._cluster = 0, set()
        reach = _running_reach(ends, codes, self._reach)
        joined = position < reach  # overlaps something before it
        near = joined | np.concatenate([joined[1:], [True]])  # the last record may meet the next block
        rows = np.flatnonzero(near)
        chosen = pa.array(rows)
        refs = parsed.cells.fixed[3].take(chosen).to_pylist()
        alts = parsed.cells.fixed[4].take(chosen).to_pylist()
        repeated = []
        for row, ref, alt in zip(rows.tolist(), refs, alts, strict=True):
            if not joined[row]:
                self._cluster = set()
            keys = {_trim(int(position[row]), ref, one) for one in alt.split(",") if _REF.fullmatch(one)}
            if keys & self._cluster:
                repeated.append(row)
            self._cluster |= keys
        self._reach = max(int(ends[-1]), int(reach[-1])) if len(ends) else self._reach
        self._tally.rows("record-duplicate", np.isin(np.arange(len(lines)), repeated), lines)

    def _ids(self, ids: pa.StringArray, lines: "np.ndarray[Any, Any]") -> None:
        self._tally.rows("id", as_bool(pc.match_substring_regex(ids, r"\s|^;|;;|;$|^$")), lines)
        listed = as_bool(pc.match_substring(ids, ";"))
        twice = np.zeros(len(lines), bool)
        for row in np.flatnonzero(listed).tolist():
            parts = ids[row].as_py().split(";")
            twice[row] = len(set(parts)) < len(parts)
        self._tally.rows("id-duplicate", twice, lines)

    def _alts(self, ref: pa.StringArray, alt: pa.StringArray, lines: "np.ndarray[Any, Any]") -> None:
        def malformed(text: str) -> bool:
            return text != "." and not all(_ALT.fullmatch(part) for part in text.split(","))

        def foreign(text: str) -> bool:
            found = (_SYMBOL.fullmatch(part) for part in text.split(","))
            return any(match and match[2] and match[1] not in reserved.SV_TYPES for match in found)

        def undeclared(text: str) -> bool:
            found = (part[1:-1] for part in text.split(",") if _SYMBOL.fullmatch(part))
            return any(name not in self._symbols and name not in ("*", "NON_REF") for name in found)

        self._tally.rows("alt", per_unique(alt, malformed), lines)
        symbolic = as_bool(pc.match_substring(alt, "<"))
        if symbolic.any():
            self._tally.rows("alt-symbol", per_unique(alt, foreign)[symbolic], lines[symbolic])
            self._tally.rows("alt-declared", per_unique(alt, undeclared)[symbolic], lines[symbolic])
        same = pc.equal(pc.utf8_upper(ref), pc.utf8_upper(alt))
        listed = np.flatnonzero(as_bool(pc.match_substring(alt, ",")))
        twice = as_bool(same)
        refs, alts = ref.take(pa.array(listed)).to_pylist(), alt.take(pa.array(listed)).to_pylist()
        for row, first, rest in zip(listed.tolist(), refs, alts, strict=True):
            alleles = [part.upper() for part in (first, *rest.split(",")) if not part.startswith("<")]
            twice[row] = len(set(alleles)) < len(alleles)
        self._tally.rows("alt-duplicate", twice, lines)

    def _filter(self, filters: pa.StringArray, lines: "np.ndarray[Any, Any]") -> None:
        def malformed(text: str) -> bool:
            parts = text.split(";")
            return (len(parts) > 1 and "." in parts) or "0" in parts or not all(_PART.fullmatch(part) for part in parts)

        def repeated(text: str) -> bool:
            parts = text.split(";")
            return len(set(parts)) < len(parts)

        self._tally.rows("filter", per_unique(filters, malformed), lines)
        mixed = per_unique(filters, lambda text: text != "PASS" and "PASS" in text.split(";"))
        self._tally.rows("filter-pass", mixed, lines)
        self._tally.rows("filter-duplicate", per_unique(filters, repeated), lines)
        given = present(filters)
        undeclared = per_unique(given, lambda text: not set(text.split(";")) <= self._filters)
        self._tally.rows("filter-declared", undeclared, lines)


def _running_reach(ends: "np.ndarray[Any, Any]", codes: "np.ndarray[Any, Any]", before: int) -> "np.ndarray[Any, Any]":
    """Return, for each record, how far those before it on its CHROM reach."""
    reach = np.zeros(len(ends), np.int64)
    bounds = [0, *(np.flatnonzero(np.diff(codes) != 0) + 1).tolist(), len(ends)]
    for start, stop in pairwise(bounds):
        first = before if start == 0 else 0
        reach[start] = first
        if stop - start > 1:
            reach[start + 1 : stop] = np.maximum(np.maximum.accumulate(ends[start : stop - 1]), first)
    return reach


def _trim(position: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Return a variant without the bases that REF and ALT share at the end, then at the start."""
    ref, alt = ref.upper(), alt.upper()
    while len(ref) > 1 and len(alt) > 1 and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while len(ref) > 1 and len(alt) > 1 and ref[0] == alt[0]:
        ref, alt, position = ref[1:], alt[1:], position + 1
    return position, ref, alt
