"""Reproducibility: every stored chunk was decoded again and is what was proven, and its origin is stated."""

from ..model.dataset import Dataset
from ..model.outcome import Outcome
from ..model.requirements import Requirements
from ..model.verdict import CheckResult
from ..plugin import CheckCode, Observer
from ..vocabulary import Dimension, RuleKind
from .counting.tally import Tallies, Tally, census, merge_tallies, nothing

_SHOWN = 5


def _bind(dataset: Dataset, requirements: Requirements) -> tuple[Observer, ...]:
    return (Observer("records", None, nothing, merge_tallies, _conclude),)


def _conclude(_: Tallies | None, outcome: Outcome) -> tuple[CheckResult, ...]:
    encoded = sum(tally.encoded for tally in outcome.chunks.values())
    unequal = {name: t.encoded - t.equal for name, t in outcome.chunks.items() if t.equal < t.encoded}
    unstated = [fact for fact, stated in outcome.recorded.items() if not stated]
    kind, dimension = RuleKind.SCORED, Dimension.REPRODUCIBILITY
    return (
        census(
            "chunks-decode-again",
            dimension,
            kind,
            Tally(encoded, sum(unequal.values())),
            "stored chunks were not decoded again to what was proven",
            list(unequal)[:_SHOWN],
        ),
        census(
            "origin-recorded",
            dimension,
            kind,
            Tally(len(outcome.recorded), len(unstated)),
            "facts that are needed to repeat the treatment are not recorded",
            unstated[:_SHOWN],
        ),
    )


RECORDS = CheckCode(bind=_bind)
