"""Treat small things in process, as the command line would."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from customer_data_treatment.local import source_of, surroundings
from customer_data_treatment.model.bound import parse_bound
from customer_data_treatment.pipeline.options import TreatOptions
from customer_data_treatment.pipeline.submission import treat_any, verify_any
from customer_data_treatment.pipeline.treat import TreatSummary

INSTANT = "1700000000"


def treated(source: Path, target: Path, *bounds: str, **options: Any) -> TreatSummary:
    """Treat a source and return the summary."""
    os.environ["SOURCE_DATE_EPOCH"] = INSTANT
    asked = TreatOptions(bounds=tuple(parse_bound(b) for b in bounds), **options)
    return treat_any(source_of(str(source)), target, asked, surroundings())


def verified(package: Path, source: Path | None = None) -> Any:
    """Verify a package, beside its source if given."""
    return verify_any(package, source_of(str(source)) if source else None, surroundings())


def stored(package: Path, node: str = "array") -> Any:
    """Open one array with plain zarr."""
    return zarr.open_group(package / "data" / "arrays.zarr", mode="r")[node]


def saved(folder: Path, values: Any, name: str = "a.npy") -> Path:
    """Write an NPY file."""
    path = folder / name
    np.save(path, values)
    return path


def tree(package: Path) -> dict[str, bytes]:
    """Return every file of a package."""
    return {p.relative_to(package).as_posix(): p.read_bytes() for p in sorted(package.rglob("*")) if p.is_file()}
