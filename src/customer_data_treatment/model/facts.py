"""The facts of a dataset as JSON, so that a package can be restored without its source."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..vocabulary import CustomerDataType, DataModalityType, Role
from .dataset import ArrayField, Carried, Column, Dataset, Field, TableField

if TYPE_CHECKING:
    import pyarrow as pa


def to_record(dataset: Dataset, jsonable: Any) -> dict[str, Any]:
    """Return a dataset's facts as JSON values; `jsonable` turns attribute values into such."""
    return {
        "schema": 1,
        "format": dataset.format,
        "modality": str(dataset.modality),
        "data_type": str(dataset.data_type),
        "native": dataset.native,
        "native_groups": list(dataset.native_groups),
        "metadata": dict(dataset.metadata),
        "source_compression": dataset.source_compression,
        "groups": {path: jsonable(attributes) for path, attributes in dataset.groups.items()},
        "carried": [[item.name, item.description, item.media_type] for item in dataset.carried],
        "fields": [_field_record(item, jsonable) for item in dataset.fields],
    }


def _field_record(field: Field, jsonable: Any) -> dict[str, Any]:
    if isinstance(field, TableField):
        return {
            "kind": "table",
            "name": field.name,
            "rows": field.rows,
            "attributes": jsonable(field.attributes),
            "columns": [[c.name, str(c.role), c.units, c.description, c.required, c.optional] for c in field.columns],
        }
    return {
        "kind": "array",
        "name": field.name,
        "shape": list(field.shape),
        "dtype": field.dtype,
        "dimensions": list(field.dimensions),
        "role": str(field.role),
        "units": field.units,
        "attributes": jsonable(field.attributes),
        "source_chunks": list(field.source_chunks) if field.source_chunks else None,
        "spatial_axes": list(field.spatial_axes) if field.spatial_axes else None,
        "scale": list(field.scale) if field.scale else None,
        "fill": jsonable(field.fill),
        "required": field.required,
    }


def from_record(record: Mapping[str, Any], schemas: Mapping[str, "pa.Schema"]) -> Dataset:
    """Return the dataset that `to_record` wrote; a table's schema comes from its Parquet file."""
    return Dataset(
        format=record["format"],
        modality=DataModalityType(record["modality"]),
        data_type=CustomerDataType(record["data_type"]),
        fields=tuple(_field(item, schemas) for item in record["fields"]),
        groups=record["groups"],
        carried=tuple(Carried(*item) for item in record["carried"]),
        metadata=record["metadata"],
        source_compression=record["source_compression"],
        native=record["native"],
        native_groups=tuple(record["native_groups"]),
    )


def _field(record: Mapping[str, Any], schemas: Mapping[str, "pa.Schema"]) -> Field:
    if record["kind"] == "table":
        return TableField(
            name=record["name"],
            schema=schemas[record["name"]],
            columns=tuple(Column(c[0], Role(c[1]), c[2], c[3], c[4], c[5]) for c in record["columns"]),
            rows=record["rows"],
            attributes=record["attributes"],
        )
    spatial = record["spatial_axes"]
    scale = record["scale"]
    return ArrayField(
        name=record["name"],
        shape=tuple(record["shape"]),
        dtype=record["dtype"],
        dimensions=tuple(record["dimensions"]),
        role=Role(record["role"]),
        units=record["units"],
        attributes=record["attributes"],
        source_chunks=tuple(record["source_chunks"]) if record["source_chunks"] else None,
        spatial_axes=(spatial[0], spatial[1]) if spatial else None,
        scale=(float(scale[0]), float(scale[1])) if scale else None,
        fill=_fill(record["fill"], record["dtype"]),
        required=record["required"],
    )


def _fill(value: Any, dtype: str) -> Any:
    """Return a fill value from JSON, where NaN and infinities stand as words."""
    return float(value) if isinstance(value, str) and "float" in dtype else value
