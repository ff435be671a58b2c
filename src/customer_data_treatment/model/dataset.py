"""A dataset as facts: named fields whose values a Decoder reads on demand.

Nothing here holds values. A fact is small, frozen and picklable, so that it crosses from a
contained decoder to its parent and stands in a plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from ..vocabulary import CustomerDataType, DataModalityType, Dimension, Role, RuleKind
from .verdict import Finding

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

# The dtype word of a text array; its values come as numpy object arrays of str, None where missing.
TEXT = "string"


@dataclass(frozen=True, slots=True)
class ArrayField:
    """One n-dimensional array, as stored by its source.

    `name` is the source's own path, parts joined by "/". `dtype` is numpy's word in native byte
    order ("float32", "int16", "complex64", "bool", "datetime64[ns]", "timedelta64[s]") or TEXT.
    `dimensions` has one entry an axis, None where the source names none. `scale` is (factor,
    offset) where physical = stored * factor + offset; `fill` is the stored value that means
    missing. `source_chunks` is how the source lays the array out, None when contiguous.
    `spatial_axes` names the two axes of an image or grid, where the format declares them.
    `attributes` holds JSON-able values and numpy scalars or 1-D arrays; what JSON cannot say
    exactly, the decoder also carries.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    dimensions: tuple[str | None, ...] = ()
    role: Role = Role.MEASUREMENT
    units: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    source_chunks: tuple[int, ...] | None = None
    spatial_axes: tuple[int, int] | None = None
    scale: tuple[float, float] | None = None
    fill: Any = None
    required: bool = False

    @property
    def size(self) -> int:
        """Return the number of values."""
        return prod(self.shape)

    def numpy_dtype(self) -> "np.dtype[Any]":
        """Return numpy's dtype (object for text)."""
        import numpy as np

        return np.dtype(object) if self.dtype == TEXT else np.dtype(self.dtype)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: what its values mean; their Arrow type stands in the table's schema."""

    name: str
    role: Role = Role.MEASUREMENT
    units: str | None = None
    description: str = ""
    required: bool = False
    optional: bool = False  # declared optional by its format or schema: missing cells are no fault


@dataclass(frozen=True, slots=True)
class TableField:
    """One Arrow table; `rows` is None until the source says or has been read.

    `schema` names and types the columns in order (nested lists and structs allowed); `columns`
    is the same list with meanings.
    """

    name: str
    schema: "pa.Schema"
    columns: tuple[Column, ...]
    rows: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


Field = ArrayField | TableField


@dataclass(frozen=True, slots=True)
class Carried:
    """Bytes the model does not express, kept losslessly under data/carried/NAME."""

    name: str
    description: str
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How often one rule of a format or schema was kept: N units in scope, n examined, v broken.

    `where` lists a few places ("record 12", "line 7, column POS"), never a value of an
    identifier, label or text. `message` names the defect for a finding.
    """

    name: str
    dimension: Dimension
    kind: RuleKind
    scope: int
    examined: int
    violations: int
    message: str
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Witness:
    """What the source says about a field's values, independently of them, for accuracy checks.

    `fact` is one of "minimum" and "maximum" (a bound that no finite value may pass), "min" and
    "max" (the exact extreme), "sum", "count", "missing"; stored numbers, not physical ones.
    `relative_tolerance` covers the rounding of the declaration itself.
    """

    field: str  # array name, or TABLE/COLUMN
    fact: str
    value: float | int
    origin: str  # where it is declared: "attribute valid_range", "Parquet footer"
    relative_tolerance: float = 0.0


@dataclass(frozen=True, slots=True)
class Dataset:
    """Everything known about a source before its values are read.

    `groups` maps a group's path ("" is the root) to its attributes. `native` names the
    specification that the groups in `native_groups` follow, if any ("anndata").
    `source_compression` names the source's own compression, for the finding on a missed target.
    `random_access` says whether reading a box costs about its own size wherever it lies.
    """

    format: str
    modality: DataModalityType
    data_type: CustomerDataType
    fields: tuple[Field, ...]
    groups: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    carried: tuple[Carried, ...] = ()
    findings: tuple[Finding, ...] = ()
    witnesses: tuple[Witness, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    source_compression: str | None = None
    native: str | None = None
    native_groups: tuple[str, ...] = ()
    random_access: bool = True

    def field(self, name: str) -> Field:
        """Return the field of that name; raise KeyError."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)
