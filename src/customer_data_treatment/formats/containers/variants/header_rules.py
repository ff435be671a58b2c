"""What a header must be (VCF 4.1-4.5, 1.2-1.4), counted by meta-information line.

Checked against the validator of the European Bioinformatics Institute (vcf-validator), whose
failing and passing files live in hts-specs; where the specification is milder, a rule is advisory.
"""

import re
from collections import Counter
from collections.abc import Callable

from . import reserved
from .header import Header, Meta
from .tally import Tally

_IDENTIFIER = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9._+-]+")
_KEY_43 = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*|1000G")
_ALT_ID = re.compile(r"(?=.*[A-Za-z0-9*])[!-+\--;=?-~]+")
_URL = re.compile(r"<?[A-Za-z][^:/?#]+://([A-Za-z][^/?#]*|\d{1,3}(\.\d{1,3}){3}[^/?#]*)[^?#]*(\?[^#]*)?(#.*)?>?")
_STRUCTURED = ("INFO", "FORMAT", "FILTER", "ALT", "contig", "META", "SAMPLE", "PEDIGREE")
_TYPED = ("ID", "Number", "Type", "Description")


def check_header(header: Header, tally: Tally) -> None:
    """Count every rule of the header in `tally`."""
    tally.add("fileformat", 1, [] if header.version_read else ["line 1"])
    odd = not header.utf8 or header.raw.startswith(b"\xef\xbb\xbf")
    tally.add("header-text", 1, ["the header"] if odd else [])
    _lines(header, tally)
    for section, check in _SECTIONS.items():
        for meta in header.metas:
            if meta.key == section:
                check(meta, header, tally)
    _duplicates(header, tally)
    _samples(header, tally)


def _lines(header: Header, tally: Tally) -> None:
    for meta in header.metas:
        plain = meta.problem.startswith("it is not KEY")
        tally.add("meta-line", 1, [_at(meta)] if plain else [])
        if meta.key in _STRUCTURED:
            bad = bool(meta.problem) or not meta.text.startswith("<")
            tally.add("meta-structure", 1, [_at(meta)] if bad and not plain else [])
        elif meta.text.startswith("<"):
            tally.add("meta-structure-other", 1, [_at(meta)] if meta.problem else [])


def _duplicates(header: Header, tally: Tally) -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for meta in header.metas:
        name = meta.get("ID")
        if meta.key in _STRUCTURED and meta.key != "contig" and name:
            seen[meta.key, name] += 1
            tally.add("meta-duplicate", 1, [_at(meta)] if seen[meta.key, name] > 1 else [])


def _samples(header: Header, tally: Tally) -> None:
    place = [f"line {header.column_line}"]
    alone = len(header.columns) == 9
    unnamed = any(not name.strip() for name in header.samples)
    tally.add("samples-named", max(1, len(header.samples)), place if alone or unnamed else [])
    if header.samples:
        repeated = len(header.samples) - len(set(header.samples))
        tally.add("samples-unique", len(header.samples), place if repeated else [], repeated)


def _at(meta: Meta) -> str:
    return f"line {meta.line}, ##{meta.key[:20]}" if meta.key.isalnum() else f"line {meta.line}"


def _mark(tally: Tally, rule: str, meta: Meta, good: bool) -> None:
    tally.add(rule, 1, [] if good else [_at(meta)])


def _leading(meta: Meta, expected: tuple[str, ...]) -> bool:
    return tuple(pair.key for pair in meta.pairs[: len(expected)]) == expected


def _described(meta: Meta) -> bool:
    return all(pair.quoted for pair in meta.pairs if pair.key == "Description")


def _typed(meta: Meta, header: Header, tally: Tally) -> None:
    name, number, kind = (meta.get(key) or "" for key in ("ID", "Number", "Type"))
    pattern = _KEY_43 if header.version >= "4.3" else _IDENTIFIER
    _mark(tally, "meta-id", meta, bool(pattern.fullmatch(name)))
    _mark(tally, "meta-fields", meta, _leading(meta, _TYPED))
    _mark(tally, "meta-number", meta, number.isdigit() or number in reserved.numbers(header.version, meta.key))
    _mark(tally, "meta-flag", meta, number != "0" or kind == "Flag")
    types = reserved.INFO_TYPES if meta.key == "INFO" else reserved.FORMAT_TYPES
    _mark(tally, "meta-type", meta, kind in types)
    _mark(tally, "meta-description", meta, _described(meta))
    table = (reserved.INFO if meta.key == "INFO" else reserved.FORMAT)[header.version]
    if name in table:
        fixed_kind, fixed_number = table[name]
        agrees = fixed_kind in ("*", kind) and fixed_number in ("*", ".", number)
        _mark(tally, "meta-reserved", meta, agrees)


def _alt(meta: Meta, header: Header, tally: Tally) -> None:
    name = meta.get("ID") or ""
    top, colon, _ = name.partition(":")
    legal = bool(_ALT_ID.fullmatch(name)) and (not colon or top in reserved.SV_TYPES)
    _mark(tally, "meta-alt", meta, legal)
    _mark(tally, "meta-fields", meta, _leading(meta, _described_second(meta, header)))
    _mark(tally, "meta-description", meta, _described(meta))


def _described_second(meta: Meta, header: Header) -> tuple[str, ...]:
    """Return how an ALT or FILTER line begins; since 4.4 it may go without a Description."""
    optional = header.version >= "4.4" and meta.get("Description") is None
    return ("ID",) if optional else ("ID", "Description")


def _filter(meta: Meta, header: Header, tally: Tally) -> None:
    name = meta.get("ID") or ""
    _mark(tally, "meta-id", meta, bool(name) and not re.search(r"[\s;,]", name))
    _mark(tally, "meta-filter", meta, name != "0")
    _mark(tally, "meta-fields", meta, _leading(meta, _described_second(meta, header)))
    _mark(tally, "meta-description", meta, _described(meta))


def _contig(meta: Meta, header: Header, tally: Tally) -> None:
    name = meta.get("ID") or ""
    _mark(tally, "meta-id", meta, bool(re.fullmatch(r"[^\s,<>]+", name)))
    if header.version >= "4.3":
        _mark(tally, "meta-contig", meta, not set(name) & set("*<>[]:=,"))


def _url(meta: Meta, header: Header, tally: Tally) -> None:
    _mark(tally, "meta-url", meta, bool(_URL.fullmatch(meta.text)))


def _pedigree(meta: Meta, header: Header, tally: Tally) -> None:
    keys = tuple(pair.key for pair in meta.pairs)
    good = bool(keys) and all(_IDENTIFIER.fullmatch(pair.value) and not pair.quoted for pair in meta.pairs)
    if header.version >= "4.3":
        rest = keys[1:]
        named = bool(rest) and all(re.fullmatch(r"Name_\d+", key) for key in rest)
        good = good and keys[0] == "ID" and (rest == ("Original",) or rest == ("Father", "Mother") or named)
    _mark(tally, "meta-pedigree", meta, good)


def _sample(meta: Meta, header: Header, tally: Tally) -> None:
    name = meta.get("ID") or ""
    good = bool(_IDENTIFIER.fullmatch(name))
    if header.version < "4.3":
        plain = all(not pair.quoted for pair in meta.pairs if pair.key != "Description")
        good = good and plain and _leading(meta, ("ID", "Genomes", "Mixture", "Description"))
    _mark(tally, "meta-sample", meta, good and _described(meta))


def _meta(meta: Meta, header: Header, tally: Tally) -> None:
    keys = {pair.key for pair in meta.pairs}
    values = meta.get("Values") or ""
    good = {"ID", "Number", "Type", "Values"} <= keys and meta.pairs[0].key == "ID"
    good = good and meta.get("Number") == "." and meta.get("Type") == "String"
    _mark(tally, "meta-meta", meta, good and values.startswith("[") and values.endswith("]"))


_SECTIONS: dict[str, Callable[[Meta, Header, Tally], None]] = {
    "INFO": _typed,
    "FORMAT": _typed,
    "ALT": _alt,
    "FILTER": _filter,
    "contig": _contig,
    "assembly": _url,
    "pedigreeDB": _url,
    "PEDIGREE": _pedigree,
    "SAMPLE": _sample,
    "META": _meta,
}
