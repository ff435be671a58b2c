"""The rules of FORMAT and the samples (VCF 4.5, 1.6.2), and what genotypes say of AC and AN.

Genotypes are judged once a distinct text: a block has few of them, whatever its size.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import reserved
from .header import Definition, Header
from .info_rules import (
    Use,
    alleles,
    beyond_32_bits,
    expected,
    lone_text,
    over_long,
    rows_with,
    type_held,
    value_counts,
)
from .records import Parsed
from .samples import Group
from .tally import Tally
from .typed import as_bool, convert, present

_GENOTYPE = re.compile(r"(\.|[0-9]+)([/|](\.|[0-9]+))*")
_GENOTYPE_44 = re.compile(r"[/|]?(\.|[0-9]+)([/|](\.|[0-9]+))*")
_KEY_OLD = re.compile(r"[A-Za-z0-9]+")
_KEY_43 = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*")
_KEY_ANY = re.compile(r"[^\s:;,=]+")
_UNSIGNED = frozenset({"DP", "GQ", "MQ", "PL", "HQ", "PQ", "AD", "ADF", "ADR", "EC", "CNQ", "NQ"})
_PROBABILITIES = frozenset({"CNP"})
_MOST_ALLELES = 64


@dataclass(frozen=True, slots=True)
class Genotypes:
    """The genotypes of a group: code of each cell's text (-1: absent), and facts of each code."""

    codes: "np.ndarray[Any, Any]"
    ploidy: "np.ndarray[Any, Any]"  # 0 where a lone dot leaves it open, 2 where GT is absent
    highest: "np.ndarray[Any, Any]"  # highest allele number named, -1 for none
    malformed: "np.ndarray[Any, Any]"
    called: "np.ndarray[Any, Any]"  # alleles that are not dots
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """Called alleles of each record (-1: no GT), how often each alternate allele is named, alternates of each."""

    total: "np.ndarray[Any, Any]"
    alleles: "np.ndarray[Any, Any]"
    alts: "np.ndarray[Any, Any]"


def genotypes(texts: pa.StringArray, version: str) -> Genotypes:
    """Return the genotypes that these texts are."""
    coded = texts.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    distinct: list[str] = coded.dictionary.to_pylist()
    pattern = _GENOTYPE_44 if version >= "4.4" else _GENOTYPE
    parts = [re.split(r"[/|]", text.lstrip("/|") if version >= "4.4" else text) for text in distinct]
    numbers = [[int(p) for p in part if p.isascii() and p.isdigit() and len(p) < 10] for part in parts]
    return Genotypes(
        codes,
        np.array([0 if text == "." else len(part) for text, part in zip(distinct, parts, strict=True)] + [2], np.int64),
        np.array([max(named, default=-1) for named in numbers] + [-1], np.int64),
        np.array([not pattern.fullmatch(text) for text in distinct] + [False], bool),
        np.array([len(named) for named in numbers] + [0], np.int64),
        tuple(distinct),
    )


def check_samples(parsed: Parsed, header: Header, tally: Tally) -> Counted | None:
    """Count one block's rules of FORMAT and samples; return what its genotypes add up to."""
    cells = parsed.cells
    if cells.format is None or not cells.samples:
        return None
    alts = alleles(cells.fixed[4])
    most = max(1, int(min(alts.max(initial=0), _MOST_ALLELES)))
    counted = Counted(np.full(cells.rows, -1, np.int64), np.zeros((cells.rows, most), np.int64), alts)
    for number, group in enumerate(parsed.groups):
        lines = cells.numbers[group.rows]
        _format(group, header, lines, tally)
        over = (group.counts > len(group.keys)).reshape(len(lines), cells.samples)
        _cells("sample-fields", over, lines, "", tally)
        found = genotypes(group.texts[0], header.version) if group.keys[0] == "GT" else None
        ploidy: Any = 2
        if found is not None:
            _genotype(found, alts[group.rows], lines, cells.samples, tally)
            ploidy = found.ploidy[found.codes]
            counted.total[group.rows] = found.called[found.codes].reshape(len(lines), -1).sum(axis=1)
            counted.alleles[group.rows] = _allele_counts(found, most, cells.samples)
        for k, key in enumerate(group.keys):
            if key == "GT":
                continue
            definition, off = header.format_of(key), None
            first = group.keys.index(key) == k  # a key that stands twice has its first value in the column
            if first and type_held(definition.kind, parsed.sample_kinds.get(key, "text")):
                off = parsed.samples.bad.get((number, k), np.zeros(len(lines) * cells.samples, bool))
            use = Use(definition, group.texts[k], np.repeat(alts[group.rows], cells.samples), off)
            _declared(use, ploidy, lines, tally)
            if key in reserved.FORMAT[header.version]:
                _ranges(definition, group.texts[k], lines, cells.samples, tally)
    return counted


def _cells(rule: str, bad: "np.ndarray[Any, Any]", lines: "np.ndarray[Any, Any]", key: str, tally: Tally) -> None:
    """Count cells of shape (records, samples)."""
    hits = np.argwhere(bad)
    suffix = f" {key}" if key else ""
    places = [f"line {int(lines[row])}, sample {int(sample) + 1}{suffix}" for row, sample in hits[:5]]
    tally.add(rule, bad.size, places, len(hits))


def _format(group: Group, header: Header, lines: "np.ndarray[Any, Any]", tally: Tally) -> None:
    keys, every = group.keys, np.ones(len(lines), bool)
    late = "GT" in keys and keys[0] != "GT"
    bad = late or not all(_KEY_ANY.fullmatch(key) for key in keys)
    pattern = _KEY_43 if header.version >= "4.3" else _KEY_OLD
    odd = not bad and not all(pattern.fullmatch(key) for key in keys)
    tally.rows("format", every & bad, lines)
    rule = "format-characters" if header.version >= "4.3" else "format-alphanumeric"
    tally.rows(rule, every & odd, lines)
    tally.rows("format-duplicate", every & (len(set(keys)) < len(keys)), lines)
    undeclared = any(key not in header.formats for key in keys)
    tally.rows("format-declared", every & undeclared, lines)


def _genotype(
    found: Genotypes, alts: "np.ndarray[Any, Any]", lines: "np.ndarray[Any, Any]", samples: int, tally: Tally
) -> None:
    shape = (len(lines), samples)
    _cells("genotype", found.malformed[found.codes].reshape(shape), lines, "GT", tally)
    highest = found.highest[found.codes].reshape(shape)
    _cells("genotype-alleles", highest > np.maximum(alts, 1)[:, None], lines, "GT", tally)
    _cells("genotype-reference", (highest == 1) & (alts == 0)[:, None], lines, "GT", tally)


def _declared(use: Use, ploidy: Any, lines: "np.ndarray[Any, Any]", tally: Tally) -> None:
    definition, shape = use.definition, (len(lines), -1)
    kind, empty = definition.kind, as_bool(pc.equal(use.texts, ""))
    textual = kind in ("Character", "String")
    given = present(use.texts)
    if kind != "*":
        wrong = use.off_type()
        if not textual:
            wrong &= ~empty  # zero-length lists (VCF 4.5, local alleles)
        _cells("sample-type", wrong.reshape(shape), lines, definition.key, tally)
    if textual:
        _cells("sample-text", over_long(given, definition).reshape(shape), lines, definition.key, tally)
    if kind == "Integer":
        _cells("info-integer", beyond_32_bits(given).reshape(shape), lines, definition.key, tally)
    span = None if lone_text(definition) else expected(definition.number, use.alts, ploidy)
    if span is not None:
        counts = value_counts(use.texts)
        bad = (counts > 0) & ((counts < span[0]) | (counts > span[1])) & ~empty & (np.asarray(ploidy) > 0)
        _cells("sample-text" if textual else "sample-number", bad.reshape(shape), lines, definition.key, tally)


def _ranges(
    definition: Definition, texts: pa.StringArray, lines: "np.ndarray[Any, Any]", samples: int, tally: Tally
) -> None:
    if definition.key not in _UNSIGNED | _PROBABILITIES:
        return
    lists = convert(texts, "float64", True)[0]
    odd = pc.less(lists.values, 0)
    if definition.key in _PROBABILITIES:
        odd = pc.or_(odd, pc.greater(lists.values, 1))
    _cells("sample-range", rows_with(lists, odd).reshape(len(lines), samples), lines, definition.key, tally)


def _allele_counts(found: Genotypes, most: int, samples: int) -> "np.ndarray[Any, Any]":
    """Return how often each record's genotypes name each alternate allele: shape (records, most)."""
    each = np.zeros((len(found.texts) + 1, most), np.int64)
    for at, text in enumerate(found.texts):
        for part in re.split(r"[/|]", text):
            if part.isascii() and part.isdigit() and len(part) < 10 and 1 <= int(part) <= most:
                each[at, int(part) - 1] += 1
    return np.stack([each[:, allele][found.codes].reshape(-1, samples).sum(axis=1) for allele in range(most)], axis=1)


def check_counts(parsed: Parsed, counted: Counted | None, tally: Tally) -> None:
    """Hold INFO AN and AC against the genotypes (an independent witness), and AC against AN."""
    numbers, counts = (_single(parsed, key) for key in ("AN", "AC"))
    lines = parsed.cells.numbers
    if numbers is not None and counts is not None:
        rows = np.flatnonzero(numbers.known & counts.known)
        tally.rows("allele-sum", counts.values.sum(axis=1)[rows] > numbers.values[rows, 0], lines[rows])
    if counted is None:
        return
    if numbers is not None:
        rows = np.flatnonzero(numbers.known & (counted.total >= 0))
        tally.rows("allele-number", numbers.values[rows, 0] != counted.total[rows], lines[rows])
    if counts is not None:
        width = min(counts.values.shape[1], counted.alleles.shape[1])
        rows = np.flatnonzero(counts.known & (counted.total >= 0) & (counts.length == counted.alts))
        differs = (counts.values[rows, :width] != counted.alleles[rows, :width]).any(axis=1)
        tally.rows("allele-count", differs, lines[rows])


@dataclass(frozen=True, slots=True)
class _Listed:
    """An integer INFO key over a block: values (rows, most), zero beyond each row's length."""

    values: "np.ndarray[Any, Any]"
    length: "np.ndarray[Any, Any]"
    known: "np.ndarray[Any, Any]"


def _single(parsed: Parsed, key: str) -> _Listed | None:
    """Return an integer key's values from its typed column, None where it has none."""
    column = parsed.columns.get(f"INFO/{key}")
    if column is None or not parsed.kinds[key].startswith("int") or column.null_count == len(column):
        return None
    known = as_bool(pc.is_valid(column))
    if not pa.types.is_list(column.type):
        values = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)
        return _Listed(values[:, None], known.astype(np.int64), known)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = column.flatten()
    rows = np.repeat(np.arange(len(lengths)), lengths)
    within = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    table = np.zeros((len(lengths), max(1, int(lengths.max(initial=0)))), np.int64)
    table[rows, within] = pc.fill_null(flat, 0).to_numpy(zero_copy_only=False)
    known[rows[as_bool(pc.is_null(flat))]] = False
    return _Listed(table, lengths, known)
