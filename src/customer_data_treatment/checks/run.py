"""Put the checks to work: bind them to a dataset, and conclude once every chunk has passed.

observers = bind_checks(dataset, requirements)
partials: dict[int, Any] = {}
for chunk in chunks:                      # any field's chunks, each field's in order
    observe_chunk(observers, partials, chunk)
results = run_checks(observers, partials, outcome)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..model.chunk import Chunk
from ..model.dataset import Dataset, RuleCount
from ..model.outcome import Outcome
from ..model.requirements import Requirements
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer, load, third_party
from . import CHECKS
from .counting.schemas import match_tables


def bind_checks(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    """Return the observers that this dataset needs; most plain measurement arrays need none.

    Raise CustomerError (bad-schema) where a schema names no field of the dataset.
    """
    match_tables(dataset, requirements)  # refuses a schema of another dataset before any work
    table = dict(CHECKS) | third_party("check")
    bound: list[Observer] = []
    for name in table:
        code: CheckCode = load(table, name)
        bound += code.bind(dataset, requirements)
    return tuple(bound)


def watched(observers: Sequence[Observer]) -> frozenset[str]:
    """Return the fields that at least one observer looks at."""
    return frozenset(observer.field for observer in observers if observer.field is not None)


def observe_chunk(observers: Sequence[Observer], partials: dict[int, Any], chunk: Chunk) -> None:
    """Let every observer of the chunk's field count it, and merge in chunk order into `partials`."""
    for at, observer in enumerate(observers):
        if observer.field == chunk.field:
            partial = observer.observe(chunk)
            partials[at] = observer.merge(partials[at], partial) if at in partials else partial


def merge_partials(observers: Sequence[Observer], a: Mapping[int, Any], b: Mapping[int, Any]) -> dict[int, Any]:
    """Return the partials of two runs of consecutive chunks, `a` before `b`, joined."""
    joined = dict(a)
    for at, partial in b.items():
        joined[at] = observers[at].merge(joined[at], partial) if at in joined else partial
    return joined


def run_checks(observers: Sequence[Observer], partials: Mapping[int, Any], outcome: Outcome) -> list[CheckResult]:
    """Return every check's result: the observers', the decoder's rules, the delivered checksums'.

    The order is that of the observers, then the rules; it depends on the dataset alone.
    """
    results: list[CheckResult] = []
    for at, observer in enumerate(observers):
        results += observer.conclude(partials.get(at), outcome)
    results += [_passed_through(rule) for rule in outcome.rules]
    results += outcome.delivered
    return results


def _passed_through(rule: RuleCount) -> CheckResult:
    return CheckResult(
        name=rule.name,
        dimension=rule.dimension,
        kind=rule.kind,
        scope=rule.scope,
        examined=rule.examined,
        violations=rule.violations,
        message=rule.message,
        where=rule.where,
    )
