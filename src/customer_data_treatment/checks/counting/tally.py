"""Counts that merge: how many units were seen, how many broke a rule, and where the first few are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...model.dataset import Dataset, TableField
from ...model.verdict import CheckResult
from ...vocabulary import Dimension, RuleKind

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Tally:
    """Units seen and units that broke the rule; `places` are the first few, ascending.

    A place is a row of a table or the flat C-order position in an array, both from 0.
    """

    seen: int = 0
    broken: int = 0
    places: tuple[int, ...] = ()

    def merge(self, other: "Tally") -> "Tally":
        """Return both together; associative and commutative."""
        places = tuple(sorted(self.places + other.places)[:SHOWN])
        return Tally(self.seen + other.seen, self.broken + other.broken, places)


Tallies = Mapping[str, Tally]


def merge_tallies(a: Tallies, b: Tallies) -> Tallies:
    """Return tallies joined key by key."""
    return {key: a.get(key, Tally()).merge(b.get(key, Tally())) for key in {**a, **b}}


def tally_of(seen: int, broken: "np.ndarray[tuple[int], np.dtype[np.bool_]]", first: int = 0) -> Tally:
    """Return the tally of a mask over consecutive units that start at `first`."""
    count = int(np.count_nonzero(broken))
    places = tuple(int(at) + first for at in np.flatnonzero(broken)[:SHOWN]) if count else ()
    return Tally(seen, count, places)


def census(
    name: str,
    dimension: Dimension,
    kind: RuleKind,
    tally: Tally,
    message: str,
    where: Iterable[str] = (),
) -> CheckResult:
    """Return the result of a check that saw every unit in scope."""
    return CheckResult(name, dimension, kind, tally.seen, tally.seen, tally.broken, message, tuple(where))


def rows(places: Iterable[int], table: str, column: str = "") -> tuple[str, ...]:
    """Return places in a table as people count them: the first data row is row 1."""
    tail = f", column {column}" if column else ""
    return tuple(f"table {table}, row {place + 1}{tail}" for place in places)


def cells(places: Iterable[int], array: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return flat places in an array as its indices, which begin at 0."""
    found = []
    for place in places:
        index = ", ".join(str(int(i)) for i in np.unravel_index(place, shape)) if shape else ""
        found.append(f"{array}[{index}]")
    return tuple(found)


def positions(mask: "np.ndarray[Any, Any]", start: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first few places of a chunk's mask, flat in the whole array of `shape`."""
    if not shape:
        return (0,) if bool(mask) else ()
    found = np.unravel_index(np.flatnonzero(mask)[:SHOWN], mask.shape)
    places = np.ravel_multi_index([at + first for at, first in zip(found, start, strict=True)], shape)
    return tuple(int(place) for place in places)


def tables_of(dataset: Dataset) -> tuple[TableField, ...]:
    """Return the tables of a dataset in their order; one whose columns share a name cannot be watched by name."""
    tables = (field for field in dataset.fields if isinstance(field, TableField))
    return tuple(table for table in tables if len(set(table.schema.names)) == len(table.schema.names))


def nothing(chunk: object) -> Tallies:
    """Observe nothing: for a check that only concludes."""
    return {}


def named(keys: list[str], shown: int = 8) -> tuple[str, ...]:
    """Return the first few names, and how many more there are."""
    more = (f"and {len(keys) - shown} more",) if len(keys) > shown else ()
    return (*keys[:shown], *more)
