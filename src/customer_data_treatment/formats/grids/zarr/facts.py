"""What an array's document and attributes say of its field, as xarray, AnnData and OME-Zarr read them."""

import base64
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ....model.dataset import TEXT, ArrayField, Witness
from ....model.schema import role_of
from ....vocabulary import CustomerDataType, DataModalityType, Role
from ...containers import records
from .listing import ArrayNode, Listing

_PAIRS = (
    ("y", "x"),
    ("lat", "lon"),
    ("latitude", "longitude"),
    ("northing", "easting"),
    ("nlat", "nlon"),
    ("rlat", "rlon"),
)
_METADATA = {
    "title": ("title",),
    "creators": ("creator_name", "creator", "author", "authors"),
    "institution": ("institution", "publisher_name"),
    "licence": ("license", "licence", "rights"),
    "keywords": ("keywords",),
    "contact": ("contact", "creator_email"),
}
_ROUNDING = 1e-6  # attributes are often written as float32 reads, or with a few digits


def dimensions_of(node: ArrayNode, listing: Listing) -> tuple[str | None, ...]:
    """Return the names of the axes: dimension_names, _ARRAY_DIMENSIONS, or the axes of OME-Zarr."""
    axes = len(node.shape)
    for said in (
        node.document.get("dimension_names"),
        node.attributes.get("_ARRAY_DIMENSIONS"),
        _ome_axes(node, listing),
    ):
        if isinstance(said, list) and len(said) == axes and any(said):
            return tuple(name if isinstance(name, str) and name else None for name in said)
    return (None,) * axes


def multiscales(attributes: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return OME-Zarr's multiscales of a group: version 0.5 under "ome", before at the top."""
    ome = attributes.get("ome")
    said = (ome if isinstance(ome, dict) else attributes).get("multiscales")
    return [item for item in said if isinstance(item, dict)] if isinstance(said, list) else []


def _ome_axes(node: ArrayNode, listing: Listing) -> list[Any] | None:
    parent, _, name = node.path.rpartition("/")
    while True:
        for image in multiscales(listing.groups.get(parent, {})):
            paths = [d.get("path") for d in image.get("datasets", []) if isinstance(d, dict)]
            if name in paths:
                axes = image.get("axes", [])
                return (
                    [a.get("name") if isinstance(a, dict) else str(a) for a in axes] if isinstance(axes, list) else None
                )
        if not parent:
            return None
        parent, _, last = parent.rpartition("/")
        name = f"{last}/{name}"


def array_field(
    node: ArrayNode,
    name: str,
    dtype: "np.dtype[Any]",
    chunks: tuple[int, ...],
    *,
    listing: Listing,
    encoding: str | None,
) -> ArrayField:
    """Return the facts of an array; `dtype` is zarr-python's, `chunks` the inner ones."""
    text = dtype.kind in "USTO"
    plain = dtype if text else dtype.newbyteorder("=")
    kind = "text" if text else records.kind_of(plain)
    dimensions = dimensions_of(node, listing)
    attributes = {key: value for key, value in node.attributes.items() if key != "_ARRAY_DIMENSIONS"}
    units = attributes.get("units")
    units = units if isinstance(units, str) else None
    role = _role(node, kind, units, dimensions)
    return ArrayField(
        name=name,
        shape=node.shape,
        dtype=TEXT if text else plain.name,
        dimensions=dimensions,
        role=role,
        units=units,
        attributes=attributes | ({"encoding": encoding} if encoding == "latin-1" else {}),
        source_chunks=tuple(min(c, max(1, n)) for c, n in zip(chunks, node.shape, strict=True)) or None,
        spatial_axes=_spatial(dimensions, node, listing),
        scale=_scale(attributes),
        fill=None if text or role in (Role.COORDINATE, Role.TIME) else _fill(node, plain, dimensions),
    )


def _role(node: ArrayNode, kind: str, units: str | None, dimensions: tuple[str | None, ...]) -> Role:
    name = node.path.rpartition("/")[2]
    if name == "_index" or node.attributes.get("_index"):
        return Role.IDENTIFIER
    if name in ("codes", "categories") and kind in ("integer", "text"):
        return Role.CODE if kind == "integer" else Role.LABEL
    if "flag_values" in node.attributes or "flag_meanings" in node.attributes:
        return Role.CODE if kind == "integer" else Role.MASK
    role = role_of(name, kind, units)
    if role is Role.MEASUREMENT and kind in ("float", "integer") and dimensions == (name,):
        return Role.COORDINATE
    if role is Role.COORDINATE and kind in ("float", "integer") and len(dimensions) > 2:
        return Role.MEASUREMENT  # a cube called "level" or "z" is data
    return role


def _spatial(dimensions: tuple[str | None, ...], node: ArrayNode, listing: Listing) -> tuple[int, int] | None:
    names = [(name or "").lower() for name in dimensions]
    for one, other in _PAIRS:
        if one in names and other in names:
            return names.index(one), names.index(other)
    axes = _ome_axes(node, listing)
    return (len(names) - 2, len(names) - 1) if axes and len(names) >= 2 else None


def _number(value: Any) -> float | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return float(value) if type(value) in (int, float) and math.isfinite(value) else None


def _scale(attributes: Mapping[str, Any]) -> tuple[float, float] | None:
    factor, offset = (
        _number(attributes.get("scale_factor")),
        _number(attributes.get("add_offset")),
    )
    if factor is None and offset is None:
        return None
    return (1.0 if factor is None else factor, offset or 0.0)


def _fill(node: ArrayNode, dtype: "np.dtype[Any]", dimensions: tuple[str | None, ...]) -> Any:
    """Return the stored value that means missing.

    An attribute says so; a version 2 array that xarray wrote says it by its fill_value. Any other
    fill_value is only what absent chunks hold, mostly zero, and zero is a value.
    """
    said = node.attributes.get("_FillValue", node.attributes.get("missing_value"))
    if said is None and node.version == 2 and any(dimensions) and "_ARRAY_DIMENSIONS" in node.attributes:
        said = node.document.get("fill_value")
    if isinstance(said, list) and said:
        said = said[0]
    try:
        value = _decoded(said, dtype)
    except (ValueError, TypeError, OverflowError, struct.error):
        return None
    nan = isinstance(value, float) and math.isnan(value)  # NaN is missing anyway
    return None if nan else value


def _decoded(said: Any, dtype: "np.dtype[Any]") -> Any:
    if said is None or dtype.kind not in "iuf" or isinstance(said, bool):
        return None
    if isinstance(said, str):
        if said in ("NaN", "Infinity", "-Infinity"):
            said = float(said)
        else:  # xarray writes the fill of version 3 as eight little-endian bytes
            raw = base64.b64decode(said, validate=True)
            said = struct.unpack("<d" if dtype.kind == "f" else "<q", raw)[0]
    if dtype.kind == "f":
        return dtype.type(said).item()
    value = int(said)
    limits = np.iinfo(dtype)
    return value if value == said and limits.min <= value <= limits.max else None


def witnesses_of(field: ArrayField) -> list[Witness]:
    """Return valid_min, valid_max, valid_range (stored numbers) and actual_range (physical ones) of CF."""
    out = []
    said = field.attributes
    pair = said.get("valid_range")
    ends: Any = pair if isinstance(pair, list) and len(pair) == 2 else (said.get("valid_min"), said.get("valid_max"))
    origin = "attribute valid_range" if isinstance(pair, list) else "attribute valid_min or valid_max"
    for fact, value in zip(("minimum", "maximum"), ends, strict=True):
        if type(value) in (int, float) and math.isfinite(value):
            out.append(
                Witness(
                    field.name,
                    fact,
                    value,
                    origin,
                    _ROUNDING if field.dtype.startswith("float") else 0.0,
                )
            )
    actual = said.get("actual_range")
    factor, offset = field.scale or (1.0, 0.0)
    if isinstance(actual, list) and len(actual) == 2 and factor:
        for fact, value in (("min", min(actual)), ("max", max(actual))):
            if type(value) in (int, float) and math.isfinite(value):
                name = fact if factor > 0 else {"min": "max", "max": "min"}[fact]
                stored = (value - offset) / factor if field.scale else value
                out.append(Witness(field.name, name, stored, "attribute actual_range", _ROUNDING))
    return out


def family_of(
    listing: Listing,
) -> tuple[CustomerDataType, DataModalityType, str | None, tuple[str, ...]]:
    """Return family, modality, the specification that groups follow, and those groups."""
    root = listing.groups.get("", {})
    if root.get("encoding-type") == "anndata":
        return (
            CustomerDataType.MULTI_OMICS,
            DataModalityType.TRANSCRIPTOMICS,
            "anndata",
            ("",),
        )
    if "vcf_zarr_version" in root:
        return (
            CustomerDataType.MULTI_OMICS,
            DataModalityType.GENOMIC_SEQUENCES,
            "vcf-zarr",
            ("",),
        )
    images = tuple(path for path, said in listing.groups.items() if multiscales(said))
    if images:
        return CustomerDataType.IMAGING, DataModalityType.MICROSCOPY, "ome-zarr", images
    units = [str(node.attributes.get("units", "")).lower() for node in listing.arrays]
    earth = any(unit.startswith(("degrees_n", "degrees_e", "degree_n", "degree_e")) for unit in units)
    if earth or "CF-" in str(root.get("Conventions", "")):
        return CustomerDataType.ENVIRONMENTAL, DataModalityType.REMOTE_SENSING, None, ()
    return CustomerDataType.GENERAL, DataModalityType.GENERAL, None, ()


def metadata_of(listing: Listing) -> dict[str, str]:
    """Return what the root's attributes say of who made it (ACDD's names)."""
    root = listing.groups.get("", {})
    out = {}
    for key, names in _METADATA.items():
        found = next((root[name] for name in names if root.get(name)), None)
        if isinstance(found, list):
            found = ", ".join(str(item) for item in found)
        if isinstance(found, str):
            out[key] = found
    return out
