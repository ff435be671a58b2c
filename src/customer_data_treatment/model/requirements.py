"""What a customer says their data must be: a schema, delivered checksums, metadata.

Parsed once at the door (`read_requirements`); inside there are only these frozen values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import CustomerError

if TYPE_CHECKING:
    from .checksums import ExpectedDigest
    from .metadata import Metadata

_LARGEST = 64 << 20  # no schema, checksum list or metadata file is larger


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """What a schema says of one column, or of an array of that name.

    `type` is a Frictionless word ("integer", "date" ...) or "any". Bounds are numbers for number
    types, ISO text for dates, None where open. `enum` lists the allowed cells as text.
    `missing_values` are the cells that mean "no value"; an empty cell always does.
    `asked_where` names a column: only rows where it has a value must answer (REDCap forms).
    `formats` are strptime patterns, () means ISO 8601. `pattern` must match a whole cell.
    """

    name: str
    type: str = "any"
    required: bool = False
    optional: bool = False
    unique: bool = False
    minimum: float | str | None = None
    maximum: float | str | None = None
    exclusive: tuple[bool, bool] = (False, False)  # whether the bounds themselves are outside
    shortest: int | None = None
    longest: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    missing_values: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())  # of a boolean: true, false
    decimal: str = "."
    grouping: str = ""
    units: str | None = None
    identifier: bool = False
    asked_where: str | None = None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Columns whose cells must be found among another table's; table "" is the same one."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRule:
    """What a schema says of one table. `name` is "" where the schema names none.

    `key` identifies a row; `key_companions` join it where the table has them (REDCap events).
    `partial` schemas may describe columns that an export leaves out.
    """

    columns: tuple[ColumnRule, ...]
    name: str = ""
    key: tuple[str, ...] = ()
    key_companions: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    partial: bool = False

    def column(self, name: str) -> ColumnRule | None:
        """Return the rule of that column, None where the schema does not name it."""
        return next((rule for rule in self.columns if rule.name == name), None)


@dataclass(frozen=True, slots=True)
class Requirements:
    """Everything asked of one dataset; empty where nothing was."""

    tables: tuple[TableRule, ...] = ()
    checksums: "tuple[ExpectedDigest, ...]" = ()
    metadata: "Metadata | None" = None
    origins: Mapping[str, str] = field(default_factory=dict)  # "schema" -> the file's name


def read_requirements(
    schema: Path | None = None, checksums: Path | None = None, metadata: Path | None = None
) -> Requirements:
    """Read what --schema, --checksums and --metadata name; absent ones ask nothing.

    Raise CustomerError: bad-schema, bad-checksums or bad-metadata, with the line where one is to blame.
    """
    from .checksums import parse_checksums
    from .metadata import parse_metadata
    from .table_schema import parse_schema

    origins = {
        word: path.name
        for word, path in (("schema", schema), ("checksums", checksums), ("metadata", metadata))
        if path is not None
    }
    return Requirements(
        tables=parse_schema(*_contents(schema, "bad-schema"), beside=_Beside(schema)) if schema else (),
        checksums=parse_checksums(*_contents(checksums, "bad-checksums")) if checksums else (),
        metadata=parse_metadata(*_contents(metadata, "bad-metadata")) if metadata else None,
        origins=origins,
    )


def _contents(path: Path, code: str) -> tuple[bytes, str]:
    try:
        if not path.is_file():
            raise CustomerError("there is no such file", code=code, where=str(path), remedy="check the path")
        if path.stat().st_size > _LARGEST:
            raise CustomerError("it is too large to be one", code=code, where=str(path), remedy="name the right file")
        return path.read_bytes(), path.name
    except OSError as error:
        raise CustomerError(
            f"it cannot be read: {error.strerror}", code=code, where=str(path), remedy="check the permissions"
        ) from error


class _Beside:
    """Reads a file that the schema names, from the schema's own folder only."""

    def __init__(self, schema: Path) -> None:
        self._folder = schema.parent

    def __call__(self, name: str) -> bytes:
        path = Path(name)
        if path.is_absolute() or ".." in path.parts or "://" in name:
            raise CustomerError(
                f"it refers to {name}, which is not in its own folder",
                code="bad-schema",
                remedy="put the table schema into the file itself",
            )
        return _contents(self._folder / path, "bad-schema")[0]
