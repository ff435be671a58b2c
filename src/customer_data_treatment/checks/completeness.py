"""Completeness: every required field on its own, and one pooled check over undeclared cells.

Null, NaN and a schema's own words for "no value" are missing, and so is a cell that was filled in.
Declared optional fields and masks leave the scope and are reported; an array's declared fill value
is a mask, unless the array is required.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..model.chunk import Chunk
from ..model.dataset import ArrayField, Dataset, TableField
from ..model.outcome import Outcome
from ..model.requirements import ColumnRule, Requirements, TableRule
from ..model.statistics import Statistics
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, Role, RuleKind
from .counting.judging import is_nested, missing_cells, no_value, plain
from .counting.schemas import Matched, match_tables
from .counting.tally import Tallies, Tally, census, merge_tallies, named, nothing, rows, tables_of, tally_of


def _bind(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    matched = match_tables(dataset, requirements)
    observers = [
        Observer(
            name=f"completeness:{table.name}",
            field=table.name,
            observe=partial(_observe, columns=_counted(table, rule)),
            merge=merge_tallies,
            conclude=partial(_conclude_table, table=table, rule=rule),
        )
        for table in tables_of(dataset)
        if (rule := matched.tables.get(table.name)) is not None
    ]
    observers.append(Observer("completeness", None, nothing, merge_tallies, partial(_conclude, matched=matched)))
    return tuple(observers)


def _counted(table: TableField, rule: TableRule) -> tuple[ColumnRule, ...]:
    """Return the rules of the columns that a table has; a column without one gets an empty rule."""
    rules = {column.name: column for column in rule.columns}
    found = []
    for column in table.columns:
        ruled = rules.get(column.name) or ColumnRule(column.name)
        required = ruled.required or (column.required and not ruled.optional)
        optional = (ruled.optional or column.optional) and not required
        found.append(replace(ruled, required=required, optional=optional))
    return tuple(found)


def _observe(chunk: Chunk, columns: tuple[ColumnRule, ...]) -> Tallies:
    batch: Any = chunk.values
    names = set(batch.schema.names)
    found: dict[str, Tally] = {}
    asked: dict[str, np.ndarray[Any, Any]] = {}
    for rule in columns:
        missing = missing_cells(plain(batch.column(rule.name)), rule.missing_values)
        where = rule.asked_where
        if where is None or where not in names or where == rule.name:
            found[rule.name] = tally_of(len(missing), missing, chunk.start[0])
            continue
        if where not in asked:
            asked[where] = ~no_value(plain(batch.column(where)))
        open_rows = asked[where]
        found[rule.name] = tally_of(int(np.count_nonzero(open_rows)), missing & open_rows, chunk.start[0])
    return found


def _conclude_table(
    tallies: Tallies | None, outcome: Outcome, table: TableField, rule: TableRule
) -> tuple[CheckResult, ...]:
    """Return the required columns' results, the pooled one, and the absent required columns'."""
    counts = tallies or {}
    results, pooled, lacking, left_out = [], Tally(), [], []
    for column in _counted(table, rule):
        tally = _with_imputed(counts.get(column.name, Tally()), outcome, f"{table.name}/{column.name}")
        if column.required or column.name in rule.key:
            results.append(_required(f"{table.name}/{column.name}", tally, rows(tally.places, table.name)))
        elif column.optional:
            left_out.append((f"{table.name}/{column.name}", tally))
        else:
            pooled = pooled.merge(tally)
            lacking.append((column.name, tally))
    length = table.rows if table.rows is not None else _rows(table, outcome)
    names = set(table.schema.names)
    for absent in rule.columns:
        if absent.required and absent.name not in names:
            tally = Tally(length, length)
            results.append(_required(f"{table.name}/{absent.name}", tally, ("the column is absent",)))
    message = f"cells of table {table.name} that nothing declares required or optional hold no value"
    results.append(_scored(f"undeclared-cells:{table.name}", pooled, message, _worst(lacking)))
    return (*results, *_reported(left_out, f"optional-cells:{table.name}"))


def _rows(table: TableField, outcome: Outcome) -> int:
    flat = [item.name for item in table.schema if not is_nested(item.type)]
    found = (outcome.statistics.get(f"{table.name}/{name}") for name in flat)
    counts = [statistics.count for statistics in found if statistics is not None]
    return max(counts, default=0)


def _conclude(_: Tallies | None, outcome: Outcome, matched: Matched) -> tuple[CheckResult, ...]:
    """Return the results that statistics alone give: every array, and tables without a schema."""
    results: list[CheckResult] = []
    pooled, lacking, left_out = Tally(), [], []
    for key, required, optional in _fields(outcome.dataset, matched):
        statistics = outcome.statistics.get(key)
        if statistics is None:
            continue
        tally = _with_imputed(Tally(statistics.count, statistics.missing + statistics.nan), outcome, key)
        if not required and not optional and (masked := _masked(outcome.dataset, key, statistics)):
            # A declared fill is a declared mask: land in a sea-ice grid is not missing ice.
            left_out.append((key, Tally(masked, masked)))
            tally = Tally(tally.seen - masked, tally.broken - masked, tally.places)
        if required:
            results.append(_required(key, tally, ()))
        elif optional:
            left_out.append((key, tally))
        else:
            pooled = pooled.merge(tally)
            lacking.append((key, tally))
    message = "cells of fields that nothing declares required or optional hold no value"
    results.append(_scored("undeclared-cells", pooled, message, _worst(lacking)))
    return (*results, *_reported(left_out, "optional-cells"))


def _masked(dataset: Dataset, key: str, statistics: Statistics) -> int:
    """Return how many of an array's cells its declared fill value masks."""
    field = next((f for f in dataset.fields if f.name == key), None)
    if not isinstance(field, ArrayField) or field.fill is None:
        return 0
    return statistics.nan if field.fill != field.fill else statistics.missing


def _fields(dataset: Dataset, matched: Matched) -> Iterator[tuple[str, bool, bool]]:
    """Yield (statistics key, required, left out) of every field that no schema's table speaks of."""
    for field in dataset.fields:
        if isinstance(field, ArrayField):
            rule = matched.arrays.get(field.name)
            required = field.required or (rule is not None and rule.required)
            yield field.name, required, field.role is Role.MASK or (rule is not None and rule.optional)
        elif field.name not in matched.tables:
            yield from ((f"{field.name}/{c.name}", c.required, c.optional) for c in field.columns)


def _with_imputed(tally: Tally, outcome: Outcome, key: str) -> Tally:
    filled = outcome.imputed.get(key, 0)
    return Tally(tally.seen, min(tally.seen, tally.broken + filled), tally.places)


def _required(key: str, tally: Tally, where: Iterable[str]) -> CheckResult:
    return _scored(f"required-cells:{key}", tally, f"cells of the required field {key} hold no value", where)


def _scored(name: str, tally: Tally, message: str, where: Iterable[str]) -> CheckResult:
    return census(name, Dimension.COMPLETENESS, RuleKind.SCORED, tally, message, where)


def _reported(left_out: list[tuple[str, Tally]], name: str) -> tuple[CheckResult, ...]:
    """Return what leaves the scope, as a note."""
    if not left_out:
        return ()
    total = Tally(sum(t.seen for _, t in left_out), sum(t.broken for _, t in left_out))
    message = "cells of declared optional fields and masks hold no value, which is allowed"
    where = _worst(left_out)
    return (census(name, Dimension.COMPLETENESS, RuleKind.ADVISORY, total, message, where),)


def _worst(fields: list[tuple[str, Tally]]) -> tuple[str, ...]:
    """Return the fields that lack most, with how many cells they lack."""
    lacking = sorted((item for item in fields if item[1].broken), key=lambda item: -item[1].broken)
    return named([f"{key} ({tally.broken})" for key, tally in lacking])


COMPLETENESS = CheckCode(bind=_bind)
