"""How a file's records lie in one table: which columns, of which types, and the order of keys.

Declared types and, where a sample of the records contradicts them, the text itself. A layout is a
fact of the dataset (carried as JSON), so that the writer needs nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from ....model.dataset import Column, TableField
from ....vocabulary import Role
from .header import Definition, Header
from .typed import KINDS

TABLE = "variants"
PRESENT, ORDER = "KEYS/present", "KEYS/INFO"
RAW_QUAL, RAW_INFO, RAW_SAMPLES = "VERBATIM/QUAL", "VERBATIM/INFO", "VERBATIM/samples"
_KIND_OF = {"Integer": "int32", "Float": "float64", "Flag": "flag", "Character": "text", "String": "text"}


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One INFO or FORMAT key's column: its kind (typed.KINDS), and whether a value is a list."""

    key: str
    kind: str
    vector: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of the table. `info` stands in canonical key order; `extras` are the columns for what is odd."""

    info: tuple[KeyColumn, ...]
    format: tuple[KeyColumn, ...]
    extras: tuple[str, ...]
    samples: int
    has_format: bool
    quality: str = "float64"
    crlf: bool = False
    bgzf: bool = False

    def dump(self) -> bytes:
        """Return the layout as JSON."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @staticmethod
    def load(data: bytes) -> "Layout":
        """Return the layout that `dump` wrote."""
        held: dict[str, Any] = json.loads(data)
        for section in ("info", "format"):
            held[section] = tuple(KeyColumn(**item) for item in held[section])
        held["extras"] = tuple(held["extras"])
        return Layout(**held)


def key_column(definition: Definition, *, section: str, narrow: bool) -> KeyColumn:
    """Return the column a definition asks for; `narrow` says that floats are stored in 32 bits (BCF)."""
    kind = _KIND_OF.get(definition.kind, "text")
    if section == "FORMAT" and kind == "flag":
        kind = "text"
    if narrow and kind == "float64":
        kind = "float32"
    single = definition.number in ("0", "1", "*") or kind == "flag" or definition.key in ("GT", "LGT")
    return KeyColumn(definition.key, kind, not single)


def arrow_type(column: KeyColumn) -> pa.DataType:
    """Return the Arrow type of one value of a key's column."""
    return pa.list_(KINDS[column.kind]) if column.vector else KINDS[column.kind]


def schema_of(layout: Layout) -> pa.Schema:
    """Return the table's Arrow schema."""
    text = pa.string()
    fields = [
        ("CHROM", text),
        ("POS", pa.int64()),
        ("ID", text),
        ("REF", text),
        ("ALT", pa.list_(text)),
        ("QUAL", KINDS[layout.quality]),
        ("FILTER", pa.list_(text)),
    ]
    fields += [(f"INFO/{column.key}", arrow_type(column)) for column in layout.info]
    fields += [(name, text) for name in (ORDER, RAW_QUAL, RAW_INFO) if name in layout.extras]
    if layout.has_format:
        fields.append(("FORMAT", text))
        fields += [(f"FORMAT/{column.key}", pa.list_(arrow_type(column))) for column in layout.format]
        if PRESENT in layout.extras:
            fields.append((PRESENT, pa.list_(pa.int16())))
        if RAW_SAMPLES in layout.extras:
            fields.append((RAW_SAMPLES, text))
    return pa.schema([pa.field(name, kind) for name, kind in fields])


_FIXED_ROLES: Mapping[str, tuple[Role, str]] = {
    "CHROM": (Role.CODE, "the sequence that the position is on"),
    "POS": (Role.COORDINATE, "position of the first base of REF, from 1"),
    "ID": (Role.IDENTIFIER, "identifiers, parted by semicolons"),
    "REF": (Role.TEXT, "reference allele"),
    "ALT": (Role.TEXT, "alternate alleles"),
    "QUAL": (Role.MEASUREMENT, "Phred-scaled quality of the assertion made in ALT"),
    "FILTER": (Role.CODE, "PASS, or the filters that the record failed"),
    "FORMAT": (Role.CODE, "the keys of the sample columns, in order"),
    ORDER: (Role.CODE, "INFO keys as the record orders them, where that is not the table's order"),
    PRESENT: (Role.CODE, "fields that each sample carries, where trailing ones were dropped"),
    RAW_QUAL: (Role.TEXT, "QUAL as it stands, where it is no number"),
    RAW_INFO: (Role.TEXT, "INFO as it stands, where its columns cannot say it"),
    RAW_SAMPLES: (Role.TEXT, "the sample columns as they stand, where their typed columns cannot say them"),
}
_REQUIRED = ("CHROM", "POS", "REF")


def table_field(layout: Layout, header: Header) -> TableField:
    """Return the table's facts; sample names stand in the header only, since they identify people."""
    schema = schema_of(layout)
    columns = []
    for field in schema:
        if field.name in _FIXED_ROLES:
            role, description = _FIXED_ROLES[field.name]
        else:
            section, _, key = field.name.partition("/")
            definition = header.info_of(key) if section == "INFO" else header.format_of(key)
            role, description = _role(field.type, key, section), definition.description
        required = field.name in _REQUIRED
        columns.append(Column(field.name, role, None, description, required=required, optional=not required))
    return TableField(
        TABLE, schema, tuple(columns), attributes={"samples": layout.samples, "fileformat": f"VCFv{header.version}"}
    )


def _role(kind: pa.DataType, key: str, section: str) -> Role:
    while pa.types.is_list(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return Role.MASK
    if section == "FORMAT" and key in ("GT", "LGT", "FT", "PS", "PSL"):
        return Role.CODE
    return Role.TEXT if pa.types.is_string(kind) else Role.MEASUREMENT
