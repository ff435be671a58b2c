"""Back to the source's format where a writer exists, else to NetCDF and Parquet; never over what is there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CustomerError
from ..formats.detect import all_formats
from ..model.dataset import ArrayField, TableField
from ..package.opened import OpenedPackage
from ..plugin import FormatCode, load
from .export import export
from .surroundings import Surroundings
from .verify import Verification, check_files, check_papers, plaintext, read_papers


@dataclass(frozen=True, slots=True)
class Restoration:
    """What was written, and in which format."""

    target: Path
    format: str
    source_format: str
    exact: bool
    bytes: int

    def record(self) -> dict[str, Any]:
        """Return the JSON answer."""
        return {
            "schema": 1,
            "target": str(self.target),
            "format": self.format,
            "source_format": self.source_format,
            "exact": self.exact,
            "bytes": self.bytes,
        }


def restore(package: Path, target: Path, surroundings: Surroundings) -> Restoration:
    """Write a package's data back and say in which format.

    Every file that is read is first held against the manifest: a damaged package is not restored
    (not-verified). The target appears when it is whole. Raise CustomerError (target-exists).
    """
    if target.exists() or target.is_symlink():
        raise CustomerError(
            "the target exists", code="target-exists", where=str(target), remedy="choose another name"
        )
    found = Verification(package)
    certificate, manifest = check_papers(package, read_papers(package), found)
    check_files(package, manifest, found)
    if certificate is None or manifest is None or found.problems:
        first = found.problems[0]
        raise CustomerError(
            f"the package is damaged: {first['file']}: {first['what']}",
            code="not-verified",
            where=str(package),
            remedy="cdt verify lists all that is wrong",
        )
    try:
        with plaintext(package, manifest, surroundings) as (folder, _):
            opened = OpenedPackage(folder)
            staged = surroundings.staging(target, False)
            try:
                return _write(opened, certificate["body"], staged.folder, target)
            finally:
                staged.discard()
                opened.close()
    except OSError as error:
        raise surroundings.explain(error, target) from error


def _write(opened: OpenedPackage, body: dict[str, Any], scratch: Path, target: Path) -> Restoration:
    facts = all_formats().get(body["format"])
    exact = all(f["encoding"]["form"] == "exact" for f in body["fields"] if "encoding" in f)
    staged = scratch / target.name
    code: FormatCode | None = load(all_formats(), facts.name) if facts and facts.restores else None
    if code is not None and code.write is not None:
        code.write(opened, staged)
        written, name = staged, body["format"]
    else:
        written, name = export(opened, staged), _exported_as(opened)
    size = sum(p.stat().st_size for p in written.rglob("*") if p.is_file()) if written.is_dir() else written.stat().st_size
    written.rename(target)
    return Restoration(target, name, body["format"], exact, size)


def _exported_as(opened: OpenedPackage) -> str:
    fields = opened.dataset.fields
    arrays = any(isinstance(item, ArrayField) for item in fields)
    tables = any(isinstance(item, TableField) for item in fields)
    return " and ".join(name for name, there in (("NetCDF", arrays), ("Parquet", tables)) if there) or "Parquet"
