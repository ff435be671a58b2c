"""A package's certificate, read for people; verify is what proves it."""

import json
from pathlib import Path
from typing import Any

from ..errors import CustomerError
from ..package.layout import CERTIFICATE
from .verify import read_papers


def certificate_of(package: Path) -> dict[str, Any]:
    """Return the body of a package's certificate; raise CustomerError (not-a-package, not-verified)."""
    raw = read_papers(package)[CERTIFICATE]
    try:
        body = json.loads(raw or b"")["body"]
        if not isinstance(body, dict) or "level" not in body:
            raise ValueError("no body")
        return body
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CustomerError(
            "its certificate is missing or damaged",
            code="not-verified",
            where=str(package / CERTIFICATE),
            remedy="cdt verify lists all that is wrong",
        ) from error
