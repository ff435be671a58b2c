"""The first pass: what the file holds and what its XML breaks; no array is decoded."""

import hashlib
import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import CustomerError
from ...containers.gzip import open_plain
from . import terms
from .arrays import ArrayFacts, describe
from .parse import Param, children, events, local, params
from .rules import Tallies
from .stream import Tap

_ID_FORM = re.compile(r"\S+=\S+( \S+=\S+)*\Z")
_SHA1 = re.compile(r"[0-9a-f]{40}\Z")
_REFERENCES = frozenset(
    (
        *("ref", "dataProcessingRef", "defaultDataProcessingRef", "instrumentConfigurationRef"),
        *("defaultInstrumentConfigurationRef", "sampleRef", "sourceFileRef", "defaultSourceFileRef"),
        *("scanSettingsRef", "softwareRef", "cvRef", "unitCvRef"),
    )
)
_TERMS = frozenset(("cvParam", "userParam", "referenceableParamGroupRef"))
TABLES = {"spectrum": "spectra", "chromatogram": "chromatograms"}
_LISTS = {"spectrumList": "spectrum", "chromatogramList": "chromatogram"}


@dataclass(slots=True)
class Kind:
    """What is known of all spectra, or of all chromatograms."""

    count: int = 0
    arrays: dict[str, set[str]] = field(default_factory=dict)  # column -> numpy kinds
    units: dict[str, set[str]] = field(default_factory=dict)  # column -> unit names
    present: set[str] = field(default_factory=set)  # columns with a value somewhere
    ids: "array[int]" = field(default_factory=lambda: array("Q"))


@dataclass(slots=True)
class Scan:
    """The result of the first pass."""

    kinds: dict[str, Kind] = field(default_factory=lambda: {"spectrum": Kind(), "chromatogram": Kind()})
    groups: dict[str, list[Param]] = field(default_factory=dict)
    tallies: Tallies = field(default_factory=Tallies)
    attributes: dict[str, str] = field(default_factory=dict)
    compressed: bool = False


def scan(path: Path, where: str) -> Scan:
    """Read the whole file once; raise CustomerError: truncated, corrupt, unsupported-format."""
    found = Scan()
    work = _Work(found)
    with open_plain(path, where=where) as file:
        tap = Tap(file)
        for event, element in events(tap, where):
            name = local(element)
            if event == "start":
                work.start(name, element)
            else:
                work.end(name, element, where)
    work.finish(tap, where)
    return found


def key(text: str) -> int:
    """Return 64 bits that stand for an id; a file would need 10^9 ids for two to collide."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


class _Work:
    def __init__(self, found: Scan) -> None:
        self._found = found
        self._inside = ""  # the spectrum or chromatogram that is open
        self._declared: dict[str, str | None] = {}
        self._names: set[str] = set()  # ids of the header's elements
        self._asked: dict[str, int] = {}  # references to them, counted
        self._spectra_asked = array("Q")
        self._index: dict[str, tuple[array[int], array[int]]] = {}
        self._index_name = ""
        self._checksum: str | None = None
        self._root = False

    def start(self, name: str, element: Any) -> None:
        self._root = self._root or name == "mzML"
        if name in TABLES and not self._inside:
            self._inside = name
        elif name in _LISTS:
            self._declared[_LISTS[name]] = element.get("count")
        elif name == "index":
            self._index_name = element.get("name", "")
        if not self._inside:
            self._refer(element)

    def end(self, name: str, element: Any, where: str) -> None:
        found = self._found
        if name in TABLES and name == self._inside:
            self._inside = ""
            self._item(name, element, where)
        elif self._inside:
            return
        elif name == "referenceableParamGroup":
            found.groups[element.get("id", "")] = params(element, {})
            self._names.add(element.get("id", ""))
        elif name == "offset":
            ids, offsets = self._index.setdefault(self._index_name, (array("Q"), array("q")))
            ids.append(key(element.get("idRef", "")))
            text = (element.text or "").strip()
            offsets.append(int(text) if text.isdigit() and len(text) < 19 else -1)
        elif name == "fileChecksum":
            self._checksum = (element.text or "").strip().lower()
        elif name == "run":
            found.attributes |= {k: v for k, v in element.attrib.items() if k in ("id", "startTimeStamp")}
        elif element.get("id") is not None and name not in ("mzML",):
            self._names.add(element.get("id"))
        if name.endswith("List") and name not in _LISTS and element.get("count") is not None:
            broken = element.get("count").strip() != str(_listed(element))
            found.tallies.add("other-counts", broken=broken, where=f"{name}, line {element.sourceline}")

    def _refer(self, element: Any) -> None:
        for attribute, value in element.attrib.items():
            if attribute in _REFERENCES:
                self._asked[value] = self._asked.get(value, 0) + 1
            elif attribute == "spectrumRef":
                self._spectra_asked.append(key(value))

    def _item(self, name: str, element: Any, where: str) -> None:
        found = self._found
        kind, tallies = found.kinds[name], found.tallies
        place = f"{name} {kind.count + 1}, line {element.sourceline}"
        kind.ids.append(key(element.get("id", "")))
        if name == "spectrum":
            tallies.add("id-form", broken=_ID_FORM.match(element.get("id", "")) is None, where=place)
        tallies.add("index-attribute", broken=element.get("index") != str(kind.count), where=place)
        for inner in element.iter():
            self._refer(inner)
            inner_name = local(inner)
            if inner_name.endswith("List") and inner.get("count") is not None:
                broken = inner.get("count").strip() != str(_listed(inner))
                tallies.add("other-counts", broken=broken, where=f"{inner_name}, line {inner.sourceline}")
            if inner_name == "cvParam" and inner.get("accession") in terms.NUMERIC:
                tallies.add("term-values", broken=not is_number(inner.get("value", "")), where=_named(inner, place))
        own = params(element, found.groups)
        _required(own, name, tallies, place)
        self._columns(kind, element, own, name)
        for holder in children(element, "binaryDataArrayList", "binaryDataArray"):
            facts = describe(params(holder, found.groups), f"{where}, {place}")
            _array(kind, facts, tallies, place)
        kind.count += 1

    def _columns(self, kind: Kind, element: Any, own: list[Param], name: str) -> None:
        """Note which columns have values and in which units."""
        for column, _, unit in values(element, own, self._found.groups, name):
            kind.present.add(column)
            kind.units.setdefault(column, set()).add(unit)

    def finish(self, tap: Tap, where: str) -> None:
        """Settle what only the whole file shows."""
        found, tallies = self._found, self._found.tallies
        if not self._root:
            raise CustomerError("it holds no mzML element", code="corrupt", where=where)
        everything = []
        for name, kind in found.kinds.items():
            if name in self._declared:
                declared = self._declared[name]
                message = f"{TABLES[name]}: {kind.count} are there"
                broken = (declared or "").strip() != str(kind.count)
                tallies.add("list-length", broken=broken, where=message)
            ids = np.frombuffer(kind.ids, np.uint64) if kind.ids else np.empty(0, np.uint64)
            _, first = np.unique(ids, return_index=True)
            if len(ids):
                again = np.setdiff1d(np.arange(len(ids)), first)
                place = f"{name} {int(again[0]) + 1}" if len(again) else ""
                tallies.many("ids-unique", len(ids), len(again), place)
            everything.append(ids)
            self._judge_index(name, ids, np.frombuffer(tap.starts[name.encode()], np.int64))
        asked = np.frombuffer(self._spectra_asked, np.uint64) if self._spectra_asked else np.empty(0, np.uint64)
        if len(asked):
            missing = int((~np.isin(asked, everything[0])).sum())
            tallies.many("references", len(asked), missing, "a precursor's spectrumRef")
        for name, times in self._asked.items():
            lost = name not in self._names
            tallies.many("references", times, times if lost else 0, "a reference to the header")
        if self._checksum is not None:
            written = _SHA1.match(self._checksum) is not None
            tallies.add("checksum-written", broken=not written, where="fileChecksum")
            if written:
                tallies.add("file-checksum", broken=self._checksum != tap.digest, where="fileChecksum")

    def _judge_index(self, name: str, ids: Any, starts: Any) -> None:
        if name not in self._index:
            return
        index_ids = np.frombuffer(self._index[name][0], np.uint64)
        offsets = np.frombuffer(self._index[name][1], np.int64)
        good = 0
        if len(ids) and len(starts) == len(ids):
            order = np.argsort(ids, kind="stable")
            at = np.clip(np.searchsorted(ids[order], index_ids), 0, len(ids) - 1)
            place = order[at]
            good = int(((ids[place] == index_ids) & (starts[place] == offsets)).sum())
        # An index without an entry for a spectrum is as wrong as one that points elsewhere.
        scope = max(len(index_ids), len(ids))
        if scope:
            self._found.tallies.many("index-offsets", scope, scope - good, f"index of {TABLES[name]}")


def values(element: Any, own: list[Param], groups: dict[str, list[Param]], name: str) -> list[tuple[str, Any, str]]:
    """Return (column, value, unit) of a spectrum's or chromatogram's terms, the first of each column."""
    found: dict[str, tuple[Any, str]] = {}

    def put(column: str, value: Any, unit: str = "") -> None:
        if value is not None:
            found.setdefault(column, (value, unit))

    def numbers(read: list[Param], table: dict[str, str]) -> None:
        for accession, _, value, unit in read:
            if accession in table and is_number(value):
                put(table[accession], float(value), unit)

    types = terms.SPECTRUM_TYPES if name == "spectrum" else terms.CHROMATOGRAM_TYPES
    for accession, word, value, _ in own:
        if accession == terms.MS_LEVEL and is_number(value):
            put("ms_level", int(float(value)))
        elif accession in terms.POLARITY:
            put("polarity", terms.POLARITY[accession])
        elif accession in terms.REPRESENTATION:
            put("representation", terms.REPRESENTATION[accession])
        elif accession in types:
            put("type", types[accession])
        elif name == "chromatogram" and word.endswith("chromatogram"):
            put("type", word)
    numbers(own, terms.SPECTRUM_NUMBERS)
    for scanned in children(element, "scanList", "scan"):
        read = params(scanned, groups)
        for accession, _, value, unit in read:
            if accession == terms.SCAN_TIME and is_number(value):
                put("scan_start_time", float(value), unit)
            elif accession == terms.FILTER:
                put("filter_string", value)
        numbers(read, terms.SPECTRUM_NUMBERS)
    precursors = [*children(element, "precursorList", "precursor"), *children(element, "precursor")]
    for precursor in precursors:
        put("precursor_ref", precursor.get("spectrumRef"))
        for path in (("isolationWindow",), ("selectedIonList", "selectedIon"), ("activation",)):
            for part in children(precursor, *path):
                numbers(params(part, groups), terms.PRECURSOR_NUMBERS)
    for part in children(element, "product", "isolationWindow"):
        numbers(params(part, groups), {"MS:1000827": "product_mz"})
    return [(column, value, unit) for column, (value, unit) in found.items()]


def is_number(text: str) -> bool:
    """Whether a term's value is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _listed(element: Any) -> int:
    """Return how many items a list holds, terms of its own aside."""
    return sum(local(child) not in _TERMS for child in element)


def _named(element: Any, place: str) -> str:
    return f"{element.get('accession')} {element.get('name', '')}, {place}"


def _required(own: list[Param], name: str, tallies: Tallies, place: str) -> None:
    accessions = {accession for accession, *_ in own}
    if name == "chromatogram":
        known = bool(accessions & set(terms.CHROMATOGRAM_TYPES))
        known = known or any(word.endswith("chromatogram") for _, word, *_ in own)
        tallies.add("required-terms", broken=not known, where=f"type, {place}")
        return
    types = accessions & set(terms.SPECTRUM_TYPES)
    typed = bool(types) or any(word.endswith(" spectrum") for _, word, *_ in own)
    shown = accessions & set(terms.REPRESENTATION)
    tallies.add("required-terms", broken=not typed, where=f"spectrum type, {place}")
    tallies.add("required-terms", broken=not shown, where=f"centroid or profile, {place}")
    if not types & terms.NOT_MASS:
        tallies.add("required-terms", broken=terms.MS_LEVEL not in accessions, where=f"ms level, {place}")
    tallies.add("exclusive-terms", broken=len(shown) > 1, where=f"centroid and profile, {place}")
    both = len(accessions & set(terms.POLARITY)) > 1
    tallies.add("exclusive-terms", broken=both, where=f"positive and negative, {place}")


def _array(kind: Kind, facts: ArrayFacts, tallies: Tallies, place: str) -> None:
    for good, what in zip(facts.complete, ("content", "data type", "compression"), strict=True):
        tallies.add("array-terms", broken=not good, where=f"{what} of {facts.name}, {place}")
    kind.arrays.setdefault(facts.name, set()).add(facts.kind)
    kind.units.setdefault(facts.name, set()).add(facts.units or "")
