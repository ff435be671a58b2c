"""A folder of mixed datasets as one submission: one package, a certificate for each and one for the whole.

Each dataset is a full package under datasets/NAME/; crate, manifest and certificate of the whole lie at
the root. The whole is its worst dataset; one that could not be read stands there with its error.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import CdtError, CustomerError
from ..formats.detect import all_formats
from ..model.naming import encoded, printable
from ..model.requirements import read_requirements
from ..model.standards import Stated, standards_met
from ..model.verdict import Finding, worst_of
from ..package.certificate import certificate_bytes, manifest_bytes
from ..package.crate import write_crate
from ..package.files import FileRecord, Ledger
from ..package.layout import CERTIFICATE, CRATE, MANIFEST, REPORT
from ..package.report import render
from ..ports import ByteSource
from ..vocabulary import Level, Severity
from .options import TreatOptions
from .source import DigestThread
from .surroundings import Surroundings
from .treat import TreatSummary, committed, summary_of, treat, treat_into
from .verify import Verification, digest_of, verify

DATASETS = "datasets"


def treat_any(source: ByteSource, target: Path, options: TreatOptions, surroundings: Surroundings) -> TreatSummary:
    """Treat one dataset, or a folder of several as one submission."""
    _refuse_overlap(source, target)
    members = members_of(source)
    if members is None:
        return treat(source, target, options, surroundings)
    return _treat_submission(source, members, target, options, surroundings)


def _refuse_overlap(source: ByteSource, target: Path) -> None:
    """Raise CustomerError where writing the package would touch the source, or replacing it remove the source."""
    origin = Path(os.path.realpath(source.local_path()))
    placed = Path(os.path.realpath(target.absolute().parent), target.name)
    if origin == placed or origin in placed.parents or placed in origin.parents:
        raise CustomerError(
            "the source and the target lie within each other",
            code="wrong-usage",
            where=str(target),
            remedy="choose a target outside the source",
        )


def members_of(source: ByteSource) -> list[str] | None:
    """Return the datasets of a folder that is none itself, as relative names; None for one dataset.

    A subfolder that is one dataset counts as one; other files count each by themselves. Hidden files and
    those inside hidden folders are left out.
    """
    if not source.is_folder or _is_dataset(source.local_path()):
        return None
    root = source.local_path()
    found = sorted(_members(root, root))
    if not found:
        raise CustomerError("the folder holds no file", code="empty", where=source.name, remedy="check the delivery")
    return found


def _is_dataset(folder: Path) -> bool:
    return any(f.recognises_folder is not None and f.recognises_folder(folder) for f in all_formats().values())


def _members(folder: Path, root: Path) -> Iterator[str]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir() and not _is_dataset(path):
            yield from _members(path, root)
        else:
            yield path.relative_to(root).as_posix()


def _treat_submission(
    source: ByteSource, members: list[str], target: Path, options: TreatOptions, surroundings: Surroundings
) -> TreatSummary:
    began = time.monotonic()
    read_requirements(options.schema, options.checksums, options.metadata)
    names = _names(members)
    with committed(target, options, surroundings) as folder:
        digest = DigestThread(source)
        entries: list[dict[str, Any]] = []
        bodies: list[dict[str, Any]] = []
        errors: list[CdtError] = []
        for member in members:
            try:
                body = _treat_member(source, member, folder / DATASETS / names[member], options, surroundings)
                bodies.append(body)
                entries.append(_entry(member, names[member], body))
            except CustomerError as error:
                if error.exit_status != 3:
                    raise
                errors.append(error)
                record = _within(error.record(), source.local_path())
                entries.append({"name": printable(member), "level": str(Level.NOT_CERTIFIED), "error": record})
        if not bodies:
            raise _none_taken(errors)
        origin = digest.result()
        body, findings = _whole(source, origin, entries, bodies, options, surroundings)
        _papers(folder, body, options, surroundings)
    return summary_of(target, body, findings, time.monotonic() - began)


def _within(record: dict[str, str], root: Path) -> dict[str, str]:
    """Return an error's record with places told from the submission's folder: no path enters a package."""
    return {key: printable(text.replace(f"{root}/", "")) for key, text in record.items()}


def _none_taken(errors: list[CdtError]) -> CdtError:
    first = errors[0]
    if len(errors) == 1:
        return first
    message = f"none of {len(errors)} datasets could be taken; the first: {first.message}"
    return CustomerError(message, code=first.code, where=first.where, remedy=first.remedy)


def _names(members: list[str]) -> dict[str, str]:
    taken: set[str] = set()
    found = {}
    for member in members:
        wanted = encoded(printable(member.replace("/", ".")))
        name, number = wanted, 2
        while name.casefold() in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name.casefold())
        found[member] = name
    return found


def _treat_member(
    source: ByteSource, member: str, folder: Path, options: TreatOptions, surroundings: Surroundings
) -> dict[str, Any]:
    opened = surroundings.source(source.local_path() / member, member)
    # --schema speaks of the tables of one dataset, and bounds may name fields that only one dataset has.
    own = replace(options, bounds=tuple(request for request in options.bounds if request.field is None))
    requirements = read_requirements(None, options.checksums, options.metadata)
    folder.mkdir(parents=True)
    try:
        body, _, _ = treat_into(opened, folder, own, requirements, surroundings)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return body


def _entry(member: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": printable(member),
        "path": f"{DATASETS}/{name}",
        "format": body["format"],
        "level": body["level"],
        "score": body["score"],
        "fidelity": body["fidelity"]["value"],
        "bytes_source": body["sizes"]["source"],
        "bytes_stored": body["sizes"]["stored"],
        "content_sha256": body["content_sha256"],
    }


def _whole(
    source: ByteSource,
    origin: Any,
    entries: list[dict[str, Any]],
    bodies: list[dict[str, Any]],
    options: TreatOptions,
    surroundings: Surroundings,
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Return the body of the whole: the worst dataset's score and level, the gates together, sizes in sum."""
    failed = [entry for entry in entries if "error" in entry]
    pairs = [(body["score"], Level(body["level"])) for body in bodies] + [(None, Level.NOT_CERTIFIED) for _ in failed]
    score, level = worst_of(pairs)
    fidelities = [(b["fidelity"]["value"], b["source"]["name"]) for b in bodies if b["fidelity"]["value"] is not None]
    worst = min(fidelities, default=(None, None))
    findings = tuple(
        Finding("dataset-unread", Severity.ERROR, entry["error"]["message"], entry["name"]) for entry in failed
    )
    sizes = {key: sum(body["sizes"][key] for body in bodies) for key in ("source", "decoded", "stored", "papers")}
    sizes["source"] = origin.bytes
    formats = sorted({body["format"] for body in bodies})
    body = {
        "schema": 1,
        "issued": surroundings.instant,
        "product": {"name": "customer-data-treatment", "version": version("customer-data-treatment")},
        "source": {"name": source.name, "bytes": origin.bytes, "sha256": origin.sha256, "files": len(origin.files)},
        "format": formats[0] if len(formats) == 1 else "mixed",
        "modality": bodies[0]["modality"] if len({b["modality"] for b in bodies}) == 1 else "general",
        "data_type": bodies[0]["data_type"] if len({b["data_type"] for b in bodies}) == 1 else "general",
        "level": str(level),
        "score": score,
        "fidelity": {"value": worst[0], "field": worst[1], "requested": options.minimum_fidelity},
        "dimensions": _worst_dimensions(bodies),
        "gates": _joint_gates(bodies),
        "checks": [],
        "fields": [],
        "findings": [
            {"code": f.code, "severity": str(f.severity), "message": f.message, "where": f.where} for f in findings
        ],
        "datasets": entries,
        "sizes": sizes | {"ratio": sizes["stored"] / origin.bytes if origin.bytes else None},
        "carried": [],
        "not_checked": ["whether the datasets agree with each other"],
        "standards": standards_met(Stated(bodies[0]["metadata"], frozenset({"open-format", "manifest", "provenance"}))),
        "metadata": bodies[0]["metadata"] if len(bodies) == 1 else {},
        "privacy": options.privacy_note or None,
        "content_sha256": None,
    }
    return body, findings


def _worst_dimensions(bodies: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in bodies[0]["dimensions"]:
        scored = [b["dimensions"][name] for b in bodies]
        unassessed = any(entry["score"] is None for entry in scored)
        found[name] = {"score": None, "check": None} if unassessed else min(scored, key=lambda entry: entry["score"])
    return found


def _joint_gates(bodies: list[dict[str, Any]]) -> dict[str, bool | None]:
    joint: dict[str, bool | None] = {}
    for name in bodies[0]["gates"]:
        held = [body["gates"][name] for body in bodies if body["gates"][name] is not None]
        joint[name] = all(held) if held else None
    return joint


def _papers(folder: Path, body: dict[str, Any], options: TreatOptions, surroundings: Surroundings) -> None:
    ledger = Ledger(folder)
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        ledger.records[name] = FileRecord(name, *digest_of(path))
    ledger.write(REPORT, render(body, {}, {}).encode("utf-8"))
    written = write_crate(folder, body, {}, body["metadata"], surroundings.instant)
    data = written.read_bytes()
    written.unlink()
    ledger.write(CRATE, data)
    manifest = manifest_bytes(ledger.records.values(), None)
    ledger.write(MANIFEST, manifest)
    ledger.write(CERTIFICATE, certificate_bytes(body, manifest))


def verify_any(package: Path, source: ByteSource | None, surroundings: Surroundings) -> Verification:
    """Verify a package; of a submission every dataset too, each beside its own part of the source."""
    found = verify(package, source, surroundings)
    if found.problems or not os.path.isdir(package / DATASETS):
        return found
    body = json.loads((package / CERTIFICATE).read_bytes())["body"]
    entries = [entry for entry in body.get("datasets", ()) if "path" in entry]
    lying = {path.relative_to(package).as_posix() for path in (package / DATASETS).iterdir()}
    if sorted(lying) != sorted(str(entry["path"]) for entry in entries):
        found.problem(CERTIFICATE, "its datasets are not those that lie in the package")
        return found
    parts = _parts(source, body, found) if source is not None else {}
    if found.problems:
        return found
    for entry in entries:
        own = parts.get(entry["name"])
        if source is not None and own is None:
            found.problem(entry["name"], "the source does not hold it")
            continue
        opened = surroundings.source(source.local_path() / own, own) if source is not None and own else None
        part = verify(package / entry["path"], opened, surroundings)
        found.fields += part.fields
        found.problems += [{"file": f"{entry['path']}/{p['file']}", "what": p["what"]} for p in part.problems]
        found.unopened = found.unopened or part.unopened
        if not part.problems and _said(package / entry["path"]) != {key: entry.get(key) for key in _SAID}:
            found.problem(CERTIFICATE, f"what it says of {entry['name']} is not what that dataset's certificate says")
    found.proven = source is not None and not found.problems
    return found


def _parts(source: ByteSource, body: Mapping[str, Any], found: Verification) -> dict[str, str]:
    """Return name in the certificate -> path in the source; note a source that is another one."""
    digest = DigestThread(source).result()
    if digest.sha256 != body["source"]["sha256"]:
        found.problem(source.name, "it is not the source this package was made from")
        return {}
    return {printable(member): member for member in members_of(source) or ()}


_SAID = ("format", "level", "score", "fidelity", "content_sha256")


def _said(dataset: Path) -> dict[str, Any]:
    """Return of a dataset's own certificate what the whole's repeats."""
    body = json.loads((dataset / CERTIFICATE).read_bytes())["body"]
    return {key: body["fidelity"]["value"] if key == "fidelity" else body[key] for key in _SAID}
