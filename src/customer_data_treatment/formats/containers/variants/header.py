"""The header of a VCF: its lines as they stand, and what they declare (VCF 4.5, 1.4 and 1.5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO

from ....errors import CustomerError
from . import reserved

FIXED = ("CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
_MOST_HEADER = 64 << 20
_VERSION = re.compile(r"VCFv(4\.\d+)")


@dataclass(frozen=True, slots=True)
class Pair:
    """One KEY=VALUE inside <...>; a quoted value comes without its quotes."""

    key: str
    value: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Meta:
    """One ## line: its number, its key, its value's text, the pairs of a structured one, what is wrong in it."""

    line: int
    key: str
    text: str
    pairs: tuple[Pair, ...] = ()
    problem: str = ""

    def get(self, key: str) -> str | None:
        """Return the value of a pair, None where there is none."""
        return next((pair.value for pair in self.pairs if pair.key == key), None)


@dataclass(frozen=True, slots=True)
class Definition:
    """What the header (or, undeclared, the specification) says of a key."""

    key: str
    number: str
    kind: str
    description: str = ""
    declared: bool = True


@dataclass(frozen=True, slots=True)
class Header:
    """A header as bytes and as facts. `version` is "4.x", or the floor's where the line is unreadable."""

    raw: bytes
    version: str
    version_read: bool
    metas: tuple[Meta, ...]
    columns: tuple[str, ...]
    column_line: int
    info: Mapping[str, Definition]
    formats: Mapping[str, Definition]

    @property
    def utf8(self) -> bool:
        """Tell whether the header is UTF-8 text."""
        try:
            self.raw.decode("utf-8")
        except UnicodeDecodeError:
            return False
        return True

    @property
    def samples(self) -> tuple[str, ...]:
        """Return the sample names in order."""
        return self.columns[9:]

    def identifiers(self, key: str) -> frozenset[str]:
        """Return the IDs that ##KEY=<ID=...> lines declare."""
        found = (meta.get("ID") for meta in self.metas if meta.key == key)
        return frozenset(name for name in found if name)

    def info_of(self, key: str) -> Definition:
        """Return an INFO key's definition: declared, else reserved, else free text."""
        return self.info.get(key) or _undeclared(key, reserved.INFO[self.version])

    def format_of(self, key: str) -> Definition:
        """Return a FORMAT key's definition: declared, else reserved, else free text."""
        return self.formats.get(key) or _undeclared(key, reserved.FORMAT[self.version])


def _undeclared(key: str, table: reserved.Reserved) -> Definition:
    kind, number = table.get(key, ("*", "*"))
    return Definition(key, number, kind, declared=False)


def read_header(stream: BinaryIO, where: str) -> Header:
    """Read the header off a stream of plain bytes, leaving it at the first record.

    Raise CustomerError: corrupt (no column header, a line that is none of VCF's), unsupported-format
    (a version before 4), absurd-header (beyond 64 MiB).
    """
    lines: list[bytes] = []
    size = 0
    while True:
        line = stream.readline(_MOST_HEADER)
        size += len(line)
        if size >= _MOST_HEADER:
            raise _refused("its header is longer than 64 MiB", where, len(lines) + 1, "absurd-header")
        if not line:
            what = "it ends before its column header (#CHROM POS ID ...)"
            raise _refused(what, where, len(lines) + 1, "truncated")
        lines.append(line)
        if len(lines) == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if line.startswith(b"#") and not line.startswith(b"##"):
            break
        if not line.startswith(b"##"):
            what = "a line before the column header is neither meta-information (##KEY=VALUE) nor #CHROM"
            raise _refused(what, where, len(lines), "corrupt")
    return parse_header(b"".join(lines), where)


def parse_header(raw: bytes, where: str) -> Header:
    """Return the header that these bytes are, column header included."""
    text = decode(raw).removeprefix("\ufeff")
    lines = [line.rstrip("\r") for line in text.split("\n")]  # splitlines would cut at rarer separators too
    while lines and not lines[-1]:
        lines.pop()
    column_line = len(lines)
    columns = tuple(lines[-1][1:].split("\t"))
    if columns[:8] != FIXED or (len(columns) > 8 and columns[8] != "FORMAT"):
        what = "its column header is not #CHROM POS ID REF ALT QUAL FILTER INFO [FORMAT SAMPLE...], parted by tabs"
        raise _refused(what, where, column_line, "corrupt")
    metas = tuple(_meta(number, line) for number, line in enumerate(lines[:-1], 1))
    version, read = _version(metas, where)
    return Header(
        raw=raw,
        version=version,
        version_read=read,
        metas=metas,
        columns=columns,
        column_line=column_line,
        info=_definitions(metas, "INFO"),
        formats=_definitions(metas, "FORMAT"),
    )


def decode(raw: bytes) -> str:
    """Return header text; UTF-8 since 4.3, Latin-1 in older files that are not."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _version(metas: tuple[Meta, ...], where: str) -> tuple[str, bool]:
    text = metas[0].text if metas and metas[0].key == "fileformat" else ""
    found = _VERSION.fullmatch(text)
    if found and found[1] in reserved.VERSIONS:
        return found[1], True
    if re.match(r"VCFv?[0-3]([.]|$)", text):
        raise CustomerError(
            f"{text[:12]} is not read, only VCF 4.0 to 4.5 are",
            code="unsupported-format",
            where=where,
            remedy="convert it with an older bcftools or vcf-convert",
        )
    return (reserved.VERSIONS[-1] if found else reserved.FLOOR), False


def _meta(number: int, line: str) -> Meta:
    key, equals, text = line[2:].partition("=")
    if not equals or not key or not text:
        return Meta(number, key, text, problem="it is not KEY=VALUE")
    if not text.startswith("<") or text.startswith('<"'):
        return Meta(number, key, text)
    pairs, problem = _pairs(text)
    return Meta(number, key, text, pairs, problem)


def _pairs(text: str) -> tuple[tuple[Pair, ...], str]:
    """Return the pairs of <KEY=VALUE,...>, and what is wrong with them ("" if nothing)."""
    problem = "" if text.endswith(">") else "its angle bracket is not closed"
    inner = text[1:-1] if not problem else text[1:]
    pairs: list[Pair] = []
    at = 0
    while at < len(inner):
        equals = inner.find("=", at)
        comma = inner.find(",", at)
        if equals < 0 or (0 <= comma < equals):
            problem = problem or "a part of it is not KEY=VALUE"
            at = len(inner) if comma < 0 else comma + 1
            continue
        key = inner[at:equals].strip()
        value, quoted, at, wrong = _value(inner, equals + 1)
        problem = problem or wrong or ("" if key else "a key is empty")
        pairs.append(Pair(key, value, quoted))
    return tuple(pairs), problem


def _value(inner: str, at: int) -> tuple[str, bool, int, str]:
    if inner.startswith('"', at):
        end = at + 1
        while end < len(inner) and inner[end] != '"':
            end += 2 if inner[end] == "\\" else 1
        if end >= len(inner):
            return inner[at + 1 :], True, len(inner), "a quotation mark is not closed"
        after = inner[end + 1 :]
        if after and not after.startswith(","):
            # Quotes that are not escaped: the value ends at the last quote before a comma or the end.
            end = max(inner.rfind('"', end), end)
            return inner[at + 1 : end], True, len(inner), "a quotation mark inside a value is not escaped"
        return inner[at + 1 : end], True, end + 2, ""
    if inner.startswith("[", at):
        end = inner.find("]", at)
        if end >= 0:
            return inner[at : end + 1], False, end + 2, ""
    comma = inner.find(",", at)
    end = len(inner) if comma < 0 else comma
    value = inner[at:end]
    wrong = "a value without quotes holds an angle bracket" if set(value) & set("<>") else ""
    return value, False, end + 1, wrong or ("" if value else "a value is empty")


def _definitions(metas: tuple[Meta, ...], section: str) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    for meta in metas:
        name = meta.get("ID") if meta.key == section else None
        if name and name not in found:
            found[name] = Definition(
                name, meta.get("Number") or ".", meta.get("Type") or "String", meta.get("Description") or ""
            )
    return found


def _refused(what: str, where: str, line: int, code: str) -> CustomerError:
    return CustomerError(what, code=code, where=f"{where}, line {line}", remedy="ask for a valid VCF")
