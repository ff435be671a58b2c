"""Schemas of tables: Frictionless Table Schema, Data Package or resource, and REDCap data dictionaries.

Frictionless: https://specs.frictionlessdata.io/table-schema/ (v1) and https://datapackage.org (v2);
`units` (or `unit`) is our own property of a field. What a schema says and nobody here judges
(jsonSchema, geojson) is left alone, never guessed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .redcap import is_dictionary, parse_dictionary
from .requirements import ColumnRule, ForeignKey, TableRule
from .structured import fault, parse_structured

TYPES = frozenset(
    [
        "string",
        "number",
        "integer",
        "boolean",
        "object",
        "array",
        "date",
        "time",
        "datetime",
        "year",
        "yearmonth",
        "duration",
        "geopoint",
        "geojson",
        "list",
        "any",
        "default",
    ]
)
_NUMBERS = ("number", "integer", "year")
_DATES = ("date", "time", "datetime", "yearmonth")
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
_CODE = "bad-schema"
_PATTERNS = {
    "email": r"[^@\s]+@[^@\s]+\.[^@\s]+",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:\S+",
    "uuid": r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "binary": r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
}


def parse_schema(raw: bytes, name: str, *, beside: Callable[[str], bytes]) -> tuple[TableRule, ...]:
    """Return the rules a schema file gives, one for each table it describes.

    `beside(name)` reads a file that a Data Package refers to. Raise CustomerError (bad-schema) with
    the line, or the field, that is wrong.
    """
    if is_dictionary(raw):
        return (parse_dictionary(raw, name),)
    document = parse_structured(raw, name, _CODE)
    if not isinstance(document, Mapping):
        raise fault("it is no table schema: an object is expected", name, _CODE, 1)
    if "fields" in document:
        return (_table(document, "", name),)
    if "resources" in document:
        resources = document["resources"]
        if not isinstance(resources, list) or not resources:
            raise fault("its resources are no list of tables", name, _CODE)
        described = [_resource(entry, f"resource {at}", name, beside) for at, entry in enumerate(resources, 1)]
        tables = tuple(table for table in described if table is not None)
    elif "schema" in document:
        table = _resource(document, "resource", name, beside)
        tables = (table,) if table else ()
    else:
        raise fault("it holds neither fields, nor a schema, nor resources", name, _CODE, 1)
    if not tables:
        raise fault("none of its resources has a table schema", name, _CODE)
    return tables


def _resource(entry: Any, place: str, name: str, beside: Callable[[str], bytes]) -> TableRule | None:
    if not isinstance(entry, Mapping):
        raise fault("a resource is no object", name, _CODE, place=place)
    schema = entry.get("schema")
    if isinstance(schema, str):
        schema = parse_structured(beside(schema), schema, _CODE)
    if schema is None:
        return None
    if not isinstance(schema, Mapping):
        raise fault("a resource's schema is no object", name, _CODE, place=place)
    return _table(schema, str(entry.get("name", "")), name)


def _table(schema: Mapping[str, Any], table: str, name: str) -> TableRule:
    fields = schema.get("fields")
    if not isinstance(fields, list) or not fields:
        raise fault("its fields are no list", name, _CODE, place=table and f"resource {table}")
    shared = _missing_values(schema.get("missingValues", [""]), name, "missingValues")
    columns = tuple(_column(entry, at, shared, name) for at, entry in enumerate(fields, 1))
    names = [column.name for column in columns]
    if twice := sorted({column for column in names if names.count(column) > 1}):
        raise fault(f"it names the field {twice[0]} twice", name, _CODE)
    key = _names(schema.get("primaryKey", ()), names, "primaryKey", name)
    return TableRule(
        columns=columns,
        name=table,
        key=key,
        foreign_keys=tuple(_foreign_key(entry, names, name) for entry in _listed(schema.get("foreignKeys"))),
        partial=schema.get("fieldsMatch") in (["subset"], ["partial"], "subset", "partial"),
    )


def _column(entry: Any, at: int, shared: tuple[str, ...], name: str) -> ColumnRule:
    place = f"field {at}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise fault("a field has no name", name, _CODE, place=place)
    place = f"field {at} ({entry['name']})"
    kind = entry.get("type", "any")
    if kind not in TYPES:
        raise fault(f"the type {kind!r} is unknown", name, _CODE, place=place)
    rules = entry.get("constraints", {})
    if not isinstance(rules, Mapping):
        raise fault("its constraints are no object", name, _CODE, place=place)
    low, low_out = _bound(rules, "minimum", "exclusiveMinimum", kind, name, place)
    high, high_out = _bound(rules, "maximum", "exclusiveMaximum", kind, name, place)
    for word in ("required", "unique"):
        if not isinstance(rules.get(word, False), bool):
            raise fault(f"its constraint {word} is neither true nor false", name, _CODE, place=place)
    form = entry.get("format", "default")
    units = entry.get("units", entry.get("unit"))
    return ColumnRule(
        name=entry["name"],
        type=kind if kind != "default" else "any",
        required=rules.get("required", False),
        optional=rules.get("required") is False,
        unique=rules.get("unique", False),
        minimum=low,
        maximum=high,
        exclusive=(low_out, high_out),
        shortest=_length(rules, "minLength", name, place),
        longest=_length(rules, "maxLength", name, place),
        pattern=_pattern(rules.get("pattern"), kind, form, name, place),
        enum=_enum(rules.get("enum", entry.get("categories")), name, place),
        missing_values=_missing_values(entry["missingValues"], name, place) if "missingValues" in entry else shared,
        formats=(form,) if kind in _DATES and isinstance(form, str) and "%" in form else (),
        words=(_texts(entry.get("trueValues"), _TRUE), _texts(entry.get("falseValues"), _FALSE))
        if kind == "boolean"
        else ((), ()),
        decimal=str(entry.get("decimalChar", ".")),
        grouping=str(entry.get("groupChar", "")),
        units=str(units) if units is not None else None,
    )


def _bound(
    rules: Mapping[str, Any], word: str, open_word: str, kind: str, name: str, place: str
) -> tuple[float | str | None, bool]:
    outside = open_word in rules
    value = rules.get(open_word if outside else word)
    if value is None:
        return None, False
    if kind in _DATES:
        if isinstance(value, str) and re.match(r"\d{2,4}", value):
            return value, outside
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return value, outside
    elif isinstance(value, str):
        try:
            return (int(value) if re.fullmatch(r"[+-]?\d+", value) else float(value)), outside
        except ValueError:
            pass
    raise fault(f"its {word} is no {kind}", name, _CODE, place=place)


def _length(rules: Mapping[str, Any], word: str, name: str, place: str) -> int | None:
    value = rules.get(word)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise fault(f"its {word} is no length", name, _CODE, place=place)
    return value


def _pattern(written: Any, kind: str, form: Any, name: str, place: str) -> str | None:
    if written is None:
        return _PATTERNS.get(form) if kind == "string" and isinstance(form, str) else None
    try:
        re.compile(written)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise fault(f"its pattern is no regular expression: {error}", name, _CODE, place=place) from error
    return str(written)


def _enum(written: Any, name: str, place: str) -> tuple[str, ...] | None:
    if written is None:
        return None
    if not isinstance(written, list) or not written:
        raise fault("its enum is no list", name, _CODE, place=place)
    return tuple(cell_text(item.get("value") if isinstance(item, Mapping) else item) for item in written)


def cell_text(value: Any) -> str:
    """Return a JSON value as a cell shows it."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _missing_values(written: Any, name: str, place: str) -> tuple[str, ...]:
    if not isinstance(written, list):
        raise fault("its missingValues are no list", name, _CODE, place=place)
    return _texts([item.get("value") if isinstance(item, Mapping) else item for item in written], ())


def _texts(written: Any, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell_text(item) for item in written) if isinstance(written, list) else otherwise


def _listed(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _names(written: Any, columns: list[str], word: str, name: str) -> tuple[str, ...]:
    found = (written,) if isinstance(written, str) else tuple(written) if isinstance(written, list | tuple) else (None,)
    for item in found:
        if item not in columns:
            raise fault(f"its {word} names {item!r}, which is no field of it", name, _CODE)
    return found


def _foreign_key(entry: Any, columns: list[str], name: str) -> ForeignKey:
    reference = entry.get("reference") if isinstance(entry, Mapping) else None
    if not isinstance(reference, Mapping):
        raise fault("a foreign key has no reference", name, _CODE)
    own = _names(entry.get("fields"), columns, "foreignKeys", name)
    other = tuple(str(item) for item in _listed(reference.get("fields")))
    if len(own) != len(other):
        raise fault("a foreign key and its reference differ in their number of fields", name, _CODE)
    return ForeignKey(own, str(reference.get("resource", "")), other)
