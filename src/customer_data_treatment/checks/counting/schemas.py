"""Which of a schema's tables speaks of which of a dataset's tables and arrays."""

from dataclasses import dataclass, replace

from ...errors import CustomerError
from ...model.dataset import ArrayField, Dataset, TableField
from ...model.requirements import ColumnRule, Requirements, TableRule
from .tally import tables_of


@dataclass(frozen=True, slots=True)
class Matched:
    """The rules that found a field: tables by name, and arrays by name."""

    tables: dict[str, TableRule]
    arrays: dict[str, ColumnRule]


def match_tables(dataset: Dataset, requirements: Requirements) -> Matched:
    """Return which rule speaks of which field.

    A schema's table is the dataset's table of that name (suffixes aside); a schema without a name,
    or the only one, takes the table that shares most columns with it, and a dataset of one table
    the schema of several that does. Where no table shares any, its fields may name arrays. Raise CustomerError (bad-schema) where they name nothing.
    """
    tables: dict[str, TableRule] = {}
    arrays: dict[str, ColumnRule] = {}
    for rule in _spoken_of(requirements.tables, tables_of(dataset)):
        left = [table for table in tables_of(dataset) if table.name not in tables]
        table = _named(rule, left) or _alike(rule, left)
        if table is not None:
            tables[table.name] = rule
            continue
        arrays |= {
            field.name: column
            for field in dataset.fields
            if isinstance(field, ArrayField)
            for column in rule.columns
            if column.name in (field.name, field.name.rsplit("/", 1)[-1])
        }
    if requirements.tables and not tables and not arrays:
        raise CustomerError(
            "the schema names no column or field of this dataset",
            code="bad-schema",
            where=requirements.origins.get("schema", ""),
            remedy="give the schema of this dataset",
        )
    return Matched(tables, arrays)


def _named(rule: TableRule, tables: list[TableField]) -> TableField | None:
    wanted = rule.name.lower()
    return next((t for t in tables if wanted and _stem(t.name) in (wanted, _stem(wanted))), None)


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].split(".", 1)[0].lower()


def _spoken_of(rules: tuple[TableRule, ...], tables: tuple[TableField, ...]) -> tuple[TableRule, ...]:
    """Return the rules to look at; an only one loses its name, so that it finds its table by columns."""
    if len(rules) == 1:
        return (replace(rules[0], name=""),) if not _named(rules[0], list(tables)) else rules
    if rules and len(tables) == 1 and not any(_named(rule, list(tables)) for rule in rules):
        names = set(tables[0].schema.names)
        shared = [len(names & {column.name for column in rule.columns}) for rule in rules]
        return (replace(rules[shared.index(max(shared))], name=""),)
    return rules


def _alike(rule: TableRule, tables: list[TableField]) -> TableField | None:
    if rule.name:
        return None
    named = {column.name for column in rule.columns}
    shared = [len(named & set(table.schema.names)) for table in tables]
    best = max(shared, default=0)
    return tables[shared.index(best)] if best else None
