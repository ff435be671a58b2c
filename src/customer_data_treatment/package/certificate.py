"""certificate.json and manifest.json: what a package says of itself, in one canonical form.

RFC 8785 (JCS): sorted keys, no spaces, numbers as ECMAScript writes them.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import rfc8785

from .files import FileRecord
from .layout import CERTIFICATE, EVIDENCE, MANIFEST, PLAN


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value; raise ValueError for what JSON cannot say exactly."""
    return bytes(rfc8785.dumps(value))


def parse_canonical(raw: bytes) -> Any:
    """Return the JSON value of canonical bytes; a number beyond 2^53 is the double it was written from."""
    return json.loads(raw, parse_int=lambda digits: int(digits) if len(digits) < 16 else _double(digits))


def _double(digits: str) -> int | float:
    value = int(digits)
    return value if abs(value) < 1 << 53 else float(value)


def content_digest(records: Iterable[FileRecord]) -> str:
    """Return the SHA-256 over the sorted lines "SHA256  PATH" of data/, evidence.parquet and plan.json."""
    digest = hashlib.sha256()
    for record in sorted(records, key=lambda item: item.path):
        if is_content(record.path):
            digest.update(content_line(record))
    return digest.hexdigest()


def is_content(path: str) -> bool:
    """Tell whether content_sha256 covers a file: data/, evidence.parquet and plan.json."""
    return path.startswith("data/") or path in (EVIDENCE, PLAN)


def content_line(record: FileRecord) -> bytes:
    """Return one line of what content_sha256 covers, as sha256sum would print it."""
    return f"{record.sha256}  {record.path}\n".encode()


def manifest_bytes(records: Iterable[FileRecord], sealed: Mapping[str, Any] | None) -> bytes:
    """Return manifest.json: every file but itself and the certificate, sorted by path."""
    listed = sorted((r for r in records if r.path not in (MANIFEST, CERTIFICATE)), key=lambda r: r.path)
    files = [{"path": r.path, "bytes": r.bytes, "sha256": r.sha256} for r in listed]
    return canonical({"schema": 1, "files": files, "sealed": dict(sealed) if sealed else None})


def certificate_bytes(body: Mapping[str, Any], manifest: bytes) -> bytes:
    """Return certificate.json: the body, its digest, the manifest's; unsigned."""
    return canonical(
        {
            "body": body,
            "body_sha256": hashlib.sha256(canonical(body)).hexdigest(),
            "manifest_sha256": hashlib.sha256(manifest).hexdigest(),
            "signature": None,
        }
    )
