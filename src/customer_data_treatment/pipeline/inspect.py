"""What a source is, without treating it: format by content, modality, fields with their facts."""

from typing import Any

from ..formats.detect import detect
from ..model.dataset import Dataset, Field, TableField
from ..ports import ByteSource
from .surroundings import Surroundings


def inspect(source: ByteSource, surroundings: Surroundings) -> dict[str, Any]:
    """Return the answer of `cdt inspect --json`; reads no more than the decoder needs to know its fields."""
    found = detect(source)
    decoder = surroundings.open_decoder(found, source)
    try:
        dataset = decoder.dataset
        return {
            "schema": 1,
            "source": source.name,
            "format": dataset.format,
            "modality": str(dataset.modality),
            "data_type": str(dataset.data_type),
            "bytes": source.size,
            "fields": [field_record(item) for item in dataset.fields],
            "carried": [{"name": item.name, "description": item.description} for item in dataset.carried],
            "findings": findings_record(dataset),
        }
    finally:
        decoder.close()


def field_record(field: Field) -> dict[str, Any]:
    """Return one field as inspect shows it."""
    if isinstance(field, TableField):
        columns = [
            {
                "name": column.name,
                "dtype": str(field.schema.field(column.name).type),
                "units": column.units,
                "role": str(column.role),
            }
            for column in field.columns
        ]
        return {"name": field.name, "kind": "table", "rows": field.rows, "columns": columns}
    return {
        "name": field.name,
        "kind": "array",
        "shape": list(field.shape),
        "dtype": field.dtype,
        "units": field.units,
        "role": str(field.role),
    }


def findings_record(dataset: Dataset) -> list[dict[str, str]]:
    """Return what opening the source found."""
    return [
        {"code": f.code, "severity": str(f.severity), "message": f.message, "where": f.where} for f in dataset.findings
    ]
