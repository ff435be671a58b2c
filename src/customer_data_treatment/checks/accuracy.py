"""Accuracy: what the source declares of its own values, held against the values.

Totals and extremes from footers and attributes are independent of the values once these were
changed, cut or shifted; each declaration is one unit. Where nothing is declared, nothing is assessed.
"""

import math
from functools import partial

from ..model.dataset import Dataset, Witness
from ..model.outcome import Outcome
from ..model.requirements import Requirements
from ..model.statistics import Statistics
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, RuleKind
from .counting.tally import Tallies, Tally, census, merge_tallies, named, nothing

_EXTREMES = ("minimum", "maximum", "min", "max")
_ROUNDING = 1e-12  # of a sum of doubles, relative to the sum of magnitudes


def _bind(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    return tuple(
        Observer(name, None, nothing, merge_tallies, partial(_conclude, name=name, extremes=extremes))
        for name, extremes in (("declared-ranges", True), ("declared-totals", False))
    )


def _conclude(_: Tallies | None, outcome: Outcome, name: str, extremes: bool) -> tuple[CheckResult, ...]:
    judged = [
        (witness, holds)
        for witness in outcome.dataset.witnesses
        if (witness.fact in _EXTREMES) is extremes
        and (holds := _holds(witness, outcome.statistics.get(witness.field))) is not None
    ]
    broken = [f"{witness.field}: {witness.fact} by {witness.origin}" for witness, holds in judged if not holds]
    what = (
        "ranges that the source declares of its fields" if extremes else "totals that the source declares of its fields"
    )
    tally = Tally(len(judged), len(broken))
    return (census(name, Dimension.ACCURACY, RuleKind.SCORED, tally, f"{what} do not fit the values", named(broken)),)


def _holds(witness: Witness, found: Statistics | None) -> bool | None:
    """Return whether the values bear the witness out, None where they cannot tell."""
    if found is None:
        return None
    value = witness.value
    if isinstance(value, float) and math.isnan(value):
        return None
    slack = abs(value) * witness.relative_tolerance
    if witness.fact in _EXTREMES:
        return _extreme_holds(witness.fact, value, slack, found)
    if witness.fact == "count":
        return abs(found.count - value) <= slack
    if witness.fact == "missing":
        return abs(found.missing - value) <= slack
    if witness.fact == "sum":
        if found.total is not None:
            return abs(found.total - value) <= slack
        largest = max(abs(found.minimum or 0), abs(found.maximum or 0))
        return abs(found.mean * found.finite - value) <= slack + _ROUNDING * found.finite * largest
    return None


def _extreme_holds(fact: str, value: float, slack: float, found: Statistics) -> bool | None:
    if found.minimum is None or found.maximum is None:
        return None
    if fact == "minimum":
        return found.minimum >= value - slack
    if fact == "maximum":
        return found.maximum <= value + slack
    return abs((found.minimum if fact == "min" else found.maximum) - value) <= slack


WITNESSES = CheckCode(bind=_bind)
