"""h5ad: AnnData in HDF5, field by field under its own path, so that the package is AnnData in Zarr.

The on-disk specification (anndata 0.12, "On-disk format") says the same of HDF5 and Zarr: groups with
`encoding-type` and `encoding-version`, arrays below. What older files say otherwise is translated
where Zarr cannot hold it (a `categories` reference becomes a path), and counted where it breaks.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
from h5py import h5o, h5r

from ...model.dataset import ArrayField, Dataset, Field, TableField
from ...model.naming import native_name
from ...model.verdict import Finding
from ...plugin import FormatCode
from ...ports import ByteSource, Decoder, RestoreSource
from ...vocabulary import CustomerDataType, DataModalityType, Role, Severity
from ..containers import hdf5_decoder
from ..containers.hdf5 import Tree
from ..containers.hdf5_describe import Description
from . import h5ad_rules

_SPARSE = ("csr_matrix", "csc_matrix")


def _facts(tree: Tree, found: Description) -> Dataset:
    indices = _indices(found.groups)
    fields = tuple(_field(tree, found, field, indices) for field in found.fields)
    modern = isinstance(tree.file.get("obs"), h5py.Group) and isinstance(tree.file.get("var"), h5py.Group)
    findings = list(found.findings)
    tables = [field.name for field in fields if isinstance(field, TableField)]
    if not modern:
        message = "obs or var is a table of records, as AnnData before 0.7 wrote it: kept as a table"
        findings.append(Finding("legacy-h5ad", Severity.WARNING, message, "obs"))
    elif tables:
        message = f"{len(tables)} record array(s) are tables of the package, absent from its AnnData form"
        findings.append(Finding("record-array", Severity.NOTE, message, tables[0]))
    return Dataset(
        format="h5ad",
        modality=DataModalityType.TRANSCRIPTOMICS,
        data_type=CustomerDataType.MULTI_OMICS,
        fields=fields,
        groups=found.groups,
        carried=hdf5_decoder.CARRIED,
        findings=tuple(findings),
        witnesses=(),
        source_compression=found.compression,
        native="anndata" if modern else None,
        native_groups=("",) if modern else (),
    )


def _indices(groups: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Return the paths of the datasets that are a data frame's index."""
    named = ((path, attributes.get("_index")) for path, attributes in groups.items())
    return frozenset(f"{path}/{index}" for path, index in named if isinstance(index, str))


def _field(tree: Tree, found: Description, field: Field, indices: frozenset[str]) -> Field:
    if isinstance(field, TableField):
        return field
    parent, _, last = field.name.rpartition("/")
    around = found.groups.get(parent, {})
    attributes = dict(field.attributes)
    dataset = tree.dataset(found.entries[field.name])
    if "categories" in dataset.attrs and "categories" not in attributes:
        path = _referred(tree, dataset.attrs["categories"], parent)
        if path is not None:
            attributes["categories"] = path
    return replace(
        field,
        role=_role(field, parent, last, around=around, attributes=attributes, indices=indices),
        attributes=attributes,
        required=field.name in ("X", "X/data"),
        dimensions=(None,) * len(field.shape),
        fill=None,
        scale=None,
        units=None,
        spatial_axes=None,
    )


def _referred(tree: Tree, reference: Any, parent: str) -> str | None:
    """Return where a reference leads, as a Zarr path from `parent`; None if nowhere below it."""
    if not isinstance(reference, h5py.Reference) or not reference:
        return None
    try:
        path = tree.paths[h5o.get_info(h5r.dereference(reference, tree.file.id)).addr].decode(
            "utf-8", "backslashreplace"
        )
    except (KeyError, ValueError, RuntimeError):  # points at nothing; the skeleton says so too
        return None
    if not path.startswith(f"{parent}/"):
        return None
    return "/".join(native_name(part) for part in path[len(parent) + 1 :].split("/"))


def _role(
    field: ArrayField,
    parent: str,
    last: str,
    *,
    around: Mapping[str, Any],
    attributes: Mapping[str, Any],
    indices: frozenset[str],
) -> Role:
    kind = around.get("encoding-type") or (around.get("h5sparse_format") and "csr_matrix")
    if kind in _SPARSE and last in ("indices", "indptr"):
        return Role.CODE
    if field.name in indices:
        return Role.IDENTIFIER
    if last == "codes" or "categories" in attributes:
        return Role.CODE
    if last == "categories" or parent.endswith("__categories"):
        return Role.LABEL
    if last == "mask" and isinstance(kind, str) and kind.startswith("nullable"):
        return Role.MASK
    if field.name.startswith("uns/") and field.shape == ():
        return field.role if field.dtype == "string" else Role.CODE  # a parameter, never to be rounded
    if field.name in ("X", "X/data", "raw/X", "raw/X/data") or field.name.startswith("layers/"):
        return Role.MEASUREMENT
    return field.role


def _open(source: ByteSource) -> Decoder:
    return hdf5_decoder.Hdf5Decoder(source, _facts, h5ad_rules.rules)


def _write(package: RestoreSource, target: Path) -> None:
    hdf5_decoder.write(package, target)


H5AD = FormatCode(open=_open, write=_write)
