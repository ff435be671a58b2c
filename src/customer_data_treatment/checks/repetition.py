"""Rows that stand twice: declared keys, identifier columns, whole rows; and whether equal keys agree.

A declared key must be unique (scored), and rows that share one witness each other's values
(accuracy). Without a declared key, a row that repeats another in every cell is scored where the
table has an identifier or a time, since a second record of that instant is a doubled record;
otherwise it is a note, as two plants may measure alike.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from ..model.chunk import Chunk
from ..model.dataset import Dataset, TableField
from ..model.outcome import Outcome
from ..model.requirements import Requirements, TableRule
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, Role, RuleKind
from .counting.duplicates import Duplicates, Rows, find_duplicates, rows_of
from .counting.hashing import can_hash
from .counting.schemas import match_tables
from .counting.tally import Tally, census, rows, tables_of

_MOST_COLUMNS = 256  # of a table whose whole rows are compared; a wider one is judged by its key alone
_IDENTIFIERS = frozenset({"id", "uid", "uuid", "guid"})


@dataclass(frozen=True, slots=True)
class _Search:
    """One search in one table: by `key`, of which the `needed` cells must be there.

    `declared` by a schema; `whole` rows have no key.
    """

    table: str
    key: tuple[str, ...]
    others: tuple[str, ...]
    needed: tuple[str, ...]
    declared: bool
    whole: bool
    has_identity: bool


def _bind(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    matched = match_tables(dataset, requirements)
    searches: list[_Search] = []
    for table in tables_of(dataset):
        searches += _searches(table, matched.tables.get(table.name))
    return tuple(
        Observer(
            name=f"duplicates:{search.table}",
            field=search.table,
            observe=partial(_observe, search=search),
            merge=Rows.merge,
            conclude=partial(_conclude, search=search),
        )
        for search in searches
    )


def _searches(table: TableField, rule: TableRule | None) -> list[_Search]:
    names = table.schema.names
    hashable = [item.name for item in table.schema if can_hash(item.type)]
    comparable = len(hashable) == len(names) <= _MOST_COLUMNS
    identity = any(column.role in (Role.IDENTIFIER, Role.TIME) for column in table.columns)
    found = []
    key = _declared_key(rule, hashable)
    guessed = () if key else tuple(name for name in hashable if name.lower() in _IDENTIFIERS)[:1]
    if chosen := key or guessed:
        others = tuple(name for name in hashable if name not in chosen) if comparable else ()
        # A companion of the key (an event, a repeat) may be empty, the key's own cells may not.
        needed = rule.key if rule is not None and key else chosen
        found.append(_Search(table.name, chosen, others, needed, bool(key), False, identity))
    elif hashable and comparable:
        found.append(_Search(table.name, tuple(hashable), (), (), False, True, identity))
    if rule is not None:
        unique = [c.name for c in rule.columns if c.unique and c.name in hashable and (c.name,) != key]
        found += [_Search(table.name, (name,), (), (name,), True, False, identity) for name in unique]
    return found


def _declared_key(rule: TableRule | None, hashable: list[str]) -> tuple[str, ...]:
    if rule is None or not rule.key or not set(rule.key) <= set(hashable):
        return ()
    return rule.key + tuple(name for name in rule.key_companions if name in hashable)


def _observe(chunk: Chunk, search: _Search) -> Rows:
    batch: Any = chunk.values
    return rows_of(batch, search.key, search.others, search.needed)


def _conclude(seen: Rows | None, outcome: Outcome, search: _Search) -> tuple[CheckResult, ...]:
    reread = outcome.reread
    again = None if reread is None else partial(reread, search.table)
    found = find_duplicates(seen or Rows(), search.key, search.needed, again)
    where = rows(found.places, search.table)
    if search.whole:
        return (_rows_result(search, found, where),)
    keyed = ", ".join(search.key)
    results = [
        census(
            f"{'key-unique' if search.declared else 'identifier-repeats'}:{search.table}/{'+'.join(search.key)}",
            Dimension.CONSISTENCY,
            RuleKind.SCORED if search.declared else RuleKind.ADVISORY,
            Tally(found.seen, found.repeated),
            f"rows of table {search.table} repeat the {'key' if search.declared else 'identifier'} ({keyed}) of an earlier row",
            where,
        )
    ]
    if search.others:
        results.append(_rows_result(search, found, where if found.identical else ()))
    if search.declared and search.others:
        results.append(
            census(
                f"repeated-keys-agree:{search.table}",
                Dimension.ACCURACY,
                RuleKind.SCORED,
                Tally(found.shared, found.contested),
                f"rows of table {search.table} share their key ({keyed}) with a row of other values",
                where,
            )
        )
    return tuple(results)


def _rows_result(search: _Search, found: Duplicates, where: tuple[str, ...]) -> CheckResult:
    return census(
        f"rows-repeat:{search.table}",
        Dimension.CONSISTENCY,
        RuleKind.SCORED if search.has_identity or search.declared else RuleKind.ADVISORY,
        Tally(found.seen, found.identical),
        f"rows of table {search.table} repeat an earlier row in every cell",
        where,
    )


DUPLICATES = CheckCode(bind=_bind)
