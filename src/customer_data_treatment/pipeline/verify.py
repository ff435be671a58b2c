"""What a package proves of itself, and what it proves beside its source.

Alone: every file's digest, nothing added or absent, every decoded chunk's digest, the statistics of
what decodes, score and level from the stored counts. With the source: every bound and every
fidelity, on the source's own values. Unsigned, it finds damage and not forgery.
"""

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CustomerError, FacilityError
from ..model.verdict import CheckResult, judge, score, worst_of
from ..package import sealing
from ..package.certificate import canonical, content_digest, is_content, parse_canonical
from ..package.files import FileRecord
from ..package.layout import CERTIFICATE, MANIFEST
from ..package.opened import OpenedPackage
from ..ports import ByteSource, KeyRing
from ..vocabulary import Dimension, Level, RuleKind
from .prove import prove_against, prove_alone
from .surroundings import Surroundings

_PIECE = 1 << 20


@dataclass
class Verification:
    """What was looked at and what was wrong with it."""

    package: Path
    files: int = 0
    bytes: int = 0
    fields: int = 0
    problems: list[dict[str, str]] = field(default_factory=list)
    proven: bool = False
    unopened: str = ""  # why a sealed package's content could not be looked at

    def problem(self, file: str, what: str) -> None:
        """Note a problem."""
        self.problems.append({"file": file, "what": what})

    @property
    def ok(self) -> bool | None:
        """Return whether it verifies; None where a sealed package could not be opened."""
        if self.problems:
            return False
        return None if self.unopened else True

    def record(self) -> dict[str, Any]:
        """Return the JSON answer."""
        return {
            "schema": 1,
            "package": str(self.package),
            "ok": self.ok,
            "bounds": "proven" if self.proven else "recorded",
            "signature": "none",
            "checked": {"files": self.files, "bytes": self.bytes, "fields": self.fields},
            "problems": self.problems,
        }


def verify(package: Path, source: ByteSource | None, surroundings: Surroundings) -> Verification:
    """Return what a package proves; raise CustomerError (not-a-package) where it is none.

    A sealed package whose key is not at hand is checked as far as its ciphertext goes. A source that
    is not the one it was made from is a problem of its own.
    """
    found = Verification(package)
    papers = read_papers(package)
    certificate, manifest = check_papers(package, papers, found)
    check_files(package, manifest, found)
    if certificate is None or manifest is None:
        return found
    try:
        body = certificate["body"]
        _verdict(body, found)
        if not found.problems and "datasets" not in body:
            _prove(package, body, manifest, source, surroundings, found)
    except FacilityError as error:
        if error.code != "no-key":
            raise
        found.unopened = error.line()
    except CustomerError as error:
        if error.code not in ("not-verified", "wrong-source"):
            raise
        found.problem(error.where or package.name, error.message)
    except MemoryError:
        raise
    except Exception as error:  # digests that agree with forged content: every decoder fails in its own way
        if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
            raise surroundings.explain(error, package) from error
        found.problem(CERTIFICATE, f"it does not go with the content ({error!r})"[:200])
    return found


_SURROUNDINGS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE)


def _prove(
    package: Path,
    body: Mapping[str, Any],
    manifest: Mapping[str, Any],
    source: ByteSource | None,
    surroundings: Surroundings,
    found: Verification,
) -> None:
    with plaintext(package, manifest, surroundings) as (folder, records):
        _content(body, manifest, records, surroundings.key_ring, found)
        if found.problems:
            return
        opened = OpenedPackage(folder)
        try:
            found.fields = prove_alone(opened, body, found.problem, surroundings.progress)
            if source is not None and not found.problems:
                prove_against(opened, body, source, found.problem, surroundings)
                found.proven = not found.problems
        finally:
            opened.close()


def read_papers(package: Path) -> dict[str, bytes | None]:
    """Return the bytes of certificate and manifest, None for an absent one; raise CustomerError if both are."""
    if not os.path.isdir(package):
        there = os.path.lexists(package)
        what = "it is a file, not a package" if there else "there is no such package"
        code = "not-a-package" if there else "not-found"
        raise CustomerError(what, code=code, where=str(package), remedy="name a folder that cdt treat made")
    papers: dict[str, bytes | None] = {}
    for name in (CERTIFICATE, MANIFEST):
        path = package / name
        try:
            papers[name] = path.read_bytes() if path.is_file() else None
        except OSError as error:
            raise CustomerError(
                f"it cannot be read: {error.strerror}",
                code="unreadable",
                where=str(path),
                remedy="check the permissions",
            ) from error
    if papers[CERTIFICATE] is None and papers[MANIFEST] is None:
        raise CustomerError(
            "it holds neither a manifest nor a certificate",
            code="not-a-package",
            where=str(package),
            remedy="name a folder that cdt treat made",
        )
    return papers


def check_papers(
    package: Path, papers: Mapping[str, bytes | None], found: Verification
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return (certificate, manifest), None for one that cannot be taken at its word; note every problem."""
    parsed: dict[str, dict[str, Any] | None] = {}
    for name, raw in papers.items():
        parsed[name] = None
        if raw is None:
            found.problem(name, "it is missing")
            continue
        if os.path.islink(package / name):
            found.problem(name, "it is no plain file")
        found.files += 1
        found.bytes += len(raw)
        try:
            value = parse_canonical(raw)
            if not isinstance(value, dict) or canonical(value) != raw:
                found.problem(name, "it is not in canonical form (RFC 8785)")
            else:
                parsed[name] = value
        except (ValueError, RecursionError):
            found.problem(name, "it is not JSON")
    certificate, manifest = parsed[CERTIFICATE], parsed[MANIFEST]
    if certificate is not None:
        if not isinstance(certificate.get("body"), dict):
            found.problem(CERTIFICATE, "it has no body")
            certificate = None
        elif hashlib.sha256(canonical(certificate["body"])).hexdigest() != certificate.get("body_sha256"):
            found.problem(CERTIFICATE, "its body does not have the digest it states")
        raw = papers[MANIFEST]
        if raw is not None and certificate and hashlib.sha256(raw).hexdigest() != certificate.get("manifest_sha256"):
            found.problem(MANIFEST, "it does not have the digest that the certificate states")
    if manifest is not None and not _lists_files(manifest):
        found.problem(MANIFEST, "it does not list files as a manifest does")
        manifest = None
    return certificate, manifest


def _lists_files(manifest: Mapping[str, Any]) -> bool:
    """Tell whether a manifest lists each file once: inside the package, with a size and a digest."""
    try:
        paths = [entry["path"] for entry in manifest["files"]]
        typed = all(type(e["bytes"]) is int and type(e["sha256"]) is str for e in manifest["files"])
        inside = all(part not in ("", ".", "..") for path in paths for part in path.split("/"))
    except (KeyError, TypeError, AttributeError):
        return False
    return typed and inside and paths == sorted(set(paths))


def check_files(package: Path, manifest: Mapping[str, Any] | None, found: Verification) -> None:
    """Hold every file's size and digest against the manifest, and find what is not listed."""
    if manifest is None:
        return
    listed = {entry["path"]: entry for entry in manifest["files"]}
    present = set(_walk(package))
    for path in sorted(listed.keys() - present):
        found.problem(path, "it is missing")
    for path in sorted(present - listed.keys() - {CERTIFICATE, MANIFEST}):
        found.problem(path, "it is not listed in the manifest")
    for path in sorted(listed.keys() & present):
        entry, file = listed[path], package / path
        if file.is_symlink() or not os.path.isfile(file):
            found.problem(path, "it is no plain file")
            continue
        try:
            size, digest = digest_of(file)
        except OSError as error:
            raise CustomerError(
                f"it cannot be read: {error.strerror}",
                code="unreadable",
                where=str(file),
                remedy="check the permissions",
            ) from error
        found.files += 1
        found.bytes += size
        if size != entry["bytes"]:
            found.problem(path, f"it has {size} bytes where the manifest says {entry['bytes']}")
        elif digest != entry["sha256"]:
            found.problem(path, "its SHA-256 is not the one in the manifest")


def _walk(package: Path) -> Iterator[str]:
    """Yield what lies in a package: every file and link, and every folder that is empty."""

    def refuse(error: OSError) -> None:
        where = os.fsdecode(error.filename or package)
        raise CustomerError(
            f"it cannot be read: {error.strerror}", code="unreadable", where=where, remedy="check the permissions"
        ) from error

    for root, folders, names in os.walk(package, onerror=refuse):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in (*names, *links):
            yield Path(root, name).relative_to(package).as_posix()
        if not folders and not names and Path(root) != package:
            yield Path(root).relative_to(package).as_posix()


def digest_of(path: Path) -> tuple[int, str]:
    """Return (bytes, SHA-256) of a file, read a piece at a time."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _verdict(body: Mapping[str, Any], found: Verification) -> None:
    """Recompute score, level and every check's score from the stored counts; of a submission, its worst dataset."""
    try:
        if "datasets" in body:
            pairs = [(entry.get("score"), Level(entry["level"])) for entry in body["datasets"]]
            if worst_of(pairs) != (body["score"], Level(body["level"])):
                found.problem(CERTIFICATE, "its score and level are not those of its worst dataset")
            return
        results = [result_of(entry) for entry in body["checks"]]
        fidelity, asked = body["fidelity"]["value"], body["fidelity"]["requested"]
        verdict = judge(results, fidelity=None if fidelity is None else fidelity >= asked)
        scores = [score(result) for result in results]
        dimensions = {str(name): value for name, value in verdict.dimensions.items()}
        stated = {name: entry["score"] for name, entry in body["dimensions"].items()}
        terms = [f["fidelity"]["value"] for f in body["fields"] if "fidelity" in f]
    except (KeyError, TypeError, ValueError) as error:
        found.problem(CERTIFICATE, f"its counts cannot be read ({error!r})"[:200])
        return
    if verdict.score != body["score"] or scores != [entry["score"] for entry in body["checks"]]:
        found.problem(CERTIFICATE, "its score does not follow from its counts")
    if str(verdict.level) != body["level"] or verdict.gates.record() != body["gates"]:
        found.problem(CERTIFICATE, "its level or gates do not follow from its counts")
    if dimensions != stated:
        found.problem(CERTIFICATE, "its dimensions do not follow from its counts")
    if terms and min(terms) != fidelity:
        found.problem(CERTIFICATE, "its fidelity is not that of its worst field")


def result_of(entry: Mapping[str, Any]) -> CheckResult:
    """Return the check result that a certificate's entry holds."""
    return CheckResult(
        name=entry["name"],
        dimension=Dimension(entry["dimension"]),
        kind=RuleKind(entry["kind"]),
        scope=entry["scope"],
        examined=entry["examined"],
        violations=entry["violations"],
        message=entry["message"],
        where=tuple(entry["where"]),
    )


@contextmanager
def plaintext(
    package: Path, manifest: Mapping[str, Any], surroundings: Surroundings
) -> Iterator[tuple[Path, list[FileRecord]]]:
    """Give a folder with the package's plaintext and what each file of it must be.

    An unsealed package is its own plaintext. Raise FacilityError (no-key) where the ring lacks the key.
    """
    records = [FileRecord(e["path"], e["bytes"], e["sha256"]) for e in manifest["files"]]
    if not manifest.get("sealed"):
        yield package, records
        return
    if surroundings.key_ring is None:
        raise FacilityError("the package is sealed and there is no key ring", code="no-key", where=package.name)
    with sealing.open_sealed(package, surroundings.key_ring) as reader, surroundings.scratch() as folder:
        reader.unseal_to(folder)
        plain = [FileRecord(path, *digest_of(folder / path)) for path in reader.names()]
        yield folder, plain


def _content(
    body: Mapping[str, Any],
    manifest: Mapping[str, Any],
    records: list[FileRecord],
    ring: KeyRing | None,
    found: Verification,
) -> None:
    if manifest.get("sealed"):
        assert ring is not None
        keys = sealing.keys_from_record(manifest["sealed"], ring)
        stated = sealing.content_mac(keys, {r.path: r.sha256 for r in records if is_content(r.path)})
    else:
        stated = content_digest(records)
    if stated != body["content_sha256"]:
        found.problem(CERTIFICATE, "content_sha256 does not follow from the content")
