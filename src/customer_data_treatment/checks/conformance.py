"""Conformance: a schema's rules on cells, columns and units.

One validity check a column over its cells that have a value; what a declared range says of a
measured column is an independent witness too, so it also counts for accuracy. Columns that the
schema names and the data lacks, and the other way about, are counted for consistency.
"""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ..model.chunk import Chunk
from ..model.dataset import ArrayField, Dataset, TableField
from ..model.outcome import Outcome
from ..model.requirements import ColumnRule, Requirements, TableRule
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, RuleKind
from .counting.judging import asks, judge_cells, spoken
from .counting.schemas import Matched, match_tables
from .counting.tally import (
    Tallies,
    Tally,
    cells,
    census,
    merge_tallies,
    named,
    nothing,
    positions,
    rows,
    tables_of,
    tally_of,
)


def _bind(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    matched = match_tables(dataset, requirements)
    observers = []
    for table in tables_of(dataset):
        rule = matched.tables.get(table.name)
        if rule is None:
            continue
        names = set(table.schema.names)
        asked = tuple(column for column in rule.columns if column.name in names and asks(column))
        conclude = partial(_conclude_table, table=table.name, columns=asked)
        observers.append(
            Observer(f"schema:{table.name}", table.name, partial(_observe, columns=asked), merge_tallies, conclude)
        )
    for field in dataset.fields:
        if (
            isinstance(field, ArrayField)
            and (column := matched.arrays.get(field.name))
            and asks(column)
            and _judgeable(field)
        ):
            observe, said = (
                partial(_observe_array, field=field, rule=column),
                partial(_conclude_array, field=field, rule=column),
            )
            observers.append(Observer(f"schema:{field.name}", field.name, observe, Tally.merge, said))
    if requirements.tables:
        facts = partial(_conclude_facts, matched=matched)
        observers.append(Observer("schema", None, nothing, merge_tallies, facts))
    return tuple(observers)


def _judgeable(field: ArrayField) -> bool:
    return np.dtype(field.numpy_dtype()).kind in "biufmMO"


def _observe(chunk: Chunk, columns: tuple[ColumnRule, ...]) -> Tallies:
    batch: Any = chunk.values
    found = {}
    for rule in columns:
        judged = judge_cells(batch.column(rule.name), rule)
        present = int(np.count_nonzero(~judged.missing))
        found[rule.name] = tally_of(present, judged.broken, chunk.start[0])
    return found


def _conclude_table(
    tallies: Tallies | None, outcome: Outcome, table: str, columns: tuple[ColumnRule, ...]
) -> tuple[CheckResult, ...]:
    counts = tallies or {}
    results, ranged, measured = [], Tally(), []
    for rule in columns:
        tally = counts.get(rule.name, Tally())
        message = f"cells of column {rule.name} break the schema ({spoken(rule)})"
        where = rows(tally.places, table, rule.name)
        results.append(
            census(
                f"schema-cells:{table}/{rule.name}",
                Dimension.VALIDITY,
                RuleKind.SCORED,
                tally,
                message,
                where,
            )
        )
        if (rule.minimum is not None or rule.maximum is not None) and rule.type in ("number", "integer"):
            ranged = ranged.merge(tally)
            measured += [rule.name] if tally.broken else []
    message = f"measured cells of table {table} lie outside the range that the schema declares"
    results.append(
        census(f"schema-ranges:{table}", Dimension.ACCURACY, RuleKind.SCORED, ranged, message, named(measured))
    )
    return tuple(results)


def _observe_array(chunk: Chunk, field: ArrayField, rule: ColumnRule) -> Tally:
    values: Any = chunk.values
    flat = values.reshape(-1)
    column = pa.array(flat.tolist(), type=pa.string()) if flat.dtype == object else pa.array(flat)
    judged = judge_cells(column, rule)
    missing = judged.missing if field.fill is None or flat.dtype == object else judged.missing | (flat == field.fill)
    broken = (judged.broken & ~missing).reshape(values.shape)
    seen = int(np.count_nonzero(~missing))
    return Tally(seen, int(np.count_nonzero(broken)), positions(broken, chunk.start, field.shape))


def _conclude_array(
    tally: Tally | None, outcome: Outcome, field: ArrayField, rule: ColumnRule
) -> tuple[CheckResult, ...]:
    found = tally or Tally()
    message = f"values of {field.name} break the schema ({spoken(rule)})"
    where = cells(found.places, field.name, field.shape)
    return (census(f"schema-cells:{field.name}", Dimension.VALIDITY, RuleKind.SCORED, found, message, where),)


def _conclude_facts(_: Tallies | None, outcome: Outcome, matched: Matched) -> tuple[CheckResult, ...]:
    results: list[CheckResult] = []
    present = {table.name: table for table in tables_of(outcome.dataset)}
    for name, rule in matched.tables.items():
        results += _columns(present[name], rule)
    agree, differ = 0, []
    for place, rule_units, units in _units(outcome.dataset, matched):
        agree += 1
        differ += [place] if rule_units.strip() != units.strip() else []
    message = "fields carry other units than the schema says"
    tally = Tally(agree, len(differ))
    results.append(census("schema-units", Dimension.CONSISTENCY, RuleKind.SCORED, tally, message, named(differ)))
    return tuple(results)


def _columns(table: TableField, rule: TableRule) -> list[CheckResult]:
    names = set(table.schema.names)
    absent = [column.name for column in rule.columns if column.name not in names]
    ruled = {column.name for column in rule.columns}
    extra = [name for name in table.schema.names if name not in ruled and name not in rule.key_companions]
    kind = RuleKind.ADVISORY if rule.partial else RuleKind.SCORED
    return [
        census(
            f"schema-columns:{table.name}",
            Dimension.CONSISTENCY,
            kind,
            Tally(len(rule.columns), len(absent)),
            f"columns of the schema are absent from table {table.name}",
            named(absent),
        ),
        census(
            f"schema-unknown-columns:{table.name}",
            Dimension.CONSISTENCY,
            RuleKind.ADVISORY,
            Tally(len(names), len(extra)),
            f"columns of table {table.name} stand in no schema",
            named(extra),
        ),
    ]


def _units(dataset: Dataset, matched: Matched) -> list[tuple[str, str, str]]:
    found = []
    for field in dataset.fields:
        if isinstance(field, ArrayField):
            rule = matched.arrays.get(field.name)
            if rule is not None and rule.units and field.units:
                found.append((field.name, rule.units, field.units))
        elif field.name in matched.tables:
            rules = {column.name: column for column in matched.tables[field.name].columns}
            for column in field.columns:
                ruled = rules.get(column.name)
                if ruled is not None and ruled.units and column.units:
                    found.append((f"{field.name}/{column.name}", ruled.units, column.units))
    return found


SCHEMA = CheckCode(bind=_bind)
