"""The rules of the format as a table, and the counts a reading makes of them.

A rule's message says what is wrong where it is broken; places name line and column, never a value.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ....model.dataset import RuleCount
from ....vocabulary import Dimension, RuleKind

_PLACES = 5
_S, _C, _A = RuleKind.STRUCTURAL, RuleKind.SCORED, RuleKind.ADVISORY
_VALID, _CONSISTENT, _ACCURATE = Dimension.VALIDITY, Dimension.CONSISTENCY, Dimension.ACCURACY

RULES: Mapping[str, tuple[Dimension, RuleKind, str]] = MappingProxyType(
    {
        # the header
        "fileformat": (_VALID, _S, "the first line is not ##fileformat=VCFv4.x with a known x"),
        "header-text": (_VALID, _C, "the header is not UTF-8 text (read as Latin-1), or it has a byte-order mark"),
        "meta-line": (_VALID, _S, "a meta-information line is not ##KEY=VALUE"),
        "meta-structure": (_VALID, _S, "a structured meta-information line (##KEY=<...>) is malformed"),
        "meta-structure-other": (_VALID, _A, "a ##KEY=<...> line outside the specification is malformed"),
        "meta-id": (_VALID, _C, "a declaration has no ID, or one with characters that an ID may not have"),
        "meta-duplicate": (_CONSISTENT, _C, "an ID is declared twice in one section"),
        "meta-fields": (_VALID, _C, "a declaration lacks a field, or has its fields out of order"),
        "meta-number": (_VALID, _S, "Number is not a count, A, R, G or . (or what the version adds)"),
        "meta-flag": (_CONSISTENT, _C, "Number is 0 and Type is not Flag"),
        "meta-type": (_VALID, _S, "Type is none of Integer, Float, Flag, Character and String"),
        "meta-description": (_VALID, _C, "Description is not in double quotes"),
        "meta-reserved": (_CONSISTENT, _C, "a reserved key is declared with another Number or Type"),
        "meta-alt": (_VALID, _C, "an ALT declaration's ID is no symbolic allele (DEL, INS, DUP, INV, CNV, BND, ...)"),
        "meta-filter": (_VALID, _C, "a FILTER is declared with the reserved ID 0"),
        "meta-contig": (_VALID, _A, "a contig ID has one of * < > [ ] : = which breakends cannot tell apart"),
        "meta-url": (_VALID, _A, "assembly or pedigreeDB is not a URL"),
        "meta-pedigree": (_VALID, _C, "a PEDIGREE line does not have the form its version gives it"),
        "meta-sample": (_VALID, _A, "a SAMPLE line does not have the form its version gives it"),
        "meta-meta": (_VALID, _C, "a META line is not ID, Number=., Type=String, Values=[...]"),
        "samples-unique": (_CONSISTENT, _S, "two sample columns have the same name"),
        "samples-named": (_VALID, _S, "a sample column has no name, or FORMAT stands without samples"),
        # the lines
        "line-ends": (_VALID, _A, "lines end in CR LF in part of the file only"),
        "blank-line": (_VALID, _A, "there are blank lines between or after the records"),
        "final-newline": (_VALID, _A, "the last line has no line end"),
        "stray-space": (_VALID, _C, "a field begins or ends with a space, or is empty"),
        # the fixed columns
        "chrom": (_VALID, _S, "CHROM is empty or has white space, commas, or angle brackets that do not enclose it"),
        "chrom-characters": (_VALID, _C, "CHROM has characters that a contig name may not have"),
        "chrom-breakend": (_VALID, _A, "CHROM has one of * < > [ ] : = which breakends cannot tell apart"),
        "chrom-declared": (_CONSISTENT, _A, "CHROM is none of the contigs that the header declares"),
        "chrom-contiguous": (_CONSISTENT, _S, "the records of one CHROM do not stand together"),
        "pos": (_VALID, _S, "POS is not a natural number"),
        "pos-sorted": (_CONSISTENT, _C, "the records are not sorted by POS within CHROM"),
        "pos-within-contig": (_CONSISTENT, _C, "POS lies beyond the declared length of its contig"),
        "id": (_VALID, _S, "ID has white space or an empty part"),
        "id-duplicate": (_VALID, _C, "ID names the same identifier twice"),
        "ref": (_VALID, _S, "REF is missing or holds something other than the bases A, C, G, T and N"),
        "alt": (_VALID, _S, "ALT holds something other than bases, *, <ID>, a breakend or a lone dot"),
        "alt-duplicate": (_CONSISTENT, _C, "ALT repeats an allele, or REF"),
        "alt-symbol": (_VALID, _C, "a symbolic allele's top-level type is none of the specification's"),
        "alt-declared": (_CONSISTENT, _A, "a symbolic allele is not declared in the header"),
        "qual": (_VALID, _S, "QUAL is not a number"),
        "qual-negative": (_VALID, _C, "QUAL is negative"),
        "filter": (_VALID, _S, "FILTER is malformed: an empty part, white space, 0, or a dot beside others"),
        "filter-pass": (_CONSISTENT, _C, "FILTER says PASS and names filters that failed"),
        "filter-duplicate": (_VALID, _C, "FILTER names the same filter twice"),
        "filter-declared": (_CONSISTENT, _A, "a filter is not declared in the header"),
        "record-duplicate": (_ACCURATE, _C, "a variant is given twice (same CHROM, POS, REF and ALT when trimmed)"),
        # INFO
        "info": (_VALID, _S, "INFO is malformed: an empty part, an illegal key, or white space"),
        "info-space": (_VALID, _C, "an INFO value has white space, which versions before 4.3 forbid"),
        "info-duplicate": (_VALID, _C, "INFO names the same key twice"),
        "info-declared": (_CONSISTENT, _A, "an INFO key is not declared in the header"),
        "info-type": (_VALID, _S, "an INFO value is not of its key's Type"),
        "info-text": (
            _VALID,
            _C,
            "a text in INFO has more or fewer parts than its Number says, or is longer than Character",
        ),
        "info-number": (_VALID, _S, "an INFO key has another number of values than its Number says"),
        "info-range": (_VALID, _C, "a reserved INFO value is out of its range (negative count, AF beyond 1, ...)"),
        "info-integer": (_VALID, _C, "an integer lies outside the 32 bits that the specification allows"),
        "info-end": (_CONSISTENT, _C, "INFO END lies before POS"),
        "info-sv": (_CONSISTENT, _C, "a structural variant's INFO (SVLEN, SVCLAIM, RN, RUS, ...) contradicts its ALT"),
        # the samples
        "format": (_VALID, _S, "FORMAT is malformed: an empty or illegal key, or GT not first"),
        "format-characters": (_VALID, _C, "a FORMAT key has characters that its version does not allow"),
        "format-alphanumeric": (_VALID, _A, "a FORMAT key has a character that versions before 4.3 do not allow"),
        "format-duplicate": (_VALID, _C, "FORMAT names the same key twice"),
        "format-declared": (_CONSISTENT, _A, "a FORMAT key is not declared in the header"),
        "sample-fields": (_VALID, _S, "a sample has more fields than FORMAT"),
        "sample-type": (_VALID, _S, "a sample's value is not of its key's Type"),
        "sample-text": (
            _VALID,
            _C,
            "a sample's text has more or fewer parts than its Number says, or is longer than Character",
        ),
        "sample-number": (_VALID, _S, "a sample's value has another number of parts than its key's Number says"),
        "sample-range": (_VALID, _C, "a reserved sample value is out of its range (negative, a probability beyond 1)"),
        "sample-phase": (_CONSISTENT, _C, "a phase set's fields (PSL, PSO, PSQ, CN, CICN) contradict the genotype"),
        "genotype": (_VALID, _S, "a genotype (GT) is malformed"),
        "genotype-alleles": (_VALID, _S, "a genotype (GT) names an allele that REF and ALT do not have"),
        "genotype-reference": (_CONSISTENT, _C, "a genotype (GT) names allele 1 where ALT is a dot"),
        # what the file says of itself in two places
        "allele-number": (_ACCURATE, _C, "INFO AN differs from the alleles counted in the genotypes"),
        "allele-count": (_ACCURATE, _C, "INFO AC differs from the alleles counted in the genotypes"),
        "allele-sum": (_CONSISTENT, _C, "INFO AC adds up to more than AN"),
    }
)


class Tally:
    """Counts in the making: units in scope and violations of each rule, with the first places."""

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._places: dict[str, list[str]] = {}

    def add(self, rule: str, scope: int, places: Iterable[str] = (), violations: int | None = None) -> None:
        """Count `scope` units of which `violations` (default: as many as places) break the rule."""
        if scope <= 0:
            return
        held = self._places.setdefault(rule, [])
        found = list(places)
        counts = self._counts.setdefault(rule, [0, 0])
        counts[0] += scope
        counts[1] += len(found) if violations is None else violations
        held.extend(found[: _PLACES - len(held)])

    def rows(
        self,
        rule: str,
        bad: "np.ndarray[Any, Any]",
        lines: "np.ndarray[Any, Any]",
        column: str = "",
        scope: int | None = None,
    ) -> None:
        """Count rows: `bad` is a mask over `lines` (or over `scope` units, then lines are the bad ones')."""
        hits = lines[bad] if len(bad) == len(lines) and bad.dtype == bool else lines
        suffix = f", column {column}" if column else ""
        places = [f"line {int(line)}{suffix}" for line in hits[:_PLACES]]
        self.add(rule, len(bad) if scope is None else scope, places, len(hits))

    def broken(self, rule: str) -> int:
        """Return the violations of a rule so far."""
        return self._counts.get(rule, [0, 0])[1]

    def counts(self) -> tuple[RuleCount, ...]:
        """Return the counts of every rule that had something in scope, in the table's order."""
        return tuple(
            RuleCount(
                name=f"vcf-{rule}",
                dimension=dimension,
                kind=kind,
                scope=self._counts[rule][0],
                examined=self._counts[rule][0],
                violations=self._counts[rule][1],
                message=message,
                where=tuple(self._places[rule]),
            )
            for rule, (dimension, kind, message) in RULES.items()
            if rule in self._counts
        )
