"""Back to the source's format where a writer exists, else to NetCDF and Parquet; never over what is there."""

import errno
import os
from collections.abc import Mapping
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
    if os.path.lexists(target):
        raise CustomerError("the target exists", code="target-exists", where=str(target), remedy="choose another name")
    certificate, manifest = _whole(package)
    if Path(os.path.realpath(package)) in Path(os.path.realpath(target)).parents:
        raise CustomerError(
            "the target lies inside the package", code="wrong-usage", where=str(target), remedy="choose another place"
        )
    try:
        staged = surroundings.staging(target, False)
        try:
            written = staged.folder / target.name
            body = certificate["body"]
            if "datasets" in body:
                made = _datasets(package, body, written, surroundings)
            else:
                made = _one(package, body, manifest, written, surroundings)
            size = _on_disk(written)
            _rename_new(written, target)
        finally:
            staged.discard()
    except OSError as error:
        raise surroundings.explain(error, target) from error
    return Restoration(target, made[0], body["format"], made[1], size)


def _whole(package: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (certificate, manifest) of a package all of whose files are as its manifest says."""
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
    return certificate, manifest


def _datasets(package: Path, body: Mapping[str, Any], target: Path, surroundings: Surroundings) -> tuple[str, bool]:
    """Write every dataset of a submission under the name it came by; return (formats, whether all are exact)."""
    made = []
    for entry in body["datasets"]:
        if "path" not in entry:
            continue  # it could not be read when it came
        certificate, manifest = _whole(package / entry["path"])
        written = target.joinpath(*(part for part in entry["name"].split("/") if part not in ("", ".", "..")))
        written.parent.mkdir(parents=True, exist_ok=True)
        made.append(_one(package / entry["path"], certificate["body"], manifest, written, surroundings))
    formats = sorted({name for name, _ in made})
    return (formats[0] if len(formats) == 1 else "mixed"), all(exact for _, exact in made)


def _one(
    package: Path, body: Mapping[str, Any], manifest: Mapping[str, Any], target: Path, surroundings: Surroundings
) -> tuple[str, bool]:
    """Write one dataset; return (the format it is in now, whether every value is the source's)."""
    facts = all_formats().get(body["format"])
    code: FormatCode | None = load(all_formats(), facts.name) if facts and facts.restores else None
    exact = all(f["encoding"]["form"] == "exact" for f in body["fields"] if "encoding" in f)
    with plaintext(package, manifest, surroundings) as (folder, _):
        opened = OpenedPackage(folder)
        try:
            if facts is not None and code is not None and code.write is not None:
                code.write(opened, target)
                return facts.restored_as or facts.name, exact
            export(opened, target)
            return _exported_as(opened), exact
        finally:
            opened.close()


def _rename_new(written: Path, target: Path) -> None:
    """Give what was written its name; a folder or file that came there meanwhile is not replaced."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "the target exists")
    written.rename(target)


def _on_disk(written: Path) -> int:
    """Put what was written on disk and return its bytes."""
    size = 0
    for path in (written, *(written.rglob("*") if written.is_dir() else ())):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        size += 0 if path.is_dir() else path.stat().st_size
    return size


def _exported_as(opened: OpenedPackage) -> str:
    fields = opened.dataset.fields
    arrays = any(isinstance(item, ArrayField) for item in fields)
    tables = any(isinstance(item, TableField) for item in fields)
    return " and ".join(name for name, there in (("NetCDF", arrays), ("Parquet", tables)) if there) or "Parquet"
