"""The papers, in the order in which each is hashed only by later ones: report, crate, manifest, certificate."""

from pathlib import Path
from typing import Any

from ..errors import FacilityError
from ..model.verdict import Finding
from ..package import sealing
from ..package.certificate import certificate_bytes, is_content, manifest_bytes
from ..package.crate import write_crate
from ..package.files import FileRecord, Ledger
from ..package.layout import CERTIFICATE, CRATE, MANIFEST, REPORT
from ..package.report import render
from .certify import Account, certify, without_values
from .surroundings import Surroundings


def deliver(account: Account, folder: Path, surroundings: Surroundings) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Write the papers of a package whose data, evidence and plan stand; return (body, findings).

    A sealed package's data, evidence, plan and report are encrypted here, each under its own key;
    what stays plain holds no values.
    """
    ledger = account.ledger
    keys = _keys(surroundings) if account.options.seal else None
    content = sealing.content_mac(keys, _content_digests(ledger)) if keys else None
    body, findings = certify(account, content)
    pictures = {name: picture for outcome in account.outcomes for name, picture in outcome.pictures.items()}
    ledger.write(REPORT, render(body, account.plan, pictures).encode("utf-8"))
    if keys:
        body = without_values(body, account)
        _seal(ledger, keys)
    _crate(account, folder, body)
    manifest = manifest_bytes(ledger.records.values(), sealing.sealed_record(keys) if keys else None)
    ledger.write(MANIFEST, manifest)
    ledger.write(CERTIFICATE, certificate_bytes(body, manifest))
    return body, findings


def _content_digests(ledger: Ledger) -> dict[str, str]:
    return {r.path: r.sha256 for r in ledger.records.values() if is_content(r.path)}


def _keys(surroundings: Surroundings) -> Any:
    if surroundings.key_ring is None:
        raise FacilityError(
            "there is no key ring to seal with", code="no-key", remedy="set CDT_HOME to a folder you can write"
        )
    return sealing.new_package_keys(surroundings.key_ring)


def _seal(ledger: Ledger, keys: Any) -> None:
    for path in sorted(ledger.records):
        plain = ledger.folder / path
        cipher = plain.with_name(plain.name + ".sealing")
        sealed = sealing.seal_file(plain, cipher, keys, path)
        cipher.replace(plain)
        ledger.records[path] = FileRecord(path, sealed.bytes, sealed.sha256)


def _crate(account: Account, folder: Path, body: dict[str, Any]) -> None:
    written = write_crate(folder, body, account.plan, body["metadata"], account.instant)
    data = written.read_bytes()
    written.unlink()
    account.ledger.write(CRATE, data)
