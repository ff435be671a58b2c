"""Checksum lists as deliveries carry them, and the digests to hold against them.

GNU coreutils (`HEX  NAME`, `HEX *NAME`, a leading backslash escapes the name) and BSD
(`SHA256 (NAME) = HEX`) lines, mixed at will; `#` and `;` begin comments. The algorithm of a GNU line
is told by the digest's length, 128 hex digits being SHA-512 unless the list's name says b2.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import CustomerError
from ..vocabulary import Dimension, RuleKind
from .verdict import CheckResult

_BY_LENGTH = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_NAMED = {
    "MD5": "md5",
    "SHA1": "sha1",
    "SHA224": "sha224",
    "SHA256": "sha256",
    "SHA384": "sha384",
    "SHA512": "sha512",
    "SHA2-256": "sha256",
    "SHA2-512": "sha512",
    "BLAKE2B": "blake2b",
}
_GNU = re.compile(r"(\\?)([0-9A-Fa-f]{32,128})(?: [ *]|\t+| +)(.+)")
_BSD = re.compile(r"(\\?)([A-Za-z0-9-]+) ?\((.+)\) ?= ?([0-9A-Fa-f]{32,128})")
_BARE = re.compile(r"[0-9A-Fa-f]{32,128}")
_LENGTH = {name: length for length, name in _BY_LENGTH.items()} | {"blake2b": 128}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ExpectedDigest:
    """One line of a list: the file, by its name in the list, and what its digest must be.

    `file` is "" for a list that is one digest and no name: it speaks of the one file delivered.
    """

    file: str
    algorithm: str
    digest: str
    line: int


def parse_checksums(raw: bytes, name: str) -> tuple[ExpectedDigest, ...]:
    """Return what a checksum list expects, in its order; raise CustomerError (bad-checksums) by line."""
    text = _decoded(raw, name)
    blake = "b2" in name.lower() or "blake2" in name.lower()
    lines = [(number, line.rstrip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line.strip() and line.lstrip()[0] not in "#;"]
    if not lines:
        raise _bad("it lists no file", name, 1)
    if len(lines) == 1 and _BARE.fullmatch(lines[0][1].strip()):
        return (_expected("", "", lines[0][1].strip(), lines[0][0], name, blake),)
    expected = tuple(_line(line, number, name, blake) for number, line in lines)
    known: dict[tuple[str, str], str] = {}
    for entry in expected:
        if known.setdefault((entry.file, entry.algorithm), entry.digest) != entry.digest:
            raise _bad("it gives two different digests for one file", name, entry.line)
    return expected


def _line(line: str, number: int, name: str, blake: bool) -> ExpectedDigest:
    if match := _BSD.fullmatch(line.strip()):
        escaped, algorithm, file, digest = match.groups()
        if algorithm.upper() not in _NAMED:
            raise _bad(f"the algorithm {algorithm} is unknown here", name, number)
        return _expected(_unescape(file, escaped), _NAMED[algorithm.upper()], digest, number, name, blake)
    if match := _GNU.fullmatch(line.lstrip()):
        escaped, digest, file = match.groups()
        return _expected(_unescape(file, escaped), "", digest, number, name, blake)
    raise _bad("the line is no checksum", name, number)


def _expected(file: str, algorithm: str, digest: str, number: int, name: str, blake: bool) -> ExpectedDigest:
    known = algorithm or ("blake2b" if blake and len(digest) == 128 else _BY_LENGTH.get(len(digest), ""))
    if not known or len(digest) != _LENGTH[known]:
        raise _bad(f"a digest of {len(digest)} digits belongs to no known algorithm", name, number)
    return ExpectedDigest(file, known, digest.lower(), number)


def _decoded(raw: bytes, name: str) -> str:
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise _bad("it is no text", name, raw[: error.start].count(b"\n") + 1) from error
    if "\0" in text:
        raise _bad("it is no text", name, text[: text.index("\0")].count("\n") + 1)
    return text


def _unescape(file: str, escaped: str) -> str:
    """Return the relative name; a backslash that nothing escapes separates folders, as on Windows."""
    if escaped:
        parts = re.split(r"(\\[\\nr])", file)
        plain = "".join({"\\\\": "\\", "\\n": "\n", "\\r": "\r"}.get(part, part) for part in parts)
    else:
        plain = file.replace("\\", "/")
    return "/".join(part for part in plain.split("/") if part not in ("", "."))


def _bad(what: str, name: str, line: int) -> CustomerError:
    return CustomerError(
        what,
        code="bad-checksums",
        where=f"{name}, line {line}",
        remedy="give a list as md5sum, sha256sum or b2sum writes it",
    )


class Digester:
    """Several digests of one file in one read; the caller feeds the bytes."""

    def __init__(self, algorithms: Iterable[str]) -> None:
        """Start; `algorithms` are hashlib's names. MD5 and SHA-1 are checksums here, not security."""
        self._running = {name: hashlib.new(name, usedforsecurity=False) for name in sorted(set(algorithms))}

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        for digest in self._running.values():
            digest.update(piece)

    def hexdigests(self) -> dict[str, str]:
        """Return the lower-case digests of what was fed so far, by algorithm."""
        return {name: digest.hexdigest() for name, digest in self._running.items()}


def wanted(expected: Iterable[ExpectedDigest], files: Iterable[str], source: str) -> dict[str, tuple[str, ...]]:
    """Return which algorithms each file of the source needs, by the names ByteSource.files() gives.

    `source` is the source's own name: a list may name a folder's files with or without the folder.
    A list entry that no file answers is absent: judge_checksums says so.
    """
    entries = tuple(expected)
    present = tuple(files)
    return {
        file: algorithms
        for file in present
        if (algorithms := tuple(sorted({e.algorithm for e in entries if _answers(e, file, source, present)})))
    }


def _answers(entry: ExpectedDigest, file: str, source: str, files: tuple[str, ...]) -> bool:
    if entry.file == "":
        return len(files) == 1
    names = [file, f"{source}/{file}"] + ([source] if len(files) == 1 else [])
    # A list made one or more folders higher up names the file by a longer path.
    return entry.file in names or any(entry.file.endswith(f"/{name}") for name in names[1:])


def judge_checksums(
    expected: Iterable[ExpectedDigest],
    actual: Mapping[str, Mapping[str, str]],
    source: str,
    *,
    is_folder: bool,
) -> tuple[CheckResult, ...]:
    """Return Integrity's results: delivered digests kept, and listed files present.

    `actual` holds, for each file of the source as ByteSource.files() names it, its hex digests by
    algorithm. A single file is judged by its own lines of a longer list only; a folder must hold
    every file that is listed.
    """
    files = tuple(actual)
    entries = tuple(expected) if is_folder else _namesakes_left_out(tuple(expected), actual, source)
    examined, differ, absent, covered = 0, [], [], set()
    for entry in entries:
        answering = [file for file in files if _answers(entry, file, source, files)]
        if not answering:
            absent.append(entry)
            continue
        covered.update(answering)
        examined += 1
        if any(actual[file].get(entry.algorithm) != entry.digest for file in answering):
            differ.append(entry)
    results = [
        _result(
            "delivered-checksums",
            RuleKind.STRUCTURAL,
            (examined, len(differ)),
            "files differ from the checksum they were delivered with",
            _where(differ),
        )
    ]
    nothing = bool(entries) and not covered
    if is_folder or nothing:
        results.append(
            _result(
                "listed-files-present",
                RuleKind.STRUCTURAL,
                (len(entries), len(absent)),
                "files that the checksum list names were not delivered",
                _where(absent),
            )
        )
    unlisted = sorted(set(files) - covered)
    results.append(
        _result(
            "delivered-files-listed",
            RuleKind.ADVISORY,
            (len(files), len(unlisted)),
            "delivered files stand in no line of the checksum list",
            tuple(unlisted[:_SHOWN]),
        )
    )
    return tuple(results)


def _result(name: str, kind: RuleKind, counts: tuple[int, int], message: str, where: tuple[str, ...]) -> CheckResult:
    """Return a census of Integrity: `counts` are the units in scope, all examined, and those in violation."""
    scope, violations = counts
    return CheckResult(
        name=name,
        dimension=Dimension.INTEGRITY,
        kind=kind,
        scope=scope,
        examined=scope,
        violations=violations,
        message=message,
        where=where,
    )


def _namesakes_left_out(
    entries: tuple[ExpectedDigest, ...], actual: Mapping[str, Mapping[str, str]], source: str
) -> tuple[ExpectedDigest, ...]:
    """Leave out a/NAME where the file NAME is b/NAME of the same list, as its digest shows."""
    (file, digests), *_ = actual.items()
    mine = [e for e in entries if _answers(e, file, source, (file,))]
    kept = [e for e in mine if digests.get(e.algorithm) == e.digest]
    if not kept or len({e.file for e in mine}) < 2:
        return entries
    return tuple(e for e in entries if e not in mine or e.file in {k.file for k in kept})


def _where(entries: list[ExpectedDigest]) -> tuple[str, ...]:
    return tuple(f"{e.file or 'the file'} ({e.algorithm}, line {e.line} of the list)" for e in entries[:_SHOWN])
