"""Consistency: sizes, dimensions, coordinates, names and references that must fit each other."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..model.chunk import Chunk
from ..model.dataset import TEXT, ArrayField, Dataset, TableField
from ..model.outcome import Outcome
from ..model.requirements import ForeignKey, Requirements
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, Role, RuleKind
from .counting.hashing import can_hash, row_bits
from .counting.judging import is_nested, is_text, no_value, plain
from .counting.schemas import match_tables
from .counting.tally import Tallies, Tally, census, merge_tallies, named, nothing, rows, tables_of, tally_of

_CONSISTENCY = Dimension.CONSISTENCY
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_DATE = r"^\s*\d{4}-\d{2}-\d{2}([T ].*)?$"
_LOOKED_AT, _THEN_EVERY = 1 << 15, 64  # rows whose text is looked at for mixed types: by place, not by chunk
_MOSTLY = 0.95
_MOST_COLUMNS = 256  # of text, looked at for mixed types
_REFERRING = ("coordinates", "bounds", "ancillary_variables", "grid_mapping", "climatology")


def _bind_structure(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    observers = [Observer("structure", None, nothing, merge_tallies, _conclude_facts)]
    for field in dataset.fields:
        if isinstance(field, ArrayField) and _is_axis(field):
            conclude = partial(_conclude_steps, field=field)
            observers.append(Observer(f"steps:{field.name}", field.name, _steps, Steps.merge, conclude))
    for table in tables_of(dataset):
        texts = tuple(item.name for item in table.schema if is_text(item.type))[:_MOST_COLUMNS]
        if texts:
            observe, conclude_mixed = (
                partial(_observe_mixed, columns=texts),
                partial(_conclude_mixed, table=table.name),
            )
            observers.append(Observer(f"mixed-types:{table.name}", table.name, observe, merge_tallies, conclude_mixed))
    return tuple(observers)


def _conclude_facts(_: Tallies | None, outcome: Outcome) -> tuple[CheckResult, ...]:
    dataset = outcome.dataset
    return (
        _sizes(outcome),
        _dimensions(dataset),
        _column_names(dataset),
        *_units(dataset),
        *_references(dataset),
    )


def _sizes(outcome: Outcome) -> CheckResult:
    """Hold the decoded number of values against what the source declares: an array's shape, a table's rows."""
    declared: dict[str, int] = {}
    watchable = {table.name for table in tables_of(outcome.dataset)}
    for field in outcome.dataset.fields:
        if isinstance(field, ArrayField):
            declared[field.name] = field.size
            continue
        if field.name not in watchable:
            continue
        # A list column's statistics count its innermost values, which no table declares.
        flat = [item.name for item in field.schema if not is_nested(item.type)]
        keys = [f"{field.name}/{name}" for name in flat]
        counts = [outcome.statistics[key].count for key in keys if key in outcome.statistics]
        length = field.rows if field.rows is not None else max(counts, default=0)
        declared |= dict.fromkeys(keys, length)
    judged = [key for key in declared if key in outcome.statistics]
    broken = [key for key in judged if outcome.statistics[key].count != declared[key]]
    message = "fields hold another number of values than their source declares"
    return census("sizes-agree", _CONSISTENCY, RuleKind.SCORED, Tally(len(judged), len(broken)), message, named(broken))


def _dimensions(dataset: Dataset) -> CheckResult:
    """Hold every use of a named dimension in a group against its most common length there."""
    uses: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for field in dataset.fields:
        if isinstance(field, ArrayField):
            group = field.name.rpartition("/")[0]
            for name, length in zip(field.dimensions, field.shape, strict=False):
                if name is not None:
                    uses.setdefault((group, name), []).append((length, field.name))
    broken = []
    for (_, name), seen in uses.items():
        usual = Counter(length for length, _ in seen).most_common(1)[0][0]
        broken += [f"{field}, dimension {name}" for length, field in seen if length != usual]
    total = Tally(sum(len(seen) for seen in uses.values()), len(broken))
    message = "axes differ in length from others of the same dimension"
    return census("dimensions-agree", _CONSISTENCY, RuleKind.SCORED, total, message, named(broken))


def _column_names(dataset: Dataset) -> CheckResult:
    total, broken = 0, []
    for field in dataset.fields:
        if isinstance(field, TableField):
            counts = Counter(field.schema.names)
            total += len(field.schema.names)
            for at, name in enumerate(field.schema.names, 1):
                if not name.strip() or counts[name] > 1:
                    broken.append(f"table {field.name}, column {at}")
    message = "columns have no name of their own: it is blank or stands twice"
    return census("column-names", _CONSISTENCY, RuleKind.ADVISORY, Tally(total, len(broken)), message, named(broken))


def _units(dataset: Dataset) -> tuple[CheckResult, ...]:
    """Compare the units of arrays that share a name in different groups."""
    said: dict[str, Counter[str]] = {}
    for field in dataset.fields:
        if isinstance(field, ArrayField) and field.units:
            said.setdefault(field.name.rsplit("/", 1)[-1], Counter())[field.units] += 1
    shared = {name: counts for name, counts in said.items() if sum(counts.values()) > 1}
    if not shared:
        return ()
    broken = [name for name, counts in shared.items() if len(counts) > 1]
    message = "fields of one name have different units in different groups"
    tally = Tally(len(shared), len(broken))
    return (census("units-agree", _CONSISTENCY, RuleKind.ADVISORY, tally, message, named(broken)),)


def _references(dataset: Dataset) -> tuple[CheckResult, ...]:
    """Look up the variables that CF attributes name (CF 1.11, chapters 5 and 7)."""
    paths = {field.name for field in dataset.fields} | {item.name for item in dataset.carried}
    words = {name.rsplit("/", 1)[-1] for name in paths}
    total, broken = 0, []
    for field in dataset.fields:
        if not isinstance(field, ArrayField):
            continue
        for attribute in _REFERRING:
            said = field.attributes.get(attribute)
            names = re.findall(r"[\w./-]+(?=\s|$)", said) if isinstance(said, str) and ":" not in said else []
            total += len(names)
            absent = [name for name in names if name not in paths and name.rsplit("/", 1)[-1] not in words]
            broken += [f"{field.name}, attribute {attribute}: {name}" for name in absent]
    if not total:
        return ()
    message = "variables that attributes refer to are not in the dataset"
    tally = Tally(total, len(broken))
    return (census("referred-variables", _CONSISTENCY, RuleKind.ADVISORY, tally, message, named(broken)),)


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps along a coordinate, counted by direction; edge-aware: merge in chunk order."""

    first: Any = None
    last: Any = None
    length: int = 0
    up: int = 0
    down: int = 0

    def merge(self, other: "Steps") -> "Steps":
        """Return both runs and the step between them."""
        if not self.length or not other.length:
            return other if not self.length else self
        up, down = int(other.first > self.last), int(other.first < self.last)
        return Steps(
            self.first,
            other.last,
            self.length + other.length,
            self.up + other.up + up,
            self.down + other.down + down,
        )


def _is_axis(field: ArrayField) -> bool:
    own = field.name.rsplit("/", 1)[-1]
    named_so = len(field.shape) == 1 and field.dimensions == (own,)
    return named_so and field.dtype not in (TEXT, "bool") and not field.dtype.startswith("complex")


def _steps(chunk: Chunk) -> Steps:
    values: Any = chunk.values
    if len(values) == 0:
        return Steps()
    up, down = (int(np.count_nonzero(m)) for m in (values[1:] > values[:-1], values[1:] < values[:-1]))
    return Steps(values[0], values[-1], len(values), up, down)


def _conclude_steps(steps: Steps | None, outcome: Outcome, field: ArrayField) -> tuple[CheckResult, ...]:
    found = steps or Steps()
    count = max(0, found.length - 1)
    tally = Tally(count, count - max(found.up, found.down))
    # Only a coordinate must be ordered; a dimension of stations or labels need not be.
    strict = field.role in (Role.COORDINATE, Role.TIME)
    message = f"steps along the coordinate {field.name} do not go its way (it must rise or fall throughout)"
    kind = RuleKind.SCORED if strict else RuleKind.ADVISORY
    return (census(f"coordinate-monotonic:{field.name}", _CONSISTENCY, kind, tally, message, (field.name,)),)


def _observe_mixed(chunk: Chunk, columns: tuple[str, ...]) -> Tallies:
    batch: Any = chunk.values
    found: dict[str, Tally] = {}
    row = np.arange(chunk.start[0], chunk.start[0] + batch.num_rows)
    chosen = pa.array(np.flatnonzero((row < _LOOKED_AT) | (row % _THEN_EVERY == 0)))
    for name in columns:
        cells = plain(batch.column(name)).take(chosen).drop_null()
        number = pc.match_substring_regex(cells, _NUMBER).to_numpy(zero_copy_only=False)
        date = pc.match_substring_regex(cells, _DATE).to_numpy(zero_copy_only=False)
        found[f"{name}\0number"] = tally_of(len(cells), ~number)
        found[f"{name}\0date"] = tally_of(len(cells), ~date)
    return found


def _conclude_mixed(tallies: Tallies | None, outcome: Outcome, table: str) -> tuple[CheckResult, ...]:
    counts = tallies or {}
    columns = list(dict.fromkeys(key.split("\0")[0] for key in counts))
    broken = []
    for name in columns:
        for kind in ("number", "date"):
            tally = counts[f"{name}\0{kind}"]
            if 0 < tally.broken < (1 - _MOSTLY) * tally.seen:
                broken.append(f"table {table}, column {name} (mostly {kind}s)")
    message = "text columns mix numbers or dates with other text"
    tally = Tally(len(columns), len(broken))
    return (census(f"mixed-types:{table}", _CONSISTENCY, RuleKind.ADVISORY, tally, message, named(broken)),)


def _bind_references(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    matched = match_tables(dataset, requirements)
    by_rule = {rule.name: name for name, rule in matched.tables.items()}
    present = {table.name: table for table in tables_of(dataset)}
    observers = []
    for name, rule in matched.tables.items():
        for key in rule.foreign_keys:
            parent = name if key.table == "" else by_rule.get(key.table)
            if (
                parent is None
                or not _joinable(present[name], key.columns)
                or not _joinable(present[parent], key.references)
            ):
                continue
            conclude = partial(_conclude_foreign, key=key, child=name, parent=parent)
            observers.append(Observer(f"foreign-key:{name}", None, nothing, merge_tallies, conclude))
    return tuple(observers)


def _joinable(table: TableField, columns: tuple[str, ...]) -> bool:
    return all(name in table.schema.names and can_hash(table.schema.field(name).type) for name in columns)


def _conclude_foreign(
    _: Tallies | None, outcome: Outcome, key: ForeignKey, child: str, parent: str
) -> tuple[CheckResult, ...]:
    """Read both tables once more: 8 bytes of memory for each row of the parent.

    A key whose bits no parent row has is absent beyond doubt.
    """
    if outcome.reread is None:
        return ()
    known = [_key_bits(batch, key.references) for batch in outcome.reread(parent)]
    parents = np.unique(np.concatenate(known)) if known else np.empty(0, dtype=np.uint64)
    total, first = Tally(), 0
    for batch in outcome.reread(child):
        whole = ~np.logical_or.reduce([no_value(plain(batch.column(name))) for name in key.columns])
        orphan = whole & ~np.isin(_key_bits(batch, key.columns), parents)
        total = total.merge(tally_of(int(np.count_nonzero(whole)), orphan, first))
        first += batch.num_rows
    columns = ", ".join(key.columns)
    message = f"rows of table {child} refer by {columns} to no row of table {parent}"
    name = f"foreign-key:{child}/{'+'.join(key.columns)}"
    return (census(name, _CONSISTENCY, RuleKind.SCORED, total, message, rows(total.places, child, columns)),)


def _key_bits(batch: pa.RecordBatch, columns: tuple[str, ...]) -> Any:
    """Return bits that are equal for equal spellings, so that 7 finds "7"."""
    cells = [plain(batch.column(name)) for name in columns]
    return row_bits([c if is_text(c.type) else c.cast(pa.string()) for c in cells], batch.num_rows)


STRUCTURE = CheckCode(bind=_bind_structure)
REFERENCES = CheckCode(bind=_bind_references)
